//! Patches of any value, through the real binary on the sandbox: what names mean, patch files, order,
//! and what becomes of a patch that fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
#[path = "patch/site.rs"]
mod site;

use serde_json::{Value, json};
use site::{REPOSITORY, Site};

/// A job of one task, healthy soon, after the jobs that it depends on.
fn service(id: &str, after: &str) -> Value {
    json!({
        "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"], "Meta": { "depends_on": after },
        "Update": {
            "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": 1_000_000_000,
            "HealthyDeadline": 60_000_000_000_u64, "ProgressDeadline": 120_000_000_000_u64,
        },
        "TaskGroups": [{
            "Name": "main", "Count": 1,
            "RestartPolicy": { "Attempts": 0, "Mode": "fail", "Interval": 60_000_000_000_u64, "Delay": 1_000_000_000 },
            "Tasks": [{
                "Name": "main", "Driver": "docker", "Config": { "image": format!("{REPOSITORY}/{id}:git-1") },
                "Env": { "LOG": "info" }, "Resources": { "CPU": 50, "MemoryMB": 32 },
            }],
        }],
    })
}

/// The specification only.
fn written(mut job: Value) -> Value {
    for own in
        ["ModifyIndex", "JobModifyIndex", "Version", "SubmitTime", "Status", "Stable", "StatusDescription"]
    {
        job.as_object_mut().unwrap().remove(own);
    }
    job
}

fn image(site: &Site, id: &str) -> String {
    let job = site.job(id);
    job["TaskGroups"][0]["Tasks"][0]["Config"]["image"].as_str().unwrap().to_owned()
}

/// The journal's records of a type.
fn journaled(site: &Site, kind: &str) -> Vec<Value> {
    let records = site.fixture.journal("sandbox").into_iter().map(|(_, body)| body);
    records.filter(|body| body["type"] == kind).collect()
}

/// (when it was registered, when its allocation was healthy), by the server's indexes.
fn indexes(site: &Site, id: &str) -> (u64, u64) {
    let job = site.job(id);
    let newest = site.running(id).into_iter().find(|a| a["JobVersion"] == job["Version"]).unwrap();
    assert_eq!(newest["DeploymentStatus"]["Healthy"], true, "{id}");
    let healthy = newest["DeploymentStatus"]["ModifyIndex"].as_u64().unwrap();
    (job["JobModifyIndex"].as_u64().unwrap(), healthy)
}

