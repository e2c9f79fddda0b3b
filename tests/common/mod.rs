//! The real binary in a copy of the reference environment, in an environment of its own.
//!
//! Every command runs with a cleared environment: PATH, a HOME, a TMPDIR and a state directory that are
//! the fixture's, and what a test adds. Whatever the fixture started is ended when it is dropped, children
//! of a killed process included, before its folder goes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test uses a part of it, fails by panicking, and says what it skips"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The folders and files of the reference environment.
const REFERENCE: [&str; 5] = ["blackstart.hcl", "terraform", "nomad-jobs", "tfvars-examples", "plans"];

/// How long anything may take at most that a test waits for. Never reached by a test that passes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The 13 managed resources of module.core.
pub const CORE: usize = 13;

/// A copy of the reference environment, and where commands on it live.
pub struct Fixture {
    temp: TempDir,
    variables: Mutex<BTreeMap<String, String>>,
    children: Mutex<Vec<Child>>,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Outcome {
    pub arguments: Vec<String>,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A resource of a Terraform state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    pub address: String,
    pub id: String,
    pub tainted: bool,
}

/// Whether the real `terraform` is there; where not, says that the test is skipped.
pub fn has_terraform() -> bool {
    if program("terraform").is_some() {
        return true;
    }
    println!("skipped: terraform is not on PATH");
    false
}

/// A program of this process's PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

impl Fixture {
    /// A fresh copy, with nothing created yet.
    pub fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("blackstart-test-").tempdir().unwrap();
        let fixture = Self { temp, variables: Mutex::default(), children: Mutex::default() };
        for folder in ["home", "tmp", "state"] {
            fs::create_dir(fixture.path(folder)).unwrap();
        }
        fixture.checkout("project");
        fixture.set("PATH", std::env::var("PATH").unwrap());
        fixture.set("HOME", fixture.path("home"));
        fixture.set("TMPDIR", fixture.path("tmp"));
        fixture.set("BLACKSTART_STATE_DIR", fixture.state_root());
        fixture.set("USER", "tester");
        fixture
    }

    /// With a running sandbox that follows the Terraform state, a minute of its time a second.
    pub fn with_sandbox() -> Self {
        let fixture = Self::new();
        fixture.sandbox(&[]);
        fixture
    }

