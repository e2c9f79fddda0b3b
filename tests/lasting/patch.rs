use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use super::site::{Site, job};
use crate::common::wait_until;

const API: &str = "jobs/api.nomad.hcl";
const SHARED: &str = "vars/shared.nomadvars.hcl";

/// The lines in which two texts differ.
fn changed_lines(old: &str, new: &str) -> Vec<(String, String)> {
    assert_eq!(old.split('\n').count(), new.split('\n').count(), "lines came or went:\n{new}");
    let pairs = old.split('\n').zip(new.split('\n')).filter(|(a, b)| a != b);
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn a_literal_is_written_once_it_is_healthy() {
    let site = Site::started();
    let crlf = site.fixture.read(API).replace('\n', "\r\n");
    site.fixture.write(API, &crlf);
    let path = site.fixture.project().join(API);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

    let out = site.patch(&["image", "api=hot"]).code(0);
    // Shown before the approval, with its place.
    let shown = out.place("jobs/api.nomad.hcl:14: image = \"registry.example.com/api:1\" # what it runs");
    assert!(shown < out.place("Approved by") && out.place("healthy") < out.place("written to"), "{out}");
    assert_eq!(site.image("api"), "registry.example.com/api:hot");
    let (old, new) = (
        "        image = \"registry.example.com/api:1\" # what it runs\r",
        "        image = \"registry.example.com/api:hot\" # what it runs\r",
    );
    assert_eq!(changed_lines(&crlf, &site.fixture.read(API)), [(old.to_owned(), new.to_owned())]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    // Nomad's page has it too.
    let kept = site.ask(Method::GET, "/v1/job/api/submission?version=1", None);
    assert_eq!(kept["Source"], site.fixture.read(API));

    // Nothing holds what comes after.
    assert_eq!(site.unsaved(), []);
    site.run(&["drift"]).code(0);
    site.patch(&["image", "api=hot"]).code(0).says("nothing to do").says("has it already");
    site.stop().code(0);
    site.start().code(0);
    assert_eq!(site.image("api"), "registry.example.com/api:hot");
}

#[test]
fn a_value_is_written_to_where_it_comes_from() {
    let site = Site::started();
    let worker = site.fixture.read("jobs/worker.nomad.hcl");
    let out = site.patch(&["image", "worker=hot"]).code(0);
    out.says("jobs/worker.nomad.hcl:2 (the default of var.worker_tag): default = \"1\"");
    let lines = changed_lines(&worker, &site.fixture.read("jobs/worker.nomad.hcl"));
    assert_eq!(lines, [("  default = \"1\"".to_owned(), "  default = \"hot\"".to_owned())]);

    let worker = site.fixture.read("jobs/worker.nomad.hcl");
    let out = site.patch(&["image", "worker=mirror.example.com/worker:hot"]).code(0);
    out.says("(local.repository): repository = \"registry.example.com/worker\"");
    let lines = changed_lines(&worker, &site.fixture.read("jobs/worker.nomad.hcl"));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].1, "  repository = \"mirror.example.com/worker\"");
    assert_eq!(site.image("worker"), "mirror.example.com/worker:hot");

    // A value that stood nowhere gets a line of its own.
    site.patch(&["set", "api", "count=2"]).code(0);
    assert!(site.fixture.read(API).contains("count = 2\n"), "{}", site.fixture.read(API));
    site.run(&["drift"]).code(0);
    assert_eq!(site.unsaved(), []);
}

#[test]
fn another_environment_that_reads_the_place_is_named() {
    let site = Site::started();
    let out = site.patch(&["image", "web=hot"]).code(0);
    let named = "'prod' reads it too: web (jobs/web.nomad.hcl): group.web.task.web.config.image changes too";
    assert!(out.place(named) < out.place("Approved by"), "{out}");
    assert_eq!(site.fixture.read(SHARED), "# Of all environments.\nweb_tag = \"hot\"\n");
    assert_eq!(site.unsaved(), []);

    // What goes over it there is theirs alone.
    site.fixture.write("vars/prod.nomadvars.hcl", "web_tag = \"stays\"\n");
    site.patch(&["image", "web=hotter"]).code(0).never_says("'prod' reads");
    // The line that wins is the one that is written.
    site.fixture.write("vars/sandbox.nomadvars.hcl", "web_tag = \"hotter\"\n");
    site.patch(&["image", "web=hottest"]).code(0).never_says("'prod' reads");
    assert_eq!(site.fixture.read("vars/sandbox.nomadvars.hcl"), "web_tag = \"hottest\"\n");
    assert_eq!(site.fixture.read(SHARED), "# Of all environments.\nweb_tag = \"hotter\"\n");
}

