//! The stand-in's state, in memory and as a file of the shape of Terraform's (version 4).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use crate::base::paths::write_private;
use crate::hcl::Value;

/// A resource instance that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The path of its module with indexes.
    pub module: String,
    pub kind: String,
    pub name: String,
    pub index: Option<Value>,
    pub id: String,
    /// What its block said when it was made.
    pub attributes: BTreeMap<String, Json>,
    /// Addresses without index of what it needs.
    pub dependencies: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct StateFile {
    pub serial: u64,
    pub lineage: String,
    pub resources: BTreeMap<String, Stored>,
    /// Values, and whether they are sensitive.
    pub outputs: BTreeMap<String, (Json, bool)>,
}

impl Stored {
    /// What other expressions see of it.
    pub fn value(&self) -> Value {
        let mut all: BTreeMap<String, Value> =
            self.attributes.iter().map(|(k, v)| (k.clone(), Value::from_json(v))).collect();
        all.insert("id".into(), Value::string(self.id.clone()));
        if self.kind == "terraform_data" {
            let input = all.get("input").cloned().unwrap_or(Value::Null);
            all.insert("output".into(), input);
        }
        Value::Object(all)
    }
}

impl StateFile {
    /// Reads a state; none where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let json: Json = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Some(Self::from_json(&json)))
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        write_private(path, format!("{:#}\n", self.to_json()).as_bytes())
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    pub fn to_json(&self) -> Json {
        let mut groups: BTreeMap<(String, String, String), Vec<Json>> = BTreeMap::new();
        for stored in self.resources.values() {
            let mut attributes: Map<String, Json> =
                stored.attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            attributes.insert("id".into(), json!(stored.id));
            if stored.kind == "terraform_data" {
                // Terraform writes these with their type beside them.
                for key in ["input", "triggers_replace"] {
                    if let Some(value) = attributes.get(key).cloned() {
                        attributes.insert(key.into(), json!({"value": value, "type": "dynamic"}));
                    }
                }
                let output = attributes.get("input").cloned().unwrap_or(Json::Null);
                attributes.insert("output".into(), output);
            }
            let mut instance = json!({"schema_version": 0, "attributes": attributes, "sensitive_attributes": [],
                "dependencies": stored.dependencies});
            if let Some(index) = &stored.index {
                instance["index_key"] = index.to_json();
            }
            let key = (stored.module.clone(), stored.kind.clone(), stored.name.clone());
            groups.entry(key).or_default().push(instance);
        }
        let resources: Vec<Json> = groups
            .into_iter()
            .map(|((module, kind, name), instances)| {
                let provider = "provider[\"terraform.io/builtin/terraform\"]";
                let mut resource = json!({"mode": "managed", "type": kind, "name": name, "provider": provider,
                    "instances": instances});
                if !module.is_empty() {
                    resource["module"] = json!(module);
                }
                resource
            })
            .collect();
        let outputs: Map<String, Json> = self
            .outputs
            .iter()
            .map(|(name, (value, sensitive))| {
                let mut output = json!({"value": value, "type": "dynamic"});
                if *sensitive {
                    output["sensitive"] = json!(true);
                }
                (name.clone(), output)
            })
            .collect();
        json!({"version": 4, "terraform_version": "1.9.0", "serial": self.serial, "lineage": self.lineage,
            "outputs": outputs, "resources": resources, "check_results": null})
    }

    fn from_json(json: &Json) -> Self {
        let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
        let mut state = Self {
            serial: json["serial"].as_u64().unwrap_or_default(),
            lineage: text(&json["lineage"]),
            ..Self::default()
        };
        for (name, output) in json["outputs"].as_object().into_iter().flatten() {
            let sensitive = output["sensitive"].as_bool().unwrap_or_default();
            state.outputs.insert(name.clone(), (output["value"].clone(), sensitive));
        }
        for resource in json["resources"].as_array().into_iter().flatten().filter(|r| r["mode"] == "managed")
        {
            for instance in resource["instances"].as_array().into_iter().flatten() {
                let mut attributes: BTreeMap<String, Json> = BTreeMap::new();
                for (key, value) in instance["attributes"].as_object().into_iter().flatten() {
                    let dynamic =
                        value.is_object() && value.get("value").is_some() && value.get("type").is_some();
                    let plain = if dynamic { value["value"].clone() } else { value.clone() };
                    if !matches!(key.as_str(), "id" | "output") {
                        attributes.insert(key.clone(), plain);
                    }
                }
                let index = Some(&instance["index_key"]).filter(|k| !k.is_null()).map(Value::from_json);
                let stored = Stored {
                    module: text(&resource["module"]),
                    kind: text(&resource["type"]),
                    name: text(&resource["name"]),
                    index,
                    id: text(&instance["attributes"]["id"]),
                    attributes,
                    dependencies: instance["dependencies"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(text)
                        .collect(),
                };
                state.resources.insert(stored.address(), stored);
            }
        }
        state
    }
}

impl Stored {
    pub fn address(&self) -> String {
        let index = match &self.index {
            None => String::new(),
            Some(value) => match value.as_str() {
                Some(text) => format!("[{text:?}]"),
                None => format!("[{}]", value.as_i64().unwrap_or_default()),
            },
        };
        format!("{}{index}", super::config::join(&self.module, &format!("{}.{}", self.kind, self.name)))
    }
}