    /// A file or folder of the fixture.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.temp.path().join(name)
    }

    /// The checkout that commands work in.
    pub fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// What BLACKSTART_STATE_DIR says.
    pub fn state_root(&self) -> PathBuf {
        self.path("state")
    }

    /// The state directory of an environment of the reference project.
    pub fn state_dir(&self, environment: &str) -> PathBuf {
        self.state_root().join("cosims").join(environment)
    }

    /// Another checkout of the reference environment.
    pub fn checkout(&self, name: &str) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = self.path(name);
        fs::create_dir(&target).unwrap();
        for name in REFERENCE {
            copy(&root.join(name), &target.join(name));
        }
        target
    }

    /// A variable of every later command's environment.
    pub fn set(&self, name: &str, value: impl AsRef<OsStr>) {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.variables.lock().unwrap().insert(name.to_owned(), value);
    }

    pub fn unset(&self, name: &str) {
        self.variables.lock().unwrap().remove(name);
    }

    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables.lock().unwrap().clone()
    }

    /// The text of a file of the project.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.project().join(name)).unwrap()
    }

    /// Writes a file of the project, and its folder where that is missing.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.project().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces text that must be there.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replace(old, new));
    }

    pub fn append(&self, name: &str, text: &str) {
        self.write(name, &format!("{}{text}", self.read(name)));
    }

    /// An executable file in a folder of the fixture, which is made.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A command of the binary in the project, nothing on its standard input.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        self.command_in(&self.project(), arguments)
    }

    pub fn command_in<A: AsRef<OsStr>>(&self, dir: &Path, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blackstart"));
        command.args(arguments).current_dir(dir).env_clear().envs(self.variables());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Outcome {
        outcome(&mut self.command(arguments))
    }

    /// Runs a command to its end that must succeed.
    pub fn ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Outcome {
        self.run(arguments).code(0)
    }

    /// Starts `blackstart sandbox` in the project and gives the address it prints first.
    pub fn sandbox(&self, arguments: &[&str]) -> String {
        let mut command = self.command(&["sandbox", "--listen", "127.0.0.1:0"]);
        let log = fs::File::create(self.path("sandbox.stderr")).unwrap();
        let mut child = command.args(arguments).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.children.lock().unwrap().push(child);
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let log = || fs::read_to_string(self.path("sandbox.stderr")).unwrap_or_default();
        assert!(first.starts_with("http://127.0.0.1:"), "the sandbox said {first:?}\n{}", log());
        // Its output is read to the end, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        first
    }

    /// Starts a command in the background; it is killed when the fixture goes, if it is still there.
    /// Standard output and error go to `NAME.stdout` and `NAME.stderr` of the fixture.
    pub fn spawn(&self, name: &str, mut command: Command) -> Running<'_> {
        let file = |kind: &str| fs::File::create(self.path(format!("{name}.{kind}"))).unwrap();
        let arguments = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        let pid = child.id();
        self.children.lock().unwrap().push(child);
        Running { fixture: self, name: name.to_owned(), pid, arguments }
    }

    /// Runs the real `terraform` by hand in the sandbox's workspace; it must succeed. Where `arguments` is
    /// an apply or a destroy, var files and approval are added.
    pub fn terraform(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program("terraform").unwrap());
        command.args(arguments).current_dir(self.project().join("terraform")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.path("home"));
        command
            .env("TF_WORKSPACE", "sandbox")
            .env("TF_DATA_DIR", self.state_dir("sandbox").join("terraform"));
        command.env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
        if ["apply", "destroy"].contains(&arguments[0]) {
            command.arg("-auto-approve");
            for name in ["test_env_configuration", "test_env_secrets"] {
                command.arg(format!("-var-file=../tfvars-examples/{name}.tfvars"));
            }
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// The state of a workspace as Terraform wrote it; none where it never did.
    pub fn terraform_state(&self, workspace: &str) -> Option<Value> {
        let path =
            self.project().join("terraform/terraform.tfstate.d").join(workspace).join("terraform.tfstate");
        Some(serde_json::from_slice(&fs::read(path).ok()?).unwrap())
    }

    /// The managed resources of a workspace's state below a module.
    pub fn resources(&self, workspace: &str, module: &str) -> Vec<Resource> {
        let state = self.terraform_state(workspace).unwrap_or_default();
        let mut found = Vec::new();
        for resource in state["resources"].as_array().into_iter().flatten() {
            let inside = resource["module"].as_str().unwrap_or_default();
            if resource["mode"] != "managed" || inside != module {
                continue;
            }
            let dot = if inside.is_empty() { "" } else { "." };
            let name = format!(
                "{inside}{dot}{}.{}",
                resource["type"].as_str().unwrap(),
                resource["name"].as_str().unwrap()
            );
            for instance in resource["instances"].as_array().into_iter().flatten() {
                let key = &instance["index_key"];
                let address = if key.is_null() { name.clone() } else { format!("{name}[{key}]") };
                let id = instance["attributes"]["id"].as_str().unwrap_or_default().to_owned();
                found.push(Resource { address, id, tainted: instance["status"] == "tainted" });
            }
        }
        found.sort();
        found
    }

    /// Of module.core, in the sandbox's workspace.
    pub fn core(&self) -> Vec<Resource> {
        self.resources("sandbox", "module.core")
    }

    /// Of module.persistent, in the sandbox's workspace.
    pub fn persistent(&self) -> Vec<Resource> {
        self.resources("sandbox", "module.persistent")
    }

    /// The serial of a workspace's state; 0 where there is none.
    pub fn serial(&self, workspace: &str) -> u64 {
        self.terraform_state(workspace).map_or(0, |state| state["serial"].as_u64().unwrap())
    }

    /// Every record of an environment's journal, as (run, body).
    pub fn journal(&self, environment: &str) -> Vec<(String, Value)> {
        let path = self.state_dir(environment).join("journal.db");
        if !path.exists() {
            return Vec::new();
        }
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        let Ok(mut statement) = connection.prepare("select run, body from records order by seq") else {
            return Vec::new();
        };
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
        rows.map(|row| row.map(|(run, body)| (run, serde_json::from_str(&body).unwrap())).unwrap()).collect()
    }

    /// The types of the journal's records, in order.
    pub fn journal_types(&self, environment: &str) -> Vec<String> {
        let records = self.journal(environment);
        records.iter().map(|(_, body)| body["type"].as_str().unwrap().to_owned()).collect()
    }

    /// A JSON document of the sandbox's Nomad API; none while nothing answers.
    pub fn nomad(&self, path: &str) -> Option<Value> {
        let address = self.sandbox_file()["nomad"].as_str().unwrap().to_owned();
        get(&format!("{address}{path}"))
    }

    /// Somebody registers a job beside us.
    pub fn register(&self, job: &Value) {
        let address = self.sandbox_file()["nomad"].as_str().unwrap().to_owned();
        assert!(put(&format!("{address}/v1/jobs"), &serde_json::json!({ "Job": job })));
    }

    /// `sandbox.json`
    pub fn sandbox_file(&self) -> Value {
        serde_json::from_slice(&fs::read(self.state_dir("sandbox").join("sandbox.json")).unwrap()).unwrap()
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for child in self.children.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // A terraform that outlived its parent works below this folder, and nothing else does.
        for id in working_in(self.temp.path()) {
            let _ = Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
        }
    }
}