#[test]
fn another_job_that_would_change_holds_it() {
    let site = Site::new();
    let image = "\"registry.example.com/mirror:${var.web_tag}\"";
    site.fixture.write("jobs/mirror.nomad.hcl", &job("mirror", "variable \"web_tag\" {}\n\n", image));
    site.start().code(0);
    let before = site.fixture.read(SHARED);
    let out = site.patch(&["image", "web=hot"]).code(3);
    out.says("mirror (jobs/mirror.nomad.hcl): group.mirror.task.mirror.config.image changes too")
        .says("--shared");
    assert_eq!(site.image("web"), "registry.example.com/web:1");
    assert_eq!(site.fixture.read(SHARED), before);

    site.patch(&["image", "web=hot", "--shared"]).code(0);
    assert_eq!(site.image("web"), "registry.example.com/web:hot");
    assert_eq!(site.image("mirror"), "registry.example.com/mirror:1", "only one was patched");
    assert_eq!(site.fixture.read(SHARED), "# Of all environments.\nweb_tag = \"hot\"\n");
    // Two jobs that take different values from one place can't both have it.
    let out = site.patch(&["image", "web=a", "mirror=b", "--shared"]).code(3);
    out.says("take different values from one place: vars/shared.nomadvars.hcl:2");
    // The same for both is one line.
    site.patch(&["image", "web=c", "mirror=c"]).code(0);
    assert_eq!(site.fixture.read(SHARED), "# Of all environments.\nweb_tag = \"c\"\n");
}

#[test]
fn what_goes_back_is_not_written() {
    let site = Site::started();
    let before = site.fixture.read(API);
    site.patch(&["image", "api=bad"]).code(1).says("put back");
    assert_eq!(site.image("api"), "registry.example.com/api:1");
    assert_eq!(site.fixture.read(API), before);
    assert_eq!(site.unsaved(), []);
    // Of two, what is healthy is written, and the other isn't.
    site.patch(&["image", "api=hot", "worker=bad", "--parallel", "1"]).code(1);
    assert_eq!(site.image("api"), "registry.example.com/api:hot");
    assert!(site.fixture.read(API).contains("/api:hot\""));
    assert!(site.fixture.read("jobs/worker.nomad.hcl").contains("default = \"1\""));
    assert_eq!(site.unsaved(), []);
}

#[test]
fn a_file_that_changes_meanwhile_is_left_alone() {
    let site = Site::started();
    let running = site.slow_patch("registry.example.com/api:hot");
    let edited = site.fixture.read(API).replace("\"blue\"", "\"green\"");
    site.fixture.write(API, &edited);
    let out = running.wait().code(1);
    out.says("jobs/api.nomad.hcl was changed since it was shown").says("unsaved patch: api");
    assert_eq!(site.fixture.read(API), edited);
    assert_eq!(site.image("api"), "registry.example.com/api:hot");
    assert_eq!(site.unsaved().len(), 2);
    site.patch(&["save"]).code(0);
    assert!(site.fixture.read(API).contains("api:hot") && site.fixture.read(API).contains("\"green\""));
    assert_eq!(site.unsaved(), []);

    // Between the look and the answer it is asked about again.
    let mut terminal = site.terminal(&["patch", "image", "api=hotter"]);
    terminal.until("Approve?");
    site.fixture.replace(API, "\"green\"", "\"red\"");
    terminal.answers("y");
    let shown = terminal.until("was changed since it was shown") + &terminal.until("Approve?");
    assert_eq!(site.image("api"), "registry.example.com/api:hot", "{shown}");
    terminal.answers("y");
    let (text, code) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert!(site.fixture.read(API).contains("api:hotter") && site.fixture.read(API).contains("\"red\""));
}

