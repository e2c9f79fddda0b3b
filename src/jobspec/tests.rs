//! Job files written for these tests; ../shared/conformance measures against real Nomad's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::base::{Diagnostics, Source};
use crate::jobspec::{Inputs, Job, parse};

fn inputs() -> Inputs {
    Inputs { root: PathBuf::from("."), ..Inputs::default() }
}

fn read(text: &str) -> Result<Job, Diagnostics> {
    parse(&Source::new("web.nomad.hcl", text), &inputs())
}

/// The JSON of a job with this body.
fn job(body: &str) -> Json {
    read(&format!("job \"web\" {{\n{body}\n}}\n")).unwrap_or_else(|errors| panic!("{errors}")).json
}

/// The JSON of the one task with this body.
fn task(body: &str) -> Json {
    job(&format!("group \"g\" {{\ntask \"t\" {{\n{body}\n}}\n}}"))
        .pointer("/TaskGroups/0/Tasks/0")
        .cloned()
        .unwrap()
}

/// What is told of a job with this body, first line 2.
fn told(body: &str) -> Vec<String> {
    let errors = read(&format!("job \"web\" {{\n{body}\n}}\n")).unwrap_err();
    errors.0.iter().map(|error| format!("{error} ({})", error.help.clone().unwrap_or_default())).collect()
}

#[test]
fn names_default_to_the_label() {
    let json = job("id = \"other\"");
    assert_eq!((&json["ID"], &json["Name"]), (&json!("other"), &json!("web")));
    assert_eq!(json["Dispatched"], false);
    assert!(json["Region"].is_null() && json["TaskGroups"].is_null());
}

#[test]
fn constraints_have_shorthands() {
    let json = job("constraint {\n attribute = \"${attr.os.name}\"\n version = \">= 1\"\n}\n\
         constraint {\n distinct_hosts = true\n}\nconstraint {\n distinct_property = \"${meta.rack}\"\n value = 2\n}\n\
         constraint {}\naffinity {\n regexp = \"a\"\n weight = 200\n}");
    assert_eq!(
        json["Constraints"],
        json!([
            { "LTarget": "${attr.os.name}", "RTarget": ">= 1", "Operand": "version" },
            { "LTarget": "", "RTarget": "true", "Operand": "distinct_hosts" },
            { "LTarget": "${meta.rack}", "RTarget": "2", "Operand": "distinct_property" },
            { "LTarget": "", "RTarget": "", "Operand": "=" },
        ])
    );
    assert_eq!(
        json["Affinities"],
        json!([{ "LTarget": "", "RTarget": "a", "Operand": "regexp", "Weight": -56 }])
    );
}

#[test]
fn ports_are_sorted_by_kind() {
    let json = job("group \"g\" {\nnetwork {\nport \"a\" {\nstatic = 80\n}\nport \"b\" {\nto = 9\n}\n}\n}");
    let network = &json["TaskGroups"][0]["Networks"][0];
    assert_eq!(network["ReservedPorts"][0]["Label"], "a");
    assert_eq!(network["DynamicPorts"][0]["To"], 9);
}

#[test]
fn templates_and_scripts_get_defaults() {
    let template = &task("template {\nchange_script {\ncommand = \"x\"\n}\n}")["Templates"][0];
    assert_eq!(template["Perms"], "0644");
    assert_eq!(template["Splay"], 5_000_000_000_u64);
    assert_eq!(template["ChangeScript"]["Args"], json!([]));
    assert_eq!(template["ChangeScript"]["Timeout"], 5_000_000_000_u64);
}

