//! The driver on a `terraform` that behaves oddly: a script before the real one, or in its place.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests, and they say what they skip")]

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use blackstart::terraform::{Action, Cli, Effect, Operation, Progress, Settings, Terraform, TerraformError};
use tempfile::TempDir;

fn real() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join("terraform")).find(|file| file.is_file());
    if found.is_none() {
        println!("SKIPPED: terraform was not found on PATH");
    }
    found
}

/// A root with two resources, and a driver whose terraform is this script.
fn driven(script: &str) -> (TempDir, Cli) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("tf");
    fs::create_dir_all(&dir).unwrap();
    fs::write(
        dir.join("main.tf"),
        "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {}\n",
    )
    .unwrap();
    let (text, program) = (folder.path().join("text"), folder.path().join("script"));
    fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    // Not by us: a file that some thread's fork still holds open for writing can't be run.
    let copied = std::process::Command::new("install").args(["-m", "755"]).arg(text).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut settings = Settings::new(dir, folder.path().join("data"));
    settings.binary = Some(program.to_string_lossy().into_owned());
    (folder, Cli::new(settings).unwrap())
}

/// A script that does something else for `apply` than the real one.
fn at_apply(real: &std::path::Path, script: &str) -> String {
    format!("if [ \"$1\" = apply ]; then\n{script}\nfi\nexec {} \"$@\"", real.display())
}

async fn applied(cli: &Cli) -> TerraformError {
    let planned = cli.plan(Operation::Apply, &|_| {}).await.unwrap();
    cli.apply(planned, &|_| {}).await.unwrap_err()
}

#[tokio::test]
async fn an_unknown_format_and_an_old_version_are_refused() {
    let version = |ui: &str, terraform: &str| {
        let line = format!(r#"{{"type":"version","terraform":"{terraform}","ui":"{ui}"}}"#);
        format!("[ \"$1\" = plan ] && echo '{line}'; exit 0")
    };
    let (_folder, cli) = driven(&version("2.0", "9.0.0"));
    let error = cli.plan(Operation::Apply, &|_| {}).await.unwrap_err();
    assert!(matches!(&error, TerraformError::UnknownFormat { found } if found == "2.0"), "{error}");
    let (_folder, cli) = driven(&version("1.2", "1.5.7"));
    let error = cli.plan(Operation::Apply, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "Terraform 1.5.7 is too old: 1.6.0 or later is needed");
    let (_folder, cli) = driven("[ \"$1\" = plan ] && { echo 'panic: at the disco' >&2; exit 11; }; exit 0");
    let error = cli.plan(Operation::Apply, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "terraform plan failed\n  panic: at the disco");
}

#[tokio::test]
async fn a_killed_apply_is_unknown() {
    let Some(real) = real() else { return };
    let line = r#"{"type":"apply_complete","hook":{"resource":{"addr":"terraform_data.a"},"action":"create","elapsed_seconds":1}}"#;
    let begun = r#"{"type":"apply_start","hook":{"resource":{"addr":"terraform_data.b"},"action":"create"}}"#;
    let (_folder, cli) = driven(&at_apply(&real, &format!("echo '{line}'; echo '{begun}'; kill -9 $$")));
    let error = applied(&cli).await;
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(error.done(), [("terraform_data.a".to_owned(), Action::Create)]);
    assert_eq!(error.unfinished(), [("terraform_data.b".to_owned(), Action::Create)]);
    assert!(error.to_string().contains("signal 9"), "{error}");
    // Success without its last word is no success.
    let (_folder, cli) = driven(&at_apply(&real, "exit 0"));
    assert_eq!(applied(&cli).await.effect(), Effect::Unknown);
}

#[tokio::test]
async fn an_apply_that_never_began_did_nothing() {
    let Some(real) = real() else { return };
    // As it happens where the interrupt comes before Terraform listens for it.
    let (_folder, cli) = driven(&at_apply(&real, "sleep 30 & wait"));
    let planned = cli.plan(Operation::Apply, &|_| {}).await.unwrap();
    let error = cli.apply(planned, &|_| cli.interrupt()).await.unwrap_err();
    assert!(matches!(error, TerraformError::Interrupted { command: "apply" }), "{error}");
    assert_eq!(error.effect(), Effect::Nothing);
    let (_folder, cli) = driven(&at_apply(&real, "echo 'Error: no room' >&2; exit 1"));
    let error = applied(&cli).await;
    assert_eq!(error.effect(), Effect::Nothing);
    assert_eq!(error.to_string(), "terraform apply failed\n  no room");
}

#[tokio::test]
async fn a_state_that_was_not_saved_is_said() {
    let Some(real) = real() else { return };
    let script = format!("{} \"$@\"; echo '{{\"serial\":9}}' > errored.tfstate; exit 1", real.display());
    let (folder, cli) = driven(&at_apply(&real, &script));
    let error = applied(&cli).await;
    let TerraformError::Incomplete { done, unsaved_state, .. } = &error else { panic!("{error}") };
    assert_eq!(done.len(), 2);
    assert_eq!(unsaved_state.as_deref(), Some(folder.path().join("tf/errored.tfstate").as_path()));
    assert_eq!(error.effect(), Effect::Partly);
    let error = cli.plan(Operation::Apply, &|_| {}).await.unwrap_err();
    assert!(matches!(error, TerraformError::UnsavedState { .. }), "{error}");
}

#[tokio::test]
async fn foreign_lines_are_notes() {
    let Some(real) = real() else { return };
    let script = format!("printf 'not \\033[31mJSON\\n{{\"half\":\\n'; exec {} \"$@\"", real.display());
    let (_folder, cli) = driven(&at_apply(&real, &script));
    let planned = cli.plan(Operation::Apply, &|_| {}).await.unwrap();
    let said = Mutex::new(Vec::new());
    let applied = cli.apply(planned, &|progress| said.lock().unwrap().push(progress)).await.unwrap();
    assert_eq!(applied.done.len(), 2);
    assert!(said.lock().unwrap().contains(&Progress::Note("not \\u{1b}[31mJSON".into())));
}

#[tokio::test]
async fn an_interrupted_plan_changes_nothing() {
    let (_folder, cli) = driven("[ \"$1\" = plan ] && { trap 'exit 1' INT; sleep 30 & wait; }; exit 0");
    let tell = |progress: Progress| {
        if matches!(progress, Progress::Child { .. }) {
            // The init before it isn't meant; a child that has ended is left alone.
            std::thread::sleep(std::time::Duration::from_millis(300));
            if cli.settings().data_dir.join("blackstart-init").exists() {
                cli.interrupt();
            }
        }
    };
    let error = cli.plan(Operation::Apply, &tell).await.unwrap_err();
    assert!(matches!(error, TerraformError::Interrupted { command: "plan" }), "{error}");
    assert_eq!(error.effect(), Effect::Nothing);
}

#[tokio::test]
async fn a_plan_of_another_driver_is_refused() {
    let (_folder, cli) = driven("exit 0");
    let planned = blackstart::terraform::Planned {
        changes: Vec::new(),
        output_changes: Vec::new(),
        lineage: None,
        serial: 0,
        warnings: Vec::new(),
        file: Box::new("something else"),
    };
    assert!(matches!(cli.apply(planned, &|_| {}).await.unwrap_err(), TerraformError::ForeignPlan));
}