/// Processes whose current folder lies below `root`.
fn working_in(root: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        // A zombie has no folder: it doesn't work any more.
        fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|folder| folder.starts_with(root))
            && *id != std::process::id()
    })
    .collect()
}

/// A command in the background.
pub struct Running<'f> {
    fixture: &'f Fixture,
    name: String,
    pub pid: u32,
    arguments: Vec<String>,
}

impl Running<'_> {
    /// What it has printed on stdout so far.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    pub fn stderr(&self) -> String {
        self.output("stderr")
    }

    fn output(&self, kind: &str) -> String {
        let bytes = fs::read(self.fixture.path(format!("{}.{kind}", self.name))).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends one signal (`INT`, `KILL`) to this process alone.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid.to_string()]).status().unwrap();
        assert!(status.success(), "the signal {name} can't be sent to {}", self.name);
    }

    /// Waits until it has printed `text` on stdout or stderr.
    pub fn until_says(&self, text: &str) {
        wait_until(&format!("{:?} from {}", text, self.name), || {
            self.stdout().contains(text) || self.stderr().contains(text)
        });
    }

    pub fn ended(&self) -> bool {
        let mut children = self.fixture.children.lock().unwrap();
        let child = children.iter_mut().find(|child| child.id() == self.pid).unwrap();
        child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub fn wait(self) -> Outcome {
        wait_until(&format!("the end of {}", self.name), || self.ended());
        let mut children = self.fixture.children.lock().unwrap();
        let place = children.iter().position(|child| child.id() == self.pid).unwrap();
        let status = children.remove(place).wait().unwrap();
        drop(children);
        Outcome {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
            arguments: self.arguments,
        }
    }
}

impl Outcome {
    /// Asserts the exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "the exit code of {self}");
        self
    }

    /// Asserts that stdout or stderr has the text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.text().contains(text), "no {text:?} in {self}");
        self
    }

    /// Asserts that neither has it.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.text().contains(text), "{text:?} in {self}");
        self
    }

    /// Stdout, then stderr.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Where `text` is first, among all that was printed on stdout.
    #[track_caller]
    pub fn place(&self, text: &str) -> usize {
        self.stdout.find(text).unwrap_or_else(|| panic!("no {text:?} on stdout of {self}"))
    }

    /// The first word of 12 or more hexadecimal digits after the word `decision` or `digest`.
    #[track_caller]
    pub fn digest(&self) -> String {
        let hexadecimal = |word: &&str| word.len() >= 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let text = self.text();
        let after = text.find("ecision").or_else(|| text.find("igest")).unwrap_or(0);
        let mut words = text[after..].split(|c: char| !c.is_ascii_alphanumeric());
        words.find(hexadecimal).unwrap_or_else(|| panic!("no digest in {self}")).to_owned()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { arguments, code, signal, stdout, stderr } = self;
        let arguments = arguments.join(" ");
        write!(
            f,
            "`blackstart {arguments}` (code {code:?}, signal {signal:?})\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// A program that begins once its terminal has so many columns and 50 rows: a terminal is told them after its
/// first process was started, which may have looked by then.
pub fn on_columns(columns: u16, program: &OsStr) -> Command {
    let mut command = Command::new("sh");
    let wait =
        format!("until [ \"$(stty size)\" = \"50 {columns}\" ]; do sleep 0.01; done; exec \"$0\" \"$@\"");
    command.args(["-c", &wait]).arg(program);
    command
}

/// Runs a prepared command to its end.
pub fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        arguments: command.get_args().map(|a| a.to_string_lossy().into_owned()).collect(),
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Looks again and again until it holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let pause = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !holds() {
        assert!(waited < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(pause);
        waited += pause;
    }
}

/// Sends a JSON document; whether that went well.
pub fn put(url: &str, document: &Value) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().put(url).body(document.to_string());
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    })
}

/// A JSON document over HTTP; none where nothing answers or the answer isn't a success.
pub fn get(url: &str) -> Option<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let response = reqwest::get(url).await.ok()?.error_for_status().ok()?;
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    })
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        // What working in the reference environment by hand leaves behind stays there.
        if name == ".terraform" || name.to_string_lossy().starts_with("terraform.tfstate") {
            continue;
        }
        copy(&from.join(&name), &to.join(&name));
    }
}
