//! What a patch costs the server and the disk: no times, but which requests there are, which writes, and what
//! comes before what.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "each test uses a part of it")]
#[path = "patch_faults/patching.rs"]
mod patching;

use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request as Call, State};
use axum::response::{IntoResponse, Response as Answer};
use blackstart::base::Clock;
use blackstart::base::Secrets;
use blackstart::engine::{self, Approver, Finished, Question};
use blackstart::event::Ending;
use blackstart::http::{HttpError, Memory, Request, Response, Transport};
use blackstart::journal::{Body, Journal, JournalError, MemoryStore, Record, Store};
use patching::{BEGIN, Desk, NOMAD, Place, get, put};
use serde_json::{Value, json};

/// What happened, in order: `GET /v1/job/a`, `stores step_intended`.
type Log = Arc<Mutex<Vec<String>>>;

/// A job of which nothing runs.
fn idle(id: &str) -> Value {
    let task =
        json!({ "Name": "main", "Driver": "docker", "Config": { "image": "registry.example.com/a:1" } });
    let group = json!({ "Name": "main", "Count": 0, "Tasks": [task] });
    json!({ "Job": { "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group] } })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("job-{i:02}")).collect()
}

async fn jobs(memory: &Memory, count: usize) -> Vec<String> {
    let names = names(count);
    for id in &names {
        put(memory, "/v1/jobs", &idle(id)).await;
    }
    names
}

/// The world's door, which notes what comes through it.
struct Door {
    memory: Memory,
    log: Log,
}

#[async_trait]
impl Transport for Door {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let path = request.url.strip_prefix(NOMAD).unwrap().split('?').next().unwrap();
        self.log.lock().unwrap().push(format!("{} {path}", request.method));
        // As over a network: nothing is answered before others have had their turn.
        tokio::task::yield_now().await;
        self.memory.send(request).await
    }
}

/// A journal that notes what reaches it, one entry for what reaches it in one piece.
struct Noting {
    store: MemoryStore,
    log: Log,
    broken: bool,
}

impl Store for Noting {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.broken {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(JournalError::Store { path: "the disk".into(), source: Box::new(source) });
        }
        self.log.lock().unwrap().push(format!("stores {}", kinds(records.iter().map(|one| &one.body))));
        self.store.append(records)
    }

    fn read(&self) -> Result<Vec<Record>, JournalError> {
        self.store.read()
    }
}

fn kinds<'a>(bodies: impl Iterator<Item = &'a Body>) -> String {
    let kind = |body| serde_json::to_value(body).unwrap()["type"].as_str().unwrap().to_owned();
    bodies.map(kind).collect::<Vec<_>>().join(" ")
}

struct Yes;

#[async_trait]
impl Approver for Yes {
    async fn ask(&self, _: &Question) -> engine::Answer {
        engine::Answer::Yes { who: "a person".into(), how: "at a prompt".into() }
    }
}

/// Patches that many jobs in virtual time: how it ended, what happened, and the jobs' images then.
async fn patched(count: usize, broken: bool) -> (Finished, Vec<String>, Vec<Body>, Vec<String>) {
    let place = Place::new();
    let clock = Clock::virtual_from(BEGIN.parse().unwrap());
    let (_world, memory) = place.world(&clock, 1);
    let names = jobs(&memory, count).await;
    let log = Log::default();
    let door = Arc::new(Door { memory: memory.clone(), log: Arc::clone(&log) });
    let store = Noting { store: MemoryStore::default(), log: Arc::clone(&log), broken };
    let mut desk = Desk::new(&place, None, &clock);
    desk.journal = Journal::open(Box::new(store), clock.clone(), Secrets::default()).unwrap();
    let images: Vec<String> = names.iter().map(|name| format!("{name:?} = \"2\"\n")).collect();
    let plan = format!(
        "plan \"patch\" {{\noperation = \"patch\"\nwave \"patch\" {{\nstep \"nomad_patch\" \"image\" {{\nimages = {{\n{}}}\n}}\n}}\n}}\n",
        images.concat()
    );
    let finished = desk.run(&place, &plan, door, Arc::new(Yes)).await;
    let journal = desk.journal.all().iter().map(|record| record.body.clone()).collect();
    let mut after = Vec::new();
    for name in &names {
        let job = get(&memory, &format!("/v1/job/{name}")).await;
        after.push(job["TaskGroups"][0]["Tasks"][0]["Config"]["image"].as_str().unwrap().to_owned());
    }
    let log = std::mem::take(&mut *log.lock().unwrap());
    (finished, log, journal, after)
}

