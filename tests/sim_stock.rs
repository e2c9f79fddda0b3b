//! The stock `nomad` client against the sandbox: what people type today works there. Runs where `NOMAD_BIN`
//! names the client; says so where it doesn't.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use blackstart::sim::{Sandbox, SandboxOptions};

struct Stock {
    binary: PathBuf,
    dir: tempfile::TempDir,
    address: String,
    sandbox: Sandbox,
}

struct Said {
    code: i32,
    text: String,
}

impl Stock {
    async fn new(speed: f64) -> Option<Self> {
        let Some(binary) = std::env::var_os("NOMAD_BIN") else {
            println!("skipped: NOMAD_BIN is not set");
            return None;
        };
        let dir = tempfile::tempdir().expect("a folder");
        let mut options = SandboxOptions::new(dir.path().join("state"));
        options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        options.speed = speed;
        let sandbox = Sandbox::start(options).await.expect("a sandbox");
        let address = sandbox.file().await.nomad;
        Some(Self { binary: binary.into(), dir, address, sandbox })
    }

    async fn run(&self, args: &[&str]) -> Said {
        let child = tokio::process::Command::new(&self.binary)
            .args(args)
            .env_clear()
            .env("NOMAD_ADDR", &self.address)
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(30), child).await;
        let output = output.unwrap_or_else(|_| panic!("nomad {args:?} hangs")).expect("nomad runs");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains("panic:"), "nomad {args:?}\n{text}");
        Said { code: output.status.code().unwrap_or(-1), text }
    }

    /// Runs a command that has to succeed and to say all of these.
    async fn says(&self, args: &[&str], wanted: &[&str]) -> String {
        let said = self.run(args).await;
        assert_eq!(said.code, 0, "nomad {args:?}\n{}", said.text);
        let plain = said.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in wanted {
            assert!(plain.contains(part), "nomad {args:?} doesn't say {part:?}:\n{}", said.text);
        }
        said.text
    }

    fn job(&self, name: &str, change: (&str, &str)) -> String {
        let job = r#"
            job "web" {
              update {
                min_healthy_time  = "3s"
                healthy_deadline  = "30s"
                progress_deadline = "1m"
                auto_revert       = true
              }
              group "g" {
                count = 2
                task "t" {
                  driver = "docker"
                  config { image = "registry.example.com/web:git-1" }
                  resources { cpu = 200 }
                }
              }
            }"#;
        assert!(job.contains(change.0));
        let path = self.dir.path().join(name);
        std::fs::write(&path, job.replace(change.0, change.1)).expect("a file");
        path.display().to_string()
    }

    /// The newest id of a list.
    async fn newest(&self, path: &str) -> String {
        use blackstart::http::{Request, Sockets, Transport};
        let request = Request::new(http::Method::GET, format!("{}/v1/{path}", self.address));
        let answer = Sockets::new().send(request).await.expect("an answer");
        let list: Vec<serde_json::Value> = serde_json::from_slice(&answer.body).expect("a list");
        let newest = list.iter().max_by_key(|item| item["CreateIndex"].as_u64()).expect("an item");
        newest["ID"].as_str().expect("an id").to_owned()
    }
}

#[tokio::test]
async fn a_job_runs_is_seen_and_is_stopped() {
    let Some(nomad) = Stock::new(20.0).await else { return };
    let first = nomad.job("web.nomad.hcl", ("git-1", "git-1"));
    let second = nomad.job("web2.nomad.hcl", ("git-1", "git-2"));
    let plan = nomad.run(&["job", "plan", &first]).await;
    assert_eq!(plan.code, 1, "{}", plan.text);
    assert!(plan.text.contains("+ Job: \"web\"") && plan.text.contains("2 create"), "{}", plan.text);
    nomad
        .says(
            &["job", "run", &first],
            &[
                "finished with status \"complete\"",
                "Status = successful",
                "Deployment completed successfully",
            ],
        )
        .await;
    nomad.says(&["job", "status"], &["web service 50 running"]).await;
    nomad.says(&["job", "status", "web"], &["Status = running", "g 0 0 2 0 0 0 0", "run running"]).await;
    nomad.says(&["status", "web"], &["ID = web"]).await;
    let plan = nomad.run(&["job", "plan", &second]).await;
    assert_eq!(plan.code, 1, "{}", plan.text);
    let wanted = "+/- image: \"registry.example.com/web:git-1\" => \"registry.example.com/web:git-2\"";
    assert!(plan.text.contains(wanted) && plan.text.contains("1 create/destroy update"), "{}", plan.text);
    let same = nomad.run(&["job", "plan", &first]).await;
    assert_eq!(same.code, 0, "{}", same.text);
    nomad.says(&["job", "run", &second], &["Job Version = 1", "Status = successful"]).await;
    nomad.says(&["job", "history", "-p", "web"], &["Version = 1", "Version = 0", "Stable = true"]).await;
    nomad
        .says(
            &["deployment", "status", &nomad.newest("deployments").await],
            &["Job Version = 1", "successful"],
        )
        .await;
    let short = nomad.newest("deployments").await[..8].to_owned();
    nomad.says(&["deployment", "status", &short], &["Job Version = 1", "successful"]).await;
    nomad.says(&["deployment", "status", "-monitor", &short], &["successful"]).await;
    nomad.says(&["deployment", "status"], &["web", &short]).await;
    nomad.says(&["deployment", "list"], &["web"]).await;
    nomad.says(&["job", "inspect", "web"], &["\"Version\": 1"]).await;
    nomad.says(&["job", "revert", "web", "0"], &["Status = successful"]).await;
    nomad.says(&["job", "scale", "web", "g", "1"], &["finished with status \"complete\""]).await;
    nomad.says(&["job", "stop", "web"], &["finished with status \"complete\""]).await;
    nomad.says(&["job", "status", "web"], &["Status = dead (stopped)"]).await;
    nomad.says(&["job", "stop", "-purge", "web"], &[]).await;
    nomad.says(&["job", "status"], &["No running jobs"]).await;
    nomad.sandbox.shut_down().await.expect("an end");
}

