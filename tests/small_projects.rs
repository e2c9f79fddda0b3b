//! Projects of neither Terraform nor Nomad, through the real binary: what steps give one another, what of the
//! shell reaches them, and job files that share an environment's var files.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails panics; a skipped one says so"
)]

use std::path::Path;
use std::process::{Command, Output};

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn blackstart(dir: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("BLACKSTART_STATE_DIR", dir.join("state"))
        .envs(variables.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

const SETTINGS: &str = "project = \"small\"\nenvironment \"local\" {\n  inherit = [\"OS_*\"]\n}\n";

#[test]
fn what_a_step_gives_is_unknown_until_it_is_done() {
    let plan = r#"
        plan "p" {
          wave "one" {
            step "exec" "second" {
              command = ["sh", "-c", "printf '%s' \"$0\" > second", "${step.first.output} and more"]
            }
            step "exec" "first" {
              command = ["echo", "given"]
            }
          }
        }"#;
    let dir = project(&[("blackstart.hcl", SETTINGS), ("plans/p.hcl", plan)]);
    let (code, text) = blackstart(dir.path(), &[], &["preview", "p"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("known in full only later"), "{text}");
    assert!(!dir.path().join("second").exists());
    let typo = plan.replace("step.first", "step.fist");
    std::fs::write(dir.path().join("plans/p.hcl"), typo).unwrap();
    let (code, text) = blackstart(dir.path(), &[], &["preview", "p"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("did you mean 'step.first'?"), "{text}");
}

#[test]
fn a_family_that_is_inherited_reaches_expressions_and_is_masked() {
    let plan = r#"
        plan "p" {
          wave "one" {
            step "exec" "login" {
              command     = ["sh", "-c", "test \"$WANTED\" = \"$OS_PASSWORD\" && test -z \"$AWS_PROFILE\" && echo \"is $WANTED\""]
              environment = { WANTED = env.OS_PASSWORD }
            }
          }
        }"#;
    let dir = project(&[("blackstart.hcl", SETTINGS), ("plans/p.hcl", plan)]);
    let shell = [("OS_PASSWORD", "canary-in-a-family"), ("AWS_PROFILE", "elsewhere")];
    let (code, text) = blackstart(dir.path(), &shell, &["run", "p", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("is (secret)") && !text.contains("canary"), "{text}");

    // Arguments can be read by everybody on the machine.
    let open = plan.replace("is $WANTED\\\"\"]", "is $WANTED\\\"\", env.OS_PASSWORD]");
    assert_ne!(open, plan);
    std::fs::write(dir.path().join("plans/p.hcl"), open).unwrap();
    let (code, text) = blackstart(dir.path(), &shell, &["run", "p", "--yes"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("holds a secret") && !text.contains("canary"), "{text}");
}

#[test]
fn var_files_serve_every_job_file_and_are_read_by_validate() {
    let settings = "project = \"small\"\nenvironment \"local\" {\n  nomad {\n    address = \"http://127.0.0.1:1\"\n    \
                    var_files = [\"local.nomadvars.hcl\"]\n  }\n}\n";
    let job = |name: &str, head: &str, image: &str| {
        format!(
            "{head}\njob \"{name}\" {{\n  group \"g\" {{\n    task \"t\" {{\n      driver = \"docker\"\n      \
             config {{\n        image = \"{image}\"\n      }}\n    }}\n  }}\n}}\n"
        )
    };
    let with = job("with", "variable \"tag\" {\n  type = string\n}\n", "x:${var.tag}");
    let without = job("without", "", "x:1");
    let dir = project(&[
        ("blackstart.hcl", settings),
        ("local.nomadvars.hcl", "tag = \"git-1\"\n"),
        ("nomad-jobs/with.nomad.hcl", &with),
        ("nomad-jobs/without.nomad.hcl", &without),
    ]);
    let (code, text) = blackstart(dir.path(), &[], &["validate"]);
    assert_eq!(code, Some(0), "{text}");
    std::fs::write(dir.path().join("local.nomadvars.hcl"), "other = 1\n").unwrap();
    let (code, text) = blackstart(dir.path(), &[], &["validate"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("with.nomad.hcl:1:10: variable `tag` has no value"), "{text}");
}

/// As hands know it from Terraform: a file of values, and one given by itself over it.
#[test]
fn inputs_come_from_var_files_and_from_the_command_line() {
    let plan = r#"
        plan "p" {
          variable "word" {}
          variable "count" { default = 1 }
          wave "one" {
            step "exec" "say" {
              command = ["echo", "${var.word} ${var.count + 1}"]
            }
          }
        }"#;
    let values = "word = \"hello\"\ncount = 41\n";
    let dir = project(&[("blackstart.hcl", SETTINGS), ("plans/p.hcl", plan), ("inputs.hcl", values)]);
    let (code, text) = blackstart(dir.path(), &[], &["run", "p", "--yes", "-var-file=inputs.hcl"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("hello 42"), "{text}");
    let given = ["run", "p", "--yes", "-var-file", "inputs.hcl", "-var", "word=bye"];
    let (code, text) = blackstart(dir.path(), &[], &given);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("bye 42"), "{text}");
    let (code, text) = blackstart(dir.path(), &[], &["run", "p", "--yes", "--var-file", "gone.hcl"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("gone.hcl"), "{text}");
}

#[test]
fn an_environment_without_its_outputs_is_not_up() {
    if Command::new("terraform").arg("version").output().is_err() {
        println!("skipped: terraform is not on PATH");
        return;
    }
    let settings = "project = \"small\"\nenvironment \"test\" {\n  terraform {\n    dir = \"terraform\"\n  }\n  nomad {\n    address = terraform.output.nomad_address\n  }\n}\n";
    let dir = project(&[("blackstart.hcl", settings), ("terraform/main.tf", "terraform {}\n")]);
    let mut init = Command::new("terraform");
    let init =
        init.args(["-chdir=terraform", "init", "-input=false"]).current_dir(dir.path()).output().unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    for arguments in [
        ["patch", "image", "api=2", "--dry-run"].as_slice(),
        &["service", "restart", "api", "--dry-run"],
        &["service", "scale", "api", "2", "--yes"],
        &["drift"],
    ] {
        let (code, text) = blackstart(dir.path(), &[], arguments);
        assert_eq!(code, Some(1), "{text}");
        let why = "the environment 'test' isn't up: Terraform has no output 'nomad_address' (blackstart.hcl:";
        assert!(text.contains(why) && text.contains("blackstart start test"), "{arguments:?}: {text}");
    }
}

#[test]
fn a_stop_without_nomad_looks_for_none() {
    let plan = r#"
        plan "stop" {
          operation = "stop"
          wave "one" {
            step "exec" "away" {
              command = ["rm", "up"]
            }
          }
        }"#;
    let dir = project(&[("blackstart.hcl", SETTINGS), ("plans/stop.hcl", plan), ("up", "")]);
    let (code, text) = blackstart(dir.path(), &[], &["stop", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("Nomad") && !dir.path().join("up").exists(), "{text}");
}

/// What stands in Terraform's outputs now, not what the destruction leaves of them.
#[test]
fn a_stop_looks_where_nomad_is_now() {
    if Command::new("terraform").arg("version").output().is_err() {
        println!("skipped: terraform is not on PATH");
        return;
    }
    let settings = "project = \"small\"\nenvironment \"test\" {\n  terraform {\n    dir = \"terraform\"\n  }\n  nomad {\n    address = terraform.output.nomad_address\n  }\n}\n";
    let main = "resource \"terraform_data\" \"nomad\" {\n  input = \"http://127.0.0.1:1\"\n}\n\noutput \"nomad_address\" {\n  value = terraform_data.nomad.output\n}\n";
    let plan = |name: &str, kind: &str| {
        format!(
            "plan \"{name}\" {{\n  operation = \"{name}\"\n  wave \"w\" {{\n    step \"{kind}\" \"core\" {{}}\n  }}\n}}\n"
        )
    };
    let (start, stop) = (plan("start", "terraform_apply"), plan("stop", "terraform_destroy"));
    let dir = project(&[
        ("blackstart.hcl", settings),
        ("terraform/main.tf", main),
        ("plans/start.hcl", &start),
        ("plans/stop.hcl", &stop),
    ]);
    let (code, text) = blackstart(dir.path(), &[], &["start", "--downtime", "1h", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = blackstart(dir.path(), &[], &["stop", "--yes"]);
    assert_eq!(code, Some(3), "{text}");
    let said: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("can't be held against the job files: http://127.0.0.1:1: "), "{text}");
    let (code, text) = blackstart(dir.path(), &[], &["stop", "--yes", "--discard-patches"]);
    assert_eq!(code, Some(0), "{text}");
    // Now it is down, and nothing is there to look at.
    let (code, text) = blackstart(dir.path(), &[], &["stop", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("othing to do"), "{text}");
}

#[test]
fn a_job_of_another_namespace_is_another_environments() {
    let job = "job \"api\" {\n  namespace = \"other\"\n  group \"g\" {\n    task \"t\" {\n      driver = \"raw_exec\"\n      config {\n        command = \"/bin/true\"\n      }\n    }\n  }\n}\n";
    let settings = |nomad: &str| {
        format!(
            "project = \"small\"\nenvironment \"local\" {{\n  inherit = [\"NOMAD_NAMESPACE\"]\n  nomad {{\n    address = \
             \"http://127.0.0.1:1\"\n    files   = [\"jobs/*.hcl\"]\n{nomad}  }}\n}}\n"
        )
    };
    let look = ["patch", "set", "api", "count=2", "--file-only", "--dry-run"];
    for (nomad, variable, place) in [
        ("", "", Some("default")),
        ("    namespace = \"third\"\n", "other", Some("third")),
        ("", "third", Some("third")),
        ("    namespace = \"other\"\n", "third", None),
        ("", "other", None),
    ] {
        let dir = project(&[("blackstart.hcl", &settings(nomad)), ("jobs/api.hcl", job)]);
        let (code, text) = blackstart(dir.path(), &[("NOMAD_NAMESPACE", variable)], &look);
        match place {
            None => assert_eq!(code, Some(0), "{text}"),
            Some(there) => {
                assert_eq!(code, Some(1), "{text}");
                let why = format!("namespace is 'other', and the environment 'local' works in '{there}'");
                assert!(text.contains(&why) && text.contains("jobs/api.hcl:2:15"), "{text}");
            }
        }
    }
}