fn at(log: &[String], entry: &str) -> usize {
    log.iter().position(|one| one == entry).unwrap_or_else(|| panic!("no {entry} in {log:#?}"))
}

/// Bare HTTP reads, plans and registers a job; a patch asks for its source besides, and once for the server's
/// version and for deployments that are going on.
#[tokio::test(start_paused = true)]
async fn each_job_costs_four_requests() {
    for count in [1, 20] {
        let (finished, log, _, after) = patched(count, false).await;
        assert_eq!(finished.ending, Ending::Done, "{}", finished.summary);
        assert!(after.iter().all(|image| image.ends_with("a:2")), "{after:?}");
        let requests = log.iter().filter(|one| !one.starts_with("stores")).count();
        assert_eq!(requests, 4 * count + 2, "{log:#?}");
        for once in ["GET /v1/agent/self", "GET /v1/deployments"] {
            assert_eq!(log.iter().filter(|one| *one == once).count(), 1);
        }
        for name in names(count) {
            let of = |rest: &str| at(&log, &rest.replace("JOB", &format!("/v1/job/{name}")));
            assert!(of("GET JOB") < of("POST JOB/plan"), "{name}: {log:#?}");
            assert!(of("POST JOB/plan") < of("POST JOB") && of("GET JOB/submission") < of("POST JOB"));
        }
    }
}

/// No job waits until all others are read.
#[tokio::test(start_paused = true)]
async fn a_job_is_planned_while_others_are_read() {
    let (_, log, ..) = patched(20, false).await;
    let last_read =
        log.iter().rposition(|one| one.starts_with("GET /v1/job/") && !one.ends_with("/submission"));
    let planned = log[..last_read.unwrap()].iter().filter(|one| one.ends_with("/plan")).count();
    assert!(planned >= 8, "{planned} were planned before the last was read: {log:#?}");
}

/// The intent of all of them is on the disk before the first is changed, and nothing else is waited for.
#[tokio::test(start_paused = true)]
async fn one_write_of_the_journal_comes_before_the_first_change() {
    let (_, log, journal, _) = patched(20, false).await;
    let writes: Vec<&String> = log.iter().filter(|one| one.starts_with("stores")).collect();
    assert_eq!(
        writes,
        ["stores run_started approved wave_started step_intended", "stores step_done wave_done run_done"]
    );
    let changes = |one: &&String| one.starts_with("POST") && !one.ends_with("/plan");
    assert!(log[..at(&log, writes[0])].iter().all(|one| !changes(&one)), "{log:#?}");
    assert!(log[at(&log, writes[1])..].iter().all(|one| !changes(&one)), "{log:#?}");
    let Some(Body::StepIntended { precondition, undo, .. }) = journal.get(3) else { panic!("{journal:?}") };
    assert_eq!(precondition["jobs"].as_array().unwrap().len(), 20);
    assert!(undo.is_some());
}

/// What can't be written isn't done.
#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_is_changed() {
    let (finished, log, _, after) = patched(3, true).await;
    assert_eq!(finished.ending, Ending::Failed);
    assert!(finished.summary.contains("the journal could not be written"), "{}", finished.summary);
    assert!(after.iter().all(|image| image.ends_with("a:1")), "{after:?}");
    assert!(log.iter().all(|one| !one.starts_with("POST") || one.ends_with("/plan")), "{log:#?}");
}

/// The whole command: neither its start nor its end asks about each job.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_adds_only_the_list_of_jobs() {
    let site = Site::new(12, "").await;
    for tag in ["job-*=2", "job-*=3"] {
        site.log.lock().unwrap().clear();
        let text = site.patch(&[tag]).await;
        assert!(text.contains("unsaved patch: job-00"), "{text}");
        let requests = std::mem::take(&mut *site.log.lock().unwrap());
        assert_eq!(requests.len(), 4 * 12 + 3, "{requests:#?}");
        assert_eq!(requests.iter().filter(|one| *one == "GET /v1/jobs").count(), 1);
    }
}

