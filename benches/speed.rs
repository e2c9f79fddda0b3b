//! How long the parts take that a person waits for: reading files, evaluating, journaling, rehearsing.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blackstart::app::{self, Options, Rehearsal, Session};
use blackstart::base::{Clock, RunId, Secrets, Source};
use blackstart::dialect::{Values, functions};
use blackstart::engine::{Answer, Approver, Question};
use blackstart::hcl::{self, Value};
use blackstart::jobspec;
use blackstart::journal::{Body, Journal, SqliteStore};
use blackstart::{plan, settings};
use criterion::{Criterion, criterion_group, criterion_main};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source(path: &str) -> Arc<Source> {
    Source::new(path, std::fs::read_to_string(root().join(path)).expect("the reference environment"))
}

fn scope() -> Values {
    let scope = Values::new(functions(&Secrets::default()));
    [
        "var",
        "downtime",
        "outage",
        "env",
        "environment",
        "now",
        "terraform",
        "step",
        "wave",
        "probe",
        "recorded",
    ]
    .into_iter()
    .fold(scope, |scope, root| scope.with(root, Value::Unknown))
}

fn reading(c: &mut Criterion) {
    let job = source("nomad-jobs/job_publication.nomad.hcl");
    let inputs = jobspec::Inputs { root: root(), ..jobspec::Inputs::default() };
    c.bench_function("read a job file", |b| {
        b.iter(|| jobspec::parse(black_box(&job), &inputs).expect("it is right"));
    });

    let cold_start = source("plans/cold-start.hcl");
    let known = scope();
    c.bench_function("load a plan", |b| {
        b.iter(|| plan::load(black_box(&cold_start), &known).expect("it is right"));
    });

    let file = source("blackstart.hcl");
    let known = settings::unknown_roots(scope());
    c.bench_function("load the settings", |b| {
        b.iter(|| settings::load(black_box(&file), &root(), &known).expect("they are right"));
    });
}

fn evaluating(c: &mut Criterion) {
    let text =
        r#"{ for name, lag in result : upper(name) => "${format("%d", lag)}s" if lag < duration("1h") }"#;
    let expr = hcl::parse_expression(&Source::new("bench", text)).expect("it is right");
    let lags: BTreeMap<String, Value> =
        (0..20).map(|i| (format!("type_{i}"), Value::from(f64::from(i) * 300.0))).collect();
    let scope = scope().with("result", Value::from(lags));
    c.bench_function("evaluate an expression over 20 types", |b| {
        b.iter(|| black_box(&expr).eval(&scope).expect("it has a value"));
    });
}

/// Where the records lie decides: on a disk each append waits for a sync.
fn journaling(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = RunId("20260105-0800-bench".into());
    let body = Body::WaveStarted { wave: "infrastructure".into() };
    let open = |name: &str| {
        let store = SqliteStore::open(&folder.path().join(name)).expect("a new journal");
        Journal::open(Box::new(store), Clock::real(), Secrets::default()).expect("a new journal")
    };
    let journal = open("append.db");
    c.bench_function("append to the journal", |b| {
        b.iter(|| journal.append(&run, black_box(&body), |_| Ok(())).expect("it is written"));
    });

    let journal = open("read.db");
    for _ in 0..1000 {
        journal.append(&run, &body, |_| Ok(())).expect("it is written");
    }
    c.bench_function("read a journal of 1000 records", |b| b.iter(|| open("read.db")));
}

struct Nobody;

#[async_trait::async_trait]
impl Approver for Nobody {
    async fn ask(&self, _: &Question) -> Answer {
        Answer::Nobody
    }
}

fn rehearse(dir: &Path) {
    let options = Options { dir: dir.to_owned(), environment: Some("sandbox".into()), ..Options::default() };
    let project = app::project(&options).expect("the reference environment");
    let environment = app::choose(&project, &options).expect("its sandbox");
    let session = Session {
        sink: Arc::new(|_| {}),
        approver: Arc::new(Nobody),
        interrupts: tokio::sync::watch::Sender::new(0).subscribe(),
    };
    let rehearsal = Rehearsal {
        plan: "cold-start".into(),
        inputs: BTreeMap::new(),
        downtime: Some(Duration::from_secs(3 * 24 * 3600)),
        seed: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let rehearsed = runtime
        .block_on(app::rehearse(&project, environment, &options, &session, &rehearsal))
        .expect("it is rehearsed");
    assert_eq!(rehearsed.report.degraded, 0);
}

fn rehearsing(c: &mut Criterion) {
    let mut group = c.benchmark_group("rehearse");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.bench_function("a cold start after three days", |b| b.iter(|| rehearse(&root())));
    group.finish();
}

criterion_group!(benches, reading, evaluating, journaling, rehearsing);
criterion_main!(benches);
