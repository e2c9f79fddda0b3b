//! A Nomad with room in it, and the binary pointed at it: the sandbox, or a dev agent of the test's own.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::common::{self, Fixture, Outcome, wait_until};

pub struct Site {
    pub fixture: Fixture,
    pub environment: &'static str,
    address: String,
    agent: Option<Agent>,
}

impl Site {
    /// The sandbox with all of its machines, ten of its seconds a second.
    pub fn sandbox() -> Self {
        let fixture = Fixture::new();
        fixture.write(
            "blackstart.hcl",
            "project = \"cosims\"\n\nenvironment \"sandbox\" {\n  simulated = true\n\n  nomad {\n    address = sandbox.nomad\n  }\n}\n",
        );
        let address = fixture.sandbox(&["--speed", "10"]);
        Self { fixture, environment: "sandbox", address, agent: None }
    }

    /// A real agent; none where NOMAD_BIN names none.
    pub fn agent() -> Option<Self> {
        let agent = Agent::start()?;
        let address = agent.address.clone();
        let fixture = Fixture::new();
        fixture.write(
            "blackstart.hcl",
            &format!("project = \"cosims\"\n\nenvironment \"lab\" {{\n  nomad {{\n    address = \"{address}\"\n  }}\n}}\n"),
        );
        let site = Self { fixture, environment: "lab", address, agent: Some(agent) };
        wait_until("the agent's node", || {
            let nodes = common::get(&format!("{}/v1/nodes", site.address)).unwrap_or_default();
            let drivers = |node: &Value| node["Drivers"]["raw_exec"]["Healthy"] == true;
            nodes.as_array().is_some_and(|all| all.iter().any(|n| n["Status"] == "ready" && drivers(n)))
        });
        Some(site)
    }

    pub fn is_real(&self) -> bool {
        self.agent.is_some()
    }

    /// `blackstart … -e ENVIRONMENT`
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.fixture.run(&self.whole(arguments))
    }

    fn whole(&self, arguments: &[&str]) -> Vec<String> {
        let own = ["-e", self.environment];
        arguments.iter().chain(&own).map(|argument| (*argument).to_owned()).collect()
    }

    /// The same in the background.
    pub fn spawn(&self, name: &str, arguments: &[&str]) -> common::Running<'_> {
        self.fixture.spawn(name, self.fixture.command(&self.whole(arguments)))
    }

    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        send(method, &format!("{}{path}", self.address), None, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None)
    }

    /// A job; none where there is none.
    pub fn find(&self, id: &str) -> Option<Value> {
        send(Method::GET, &format!("{}/v1/job/{id}", self.address), None, None).ok()
    }

    pub fn job(&self, id: &str) -> Value {
        self.find(id).unwrap()
    }

    pub fn register(&self, job: &Value) {
        self.ask(Method::PUT, "/v1/jobs", Some(&json!({ "Job": job })));
    }

    /// Registers a job and waits until all of it is healthy.
    pub fn start(&self, job: &Value) {
        self.register(job);
        let id = job["ID"].as_str().unwrap();
        let wanted = job["TaskGroups"][0]["Count"].as_u64().unwrap();
        wait_until(&format!("{id} to run"), || {
            let healthy =
                |a: &Value| a["ClientStatus"] == "running" && a["DeploymentStatus"]["Healthy"] == true;
            let closed = self.get(&format!("/v1/job/{id}/deployment"))["Status"] == "successful";
            self.wanted(id).iter().filter(|a| healthy(a)).count() as u64 == wanted && closed
        });
    }

    /// The allocations of a job, by number.
    pub fn allocations(&self, id: &str) -> Vec<Value> {
        let Value::Array(mut all) = self.get(&format!("/v1/job/{id}/allocations")) else { panic!() };
        all.sort_by_key(|a| (a["Name"].as_str().unwrap().to_owned(), a["CreateIndex"].as_u64()));
        all
    }

    /// Those that are to run.
    pub fn wanted(&self, id: &str) -> Vec<Value> {
        let mut all = self.allocations(id);
        all.retain(|a| a["DesiredStatus"] == "run");
        all
    }

    pub fn nodes(&self) -> Vec<Value> {
        let Value::Array(nodes) = self.get("/v1/nodes?resources=true") else { panic!() };
        nodes
    }

    /// What each node has at least: MHz and MiB.
    pub fn size(&self) -> (u64, u64) {
        let least = |at: &str| {
            let nodes = self.nodes();
            nodes.iter().map(|n| n["NodeResources"].pointer(at).unwrap().as_u64().unwrap()).min().unwrap()
        };
        (least("/Cpu/CpuShares"), least("/Memory/MemoryMB"))
    }

    /// Takes all but so much of every node.
    pub fn fill(&self, cpu_left: u64, memory_left: u64) {
        let (cpu, memory) = self.size();
        let mut job = job("filler", self.nodes().len() as u64);
        job["Constraints"] = json!([{ "Operand": "distinct_hosts", "RTarget": "true" }]);
        job["TaskGroups"][0]["Tasks"][0]["Resources"] =
            json!({ "CPU": cpu - cpu_left, "MemoryMB": memory - memory_left });
        self.start(&job);
    }

    /// Has one allocation of a [`flaky`] job not get healthy after a restart, or get healthy again.
    pub fn ails(&self, allocation: &Value, ails: bool) {
        if self.is_real() {
            let path = self.ill();
            if ails {
                std::fs::write(path, "").unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
            return;
        }
        let file = self.fixture.sandbox_file();
        let url = format!("{}/ail", file["control"].as_str().unwrap());
        let body = json!({ "allocation": allocation["ID"], "ails": ails });
        send(Method::POST, &url, file["token"].as_str(), Some(&body)).unwrap();
    }

    /// While this file is there, number 1 of a flaky job doesn't start a second time.
    fn ill(&self) -> std::path::PathBuf {
        self.fixture.path("ill")
    }

    /// A job whose number 1 can be made to ail.
    pub fn flaky(&self, id: &str, count: u64) -> Value {
        let mut job = job(id, count);
        let script = format!(
            "if [ -e \"$NOMAD_TASK_DIR/started\" ] && [ \"$NOMAD_ALLOC_INDEX\" = 1 ] && [ -e {} ]; then exit 1; fi\ntouch \"$NOMAD_TASK_DIR/started\"\nexec sleep 86400",
            self.ill().display()
        );
        job["TaskGroups"][0]["Tasks"][0]["Config"] = json!({ "command": "/bin/sh", "args": ["-c", script] });
        job
    }

    /// Removes every job and every run's record.
    pub fn clear(&self) {
        for stub in self.get("/v1/jobs").as_array().unwrap() {
            let path = format!("/v1/job/{}?purge=true", stub["ID"].as_str().unwrap());
            self.ask(Method::DELETE, &path, None);
        }
        wait_until("room", || {
            self.get("/v1/allocations").as_array().unwrap().iter().all(|a| a["ClientStatus"] != "running")
        });
        let _ = std::fs::remove_file(self.ill());
        if self.is_real() {
            let _ = std::fs::remove_dir_all(self.fixture.state_root().join("cosims"));
        }
        for folder in ["plans", "nomad-jobs"] {
            let folder = self.fixture.project().join(folder);
            let _ = std::fs::remove_dir_all(&folder);
        }
    }

    /// Starts with no plans and no job files.
    pub fn project(&self, files: &[(&str, &str)]) {
        for folder in ["plans", "nomad-jobs"] {
            let _ = std::fs::remove_dir_all(self.fixture.project().join(folder));
        }
        for (name, text) in files {
            self.fixture.write(name, text);
        }
    }

    /// The last record of a type in the journal.
    pub fn last(&self, kind: &str) -> Value {
        let records = self.fixture.journal(self.environment);
        records.into_iter().rev().map(|(_, body)| body).find(|body| body["type"] == kind).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.as_ref().filter(|_| std::thread::panicking()) {
            println!("the agent said:\n{}", agent.log());
        }
    }
}

