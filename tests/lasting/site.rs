//! A small project in a work tree, and the sandbox's Nomad with its jobs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Fixture, Outcome, PATIENCE, Running, on_columns, wait_until};
use expectrl::process::unix::{Signal, WaitStatus};
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Session};

const SETTINGS: &str = r#"project = "cosims"

environment "sandbox" {
  simulated = true

  nomad {
    address   = sandbox.nomad
    var_files = ["vars/shared.nomadvars.hcl", "vars/sandbox.nomadvars.hcl"]
  }
}

environment "prod" {
  nomad {
    address   = "http://127.0.0.1:1"
    var_files = ["vars/shared.nomadvars.hcl", "vars/prod.nomadvars.hcl"]
  }
}
"#;

const START: &str = r#"plan "start" {
  operation = "start"
  wave "services" {
    step "nomad_job" "services" {
      files = ["jobs/*.nomad.hcl"]
    }
  }
}
"#;

const STOP: &str = r#"plan "stop" {
  operation = "stop"
  wave "services" {
    step "nomad_stop" "services" {
      jobs = ["api", "worker", "web"]
    }
  }
}
"#;

/// A job file whose image is the given expression.
pub fn job(name: &str, before: &str, image: &str) -> String {
    format!(
        r#"{before}# The {name} service.
job "{name}" {{
  update {{
    min_healthy_time  = "1s"
    healthy_deadline  = "1m"
    progress_deadline = "2m"
  }}

  group "{name}" {{
    task "{name}" {{
      driver = "docker"

      config {{
        image = {image} # what it runs
      }}

      env {{
        COLOUR = "blue"
      }}
    }}
  }}
}}
"#
    )
}

pub struct Site {
    pub fixture: Fixture,
    pub address: String,
}

impl Site {
    /// Three services: `api` with a literal image, `worker` by a local over a default, `web` by a variable
    /// of a var file that both environments read. Nothing is registered yet.
    pub fn new() -> Self {
        let fixture = Fixture::new();
        for folder in ["plans", "nomad-jobs", "terraform", "tfvars-examples"] {
            std::fs::remove_dir_all(fixture.project().join(folder)).unwrap();
        }
        fixture.write("blackstart.hcl", SETTINGS);
        fixture.write("plans/start.hcl", START);
        fixture.write("plans/stop.hcl", STOP);
        fixture.write("jobs/api.nomad.hcl", &job("api", "", "\"registry.example.com/api:1\""));
        let worker = "variable \"worker_tag\" {\n  default = \"1\"\n}\n\nlocals {\n  repository = \"registry.example.com/worker\"\n}\n\n";
        fixture.write(
            "jobs/worker.nomad.hcl",
            &job("worker", worker, "\"${local.repository}:${var.worker_tag}\""),
        );
        let web = "variable \"web_tag\" {}\n\n";
        fixture.write("jobs/web.nomad.hcl", &job("web", web, "\"registry.example.com/web:${var.web_tag}\""));
        fixture.write("vars/shared.nomadvars.hcl", "# Of all environments.\nweb_tag = \"1\"\n");
        fixture.write("vars/sandbox.nomadvars.hcl", "\n");
        fixture.write("vars/prod.nomadvars.hcl", "\n");
        let address = fixture.sandbox(&[]);
        Self { fixture, address }
    }

    /// With everything registered from the files.
    pub fn started() -> Self {
        let site = Self::new();
        site.start().code(0);
        site
    }

    pub fn start(&self) -> Outcome {
        self.run(&["start", "--downtime", "1h", "--yes"])
    }

    pub fn stop(&self) -> Outcome {
        self.run(&["stop", "--yes"])
    }

