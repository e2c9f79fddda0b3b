//! A value of a job together with the way to it.

use serde_json::{Map, Value as Json};

/// Borrowed throughout: nothing is made while there is nothing to say.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    json: &'a Json,
    up: Option<&'a Node<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Node<'a> {
    pub fn root(json: &'a Json) -> Self {
        Self { json, up: None, name: "", index: None }
    }

    pub fn json(&self) -> &'a Json {
        self.json
    }

    fn member(&self, name: &str) -> Option<&'a Json> {
        self.json.get(name).filter(|value| !value.is_null())
    }

    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    pub fn get(&'a self, name: &'a str) -> Option<Node<'a>> {
        self.member(name).map(|json| Node { json, up: Some(self), name, index: None })
    }

    /// The members of a list; none where it is missing.
    pub fn items(&'a self, name: &'a str) -> impl Iterator<Item = Node<'a>> {
        let list = self.member(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().enumerate().filter(|(_, json)| !json.is_null()).map(move |(index, json)| Node {
            json,
            up: Some(self),
            name,
            index: Some(index),
        })
    }

    /// Whether a list or a map has members.
    pub fn any(&self, name: &str) -> bool {
        match self.member(name) {
            Some(Json::Array(list)) => !list.is_empty(),
            Some(Json::Object(map)) => !map.is_empty(),
            _ => false,
        }
    }

    pub fn map(&self, name: &str) -> Option<&'a Map<String, Json>> {
        self.member(name).and_then(Json::as_object)
    }

    /// The texts of a list.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let list = self.member(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Json::as_str)
    }

    /// Empty where it is missing.
    pub fn text(&self, name: &str) -> &'a str {
        self.text_or(name, "")
    }

    pub fn text_or(&self, name: &str, default: &'a str) -> &'a str {
        self.member(name).and_then(Json::as_str).unwrap_or(default)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.member(name).and_then(Json::as_i64)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.member(name).and_then(Json::as_bool).unwrap_or_default()
    }

    /// The JSON pointer to it, or to a field of it.
    pub fn pointer(&self, field: &str) -> String {
        let mut parts = Vec::new();
        let mut here = Some(self);
        while let Some(node) = here {
            if let Some(index) = node.index {
                parts.push(index.to_string());
            }
            if node.up.is_some() {
                parts.push(node.name.to_owned());
            }
            here = node.up;
        }
        let mut pointer = String::new();
        for part in parts.iter().rev() {
            pointer.push('/');
            pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        }
        if !field.is_empty() {
            pointer.push('/');
            pointer.push_str(field);
        }
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_way_to_a_value_is_known() {
        let job =
            json!({"TaskGroups": [{}, {"Tasks": [{"Driver": "x", "Env": null}], "Volumes": {"a/b": {}}}]});
        let root = Node::root(&job);
        let group = root.items("TaskGroups").nth(1).unwrap();
        let task = group.items("Tasks").next().unwrap();
        assert_eq!(task.pointer("Driver"), "/TaskGroups/1/Tasks/0/Driver");
        assert_eq!(job.pointer(&task.pointer("Driver")), Some(&json!("x")));
        let volumes = group.get("Volumes").unwrap();
        let volume = volumes.get("a/b").unwrap();
        assert_eq!(job.pointer(&volume.pointer("")), Some(&json!({})));
        assert!(!task.has("Env") && task.get("Env").is_none());
    }
}
