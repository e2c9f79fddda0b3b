//! The corpus' jobs lie outside the repository (see tests/conformance.rs); the reference
//! environment's are always there.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Path, PathError};
use crate::base::Source;
use crate::jobspec::{Inputs, parse};

/// Jobs as Nomad has them.
static JOBS: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut jobs: Vec<Json> = glob::glob(&format!("{root}/nomad-jobs/*.nomad.hcl"))
        .unwrap()
        .filter_map(|path| {
            let source = Source::new("f", fs::read_to_string(path.unwrap()).unwrap());
            let inputs = Inputs { root: root.into(), ..Inputs::default() };
            Some(parse(&source, &inputs).ok()?.json)
        })
        .collect();
    let corpus = std::env::var("CONFORMANCE_DIR").unwrap_or_else(|_| format!("{root}/../shared/conformance"));
    let corpus = glob::glob(&format!("{corpus}/jobs/**/*.json"))
        .unwrap()
        .chain(glob::glob(&format!("{corpus}/semantics/*/expected.json")).unwrap());
    let before = jobs.len();
    for path in corpus {
        let text = fs::read_to_string(path.unwrap()).unwrap();
        if let Ok(mut json) = serde_json::from_str::<Json>(&text)
            && let Some(job) = json.get_mut("Job")
        {
            jobs.push(job.take());
        }
    }
    println!("{} jobs, {} of them of the corpus", jobs.len(), jobs.len() - before);
    jobs
});

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// A job as a server gives it, with a field that no table has.
fn live() -> Json {
    json!({
        "ID": "web", "Name": "web", "Meta": null, "JobModifyIndex": 7, "Future": { "x": 1 },
        "Update": { "MaxParallel": 0 },
        "TaskGroups": [{
            "Name": "api", "Count": 2, "Update": { "MaxParallel": 1 }, "RestartPolicy": null,
            "Networks": [{
                "Mode": "host", "DynamicPorts": [{ "Label": "http", "Value": 0, "To": 80 }],
                "ReservedPorts": [{ "Label": "admin", "Value": 9000, "To": 0 }],
            }],
            "Services": [
                { "Name": "web", "PortLabel": "http", "Checks": [{ "Name": "", "Path": "/", "Interval": 10 }] },
                { "Name": "same" }, { "Name": "same" },
            ],
            "Tasks": [
                {
                    "Name": "server", "Driver": "docker", "KillTimeout": 5_000_000_000_i64,
                    "Config": { "image": "r:5000/web:1", "auth": [{ "username": "u" }], "args": ["a", "b"], "debug": false, "n": 1 },
                    "Env": { "LOG": "info", "A.B": "x" }, "Resources": { "CPU": 100, "MemoryMB": 64, "Future": 1 },
                },
                { "Name": "sidecar", "Config": { "image": "side:1" } },
            ],
        }],
    })
}

fn scalars(json: &Json, pointer: &str, found: &mut BTreeSet<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match json {
        Json::Null => {}
        Json::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| scalars(value, &format!("{pointer}/{}", escaped(key)), found));
        }
        Json::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(i, item)| scalars(item, &format!("{pointer}/{i}"), found));
        }
        _ => {
            found.insert(pointer.to_owned());
        }
    }
}

#[test]
fn every_value_has_a_path_that_leads_to_it() {
    let mut seen = 0;
    for job in JOBS.iter() {
        let mut pointers = BTreeSet::new();
        scalars(job, "", &mut pointers);
        for (path, value) in Path::every(job) {
            seen += 1;
            let written = path.to_string();
            assert_eq!(written.parse::<Path>().as_ref(), Ok(&path), "{written}");
            assert_eq!(path.get(job), Some(value), "{written}");
            assert_eq!(path.canonical(job).as_ref(), Ok(&path), "{written}");
            let pointer = path.pointer(job).unwrap();
            assert_eq!(job.pointer(&pointer), Some(value), "{written}");
            pointers.remove(&pointer);
            let mut copy = job.clone();
            assert_eq!(path.set(&mut copy, value).as_ref(), Ok(value), "{written}");
            assert_eq!(&copy, job, "{written}");
        }
        // What has no path is what a job file has no name for, or only as a label.
        for pointer in pointers {
            let keys: Vec<&str> = pointer.rsplit('/').collect();
            let no_blocks = job.pointer(&pointer) == Some(&json!([]));
            let named = no_blocks
                || ["Name", "Label", "SpecType", "Value", "Dispatched"].contains(&keys[0])
                || keys.iter().any(|key| ["Identity", "Payload", "ExposeConfig", "Target"].contains(key))
                || matches!(keys[0], "CreateIndex" | "ModifyIndex" | "ID" | "Namespace" | "TaggedTime");
            assert!(named, "{pointer} has no path");
        }
    }
    assert!(seen > 100, "{seen}");
}

