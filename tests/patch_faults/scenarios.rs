//! What is patched, and what it comes to where nothing goes wrong.

use http::Method;
use serde_json::{Value, json};

use crate::judge::Class;

pub const OLD: &str = "git-old";

/// When somebody else changes the job `web`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// While the person decides.
    AtTheQuestion,
    /// Between the last look and the registration.
    BeforeTheRegistration,
}

impl Edit {
    pub fn is_before(self, method: &Method, path: &str) -> bool {
        let register = *method != Method::GET && path == "/v1/job/web";
        self == Self::BeforeTheRegistration && register
    }
}

/// What becomes of the jobs' files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// There are none.
    None,
    Written,
    Committed,
}

pub struct Scenario {
    pub name: &'static str,
    pub jobs: Vec<Value>,
    /// Jobs and what they are to get, in the order of their dependencies: an image's tag, `×COUNT` or `MODE=VALUE`.
    pub images: Vec<(&'static str, &'static str)>,
    pub edit: Option<Edit>,
    /// All go back where one fails, or where the person doesn't go on.
    pub revert_all: bool,
    /// The person says no once somebody else has changed a job.
    pub denies: bool,
    pub files: Files,
    /// It is no patch: the job is scaled (`scale`), or stopped before and started (`start`).
    pub service: Option<&'static str>,
    /// What becomes of it without a fault.
    pub usual: Class,
}

impl Scenario {
    /// What is written to the files is committed.
    pub fn commits(&self) -> bool {
        self.files == Files::Committed
    }
}

pub fn all() -> Vec<Scenario> {
    let one = |name, tag, auto_revert, usual| Scenario {
        name,
        jobs: vec![job("web", auto_revert, None)],
        images: vec![("web", tag)],
        edit: None,
        revert_all: false,
        denies: false,
        files: Files::None,
        service: None,
        usual,
    };
    let two = |name, tag, usual| Scenario {
        jobs: vec![job("api", true, None), job("web", true, Some("api"))],
        images: vec![("api", "git-new"), ("web", tag)],
        ..one(name, tag, true, usual)
    };
    let edited = |name, edit, usual| Scenario { edit: Some(edit), ..one(name, "git-new", true, usual) };
    let all_back = |scenario| Scenario { revert_all: true, ..scenario };
    let filed = |scenario| Scenario { files: Files::Written, ..scenario };
    let one_fails = |name| {
        let jobs = vec![job("api", true, None), job("db", false, None), job("web", false, Some("api"))];
        let images = vec![("api", "git-new"), ("db", "MODE=fast"), ("web", "git-bad")];
        all_back(Scenario { jobs, images, ..one(name, "", true, Class::Reverted) })
    };
    let denied = |name| Scenario {
        edit: Some(Edit::BeforeTheRegistration),
        denies: true,
        ..all_back(two(name, "git-new", Class::Reverted))
    };
    vec![
        one("a healthy image", "git-new", true, Class::Done),
        one("an image that can't be pulled, auto_revert", "git-bad", true, Class::Reverted),
        one("an image that crashes, auto_revert", "git-badbad00", true, Class::Reverted),
        one("an image that can't be pulled, no auto_revert", "git-bad", false, Class::Reverted),
        two("two dependent jobs", "git-new", Class::Done),
        two("two dependent jobs, the second image bad", "git-bad", Class::Reverted),
        edited("an edit while the person decides", Edit::AtTheQuestion, Class::Done),
        edited("an edit right before the registration", Edit::BeforeTheRegistration, Class::Done),
        one("a count", "×2", true, Class::Done),
        one("an environment variable", "MODE=fast", true, Class::Done),
        filed(two("two jobs with files", "git-new", Class::Done)),
        filed(two("two jobs with files, the second image bad", "git-bad", Class::Reverted)),
        filed(one_fails("revert-all: the last of three fails, with files")),
        filed(denied("revert-all: a no after a conflict, with files")),
        all_back(edited("revert-all: an edit while the person decides", Edit::AtTheQuestion, Class::Done)),
    ]
}