#[test]
fn vault_and_secrets_come_down() {
    let json = job(
        "vault {}\nsecret \"j\" {}\ntask \"lone\" {}\ngroup \"g\" {\nvault {\nrole = \"r\"\n}\nsecret \"g\" {}\n\
         task \"own\" {\nsecret \"t\" {}\n}\ntask \"none\" {}\n}",
    );
    let names = |group: usize, task: usize| -> Vec<Json> {
        let secrets = json["TaskGroups"][group]["Tasks"][task]["Secrets"].as_array().unwrap();
        secrets.iter().map(|secret| secret["Name"].clone()).collect()
    };
    assert_eq!(json["TaskGroups"][0]["Name"], "lone");
    assert_eq!(json["TaskGroups"][0]["Tasks"][0]["Vault"]["ChangeMode"], "restart");
    assert_eq!(names(0, 0), ["j"]);
    // Nomad doubles the task's own where the group has some.
    assert_eq!(names(1, 0), ["t", "t", "j"]);
    assert_eq!(names(1, 1), ["g", "j"]);
    assert_eq!(json["TaskGroups"][1]["Tasks"][1]["Vault"]["Role"], "r");
    assert!(json.get("vault").is_none() && json.get("secret").is_none() && json.get("task").is_none());
}

#[test]
fn identities_and_scaling_find_their_place() {
    let json = task(
        "identity {\naud = [\"a\"]\n}\nidentity {\nname = \"x\"\n}\nscaling \"CPU\" {\nmin = 1\nmax = 2\npolicy {\na = {}\n}\n}",
    );
    assert_eq!(json["Identity"]["Audience"], json!(["a"]));
    assert_eq!(json["Identities"][0]["Name"], "x");
    assert_eq!(json["ScalingPolicies"][0]["Type"], "vertical_cpu");
    assert_eq!(json["ScalingPolicies"][0]["Policy"], json!({ "a": [{}] }));
    assert!(json["ScalingPolicies"][0].get("label").is_none());
    assert_eq!(
        told("group \"g\" {\nscaling {}\n}"),
        ["web.nomad.hcl:3:1: the `scaling` of a group needs `max` ()"]
    );
}

#[test]
fn free_blocks_keep_their_shape() {
    let json = task(
        "config {\n a = { b = { c = 1 } }\n d = [1, \"x\"]\n e = null\n f = [null]\n g \"l\" {\n h = {}\n}\n g \"m\" {}\n \
         n = merge({ x = 1 }, {})\n dynamic \"z\" {}\n big = 1e30\n}",
    );
    assert_eq!(
        json["Config"],
        json!({
            "a": [{ "b": { "c": 1 } }], "d": [1, "x"], "f": [null], "n": { "x": 1 }, "dynamic": [{ "z": [{}] }],
            "g": [{ "l": [{ "h": [{}] }] }, { "m": [{}] }], "big": 1e30,
        })
    );
}

#[test]
fn dynamic_blocks_stay_in_place() {
    let json = job(
        "group \"a\" {}\ndynamic \"group\" {\n for_each = { q = 1, p = 2 }\n iterator = it\n labels = [it.key]\n \
         content {\n count = it.value\n dynamic \"task\" {\n for_each = [\"x\"]\n labels = [\"${it.key}-${task.value}\"]\n \
         content {\n env {\n K = task.key\n}\n}\n}\n}\n}\ngroup \"z\" {}",
    );
    let groups = json["TaskGroups"].as_array().unwrap();
    let names: Vec<&Json> = groups.iter().map(|group| &group["Name"]).collect();
    assert_eq!(names, ["a", "p", "q", "z"]);
    assert_eq!(groups[1]["Count"], 2);
    assert_eq!(groups[1]["Tasks"][0]["Name"], "p-x");
    assert_eq!(groups[1]["Tasks"][0]["Env"], json!({ "K": "0" }));
}

