//! A Nomad with jobs in it, and the binary pointed at it: the sandbox, a real agent with containers, or one
//! without.

#![allow(dead_code, clippy::print_stdout, reason = "each test uses a part of it, and says what it skips")]

use std::process::Command;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use blackstart::base::Source;
use blackstart::jobspec;
use expectrl::process::unix::{Signal, WaitStatus};
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Session};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{self, Fixture, Outcome, PATIENCE, wait_until};

/// On the agent with containers each case has a namespace of its own, and they run side by side. One that does
/// something to all of them runs alone.
static AGENT: RwLock<()> = RwLock::new(());

#[path = "../nomad_contract/agent.rs"]
pub mod agent_process;
pub use agent_process::Agent;

/// The reference environment's services.
pub const SERVICES: [&str; 6] = [
    "job_creation",
    "job_configuration",
    "job_execution",
    "job_publication",
    "monitor",
    "worker_pool_management",
];

/// Where images of the reference environment come from.
pub const REPOSITORY: &str = "registry.example.com/cosims/cosims";

pub struct Site {
    pub fixture: Fixture,
    pub address: String,
    arguments: Vec<String>,
    kind: Kind,
}

enum Kind {
    Sandbox,
    /// A namespace of the agent that BLACKSTART_TEST_NOMAD names.
    Containers {
        namespace: String,
        _turn: Turn,
    },
    /// An agent of the test's own, with raw_exec.
    Raw(Arc<Agent>),
}

enum Turn {
    /// Beside others.
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// What a service is by: its image's tag, and where there are no containers a variable that its script reads.
#[derive(Clone, Copy, Debug)]
pub enum Looks {
    Old,
    New,
    /// It ends at once.
    Bad,
}

impl Site {
    /// The sandbox with all of its machines, ten of its seconds a second.
    pub fn sandbox() -> Self {
        let fixture = Fixture::new();
        // Without Terraform everything is up from the start.
        let text = fixture.read("blackstart.hcl").replace("  protected = true", "  protected = false");
        let at = text.find("environment \"sandbox\"").unwrap();
        let (before, own) = text.split_at(at);
        let (head, rest) = own.split_once("  terraform {").unwrap();
        let (_, tail) = rest.split_once("\n  nomad {").unwrap();
        fixture.write("blackstart.hcl", &format!("{before}{head}  nomad {{{tail}"));
        let address = fixture.sandbox(&["--speed", "10"]);
        Self { fixture, address, arguments: vec!["-e".into(), "sandbox".into()], kind: Kind::Sandbox }
    }

