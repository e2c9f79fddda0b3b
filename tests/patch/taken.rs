//! What a patch has changed when its process is killed, or when a person doesn't go on with it: the server's
//! state is what counts.

use serde_json::{Value, json};

use crate::common::wait_until;
use crate::operations::stock;
use crate::site::{Looks, Site};

const FIRST: &str = "job_creation";
/// It depends on the first.
const SECOND: &str = "job_configuration";

/// Both run as they were; gives them exactly as the server holds them.
fn both(site: &Site) -> [Value; 2] {
    for (id, after) in [(FIRST, None), (SECOND, Some(FIRST))] {
        site.start_job(&site.service(id, after), None);
    }
    [site.job(FIRST), site.job(SECOND)].map(crate::written)
}

fn looks(site: &Site) -> [String; 2] {
    [site.looks(FIRST), site.looks(SECOND)]
}

/// The jobs are exactly as they were, and healthy.
fn are_as_before(site: &Site, before: &[Value; 2]) {
    assert_eq!([site.job(FIRST), site.job(SECOND)].map(crate::written), *before);
    for id in [FIRST, SECOND] {
        assert!(site.is_up(id), "{id}: {:#?}", site.running(id));
    }
}

pub fn killed_while_one_fails_all_go_back(site: &Site) {
    let before = both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::Bad)]);
    let run = site.spawn(&["patch", "apply", &file, "--on-failure", "revert-all", "--yes"]);
    wait_until("the second registration", || site.version(SECOND) == 1);
    run.signal("KILL");
    assert_eq!(run.wait().signal, Some(9));
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::Bad)], "it was killed too late");
    // Nobody is there to be asked.
    let out = site.run(&["resume", "--yes"]).code(1);
    let out =
        out.says("was changed by this run before").says("it was put back as it was").never_says("Done:");
    out.never_says("written to").never_says("not known");
    are_as_before(site, &before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 2], "once there and once back");
    // That was the end of it.
    site.run(&["resume", "--yes"]).code(1).says("no unfinished run");
    site.run(&["status"]).code(0).never_says("unsaved");
}

pub fn killed_between_two_it_is_gone_on_with(site: &Site) {
    both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let run = site.spawn(&["patch", "apply", &file, "--yes"]);
    wait_until("the first registration", || site.version(FIRST) == 1);
    run.signal("KILL");
    assert_eq!(run.wait().signal, Some(9));
    assert_eq!(site.version(SECOND), 0, "it was killed too late");
    site.run(&["resume", "--yes"]).code(0).says("was changed by this run before").says("written to");
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::New)]);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 1], "done twice");
    for id in [FIRST, SECOND] {
        assert!(site.is_up(id), "{id}: {:#?}", site.running(id));
        let text = site.fixture.read(&format!("nomad-jobs/{id}.nomad.hcl"));
        assert!(text.contains(&site.tag(Looks::New)), "{text}");
    }
    site.run(&["status"]).code(0).never_says("unsaved");
}

/// The first is done and the run is killed; then the stock client registers the second as it runs, with the
/// patch and perhaps with more. Gives false where there is no such client.
fn the_stock_client_goes_on(site: &Site, more: impl FnOnce(&mut Value)) -> bool {
    if stock(site, &["version"]).is_none() {
        return false;
    }
    both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let run = site.spawn(&["patch", "apply", &file, "--on-failure", "revert-all", "--yes"]);
    wait_until("the first registration", || site.version(FIRST) == 1);
    run.signal("KILL");
    assert_eq!(run.wait().signal, Some(9));
    assert_eq!(site.version(SECOND), 0, "it was killed too late");
    let shown: Value = serde_json::from_str(&stock(site, &["job", "inspect", SECOND]).unwrap()).unwrap();
    let mut job = shown["Job"].clone();
    site.makes_look(&mut job, Looks::New);
    more(&mut job);
    let edited = site.fixture.path("edited.json");
    std::fs::write(&edited, json!({ "Job": job }).to_string()).unwrap();
    stock(site, &["job", "run", "-json", "-detach", &edited.display().to_string()]);
    assert_eq!(site.version(SECOND), 1);
    site.until_rolled_out(SECOND);
    true
}

