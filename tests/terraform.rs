//! The driver on the real `terraform`, with roots of its built-in `terraform_data`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests, and they say what they skip")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use blackstart::base::Secrets;
use blackstart::process;
use blackstart::terraform::{
    Action, Cli, Earlier, Effect, Guard, Operation, Planned, Progress, Settings, Terraform, TerraformError,
    Verdict,
};
use tempfile::TempDir;

const CORE: &str = include_str!("terraform/core.tf");
const MAIN: &str = include_str!("terraform/root.tf");

struct Root {
    folder: TempDir,
    secrets: Secrets,
    said: Mutex<Vec<Progress>>,
}

/// None where there is no terraform, after saying so.
fn root(main: &str) -> Option<Root> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("terraform").is_file()) {
        println!("SKIPPED: terraform was not found on PATH");
        return None;
    }
    let root =
        Root { folder: tempfile::tempdir().unwrap(), secrets: Secrets::default(), said: Mutex::default() };
    root.write("tf/main.tf", main);
    root.write("tf/core/main.tf", CORE);
    Some(root)
}

impl Root {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn settings(&self, targets: &[&str], variables: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::new(self.path("tf"), self.path("data"));
        settings.targets = targets.iter().map(|&target| target.to_owned()).collect();
        settings.environment =
            variables.iter().map(|(name, value)| (format!("TF_VAR_{name}"), (*value).to_owned())).collect();
        settings.secrets = self.secrets.clone();
        settings.key = b"key".to_vec();
        settings
    }

    fn cli(&self, targets: &[&str], variables: &[(&str, &str)]) -> Cli {
        Cli::new(self.settings(targets, variables)).unwrap()
    }

    fn tell(&self) -> impl Fn(Progress) + Send + Sync + '_ {
        |progress| self.said.lock().unwrap().push(progress)
    }

    async fn plan(&self, cli: &Cli, operation: Operation) -> Result<Planned, TerraformError> {
        cli.plan(operation, &self.tell()).await
    }

    async fn up(&self, cli: &Cli) {
        let planned = self.plan(cli, Operation::Apply).await.unwrap();
        cli.apply(planned, &self.tell()).await.unwrap();
    }

    /// How many children were started since the last call.
    fn children(&self) -> usize {
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        said.iter().filter(|progress| matches!(progress, Progress::Child { .. })).count()
    }

    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, files) } else { files.push(path) }
            }
        }
        let mut files = Vec::new();
        walk(self.folder.path(), &mut files);
        files
    }
}

fn guard(add: usize, destroy: usize) -> Guard {
    Guard { add, destroy, addresses: vec!["module.core.*".into()], ..Guard::default() }
}

/// What two plans are compared by.
fn projection(planned: &Planned) -> Vec<(String, Action, String)> {
    planned.changes.iter().map(|c| (c.address.clone(), c.action, c.fingerprint.clone())).collect()
}

#[tokio::test]
async fn thirteen_go_up_and_down_and_the_rest_stays() {
    let Some(root) = root(MAIN) else { return };
    root.up(&root.cli(&["terraform_data.bucket"], &[])).await;
    let cli = root.cli(&["module.core"], &[]);
    let bucket = cli.state().await.unwrap().resources;
    assert_eq!(bucket.len(), 1);
    root.children();

    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    assert_eq!(root.children(), 2, "a plan and its show");
    assert_eq!(planned.counts().to_string(), "13 to add, 0 to change, 0 to destroy");
    assert!(planned.lineage.is_some() && planned.serial > 0);
    assert!(planned.warnings.is_empty(), "{:?}", planned.warnings);
    let report = guard(13, 0).check_planned(&planned, &Earlier::default()).unwrap();
    assert_eq!(report.verdict, Verdict::AsExpected);
    let applied = cli.apply(planned, &root.tell()).await.unwrap();
    assert_eq!(root.children(), 1);
    assert_eq!(applied.done.len(), 13);
    assert!(applied.done.iter().all(|(address, action)| {
        address.starts_with("module.core.terraform_data.vm[") && *action == Action::Create
    }));
    assert!(applied.outputs["address"].as_str().unwrap().starts_with("http://"));

    let again = root.plan(&cli, Operation::Apply).await.unwrap();
    assert!(again.nothing_to_do(), "{again:?}");
    assert_eq!(
        guard(13, 0).check_planned(&again, &Earlier::default()).unwrap().verdict,
        Verdict::NothingToDo
    );

    let planned = root.plan(&cli, Operation::Destroy).await.unwrap();
    guard(0, 13).check_planned(&planned, &Earlier::default()).unwrap();
    let applied = cli.apply(planned, &root.tell()).await.unwrap();
    assert_eq!(applied.done.len(), 13);
    assert_eq!(cli.state().await.unwrap().resources, bucket, "the same bucket with the same id");

    let again = root.plan(&cli, Operation::Destroy).await.unwrap();
    assert!(again.nothing_to_do(), "{again:?}");
}

