//! Diffs as people read them, and as a digest binds them.

use blackstart::nomad::{canonical, diff_lines, is_unchanged};
use proptest::prelude::*;
use serde_json::{Value, json};

/// As a server answers a plan that changes an image, an environment variable and a template.
fn recorded() -> Value {
    json!({
        "Type": "Edited", "ID": "web", "Objects": null,
        "Fields": [{ "Type": "None", "Name": "Priority", "Old": "50", "New": "50", "Annotations": null }],
        "TaskGroups": [{
            "Type": "Edited", "Name": "app", "Fields": null, "Objects": null,
            "Updates": { "create/destroy update": 2, "ignore": 1 },
            "Tasks": [{
                "Type": "Edited", "Name": "main", "Annotations": ["forces create/destroy update"],
                "Fields": [
                    { "Type": "Edited", "Name": "Env[A]", "Old": "1", "New": "2", "Annotations": null },
                    { "Type": "Added", "Name": "Env[B]", "Old": "", "New": "\u{1b}[31m", "Annotations": null },
                    { "Type": "Deleted", "Name": "Env[C]", "Old": "gone", "New": "", "Annotations": null },
                ],
                "Objects": [{
                    "Type": "Edited", "Name": "Config", "Objects": null,
                    "Fields": [
                        { "Type": "Edited", "Name": "image", "Old": "r:5000/a:1", "New": "r:5000/a:2", "Annotations": null },
                        { "Type": "None", "Name": "ports", "Old": "http", "New": "http", "Annotations": null },
                    ],
                }, {
                    "Type": "Edited", "Name": "Template", "Objects": null,
                    "Fields": [{ "Type": "Edited", "Name": "EmbeddedTmpl", "Old": "a\nb\nc\n", "New": "a\nx\nc\n" }],
                }],
            }],
        }],
    })
}

#[test]
fn a_diff_reads_well() {
    let lines: Vec<String> =
        diff_lines(&recorded()).iter().flat_map(blackstart::nomad::DiffLine::lines).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    ~ group 'app' (2 create/destroy update)
    ~ group 'app' / task 'main' (forces create/destroy update)
    ~ group 'app' / task 'main' / Env[A]: "1" → "2"
    + group 'app' / task 'main' / Env[B]: "\u{1b}[31m"
    - group 'app' / task 'main' / Env[C]: "gone"
    ~ group 'app' / task 'main' / Config / image: "r:5000/a:1" → "r:5000/a:2"
    ~ group 'app' / task 'main' / Template / EmbeddedTmpl:
        - b
        + x
    "#);
}

#[test]
fn what_the_cluster_does_is_not_part_of_the_decision() {
    let before = canonical(&recorded());
    let mut other = recorded();
    other["TaskGroups"][0]["Updates"] = json!({ "create/destroy update": 1 });
    other["TaskGroups"][0]["Tasks"][0]["Annotations"] = Value::Null;
    other["TaskGroups"][0]["Tasks"][0]["Fields"].as_array_mut().unwrap().reverse();
    other["TaskGroups"][0]["Tasks"][0]["Objects"].as_array_mut().unwrap().reverse();
    assert_eq!(canonical(&other).to_string(), before.to_string());
    // A value is.
    other["TaskGroups"][0]["Tasks"][0]["Objects"][1]["Fields"][0]["New"] = "r:5000/a:3".into();
    assert_ne!(canonical(&other), before);
}

#[test]
fn nothing_is_nothing() {
    let none = json!({ "Type": "None", "ID": "web", "Fields": [{ "Type": "None", "Name": "x" }], "TaskGroups": null });
    assert!(is_unchanged(&none) && is_unchanged(&Value::Null));
    assert!(!is_unchanged(&recorded()));
    assert!(diff_lines(&none).is_empty());
    assert_eq!(canonical(&none), Value::Null);
}

fn anything() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("Type"),
        Just("Name"),
        Just("Fields"),
        Just("Objects"),
        Just("TaskGroups"),
        Just("Tasks"),
        Just("Old"),
        Just("New"),
        Just("Annotations"),
        Just("Updates"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<u64>().prop_map(Value::from),
        prop_oneof![Just("Added"), Just("Edited"), Just("Deleted"), Just("None")].prop_map(Value::from),
        "[\u{0}-\u{9f}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..7)
                .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_breaks_it(diff in anything()) {
        for line in diff_lines(&diff).iter().flat_map(blackstart::nomad::DiffLine::lines) {
            prop_assert!(line.chars().all(|c| !c.is_control() || c == '\t'), "{:?}", line);
        }
        let once = canonical(&diff);
        prop_assert_eq!(canonical(&once), once);
    }
}
