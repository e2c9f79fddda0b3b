//! `blackstart job`: job files by themselves, through the real binary, in a folder that is no project.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

mod common;
mod mutation;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Fixture, Outcome, outcome, program};
use serde_json::Value;

const WEB: &str = "variable \"tag\" {}\n\njob \"web\" {\n  meta {\n    depends_on = \"db\"\n  }\n  group \"web\" {\n    task \"app\" {\n      driver = \"docker\"\n      config {\n        image = \"registry.example.com/web:${var.tag}\"\n      }\n    }\n  }\n}\n";

fn job(name: &str, inner: &str) -> String {
    format!(
        "job \"{name}\" {{\n{inner}  group \"g\" {{\n    task \"t\" {{\n      driver = \"docker\"\n      config {{\n        image = \"{name}:1\"\n      }}\n    }}\n  }}\n}}\n"
    )
}

/// A folder without a blackstart.hcl.
struct Folder {
    fixture: Fixture,
    dir: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let fixture = Fixture::new();
        let dir = fixture.path("plain");
        fs::create_dir(&dir).unwrap();
        Self { fixture, dir }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.fixture.command_in(&self.dir, &[&["job"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(arguments))
    }

    fn with_stdin(&self, arguments: &[&str], text: &[u8]) -> Outcome {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = text.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&text));
        let output = child.wait_with_output().unwrap();
        // A command that has read enough need not read the rest.
        let _ = writer.join().unwrap();
        Outcome {
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            code: output.status.code(),
            signal: None,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// How it ended and what it said.
    fn said(&self, arguments: &[&str]) -> String {
        shown(&self.run(arguments))
    }
}

fn shown(outcome: &Outcome) -> String {
    let Outcome { stdout, stderr, .. } = outcome;
    format!("exit {}\n--- stdout\n{stdout}--- stderr\n{stderr}", outcome.code.unwrap())
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error} in {outcome}"))
}

fn nomad() -> Option<PathBuf> {
    let found = std::env::var_os("NOMAD_BIN").map(PathBuf::from).or_else(|| program("nomad"));
    if found.is_none() {
        println!("skipped: NOMAD_BIN is not set and nomad is not on PATH");
    }
    found
}

#[test]
fn parse_prints_what_the_api_takes() {
    let folder = Folder::new();
    folder.write("web.nomad.hcl", WEB);
    insta::assert_snapshot!("parse", folder.said(&["parse", "web.nomad.hcl", "-var", "tag=a<b"]));
    let stdin = folder.with_stdin(&["parse", "--var=tag=a<b", "-"], WEB.as_bytes());
    assert_eq!(stdin.stdout, folder.run(&["parse", "web.nomad.hcl", "-var=tag=a<b"]).stdout);
    // What it prints it reads again, as the stock client does with -json.
    let machine = folder.run(&["parse", "web.nomad.hcl", "-var", "tag=1", "--json"]).code(0);
    assert_eq!(
        json(&machine)["Job"]["TaskGroups"][0]["Tasks"][0]["Config"]["image"],
        "registry.example.com/web:1"
    );
    assert_eq!(machine.stdout.lines().count(), 1);
}

#[test]
fn variables_come_from_where_the_stock_client_takes_them() {
    let folder = Folder::new();
    folder.write("web.nomad.hcl", WEB);
    folder.write("a.hcl", "tag = \"file\"\n");
    folder.write("b.json", "{\"tag\": \"json\"}");
    let image = |arguments: &[&str]| {
        let all = [&["parse", "web.nomad.hcl"], arguments].concat();
        let image =
            json(&folder.run(&all).code(0))["Job"]["TaskGroups"][0]["Tasks"][0]["Config"]["image"].clone();
        image.as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    };
    folder.fixture.set("NOMAD_VAR_tag", "shell");
    assert_eq!(image(&[]), "shell");
    assert_eq!(image(&["-var-file", "a.hcl"]), "file");
    assert_eq!(image(&["-var-file=a.hcl", "--var-file", "b.json"]), "json");
    assert_eq!(image(&["--var-file=a.hcl", "-var", "tag=given"]), "given");
    assert_eq!(image(&["--var", "tag=one", "-var=tag=two"]), "two");
    folder.fixture.unset("NOMAD_VAR_tag");
    insta::assert_snapshot!("no_value", folder.said(&["parse", "web.nomad.hcl"]));
    let undeclared = folder.run(&["parse", "web.nomad.hcl", "-var", "tga=1", "-var", "tag=1"]).code(1);
    assert!(undeclared.stderr.contains("did you mean `tag`?"), "{undeclared}");
}