/// What is left out stands for its default, and can't be told from it.
pub fn the_stock_client_did_the_same_meanwhile(site: &Site) {
    let same = |job: &mut Value| {
        for name in ["Priority", "AllAtOnce", "Type", "Affinities"] {
            assert!(job.as_object_mut().unwrap().remove(name).is_some(), "{name} in {job:#}");
        }
        for name in ["LogConfig", "RestartPolicy"] {
            assert!(
                job["TaskGroups"][0]["Tasks"][0].as_object_mut().unwrap().remove(name).is_some(),
                "{name}"
            );
        }
    };
    if !the_stock_client_goes_on(site, same) {
        return;
    }
    let mut terminal = site.on_terminal(&["resume"]);
    let shown = terminal.until("Approve?");
    for id in [FIRST, SECOND] {
        assert!(shown.contains(&format!("{id} was changed by this run before")), "{shown}");
    }
    assert!(!shown.contains("somebody else"), "{shown}");
    terminal.answers("y");
    let (rest, code) = terminal.end();
    assert_eq!(code, 0, "{rest}");
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 1], "done twice");
}

pub fn the_stock_client_did_more_meanwhile(site: &Site) {
    let more = |job: &mut Value| job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "teal".into();
    if !the_stock_client_goes_on(site, more) {
        return;
    }
    let mut terminal = site.on_terminal(&["resume"]);
    let shown = terminal.until("Approve?");
    assert!(shown.contains(&format!("{FIRST} was changed by this run before")), "{shown}");
    assert!(!shown.contains(&format!("{SECOND} was changed by this run before")), "{shown}");
    // Theirs isn't put back with ours.
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains(&format!("'{FIRST}': changed, but it was put back as it was")), "{rest}");
    assert!(!rest.contains(&format!("'{SECOND}'")), "{rest}");
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 1]);
    assert_eq!(looks(site), [site.tag(Looks::Old), site.tag(Looks::New)]);
    assert_eq!(site.environment(SECOND)["COLOUR"], "teal");
}

pub fn a_no_to_the_second_question_puts_all_back(site: &Site) {
    let before = both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let mut terminal = site.on_terminal(&["patch", "apply", &file, "--on-failure", "revert-all"]);
    terminal.until("Approve?");
    terminal.answers("y");
    wait_until("the first registration", || site.version(FIRST) == 1);
    site.somebody_sets(SECOND, "COLOUR", "teal");
    let shown = terminal.until("which is not what was approved") + &terminal.until("Approve?");
    let told: Vec<&str> = shown.lines().filter(|line| line.contains("changed it meanwhile")).collect();
    let task = format!("group '{SECOND}' / task '{SECOND}'");
    let words = |line: &&str| line.contains(&task) && line.contains("COLOUR") && line.contains("teal");
    assert!(!told.is_empty() && told.iter().all(words), "{told:#?}");
    // What this very patch has changed is nobody else's change.
    let first: Vec<&str> =
        shown.lines().filter(|line| line.contains(FIRST) && line.contains("since")).collect();
    assert_eq!(first, [] as [&str; 0]);
    assert!(shown.contains("job_creation was changed by this run before"), "{shown}");
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::Old)]);
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("'job_creation': changed, but it was put back as it was"), "{rest}");
    assert_eq!(crate::written(site.job(FIRST)), before[0]);
    assert!(site.is_up(FIRST), "{:#?}", site.running(FIRST));
    assert_eq!(looks(site), [site.tag(Looks::Old), site.tag(Looks::Old)]);
    assert_eq!(site.environment(SECOND)["COLOUR"], "teal");
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 1]);
    site.run(&["status"]).code(0).never_says("unsaved patch");
    // And it can be gone on with from there.
    site.until_rolled_out(SECOND);
    site.run(&["resume", "--yes"]).code(0).says("2 jobs changed and healthy");
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::New)]);
    assert_eq!(site.environment(SECOND)["COLOUR"], "teal");
}