#[test]
fn a_link_out_of_the_project_is_not_followed() {
    let site = Site::started();
    let outside = site.fixture.path("outside.hcl");
    fs::rename(site.fixture.project().join(API), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, site.fixture.project().join(API)).unwrap();
    let before = fs::read_to_string(&outside).unwrap();
    site.patch(&["image", "api=hot"]).code(3).says("jobs/api.nomad.hcl leads out of the project");
    assert_eq!(site.image("api"), "registry.example.com/api:1");
    site.patch(&["image", "api=hot", "--live-only"]).code(0).says("the job files don't have this yet");
    assert_eq!(fs::read_to_string(&outside).unwrap(), before);
    assert_eq!(site.unsaved().len(), 1);
}

#[test]
fn what_no_edit_can_write_is_said_and_done_live() {
    let site = Site::new();
    site.fixture.replace(API, "\"registry.example.com/api:1\"", "sha1(\"x\")");
    site.start().code(0);
    let out = site.patch(&["image", "api=registry.example.com/api:hot"]).code(0);
    assert!(out.place("this won't last: ") < out.place("Approved by"), "{out}");
    out.says("jobs/api.nomad.hcl:14:").says("unsaved patch: api group.api.task.api.config.image");
    assert_eq!(site.image("api"), "registry.example.com/api:hot");
    site.patch(&["save"]).code(3).says("which no edit can turn round");
}

#[test]
fn files_alone_need_no_nomad() {
    let site = Site::new();
    site.fixture.replace("blackstart.hcl", "address   = sandbox.nomad", "address   = \"http://127.0.0.1:1\"");
    site.patch(&["image", "api=hot", "web=hot", "--file-only"]).code(0);
    assert!(site.fixture.read(API).contains("/api:hot\""));
    assert!(site.fixture.read(SHARED).contains("web_tag = \"hot\""));
    assert_eq!(site.unsaved(), [], "nothing was changed live");
    site.patch(&["image", "apo=hot", "--file-only"]).code(1).says("did you mean 'api'?");
}

/// Any reader of a job sees its submission.
#[test]
fn secrets_do_not_go_along_with_the_source() {
    let site = Site::new();
    site.fixture.replace(
        "blackstart.hcl",
        "\"vars/sandbox.nomadvars.hcl\"]",
        "\"vars/sandbox.nomadvars.hcl\", \"vars/secrets.nomadvars.hcl\"]",
    );
    site.fixture.write("vars/secrets.nomadvars.hcl", "password = \"pw1\"\n");
    // What doesn't count isn't told in its place.
    site.fixture.replace(
        "blackstart.hcl",
        "  simulated = true\n",
        "  simulated = true\n  inherit   = [\"NOMAD_VAR_*\"]\n",
    );
    site.fixture.set("NOMAD_VAR_password", "elsewhere");
    let web = "variable \"web_tag\" {}\n\nvariable \"password\" {}\n\n";
    let image = "\"registry.example.com/web:${var.web_tag}\"";
    site.fixture.write("jobs/web.nomad.hcl", &job("web", web, image));
    site.start().code(0);
    site.patch(&["image", "web=hot"]).code(0);
    for (version, tag) in [(0, "1"), (1, "hot")] {
        let kept: Value = site.ask(Method::GET, &format!("/v1/job/web/submission?version={version}"), None);
        assert_eq!(kept["Variables"], format!("web_tag = \"{tag}\"\n"), "{kept}");
        assert!(!kept.to_string().contains("pw1"), "{kept}");
        assert!(!kept.to_string().contains("elsewhere"), "{kept}");
    }
}

