//! What a patch has changed when its process is killed, or when a person doesn't go on with it: the server's
//! state is what counts.

use serde_json::{Value, json};

use crate::common::wait_until;
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
    let step = |wave: &str, id: &str| {
        format!(
            "  wave \"{wave}\" {{\n    step \"nomad_job\" \"{wave}-step\" {{\n      timeout = \"20s\"\n      \
             files = [\"nomad-jobs/{id}.nomad.hcl\"]\n    }}\n  }}\n"
        )
    };
    let text = site.fixture.read("nomad-jobs/job_configuration.nomad.hcl");
    let memory = text.lines().find(|line| line.trim().starts_with("memory")).unwrap();
    site.fixture
        .write("nomad-jobs/job_configuration.nomad.hcl", &text.replace(memory, "        memory = 900000"));
    let plan =
        format!("plan \"two\" {{\n  operation = \"other\"\n{}{}}}\n", step("a", FIRST), step("b", SECOND));
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
    // The job, who registered it, its source; then it is read to be put back.
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

/// Requests about a job between the no and its being put back.
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
