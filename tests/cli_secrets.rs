//! Canaries in everything that holds secrets, and a look at everything that leaves the program: what it
//! prints, keeps, starts and leaves behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use common::{CORE, Fixture, Outcome, has_terraform, wait_until};

/// In every canary, on each of its lines, and in nothing else. A piece that passes shows whose it is.
const MARK: &str = "CANARY7";

/// Three lines with what shells, JSON (Go's too) and HCL escape.
fn canary(name: &str) -> String {
    format!("{MARK}{name}-a \"q\" \\ <y>&z\nsecond $5 & <{MARK}{name}-b> \\\"\n{MARK}{name}-c\\n é")
}

/// One line, as headers and URLs need it.
fn short(name: &str) -> String {
    format!("{MARK}{name}-\"q\"\\<y>&z")
}

fn heredoc(name: &str, value: &str) -> String {
    format!("{name} = <<-EOT\n{value}\nEOT\n")
}

/// Where the token comes from.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    EnvFile,
    File,
}

/// A sandbox whose every secret is a canary, and whose Terraform, jobs and plans blurt them out.
fn leaky(token: Token) -> Fixture {
    let fixture = Fixture::new();
    let secrets =
        ["bucket_secret_key", "sip_data_secret_key", "scihub_account_password", "database_password"];
    let values: String = secrets.iter().map(|name| heredoc(name, &canary(name))).collect();
    fixture.write("tfvars-examples/test_env_secrets.tfvars", &values);
    // A sensitive variable in a file that isn't called secret.
    fixture
        .append("tfvars-examples/test_env_configuration.tfvars", &heredoc("elsewhere", &canary("elsewhere")));
    fixture.append(
        "terraform/variables.tf",
        "\nvariable \"elsewhere\" {\n  type      = string\n  sensitive = true\n}\n",
    );
    fixture.write("sandbox_secrets.nomadvars.hcl", &heredoc("api_key", &canary("job")));
    fixture.write(
        "openrc.env",
        &format!("export API_SECRET='{}'\nNOMAD_TOKEN='{}'\n", canary("env"), short("token")),
    );
    if token == Token::File {
        fixture.write("nomad.token", &format!("{}\n", short("tokenfile")));
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(fixture.project().join("nomad.token"), private).unwrap();
    }
    fixture.set("DATABASE_URL", format!("postgres://cosims:{MARK}urlpass@127.0.0.1:1/cosims"));
    fixture.set("SHARED_URL", format!("https://someone:{MARK}sharedpass@127.0.0.1:1/"));

    let token = match token {
        Token::EnvFile => "token = env.NOMAD_TOKEN",
        Token::File => "token_file = \"nomad.token\"",
    };
    let nomad =
        format!("address = sandbox.nomad\n    {token}\n    var_files = [\"sandbox_secrets.nomadvars.hcl\"]");
    fixture.replace("blackstart.hcl", "address = sandbox.nomad", &nomad);
    fixture.replace(
        "blackstart.hcl",
        "  simulated = true\n",
        "  simulated = true\n  env_file  = \"openrc.env\"\n  inherit   = [\"DATABASE_URL\", \"SHARED_URL\"]\n\n  database \"extra\" {\n    url = sensitive(env.DATABASE_URL)\n  }\n",
    );

    // Terraform shows all it has: as attributes, as an output, in what a provisioner prints.
    fixture.replace(
        "terraform/modules/core/main.tf",
        "    role             = \"database\"\n",
        "    role             = \"database\"\n    leak             = nonsensitive(var.database_password)\n",
    );
    fixture.append(
        "terraform/outputs.tf",
        "\noutput \"leak\" {\n  value = \"${module.core.nomad_address} ${nonsensitive(var.bucket_secret_key)} ${nonsensitive(var.elsewhere)}\"\n}\n",
    );
    provisioner(&fixture, "exit 1");
    // So does a job, to Nomad.
    for entry in fs::read_dir(fixture.project().join("nomad-jobs")).unwrap() {
        let file = format!("nomad-jobs/{}", entry.unwrap().file_name().display());
        let text = fixture.read(&file);
        fixture.write(
            &file,
            &format!("variable \"api_key\" {{\n  type    = string\n  default = \"none\"\n}}\n\n{text}"),
        );
    }
    let job = "nomad-jobs/job_creation.nomad.hcl";
    fixture.replace(job, "      env {\n", "      env {\n        API_KEY = var.api_key\n");
    fixture.write("plans/blurt.hcl", BLURT);
    fixture
}

/// Steps that print, and fail with, what they were given.
const BLURT: &str = r#"
plan "blurt-exec" {
  wave "one" {
    step "exec" "printing" {
      command     = ["sh", "-c", "printenv; printenv API_SECRET NOMAD_TOKEN DATABASE_URL >&2; exit 3"]
      environment = { GIVEN = env.API_SECRET }
    }
  }
}