proptest! {
    #[test]
    fn what_is_set_is_there_and_can_be_undone(
        at in any::<prop::sample::Index>(), which in any::<prop::sample::Index>(), word in "[a-zA-Z0-9 .${}\"é-]{0,12}",
    ) {
        let job = at.get(&JOBS);
        let every = Path::every(job);
        prop_assume!(!every.is_empty());
        let (path, old) = which.get(&every);
        let new = match old {
            Json::Bool(truth) => json!(!truth),
            Json::Number(number) => json!(number.as_i64().unwrap_or_default().rem_euclid(100) + 1),
            Json::String(_) => json!(word),
            Json::Array(_) => json!([]),
            _ => json!({}),
        };
        let mut changed = job.clone();
        prop_assert_eq!(&path.set(&mut changed, &new).unwrap(), *old);
        // A service that is called otherwise is somewhere else then.
        if !path.to_string().ends_with(".name") {
            prop_assert_eq!(path.get(&changed), Some(&new));
            let others = |job: &Json| Path::every(job).into_iter().filter(|(p, _)| p != path).count();
            prop_assert_eq!(others(&changed), others(job));
            path.set(&mut changed, old).unwrap();
            if !path.to_string().contains(".port.") {
                prop_assert_eq!(&changed, job);
            }
        }
    }

    #[test]
    fn any_text_is_a_path_or_an_error(text in "\\PC{0,40}|[a-z.\\[\\]\"0-9]{0,20}") {
        if let Ok(path) = text.parse::<Path>() {
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path.clone()));
            let mut job = live();
            let _ = (path.get(&job), path.pointer(&job), path.find(&job, &Path::default()));
            let _ = path.set(&mut job, &json!("1"));
        }
    }

    #[test]
    fn any_names_are_kept(names in prop::collection::vec("\\PC{0,8}", 1..4)) {
        let parts = names.into_iter().map(super::syntax::Part::Name).collect();
        let path = Path { parts };
        prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
    }
}

#[test]
fn values_get_the_type_of_their_field() {
    let mut job = live();
    for (at, given, stored) in [
        ("group.api.count", json!("3"), json!(3)),
        ("group.api.task.server.kill_timeout", json!("30s"), json!(30_000_000_000_i64)),
        ("group.api.task.server.env.NEW", json!(5), json!("5")),
        ("group.api.task.server.env[\"A.B\"]", json!(true), json!("true")),
        ("group.api.task.server.leader", json!("true"), json!(true)),
        ("meta.owner", json!("me"), json!("me")),
        ("datacenters", json!("[\"a\",\"b\"]"), json!(["a", "b"])),
        ("group.api.restart.attempts", json!("2"), json!(2)),
        ("group.api.task.server.config.debug", json!("true"), json!(true)),
        ("group.api.task.server.config.n", json!("2"), json!(2)),
        ("group.api.task.server.config.image", json!("web:2"), json!("web:2")),
        ("group.api.task.server.config.auth.username", json!(7), json!("7")),
        ("group.api.task.server.config.args[1]", json!("c"), json!("c")),
        ("group.api.task.server.config.args", json!("[\"x\"]"), json!(["x"])),
        ("group.api.task.server.config.new", json!("5"), json!("5")),
        ("group.api.service.web.check[0].interval", json!("1m"), json!(60_000_000_000_i64)),
        ("group.api.service[2].port", json!("http"), json!("http")),
        ("group.api.network.port.http.to", json!("81"), json!(81)),
    ] {
        let at = path(at);
        let old = at.get(&job).cloned().unwrap_or_default();
        assert_eq!(at.set(&mut job, &given), Ok(old), "{at}");
        assert_eq!(at.get(&job), Some(&stored), "{at}");
        let pointer = at.pointer(&job).unwrap();
        assert_eq!(job.pointer(&pointer), Some(&stored), "{at}");
    }
    assert_eq!(job["Future"], json!({ "x": 1 }));
    assert_eq!(job["TaskGroups"][0]["RestartPolicy"]["Attempts"], 2);
    assert_eq!(job["TaskGroups"][0]["RestartPolicy"]["Delay"], Json::Null);
    let owner = path("meta.owner");
    assert_eq!(owner.set(&mut job, &Json::Null), Ok(json!("me")));
    assert_eq!(owner.get(&job), None);
}

