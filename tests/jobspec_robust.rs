//! Whatever is in a file, reading it ends, in reasonable time, with a job or with errors that have a
//! place. Limits are those that the modules state.

use std::path::PathBuf;

use blackstart::base::Source;
use blackstart::hcl;
use blackstart::jobspec::{Inputs, parse};
use proptest::prelude::*;

const JOB: &str = r#"variable "tag" {
  type    = string
  default = "git-1a2b"
  validation {
    condition     = length(split("-", var.tag)) > 1
    error_message = "A tag starts with git-."
  }
}

locals {
  image = "registry.example.com/shop/web:${var.tag}"
  ports = { for i, name in ["http", "admin"] : name => 8000 + i }
}

job "web" {
  datacenters = ["dc1", "dc2"]
  meta { depends_on = "postgres, rabbitmq" }
  group "front" {
    count = 2
    network {
      mode = "bridge"
      dynamic "port" {
        for_each = local.ports
        labels   = [port.key]
        content { static = port.value }
      }
    }
    update {
      max_parallel     = 1
      min_healthy_time = "10s"
    }
    task "serve" {
      driver = "docker"
      config {
        image = local.image
        args  = ["-bind", "${NOMAD_IP_http}", <<-EOT
          %{ for name in keys(local.ports) ~}
          --${name}
          %{ endfor ~}
          EOT
        ]
        mount {
          type = "bind"
        }
      }
      env {
        NODE = "${attr.unique.hostname}}"
        DEBUG = true ? 1 : "no"
      }
      template {
        data        = "{{ key \"x\" }}"
        destination = "local/x"
      }
      resources { cpu = 1500 }
    }
  }
}
"#;

fn read(text: &str) -> Result<serde_json::Value, blackstart::base::Diagnostics> {
    let source = Source::new("job.nomad.hcl", text);
    parse(&source, &Inputs { root: PathBuf::from("/nonexistent"), ..Inputs::default() }).map(|job| job.json)
}

/// A text ends as it should: errors lie within it.
fn check(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = read(text) {
        prop_assert!(errors.has_errors());
        for error in &errors.0 {
            prop_assert!(error.span.is_some(), "{} has no place", error.message);
            let _ = error.to_string();
        }
    }
    Ok(())
}

fn pieces() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "${",
        "%{",
        "~}",
        "%{ if true }",
        "%{ endif }",
        "<<EOT\n",
        "<<-E\n",
        "EOT\n",
        "\n",
        "\r\n",
        "\r",
        "=",
        "==",
        "=>",
        "...",
        ".",
        "*",
        "/*",
        "*/",
        "#",
        "//",
        "?",
        ":",
        ",",
        "-",
        "!",
        "for x in y : ",
        "null",
        "true",
        "1e9",
        "99999999999999999999",
        "1e5000",
        "job \"x\" {",
        "dynamic \"port\" {",
        "content {",
        "for_each = ",
        "group",
        "\\",
        "\\u00e9",
        "é",
        "\u{feff}",
        "e\u{301}",
        "😀",
        "var.tag",
        "local.image",
        "attr.x",
        "format(\"%9999d\", 1)",
        "range(1024)",
        "jsonencode(",
        "setproduct(range(99), range(99))",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,8}", 1 => "[a-z_]{1,8}( = [0-9a-z\"]{1,6}\n)?"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in prop::collection::vec(pieces(), 0..60).prop_map(|pieces| pieces.concat())) {
        check(&text)?;
        check(&format!("job \"j\" {{\n group \"g\" {{\n task \"t\" {{\n config {{\n v = {text}\n}}\n}}\n}}\n}}\n"))?;
    }

    #[test]
    fn any_json(text in "[ ]?\\{(\"(job|group|task|a|dynamic)\":|[{}\\[\\],:]|\"x\"|\"\\$\\{a\\}}\"|1|null|\"\\\\\\\\ud800\"){0,30}") {
        check(&text)?;
        let _ = hcl::var_file(&Source::new("v.json", text));
    }

    #[test]
    fn a_damaged_job(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, pieces()), 1..5)) {
        let mut text = JOB.to_owned();
        for (at, length, piece) in edits {
            let mut from = at.index(text.len() + 1);
            while !text.is_char_boundary(from) { from -= 1; }
            let mut to = (from + length).min(text.len());
            while !text.is_char_boundary(to) { to += 1; }
            text.replace_range(from..to, &piece);
        }
        check(&text)?;
    }
}

#[test]
fn the_sound_job_is_read() {
    let json = read(JOB).unwrap_or_else(|errors| panic!("{errors}"));
    let task = &json["TaskGroups"][0]["Tasks"][0];
    assert_eq!(task["Config"]["image"], "registry.example.com/shop/web:git-1a2b");
    // A strip marker eats its own line only, and a directive at its start counts as no indent.
    assert_eq!(task["Config"]["args"][2], "          --admin\n          --http\n");
    assert_eq!(task["Config"]["mount"][0]["type"], "bind");
    assert_eq!(task["Env"]["NODE"], "${attr.unique.hostname}}}");
    assert_eq!(task["Env"]["DEBUG"], "1");
    assert_eq!(task["Templates"][0]["Splay"], 5_000_000_000_u64);
    let network = &json["TaskGroups"][0]["Networks"][0];
    assert_eq!(network["ReservedPorts"][0]["Label"], "admin");
    assert_eq!(network["ReservedPorts"][1]["Value"], 8000);
    assert!(network["DynamicPorts"].is_null());
}