    /// A command in the sandbox environment.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let all: Vec<&str> = arguments.iter().copied().chain(["-e", "sandbox"]).collect();
        self.fixture.run(&all)
    }

    /// The same on a terminal.
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        self.terminal_of(300, arguments)
    }

    /// The same on one of so many columns.
    pub fn terminal_of(&self, width: u16, arguments: &[&str]) -> Terminal {
        let all: Vec<&str> = arguments.iter().copied().chain(["-e", "sandbox"]).collect();
        let command = self.fixture.command(&all);
        // Its standard streams are the terminal's.
        let mut session = on_columns(width, command.get_program());
        session.args(command.get_args()).current_dir(self.fixture.project()).env_clear();
        session.envs(self.fixture.variables()).env("TERM", "xterm").env("NO_COLOR", "1");
        let mut session = Session::spawn(session).unwrap();
        session.get_process_mut().set_window_size(width, 50).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        Terminal(session)
    }

    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.address);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut request = reqwest::Client::new().request(method, &url).timeout(Duration::from_secs(30));
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{url}: {status} {text}");
            serde_json::from_str(&text).unwrap()
        })
    }

    pub fn job(&self, id: &str) -> Value {
        self.ask(Method::GET, &format!("/v1/job/{id}"), None)
    }

    pub fn image(&self, id: &str) -> String {
        self.job(id)["TaskGroups"][0]["Tasks"][0]["Config"]["image"].as_str().unwrap().to_owned()
    }

    /// `patch ARGUMENTS --yes`
    pub fn patch(&self, arguments: &[&str]) -> Outcome {
        let all: Vec<&str> = ["patch"].iter().chain(arguments).chain(&["--yes"]).copied().collect();
        self.run(&all)
    }

    /// Begins a patch of `api` that takes most of a second to become healthy, and waits until the server
    /// has it.
    pub fn slow_patch(&self, image: &str) -> Running<'_> {
        let arguments =
            ["patch", "set", "api", "update.min_healthy_time=50s", &format!("config.image={image}")]
                .map(str::to_owned);
        let all: Vec<String> =
            arguments.into_iter().chain(["--yes", "-e", "sandbox"].map(str::to_owned)).collect();
        let running = self.fixture.spawn("slow", self.fixture.command(&all));
        wait_until("the registration", || self.image("api") == image);
        running
    }

    /// The unsaved patches that `status` tells of: job, new value, whether it is certain, why.
    pub fn unsaved(&self) -> Vec<(String, Value, bool, String)> {
        let out = self.run(&["status", "--json"]).code(0);
        let document: Value = serde_json::from_str(out.stdout.trim()).unwrap();
        let one = |patch: &Value| {
            let text = |name: &str| patch[name].as_str().unwrap().to_owned();
            (text("job"), patch["new"].clone(), patch["certain"].as_bool().unwrap(), text("why"))
        };
        document["unsaved"].as_array().unwrap().iter().map(one).collect()
    }

    /// Somebody changes a job in Nomad's page.
    pub fn by_hand(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut job = self.job(id);
        change(&mut job);
        self.ask(Method::PUT, "/v1/jobs", Some(&json!({ "Job": job })));
        let version = self.job(id)["Version"].clone();
        wait_until("the rollout", || {
            let deployment = self.ask(Method::GET, &format!("/v1/job/{id}/deployment"), None);
            deployment["JobVersion"] == version && deployment["Status"] == "successful"
        });
    }

    pub fn image_by_hand(&self, id: &str, image: &str) {
        self.by_hand(id, |job| job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = image.into());
    }

    /// Makes the project a git work tree with everything committed; says so where there is no git.
    pub fn with_git(&self) -> bool {
        if crate::common::program("git").is_none() {
            println!("skipped: git is not on PATH");
            return false;
        }
        self.git(&["init", "-q", "-b", "main"]);
        self.git(&["config", "user.name", "A Tester"]);
        self.git(&["config", "user.email", "tester@example.com"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "Everything"]);
        true
    }

    /// An empty remote `origin`: its folder.
    pub fn with_remote(&self) -> PathBuf {
        let bare = self.fixture.path("bare.git");
        let text = bare.display().to_string();
        assert!(Command::new("git").args(["init", "-q", "--bare", &text]).status().unwrap().success());
        self.git(&["remote", "add", "origin", &text]);
        bare
    }

    /// Has the environment be deployed from the branch `deploy`, and commits that.
    pub fn names_its_branch(&self) {
        let branch = "  simulated = true\n\n  git {\n    branch = \"deploy\"\n  }\n";
        self.fixture.replace("blackstart.hcl", "  simulated = true\n", branch);
        self.git(&["commit", "-q", "-a", "-m", "Name the branch"]);
    }

    /// What is committed is there, too.
    pub fn pushes(&self) {
        self.git(&["push", "-q", "origin", "HEAD:deploy"]);
    }

    /// Commits everything, some time after all that was done so far.
    pub fn commit_later(&self, message: &str) {
        let log = self.git(&["log", "-1", "--format=%ct"]);
        let date = format!("{} +0000", log.trim().parse::<u64>().unwrap() + 3_600);
        self.git_with(&["commit", "-q", "-a", "-m", message], &[("GIT_COMMITTER_DATE", &date)]);
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, &[])
    }

    fn git_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.fixture.project()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.fixture.path("home"));
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "git {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }
}

/// A command on a terminal of its own.
pub struct Terminal(OsSession);

impl Terminal {
    /// Waits for the text and gives what came before it.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let found = self.0.expect(text).unwrap_or_else(|error| panic!("no {text:?}: {error}"));
        String::from_utf8_lossy(found.before()).into_owned()
    }

    pub fn answers(&mut self, key: &str) {
        self.0.send(format!("{key}\r")).unwrap();
    }

    /// Presses Ctrl-C, or sends the signal from elsewhere.
    pub fn interrupts(&mut self, key: bool) {
        if key {
            self.0.send("\u{3}").unwrap();
        } else {
            self.0.get_process_mut().signal(Signal::SIGINT).unwrap();
        }
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
