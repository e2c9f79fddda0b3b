//! The jobs of the suite, for each kind of target with the driver that it has.

use serde_json::{Value, json};

/// What a target runs tasks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Commands: all that a real agent without a container engine has.
    RawExec,
    /// Containers.
    Docker,
}

/// How a task behaves.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Runs until it is killed.
    Lasting,
    /// Ends after a second, with success.
    Brief,
    /// Ends at once, with code 3.
    Failing,
    /// Cannot even be started: no such command, no such image.
    Missing,
}

const REPOSITORY: &str = "registry.example.com/cosims/cosims/contract";

impl Driver {
    fn task(self, task: Task) -> Value {
        let command =
            |command: &str, args: &[&str]| ("raw_exec", json!({ "command": command, "args": args }));
        let image = |tag: &str| ("docker", json!({ "image": format!("{REPOSITORY}:{tag}") }));
        let (driver, config) = match (self, task) {
            (Self::RawExec, Task::Lasting) => command("sleep", &["86400"]),
            (Self::RawExec, Task::Missing) => command("blackstart-nonexistent", &[]),
            (Self::Docker, Task::Lasting) => image("git-good"),
            (Self::Docker, Task::Missing) => image("git-missing"),
            // How a container's program ends is the image's affair; a command's end is known.
            (_, Task::Brief) => command("sleep", &["1"]),
            (_, Task::Failing) => command("sh", &["-c", "exit 3"]),
        };
        json!({
            "Name": "app",
            "Driver": driver,
            "Config": config,
            "Env": { "COLOUR": "red" },
            "Resources": { "CPU": 50, "MemoryMB": 32 },
            "KillTimeout": 1_000_000_000_u64,
            "LogConfig": { "MaxFiles": 1, "MaxFileSizeMB": 1 },
        })
    }

    /// A job of one group `web` with one task `app`, whose health takes little time to judge.
    pub fn job(self, id: &str, task: Task) -> Value {
        let seconds = |n: u64| n * 1_000_000_000;
        json!({
            "ID": id,
            "Name": id,
            "Type": "service",
            "Datacenters": ["*"],
            "Update": {
                "MaxParallel": 1,
                "HealthCheck": "task_states",
                "MinHealthyTime": 200_000_000,
                "HealthyDeadline": seconds(20),
                "ProgressDeadline": seconds(30),
            },
            "TaskGroups": [{
                "Name": "web",
                "Count": 1,
                "RestartPolicy": { "Attempts": 0, "Mode": "fail", "Interval": seconds(60), "Delay": seconds(1) },
                "ReschedulePolicy": { "Attempts": 0, "Unlimited": false, "Interval": seconds(60) },
                "EphemeralDisk": { "SizeMB": 10 },
                "Tasks": [self.task(task)],
            }],
        })
    }
}

/// The same job with another kind, without what that kind refuses.
pub fn of_kind(mut job: Value, kind: &str) -> Value {
    job["Type"] = kind.into();
    if kind != "service" {
        job["Update"] = Value::Null;
    }
    if kind == "system" {
        job["TaskGroups"][0]["ReschedulePolicy"] = Value::Null;
    }
    job
}