/// What is committed as it is written. These take git's time, which is no virtual one.
pub fn committed() -> Vec<Scenario> {
    let with_files = all().into_iter().filter(|scenario| scenario.files == Files::Written);
    with_files.map(|scenario| Scenario { files: Files::Committed, ..scenario }).collect()
}

/// What is no patch, and registers all the same.
pub fn services() -> Vec<Scenario> {
    let one = |name, looks, service| Scenario {
        name,
        jobs: vec![job("web", true, None)],
        images: vec![("web", looks)],
        edit: None,
        revert_all: false,
        denies: false,
        files: Files::None,
        service: Some(service),
        usual: Class::Done,
    };
    vec![one("a service that is scaled", "×2", "scale"), one("a service that is started", OLD, "start")]
}

fn job(id: &str, auto_revert: bool, depends_on: Option<&str>) -> Value {
    json!({
        "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"],
        "Meta": depends_on.map(|other| json!({ "depends_on": other })),
        "Update": {
            "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": 5_000_000_000_u64,
            "HealthyDeadline": 60_000_000_000_u64, "ProgressDeadline": 120_000_000_000_u64,
            "AutoRevert": auto_revert,
        },
        "TaskGroups": [{
            "Name": id, "Count": 1,
            "RestartPolicy": { "Attempts": 0, "Mode": "fail", "Interval": 60_000_000_000_u64, "Delay": 1_000_000_000 },
            "Tasks": [{
                "Name": id, "Driver": "docker",
                "Config": { "image": format!("registry.example.com/team/{id}:{OLD}") },
                "Resources": { "CPU": 100, "MemoryMB": 64 },
            }],
        }],
    })
}

/// The plan that `patch` makes of a scenario.
pub fn plan(scenario: &Scenario) -> String {
    if let Some(name) = scenario.service {
        return service(name);
    }
    let service = |(id, looks): &(&str, &str)| {
        let what = match (looks.strip_prefix('×'), looks.strip_prefix("MODE=")) {
            (Some(count), _) => format!("set = {{ \"group.{id}.count\" = {count} }}"),
            (_, Some(mode)) => format!("set = {{ \"group.{id}.task.{id}.env.MODE\" = \"{mode}\" }}"),
            _ => format!("image = \"{looks}\""),
        };
        format!("      service \"{id}\" {{\n        {what}\n      }}\n")
    };
    let services: String = scenario.images.iter().map(service).collect();
    let on_failure = if scenario.revert_all { "revert-all" } else { "stop" };
    format!(
        "plan \"patch-image\" {{\n  operation = \"patch\"\n  wave \"patch\" {{\n    step \"nomad_patch\" \"image\" {{\n      \
         on_failure = \"{on_failure}\"\n      commit = {}\n{services}    }}\n  }}\n}}\n",
        scenario.commits()
    )
}

/// A service that is scaled, or started again after a stop.
fn service(name: &str) -> String {
    let step = match name {
        "scale" => "step \"nomad_scale\" \"it\" {\n      job = \"web\"\n      count = 2\n    }",
        _ => "step \"nomad_start\" \"it\" {\n      jobs = [\"web\"]\n    }",
    };
    format!("plan \"{name}\" {{\n  operation = \"other\"\n  wave \"it\" {{\n    {step}\n  }}\n}}\n")
}

/// What a job's file is to become.
pub fn after(id: &str, looks: &str) -> String {
    match looks.strip_prefix("MODE=") {
        Some(mode) => file(id).replace("\"slow\"", &format!("\"{mode}\"")),
        None => file(id).replace(OLD, looks),
    }
}

/// The same job as a file.
pub fn file(id: &str) -> String {
    format!(
        "# {id}\njob \"{id}\" {{\n  group \"{id}\" {{\n    count = 1\n    task \"{id}\" {{\n      driver = \"docker\"\n      \
         config {{\n        image = \"registry.example.com/team/{id}:{OLD}\" # kept\n      }}\n      env {{\n        \
         MODE = \"slow\"\n      }}\n    }}\n  }}\n}}\n"
    )
}