pub fn a_no_to_a_resume_says_what_was_changed(site: &Site) {
    let before = both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let killed = |on_failure: &str, version: u64| {
        let run = site.spawn(&["patch", "apply", &file, "--on-failure", on_failure, "--yes"]);
        wait_until("the first registration", || site.version(FIRST) == version);
        run.signal("KILL");
        run.wait();
        assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::Old)], "it was killed too late");
        let mut terminal = site.on_terminal(&["resume"]);
        let shown = terminal.until("Approve?");
        terminal.answers("n");
        let (rest, code) = terminal.end();
        assert_eq!(code, 4, "{rest}");
        (shown, rest)
    };
    let (shown, rest) = killed("stop", 1);
    assert!(!shown.contains("put back"), "{shown}");
    let words = "nothing more was changed, but this run had begun to change something before";
    assert!(rest.contains(words), "{rest}");
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 0]);
    site.run(&["resume", "--abandon"]).code(0);
    site.start_job(&site.service(FIRST, None), None);

    let (shown, rest) = killed("revert-all", 3);
    assert!(shown.contains("put back as it was if this doesn't go on"), "{shown}");
    assert!(rest.contains("'job_creation': changed, but it was put back as it was"), "{rest}");
    are_as_before(site, &before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [4, 0]);
}

pub fn a_no_to_a_resume_names_what_was_done(site: &Site) {
    let step = |wave: &str, timeout: &str, id: &str| {
        format!(
            "  wave \"{wave}\" {{\n    step \"nomad_job\" \"{wave}-step\" {{\n      timeout = \"{timeout}\"\n      \
             files = [\"nomad-jobs/{id}.nomad.hcl\"]\n    }}\n  }}\n"
        )
    };
    let text = site.fixture.read("nomad-jobs/job_configuration.nomad.hcl");
    let memory = text.lines().find(|line| line.trim().starts_with("memory")).unwrap();
    site.fixture
        .write("nomad-jobs/job_configuration.nomad.hcl", &text.replace(memory, "        memory = 900000"));
    let plan = format!(
        "plan \"two\" {{\n  operation = \"other\"\n{}{}}}\n",
        step("a", "2m", FIRST),
        step("b", "10s", SECOND)
    );
    site.fixture.write("plans/two.hcl", &plan);
    site.run(&["run", "two", "--yes"]).code(1).says("b-step");
    let registered = [site.version(FIRST), site.version(SECOND)];
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("nothing more was changed; done before: a-step"), "{rest}");
    assert_eq!([site.version(FIRST), site.version(SECOND)], registered);
}

/// The first is done, and Ctrl-C keeps the second from being begun.
fn interrupted_after_the_first(site: &Site, second: Looks) {
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, second)]);
    let run = site.spawn(&["patch", "apply", &file, "--on-failure", "revert-all", "--yes"]);
    wait_until("the first registration", || site.version(FIRST) == 1);
    run.signal("INT");
    run.wait().code(5).says("changed and healthy: job_creation").says("not begun: job_configuration");
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::Old)]);
}

fn file_of(id: &str) -> String {
    format!("nomad-jobs/{id}.nomad.hcl")
}

pub fn an_interrupted_one_is_remembered_where_a_file_changes(site: &Site) {
    let before = both(site);
    interrupted_after_the_first(site, Looks::New);
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    let text = site.fixture.read(&file_of(SECOND));
    site.fixture.write(&file_of(SECOND), &format!("# a word more\n{text}"));
    terminal.answers("y");
    let shown = terminal.until("which is not what was approved") + &terminal.until("Approve?");
    assert!(shown.contains("job_creation was changed by this run before"), "{shown}");
    assert!(!shown.contains("somebody else"), "{shown}");
    // The list of what no file has still has it while the question is open.
    site.run(&["status"]).code(0).says("unsaved patch");
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("'job_creation': changed, but it was put back as it was"), "{rest}");
    are_as_before(site, &before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 0]);
    site.run(&["status"]).code(0).never_says("unsaved patch");
}

