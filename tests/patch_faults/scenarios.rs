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
        let register = *method != Method::GET && matches!(path, "/v1/job/web" | "/v1/jobs");
        self == Self::BeforeTheRegistration && register
    }
}

pub struct Scenario {
    pub name: &'static str,
    pub jobs: Vec<Value>,
    /// Jobs and the tags they are to get, in the order of their dependencies.
    pub images: Vec<(&'static str, &'static str)>,
    pub edit: Option<Edit>,
    /// What becomes of it without a fault.
    pub usual: Class,
}

pub fn all() -> Vec<Scenario> {
    let one = |name, tag, auto_revert, usual| Scenario {
        name,
        jobs: vec![job("web", auto_revert, None)],
        images: vec![("web", tag)],
        edit: None,
        usual,
    };
    let two = |name, tag, usual| Scenario {
        jobs: vec![job("api", true, None), job("web", true, Some("api"))],
        images: vec![("api", "git-new"), ("web", tag)],
        ..one(name, tag, true, usual)
    };
    let edited = |name, edit, usual| Scenario { edit: Some(edit), ..one(name, "git-new", true, usual) };
    vec![
        one("a healthy image", "git-new", true, Class::Done),
        one("an image that can't be pulled, auto_revert", "git-bad", true, Class::Reverted),
        one("an image that crashes, auto_revert", "git-badbad00", true, Class::Reverted),
        one("an image that can't be pulled, no auto_revert", "git-bad", false, Class::Reverted),
        two("two dependent jobs", "git-new", Class::Done),
        two("two dependent jobs, the second image bad", "git-bad", Class::Reverted),
        edited("an edit while the person decides", Edit::AtTheQuestion, Class::Done),
        edited("an edit right before the registration", Edit::BeforeTheRegistration, Class::Done),
    ]
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