/// Byte for byte, wherever the real thing is: the reference environment's files and the corpus.
#[test]
fn parse_prints_as_nomad_does() {
    let Some(nomad) = nomad() else { return };
    let folder = Folder::new();
    let mut files = Vec::new();
    mutation::below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("nomad-jobs"), &mut files);
    if let Some(dir) = mutation::conformance() {
        mutation::below(&dir, &mut files);
    }
    // Files that need flags or variables are the conformance test's.
    let plain = |path: &PathBuf| {
        let name = path.to_string_lossy();
        let beside = |end: &str| PathBuf::from(format!("{name}{end}")).exists();
        (name.ends_with(".nomad.hcl") || name.ends_with(".nomad"))
            && !beside(".args")
            && !beside(".err")
            && !path.with_file_name("cmd.txt").exists()
    };
    let mut compared = 0;
    for path in files.into_iter().filter(plain) {
        let dir = path.parent().unwrap();
        let stock = Command::new(&nomad)
            .args(["job", "run", "-output"])
            .arg(&path)
            .current_dir(dir)
            .output()
            .unwrap();
        if !stock.status.success() {
            continue;
        }
        let ours = outcome(&mut folder.fixture.command_in(dir, &["job", "parse", path.to_str().unwrap()]));
        assert_eq!(
            ours.stdout,
            String::from_utf8(stock.stdout).unwrap(),
            "{}\n{}",
            path.display(),
            ours.stderr
        );
        compared += 1;
    }
    println!("{compared} job files printed as nomad job run -output prints them");
    assert!(compared >= 6);
}

#[test]
fn validate_tells_every_error_of_every_file() {
    let folder = Folder::new();
    folder.write("jobs/good.nomad.hcl", job("good", ""));
    folder.write("jobs/typo.nomad", job("typo", "  datacentres = [\"a\"]\n  priority    = \"high\"\n"));
    folder.write("jobs/open.nomad.hcl", "job \"open\" {\r\n  group \"g\" {\r\n    count = [1\r\n  }\r\n");
    folder.write("jobs/deep/below.hcl", job("below", "  meta {\n    depends_on = \"goood\"\n  }\n"));
    folder.write("jobs/bad.nomad.json", "{\"job\": {\"j\": {\"priority\": []}}}");
    folder.write("jobs/settings.hcl", "log_level = \"DEBUG\"\n");
    folder.write("jobs/.hidden/x.nomad", "broken");
    folder.write("jobs/notes.txt", "broken {");
    folder.write("jobs/latin.nomad.hcl", b"job \"l\" {\n  # caf\xe9\n}\n");
    insta::assert_snapshot!("validate", folder.said(&["validate", "jobs"]));
    let machine = folder.run(&["validate", "jobs", "--json"]).code(1);
    insta::assert_snapshot!("validate_json", serde_json::to_string_pretty(&json(&machine)).unwrap());
    assert!(machine.stderr.is_empty(), "{machine}");
}

#[test]
fn a_job_whose_file_is_broken_is_not_missing() {
    let folder = Folder::new();
    folder.write("db.nomad.hcl", "job \"db\" {\n  priority = \n}\n");
    folder.write("web.nomad.hcl", job("web", "  meta {\n    depends_on = \"db\"\n  }\n"));
    folder.run(&["validate", "."]).code(1).never_says("no file holds");
}

