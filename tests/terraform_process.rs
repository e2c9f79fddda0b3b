//! Children, with small programs that every machine has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use blackstart::base::Secrets;
use blackstart::process::{
    Child, Command, Limits, RunError, Stream, ended, environment, is_running, run, shell, started,
};

fn sh(script: &str) -> Command {
    Command {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        environment: environment(&shell(), &[], &BTreeMap::new()),
        dir: "/".into(),
    }
}

async fn finish(command: &Command, secrets: &Secrets, limits: Limits) -> Result<(String, String), RunError> {
    run(command, secrets, limits, &|_, _, _| {}, &mut |_, _| {}).await.map(|f| (f.stdout, f.stderr))
}

#[tokio::test]
async fn streams_are_apart_and_masked() {
    let secrets = Secrets::default();
    secrets.add("hunter2hunter2");
    let mut lines = Vec::new();
    let pids = Mutex::new(Vec::new());
    let finished = run(
        &sh("printf 'a hunter2'; sleep 0.1; echo hunter2; printf '\\033[31mred' >&2; exit 3"),
        &secrets,
        Limits::default(),
        &|pid, since, _| pids.lock().unwrap().push((pid, since.to_owned())),
        &mut |stream, line| lines.push((stream, line.to_owned())),
    )
    .await
    .unwrap();
    assert_eq!(finished.ended.code, Some(3));
    assert_eq!(finished.stdout, "a (secret)\n");
    assert_eq!(finished.stderr, "\\u{1b}[31mred\n");
    assert!(lines.contains(&(Stream::Out, "a (secret)".into())));
    let (pid, since) = pids.lock().unwrap()[0].clone();
    assert!(!since.is_empty() && !is_running(pid, &since));
}

#[tokio::test]
async fn only_the_given_environment_is_seen() {
    let mut command = sh("env");
    command.environment.insert("GIVEN".into(), "1".into());
    let (out, _) = finish(&command, &Secrets::default(), Limits::default()).await.unwrap();
    assert!(out.contains("GIVEN=1"));
    assert!(!out.contains("CARGO_MANIFEST_DIR"), "cargo sets it for tests, and it must not cross");
}

#[tokio::test]
async fn a_child_past_its_time_is_ended_with_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; wait", file.display());
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let error = finish(&sh(&script), &Secrets::default(), limits).await.unwrap_err();
    assert!(matches!(error, RunError::TimedOut { .. }), "{error}");
    let grandchild: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    if let Some(since) = started(grandchild) {
        tokio::time::timeout(Duration::from_secs(5), ended(grandchild, &since)).await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let mut command = sh("");
    command.argv = vec!["no-such-program-here".into()];
    let error = finish(&command, &Secrets::default(), Limits::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "no-such-program-here was not found");
}

#[tokio::test]
async fn much_output_is_bounded() {
    let limits = Limits { output: 1000, ..Limits::default() };
    let (out, _) = finish(&sh("seq 1 100000"), &Secrets::default(), limits).await.unwrap();
    assert!(out.len() < 1100);
    assert!(out.starts_with("1\n2\n") && out.ends_with("99999\n100000\n") && out.contains("lines left out]"));
}

/// The group is the child's own, and however often it is interrupted it gets one signal.
#[tokio::test]
async fn one_interrupt_reaches_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let count = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().lines().count();
    let file = folder.path().join("signals");
    let script = format!("trap 'echo INT >> {}' INT; echo ready; sleep 1 & wait; sleep 0.5", file.display());
    let mut child = Child::spawn(&sh(&script), None).unwrap();
    let interrupter = child.interrupter();
    let ended = child
        .follow(&mut |line| {
            assert_eq!(line, "ready");
            assert!(interrupter.interrupt());
            assert!(!interrupter.interrupt());
        })
        .await
        .unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(count(&file), 1);
}

#[tokio::test]
async fn a_dropped_child_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done");
    let child =
        Child::spawn(&sh(&format!("sleep 0.5; echo out; echo x > {}", file.display())), None).unwrap();
    let (pid, since) = (child.pid(), child.started().to_owned());
    drop(child);
    assert!(is_running(pid, &since));
    ended(pid, &since).await;
    assert!(file.exists());
}