plan "blurt-sql" {
  wave "one" {
    step "sql" "unreachable" {
      database  = "extra"
      statement = "update t set a = :a"
      params    = { a = env.API_SECRET }
    }
  }
}

plan "blurt-params" {
  wave "one" {
    step "sql" "wrong" {
      database  = "main"
      statement = "update nothing_${env.API_SECRET} set a = :a"
      params    = { a = env.NOMAD_TOKEN }
    }
  }
}

plan "blurt-http" {
  wave "one" {
    step "http" "unreachable" {
      url     = "${env.SHARED_URL}?token=${urlencode("x")}"
      headers = { Authorization = "Bearer ${env.NOMAD_TOKEN}" }
      body    = { secret = env.API_SECRET }
    }
  }
}

plan "blurt-check" {
  check "never" {
    condition = env.API_SECRET == "x"
    error     = "it was ${env.API_SECRET}"
  }
  wave "one" {
    step "manual" "never" {
      text = "the token is ${env.NOMAD_TOKEN}"
    }
  }
}
"#;

/// tf_titi is the last to be made: its provisioner prints everything, then does `last`.
fn provisioner(fixture: &Fixture, last: &str) {
    let file = "terraform/modules/core/main.tf";
    let text = fixture.read(file);
    let begin = "\n  # the leak\n";
    let mut text = text;
    if let Some(at) = text.find(begin) {
        let end = at + text[at..].find("  # until here\n").unwrap() + "  # until here\n".len();
        text.replace_range(at..end, "");
    }
    let block = format!(
        "{begin}  provisioner \"local-exec\" {{\n    command = \"printenv; cat ../*.token ../openrc.env; printenv API_SECRET >&2; {last}\"\n  }}\n  # until here\n"
    );
    let place = "    nomad_server = terraform_data.tf_tete.output.address\n    nomad_meta   = local.nomad_meta\n  }\n}\n";
    let at = text.rfind(place).unwrap() + place.len() - 2;
    text.insert_str(at, &block);
    fixture.write(file, &text);
}

/// Looks at the process list again and again.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Watch {
    fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !ended.load(Ordering::SeqCst) {
                for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    if line.contains(MARK) {
                        seen.push(line);
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            seen
        });
        Self { stop, thread: Some(thread) }
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let seen = self.thread.take().unwrap().join().unwrap();
        assert_eq!(seen, Vec::<String>::new(), "in the process list");
    }
}

#[track_caller]
fn clean(out: &Outcome) {
    let text = out.text();
    let leaks: Vec<&str> = text.lines().filter(|line| line.contains(MARK)).collect();
    assert!(leaks.is_empty(), "{leaks:#?} in {out}");
}

/// Every file of the fixture that holds a canary, but for where they came from, Terraform's own state and
/// undo material that only its owner can read.
fn left_behind(fixture: &Fixture) -> Vec<PathBuf> {
    let root = fixture.path("");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let sources = [
        "test_env_secrets.tfvars",
        "test_env_configuration.tfvars",
        "sandbox_secrets.nomadvars.hcl",
        "openrc.env",
        "nomad.token",
    ];
    found.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let below = path.strip_prefix(&root).unwrap().display().to_string();
        let source = sources.contains(&name) && below.starts_with("project/");
        let state = below.starts_with("project/terraform/terraform.tfstate.d/sandbox/terraform.tfstate");
        !source && !state && !is_private_undo(path)
    });
    found
}

fn is_private_undo(path: &Path) -> bool {
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = path.parent().unwrap();
    folder.file_name().is_some_and(|name| name == "undo") && mode(path) == 0o600 && mode(folder) == 0o700
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        let about = entry.metadata().unwrap();
        if about.is_dir() {
            walk(&path, found);
        } else if about.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if String::from_utf8_lossy(&bytes).contains(MARK) || path.display().to_string().contains(MARK) {
                found.push(path);
            }
        }
    }
}

