//! Services that a job offers, and those that it looks for.

use serde_json::Value as Json;

/// A service by its name, and whether Nomad itself or Consul knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    pub name: String,
    pub native: bool,
}

/// What the job's groups and tasks register. Of the references that a name may hold, those to job, group
/// and task are followed.
pub fn offered(job: &Json) -> Vec<Service> {
    let mut offered = Vec::new();
    for group in list(job, "TaskGroups") {
        offered.extend(list(group, "Services").map(|service| named(job, group, GROUP, service)));
        for task in list(group, "Tasks") {
            let name = text(task, "Name");
            offered.extend(list(task, "Services").map(|service| named(job, group, name, service)));
        }
    }
    offered
}

/// What stands in a task's place for services of a group.
const GROUP: &str = "group";

fn named(job: &Json, group: &Json, task: &str, service: &Json) -> Service {
    let (job, group) = (text(job, "Name"), text(group, "Name"));
    let base = format!("{job}-{group}-{task}");
    let mut name = text(service, "Name").to_owned();
    if name.is_empty() {
        // A group's service has no task's name in its own.
        name = if task == GROUP { format!("{job}-{group}") } else { base.clone() };
    }
    let words = [
        ("${JOB}", job),
        ("${TASKGROUP}", group),
        ("${TASK}", task),
        ("${BASE}", base.as_str()),
        ("${NOMAD_JOB_NAME}", job),
        ("${NOMAD_JOB_ID}", job),
        ("${NOMAD_GROUP_NAME}", group),
        ("${NOMAD_TASK_NAME}", task),
    ];
    for (word, value) in words {
        name = name.replace(word, value);
    }
    Service { name, native: text(service, "Provider") == "nomad" }
}

/// What the job looks for: upstreams of its sidecars, services behind its gateways, and what its templates
/// name by text (`nomadService "db"`, `service "db"`, `connect "db"`).
pub fn consumed(job: &Json) -> Vec<Service> {
    let mut consumed = Vec::new();
    for group in list(job, "TaskGroups") {
        let tasks = || list(group, "Tasks");
        for service in list(group, "Services").chain(tasks().flat_map(|task| list(task, "Services"))) {
            connected(&service["Connect"], &mut consumed);
        }
        for template in tasks().flat_map(|task| list(task, "Templates")) {
            let delimiters = ("LeftDelim", "{{", "RightDelim", "}}");
            let (left, right) = (text(template, delimiters.0), text(template, delimiters.2));
            let left = if left.is_empty() { delimiters.1 } else { left };
            let right = if right.is_empty() { delimiters.3 } else { right };
            looked_up(text(template, "EmbeddedTmpl"), left, right, &mut consumed);
        }
    }
    consumed.sort();
    consumed.dedup();
    consumed
}

fn connected(connect: &Json, consumed: &mut Vec<Service>) {
    let upstreams =
        list(&connect["SidecarService"]["Proxy"], "Upstreams").map(|up| text(up, "DestinationName"));
    let gateway = &connect["Gateway"];
    let behind = list(&gateway["Ingress"], "Listeners").flat_map(|listener| list(listener, "Services"));
    let behind = behind.chain(list(&gateway["Terminating"], "Services")).map(|service| text(service, "Name"));
    let names = upstreams.chain(behind).filter(|name| !name.is_empty() && *name != "*");
    consumed.extend(names.map(|name| Service { name: name.to_owned(), native: false }));
}

/// The services that a template's actions look up by a literal name.
fn looked_up(template: &str, left: &str, right: &str, consumed: &mut Vec<Service>) {
    for action in template.split(left).skip(1) {
        let words = words(action.split(right).next().unwrap_or_default());
        for (i, word) in words.iter().enumerate() {
            let arguments = words[i + 1..].iter().map_while(|word| match word {
                Word::Text(text) => Some(Some(text)),
                Word::Number => Some(None),
                Word::Other(_) => None,
            });
            let mut texts = arguments.flatten();
            let found = match word {
                // `nomadService "db"`, or `nomadService 3 KEY "db"` for three of them.
                Word::Other("nomadService") => texts.last().map(|name| (name.as_str(), true)),
                // `service "TAG.NAME@DATACENTER|FILTER"`, then filters.
                Word::Other("service" | "connect") => texts.next().map(|query| {
                    let name = query.split(['@', '|', '~', '?']).next().unwrap_or_default();
                    (name.rsplit('.').next().unwrap_or_default(), false)
                }),
                _ => None,
            };
            if let Some((name, native)) = found.filter(|(name, _)| !name.is_empty()) {
                consumed.push(Service { name: name.to_owned(), native });
            }
        }
    }
}

enum Word<'a> {
    Text(String),
    Number,
    Other(&'a str),
}

/// The words of an action; brackets and pipes are words.
fn words(action: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '`' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, c)| {
                    let ends = *c == first && !escaped;
                    escaped = first == '"' && *c == '\\' && !escaped;
                    ends
                });
                let end = end.map_or(rest.len(), |(at, _)| at);
                words.push(Word::Text(rest[1..end].to_owned()));
                (end + 1).min(rest.len())
            }
            '(' | ')' | '|' | ',' | '=' | ':' => {
                words.push(Word::Other(&rest[..1]));
                1
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()|,=:\"`".contains(c);
                let end = rest.find(ends).unwrap_or(rest.len());
                let word = &rest[..end];
                words.push(if word.parse::<f64>().is_ok() { Word::Number } else { Word::Other(word) });
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    words
}

fn list<'a>(value: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_look_services_up() {
        let cases = [
            (r#"{{ range nomadService "db" }}{{ .Port }}{{ end }}"#, "db!"),
            (r#"{{- with nomadService 1 (env "NOMAD_ALLOC_ID") "db" -}}"#, ""),
            (r#"{{ nomadService 1 "key" "db" }}"#, "db!"),
            ("{{range service `primary.db@dc1|passing`}}", "db"),
            (r#"{{ range $i, $s := service "web" "passing,warning" }}"#, "web"),
            (r#"{{ with (connect "api") }}{{ key "service" }}"#, "api"),
            (r#"service "no" {{ nomadServices }} {{ nomadService .Name }} {{ "#, ""),
            (r#"{{ service "" }}{{ service "#, ""),
            (r#"{{ service "a" }}{{ nomadService "a" }}"#, "a a!"),
        ];
        for (template, expected) in cases {
            let mut found = Vec::new();
            looked_up(template, "{{", "}}", &mut found);
            let found: Vec<String> = found
                .iter()
                .map(|one| format!("{}{}", one.name, if one.native { "!" } else { "" }))
                .collect();
            assert_eq!(found.join(" "), expected, "{template}");
        }
    }
}
