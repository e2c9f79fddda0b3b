//! The stand-in for Terraform against the reference environment's own files.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use blackstart::base::Clock;
use blackstart::http::{HttpError, Memory, Request, Transport};
use blackstart::sim::{StandIn, StandInOptions, World, WorldOptions};
use blackstart::terraform::{Action, Operation, Progress, Terraform, TerraformError};
use jiff::Timestamp;

struct Bench {
    dir: tempfile::TempDir,
    world: World,
    memory: Memory,
    clock: Clock,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.path().extension().is_some_and(|e| e == "tf" || e == "tfvars") {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&root.join("terraform"), &dir.path().join("terraform"));
        copy(&root.join("tfvars-examples"), &dir.path().join("tfvars"));
        let from: Timestamp = "2026-03-04T05:06:07Z".parse().expect("a time");
        let clock = Clock::virtual_from(from);
        let world = World::new(WorldOptions::new(clock.clone(), dir.path().join("db"))).expect("a world");
        let memory = Memory::default();
        world.serve_in(&memory, "http://nomad:4646", "http://services:80");
        Self { dir, world, memory, clock }
    }

    fn stand_in(&self, targets: &[&str]) -> StandIn {
        let vars = |name: &str| self.dir.path().join("tfvars").join(name);
        let options = StandInOptions {
            dir: self.dir.path().join("terraform"),
            targets: targets.iter().map(|t| (*t).to_owned()).collect(),
            var_files: vec![vars("test_env_configuration.tfvars"), vars("test_env_secrets.tfvars")],
            state_file: Some(self.state()),
            seed: 4,
            clock: self.clock.clone(),
            world: Some(self.world.clone()),
        };
        StandIn::new(options).expect("a stand-in")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("terraform.tfstate")
    }

    async fn nomad_answers(&self) -> bool {
        let request = Request::new(http::Method::GET, "http://nomad:4646/v1/jobs");
        match self.memory.send(request).await {
            Ok(answer) => answer.status == 200,
            Err(HttpError::Refused(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

fn quiet(_: Progress) {}

#[tokio::test(start_paused = true)]
async fn start_makes_thirteen_and_stop_leaves_the_persistent_ones() {
    let bench = Bench::new();
    let bootstrap = bench.stand_in(&["module.persistent"]);
    let planned = bootstrap.plan(Operation::Apply, &quiet).await.expect("a plan");
    let persistent = planned.changes.len();
    assert!(persistent >= 4 && planned.changes.iter().all(|c| c.address.starts_with("module.persistent.")));
    bootstrap.apply(planned, &quiet).await.expect("an apply");
    assert!(!bench.nomad_answers().await);

    let core = bench.stand_in(&["module.core"]);
    let planned = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    assert_eq!(planned.counts().add, 13, "{:#?}", planned.changes);
    assert_eq!(planned.counts().destroy + planned.counts().change, 0);
    assert!(planned.output_changes.contains(&"nomad_address".to_owned()));
    let told = Mutex::new(Vec::new());
    let before = bench.clock.now();
    let applied = core.apply(planned, &|p| told.lock().expect("a lock").push(p)).await.expect("an apply");
    assert_eq!(applied.done.len(), 13);
    assert!(applied.outputs["nomad_address"].as_str().is_some_and(|a| a.starts_with("http://")));
    assert!(bench.clock.now().duration_since(before).as_secs() > 30, "machines take their time");
    assert!(bench.nomad_answers().await);
    assert_eq!(bench.world.infrastructure().nodes.len(), 2);
    assert!(bench.dir.path().join("db").exists());

    let again = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    assert!(again.nothing_to_do(), "{:#?} {:?}", again.changes, again.output_changes);

    let kept: Vec<_> = core
        .state()
        .await
        .expect("a state")
        .resources
        .into_iter()
        .filter(|r| r.address.starts_with("module.persistent."))
        .collect();
    let planned = core.plan(Operation::Destroy, &quiet).await.expect("a plan");
    assert_eq!(planned.counts().destroy, 13);
    core.apply(planned, &quiet).await.expect("a destroy");
    assert!(!bench.nomad_answers().await);
    assert!(!bench.dir.path().join("db").exists());
    let left = core.state().await.expect("a state").resources;
    assert_eq!(left, kept, "ids are unchanged");
    assert_eq!(left.len(), persistent);
    assert!(core.plan(Operation::Destroy, &quiet).await.expect("a plan").changes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_counts_what_is_written_and_not_what_is_expected() {
    let bench = Bench::new();
    let more =
        "resource \"terraform_data\" \"extra\" {\n  count = 2\n  input = { name = \"x${count.index}\" }\n}\n";
    std::fs::write(bench.dir.path().join("terraform/modules/core/extra.tf"), more).expect("a file");
    let outside = "resource \"terraform_data\" \"outside\" {\n  input = module.core.nomad_address\n}\n";
    std::fs::write(bench.dir.path().join("terraform/outside.tf"), outside).expect("a file");
    let core = bench.stand_in(&["module.core"]);
    let planned = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    assert_eq!(planned.counts().add, 15, "two more, and what is outside is not a target");
    core.apply(planned, &quiet).await.expect("an apply");
    let all = bench.stand_in(&[]);
    let planned = all.plan(Operation::Apply, &quiet).await.expect("a plan");
    assert!(planned.changes.iter().any(|c| c.address == "terraform_data.outside"));
    all.apply(planned, &quiet).await.expect("an apply");
    // What depends on a target is destroyed with it.
    let planned = core.plan(Operation::Destroy, &quiet).await.expect("a plan");
    assert_eq!(planned.counts().destroy, 16, "{:#?}", planned.changes);
    assert!(
        planned.changes.iter().any(|c| c.address == "terraform_data.outside" && c.action == Action::Destroy)
    );
}

#[tokio::test(start_paused = true)]
async fn changes_are_updates_or_replacements_and_stale_plans_are_refused() {
    let bench = Bench::new();
    let core = bench.stand_in(&["module.core"]);
    let planned = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    let stale = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    core.apply(planned, &quiet).await.expect("an apply");
    assert!(matches!(core.apply(stale, &quiet).await, Err(TerraformError::Stale { .. })));
    let file = bench.dir.path().join("terraform/modules/core/main.tf");
    let text = std::fs::read_to_string(&file).expect("a file").replace("size_gb = 20\n", "size_gb = 30\n");
    std::fs::write(&file, text).expect("a file");
    let planned = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    let volume = planned.changes.iter().find(|c| c.address.ends_with("tf_tete_volume")).expect("the volume");
    assert_eq!(volume.action, Action::Update);
    let wrong = bench.stand_in(&["module.cora"]);
    match wrong.plan(Operation::Apply, &quiet).await {
        Err(TerraformError::NoSuchTarget { nearest, .. }) => {
            assert_eq!(nearest.as_deref(), Some("module.core"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_between_steps_and_a_new_plan_goes_on() {
    let bench = Bench::new();
    let core = std::sync::Arc::new(bench.stand_in(&["module.core"]));
    let planned = core.plan(Operation::Apply, &quiet).await.expect("a plan");
    let working = std::sync::Arc::clone(&core);
    let work = tokio::spawn(async move { working.apply(planned, &quiet).await });
    bench.clock.sleep(Duration::from_secs(3)).await;
    core.interrupt();
    match work.await.expect("a task") {
        Err(TerraformError::Incomplete { done, interrupted, .. }) => {
            assert!(interrupted && !done.is_empty() && done.len() < 13);
            let rest = core.plan(Operation::Apply, &quiet).await.expect("a plan");
            assert_eq!(rest.counts().add, 13 - done.len());
        }
        other => panic!("{other:?}"),
    }
}