#[test]
fn validate_says_so_where_all_is_right() {
    let folder = Folder::new();
    folder.write("a.nomad.hcl", job("a", ""));
    folder.write("crlf.nomad.hcl", job("b", "").replace('\n', "\r\n"));
    folder.write("bom.nomad.hcl", format!("\u{feff}{}", job("c", "")));
    folder.write(
        "d.nomad.json",
        "{\"job\": {\"d\": {\"group\": {\"g\": {\"task\": {\"t\": {\"driver\": \"exec\"}}}}}}}",
    );
    let right = folder.run(&["validate", "."]).code(0);
    assert_eq!(right.stdout, "4 job files checked, no error.\n", "{right}");
    folder.with_stdin(&["validate", "-"], job("s", "").as_bytes()).code(0);
    let wrong = folder.with_stdin(&["validate", "-"], b"job \"s\" {").code(1);
    assert!(wrong.stderr.starts_with("error: <stdin>:1:1: "), "{wrong}");
    // From another folder, by -C.
    let mut command =
        folder.fixture.command_in(&folder.fixture.path("home"), &["job", "validate", "a.nomad.hcl", "-C"]);
    outcome(command.arg(&folder.dir)).code(0);
}

#[test]
fn values_for_many_files_go_to_those_that_declare_them() {
    let folder = Folder::new();
    folder.write("jobs/web.nomad.hcl", WEB);
    folder.write("jobs/db.nomad.hcl", job("db", ""));
    folder.write("values.hcl", "tag = \"1\"\nother = 2\n");
    folder.run(&["validate", "jobs", "-var", "tag=1"]).code(0);
    folder.run(&["validate", "jobs", "-var-file", "values.hcl"]).code(0);
    let none = folder.run(&["validate", "jobs", "-var", "tag=1", "-var", "nobody=1"]).code(1);
    assert!(none.stderr.contains("no job file has a variable `nobody`"), "{none}");
    let alone = folder.run(&["validate", "jobs/db.nomad.hcl", "-var", "tag=1"]).code(1);
    assert!(alone.stderr.contains("has no variable `tag`"), "{alone}");
}

#[test]
fn what_can_t_be_read_is_told() {
    let folder = Folder::new();
    fs::create_dir_all(folder.dir.join("empty/inner")).unwrap();
    symlink("nowhere", folder.dir.join("gone.nomad.hcl")).unwrap();
    folder.write("huge.nomad.hcl", vec![b'#'; (8 << 20) + 1]);
    symlink("/dev/zero", folder.dir.join("endless.nomad.hcl")).unwrap();
    let arguments = ["validate", "empty", "gone.nomad.hcl", "missing", "huge.nomad.hcl", "endless.nomad.hcl"];
    insta::assert_snapshot!("unreadable", folder.said(&arguments));
    folder.run(&["parse", "empty"]).code(1).says("is a folder");
    folder.run(&["parse", "missing"]).code(1).says("missing can't be read");
    folder.run(&["validate"]).code(1);
    if !nix::unistd::geteuid().is_root() {
        let closed = folder.write("closed.nomad.hcl", "");
        fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
        folder.run(&["validate", "closed.nomad.hcl"]).code(1).says("Permission denied");
    }
}

#[test]
fn functions_stay_in_the_project() {
    let folder = Folder::new();
    folder.write("secret.txt", "outside");
    folder.write("project/blackstart.hcl", "project = \"p\"\n");
    folder.write("project/shared.txt", "inside");
    let reads = |path: &str| job("f", &format!("  meta {{\n    text = file(\"{path}\")\n  }}\n"));
    folder.write("project/jobs/in.nomad.hcl", reads("../shared.txt"));
    folder.write("project/jobs/out.nomad.hcl", reads("../../secret.txt"));
    let dir = folder.dir.join("project/jobs");
    let run = |arguments: &[&str]| {
        outcome(&mut folder.fixture.command_in(&dir, &[&["job", "parse"], arguments].concat()))
    };
    assert_eq!(json(&run(&["in.nomad.hcl"]).code(0))["Job"]["Meta"]["text"], "inside");
    run(&["out.nomad.hcl"]).code(1).says("lies outside");
    assert_eq!(json(&run(&["out.nomad.hcl", "--allow-outside"]).code(0))["Job"]["Meta"]["text"], "outside");
}