#[test]
fn patterns_mean_what_runs() {
    let site = Site::sandbox();
    for id in ["api-one", "api-two", "worker"] {
        site.start_job(&service(id, ""), None);
    }
    let mut foreign = service("api-cache", "");
    foreign["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = "docker.io/library/redis:7".into();
    site.start_job(&foreign, None);
    site.start_job(&service("api-old", ""), None);
    site.stop("api-old");

    // One tag for images from here and from elsewhere is a mistake.
    for arguments in [["image", "api-*=git-2", "--yes"], ["image", "--all=git-2", "--yes"]] {
        let out = site.patches(&arguments).code(1);
        out.says("different origins").says("api-cache from docker.io/library").says("--repository");
    }
    let out = site.patches(&["image", "db-*=git-2", "--yes"]).code(1);
    out.says("no running job is like 'db-*'").says("api-one");
    assert_eq!(["api-one", "api-two", "worker", "api-cache"].map(|id| site.version(id)), [0; 4]);

    site.patches(&["image", "api-???=git-2", "--yes"]).code(0).says("2 jobs changed and healthy");
    assert_eq!(["api-one", "api-two", "worker", "api-cache"].map(|id| site.version(id)), [1, 1, 0, 0]);
    assert_eq!(image(&site, "api-two"), format!("{REPOSITORY}/api-two:git-2"));

    let from_here = ["image", "--all", "git-3", "--repository", "registry.example.com/cosims", "--yes"];
    site.patches(&from_here).code(0).says("3 jobs changed and healthy");
    assert_eq!(["api-one", "api-two", "worker", "api-cache"].map(|id| site.version(id)), [2, 2, 1, 0]);
    assert_eq!(image(&site, "worker"), format!("{REPOSITORY}/worker:git-3"));
    // A stopped one stays stopped, with the image it had.
    assert_eq!(image(&site, "api-old"), format!("{REPOSITORY}/api-old:git-1"));
    assert_eq!(site.job("api-old")["Stop"], true);
    // Two values for one image are no decision.
    let out = site.patches(&["image", "api-one*=git-4", "api-one=git-5", "--yes"]).code(1);
    out.says("named twice").says("git-4").says("git-5");
    assert_eq!(site.version("api-one"), 2);
}

#[test]
fn a_patterns_tag_is_for_each_task() {
    let site = Site::sandbox();
    let mut two = service("pair", "");
    let tasks = two["TaskGroups"][0]["Tasks"].as_array_mut().unwrap();
    let mut side = tasks[0].clone();
    side["Name"] = "side".into();
    side["Config"]["image"] = format!("{REPOSITORY}/side:git-1").into();
    tasks.push(side);
    site.start_job(&two, None);
    let images = |tag: &str| [format!("{REPOSITORY}/pair:{tag}"), format!("{REPOSITORY}/side:{tag}")];
    let now = || {
        let job = site.job("pair");
        [0, 1].map(|at| {
            let image = &job["TaskGroups"][0]["Tasks"][at]["Config"]["image"];
            image.as_str().unwrap().to_owned()
        })
    };
    let out = site.patches(&["image", "pair=git-2", "--yes"]).code(1);
    out.says("different images").says("'pair/*/*=TAG'").says("--repository");
    // A digest is of one image.
    let digest = format!("pai*=sha256:{}", "0".repeat(64));
    site.patches(&["image", &digest, "--yes"]).code(1).says("different images");
    assert_eq!(now(), images("git-1"));
    for (all, tag) in [(["--all", "git-2"], "git-2"), (["pai*=git-3", "--parallel=1"], "git-3")] {
        site.patches(&["image", all[0], all[1], "--yes"]).code(0).says("1 job changed and healthy");
        assert_eq!(now(), images(tag));
    }
    let mut foreign = site.job("pair");
    foreign["TaskGroups"][0]["Tasks"][1]["Config"]["image"] = "docker.io/library/redis:7".into();
    site.start_job(&foreign, None);
    let out = site.patches(&["image", "--all", "git-4", "--yes"]).code(1);
    out.says("different origins").says("docker.io/library").says("--repository");
}

#[test]
fn any_value_is_set_and_no_other() {
    let site = Site::sandbox();
    site.start_job(&service("web", ""), None);
    let before = site.job("web");
    let resources = ["resources", "web", "cpu=120", "memory=64", "memory_max=128", "--yes"];
    site.patches(&resources).code(0).says("1 job changed and healthy");
    let mut expected = written(before);
    let task = |job: &mut Value| job.pointer_mut("/TaskGroups/0/Tasks/0").unwrap().take();
    let mut wanted = task(&mut expected);
    wanted["Resources"]["CPU"] = 120.into();
    wanted["Resources"]["MemoryMB"] = 64.into();
    wanted["Resources"]["MemoryMaxMB"] = 128.into();
    expected["TaskGroups"][0]["Tasks"][0] = wanted;
    assert_eq!(written(site.job("web")), expected);

    let set = [
        "set",
        "web",
        "count=2",
        "env.LOG=debug",
        "env[\"A.B\"]=x",
        "meta.owner=ops",
        "kill_timeout=30s",
        "update.max_parallel=2",
        "--yes",
    ];
    site.patches(&set).code(0);
    let group = &mut expected["TaskGroups"][0];
    group["Count"] = 2.into();
    group["Update"]["MaxParallel"] = 2.into();
    group["Tasks"][0]["Env"] = json!({ "LOG": "debug", "A.B": "x" });
    group["Tasks"][0]["KillTimeout"] = 30_000_000_000_u64.into();
    expected["Meta"]["owner"] = "ops".into();
    assert_eq!(written(site.job("web")), expected);
    assert_eq!(site.running("web").iter().filter(|a| a["JobVersion"] == 2).count(), 2);
    site.patches(&set).code(0).says("nothing to do").says("web is so already");

    // What was changed stands in the journal by its path.
    let meant = journaled(&site, "step_intended").pop().unwrap();
    let changes = meant["precondition"]["jobs"][0]["changes"].as_array().unwrap();
    let count = changes.iter().find(|change| change["path"] == "group.main.count").unwrap();
    assert_eq!((&count["old"], &count["new"]), (&json!(1), &json!(2)));
    assert_eq!(changes.len(), 6, "{changes:#?}");

    let version = site.version("web");
    for (arguments, says) in [
        (["set", "web", "cuont=3"], "`cuont` means nothing in a job (did you mean 'count'?)"),
        (["set", "web", "count=many"], "for `group.main.count`, a number is needed"),
        (["set", "web/mian", "count=3"], "there is no group 'mian' in the job (did you mean 'main'?)"),
        (["set", "web", "id=other"], "a patch can't change it"),
        (["set", "web", "update=1"], "is a block, not a value"),
        (["set", "web", "a..b=1"], "is not a path"),
        (["resources", "web", "cup=1"], "`cup` means nothing"),
        (["resources", "wed", "cpu=1"], "did you mean 'web'?"),
    ] {
        let mut arguments = arguments.to_vec();
        arguments.push("--yes");
        site.patches(&arguments).code(1).says(says);
    }
    // Two tasks may be meant: which, is said.
    let mut pair = service("pair", "");
    let mut second = pair["TaskGroups"][0]["Tasks"][0].clone();
    second["Name"] = "side".into();
    pair["TaskGroups"][0]["Tasks"].as_array_mut().unwrap().push(second);
    site.start_job(&pair, None);
    let out = site.patches(&["set", "pair", "env.LOG=debug", "--yes"]).code(1);
    out.says("group.main.task.main.env.LOG").says("group.main.task.side.env.LOG");
    site.patches(&["set", "pair/main/side", "env.LOG=debug", "--yes"]).code(0);
    site.patches(&["set", "pair/main/*", "user=nobody", "--yes"]).code(0);
    let tasks = site.job("pair")["TaskGroups"][0]["Tasks"].clone();
    assert_eq!([&tasks[0]["Env"]["LOG"], &tasks[1]["Env"]["LOG"]], ["info", "debug"]);
    assert_eq!([&tasks[0]["User"], &tasks[1]["User"]], ["nobody", "nobody"]);
    assert_eq!(site.version("web"), version);
}

#[test]
fn a_patch_file_is_read_whole_and_done_whole() {
    let site = Site::sandbox();
    for id in ["web", "worker"] {
        site.start_job(&service(id, ""), None);
    }
    let file = "patches/2026-11-21.hcl";
    site.fixture.write(
        file,
        r#"description = "Hot fix"
on_failure  = "revert-all"

service "web" {
  image = "git-2"
  set = {
    count       = 2
    "env.LOG"   = "debug"
    "env.OLD"   = null
  }
}

service "worker/main" {
  resources {
    cpu = 120
  }
}
"#,
    );
    let shown = site.patches(&["apply", file, "--dry-run"]).code(0);
    let shown = shown.says("web changes").says("git-2").says("worker changes").says("nothing was changed");
    shown.never_says("Approved");
    assert_eq!((site.version("web"), site.version("worker")), (0, 0));
    assert!(journaled(&site, "run_started").is_empty());
    let out = site.patches(&["apply", file, "--yes", "--json"]).code(0);
    let mut told = out.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let finished = told.find(|event| event["event"]["type"] == "finished").unwrap();
    assert_eq!(finished["event"]["ending"], "done");
    let web = site.job("web");
    assert_eq!(image(&site, "web"), format!("{REPOSITORY}/web:git-2"));
    assert_eq!(web["TaskGroups"][0]["Count"], 2);
    assert_eq!(web["TaskGroups"][0]["Tasks"][0]["Env"], json!({ "LOG": "debug" }));
    assert_eq!(site.job("worker")["TaskGroups"][0]["Tasks"][0]["Resources"]["CPU"], 120);
    assert_eq!((site.version("web"), site.version("worker")), (1, 1));

    // All that is wrong is said at once, each with its place.
    site.fixture.write(
        file,
        "on_failure = \"never\"\nservice \"web\" {\n  image = \"git 2\"\n  imgae = \"x\"\n  set = { \"a..b\" = 1 }\n}\n\
         service \"worker\" {\n}\nservice \"more\" {\n  resources {\n    cup = 1\n  }\n}\n",
    );
    let out = site.patches(&["apply", file, "--yes"]).code(1);
    for place in ["1:14", "3:11", "4:3", "5:20", "7:9", "11:5"] {
        assert!(out.text().contains(&format!("{file}:{place}")), "no {place} in {out}");
    }
    // So is what is wrong with it among the jobs that run.
    site.fixture.write(
        file,
        "service \"wed\" {\n  image = \"git-3\"\n}\nservice \"worker\" {\n  set = { cuont = 1 }\n}\n",
    );
    let out = site.patches(&["apply", file, "--yes"]).code(1);
    assert!(
        out.text().contains(&format!("{file}:1:9")) && out.text().contains(&format!("{file}:4:9")),
        "{out}"
    );
    out.says("did you mean 'web'?").says("did you mean 'count'?");
    assert_eq!((site.version("web"), site.version("worker")), (1, 1));

    // The same contents in a plan's step.
    site.fixture.write(
        "plans/hotfix.hcl",
        "plan \"hotfix\" {\n  wave \"one\" {\n    step \"nomad_patch\" \"fix\" {\n      service \"w*\" {\n        set = { \"meta.owner\" = \"ops\" }\n      }\n    }\n  }\n}\n",
    );
    site.fixture.run(&["-e", "sandbox", "run", "hotfix", "--yes"]).code(0);
    assert_eq!(
        (&site.job("web")["Meta"]["owner"], &site.job("worker")["Meta"]["owner"]),
        (&json!("ops"), &json!("ops"))
    );
}

#[test]
fn jobs_come_in_their_order_and_so_many_at_once() {
    let site = Site::sandbox();
    for (id, after) in [("z-first", ""), ("m-second", "z-first"), ("a-third", "m-second"), ("alone", "")] {
        site.start_job(&service(id, after), None);
    }
    let out = site.patches(&["image", "*=git-2", "--yes"]).code(0);
    out.says("in this order: alone, z-first, then m-second, then a-third");
    let [first, second, third, alone] =
        ["z-first", "m-second", "a-third", "alone"].map(|id| indexes(&site, id));
    assert!(first.1 < second.0 && second.1 < third.0, "{first:?} {second:?} {third:?}");
    // What nothing waits for doesn't wait.
    assert!(alone.0 < first.1, "{alone:?} {first:?}");

    site.patches(&["image", "z-first=git-3", "alone=git-3", "--parallel", "1", "--yes"]).code(0);
    let mut two = [indexes(&site, "z-first"), indexes(&site, "alone")];
    two.sort_unstable();
    assert!(two[0].1 < two[1].0, "{two:?}");
    // What lies between two isn't patched: the order is theirs all the same.
    let before = indexes(&site, "m-second");
    let out = site.patches(&["image", "a-third=git-3", "z-first=git-4", "--yes"]).code(0);
    out.says("in this order: z-first, then a-third");
    let [first, third] = ["z-first", "a-third"].map(|id| indexes(&site, id));
    assert!(first.1 < third.0, "{first:?} {third:?}");
    assert_eq!(indexes(&site, "m-second"), before);
    // One that is so already is waited for by nobody.
    site.patches(&["image", "a-third=git-5", "z-first=git-4", "--yes"]).code(0).says("1 job changed");
    // Those that wait for one another are refused before anything is done.
    site.start_job(&service("round", "about"), None);
    site.start_job(&service("about", "round"), None);
    let out = site.patches(&["image", "round=git-2", "about=git-2", "--yes"]).code(1);
    out.says("depend on one another");
    assert_eq!((site.version("round"), site.version("about")), (0, 0));
}

#[test]
fn what_was_done_before_a_failure_stays_or_goes_back() {
    let site = Site::sandbox();
    for (id, after) in [("one", ""), ("two", "one"), ("three", "two")] {
        site.start_job(&service(id, after), None);
    }
    let before = ["one", "two", "three"].map(|id| written(site.job(id)));
    let images = ["image", "one=git-2", "two=git-bad", "three=git-2", "--yes"];
    let all = [&images[..], &["--on-failure", "revert-all"]].concat();
    let out = site.patches(&all).code(1);
    let out =
        out.says("'two': not healthy").says("'one': changed, but it was put back").says("not begun: three");
    out.says("Failed to pull").never_says("Done:");
    assert_eq!(["one", "two", "three"].map(|id| written(site.job(id))), before);
    assert_eq!(["one", "two", "three"].map(|id| site.version(id)), [2, 2, 0]);
    let ended = journaled(&site, "step_failed").pop().unwrap();
    let outcomes: Vec<&Value> =
        ended["evidence"]["jobs"].as_array().unwrap().iter().map(|job| &job["outcome"]).collect();
    assert_eq!(outcomes, ["reverted", "reverted", "not_begun"]);

    let out = site.patches(&images).code(1);
    out.says("'two': not healthy").says("changed and healthy: one").says("not begun: three");
    assert_eq!(image(&site, "one"), format!("{REPOSITORY}/one:git-2"));
    assert_eq!(["two", "three"].map(|id| written(site.job(id))), before[1..]);
}

#[test]
fn what_has_no_place_is_refused_before_anything_is_done() {
    let site = Site::sandbox();
    for id in ["web", "worker"] {
        site.start_job(&service(id, ""), None);
    }
    site.fixture.write(
        "p.hcl",
        "service \"worker\" {\n  image = \"git-2\"\n}\nservice \"web\" {\n  resources {\n    cpu = 99000\n  }\n}\n",
    );
    let out = site.patches(&["apply", "p.hcl", "--yes"]).code(3);
    out.says("there is no place for what would be changed: 'web'").says("cpu").never_says("Approved");
    assert_eq!((site.version("web"), site.version("worker")), (0, 0));
}

#[test]
fn jobs_without_an_ordinary_deployment() {
    let site = Site::sandbox();
    let mut canary = service("canary", "");
    canary["Update"]["Canary"] = 1.into();
    site.start_job(&canary, None);
    let out = site.patches(&["image", "canary=git-2", "--yes"]).code(5);
    out.says("needs manual promotion").says("nomad deployment promote").never_says("put back");
    assert_eq!(site.version("canary"), 1);

    for kind in ["batch", "system", "sysbatch"] {
        let mut job = service(kind, "");
        job["Type"] = kind.into();
        job.as_object_mut().unwrap().remove("Update");
        if kind != "batch" {
            job["TaskGroups"][0].as_object_mut().unwrap().remove("Count");
        }
        site.register(&job);
    }
    let mut periodic = service("periodic", "");
    periodic["Type"] = "batch".into();
    periodic.as_object_mut().unwrap().remove("Update");
    periodic["Periodic"] = json!({ "Enabled": true, "SpecType": "cron", "Spec": "0 3 * * *" });
    site.register(&periodic);
    for id in ["batch", "system", "sysbatch", "periodic"] {
        site.patches(&["set", id, "env.LOG=debug", "--yes"]).code(0).says("1 job changed and healthy");
        assert_eq!(site.job(id)["TaskGroups"][0]["Tasks"][0]["Env"]["LOG"], "debug", "{id}");
        assert_eq!(site.version(id), 1, "{id}");
    }
    // Nothing to run, nothing to wait for.
    let mut idle = service("idle", "");
    idle["TaskGroups"][0]["Count"] = 0.into();
    site.register(&idle);
    site.patches(&["image", "idle=git-2", "--yes"]).code(0);
    assert_eq!((site.version("idle"), image(&site, "idle")), (1, format!("{REPOSITORY}/idle:git-2")));
}
