//! How long each stage of reading a job file takes: the tree, values and JSON, checks, text, layout, edits.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use blackstart::base::Source;
use blackstart::hcl;
use blackstart::jobspec::{self, Inputs, Wanted};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

/// The largest of the reference environment's, with a variable, locals, a `dynamic` block and a heredoc besides.
fn file() -> Arc<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let job = std::fs::read_to_string(root.join("nomad-jobs/monitor.nomad.hcl"))
        .expect("the reference environment");
    let more = r#"
  group "workers" {
    dynamic "task" {
      for_each = var.workers
      labels   = [task.value]
      content {
        driver = "docker"
        config {
          image = local.image
          args  = [format("run-%02d", task.key), "${NOMAD_TASK_DIR}/x.conf"]
        }
        template {
          destination = "local/x.conf"
          data        = <<-EOT
            %{ for name in local.names ~}
            peer = ${name}
            %{ endfor ~}
            EOT
        }
      }
    }
  }
}
"#;
    let head = r#"
variable "workers" {
  type    = list(string)
  default = ["a", "b", "c"]
}

locals {
  image = "registry.example.com/worker:${length(var.workers)}"
  names = [for w in var.workers : upper(w)]
}
"#;
    let body = job.trim_end().strip_suffix('}').expect("it ends in a brace");
    Source::new("bench.nomad.hcl", format!("{head}{body}{more}"))
}

fn stages(c: &mut Criterion) {
    let source = file();
    let inputs = Inputs { root: PathBuf::from(env!("CARGO_MANIFEST_DIR")), ..Inputs::default() };
    let job = jobspec::parse(&source, &inputs).expect("it is right");
    let image = "group.monitor.task.monitor.config.image".parse().expect("a path");
    let wanted = [Wanted { path: image, value: json!("registry.example.com/monitor:2") }];
    let mut group = c.benchmark_group("job file");
    group.throughput(Throughput::Bytes(source.text.len() as u64));
    group.bench_function("tree", |b| b.iter(|| hcl::parse(black_box(&source)).expect("it is right")));
    group.bench_function("tree, values and JSON", |b| {
        b.iter(|| jobspec::parse(black_box(&source), &inputs).expect("it is right"));
    });
    group.bench_function("check", |b| b.iter(|| jobspec::check(black_box(&job), &inputs)));
    group.bench_function("print", |b| b.iter(|| jobspec::print(black_box(&job.json))));
    group.bench_function("layout", |b| b.iter(|| hcl::format(black_box(&source)).expect("it is right")));
    group.bench_function("places", |b| {
        b.iter(|| jobspec::places(black_box(&source), &inputs).expect("it is right"));
    });
    group.bench_function("edit an image", |b| {
        b.iter(|| jobspec::edits(black_box(&source), &inputs, &wanted).expect("it is written there"));
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