#[test]
fn canaries_stay_in() {
    if !has_terraform() {
        return;
    }
    let fixture = leaky(Token::EnvFile);
    fixture.sandbox(&[]);
    let watch = Watch::new();
    let run = |arguments: &[&str], code: i32| {
        let out = fixture.run(arguments).code(code);
        clean(&out);
        assert_eq!(left_behind(&fixture), Vec::<PathBuf>::new(), "after {out}");
        out
    };
    run(&["validate", "-v"], 0);
    run(&["run", "bootstrap", "-e", "sandbox", "--yes", "-v"], 0);
    run(&["preview", "start", "-e", "sandbox", "--json"], 0);
    let out = run(&["preview", "start", "-e", "sandbox", "-v"], 0);
    let digest = out.digest();
    // It fails where all is printed; what is printed is masked, and not merely missing.
    run(&["start", "sandbox", "--approve", &digest, "-v"], 1).says("API_SECRET=(secret)");
    provisioner(&fixture, "true");
    run(&["resume", "-e", "sandbox", "--yes", "--json"], 0).says("API_SECRET=(secret)");
    assert_eq!(fixture.core().len(), CORE);
    let job = fixture.nomad("/v1/job/job_creation").unwrap();
    assert!(job.to_string().contains(MARK), "the job got its secret: {job}");

    // A diff that shows a value.
    let job = "nomad-jobs/job_creation.nomad.hcl";
    fixture.replace(
        job,
        "API_KEY = var.api_key",
        "API_KEY = var.api_key\n        OTHER = \"${var.api_key}\"",
    );
    run(&["preview", "start", "-e", "sandbox", "-v"], 0).says("OTHER");
    run(&["preview", "start", "-e", "sandbox", "--json"], 0).says("OTHER");
    run(&["start", "sandbox", "--yes", "-v"], 0);
    run(&["patch", "image", "job_creation=git-other", "--live-only", "-e", "sandbox", "--yes", "-v"], 0);
    for plan in ["blurt-exec", "blurt-sql", "blurt-params", "blurt-http", "blurt-check"] {
        for form in ["-v", "--json"] {
            let out = fixture.run(&["run", plan, "-e", "sandbox", "--yes", form]);
            assert!(matches!(out.code, Some(1 | 3 | 4)), "{out}");
            clean(&out);
        }
        clean(&fixture.run(&["preview", plan, "-e", "sandbox", "-v"]));
        assert_eq!(left_behind(&fixture), Vec::<PathBuf>::new(), "after {plan}");
    }
    for arguments in
        [&["status", "sandbox", "-v"][..], &["status", "sandbox", "--json"], &["runs", "-e", "sandbox", "-v"]]
    {
        run(arguments, 0);
    }
    for (id, _) in fixture.journal("sandbox").iter().filter(|(_, body)| body["type"] == "run_started") {
        run(&["show", id, "-e", "sandbox", "-v"], 0);
        run(&["show", id, "-e", "sandbox", "--json"], 0);
    }
    run(&["stop", "sandbox", "--discard-patches", "--yes", "--json"], 0);
    watch.end();
}

#[test]
fn a_kill_in_the_middle_of_an_apply_leaves_no_canary() {
    if !has_terraform() {
        return;
    }
    let fixture = leaky(Token::File);
    fixture.sandbox(&[]);
    let watch = Watch::new();
    clean(&fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes", "-v"]));
    provisioner(&fixture, "touch $HOME/middle; sleep 2");
    let run = fixture.spawn("start", fixture.command(&["start", "sandbox", "--yes", "-v"]));
    wait_until("the provisioner", || {
        assert!(!run.ended(), "ended early: {}{}", run.stdout(), run.stderr());
        fixture.path("home/middle").exists()
    });
    run.until_says("API_SECRET=(secret)");
    run.signal("KILL");
    clean(&run.wait());
    assert_eq!(left_behind(&fixture), Vec::<PathBuf>::new(), "right after the kill");
    clean(&fixture.run(&["resume", "-e", "sandbox", "--yes", "-v"]).code(0));
    assert_eq!(fixture.core().len(), CORE);
    assert_eq!(left_behind(&fixture), Vec::<PathBuf>::new(), "after the resume");
    watch.end();
}

#[test]
fn a_secret_file_with_a_mistake_is_not_quoted() {
    let fixture = leaky(Token::EnvFile);
    fixture.sandbox(&[]);
    let good = format!("bucket_secret_key = \"{MARK}bucket\"\n");
    for broken in [
        format!("{good}database_password = \"{MARK}unclosed\n"),
        format!("{good}database_password = {MARK}bare-word\n"),
        format!("{good}database_password \"{MARK}without equals\"\n"),
        format!("{good}database_password = <<EOT\n{MARK}heredoc\n"),
        format!("{good}database_password = \"{MARK}twice\" \"{MARK}again\"\n"),
    ] {
        fixture.write("tfvars-examples/test_env_secrets.tfvars", &broken);
        for arguments in
            [&["validate"][..], &["start", "sandbox", "--yes"], &["start", "sandbox", "--yes", "--json"]]
        {
            let out = fixture.run(arguments).code(1).says("test_env_secrets.tfvars");
            clean(&out);
        }
    }
    assert_eq!(left_behind(&fixture), Vec::<PathBuf>::new());
}
