//! Job files that pass through envsubst: through the real binary, from blackstart.hcl to what Nomad has.

mod common;

use common::Fixture;

const JOB: &str = "job \"web\" {
  group \"web\" {
    # ${WEB_IMAGE} stands in a comment, too
    count = $WEB_COUNT
    task \"web\" {
      driver = \"docker\"
      config {
        image = \"${WEB_IMAGE}:${IMAGE_TAG}\"
        args  = [\"${NOMAD_TASK_DIR}\", \"$HOME\", \"$IMAGE_TAGS\"]
      }
      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
";

const PLAN: &str = "plan \"web\" {
  wave \"one\" {
    step \"nomad_job\" \"web\" {
      files = [\"web.nomad.hcl\"]
      wait  = false
    }
  }
}
";

/// A sandbox without Terraform whose job files want three variables.
fn project() -> Fixture {
    let fixture = Fixture::new();
    fixture.write(
        "blackstart.hcl",
        "project = \"cosims\"\nenvironment \"sandbox\" {\n  simulated = true\n  env_file  = \"web.env\"\n  \
         nomad {\n    address  = sandbox.nomad\n    envsubst = [\"IMAGE_TAG\", \"WEB_IMAGE\", \"WEB_COUNT\"]\n  \
         }\n}\n",
    );
    fixture.write("web.env", "WEB_IMAGE=registry.example.com/web\nWEB_COUNT=2\n");
    fixture.write("web.nomad.hcl", JOB);
    fixture.write("plans/web.hcl", PLAN);
    fixture
}

#[test]
fn jobs_get_the_variables_of_the_env_file_and_of_the_shell() {
    let fixture = project();
    fixture.set("IMAGE_TAG", "git-5d20c8f1");
    fixture.sandbox(&[]);
    fixture.ok(&["run", "web", "-e", "sandbox", "--yes"]);
    let job = fixture.nomad("/v1/job/web").unwrap();
    let group = &job["TaskGroups"][0];
    assert_eq!(group["Count"], 2, "{group}");
    let config = &group["Tasks"][0]["Config"];
    assert_eq!(config["image"], "registry.example.com/web:git-5d20c8f1");
    // What isn't named stays as it is, for Nomad's agents.
    assert_eq!(config["args"], serde_json::json!(["${NOMAD_TASK_DIR}", "$HOME", "$IMAGE_TAGS"]));
    let kept = fixture.nomad("/v1/job/web/submission?version=0").unwrap();
    let source = kept["Source"].as_str().unwrap();
    assert!(source.contains("image = \"registry.example.com/web:git-5d20c8f1\""), "{source}");
}

#[test]
fn an_unset_variable_is_an_error_where_it_stands() {
    let fixture = project();
    fixture.sandbox(&[]);
    let out = fixture.run(&["run", "web", "-e", "sandbox", "--yes"]).code(1);
    out.says("the environment variable IMAGE_TAG isn't set")
        .says("web.nomad.hcl:8:31")
        .says("image = \"${WEB_IMAGE}:${IMAGE_TAG}\"");
    assert!(fixture.nomad("/v1/job/web").is_none());
}

#[test]
fn errors_after_a_replacement_show_the_file_as_it_lies_there() {
    let fixture = project();
    fixture.sandbox(&[]);
    fixture.set("IMAGE_TAG", "one\\ntwo and a long text that moves all columns");
    fixture.replace("web.nomad.hcl", ":${IMAGE_TAG}\"\n", ":${IMAGE_TAG}\", nonsense = var.nope\n");
    // `validate` needs no values.
    for arguments in [&["run", "web", "-e", "sandbox", "--yes"][..], &["validate", "web.nomad.hcl"]] {
        fixture
            .run(arguments)
            .code(1)
            .says("web.nomad.hcl:8:44")
            .says("${WEB_IMAGE}:${IMAGE_TAG}\", nonsense");
    }
}

#[test]
fn validate_needs_no_values_and_settings_name_variables() {
    let fixture = project();
    fixture.ok(&["validate"]);
    fixture.ok(&["validate", "web.nomad.hcl"]);
    fixture.replace("blackstart.hcl", "\"WEB_COUNT\"", "\"$WEB_COUNT\"");
    fixture
        .run(&["validate"])
        .code(1)
        .says("'$WEB_COUNT' can't name an environment variable")
        .says("blackstart.hcl:7:43");
}

#[test]
fn a_password_put_into_a_job_is_never_shown() {
    let fixture = project();
    fixture.set("IMAGE_TAG", "git-1");
    fixture.replace("blackstart.hcl", "\"IMAGE_TAG\"", "\"IMAGE_TAG\", \"DB_PASSWORD\"");
    fixture.replace("web.nomad.hcl", "\"$HOME\"", "\"$DB_PASSWORD\"");
    fixture.set("DB_PASSWORD", "hunter2-hunter2");
    fixture.sandbox(&[]);
    fixture.ok(&["run", "web", "-e", "sandbox", "--yes"]).never_says("hunter2");
    // A change of another place shows the tag, and still not the password.
    fixture.set("IMAGE_TAG", "git-2");
    fixture.ok(&["preview", "web", "-e", "sandbox"]).says("git-2").never_says("hunter2");
}

#[test]
fn what_nomad_would_refuse_is_told_before_it_is_asked() {
    let fixture = project();
    fixture.set("IMAGE_TAG", "latest");
    fixture.replace("web.env", "WEB_COUNT=2", "WEB_COUNT=-2");
    fixture.sandbox(&[]);
    let out = fixture.run(&["preview", "web", "-e", "sandbox"]).code(1);
    out.says("Nomad refuses this at register: a group can't have -2 instances").says("web.nomad.hcl:4:13");
    // Without an environment the count isn't known; what doesn't hang on it is told.
    fixture.ok(&["validate", "web.nomad.hcl"]);
    fixture.replace("web.nomad.hcl", "memory = 64", "memory = 4");
    let out = fixture.run(&["validate", "web.nomad.hcl"]).code(1);
    out.says("4 MB of memory are too few").says("web.nomad.hcl:13:18");
    // A warning doesn't stop it.
    fixture.replace("web.nomad.hcl", "memory = 4", "memory = 64");
    fixture.replace("web.env", "WEB_COUNT=-2", "WEB_COUNT=2");
    fixture.ok(&["preview", "web", "-e", "sandbox"]).says("the image's tag is `latest`, which moves");
}