#[tokio::test]
async fn nodes_allocations_and_evaluations_are_shown() {
    let Some(nomad) = Stock::new(20.0).await else { return };
    let job = nomad.job("web.nomad.hcl", ("git-1", "git-1"));
    nomad.says(&["job", "run", &job], &["successful"]).await;
    nomad.says(&["node", "status"], &["tf-tata", "tf-titi", "eligible ready"]).await;
    let node = nomad.newest("nodes").await;
    let wanted = [
        "Driver Status = docker,exec,mock_driver,raw_exec",
        "Allocated Resources",
        "200/4000 MHz",
        "g 0 run running",
    ];
    nomad.says(&["node", "status", &node], &wanted).await;
    nomad.says(&["node", "status", &node[..8]], &wanted).await;
    nomad.says(&["node", "status", "-allocs"], &["Running Allocs"]).await;
    let wanted = [
        "Client Status = running",
        "Deployment Health = healthy",
        "Started Task started by client",
        "Downloading image",
    ];
    nomad.says(&["alloc", "status", &nomad.newest("allocations").await], &wanted).await;
    nomad.says(&["eval", "status", &nomad.newest("evaluations").await], &["Status = complete"]).await;
    nomad.says(&["server", "members"], &["tf-tete.global", "alive"]).await;
    nomad.says(&["job", "eval", "web"], &["finished with status \"complete\""]).await;
    nomad.says(&["job", "restart", "-yes", "web"], &["Job restart finished"]).await;
    nomad.says(&["job", "validate", &job], &["Job validation successful"]).await;
    nomad.says(&["system", "gc"], &[]).await;
    nomad.sandbox.shut_down().await.expect("an end");
}

#[tokio::test]
async fn conflicts_bad_images_and_a_full_cluster_are_told() {
    let Some(nomad) = Stock::new(60.0).await else { return };
    let first = nomad.job("web.nomad.hcl", ("git-1", "git-1"));
    nomad.says(&["job", "run", &first], &["successful"]).await;
    let conflict = nomad.run(&["job", "run", "-check-index", "3", &first]).await;
    assert_eq!(conflict.code, 1);
    assert!(conflict.text.contains("job exists with conflicting job modify index"), "{}", conflict.text);
    let exists = nomad.run(&["job", "run", "-check-index", "0", &first]).await;
    assert!(exists.text.contains("Enforcing job modify index 0: job already exists"), "{}", exists.text);

    let bad = nomad.job("bad.nomad.hcl", ("git-1", "git-bad"));
    let failed = nomad.run(&["job", "run", &bad]).await;
    assert_eq!(failed.code, 1, "{}", failed.text);
    assert!(
        failed.text.contains("Failed due to progress deadline - rolling back to job version 0"),
        "{}",
        failed.text
    );
    nomad.says(&["job", "history", "web"], &["Version = 2"]).await;

    let big = nomad.job("big.nomad.hcl", ("cpu = 200", "cpu = 5000"));
    nomad.says(&["job", "run", "-detach", &big], &["Evaluation ID"]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    nomad
        .says(&["job", "status", "web"], &["Placement Failure", "Dimension \"cpu\" exhausted on 2 nodes"])
        .await;
    nomad.sandbox.shut_down().await.expect("an end");
}

#[tokio::test]
async fn the_reference_job_files_run_unchanged() {
    let Some(nomad) = Stock::new(60.0).await else { return };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("nomad-jobs");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("the job files")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "hcl"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 6);
    for file in &files {
        nomad
            .says(&["job", "run", &file.display().to_string()], &["Deployment completed successfully"])
            .await;
        let again = nomad.run(&["job", "plan", &file.display().to_string()]).await;
        assert_eq!(again.code, 0, "{}", again.text);
    }
    nomad.sandbox.shut_down().await.expect("an end");
}