#[tokio::test]
async fn a_fourteenth_and_a_dependent_are_refused_and_marked() {
    let Some(root) = root(MAIN) else { return };
    let more = root.cli(&["module.core"], &[("count_of", "14")]);
    let planned = root.plan(&more, Operation::Apply).await.unwrap();
    let mut breach = guard(13, 0).check_planned(&planned, &Earlier::default()).unwrap_err();
    let last: Vec<String> = (0..13).map(|i| format!("module.core.terraform_data.vm[{i}]")).collect();
    breach.compare(&planned.changes, &last);
    assert_eq!(
        breach.to_string(),
        "14 to add instead of 13; not touched by the last run: create module.core.terraform_data.vm[13]"
    );

    root.write("tf/dns.tf", "resource \"terraform_data\" \"dns\" {\n  input = module.core.ids\n}\n");
    root.up(&root.cli(&[], &[])).await;
    let planned = root.plan(&root.cli(&["module.core"], &[]), Operation::Destroy).await.unwrap();
    let breach = guard(0, 13).check_planned(&planned, &Earlier::default()).unwrap_err();
    assert_eq!(
        breach.to_string(),
        "14 to destroy instead of 13; outside module.core.*: destroy terraform_data.dns"
    );
    assert_eq!(breach.offending.len(), 1);
}

#[tokio::test]
async fn a_target_that_does_not_exist_is_an_error() {
    let Some(root) = root(MAIN) else { return };
    for (target, nearest) in [
        ("module.cor", "module.core"),
        ("module.core.terraform_data.wm", "module.core.terraform_data.vm"),
        ("module.core.terraform_data.nothing_like_it", "module.core"),
    ] {
        let error = root.plan(&root.cli(&["module.core", target], &[]), Operation::Apply).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "target {target} is neither in the configuration nor in the state; did you mean {nearest}?"
            )
        );
        assert_eq!(error.effect(), Effect::Nothing);
    }
    root.write("tf/main.tf", &MAIN.replace("module.core.ids[0]", "length(module.core.ids)"));
    let cli = root.cli(&["module.core.terraform_data.vm[99]"], &[]);
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    assert!(planned.warnings[0].contains("matches no instance"), "{:?}", planned.warnings);
    // What only the state still has can be a target of a destroy.
    root.up(&root.cli(&[], &[])).await;
    root.write("tf/main.tf", "output \"x\" {\n  value = 1\n}\n");
    let planned = root.plan(&root.cli(&["module.core"], &[]), Operation::Destroy).await.unwrap();
    assert_eq!(planned.counts().destroy, 13);
}