pub fn a_refused_put_back_is_remembered(site: &Site) {
    let before = both(site);
    interrupted_after_the_first(site, Looks::New);
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    site.fault_after(&format!("/v1/job/{FIRST}"), UNTIL_PUT_BACK, &json!({ "status": 400 }));
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("'job_creation': changed, but it was NOT put back"), "{rest}");
    assert_eq!(site.faults(), 0);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 0]);
    site.run(&["status"]).code(0).says("unsaved patch");
    let mut terminal = site.on_terminal(&["resume"]);
    let shown = terminal.until("Approve?");
    assert!(shown.contains("job_creation was changed by this run before"), "{shown}");
    assert!(!shown.contains("somebody else"), "{shown}");
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("'job_creation': changed, but it was put back as it was"), "{rest}");
    are_as_before(site, &before);
    site.run(&["status"]).code(0).never_says("unsaved patch");
}

/// Requests about a job between the no and the last look before it is put back.
const UNTIL_PUT_BACK: u32 = 4;

pub fn a_put_back_that_was_cut_off_is_ended(site: &Site) {
    let before = both(site);
    interrupted_after_the_first(site, Looks::New);
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    site.fault_after(&format!("/v1/job/{FIRST}"), UNTIL_PUT_BACK, &json!({ "slow": 3000.0 }));
    terminal.answers("n");
    wait_until("the request that hangs", || site.faults() == 0);
    terminal.kill();
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 0], "it was killed too late");
    let out = site.run(&["resume", "--yes"]).code(1).says("still to be put back as before: job_creation");
    out.says("'job_creation': changed, but it was put back as it was").never_says("Done:");
    are_as_before(site, &before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 0]);
    site.run(&["status"]).code(0).never_says("unsaved patch");
}

pub fn what_may_go_back_is_in_no_file(site: &Site) {
    let before = both(site);
    let files = [FIRST, SECOND].map(|id| site.fixture.read(&file_of(id)));
    interrupted_after_the_first(site, Looks::Bad);
    assert_eq!([FIRST, SECOND].map(|id| site.fixture.read(&file_of(id))), files);
    site.run(&["status"]).code(0).says("unsaved patch");
    site.run(&["resume", "--yes"]).code(1).says("'job_creation': changed, but it was put back as it was");
    are_as_before(site, &before);
    assert_eq!([FIRST, SECOND].map(|id| site.fixture.read(&file_of(id))), files);
    site.run(&["status"]).code(0).never_says("unsaved patch");
}

pub fn a_second_interrupt_puts_nothing_back(site: &Site) {
    both(site);
    // It is waited for until both have come.
    let mut slow = site.service(SECOND, Some(FIRST));
    slow["Update"]["MinHealthyTime"] = json!(60_000_000_000_u64);
    site.start_job(&slow, None);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let run = site.spawn(&["patch", "apply", &file, "--on-failure", "revert-all", "--yes"]);
    wait_until("the second registration", || site.version(SECOND) == 2);
    run.signal("INT");
    run.until_says("once more asks it to end");
    run.signal("INT");
    run.wait().code(5).never_says("put back");
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 2]);
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::New)]);
    site.run(&["resume", "--yes"]).code(0);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 2]);
    site.run(&["status"]).code(0).never_says("unsaved patch");
}

pub fn what_somebody_did_and_undid_is_no_failure(site: &Site) {
    let [_, before] = both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let run = site.spawn(&["patch", "apply", &file, "--on-failure", "revert-all", "--yes"]);
    wait_until("the first registration", || site.version(FIRST) == 1);
    run.signal("KILL");
    run.wait();
    assert_eq!(site.version(SECOND), 0, "it was killed too late");
    site.somebody_sets(SECOND, "COLOUR", "teal");
    site.start_job(&before, None);
    assert_eq!(site.version(SECOND), 2);
    site.run(&["resume", "--yes"]).code(0).says("2 jobs changed and healthy").never_says("failed");
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::New)]);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [1, 3]);
}