#[test]
fn variables_have_their_order() {
    let text = "variable \"x\" {\n default = \"default\"\n}\njob \"web\" {\n meta {\n x = var.x\n}\n}\n";
    let x = |inputs: &Inputs| parse(&Source::new("f", text), inputs).unwrap().json["Meta"]["x"].clone();
    let mut given = inputs();
    assert_eq!(x(&given), "default");
    given.environment = BTreeMap::from([("NOMAD_VAR_x".to_owned(), "environment".to_owned())]);
    assert_eq!(x(&given), "environment");
    given.var_files = vec![Source::new("a", "x = \"a\""), Source::new("b", "x = \"b\"")];
    assert_eq!(x(&given), "b");
    given.variables = vec![("x".to_owned(), "1".to_owned()), ("x".to_owned(), "2".to_owned())];
    assert_eq!(x(&given), "2");
    given.variables.push(("y".to_owned(), "1".to_owned()));
    let errors = parse(&Source::new("f", text), &given).unwrap_err();
    assert_eq!(errors.to_string(), "-var y:1:1: the job file has no variable `y`");
}

#[test]
fn rules_of_variables_are_told() {
    let text = "variable \"tag\" {\n validation {\n condition = var.tag != \"latest\"\n \
                error_message = \"Name a tag.\"\n}\n}\njob \"web\" {}\n";
    let mut given = inputs();
    given.variables = vec![("tag".to_owned(), "latest".to_owned())];
    let errors = parse(&Source::new("f", text), &given).unwrap_err();
    assert_eq!(errors.to_string(), "-var tag:1:1: variable `tag`: Name a tag.");
    assert_eq!(errors.0[0].help.as_deref(), Some("the rule is at f:3:2"));
    let errors = parse(&Source::new("f", text), &inputs()).unwrap_err();
    assert_eq!(errors.to_string(), "f:1:10: variable `tag` has no value");
}

#[test]
fn every_error_has_a_place_and_advice() {
    for (body, wanted) in [
        (
            "datacentres = [\"a\"]",
            "web.nomad.hcl:2:1: `datacentres` means nothing here (did you mean `datacenters`?)",
        ),
        ("group {}", "web.nomad.hcl:2:1: `group` needs a label (write group \"name\" { … })"),
        (
            "group = 1",
            "web.nomad.hcl:2:1: `group` is a block here, not an attribute (write group { … } without =)",
        ),
        ("type {}", "web.nomad.hcl:2:1: `type` is an attribute here, not a block (write type = …)"),
        (
            "priority = \"high\"",
            "web.nomad.hcl:2:12: for `priority`, a number is needed, and this text is not one ()",
        ),
        (
            "update {}\nupdate {}",
            "web.nomad.hcl:3:1: only one `update` block can stand here (the first is in line 2)",
        ),
        (
            "update {\n stagger = \"5 s\"\n}",
            "web.nomad.hcl:3:12: for `stagger`, \" s\" in \"5 s\" is not a unit of time (ns, us, ms, s, m, h) ()",
        ),
        ("name = var.nme", "web.nomad.hcl:2:11: there is no `nme` in this object (it is empty)"),
        ("name = uper(\"a\")", "web.nomad.hcl:2:8: there is no function `uper` here (did you mean `upper`?)"),
        ("name = startswith(\"a\", \"b\")", "web.nomad.hcl:2:8: there is no function `startswith` here ()"),
        (
            "meta {\n a = 1\n}\nmeta = {}",
            "web.nomad.hcl:2:1: `meta` is set twice, as an attribute and as a block (keep one of them)",
        ),
        (
            "dynamic \"group\" {\n for_each = null\n labels = []\n content {}\n}",
            "web.nomad.hcl:3:13: `for_each` needs a list, set, map or object, not null ()",
        ),
    ] {
        assert_eq!(told(body)[0], wanted);
    }
    assert_eq!(told("a = 1\ntype = []\ngroup \"g\" {\nb {}\n}").len(), 3);
    for (text, wanted) in [
        ("x = 1\njob \"a\" {}\n", "web.nomad.hcl:1:1: `x` can't be set outside of a job"),
        ("job \"a\" {}\njob \"b\" {}\n", "web.nomad.hcl:2:1: a file holds one job"),
        ("varible \"x\" {}\njob \"a\" {}\n", "web.nomad.hcl:1:1: `varible` means nothing outside of a job"),
        ("", "web.nomad.hcl:1:1: there is no job in this file"),
        (
            "locals {\n a = local.b\n b = local.a\n}\njob \"a\" {}\n",
            "web.nomad.hcl:2:6: these locals need one another: a and b",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn what_nomad_forgives_is_a_warning() {
    let job = read(
        "job \"j\" {\ngroup \"g\" {\nsecret \"s\" {\nprovder = \"p\"\npath = \"x\"\n}\ntask \"t\" {}\n}\n}\n",
    )
    .unwrap();
    assert_eq!(job.warnings.to_string(), "web.nomad.hcl:4:1: `provder` means nothing here");
    assert_eq!(job.json.pointer("/TaskGroups/0/Tasks/0/Secrets/0/Path"), Some(&json!("x")));
}

#[test]
fn json_is_read_too() {
    let text = r#" {"variable":{"n":{"type":"number","default":2}},"job":{"j":{"meta":{"a":"${var.n}"},
        "group":{"g":{"count":"${var.n + 1}","task":[{"t":{"config":{"x":{"y":1}}}},{"u":{}}]}}}}}"#;
    let json = read(text).unwrap().json;
    assert_eq!(json["Meta"], json!({ "a": "2" }));
    assert_eq!(json["TaskGroups"][0]["Count"], 3);
    assert_eq!(json["TaskGroups"][0]["Tasks"][0]["Config"], json!({ "x": { "y": 1 } }));
    assert_eq!(json["TaskGroups"][0]["Tasks"][1]["Name"], "u");
    let errors = read("{\"job\":{\"j\":{\"count\":1}}}").unwrap_err();
    assert_eq!(errors.to_string(), "web.nomad.hcl:1:14: `count` means nothing here");
}