#[tokio::test]
async fn an_interrupted_apply_is_resumed_and_counts_whole() {
    let Some(root) = root(MAIN) else { return };
    // Terraform works on ten at a time: three are not begun.
    let cli = root.cli(&["module.core"], &[("seconds", "4")]);
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    let tell = |progress: Progress| {
        if matches!(progress, Progress::Note(ref text) if text.contains("sleep")) {
            cli.interrupt();
            cli.interrupt();
        }
    };
    let error = cli.apply(planned, &tell).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Partly);
    assert!(
        matches!(error, TerraformError::Incomplete { interrupted: true, unsaved_state: None, .. }),
        "{error}"
    );
    assert!(error.done().is_empty());
    assert!(!error.unfinished().is_empty());

    let cli = root.cli(&["module.core"], &[]);
    let state = cli.state().await.unwrap();
    assert!(state.resources.iter().any(|resource| resource.tainted));
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    let replaced = planned.changes.iter().find(|change| change.action == Action::Replace).unwrap();
    assert!(replaced.tainted);
    assert_eq!(replaced.reason.as_deref(), Some("tainted"));
    guard(13, 0).check_planned(&planned, &Earlier::default()).unwrap_err();
    let mut earlier = Earlier::default();
    earlier.attempt(error.done(), error.unfinished());
    guard(13, 0).check_planned(&planned, &earlier).unwrap();
    let applied = cli.apply(planned, &root.tell()).await.unwrap();
    let created = applied.done.iter().filter(|(_, action)| *action == Action::Create).count();
    assert_eq!(created, 13);
    earlier.attempt(&applied.done, &[]);
    let after = root.plan(&cli, Operation::Apply).await.unwrap();
    let report = guard(13, 0).check_planned(&after, &earlier).unwrap();
    assert_eq!((report.already.add, report.already.destroy), (13, 0));
}

#[tokio::test]
async fn a_failing_resource_leaves_what_is_said() {
    let Some(root) = root("") else { return };
    root.write(
        "tf/main.tf",
        r#"
resource "terraform_data" "good" {}
resource "terraform_data" "bad" {
  input = terraform_data.good.id
  provisioner "local-exec" { command = "echo said; exit 3" }
}
"#,
    );
    let cli = root.cli(&[], &[]);
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    let error = cli.apply(planned, &root.tell()).await.unwrap_err();
    assert_eq!(error.done(), [("terraform_data.good".to_owned(), Action::Create)]);
    assert_eq!(error.unfinished(), [("terraform_data.bad".to_owned(), Action::Create)]);
    let text = error.to_string();
    assert!(text.starts_with("terraform apply did not finish: 1 done, 1 failed\n  main.tf:5:"), "{text}");
    let said = root.said.lock().unwrap().clone();
    assert!(said.contains(&Progress::Note("terraform_data.bad: said".into())), "{said:?}");
    assert!(said.contains(&Progress::ApplyFailed { address: "terraform_data.bad".into() }));
}

#[tokio::test]
async fn a_plan_goes_stale() {
    let Some(root) = root(MAIN) else { return };
    let cli = root.cli(&[], &[]);
    root.up(&cli).await;
    let planned = root.plan(&cli, Operation::Destroy).await.unwrap();
    let bigger = root.cli(&[], &[("size", "2")]);
    root.up(&bigger).await;
    let error = cli.apply(planned, &root.tell()).await.unwrap_err();
    assert!(matches!(error, TerraformError::Stale { .. }), "{error}");
    assert_eq!(error.effect(), Effect::Nothing);
    assert_eq!(cli.state().await.unwrap().resources.len(), 14);
}

#[tokio::test]
async fn fingerprints_follow_what_is_planned() {
    let Some(root) = root(MAIN) else { return };
    let cli = root.cli(&[], &[]);
    let (one, two) =
        (root.plan(&cli, Operation::Apply).await.unwrap(), root.plan(&cli, Operation::Apply).await.unwrap());
    assert_eq!(projection(&one), projection(&two));
    let other = root.plan(&root.cli(&[], &[("size", "2")]), Operation::Apply).await.unwrap();
    assert_eq!(other.changes.len(), one.changes.len());
    assert_ne!(projection(&one), projection(&other));

    cli.apply(one, &root.tell()).await.unwrap();
    let bigger = root.cli(&[], &[("size", "2")]);
    let (one, two) = (
        root.plan(&bigger, Operation::Apply).await.unwrap(),
        root.plan(&bigger, Operation::Apply).await.unwrap(),
    );
    assert_eq!(projection(&one), projection(&two));
    assert_eq!(one.counts().change, 13);
    assert_eq!(one.changes[0].detail[0], "input.size: 1 -> 2");
    let other = root.plan(&root.cli(&[], &[("size", "3")]), Operation::Apply).await.unwrap();
    assert_ne!(projection(&one), projection(&other));
}