#[test]
fn a_port_with_a_number_is_reserved() {
    let mut job = live();
    let fixed = path("group.api.network[0].port.http.static");
    assert_eq!(fixed.set(&mut job, &json!("8080")), Ok(json!(0)));
    let network = &job["TaskGroups"][0]["Networks"][0];
    assert_eq!(network["DynamicPorts"], Json::Null);
    assert_eq!(network["ReservedPorts"][1], json!({ "Label": "http", "Value": 8080, "To": 80 }));
    assert_eq!(fixed.set(&mut job, &json!(0)), Ok(json!(8080)));
    assert_eq!(job, live());
}

#[test]
fn errors_name_what_is_near() {
    let mut job = live();
    for (at, value, wanted) in [
        ("group.apy.count", "1", "there is no group 'apy' in the job (did you mean 'api'?)"),
        ("group.api.cuont", "1", "`cuont` means nothing in group.api (did you mean 'count'?)"),
        ("group.api.task.x.user", "1", "there is no task 'x' in group.api (there are server and sidecar)"),
        (
            "group.api.task.server.resources.cup",
            "1",
            "`cup` means nothing in group.api.task.server.resources (did you mean 'cpu'?)",
        ),
        ("group.api.count", "many", "for `group.api.count`, a number is needed, not 'many'"),
        ("group.api.count", "1.5", "for `group.api.count`, a whole number is needed, not 1.5"),
        ("group.api.count.x", "1", "nothing stands below `group.api.count`, which holds one value"),
        (
            "group.api.service.same.port",
            "x",
            "group.api has several service blocks named 'same' (give a number, such as service[0])",
        ),
        (
            "group.api.task.server.config.args[7]",
            "x",
            "for `group.api.task.server.config.args`, there is no element 7: it has 2 elements, numbered from 0",
        ),
        (
            "group.api.task.server.config.oauth.user",
            "x",
            "there is no block 'oauth' in group.api.task.server.config",
        ),
        (
            "group.api.task.server.config.args",
            "x",
            "for `group.api.task.server.config.args`, a list or a map is needed, such as '[\"a\", \"b\"]', not \"x\"",
        ),
        (
            "group.api.task.server.kill_timeout",
            "30",
            "for `group.api.task.server.kill_timeout`, \"30\" lacks a unit: ns, us, ms, s, m or h",
        ),
        (
            "group.api.restart",
            "x",
            "`group.api.restart` is a block, not a value (there are interval, attempts, delay, mode and render_templates)",
        ),
    ] {
        let before = job.clone();
        assert_eq!(path(at).set(&mut job, &json!(value)).unwrap_err().to_string(), wanted);
        assert_eq!(job, before);
    }
    for (text, wanted) in [
        ("", "\"\" is not a path: a name is needed here, at character 1"),
        ("a..b", "\"a..b\" is not a path: a name is needed here, at character 3"),
        ("a[x]", "\"a[x]\" is not a path: in brackets stands a number, or a name in quotes, at character 3"),
        ("a[\"x]", "\"a[\\\"x]\" is not a path: the quoted name has no end, at character 3"),
        ("a[0]b", "\"a[0]b\" is not a path: a '.' or a '[' is needed here, at character 5"),
        ("a b", "\"a b\" is not a path: a '.' or a '[' is needed here, at character 2"),
    ] {
        assert_eq!(text.parse::<Path>().unwrap_err().to_string(), wanted);
    }
}