/// A job that any Nomad with raw_exec runs, and whose health takes little time to judge.
pub fn job(id: &str, count: u64) -> Value {
    let seconds = |n: u64| n * 1_000_000_000;
    json!({
        "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"],
        "Update": {
            "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": seconds(1),
            "HealthyDeadline": seconds(20), "ProgressDeadline": seconds(30),
        },
        "TaskGroups": [{
            "Name": "api", "Count": count,
            "RestartPolicy": { "Attempts": 5, "Mode": "fail", "Interval": seconds(600), "Delay": seconds(1) },
            "ReschedulePolicy": { "Attempts": 0, "Unlimited": false, "Interval": seconds(60) },
            "EphemeralDisk": { "SizeMB": 30 },
            "Tasks": [{
                "Name": "server", "Driver": "raw_exec",
                "Config": { "command": "sleep", "args": ["86400"] },
                "Resources": { "CPU": 50, "MemoryMB": 32 },
                "KillTimeout": seconds(1), "LogConfig": { "MaxFiles": 1, "MaxFileSizeMB": 1 },
            }],
        }],
    })
}

/// The same as a job file.
pub fn file(id: &str, count: u64, cpu: u64, memory: u64, more: &str) -> String {
    format!(
        r#"job "{id}" {{
  datacenters = ["*"]

  update {{
    health_check      = "task_states"
    min_healthy_time  = "1s"
    healthy_deadline  = "20s"
    progress_deadline = "30s"
  }}

  group "{id}" {{
    count = {count}

    ephemeral_disk {{
      size = 30
    }}

    task "{id}" {{
      driver = "raw_exec"
{more}
      config {{
        command = "sleep"
        args    = ["86400"]
      }}

      logs {{
        max_files     = 1
        max_file_size = 1
      }}

      resources {{
        cpu    = {cpu}
        memory = {memory}
      }}
    }}
  }}
}}
"#
    )
}

/// A plan of one wave that registers every job file.
pub const UP: &str = "plan \"up\" {\n  operation = \"other\"\n\n  wave \"services\" {\n    step \"nomad_job\" \"services\" {\n      files = [\"nomad-jobs/*.nomad.hcl\"]\n    }\n  }\n}\n";

/// One request; an error where the answer is one.
fn send(method: Method, url: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value, String> {
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
            return Err(format!("{url}: {status} {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    })
}