/// The value of an expression, or the first error.
fn expression(text: &str) -> Result<String, String> {
    let text =
        format!("locals {{\n v = {text}\n}}\njob \"j\" {{\n meta {{\n v = jsonencode(local.v)\n}}\n}}\n");
    match read(&text) {
        Ok(json) => Ok(json["Meta"]["v"].as_str().unwrap_or_default().to_owned()),
        Err(errors) => Err(errors.0[0].message.clone()),
    }
}

#[test]
fn depth_has_a_limit() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{a=", "}"), ("-", ""), ("!", ""), ("true ? 1 : ", ""), ("upper(", ")")]
    {
        let nested = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        assert!(expression(&nested(40)).is_ok_and(|_| true) || open == "!", "{open}");
        for n in [1_000, 100_000] {
            assert!(expression(&nested(n)).unwrap_err().contains("deep"), "{open}");
        }
    }
    let nested = format!("\"{}1{}\"", "${\"".repeat(5_000), "\"}".repeat(5_000));
    assert!(expression(&nested).unwrap_err().contains("deep"));
    let blocks = format!("job \"j\" {{\n{}{}}}\n", "a {\n".repeat(5_000), "}\n".repeat(5_000));
    assert!(read(&blocks).unwrap_err().to_string().contains("deep"));
    let directives = format!("\"{}{}\"", "%{ if true }".repeat(5_000), "%{ endif }".repeat(5_000));
    assert!(expression(&directives).unwrap_err().contains("deep"));
    let json = format!("{{\"job\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&json).unwrap_err().to_string().contains("deep"));
    assert!(expression(&format!("jsondecode(\"{}{}\")", "[".repeat(5_000), "]".repeat(5_000))).is_err());
}

#[test]
fn values_have_a_depth() {
    // Each local holds the one before it, ninety levels down.
    let mut locals = String::from("locals {\n a0 = 1\n");
    for i in 0..2_000 {
        locals.push_str(&format!(" a{} = {}local.a{i}{}\n", i + 1, "[".repeat(90), "]".repeat(90)));
    }
    let job = "}\njob \"j\" {\n group \"g\" {\n task \"t\" {\n config {\n x = local.a2000\n}\n}\n}\n}\n";
    assert!(read(&(locals + job)).unwrap_err().to_string().contains("deep"));
    // A configuration takes what a file can nest, and what is printed can be read again.
    let config = |inner: &str| {
        read(&format!(
            "locals {{\n a = {}1{}\n}}\njob \"j\" {{\n group \"g\" {{\n task \"t\" {{\n config {{\n{inner}\n}}\n}}\n}}\n}}\n",
            "[".repeat(60),
            "]".repeat(60)
        ))
    };
    let nested = |n: usize| format!(" x = {}local.a{}", "[".repeat(n), "]".repeat(n));
    let text = config(&nested(40)).unwrap().to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    assert!(config(&nested(41)).unwrap_err().to_string().contains("deep"));
    // Labels nest as well.
    let labels = |n: usize| format!(" a {} {{\n}}", "\"l\" ".repeat(n));
    assert!(config(&labels(40)).is_ok());
    assert!(config(&labels(60)).unwrap_err().to_string().contains("deep"));
    assert!(config(&labels(100_000)).unwrap_err().to_string().contains("labels"));
    let within = format!("{}{}", " a \"l\" \"l\" {\n".repeat(50), "}\n".repeat(50));
    assert!(config(&within).unwrap_err().to_string().contains("deep"));
}

#[test]
fn rows_have_a_limit() {
    assert_eq!(expression(&vec!["1"; 900].join(" + ")).unwrap(), "900");
    assert!(expression(&vec!["1"; 5_000].join(" + ")).unwrap_err().contains("in a row"));
    assert!(expression(&format!("[]{}", "[local.x]".repeat(5_000))).unwrap_err().contains("in a row"));
    assert!(expression(&format!("[]{}", "[*]".repeat(5_000))).unwrap_err().contains("deep"));
}

#[test]
fn work_has_a_limit() {
    let bomb = "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : c]]]";
    assert!(expression(bomb).unwrap_err().contains("too much"));
    let text = "\"%{ for a in range(1000) }%{ for b in range(1000) }%{ for c in range(1000) }x%{ endfor }%{ endfor }%{ endfor }\"";
    assert!(expression(text).unwrap_err().contains("too much"));
    // Each local doubles the one before it.
    let mut locals = String::from("locals {\n a0 = \"xxxxxxxxxxxxxxxx\"\n");
    for i in 0..60 {
        locals.push_str(&format!(" a{} = \"${{local.a{i}}}${{local.a{i}}}\"\n", i + 1));
    }
    assert!(read(&(locals + "}\njob \"j\" {}\n")).is_err());
    let mut locals = String::from("locals {\n a0 = [1, 2, 3, 4]\n");
    for i in 0..60 {
        locals.push_str(&format!(" a{} = [local.a{i}, local.a{i}]\n", i + 1));
    }
    assert!(read(&(locals + "}\njob \"j\" {}\n")).is_err());
    // Blocks within blocks within blocks.
    let dynamic = |kind: &str, inner: &str| {
        format!(
            "dynamic \"{kind}\" {{\n for_each = range(1000)\n labels = [{kind}.key]\n content {{\n{inner}}}\n}}\n"
        )
    };
    let job = format!("job \"j\" {{\n{}}}\n", dynamic("group", &dynamic("task", "")));
    assert!(read(&job).unwrap_err().to_string().contains("beyond all measure"));
    let errors = hcl::parse(&Source::new("f", "a = 1\n".repeat(100_000))).unwrap_err();
    assert!(errors.0.len() <= 101);
    assert!(read(&"#".repeat(9 << 20)).unwrap_err().to_string().contains("larger than"));
    assert!(read(&format!("job \"j\" {{\n name = \"${{attr.x{}\"\n}}\n", "}".repeat(200_000))).is_err());
}