    /// A namespace of the agent that BLACKSTART_TEST_NOMAD names (it needs the docker driver and the images of
    /// the reference environment's services, tagged git-new and git-1a2b3c4d); says so where there is none.
    pub fn agent(name: &str, alone: bool) -> Option<Self> {
        let Ok(address) = std::env::var("BLACKSTART_TEST_NOMAD") else {
            println!("skipped on containers: {name}: BLACKSTART_TEST_NOMAD is not set");
            return None;
        };
        let turn = if alone {
            Turn::Alone(AGENT.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            Turn::Shared(AGENT.read().unwrap_or_else(PoisonError::into_inner))
        };
        let namespace = format!("blackstart-test-{}", name.replace('_', "-"));
        let arguments = ["-e", "test", "--nomad-address", &address].map(str::to_owned).to_vec();
        let fixture = Fixture::new();
        fixture.replace("blackstart.hcl", "  protected = true", "  protected = false");
        fixture.replace(
            "blackstart.hcl",
            "  nomad {\n",
            &format!("  nomad {{\n    namespace = {namespace:?}\n"),
        );
        // What one service alone may have is too much for many cases on one machine.
        for service in SERVICES {
            let file = format!("nomad-jobs/{service}.nomad.hcl");
            fixture.write(&file, &modest(&fixture.read(&file)));
        }
        let site = Self { fixture, address, arguments, kind: Kind::Containers { namespace, _turn: turn } };
        let own = json!({ "Name": site.namespace(), "Description": "a test's" });
        send(Method::PUT, &format!("{}/v1/namespace", site.address), None, Some(&own));
        site.clear();
        Some(site)
    }

    /// An agent that runs no containers; the reference environment's job files hold scripts instead.
    pub fn raw(agent: &Arc<Agent>) -> Self {
        let address = agent.address.clone();
        let arguments = ["-e", "test", "--nomad-address", &address].map(str::to_owned).to_vec();
        let fixture = Fixture::new();
        fixture.replace("blackstart.hcl", "  protected = true", "  protected = false");
        let site = Self { fixture, address, arguments, kind: Kind::Raw(Arc::clone(agent)) };
        for name in SERVICES {
            site.fixture.write(&format!("nomad-jobs/{name}.nomad.hcl"), &script_file(name));
        }
        wait_until("the agent's node", || {
            let nodes = common::get(&format!("{}/v1/nodes", site.address)).unwrap_or_default();
            let ready =
                |node: &Value| node["Status"] == "ready" && node["Drivers"]["raw_exec"]["Healthy"] == true;
            nodes.as_array().is_some_and(|all| all.iter().any(ready))
        });
        site.clear();
        site
    }

    pub fn is_sandbox(&self) -> bool {
        matches!(self.kind, Kind::Sandbox)
    }

    pub fn is_raw(&self) -> bool {
        matches!(self.kind, Kind::Raw(_))
    }

    /// Where its jobs are.
    pub fn namespace(&self) -> &str {
        match &self.kind {
            Kind::Containers { namespace, .. } => namespace,
            Kind::Sandbox | Kind::Raw(_) => "default",
        }
    }

    fn clear(&self) {
        for stub in self.get("/v1/jobs").as_array().unwrap() {
            let path = format!("/v1/job/{}?purge=true", escaped(stub["ID"].as_str().unwrap()));
            self.ask(Method::DELETE, &path, None);
        }
        wait_until("room", || {
            self.get("/v1/allocations").as_array().unwrap().iter().all(|a| a["ClientStatus"] != "running")
        });
    }

    /// What a service is by when it looks so.
    pub fn tag(&self, looks: Looks) -> String {
        let (image, variable) = match looks {
            Looks::Old => ("git-5d20c8f1", "fate-old"),
            Looks::New => ("git-new", "fate-new"),
            Looks::Bad => ("git-badbad00", "fate-bad"),
        };
        if self.is_raw() { variable.to_owned() } else { image.to_owned() }
    }

    /// What a service is by now.
    pub fn looks(&self, id: &str) -> String {
        let job = self.job(id);
        let task = &job["TaskGroups"][0]["Tasks"][0];
        if self.is_raw() {
            return task["Env"]["FATE"].as_str().unwrap().to_owned();
        }
        task["Config"]["image"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    }

    /// A service as its file in the project has it, and the file.
    pub fn filed(&self, id: &str) -> (Value, String) {
        let text = self.fixture.read(&format!("nomad-jobs/{id}.nomad.hcl"));
        let source: Arc<Source> = Source::new(id, text.clone());
        (jobspec::parse(&source, &jobspec::Inputs::default()).unwrap().json, text)
    }

    /// The same, which says soon whether it is healthy, and isn't put back by Nomad itself.
    pub fn service(&self, id: &str, after: Option<&str>) -> Value {
        let seconds = |n: u64| n * 1_000_000_000;
        let (mut job, _) = self.filed(id);
        job["Update"]["AutoRevert"] = false.into();
        // A node that is busy tells late that a container has ended.
        job["Update"]["MinHealthyTime"] = json!(seconds(3));
        if let Some(after) = after {
            job["Meta"] = json!({ "depends_on": after });
        }
        let group = &mut job["TaskGroups"][0];
        group["RestartPolicy"] =
            json!({ "Attempts": 0, "Mode": "fail", "Interval": seconds(60), "Delay": seconds(1) });
        group["Tasks"][0]["Resources"] = json!({ "CPU": 100, "MemoryMB": 64 });
        job
    }

    /// Has a service be by it.
    pub fn makes_look(&self, job: &mut Value, looks: Looks) {
        let task = &mut job["TaskGroups"][0]["Tasks"][0];
        if self.is_raw() {
            task["Env"]["FATE"] = self.tag(looks).into();
            return;
        }
        let image = task["Config"]["image"].as_str().unwrap();
        let (repository, _) = image.rsplit_once(':').unwrap();
        task["Config"]["image"] = format!("{repository}:{}", self.tag(looks)).into();
    }

    /// A patch file that has services look so.
    pub fn patch_file(&self, services: &[(&str, Looks)]) -> String {
        let service = |(id, looks): &(&str, Looks)| {
            let tag = self.tag(*looks);
            if self.is_raw() {
                return format!(
                    "service \"{id}/{id}/{id}\" {{\n  set = {{ \"env.FATE\" = \"{tag}\" }}\n}}\n"
                );
            }
            format!("service \"{id}\" {{\n  image = \"{tag}\"\n}}\n")
        };
        let text: String = services.iter().map(service).collect();
        self.fixture.write("patches/now.hcl", &text);
        "patches/now.hcl".to_owned()
    }

    /// It runs, and every allocation of it is healthy.
    pub fn is_up(&self, id: &str) -> bool {
        let job = self.job(id);
        let running = self.running(id);
        let own: Vec<&Value> = running.iter().filter(|one| one["JobVersion"] == job["Version"]).collect();
        let well =
            |one: &&Value| one["ClientStatus"] == "running" && one["DeploymentStatus"]["Healthy"] == true;
        !own.is_empty() && own.iter().all(well)
    }

    /// Has an allocation not get healthy after a restart, or get healthy again (the sandbox's only).
    pub fn ails(&self, allocation: &Value, ails: bool) {
        let file = self.fixture.sandbox_file();
        let url = format!("{}/ail", file["control"].as_str().unwrap());
        let body = json!({ "allocation": allocation["ID"], "ails": ails });
        send(Method::POST, &url, file["token"].as_str(), Some(&body));
    }

    fn whole(&self, arguments: &[&str]) -> Vec<String> {
        let image = ["image"].into_iter().chain(arguments.iter().copied());
        self.any(&image.collect::<Vec<_>>())
    }

    fn any(&self, arguments: &[&str]) -> Vec<String> {
        let all = self.arguments.iter().map(String::as_str).chain(["patch"]);
        all.chain(arguments.iter().copied()).map(str::to_owned).collect()
    }

    /// Any command on this environment, off a terminal.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.fixture.run(&self.here(arguments))
    }

    /// The same in the background.
    pub fn spawn(&self, arguments: &[&str]) -> common::Running<'_> {
        self.fixture.spawn("command", self.fixture.command(&self.here(arguments)))
    }