const UGLY: &str = "# kept\njob \"a\" {\n\ttype=\"batch\"\n  datacenters   = [ \"x\",\"y\" ]\n}\n";
const NICE: &str = "# kept\njob \"a\" {\n  type        = \"batch\"\n  datacenters = [\"x\", \"y\"]\n}\n";

#[test]
fn fmt_rewrites_files_and_lists_them() {
    let folder = Folder::new();
    let ugly = folder.write("ugly.nomad.hcl", UGLY);
    fs::set_permissions(&ugly, fs::Permissions::from_mode(0o640)).unwrap();
    folder.write("crlf.hcl", UGLY.replace('\n', "\r\n"));
    folder.write("nice.nomad", NICE);
    folder.write("below/ugly.hcl", UGLY);
    folder.write("other.tf", UGLY);
    folder.write("broken.hcl", "a = [\n");
    symlink("below/ugly.hcl", folder.dir.join("link.hcl")).unwrap();
    let check = folder.said(&["fmt", "-check"]);
    assert_eq!(folder.read("ugly.nomad.hcl"), UGLY);
    insta::assert_snapshot!("fmt", folder.said(&["fmt"]));
    assert_eq!(
        check,
        folder
            .said(&["fmt", "--check"])
            .replace("--- stdout\n", "--- stdout\ncrlf.hcl\nlink.hcl\nugly.nomad.hcl\n")
    );
    assert_eq!(folder.read("ugly.nomad.hcl"), NICE);
    assert_eq!(fs::metadata(&ugly).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(folder.read("crlf.hcl"), NICE.replace('\n', "\r\n"));
    assert!(folder.dir.join("link.hcl").is_symlink());
    assert_eq!(folder.read("below/ugly.hcl"), NICE);
    assert_eq!(folder.read("other.tf"), UGLY);
    assert_eq!(folder.read("broken.hcl"), "a = [\n");
    fs::remove_file(folder.dir.join("broken.hcl")).unwrap();
    folder.run(&["fmt", "--check"]).code(0);
    folder.write("below/ugly.hcl", UGLY);
    folder.run(&["fmt", "--check", "below", "nice.nomad"]).code(1);
    let listed = folder.run(&["fmt", "-recursive", "--json"]).code(0);
    assert_eq!(json(&listed)["changed"][0], "below/ugly.hcl");
    // No file of its own is left behind.
    let names = fs::read_dir(&folder.dir).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.map(|name| name.into_string().unwrap()).all(|name| !name.starts_with('.')));
}

#[test]
fn fmt_passes_standard_input_on() {
    let folder = Folder::new();
    let said = folder.with_stdin(&["fmt", "-"], UGLY.as_bytes()).code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), (NICE, ""));
    folder.with_stdin(&["fmt", "--check", "-"], UGLY.as_bytes()).code(1);
    folder.with_stdin(&["fmt", "--check", "-"], NICE.as_bytes()).code(0);
    let wrong = folder.with_stdin(&["fmt", "-"], b"a {").code(1);
    assert!(wrong.stdout.is_empty() && wrong.stderr.contains("<stdin>:1:1"), "{wrong}");
}