#[test]
fn dependencies_are_listed() {
    let job = read("job \"j\" {\nmeta {\ndepends_on = \"postgres, rabbitmq\"\n}\n}\n").unwrap();
    assert_eq!(job.depends_on(), ["postgres", "rabbitmq"]);
    assert_eq!(job.id(), "j");
    assert!(read("job \"j\" {}\n").unwrap().depends_on().is_empty());
}

#[test]
fn no_file_outside_the_root_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("project");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("in.txt"), "in").unwrap();
    std::fs::write(dir.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret.txt"), root.join("link.txt")).unwrap();
    let outside = dir.path().join("secret.txt").display().to_string();
    let value = |expression: &str| {
        let text = format!("job \"j\" {{\nmeta {{\nx = {expression}\n}}\n}}\n");
        parse(&Source::new("f", text), &Inputs { root: root.clone(), ..Inputs::default() })
            .map(|job| job.json["Meta"]["x"].clone())
            .map_err(|errors| errors.to_string())
    };
    assert_eq!(value("file(\"in.txt\")").unwrap(), "in");
    assert_eq!(value("file(\"sub/../in.txt\")").unwrap(), "in");
    for path in ["../secret.txt", "link.txt", "./../project/../secret.txt", &outside, "/etc/passwd"] {
        for function in ["file", "filebase64", "fileexists"] {
            let error = value(&format!("{function}(\"{path}\")")).unwrap_err();
            assert!(error.contains("lies outside"), "{function} {path}: {error}");
        }
    }
    assert_eq!(value("jsonencode(fileset(\".\", \"in*\"))").unwrap(), "[\"in.txt\"]");
    // Left out, it would be another job than Nomad makes of it.
    for pattern in ["*.txt", "../*.txt"] {
        let error = value(&format!("jsonencode(fileset(\".\", \"{pattern}\"))")).unwrap_err();
        assert!(error.contains("lies outside"), "{pattern}: {error}");
    }
}

#[test]
fn a_long_chain_of_locals_is_walked_once() {
    let mut text = String::from("locals {\n l0 = 1\n");
    for i in 1..20_000 {
        text.push_str(&format!(" l{i} = local.l{}\n", i - 1));
    }
    text.push_str("}\njob \"j\" {\n meta {\n a = local.l19999\n }\n}\n");
    assert_eq!(read(&text).unwrap().json["Meta"]["a"], "1");
}