#[test]
fn short_forms_are_found() {
    let job = live();
    let found = |text: &str, within: &Path| path(text).find(&job, within).map(|path| path.to_string());
    let (whole, group) = (Path::default(), Path::to(Some("api"), None));
    let task = Path::to(Some("api"), Some("server"));
    for (text, within, wanted) in [
        ("count", &whole, "group.api.count"),
        ("priority", &whole, "priority"),
        ("meta.x", &whole, "meta.x"),
        ("update.max_parallel", &whole, "group.api.update.max_parallel"),
        ("service.web.port", &whole, "group.api.service.web.port"),
        ("network.port.http.static", &whole, "group.api.network[0].port.http.static"),
        ("task.server.env.LOG", &whole, "group.api.task.server.env.LOG"),
        ("count", &group, "group.api.count"),
        ("config.image", &task, "group.api.task.server.config.image"),
        ("config.auth.username", &task, "group.api.task.server.config.auth[0].username"),
        ("env.NEW", &task, "group.api.task.server.env.NEW"),
    ] {
        assert_eq!(found(text, within).unwrap(), wanted);
    }
    assert_eq!(
        found("config.image", &whole).unwrap_err().to_string(),
        "`config.image` may be group.api.task.server.config.image and group.api.task.sidecar.config.image: say which"
    );
    // A block that stands deeper, where there is one such.
    let mut checked = live();
    checked["TaskGroups"][0]["Services"] = json!([
        { "Name": "web", "Checks": [{ "Name": "up", "Type": "tcp", "Interval": 1 }] },
        { "Name": "admin" },
    ]);
    let find =
        |text: &str, job: &Json, within: &Path| path(text).find(job, within).map(|path| path.to_string());
    for within in [&whole, &group] {
        assert_eq!(
            find("check.interval", &checked, within).unwrap(),
            "group.api.service.web.check.up.interval"
        );
    }
    let mut bare = live();
    bare["TaskGroups"][0]["Services"] = Json::Null;
    for task in bare["TaskGroups"][0]["Tasks"].as_array_mut().unwrap() {
        task["Services"] = Json::Null;
    }
    let said = |text: &str, job: &Json, within: &Path| find(text, job, within).unwrap_err().to_string();
    assert_eq!(
        said("check.interval", &bare, &whole),
        "`check` stands in a group.service block, and the job has none"
    );
    assert_eq!(
        said("check.interval", &bare, &group),
        "`check` stands in a service block, and group.api has none"
    );
    assert_eq!(
        said("check.intervall", &checked, &whole),
        "there is no check 'intervall' in group.api.service.web (there is up)"
    );
    checked["TaskGroups"][0]["Services"][1]["Checks"] = json!([{ "Type": "tcp" }]);
    assert_eq!(
        said("check.interval", &checked, &whole),
        "`check.interval` may be group.api.service.web.check.up.interval and group.api.service.admin.check[0].interval: say which"
    );
    // A name alone is too little to go by.
    checked["TaskGroups"][0]["RestartPolicy"] = json!({ "Attempts": 2 });
    assert_eq!(
        said("render_templates", &checked, &group),
        "`render_templates` stands deeper: is `group.api.restart.render_templates` meant? (then write that)"
    );
    assert_eq!(
        found("cuont", &whole).unwrap_err().to_string(),
        "`cuont` means nothing in a job (did you mean 'count'?)"
    );
    assert_eq!(
        found("count", &task).unwrap_err().to_string(),
        "`count` means nothing in group.api.task.server"
    );
    assert!(matches!(found("restart", &group), Err(PathError::Block { .. })));
    assert_eq!(
        found("config.oauth.x", &task).unwrap_err().to_string(),
        "there is no block 'oauth' in group.api.task.server.config"
    );
}