/// git is asked about all files at once: for many jobs it is started as often as for a few.
#[tokio::test(flavor = "multi_thread")]
async fn git_is_started_as_often_for_many_files_as_for_few() {
    if !has_git() {
        eprintln!("skipped: there is no git");
        return;
    }
    for (arguments, most) in [(&["job-*=2"][..], 2), (&["job-*=2", "--commit"][..], 25)] {
        let mut counts = Vec::new();
        for jobs in [2, 15] {
            let site = Site::new(jobs, "files = [\"jobs/*.nomad.hcl\"]").await;
            let counted = site.with_git(jobs);
            let text = site.patch(arguments).await;
            for name in names(jobs) {
                let file = std::fs::read_to_string(site.file(&name)).unwrap();
                assert!(file.contains("a:2\""), "{text}");
            }
            let is_saved = !text.contains("unsaved patch");
            assert_eq!(is_saved, arguments.contains(&"--commit"), "{text}");
            let commands = std::fs::read_to_string(counted).unwrap();
            let mut commands: Vec<String> = commands.lines().map(str::to_owned).collect();
            assert!(!commands.is_empty() && commands.len() <= most, "{commands:#?}");
            // Some run beside one another.
            commands.sort();
            counts.push(commands);
        }
        assert_eq!(counts[0], counts[1]);
    }
}

fn has_git() -> bool {
    Command::new("git").arg("--version").output().is_ok()
}

/// A project whose Nomad is a simulated one behind a socket, with jobs that are registered.
struct Site {
    folder: tempfile::TempDir,
    /// The requests.
    log: Log,
    /// What comes before the machine's own programs.
    bin: std::path::PathBuf,
    _place: Place,
    _world: blackstart::sim::World,
}

impl Site {
    async fn new(count: usize, settings: &str) -> Self {
        let place = Place::new();
        let (world, memory) = place.world(&Clock::real(), 1);
        jobs(&memory, count).await;
        let log = Log::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state((memory, Arc::clone(&log)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "project = \"p\"\nenvironment \"e\" {{\n  nomad {{\n    address = \"{address}\"\n    {settings}\n  }}\n}}\n"
        );
        std::fs::write(folder.path().join("blackstart.hcl"), settings).unwrap();
        let bin = folder.path().join("bin");
        Self { folder, log, bin, _place: place, _world: world }
    }

    fn file(&self, job: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("jobs/{job}.nomad.hcl"))
    }

    /// A file for each job, committed, and a git that notes what it is started for: in the file that is given.
    fn with_git(&self, count: usize) -> std::path::PathBuf {
        std::fs::create_dir(self.folder.path().join("jobs")).unwrap();
        for name in names(count) {
            let text = format!(
                "job \"{name}\" {{\n  datacenters = [\"*\"]\n  group \"main\" {{\n    count = 0\n    task \"main\" {{\n      driver = \"docker\"\n      config {{\n        image = \"registry.example.com/a:1\"\n      }}\n    }}\n  }}\n}}\n"
            );
            std::fs::write(self.file(&name), text).unwrap();
        }
        for arguments in [
            &["init", "-q"][..],
            &["config", "user.name", "A Tester"],
            &["config", "user.email", "tester@localhost"],
            &["add", "jobs"],
            &["commit", "-q", "-m", "Jobs"],
        ] {
            let done = Command::new("git").args(arguments).current_dir(self.folder.path()).output().unwrap();
            assert!(done.status.success(), "{done:?}");
        }
        std::fs::create_dir(&self.bin).unwrap();
        let path = std::env::var("PATH").unwrap();
        let real = path.split(':').map(|dir| std::path::Path::new(dir).join("git")).find(|git| git.exists());
        let counted = self.folder.path().join("started");
        let script = format!(
            "#!/bin/sh\necho \"$1\" >>'{}'\nexec '{}' \"$@\"\n",
            counted.display(),
            real.unwrap().display()
        );
        let git = self.bin.join("git");
        std::fs::write(&git, script).unwrap();
        std::fs::set_permissions(&git, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        counted
    }

    /// What it prints, which must end well.
    async fn patch(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(["patch", "image"]).args(arguments).arg("--yes");
        command.current_dir(self.folder.path()).env_clear();
        command.env("BLACKSTART_STATE_DIR", self.folder.path().join("state"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.bin.display()));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{text}");
        text
    }
}

async fn pass(State((memory, log)): State<(Memory, Log)>, call: Call) -> Answer {
    let (parts, body) = call.into_parts();
    log.lock().unwrap().push(format!("{} {}", parts.method, parts.uri.path()));
    let mut request = Request::new(parts.method, format!("{NOMAD}{}", parts.uri));
    request.headers = parts.headers;
    request.body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let answer = memory.send(request).await.unwrap();
    (answer.status, answer.headers, answer.body).into_response()
}
