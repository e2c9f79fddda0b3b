//! Which machines of the reference environment exist, and how a Terraform state tells.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The instance that holds the database.
const DATABASE: &str = "tf-tutu";
/// The instance that is the Nomad server.
const NOMAD_SERVER: &str = "tf-tete";
/// The instances that are Nomad's clients.
const NODES: [&str; 2] = ["tf-tata", "tf-titi"];

/// The machines that are up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Infrastructure {
    pub nomad_server: bool,
    pub database: bool,
    /// Names of Nomad client nodes.
    pub nodes: Vec<String>,
}

impl Infrastructure {
    /// Everything of the reference environment.
    pub fn whole() -> Self {
        Self::of(|_| true)
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// What follows from the instances that exist.
    pub fn of(exists: impl Fn(&str) -> bool) -> Self {
        Self {
            nomad_server: exists(NOMAD_SERVER),
            database: exists(DATABASE),
            nodes: NODES.iter().filter(|n| exists(n)).map(|n| (*n).to_owned()).collect(),
        }
    }

    /// What a Terraform state (the raw file, version 4) says: an instance exists where a managed resource
    /// has its name as resource name or index key, or as `name` in its attributes or their `input` or
    /// `triggers`. Resources that only mention an instance (its port, its volume) are told apart by type or
    /// by a name of their own.
    pub fn from_terraform_state(state: &Value) -> Self {
        let mut names = Vec::new();
        for resource in state["resources"].as_array().into_iter().flatten() {
            if resource["mode"] != "managed" {
                continue;
            }
            let own = resource["name"].as_str().unwrap_or_default().replace('_', "-");
            if ["port", "volume", "network", "attach", "floating", "backup"].iter().any(|w| own.contains(w)) {
                continue;
            }
            for instance in resource["instances"].as_array().into_iter().flatten() {
                // Half made, or on its way out.
                if instance["status"] == "tainted" || !instance["deposed"].is_null() {
                    continue;
                }
                names.push(own.clone());
                let attributes = &instance["attributes"];
                let name_in = |v: &Value| v["name"].as_str().map(str::to_owned);
                let found = [
                    instance["index_key"].as_str().map(|k| k.replace('_', "-")),
                    name_in(attributes),
                    name_in(&attributes["input"]),
                    name_in(&attributes["input"]["value"]),
                    name_in(&attributes["triggers"]),
                    name_in(&attributes["triggers_replace"]),
                ];
                names.extend(found.into_iter().flatten());
            }
        }
        Self::of(|wanted| {
            let bare = wanted.trim_start_matches("tf-");
            names.iter().any(|name| name == wanted || name == bare)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instances_are_found_wherever_a_state_names_them() {
        let state = json!({"version": 4, "resources": [
            {"mode": "managed", "module": "module.core", "type": "terraform_data", "name": "instance", "instances": [
                {"index_key": "tf-tutu", "attributes": {}},
                {"index_key": 1, "attributes": {"input": {"value": {"name": "tf-tete"}}}}]},
            {"mode": "managed", "type": "terraform_data", "name": "tf_tata", "instances": [{"attributes": {}}]},
            {"mode": "managed", "type": "terraform_data", "name": "tf_titi", "instances": [{"status": "tainted"}]},
            {"mode": "managed", "type": "terraform_data", "name": "port", "instances": [{"index_key": "tf-titi"}]},
        ]});
        let found = Infrastructure::from_terraform_state(&state);
        assert_eq!(
            found,
            Infrastructure { nomad_server: true, database: true, nodes: vec!["tf-tata".into()] }
        );
        assert_eq!(Infrastructure::from_terraform_state(&json!({})), Infrastructure::none());
    }
}