    /// The same on a terminal.
    pub fn on_terminal(&self, arguments: &[&str]) -> Terminal {
        self.terminal_of(&self.fixture.command(&self.here(arguments)))
    }

    fn here(&self, arguments: &[&str]) -> Vec<String> {
        let all = self.arguments.iter().map(String::as_str).chain(arguments.iter().copied());
        all.map(str::to_owned).collect()
    }

    /// `blackstart patch …`, whatever is patched, off a terminal.
    pub fn patches(&self, arguments: &[&str]) -> Outcome {
        self.fixture.run(&self.any(arguments))
    }

    /// `blackstart patch image …`, off a terminal.
    pub fn patch(&self, arguments: &[&str]) -> Outcome {
        self.fixture.run(&self.whole(arguments))
    }

    /// The same in the background.
    pub fn patching(&self, arguments: &[&str]) -> common::Running<'_> {
        self.fixture.spawn("patch", self.fixture.command(&self.whole(arguments)))
    }

    /// The same on a terminal.
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        self.terminal_of(&self.fixture.command(&self.whole(arguments)))
    }

    fn terminal_of(&self, command: &Command) -> Terminal {
        let mut session = common::on_columns(300, command.get_program());
        session.args(command.get_args()).current_dir(self.fixture.project()).env_clear();
        session.envs(self.fixture.variables()).env("TERM", "xterm").env("NO_COLOR", "1");
        let mut session = Session::spawn(session).unwrap();
        session.get_process_mut().set_window_size(300, 50).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        Terminal(session)
    }

    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let joint = if path.contains('?') { '&' } else { '?' };
        send(method, &format!("{}{path}{joint}namespace={}", self.address, self.namespace()), None, body)
    }

    pub fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None)
    }

    pub fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/job/{}", escaped(id)))
    }

    /// Every image of a job, as `GROUP/TASK=IMAGE` without the repository's host.
    pub fn images(&self, id: &str) -> Vec<String> {
        let job = self.job(id);
        let mut found = Vec::new();
        for group in job["TaskGroups"].as_array().unwrap() {
            for task in group["Tasks"].as_array().unwrap() {
                let image = task["Config"]["image"].as_str().unwrap();
                let image = image.strip_prefix(&format!("{REPOSITORY}/")).unwrap_or(image);
                found.push(format!(
                    "{}/{}={image}",
                    group["Name"].as_str().unwrap(),
                    task["Name"].as_str().unwrap()
                ));
            }
        }
        found
    }

    pub fn version(&self, id: &str) -> u64 {
        self.job(id)["Version"].as_u64().unwrap()
    }

    /// Registers a job of the reference environment with its source, and waits until it is rolled out.
    pub fn start(&self, name: &str) {
        let (job, source) = self.filed(name);
        self.start_job(&job, Some(&source));
    }

    /// Registers a job, and waits for nothing.
    pub fn register(&self, job: &Value) {
        self.ask(Method::PUT, "/v1/jobs", Some(&json!({ "Job": job })));
    }

    pub fn start_job(&self, job: &Value, source: Option<&str>) {
        let mut body = json!({ "Job": job });
        if let Some(source) = source {
            body["Submission"] =
                json!({ "Source": source, "Format": "hcl2", "Variables": "", "VariableFlags": {} });
        }
        self.ask(Method::PUT, "/v1/jobs", Some(&body));
        self.until_rolled_out(job["ID"].as_str().unwrap());
    }

    /// Has Nomad forget what has ended; that takes it a moment.
    pub fn collect_garbage(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = reqwest::Client::new().put(format!("{}/v1/system/gc", self.address)).send();
        assert!(runtime.block_on(request).unwrap().status().is_success());
        std::thread::sleep(Duration::from_millis(200));
    }

    /// Waits until the server has closed the newest version's deployment with success.
    pub fn until_rolled_out(&self, id: &str) {
        wait_until(&format!("the rollout of {id}"), || {
            let deployment = self.deployment(id);
            deployment["Status"] == "successful" && deployment["JobVersion"] == self.job(id)["Version"]
        });
    }

    /// The newest deployment of a job.
    pub fn deployment(&self, id: &str) -> Value {
        self.get(&format!("/v1/job/{}/deployment", escaped(id)))
    }

    /// The allocations of a job that are to run.
    pub fn running(&self, id: &str) -> Vec<Value> {
        let mut all = match self.get(&format!("/v1/job/{}/allocations", escaped(id))) {
            Value::Array(all) => all,
            other => panic!("{other}"),
        };
        all.retain(|allocation| allocation["DesiredStatus"] == "run");
        all
    }

    /// Somebody else changes a job, in a way that has nothing to do with images.
    pub fn somebody_sets(&self, id: &str, name: &str, value: &str) {
        let mut job = self.job(id);
        job["TaskGroups"][0]["Tasks"][0]["Env"][name] = value.into();
        let index = job["JobModifyIndex"].clone();
        let body = json!({ "Job": job, "EnforceIndex": true, "JobModifyIndex": index });
        self.ask(Method::PUT, "/v1/jobs", Some(&body));
    }

    pub fn environment(&self, id: &str) -> Value {
        self.job(id)["TaskGroups"][0]["Tasks"][0]["Env"].clone()
    }

    pub fn stop(&self, id: &str) {
        self.ask(Method::DELETE, &format!("/v1/job/{}", escaped(id)), None);
    }

    /// How many faults no request has met yet (the sandbox's only).
    pub fn faults(&self) -> usize {
        let file = self.fixture.sandbox_file();
        let url = format!("{}/faults", file["control"].as_str().unwrap());
        send(Method::GET, &url, file["token"].as_str(), None).as_array().unwrap().len()
    }

    /// The next request below a path fares badly (the sandbox's only).
    pub fn fault(&self, path: &str, kind: &Value) {
        self.fault_after(path, 0, kind);
    }

    /// The same, of the one after so many.
    pub fn fault_after(&self, path: &str, skip: u32, kind: &Value) {
        let file = self.fixture.sandbox_file();
        let url = format!("{}/faults", file["control"].as_str().unwrap());
        let body = json!({ "path": path, "skip": skip, "times": 1, "kind": kind });
        send(Method::POST, &url, file["token"].as_str(), Some(&body));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Kind::Raw(agent) = &self.kind
            && std::thread::panicking()
        {
            println!("the agent said:\n{}", agent.log());
        }
        if !self.is_sandbox() && !std::thread::panicking() {
            self.clear();
        }
        if let Kind::Containers { namespace, .. } = &self.kind
            && !std::thread::panicking()
        {
            let all = format!("{}/v1/namespace/{namespace}", self.address);
            wait_until("the namespace to go", || try_send(Method::DELETE, &all, None, None).is_ok());
        }
    }
}