#[tokio::test]
async fn no_secret_leaves() {
    const CANARY: &str = "canary-\"one\"\\\n<two & three>\ncanary-end";
    let Some(root) = root("") else { return };
    root.write(
        "tf/main.tf",
        r#"
variable "secret" { sensitive = true }
variable "fallback" {
  sensitive = true
  default   = "fallback-canary"
}
resource "terraform_data" "a" {
  input = { secret = var.secret, both = "x ${var.fallback}", list = [1, var.secret] }
}
resource "terraform_data" "b" {
  input = nonsensitive(var.secret)
  provisioner "local-exec" {
    command = "printf '%s' \"$S\"; exit 1"
    environment = { S = nonsensitive(var.secret) }
  }
}
output "secret" {
  value     = var.secret
  sensitive = true
}
output "late" {
  value     = "${terraform_data.b.id}-${var.secret}"
  sensitive = true
}
"#,
    );
    root.write("secret.tfvars", &format!("secret = {}", serde_json::json!(CANARY)));
    let mut settings = root.settings(&[], &[]);
    settings.var_files = vec![root.path("secret.tfvars")];
    let cli = Cli::new(settings).unwrap();
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    let mut left = serde_json::to_string(&planned).unwrap() + &format!("{planned:?}");
    let plain = planned.changes[1].detail.clone();
    assert!(plain[0].contains("(secret)"), "what was made nonsensitive is masked by value: {plain:?}");
    let error = cli.apply(planned, &root.tell()).await.unwrap_err();
    left += &format!("{error} {error:?}");
    root.write(
        "tf/main.tf",
        &fs::read_to_string(root.path("tf/main.tf")).unwrap().replace("exit 1", "exit 0"),
    );
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    left += &serde_json::to_string(&planned).unwrap();
    let applied = cli.apply(planned, &root.tell()).await.unwrap();
    assert_eq!(applied.outputs["secret"], CANARY, "to work with, it is there");
    assert_eq!(applied.withheld, ["late"], "what only the state knows is said");
    let state = cli.state().await.unwrap();
    assert_eq!(state.outputs["secret"].value, CANARY);
    left += &format!("{:?}", state.resources);
    left += &serde_json::to_string(&*root.said.lock().unwrap()).unwrap();
    for part in ["canary", "two & three", "two \\u0026"] {
        assert!(!left.contains(part), "{part} in {left}");
    }
    for file in root.files() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let expected = name.contains("tfstate") || name == "secret.tfvars" || name == "main.tf";
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(expected || !text.contains("canary"), "{}", file.display());
    }
}