#[test]
fn diff_tells_what_differs_in_effect() {
    let folder = Folder::new();
    let inner = "  meta {\n    owner = \"a\"\n  }\n";
    let old = job("web", inner);
    let new = old
        .replace("owner = \"a\"", "owner = \"b\"")
        .replace("web:1", "web:2")
        .replace("group \"g\" {\n", "group \"g\" {\n    count = 3\n")
        .replace("      driver", "      env {\n        NEW = \"1\"\n      }\n      driver");
    folder.write("old.nomad.hcl", &old);
    folder.write("new.nomad.hcl", &new);
    insta::assert_snapshot!("diff", folder.said(&["diff", "old.nomad.hcl", "new.nomad.hcl"]));
    // What Nomad fills in by itself makes no difference, written or not.
    let spelled = old
        .replace("group \"g\" {\n", "type = \"service\"\n  priority = 50\n  group \"g\" {\n    count = 1\n");
    folder.write("spelled.nomad.hcl", spelled);
    let same = folder.run(&["diff", "old.nomad.hcl", "spelled.nomad.hcl"]).code(0);
    assert_eq!(same.stdout, "They are the same job.\n");
    let parsed = folder.run(&["parse", "old.nomad.hcl"]).code(0).stdout;
    let machine = folder.run(&["diff", "old.nomad.hcl", "new.nomad.hcl", "--json"]).code(2);
    assert_eq!(json(&machine)["same"], false);
    assert_eq!(json(&machine)["changes"].as_array().unwrap().len(), 4, "{machine}");
    // A whole group more: only what it says itself, not what Nomad fills in.
    let more = old.replace(
        "  group \"g\"",
        "  group \"more\" {\n    task \"x\" {\n      driver = \"exec\"\n    }\n  }\n  group \"g\"",
    );
    folder.write("more.nomad.hcl", more);
    insta::assert_snapshot!("diff_group", folder.said(&["diff", "old.nomad.hcl", "more.nomad.hcl"]));
    folder
        .run(&["diff", "old.nomad.hcl", "missing.nomad.hcl"])
        .code(1)
        .says("missing.nomad.hcl can't be read");
    drop(parsed);
}

#[test]
fn diff_with_a_registered_job() {
    let fixture = Fixture::new();
    fixture.set("PATH", fixture.path("home").display().to_string());
    fixture.sandbox(&[]);
    fixture.ok(&["start", "sandbox", "--yes"]);
    let monitor = "nomad-jobs/monitor.nomad.hcl";
    let same = fixture.run(&["job", "diff", "job:monitor", monitor, "-e", "sandbox"]).code(0);
    same.says("They are the same job.");
    fixture.replace(monitor, "git-5d20c8f1", "git-1a2b3c4d");
    let changed = fixture.run(&["job", "diff", "job:monitor", monitor, "-e", "sandbox"]).code(2);
    changed.says("monitor:git-5d20c8f1\" → \"").says("git-1a2b3c4d");
    // Without an environment, as the stock client finds it.
    let address = fixture.sandbox_file()["nomad"].as_str().unwrap().to_owned();
    fixture.set("NOMAD_ADDR", &address);
    fixture.run(&["job", "diff", monitor, "job:monitor@0"]).code(2);
    fixture.run(&["job", "diff", monitor, "job:nobody"]).code(1).says("there is no job 'nobody'");
    fixture.run(&["job", "diff", monitor, "job:monitor@9"]).code(1).says("in version 9");
}

