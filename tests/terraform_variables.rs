//! Which value of a variable counts: as the real `terraform` has it, driven by blackstart, and that what
//! it reads of itself is kept secret as well.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use blackstart::terraform::{Cli, Operation, Settings, Terraform};
use common::{Fixture, has_terraform};

/// From the weakest place to the strongest; `v3` is set in the first three of them, and so on.
const PLACES: [&str; 8] = [
    "default",
    "TF_VAR_",
    "terraform.tfvars",
    "terraform.tfvars.json",
    "a.auto.tfvars",
    "b.auto.tfvars.json",
    "first.tfvars",
    "second.tfvars",
];

#[tokio::test]
async fn the_stronger_place_counts() {
    if !has_terraform() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("tf");
    fs::create_dir_all(&dir).unwrap();
    let declared: String = (1..=PLACES.len())
        .map(|n| {
            format!(
                "variable \"v{n}\" {{\n  default = \"default\"\n}}\noutput \"v{n}\" {{\n  value = var.v{n}\n}}\n"
            )
        })
        .collect();
    fs::write(dir.join("main.tf"), declared).unwrap();
    let mut settings = Settings::new(&dir, folder.path().join("data"));
    for (i, place) in PLACES.iter().enumerate().skip(1) {
        let names = i + 1..=PLACES.len();
        if *place == "TF_VAR_" {
            settings.environment.extend(names.map(|n| (format!("TF_VAR_v{n}"), (*place).to_owned())));
        } else if place.ends_with(".json") {
            let all: serde_json::Map<_, _> = names.map(|n| (format!("v{n}"), (*place).into())).collect();
            fs::write(dir.join(place), serde_json::Value::Object(all).to_string()).unwrap();
        } else {
            let text: String = names.map(|n| format!("v{n} = \"{place}\"\n")).collect();
            fs::write(dir.join(place), text).unwrap();
            if !place.contains("auto") && *place != "terraform.tfvars" {
                settings.var_files.push(dir.join(place));
            }
        }
    }
    let cli = Cli::new(settings).unwrap();
    let planned = cli.plan(Operation::Apply, &|_| {}).await.unwrap();
    let applied = cli.apply(planned, &|_| {}).await.unwrap();
    for (i, place) in PLACES.iter().enumerate() {
        assert_eq!(applied.outputs[&format!("v{}", i + 1)], **place);
    }
}

#[test]
fn what_terraform_reads_of_itself_is_secret_too() {
    let fixture = Fixture::new();
    fixture.append(
        "terraform/variables.tf",
        "\nvariable \"hidden\" {\n  sensitive = true\n  default = \"\"\n}\n",
    );
    fixture.write("terraform/x.auto.tfvars.json", "{\"hidden\": \"CANARY-automatic\"}");
    fixture.write(
        "plans/tell.hcl",
        "plan \"tell\" {\n  wave \"one\" {\n    step \"exec\" \"tell\" {\n      command = [\"cat\", \"said.txt\"]\n    }\n  }\n}\n",
    );
    fixture.write("said.txt", "it is CANARY-automatic\n");
    fixture.sandbox(&[]);
    fixture.ok(&["run", "tell", "-e", "sandbox", "--yes"]).says("it is (secret)").never_says("CANARY");
    // Its mistakes are told with their place.
    fixture.write("terraform/x.auto.tfvars.json", "{\"hidden\": }");
    fixture.run(&["validate"]).code(1).says("terraform/x.auto.tfvars.json:1:");
}