pub fn a_refusal_names_what_earlier_attempts_left(site: &Site) {
    both(site);
    let file = site.patch_file(&[(FIRST, Looks::New), (SECOND, Looks::New)]);
    let run = site.spawn(&["patch", "apply", &file, "--yes"]);
    wait_until("the first registration", || site.version(FIRST) == 1);
    // There is no place for it then.
    let mut large = site.job(SECOND);
    large["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = json!(900_000);
    site.register(&large);
    let out = run.wait().code(3).says("there is no place");
    out.says("unsaved patch: job_creation");
    assert_eq!(looks(site), [site.tag(Looks::New), site.tag(Looks::Old)]);
}

pub fn a_put_back_whose_answer_is_lost_is_not_known(site: &Site) {
    let before = both(site);
    interrupted_after_the_first(site, Looks::New);
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    let path = format!("/v1/job/{FIRST}");
    site.fault_after(&path, UNTIL_PUT_BACK + 1, &json!("lost"));
    // And then it can't be looked at.
    site.fault_after(&path, UNTIL_PUT_BACK + 2, &json!({ "status": 400 }));
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("'job_creation': changed, but whether it was put back is not known"), "{rest}");
    assert!(!rest.contains("NOT put back"), "{rest}");
    assert_eq!(site.faults(), 0);
    site.until_rolled_out(FIRST);
    are_as_before(site, &before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 0]);
    let mut terminal = site.on_terminal(&["resume"]);
    let shown = terminal.until("Approve?");
    assert!(shown.contains("what this run had changed is as it was before again"), "{shown}");
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    are_as_before(site, &before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 0]);
}

pub fn what_becomes_of_others_is_no_reason_to_leave_it(site: &Site) {
    let [before, _] = both(site);
    let tag = format!("job_c*={}", site.tag(Looks::New));
    let run = site.spawn(&["patch", "image", &tag, "--on-failure", "revert-all", "--yes"]);
    wait_until("the first registration", || site.version(FIRST) == 1);
    run.signal("INT");
    run.wait().code(5);
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    // What the pattern is for can't be patched together any more.
    let mut other = site.job(SECOND);
    other["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = "elsewhere.example.com/x/y:1".into();
    site.register(&other);
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    assert!(rest.contains("'job_creation': changed, but it was put back as it was"), "{rest}");
    assert_eq!(crate::written(site.job(FIRST)), before);
    assert_eq!([site.version(FIRST), site.version(SECOND)], [2, 1]);
}

/// Two attempts were killed, and in between somebody turned round what depends on what.
pub fn what_several_attempts_changed_all_goes_back(site: &Site) {
    let (first, second, third) = ("job_configuration", "job_creation", "job_publication");
    // Each takes long enough to be killed meanwhile.
    let slow = |id: &str, after: Option<&str>| {
        let mut job = site.service(id, None);
        job["Update"]["MinHealthyTime"] = json!(20_000_000_000_u64);
        job["Meta"] = after.map_or(json!({}), |after| json!({ "depends_on": after }));
        job
    };
    for (id, after) in [(first, None), (second, None), (third, Some(second))] {
        site.register(&slow(id, after));
    }
    for id in [first, second, third] {
        site.until_rolled_out(id);
    }
    let before = crate::written(site.job(first));
    let versions = || [first, second, third].map(|id| site.version(id));
    let killed = |arguments: &[&str], last: &str, until: [u64; 3]| {
        let (run, before) = (site.spawn(arguments), site.version(last));
        wait_until("the registration", || site.version(last) > before);
        run.signal("KILL");
        assert_eq!(run.wait().signal, Some(9));
        assert_eq!(versions(), until, "it was killed too late");
    };
    let file = site.patch_file(&[first, second, third].map(|id| (id, Looks::New)));
    let apply = ["patch", "apply", &file, "--on-failure", "revert-all", "--parallel", "1", "--yes"];
    killed(&apply, first, [1, 0, 0]);
    // The third has it from somebody else, and the second depends on it from now on.
    let mut other = slow(third, None);
    site.makes_look(&mut other, Looks::New);
    site.start_job(&other, None);
    site.start_job(&slow(second, Some(third)), None);
    let between = crate::written(site.job(second));
    killed(&["resume", "--yes"], second, [1, 2, 1]);
    let mut terminal = site.on_terminal(&["resume"]);
    terminal.until("Approve?");
    terminal.answers("n");
    let (rest, code) = terminal.end();
    assert_eq!(code, 4, "{rest}");
    for id in [first, second] {
        assert!(rest.contains(&format!("'{id}': changed, but it was put back as it was")), "{rest}");
        assert!(site.is_up(id), "{id}: {:#?}", site.running(id));
    }
    assert_eq!(versions(), [2, 3, 1]);
    assert_eq!([first, second].map(|id| crate::written(site.job(id))), [before, between]);
}