/// A command on a terminal of its own.
pub struct Terminal(OsSession);

impl Terminal {
    /// Waits for the text and gives what came before it.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        match self.0.expect(text) {
            Ok(found) => String::from_utf8_lossy(found.before()).into_owned(),
            Err(error) => {
                let mut rest = vec![0; 1 << 16];
                let read = self.0.try_read(&mut rest).unwrap_or_default();
                panic!(
                    "no {text:?} on the terminal: {error}; it has {}",
                    String::from_utf8_lossy(&rest[..read])
                )
            }
        }
    }

    pub fn answers(&mut self, key: &str) {
        self.0.send(format!("{key}\r")).unwrap();
    }

    /// Kills its process.
    #[track_caller]
    pub fn kill(mut self) {
        self.0.get_process_mut().signal(Signal::SIGKILL).unwrap();
        assert!(matches!(self.0.get_process().wait().unwrap(), WaitStatus::Signaled(..)));
    }

    /// Waits for its end; gives what it still said, and its exit code.
    #[track_caller]
    pub fn end(mut self) -> (String, i32) {
        let found = self.0.expect(Eof).unwrap();
        let text = String::from_utf8_lossy(found.as_bytes()).into_owned();
        match self.0.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => (text, code),
            other => panic!("ended with {other:?} after {text:?}"),
        }
    }
}