/// What `NOMAD_VAR_…` says is secret unless its name tells otherwise.
#[test]
fn variables_of_the_shell_do_not_go_along_with_the_source() {
    let site = Site::new();
    site.fixture.replace(
        "blackstart.hcl",
        "  simulated = true\n",
        "  simulated = true\n  inherit   = [\"NOMAD_VAR_*\"]\n",
    );
    site.fixture.set("NOMAD_VAR_password", "correct-horse");
    let web = "variable \"web_tag\" {}\n\nvariable \"password\" {}\n\n";
    let image = "\"registry.example.com/web:${var.web_tag}\"";
    let text = job("web", web, image).replace("\"blue\"", "var.password");
    site.fixture.write("jobs/web.nomad.hcl", &text);
    site.start().code(0);
    site.patch(&["image", "web=hot"]).code(0);
    for version in [0, 1] {
        let kept: Value = site.ask(Method::GET, &format!("/v1/job/web/submission?version={version}"), None);
        assert!(kept["Source"].as_str().is_some_and(|source| source.contains("var.password")), "{kept}");
        assert!(!kept.to_string().contains("correct-horse"), "{kept}");
    }
    assert_eq!(site.job("web")["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"], "correct-horse");
}

/// Job files are read by many.
#[test]
fn a_known_secret_is_not_written_to_a_file() {
    let site = Site::new();
    site.fixture.replace(
        "blackstart.hcl",
        "\"vars/sandbox.nomadvars.hcl\"]",
        "\"vars/sandbox.nomadvars.hcl\", \"vars/secrets.nomadvars.hcl\"]",
    );
    site.fixture.write("vars/secrets.nomadvars.hcl", "password = \"correct-horse\"\n");
    site.start().code(0);
    let out = site.patch(&["set", "api", "env.COLOUR=correct-horse", "config.image=x:2"]).code(0);
    out.says("this won't last").says("put it where secrets are kept").never_says("correct-horse");
    let file = site.fixture.read("jobs/api.nomad.hcl");
    assert!(file.contains("\"blue\"") && file.contains("\"x:2\""), "{file}");
    // What runs is masked in the journal, and read from the server.
    site.patch(&["save"]).code(3).says("put it where secrets are kept");
    assert_eq!(site.fixture.read("jobs/api.nomad.hcl"), file);
}

/// An environment that can't be looked at isn't one that reads nothing.
#[test]
fn what_is_not_known_of_another_environment_is_said() {
    let site = Site::started();
    std::fs::remove_file(site.fixture.project().join("vars/prod.nomadvars.hcl")).unwrap();
    let out = site.patch(&["image", "web=hot"]).code(0);
    out.says("'prod' may read it too; whether it changes can't be told: the var file vars/prod");
}

/// What comes from outside of all files can't be written to one.
#[test]
fn a_value_of_the_environment_stays_there() {
    let site = Site::new();
    site.fixture.replace(
        "blackstart.hcl",
        "  simulated = true\n",
        "  simulated = true\n  inherit   = [\"NOMAD_VAR_*\"]\n",
    );
    site.fixture.set("NOMAD_VAR_worker_tag", "7");
    site.start().code(0);
    assert_eq!(site.image("worker"), "registry.example.com/worker:7");
    let out = site.patch(&["image", "worker=hot"]).code(0);
    out.says("this won't last").says("NOMAD_VAR_worker_tag").says("unsaved patch: worker");
    assert_eq!(site.image("worker"), "registry.example.com/worker:hot");
}

/// A dropped connection takes its terminal along: that ends a run as Ctrl-C does, with a way to go on.
#[test]
fn a_terminal_that_goes_away_interrupts_a_run_unless_it_was_to_outlive_it() {
    let site = Site::started();
    let running = site.slow_patch("registry.example.com/api:hot");
    running.signal("HUP");
    running.until_says("nterrupt");
    running.signal("HUP");
    running.wait().code(5).says("resume");
    site.run(&["resume", "--yes"]).code(0);
    assert_eq!(site.image("api"), "registry.example.com/api:hot");

    let image = "registry.example.com/api:hotter";
    let patch = ["patch", "image", &format!("api={image}"), "--yes", "-e", "sandbox"].map(str::to_owned);
    let command = site.fixture.command(&patch);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    nohup.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    nohup.current_dir(command.get_current_dir().unwrap());
    let running = site.fixture.spawn("nohup", nohup);
    wait_until("the registration", || site.image("api") == image);
    running.signal("HUP");
    running.signal("HUP");
    running.wait().code(0).never_says("nterrupt");
}

