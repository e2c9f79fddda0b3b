//! Editing images: only what is meant changes, and what is unclear is refused.

use blackstart::nomad::{EditError, ImageChange, Selector, set_image, task_images};
use proptest::prelude::*;
use serde_json::{Value, json};

fn task(name: &str, image: &str) -> Value {
    json!({ "Name": name, "Driver": "docker", "Config": { "image": image, "ports": ["http"] }, "Env": { "image": image } })
}

fn job(groups: &[(&str, Vec<Value>)]) -> Value {
    let groups: Vec<Value> =
        groups.iter().map(|(name, tasks)| json!({ "Name": name, "Tasks": tasks })).collect();
    json!({ "ID": "job_creation", "TaskGroups": groups, "image": "x" })
}

fn edit(job: &mut Value, selector: &str, wanted: &str) -> Result<Vec<ImageChange>, EditError> {
    set_image(job, &Selector::parse(selector).unwrap(), wanted)
}

const OLD: &str = "registry.example.com:5000/cosims/job_creation:git-old";

#[test]
fn only_the_image_changes() {
    let mut edited = job(&[("app", vec![task("main", OLD)])]);
    let mut meant = edited.clone();
    meant["TaskGroups"][0]["Tasks"][0]["Config"]["image"] =
        "registry.example.com:5000/cosims/job_creation:git-new".into();
    let changes = edit(&mut edited, "job_creation", "git-new").unwrap();
    assert_eq!(edited, meant);
    assert_eq!(
        changes,
        [ImageChange {
            group: "app".into(),
            task: "main".into(),
            old: OLD.into(),
            new: "registry.example.com:5000/cosims/job_creation:git-new".into(),
        }]
    );
}

#[test]
fn one_repository_is_one_meaning() {
    // Two groups of one image, at different tags: both get the new one.
    let mut job = job(&[
        ("a", vec![task("main", "cosims/x:1")]),
        ("b", vec![task("main", "cosims/x:2"), json!({ "Name": "plain", "Config": { "command": "sleep" } })]),
    ]);
    assert_eq!(edit(&mut job, "job_creation", "3").unwrap().len(), 2);
    assert_eq!(edit(&mut job, "job_creation/b", "4").unwrap().len(), 1);
    let images: Vec<String> = task_images(&job).into_iter().map(|i| i.image).collect();
    assert_eq!(images, ["cosims/x:3", "cosims/x:4"]);
}

#[test]
fn several_repositories_are_ambiguous() {
    let before = job(&[("app", vec![task("main", OLD), task("proxy", "envoy:1")])]);
    for (selector, wanted) in [("job_creation", "git-new"), ("job_creation/app", "envoy:2")] {
        let mut edited = before.clone();
        let error = edit(&mut edited, selector, wanted).unwrap_err();
        assert_eq!(edited, before, "nothing is half done");
        let EditError::Ambiguous { tasks, .. } = &error else { panic!("{error:?}") };
        assert_eq!(tasks, &[format!("app/main ({OLD})"), "app/proxy (envoy:1)".to_owned()]);
    }
    let mut edited = before.clone();
    let changes = edit(&mut edited, "job_creation/app/proxy", "2").unwrap();
    assert_eq!(changes[0].new, "envoy:2");
    // A whole reference says which repository is meant.
    let mut edited = before.clone();
    let wanted = "registry.example.com:5000/cosims/job_creation:git-new";
    assert_eq!(edit(&mut edited, "job_creation", wanted).unwrap()[0].task, "main");
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    let mut job = job(&[("creation", vec![task("main", OLD)]), ("web", vec![])]);
    let error = edit(&mut job, "job_creation/craetion", "x").unwrap_err().to_string();
    assert_eq!(
        error,
        "job 'job_creation' has no group 'craetion' (did you mean 'creation'? it has creation and web)"
    );
    let error = edit(&mut job, "job_creation/creation/mian", "x").unwrap_err().to_string();
    assert_eq!(error, "group 'creation' has no task 'mian' (did you mean 'main'? it has main)");
    assert!(matches!(edit(&mut job, "job_creation/web", "x"), Err(EditError::NoImage(_))));
    for bad in ["", "/a", "a/", "a//c"] {
        assert!(Selector::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_job_name_may_hold_slashes() {
    let readings = Selector::readings("team/job/app");
    let jobs: Vec<&str> = readings.iter().map(|s| s.job.as_str()).collect();
    assert_eq!(jobs, ["team/job/app", "team/job", "team"]);
    assert_eq!(readings[2].task.as_deref(), Some("app"));
    assert_eq!(Selector::readings("web").len(), 1);
}

#[test]
fn what_no_registry_takes_is_refused() {
    let mut job = job(&[("app", vec![task("main", OLD)])]);
    for bad in ["", "git new", "-x", "sha256:12", "a/b:"] {
        assert!(matches!(edit(&mut job, "job_creation", bad), Err(EditError::BadImage { .. })), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a job holds besides, it is left alone.
    #[test]
    fn nothing_else_changes(
        extra in "[A-Za-z]{1,8}",
        value in any::<i64>(),
        repository in "[a-z]{1,8}(:[0-9]{4})?/[a-z]{1,8}",
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}",
    ) {
        let mut edited = job(&[("app", vec![task("main", &format!("{repository}:old")), json!({ "Name": "other" })])]);
        edited[format!("x{extra}")] = value.into();
        edited["TaskGroups"][0]["Tasks"][1][format!("x{extra}")] = json!([value, null]);
        let mut meant = edited.clone();
        meant["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = format!("{repository}:{tag}").into();
        edit(&mut edited, "job_creation", &tag).unwrap();
        prop_assert_eq!(edited, meant);
    }
}