#[test]
fn graph_puts_jobs_in_order() {
    let folder = Folder::new();
    let offers = |name: &str, provider: &str| {
        format!(
            "  group \"offers\" {{\n    network {{\n      port \"p\" {{}}\n    }}\n    service {{\n      name     = \"{name}\"\n      provider = \"{provider}\"\n      port     = \"p\"\n    }}\n    task \"s\" {{\n      driver = \"docker\"\n    }}\n  }}\n"
        )
    };
    let template = |text: &str| {
        format!(
            "  group \"looks\" {{\n    task \"l\" {{\n      driver = \"docker\"\n      template {{\n        destination = \"local/x\"\n        data        = <<EOT\n{text}\nEOT\n      }}\n    }}\n  }}\n"
        )
    };
    folder.write("jobs/db.nomad.hcl", job("db", &offers("${NOMAD_JOB_NAME}-sql", "nomad")));
    folder.write("jobs/queue.nomad.hcl", job("queue", &offers("amqp", "consul")));
    folder.write(
        "jobs/api.nomad.hcl",
        job("api", &template("{{ range nomadService \"db-sql\" }}{{ .Port }}{{ end }}")),
    );
    folder.write(
        "jobs/web.nomad.hcl",
        job(
            "web",
            &format!(
                "  meta {{\n    depends_on = \"api, db\"\n  }}\n{}",
                template("{{ with service \"primary.amqp@dc1\" }}{{ end }}{{ service \"elsewhere\" }}")
            ),
        ),
    );
    folder.write("jobs/proxy.nomad.hcl", job("proxy", "  group \"p\" {\n    network {\n      mode = \"bridge\"\n    }\n    service {\n      name = \"proxy\"\n      port = \"80\"\n      connect {\n        sidecar_service {\n          proxy {\n            upstreams {\n              destination_name = \"amqp\"\n              local_bind_port  = 1\n            }\n          }\n        }\n      }\n    }\n    task \"x\" {\n      driver = \"docker\"\n    }\n  }\n"));
    insta::assert_snapshot!("graph", folder.said(&["graph", "jobs"]));
    insta::assert_snapshot!("graph_dot", folder.said(&["graph", "jobs", "--dot"]));
    let machine = json(&folder.run(&["graph", "jobs", "--json"]).code(0));
    assert_eq!(machine["levels"][0][0]["id"], "db");
    assert_eq!(machine["levels"][1][0]["after"][0]["service"], "db-sql");
    // Consul's db-sql is not Nomad's.
    folder.write("jobs/db.nomad.hcl", job("db", &offers("db-sql", "consul")));
    folder.run(&["graph", "jobs"]).code(0).says("looks for db-sql, which no job here offers");
    folder.write("jobs/api.nomad.hcl", job("api", "  meta {\n    depends_on = \"web\"\n  }\n"));
    insta::assert_snapshot!("graph_cycle", folder.said(&["graph", "jobs"]));
    folder.run(&["validate", "jobs"]).code(1).says("these jobs wait for one another");
    // Two rings, and one that is told by itself.
    folder.write("jobs/left.nomad.hcl", job("left", "  meta {\n    depends_on = \"right\"\n  }\n"));
    folder.write("jobs/right.nomad.hcl", job("right", "  meta {\n    depends_on = \"left\"\n  }\n"));
    let machine = json(&folder.run(&["graph", "jobs", "--json"]).code(1));
    assert_eq!(machine["cycles"], serde_json::json!([["api", "web"], ["left", "right"]]));
    folder.run(&["validate", "jobs"]).code(1).says("left → right → left").says("api → web → api");
}

#[test]
fn an_environment_s_var_files_count_where_it_is_named() {
    let fixture = Fixture::new();
    fixture.write("nomad-jobs/monitor.nomad.hcl", &WEB.replace("depends_on = \"db\"", ""));
    fixture.write("values.hcl", "tag = \"environment\"\nother = 1\n");
    fixture.replace(
        "blackstart.hcl",
        "address = sandbox.nomad\n",
        "address = sandbox.nomad\n    var_files = [\"values.hcl\"]\n",
    );
    let parsed = fixture.run(&["job", "parse", "nomad-jobs/monitor.nomad.hcl", "-e", "sandbox"]);
    assert!(parsed.stdout.contains("registry.example.com/web:environment"), "{parsed}");
}

#[test]
fn help_has_examples() {
    let folder = Folder::new();
    for verb in ["parse", "validate", "fmt", "diff", "graph"] {
        let help = folder.run(&[verb, "--help"]).code(0);
        assert!(
            help.stdout.contains(&format!("blackstart job {verb} ")) && help.stdout.contains("Examples:"),
            "{help}"
        );
    }
}
