//! Where a value is written that comes from a place of several values.

use super::site::Site;

const PAIR: &str = "jobs/pair.nomad.hcl";
const TAGS: &str = "vars/sandbox.nomadvars.hcl";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Two tasks of one job whose images come from one tag and one registry, and two values of `env` from a local.
/// `prod`, where it is there, takes the default of the tag.
fn pair(prod: bool) -> Site {
    let site = Site::new();
    let task = |name: &str| {
        format!(
            "    task \"{name}\" {{\n      driver = \"docker\"\n\n      config {{\n        image = \"${{local.registry}}/{name}:${{var.tag}}\"\n      }}\n\n      env {{\n        A = local.a\n        D = \"x-${{local.a}}\"\n      }}\n    }}\n"
        )
    };
    let text = format!(
        "variable \"tag\" {{\n  default = \"0\"\n}}\n\nlocals {{\n  registry = \"reg.example.com\"\n  a        = \"one\"\n}}\n\njob \"pair\" {{\n  group \"pair\" {{\n{}\n{}  }}\n}}\n",
        task("server"),
        task("side")
    );
    site.fixture.write(PAIR, &text);
    site.fixture.write(TAGS, "tag = \"1\"\n");
    if !prod {
        let settings = site.fixture.read("blackstart.hcl");
        site.fixture.write("blackstart.hcl", &settings[..settings.find("environment \"prod\"").unwrap()]);
    }
    site.start().code(0);
    site
}

/// The lines of the job file that were and that are, where they differ.
fn changed(before: &str, after: &str) -> Vec<(String, String)> {
    assert_eq!(before.lines().count(), after.lines().count(), "{after}");
    let lines = before.lines().zip(after.lines()).filter(|(a, b)| a != b);
    lines.map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned())).collect()
}

fn one(old: &str, new: &str) -> Vec<(String, String)> {
    vec![(old.to_owned(), new.to_owned())]
}

/// The one line of the job that says it, and neither the local nor what else takes it.
#[test]
fn a_value_with_a_line_of_its_own_is_written_there() {
    let site = pair(true);
    let before = site.fixture.read(PAIR);
    let out = site.patch(&["set", "pair/pair/side", "env.D=y"]).code(0);
    out.never_says("in the file, this changes")
        .says("'prod' reads it too: pair (jobs/pair.nomad.hcl): group.pair.task.side.env.D changes too: \"x-one\" → \"y\"");
    let after = site.fixture.read(PAIR);
    // The second of two like it.
    assert_eq!(changed(&before, &after), one("D = \"x-${local.a}\"", "D = \"y\""));
    assert!(after.find("D = \"x-").unwrap() < after.find("D = \"y\"").unwrap(), "{after}");
    site.run(&["drift"]).code(0);
    // One edit of the local would do, and change seven others.
    site.patch(&["set", "pair/pair/server", "env.D=x-two"]).code(0);
    assert_eq!(changed(&after, &site.fixture.read(PAIR)), one("D = \"x-${local.a}\"", "D = \"x-two\""));
    site.run(&["drift"]).code(0);
}

/// A digest, and a registry with a port: neither belongs to the tag that both tasks take.
#[test]
fn an_image_of_one_task_leaves_the_other_alone() {
    let site = pair(true);
    let before = site.fixture.read(PAIR);
    let line = "image = \"${local.registry}/side:${var.tag}\"";
    let out = site.patch(&["image", &format!("pair/pair/side={DIGEST}")]).code(0);
    let named = format!(
        "group.pair.task.side.config.image changes too: \"reg.example.com/side:0\" → \"reg.example.com/side@{DIGEST}\""
    );
    out.says(&format!("'prod' reads it too: pair (jobs/pair.nomad.hcl): {named}"));
    let digest = format!("image = \"${{local.registry}}/side@{DIGEST}\"");
    assert_eq!(changed(&before, &site.fixture.read(PAIR)), one(line, &digest));
    let before = site.fixture.read(PAIR);
    let line = "image = \"${local.registry}/server:${var.tag}\"";
    site.patch(&["image", "pair/pair/server=reg.example.com:5000/x:y"]).code(0);
    let whole = "image = \"reg.example.com:5000/x:y\"";
    assert_eq!(changed(&before, &site.fixture.read(PAIR)), one(line, whole));
    assert_eq!(site.fixture.read(TAGS), "tag = \"1\"\n");
    site.run(&["drift"]).code(0);
}

