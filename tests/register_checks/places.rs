//! Where errors and warnings point, what is only warned of, and what it costs to say nothing.

use blackstart::base::{Severity, Source};
use blackstart::jobspec::{Inputs, check, parse};

fn told(text: &str, inputs: &Inputs) -> Vec<(Severity, String)> {
    let job = parse(&Source::new("web.nomad.hcl", text), inputs).unwrap();
    check(&job, inputs).0.into_iter().map(|one| (one.severity, one.to_string())).collect()
}

/// A service with one group and one task; `group` and `task` are put into them.
fn web(group: &str, task: &str) -> String {
    format!(
        "job \"web\" {{\n  group \"g\" {{\n{group}    task \"t\" {{\n      driver = \"docker\"\n{task}    }}\n  }}\n}}\n"
    )
}

#[test]
fn an_error_points_at_the_value_or_at_what_lacks_it() {
    let memory = web("", "      resources {\n        memory = 5\n      }\n");
    let at = "web.nomad.hcl:6:18: Nomad refuses this at register: 5 MB of memory are too few";
    assert_eq!(told(&memory, &Inputs::default()), [(Severity::Error, at.to_owned())]);

    // A driver that isn't there has no place but its task's.
    let driver = "job \"web\" {\n  group \"g\" {\n    task \"t\" {\n    }\n  }\n}\n";
    let found = told(driver, &Inputs::default());
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("web.nomad.hcl:3:5: "), "{found:?}");

    // The job's block is merged into the group's.
    let update = "job \"web\" {\n  update {\n    healthy_deadline = \"1h\"\n    health_check = \"manual\"\n  }\n  group \"g\" {\n    update {\n      canary = 1\n    \
                  }\n    task \"t\" {\n      driver = \"docker\"\n    }\n  }\n}\n";
    let found = told(update, &Inputs::default());
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("web.nomad.hcl:3:24: "), "{found:?}");
}

#[test]
fn places_are_those_of_the_file_before_envsubst() {
    let text = web("    # $LONG\n    count = $COUNT\n", "");
    let environment =
        [("LONG", "one\ntwo\nthree"), ("COUNT", "-1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let inputs = Inputs {
        environment: environment.into(),
        envsubst: vec!["LONG".to_owned(), "COUNT".to_owned()],
        ..Inputs::default()
    };
    // A comment ends with its line: what follows would be read.
    assert!(parse(&Source::new("f", text.as_str()), &inputs).is_err());
    let inputs = Inputs { environment: [("COUNT".to_owned(), "-1".to_owned())].into(), ..inputs };
    let found = told(&text.replace("# $LONG", "# é"), &inputs);
    assert!(found[0].1.starts_with("web.nomad.hcl:4:13: "), "{found:?}");
}

#[test]
fn a_job_file_in_json_has_places_too() {
    let text = "{\"job\": {\"web\": {\"group\": {\"g\": {\n  \"count\": -1,\n  \"task\": {\"t\": {\"driver\": \"docker\"}}}}}}}";
    let found = told(text, &Inputs::default());
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("web.nomad.hcl:2:12: "), "{found:?}");
}

#[test]
fn warnings_are_no_errors() {
    let image = |image: &str| format!("      config {{\n        image = \"{image}\"\n      }}\n");
    let tagged = image("registry.example.com:5000/x/y:1.2");
    for (group, task, words) in [
        ("    count = 0\n", tagged.as_str(), Some("group `g` has a count of 0")),
        ("", &image("registry.example.com:5000/x/y"), Some("the image has no tag")),
        ("", &image("x:latest"), Some("tag is `latest`")),
        ("", &image("x:${meta.tag}"), None),
        ("", &image("x@sha256:0123"), None),
        (
            "    update {\n      health_check = \"checks\"\n    }\n",
            &tagged,
            Some("waits for the checks of group `g`, which has none"),
        ),
        ("    update {\n      max_parallel = 1\n    }\n", &tagged, Some("waits for the checks of group `g`")),
        ("    update {\n      health_check = \"task_states\"\n    }\n", &tagged, None),
        (
            "    service {\n      port = \"http\"\n    }\n",
            &tagged,
            Some("no network of group `g` has the port `http`"),
        ),
        ("    max_client_disconnect = \"1h\"\n", &tagged, Some("`max_client_disconnect` is deprecated")),
        ("    network {\n      mbits = 10\n    }\n", &tagged, Some("`mbits` is deprecated")),
        (
            "    count = 2\n    update {\n      health_check = \"manual\"\n      max_parallel = 3\n    }\n",
            &tagged,
            Some("all of its 2 instances at once"),
        ),
        ("    volume \"v\" {\n      type = \"nfs\"\n    }\n", &tagged, Some("ignores the volume `v`")),
    ] {
        let found = told(&web(group, task), &Inputs::default());
        match words {
            None => assert!(found.is_empty(), "{group}{task}{found:?}"),
            Some(words) => {
                assert_eq!(found.len(), 1, "{group}{task}{found:?}");
                assert_eq!(found[0].0, Severity::Warning);
                assert!(found[0].1.contains(words), "{found:?}");
            }
        }
    }
}

/// The reference environment's own files are clean.
#[test]
fn the_reference_jobs_have_nothing_to_tell() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("nomad-jobs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(told(&text, &Inputs::default()), [], "{}", path.display());
    }
}