/// A job file whose tasks want little.
fn modest(text: &str) -> String {
    let line = |line: &str| match line.split_whitespace().next() {
        Some("cpu") => "        cpu    = 100\n".to_owned(),
        Some("memory") => "        memory = 128\n".to_owned(),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// A service as a script that ends at once where it is told to.
fn script_file(name: &str) -> String {
    format!(
        r#"job "{name}" {{
  datacenters = ["*"]

  update {{
    health_check      = "task_states"
    min_healthy_time  = "1s"
    healthy_deadline  = "20s"
    progress_deadline = "60s"
  }}

  group "{name}" {{
    task "{name}" {{
      driver       = "raw_exec"
      kill_timeout = "1s"

      config {{
        command = "/bin/sh"
        args    = ["-c", "test $FATE = fate-bad && exit 1; exec sleep 86400"]
      }}

      env {{
        FATE = "fate-old"
      }}

      resources {{
        cpu    = 100
        memory = 64
      }}
    }}
  }}
}}
"#
    )
}

/// A job's id as a part of a path.
fn escaped(id: &str) -> String {
    id.replace('/', "%2F")
}

/// One request that must succeed.
fn send(method: Method, url: &str, token: Option<&str>, body: Option<&Value>) -> Value {
    try_send(method, url, token, body).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// One request; what was answered where it fails.
fn try_send(method: Method, url: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut request = reqwest::Client::new().request(method, url).timeout(Duration::from_secs(30));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        if !status.is_success() {
            return Err(format!("{status} {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    })
}