/// The tag of both: no other line could take it without changing `prod`, and it would change the other task.
#[test]
fn another_task_that_would_change_holds_it() {
    let site = pair(true);
    let (before, index) = (site.fixture.read(PAIR), site.job("pair")["JobModifyIndex"].clone());
    let other = "group.pair.task.server.config.image";
    let (old, new) = ("\"reg.example.com/server:1\"", "\"reg.example.com/server:hot\"");
    for more in [&[][..], &["--file-only"][..]] {
        let out = site.patch(&[&["image", "pair/pair/side=hot"], more].concat()).code(3);
        let out = out
            .says(&format!("{other} comes from the same place, and would be {old} → {new}"))
            .says("--shared")
            .says("patch both in one go");
        let told = out.stderr.contains("--live-only") || out.stdout.contains("--live-only leaves");
        assert_eq!(told, more.is_empty(), "{out}");
        assert_eq!(
            (site.job("pair")["JobModifyIndex"].clone(), site.fixture.read(TAGS)),
            (index.clone(), "tag = \"1\"\n".to_owned())
        );
    }
    let out = site.patch(&["image", "pair/pair/side=hot", "--shared"]).code(0);
    out.says(&format!("in the file, this changes {other} too: {old} → {new}; what runs stays {old}"))
        .says(&format!("drift: pair {other}: {old} runs, {new} is in the file; a start takes it along"));
    assert_eq!(site.fixture.read(TAGS), "tag = \"hot\"\n");
    site.run(&["drift"]).code(2);
    // What runs so already doesn't drift by it.
    site.fixture.write(TAGS, "tag = \"1\"\n");
    site.patch(&["image", "pair/pair/*=hotter"]).code(0).never_says("drift: ");
    assert_eq!((site.fixture.read(TAGS), site.fixture.read(PAIR)), ("tag = \"hotter\"\n".to_owned(), before));
    site.run(&["drift"]).code(0);
}

#[test]
fn without_other_environments_a_place_of_its_own_is_free() {
    let site = pair(false);
    let before = site.fixture.read(PAIR);
    let line = |name: &str| format!("image = \"${{local.registry}}/{name}:${{var.tag}}\"");
    let written = |name: &str| format!("image = \"${{local.registry}}/{name}:hot\"");
    site.patch(&["image", "pair/pair/side=hot"]).code(0);
    assert_eq!(changed(&before, &site.fixture.read(PAIR)), one(&line("side"), &written("side")));
    assert_eq!(site.fixture.read(TAGS), "tag = \"1\"\n");
    site.run(&["drift"]).code(0);
    // Two values of one place: one of them gets a place of its own.
    site.fixture.write(PAIR, &before);
    site.patch(&["image", "pair/pair/server=a", "pair/pair/side=b"]).code(0).never_says("won't last");
    assert_eq!(site.fixture.read(PAIR).matches("${var.tag}").count(), 1);
    site.run(&["drift"]).code(0);
    assert_eq!(site.unsaved(), []);
}

/// The var file that isn't committed, and not the job's, which is.
#[test]
fn the_file_that_is_not_committed_is_named() {
    let site = pair(true);
    if !site.with_git() {
        return;
    }
    let out = site.patch(&["image", "pair/pair/*=hot"]).code(0);
    out.says("in vars/sandbox.nomadvars.hcl, not committed").never_says("in jobs/pair.nomad.hcl");
    site.commit_later("Hot");
    site.patch(&["set", "pair/pair/side", "env.D=y"]).code(0).says("in jobs/pair.nomad.hcl, not committed");
}