#[tokio::test]
async fn init_runs_when_it_is_needed() {
    let Some(root) = root(MAIN) else { return };
    let cli = root.cli(&[], &[]);
    root.plan(&cli, Operation::Apply).await.unwrap();
    assert_eq!(root.children(), 3, "init, plan, show");
    root.plan(&cli, Operation::Apply).await.unwrap();
    assert_eq!(root.children(), 2);
    root.write("tf/more.tf", "module \"more\" {\n  source = \"./core\"\n}\n");
    root.plan(&cli, Operation::Apply).await.unwrap();
    assert_eq!(root.children(), 3);
    // The stamp is right, and what it stands for was deleted.
    fs::remove_dir_all(root.path("data/modules")).unwrap();
    root.plan(&cli, Operation::Apply).await.unwrap();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(root.path("data")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    assert!(!root.path("tf/.terraform").exists());
}

#[tokio::test]
async fn the_shell_does_not_steer() {
    let Some(root) = root(MAIN) else { return };
    let mut settings = root.settings(&["module.core"], &[]);
    settings.shell.insert("TF_CLI_ARGS_plan".into(), "-target=terraform_data.nothing".into());
    settings.shell.insert("TF_VAR_count_of".into(), "1".into());
    settings.workspace = Some("brand-new".into());
    assert!(settings.scrubbed().contains(&"TF_CLI_ARGS_plan".into()));
    let cli = Cli::new(settings).unwrap();
    assert!(cli.state().await.unwrap().resources.is_empty());
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    assert_eq!((planned.counts().add, planned.lineage.as_deref(), planned.serial), (13, None, 0));
    cli.apply(planned, &root.tell()).await.unwrap();
    assert_eq!(cli.state().await.unwrap().resources.len(), 13);
    assert!(
        root.cli(&[], &[]).state().await.unwrap().resources.is_empty(),
        "the default workspace is another"
    );
    assert!(root.path("tf/terraform.tfstate.d/brand-new/terraform.tfstate").exists());
}

#[tokio::test]
async fn errors_say_where() {
    let Some(root) = root(MAIN) else { return };
    root.write("tf/bad.tf", "resource \"terraform_data\" \"bad\" {\n  inputs = 1\n}\n");
    let error = root.plan(&root.cli(&[], &[]), Operation::Apply).await.unwrap_err();
    assert!(
        error.to_string().starts_with("terraform plan failed\n  bad.tf:2:3: Unsupported argument"),
        "{error}"
    );
    let failing = "resource \"terraform_data\" \"bad\" {\n  lifecycle {\n    precondition {\n      \
                   condition     = module.core.ids == 1\n      error_message = \"not so\"\n    }\n  }\n}\n";
    root.write("tf/bad.tf", failing);
    let error = root.plan(&root.cli(&[], &[]), Operation::Apply).await.unwrap_err();
    assert!(matches!(error, TerraformError::Failed { command: "plan", .. }), "{error:?}");
    assert!(error.to_string().contains("not so"), "{error}");
    fs::remove_file(root.path("tf/bad.tf")).unwrap();

    let mut settings = root.settings(&[], &[]);
    settings.binary = Some("terraform-that-is-not-there".into());
    let error = root.plan(&Cli::new(settings).unwrap(), Operation::Apply).await.unwrap_err();
    assert!(
        error.to_string().starts_with("terraform-that-is-not-there was not found: install Terraform 1.6.0")
    );
    let mut settings = root.settings(&[], &[]);
    settings.var_files = vec![root.path("missing.tfvars")];
    let error = root.plan(&Cli::new(settings).unwrap(), Operation::Apply).await.unwrap_err();
    assert!(error.to_string().contains("missing.tfvars"), "{error}");
    let mut settings = root.settings(&[], &[]);
    settings.dir = root.path("data");
    let error = root.plan(&Cli::new(settings).unwrap(), Operation::Apply).await.unwrap_err();
    assert!(matches!(error, TerraformError::NoConfiguration { .. }));
}

#[tokio::test]
async fn a_locked_state_names_who_holds_it() {
    let Some(root) = root(MAIN) else { return };
    let slow = root.cli(&[], &[("seconds", "2")]);
    let planned = root.plan(&slow, Operation::Apply).await.unwrap();
    let begun = tokio::sync::Notify::new();
    let tell = |progress: Progress| {
        if matches!(progress, Progress::ApplyStart { .. }) {
            begun.notify_one();
        }
    };
    let other = root.cli(&[], &[]);
    let second = async {
        begun.notified().await;
        other.plan(Operation::Apply, &root.tell()).await
    };
    let (first, second) = tokio::join!(slow.apply(planned, &tell), second);
    first.unwrap();
    let error = second.unwrap_err();
    let TerraformError::Locked { lock } = &error else { panic!("{error}") };
    assert!(lock.who.as_deref().is_some_and(|who| who.contains('@')), "{lock:?}");
    assert!(lock.id.is_some() && lock.created.is_some());
    assert_eq!(lock.operation.as_deref(), Some("OperationTypeApply"));
}

#[tokio::test]
async fn forgets_moves_and_outputs_are_seen() {
    let Some(root) = root("resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {}\n")
    else {
        return;
    };
    let cli = root.cli(&[], &[]);
    root.up(&cli).await;
    root.write(
        "tf/main.tf",
        r#"
removed {
  from = terraform_data.a
  lifecycle { destroy = false }
}
moved {
  from = terraform_data.b
  to   = terraform_data.c
}
resource "terraform_data" "c" {}
output "new" { value = 1 }
"#,
    );
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    let seen: Vec<_> = planned.changes.iter().map(|c| (c.address.as_str(), c.action)).collect();
    assert_eq!(seen, [("terraform_data.a", Action::Forget), ("terraform_data.c", Action::Move)]);
    assert_eq!(planned.changes[1].reason.as_deref(), Some("moved from terraform_data.b"));
    assert_eq!(planned.output_changes, ["new"]);
    let breach = Guard::default().check_planned(&planned, &Earlier::default()).unwrap_err();
    assert_eq!(breach.to_string(), "1 to forget instead of 0");
    let applied = cli.apply(planned, &root.tell()).await.unwrap();
    assert_eq!(applied.done.len(), 2);
    root.write(
        "tf/main.tf",
        &fs::read_to_string(root.path("tf/main.tf")).unwrap().replace("value = 1", "value = 2"),
    );
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    assert!(!planned.nothing_to_do());
    let report = Guard::default().check_planned(&planned, &Earlier::default()).unwrap();
    assert_eq!(report.verdict, Verdict::OutputsOnly);
}

#[tokio::test]
async fn an_unsaved_state_stops_until_it_is_pushed() {
    let Some(root) = root(MAIN) else { return };
    let cli = root.cli(&[], &[]);
    root.up(&cli).await;
    let text = fs::read_to_string(root.path("tf/terraform.tfstate")).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["serial"] = (state["serial"].as_u64().unwrap() + 1).into();
    root.write("tf/errored.tfstate", &state.to_string());
    let error = root.plan(&cli, Operation::Apply).await.unwrap_err();
    assert!(matches!(error, TerraformError::UnsavedState { .. }), "{error}");
    fs::copy(root.path("tf/errored.tfstate"), root.path("tf/terraform.tfstate")).unwrap();
    let planned = root.plan(&cli, Operation::Apply).await.unwrap();
    assert!(planned.warnings[0].contains("errored.tfstate"), "{:?}", planned.warnings);
}

/// What the next test kills, in a process of its own: plans, applies and writes down the child's pid. By
/// itself it does nothing.
#[tokio::test]
async fn wrapper() {
    let Ok(folder) = std::env::var("WRAPPER_FOLDER") else { return };
    let folder = PathBuf::from(folder);
    let mut settings = Settings::new(folder.join("tf"), folder.join("data"));
    settings.environment = BTreeMap::from([("TF_VAR_seconds".to_owned(), "2".to_owned())]);
    settings.targets = vec!["module.core".to_owned()];
    let cli = Cli::new(settings).unwrap();
    let planned = cli.plan(Operation::Apply, &|_| {}).await.unwrap();
    let child = Mutex::new(String::new());
    let tell = |progress: Progress| match progress {
        Progress::Child { pid, started } => *child.lock().unwrap() = format!("{pid} {started}"),
        Progress::ApplyStart { .. } => {
            fs::write(folder.join("child.tmp"), child.lock().unwrap().as_str()).unwrap();
            fs::rename(folder.join("child.tmp"), folder.join("child")).unwrap();
        }
        _ => {}
    };
    cli.apply(planned, &tell).await.unwrap();
}

#[tokio::test]
async fn killing_us_leaves_terraform_to_finish() {
    let Some(root) = root(MAIN) else { return };
    let mut wrapper = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "wrapper"])
        .env("WRAPPER_FOLDER", root.folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !root.path("child").exists() {
        assert!(wrapper.try_wait().unwrap().is_none(), "it ended too early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wrapper.kill().unwrap();
    wrapper.wait().unwrap();
    let child = fs::read_to_string(root.path("child")).unwrap();
    let (pid, started) = child.split_once(' ').unwrap();
    let pid = pid.parse().unwrap();
    assert!(process::is_running(pid, started), "it outlives us");
    process::ended(pid, started).await;

    let cli = root.cli(&["module.core"], &[]);
    let state = cli.state().await.unwrap();
    assert_eq!(state.resources.len(), 13);
    assert!(!state.resources.iter().any(|resource| resource.tainted));
    assert!(root.plan(&cli, Operation::Apply).await.unwrap().nothing_to_do());
    assert!(!root.path("tf/.terraform.tfstate.lock.info").exists());
}