/// What Nomad's page shows is the file, whatever blocks the job has whose defaults the server fills in.
#[test]
fn the_source_goes_along_with_any_job() {
    let site = Site::new();
    let more = "      template {\n        data        = \"x\"\n        destination = \"local/x\"\n      }\n\n      env {";
    site.fixture.replace(API, "      env {", more);
    site.start().code(0);
    let kept = |version: u64| {
        let path = format!("/v1/job/api/submission?version={version}");
        let kept = site.ask(Method::GET, &path, None);
        (kept["Format"].clone(), kept["Source"].clone())
    };
    site.patch(&["set", "api", "env.COLOUR=red"]).code(0);
    assert_eq!(kept(1), ("hcl2".into(), site.fixture.read(API).into()));
    site.patch(&["set", "api", "priority=60"]).code(0);
    assert_eq!(kept(2), ("hcl2".into(), site.fixture.read(API).into()));
    // What the file doesn't have, the file isn't the source of.
    site.patch(&["set", "api", "env.SHAPE=round", "--live-only"]).code(0);
    site.patch(&["set", "api", "env.COLOUR=green"]).code(0);
    assert_eq!(kept(4).0, "json");
}

/// A list is one though nothing was there that would tell so.
#[test]
fn a_list_is_a_list_where_none_was() {
    let site = Site::started();
    let config = || site.job("api")["TaskGroups"][0]["Tasks"][0]["Config"].clone();
    site.patch(&["set", "api", "config.args=[\"-v\"]", "config.labels={ a = \"1\" }"]).code(0);
    assert_eq!(config()["args"], serde_json::json!(["-v"]));
    assert_eq!(config()["labels"], serde_json::json!([{ "a": "1" }]));
    let file = site.fixture.read(API);
    assert!(file.contains("= [\"-v\"]") && file.contains("= [{ a = \"1\" }]"), "{file}");
    site.run(&["drift"]).code(0);
    site.patch(&["set", "api", "config.args=['x']"]).code(1).says("looks like a list");
    site.patch(&["set", "api", "config.args=[]", "config.labels={ a = \"2\" }"]).code(0);
    assert_eq!(config()["labels"], serde_json::json!([{ "a": "2" }]));
    site.run(&["drift"]).code(0);
    let out = site.patch(&["set", "api", "config.dns_servers=[1.1.1.1]"]).code(1);
    out.says("looks like a list or a map, and can't be read as one");
    site.patch(&["set", "api", "config.command=[ok", "env.LIST=[\"x\"]"]).code(0);
    assert_eq!(config()["command"], "[ok");
    assert_eq!(site.job("api")["TaskGroups"][0]["Tasks"][0]["Env"]["LIST"], "[\"x\"]");
}

/// What Nomad forgets isn't written to a file that then says it.
#[test]
fn what_nomad_forgets_is_refused() {
    let site = Site::started();
    let before = site.fixture.read(API);
    site.patch(&["resources", "api", "disk=400"]).code(1).says("set `ephemeral_disk.size` of the group");
    assert_eq!(site.fixture.read(API), before);
}

#[test]
fn a_plan_for_patches_is_gone_on_with() {
    let site = Site::started();
    let plan = "plan \"hot\" {\n  operation = \"patch\"\n  wave \"a\" {\n    step \"nomad_patch\" \"one\" {\n      service \"api\" {\n        \
                set = { \"env.A\" = \"1\" }\n      }\n    }\n  }\n  wave \"b\" {\n    step \"exec\" \"two\" {\n      command = \
                [\"test\", \"-e\", \"ready\"]\n    }\n  }\n}\n";
    site.fixture.write("plans/hot.hcl", plan);
    site.run(&["run", "hot", "--yes"]).code(1).says("two");
    assert_eq!(site.job("api")["Version"], 1);
    site.fixture.write("ready", "");
    site.run(&["resume", "--yes"]).code(0);
    assert_eq!(site.job("api")["Version"], 1);
}
