//! The reference environment is what the plans, the demo and the docs take it for.
//!
//! The files are checked as text everywhere. With `terraform` on PATH they are also planned,
//! applied and destroyed, each time in a copy; with `NOMAD_BIN` stock Nomad validates the job
//! files. What is missing is said on standard error, past the test harness's capture.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SERVICES: [&str; 6] = [
    "job_configuration",
    "job_creation",
    "job_execution",
    "job_publication",
    "monitor",
    "worker_pool_management",
];

const INSTANCES: [&str; 4] = ["tf-tata", "tf-tete", "tf-titi", "tf-tutu"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the reference environment") {
            let path = entry.expect("a readable entry").path();
            // A copy that somebody works in may hold Terraform's own folders.
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_dir() && !hidden {
                collect(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join(folder), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no {ending} in {folder}");
    found
}

fn skip(what: &str) {
    // Not eprintln!: the harness would swallow it in a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// A file's lines without comments and without surrounding space.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The names that a var file gives values to.
fn assigned(path: &str) -> BTreeSet<String> {
    code(&read(path))
        .map(|line| {
            let (name, _) = line.split_once('=').expect("one assignment a line");
            name.trim().to_owned()
        })
        .collect()
}

/// Every variable of the root module: whether it is sensitive, and whether it has a default.
fn variables() -> BTreeMap<String, (bool, bool)> {
    let text = read("terraform/variables.tf");
    let mut found = BTreeMap::new();
    let mut current = None;
    for line in code(&text) {
        if let Some(rest) = line.strip_prefix("variable \"") {
            let name = rest.split('"').next().expect("a quoted name").to_owned();
            found.insert(name.clone(), (false, false));
            current = Some(name);
        } else if let Some(entry) = current.as_ref().and_then(|name| found.get_mut(name)) {
            let mut words = line.split_whitespace();
            match (words.next(), words.nth(1)) {
                (Some("sensitive"), Some("true")) => entry.0 = true,
                (Some("default"), _) => entry.1 = true,
                _ => {}
            }
        }
    }
    found
}

#[test]
fn nothing_is_downloaded_and_the_state_is_local() {
    for path in files("terraform", ".tf") {
        let text = fs::read_to_string(&path).unwrap();
        for line in code(&text) {
            for word in ["provider ", "required_providers", "backend ", "cloud "] {
                assert!(!line.starts_with(word), "{}: {line}", path.display());
            }
            if let Some(rest) = line.strip_prefix("resource ") {
                assert!(rest.starts_with("\"terraform_data\" "), "{line}");
            }
            if let Some((_, source)) = line.split_once("source = ") {
                assert!(source.starts_with("\"./"), "{line}");
            }
        }
    }
}

#[test]
fn neither_module_refers_to_the_other() {
    let text = read("terraform/main.tf");
    for line in code(&text) {
        assert!(!line.contains("module.core"), "{line}");
        assert!(!line.contains("module.persistent"), "{line}");
        assert!(!line.starts_with("depends_on"), "{line}");
    }
}

#[test]
fn secrets_are_sensitive_and_apart_from_the_configuration() {
    let variables = variables();
    assert!(variables.values().any(|(sensitive, _)| *sensitive));
    for environment in ["prod", "test"] {
        let configuration = assigned(&format!("tfvars-examples/{environment}_env_configuration.tfvars"));
        let secrets = assigned(&format!("tfvars-examples/{environment}_env_secrets.tfvars"));
        for (name, (sensitive, default)) in &variables {
            assert_eq!(secrets.contains(name), *sensitive, "{environment}: {name}");
            assert!(
                *sensitive || *default || configuration.contains(name),
                "{environment}: {name} has no value"
            );
        }
        for name in configuration.union(&secrets) {
            assert!(variables.contains_key(name), "{environment}: {name}");
        }
        assert_eq!(configuration.intersection(&secrets).count(), 0);
    }
}

#[test]
fn every_example_value_is_plainly_invented() {
    for path in files("tfvars-examples", "_secrets.tfvars") {
        for line in code(&fs::read_to_string(&path).unwrap()) {
            assert!(line.contains("= \"example-"), "{}: {line}", path.display());
        }
    }
}

/// The first value of `key` in a job file that is written one attribute a line.
fn attribute(text: &str, key: &str) -> Option<String> {
    code(text).find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[test]
fn the_six_services_have_their_names_images_and_health() {
    let names: Vec<String> = files("nomad-jobs", ".nomad.hcl")
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, SERVICES.map(|service| format!("{service}.nomad.hcl")));

    for service in SERVICES {
        let text = read(&format!("nomad-jobs/{service}.nomad.hcl"));
        assert!(text.contains(&format!("\njob \"{service}\" {{\n")), "{service}");
        assert_eq!(attribute(&text, "driver").as_deref(), Some("docker"), "{service}");
        assert_eq!(attribute(&text, "auto_revert").as_deref(), Some("true"), "{service}");
        let health = attribute(&text, "health_check");
        match health.as_deref() {
            Some("task_states") => {}
            // Without Consul only Nomad's own registry can say that a check passes.
            Some("checks") => {
                assert_eq!(attribute(&text, "provider").as_deref(), Some("nomad"), "{service}");
            }
            other => panic!("{service}: {other:?}"),
        }
        let image = attribute(&text, "image").unwrap();
        let prefix = format!("registry.example.com/cosims/cosims/{service}:git-");
        let hash = image.strip_prefix(&prefix).unwrap_or_else(|| panic!("{image}"));
        assert_eq!(hash.len(), 8, "{image}");
        assert!(hash.chars().all(|c| c.is_ascii_hexdigit()), "{image}");
    }
    let pool = read("nomad-jobs/worker_pool_management.nomad.hcl");
    assert_eq!(attribute(&pool, "cpu").as_deref(), Some("1500"));
}

#[test]
fn the_services_start_in_four_waves() {
    let mut waiting: BTreeMap<&str, BTreeSet<String>> = SERVICES
        .iter()
        .map(|service| {
            let text = read(&format!("nomad-jobs/{service}.nomad.hcl"));
            let needed = attribute(&text, "depends_on").unwrap_or_default();
            let needed = needed.split(',').map(str::trim).filter(|name| !name.is_empty());
            (*service, needed.map(ToOwned::to_owned).collect())
        })
        .collect();
    let mut waves: Vec<Vec<&str>> = Vec::new();
    while !waiting.is_empty() {
        let ready: Vec<&str> = waiting
            .iter()
            .filter(|(_, needed)| needed.iter().all(|name| !waiting.contains_key(name.as_str())))
            .map(|(service, _)| *service)
            .collect();
        assert!(!ready.is_empty(), "a cycle among {waiting:?}");
        for service in &ready {
            for name in waiting.remove(service).unwrap() {
                assert!(SERVICES.contains(&name.as_str()), "{service} needs unknown {name}");
            }
        }
        waves.push(ready);
    }
    assert_eq!(
        waves,
        [
            vec!["job_creation", "monitor", "worker_pool_management"],
            vec!["job_configuration"],
            vec!["job_execution"],
            vec!["job_publication"],
        ]
    );
}

/// Wherever the other services landed, a node of 4000 MHz and 8 GB has room for the next one.
#[test]
fn the_services_fit_two_nodes_in_any_order() {
    let mut pieces: Vec<(u64, u64)> = Vec::new();
    for service in SERVICES {
        let text = read(&format!("nomad-jobs/{service}.nomad.hcl"));
        let number = |key| attribute(&text, key).map(|value| value.parse::<u64>().unwrap());
        let count = number("count").unwrap_or(1);
        for _ in 0..count {
            pieces.push((number("cpu").unwrap(), number("memory").unwrap()));
        }
    }
    let all = pieces.iter().fold((0, 0), |sum, piece| (sum.0 + piece.0, sum.1 + piece.1));
    assert!(all.0 > 4000, "one node alone would do: {all:?}");
    for (cpu, memory) in pieces {
        // The emptier node has at least half of what the others leave of both.
        assert!((8000 - (all.0 - cpu)) / 2 >= cpu, "{cpu} MHz of {all:?}");
        assert!((16_384 - (all.1 - memory)) / 2 >= memory, "{memory} MB of {all:?}");
    }
}

#[test]
fn stock_nomad_accepts_every_job_file_unchanged() {
    let Some(nomad) = std::env::var_os("NOMAD_BIN") else {
        skip("stock Nomad's validation of the job files (NOMAD_BIN is not set)");
        return;
    };
    for service in SERVICES {
        let file = root().join(format!("nomad-jobs/{service}.nomad.hcl"));
        let output = Command::new(&nomad)
            .args(["job", "validate"])
            .arg(&file)
            .env_clear()
            // Nobody listens on the discard port: Nomad then validates by itself.
            .env("NOMAD_ADDR", "http://127.0.0.1:9")
            .output()
            .unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{service}: {said}");
        assert!(said.contains("Job validation successful"), "{service}: {said}");
        assert!(!said.contains("Warning"), "{service}: {said}");
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A copy of the reference environment with its own state, and the terraform that works on it.
struct Copy {
    folder: TempDir,
    environment: &'static str,
}

impl Copy {
    /// Nothing where terraform is not installed.
    fn of(environment: &'static str) -> Option<Self> {
        if Command::new("terraform").arg("version").output().is_err() {
            skip("the reference environment on real Terraform (terraform is not on PATH)");
            return None;
        }
        let folder = TempDir::new().expect("a temporary folder");
        let tracked = files("terraform", ".tf");
        for path in tracked.into_iter().chain(files("tfvars-examples", ".tfvars")) {
            let target = folder.path().join(path.strip_prefix(root()).expect("below the root"));
            fs::create_dir_all(target.parent().expect("a folder")).expect("a new folder");
            fs::copy(&path, target).expect("a copied file");
        }
        let copy = Self { folder, environment };
        copy.terraform(&["init", "-input=false"]);
        Some(copy)
    }

    fn terraform(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("terraform");
        command.args(arguments).arg("-no-color").current_dir(self.folder.path().join("terraform"));
        command.env_clear().env("TF_WORKSPACE", self.environment).env("TF_IN_AUTOMATION", "1");
        command.env("CHECKPOINT_DISABLE", "1").env("HOME", self.folder.path());
        command.env("PATH", std::env::var_os("PATH").expect("PATH"));
        let output = command.output().expect("terraform runs");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("UTF-8 from terraform")
    }

    /// Writes a plan file for one module and gives its changes, address by address.
    fn plan(&self, target: &str, destroy: bool) -> Planned {
        let mut arguments = vec!["plan".to_owned(), "-input=false".to_owned()];
        arguments.push("-out=planned".to_owned());
        arguments.push(format!("-target={target}"));
        for kind in ["configuration", "secrets"] {
            let name = format!("{}_env_{kind}.tfvars", self.environment);
            arguments.push(format!("-var-file=../tfvars-examples/{name}"));
        }
        if destroy {
            arguments.push("-destroy".to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let text = self.terraform(&arguments);
        let json: Value = serde_json::from_str(&self.terraform(&["show", "-json", "planned"]))
            .expect("JSON from terraform");
        let changes = json["resource_changes"].as_array().cloned().unwrap_or_default();
        let changes = changes
            .iter()
            .map(|change| {
                let address = change["address"].as_str().expect("an address");
                (address.to_owned(), change["change"]["actions"].to_string())
            })
            .filter(|(_, actions)| actions != "[\"no-op\"]")
            .collect();
        Planned { text, changes }
    }

    fn apply(&self) {
        self.terraform(&["apply", "-input=false", "planned"]);
    }

    /// Address and attributes of every resource in the state.
    fn resources(&self) -> BTreeMap<String, Value> {
        let json: Value = serde_json::from_str(&self.terraform(&["show", "-json"])).expect("JSON");
        let modules = json["values"]["root_module"]["child_modules"].as_array().cloned();
        modules
            .unwrap_or_default()
            .iter()
            .flat_map(|module| module["resources"].as_array().cloned().unwrap_or_default())
            .map(|resource| {
                let address = resource["address"].as_str().expect("an address").to_owned();
                (address, resource["values"].clone())
            })
            .collect()
    }

    fn ids_under(&self, module: &str) -> BTreeMap<String, String> {
        self.resources()
            .into_iter()
            .filter(|(address, _)| address.starts_with(module))
            .map(|(address, values)| (address, values["id"].as_str().expect("an id").to_owned()))
            .collect()
    }

    fn outputs(&self) -> Value {
        serde_json::from_str(&self.terraform(&["output", "-json"])).expect("JSON")
    }
}

struct Planned {
    text: String,
    changes: BTreeMap<String, String>,
}

impl Planned {
    #[track_caller]
    fn is_13_times(&self, action: &str) {
        assert_eq!(self.changes.len(), 13, "{:?}", self.changes);
        for (address, actions) in &self.changes {
            assert!(address.starts_with("module.core."), "{address}");
            assert_eq!(actions, &format!("[\"{action}\"]"), "{address}");
        }
    }
}

#[test]
fn real_terraform_starts_and_stops_13_and_the_rest_survives() {
    let Some(copy) = Copy::of("test") else { return };

    // Before the bootstrap, too: a start neither needs nor makes what is persistent.
    let first = copy.plan("module.core", false);
    first.is_13_times("create");
    assert!(first.text.contains("Plan: 13 to add, 0 to change, 0 to destroy."));

    copy.plan("module.persistent", false);
    copy.apply();
    let persistent = copy.ids_under("module.persistent.");
    assert!(persistent.contains_key("module.persistent.terraform_data.tf_toto"));
    assert!(persistent.len() > 1, "{persistent:?}");
    assert_eq!(copy.resources().len(), persistent.len());

    copy.plan("module.core", false).is_13_times("create");
    copy.apply();
    assert_eq!(copy.ids_under("module.core.").len(), 13);
    let resources = copy.resources();
    let names: Vec<&str> = resources
        .iter()
        .filter(|(address, _)| address.starts_with("module.core."))
        .filter(|(_, values)| values["input"].get("role").is_some())
        .map(|(_, values)| values["input"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, INSTANCES);
    let outputs = copy.outputs();
    assert_eq!(outputs["nomad_address"]["value"], "http://10.30.0.12:4646");
    assert_eq!(outputs["database_address"]["value"], "10.30.0.11:5432");
    assert!(copy.plan("module.core", false).changes.is_empty());

    let stop = copy.plan("module.core", true);
    stop.is_13_times("delete");
    assert!(stop.text.contains("Plan: 0 to add, 0 to change, 13 to destroy."));
    // Terraform would show an instance's secrets here if they stood in its input.
    assert!(!stop.text.contains("-key\"") && !stop.text.contains("password\""), "{}", stop.text);
    copy.apply();
    assert!(copy.ids_under("module.core.").is_empty());
    assert_eq!(copy.ids_under("module.persistent."), persistent);

    copy.plan("module.core", false).is_13_times("create");
    copy.apply();
    assert_eq!(copy.ids_under("module.core.").len(), 13);
    assert_eq!(copy.ids_under("module.persistent."), persistent);

    let folder = copy.folder.path().join("terraform");
    assert!(folder.join("terraform.tfstate.d/test/terraform.tfstate").exists());
    assert!(!folder.join("terraform.tfstate").exists());
    assert!(!folder.join(".terraform.lock.hcl").exists());
}

#[test]
fn real_terraform_accepts_the_production_examples() {
    let Some(copy) = Copy::of("prod") else { return };
    copy.plan("module.core", false).is_13_times("create");
}

#[test]
fn a_changed_secret_replaces_the_instances_that_hold_it() {
    let Some(copy) = Copy::of("test") else { return };
    copy.plan("module.core", false).is_13_times("create");
    copy.apply();
    let secrets = copy.folder.path().join("tfvars-examples/test_env_secrets.tfvars");
    let text = fs::read_to_string(&secrets).unwrap();
    fs::write(&secrets, text.replace("test-scihub-password", "test-scihub-other")).unwrap();
    let planned = copy.plan("module.core", false);
    assert!(!planned.text.contains("test-scihub-"), "{}", planned.text);
    assert_eq!(planned.changes["module.core.terraform_data.tf_tete"], "[\"delete\",\"create\"]");
    assert!(!planned.changes.contains_key("module.core.terraform_data.tf_tutu"));
}
