//! The cases of cases.txt.

use blackstart::base::{Severity, Source};
use blackstart::jobspec::{Inputs, Job, check, parse};

pub struct Case {
    pub line: usize,
    pub text: String,
    /// None where Nomad takes the job.
    pub says: Option<Vec<String>>,
}

impl Case {
    pub fn job(&self) -> Job {
        let source = Source::new("web.nomad.hcl", self.text.as_str());
        parse(&source, &Inputs::default()).unwrap_or_else(|errors| panic!("line {}: {errors}", self.line))
    }
}

pub fn cases() -> Vec<Case> {
    let table = include_str!("cases.txt").lines().enumerate();
    let lines = table.filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    lines.map(|(number, line)| case(number + 1, line)).collect()
}

fn case(line: usize, text: &str) -> Case {
    let (left, says) = text.rsplit_once("  =>  ").unwrap();
    let mut parts = left.splitn(3, " @ ");
    let [kind, place, text] = [(); 3].map(|()| parts.next().unwrap());
    let text = text.replace(" ; ", "\n");
    let http = "network {\nport \"http\" {}\n}\n";
    let service = |inner: &str| format!("service {{\nname = \"s\"\n{inner}\n}}\n");
    let (mut job, mut group, mut task) = (String::new(), String::new(), String::new());
    match place {
        "whole" => return Case { line, text, says: wanted(says) },
        "job" => job = text,
        "group" => group = text,
        "task" => task = text,
        "service" => group = service(&text).replace("name = \"s\"\nname", "name"),
        "tservice" => task = service(&text),
        "check" => group = http.to_owned() + &service(&format!("port = \"http\"\ncheck {{\n{text}\n}}")),
        "ncheck" => {
            let check = format!("provider = \"nomad\"\nport = \"http\"\ncheck {{\n{text}\n}}");
            group = http.to_owned() + &service(&check);
        }
        "tcheck" => {
            group.push_str(http);
            task = service(&format!("port = \"http\"\ncheck {{\n{text}\n}}"));
        }
        other => panic!("line {line}: {other}"),
    }
    let text = format!(
        "job \"web\" {{\ntype = \"{kind}\"\n{job}\ngroup \"g\" {{\n{group}\ntask \"t\" {{\ndriver = \"docker\"\nconfig \
         {{\nimage = \"r/x:1\"\n}}\n{task}\n}}\n}}\n}}\n"
    );
    Case { line, text, says: wanted(says) }
}

fn wanted(says: &str) -> Option<Vec<String>> {
    (says != "ok").then(|| says.split(" && ").map(str::to_owned).collect())
}

/// The errors alone.
pub fn refusals(job: &Job) -> Vec<String> {
    let found = check(job, &Inputs::default()).0;
    let errors = found.into_iter().filter(|one| one.severity == Severity::Error);
    errors
        .map(|one| {
            assert!(one.message.starts_with("Nomad refuses this at register: "), "{one}");
            assert!(one.span.is_some() && one.help.is_some(), "{one}");
            one.message
        })
        .collect()
}

#[test]
fn each_case_is_told_in_our_words() {
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let told = refusals(&case.job());
        let good = match &case.says {
            None => told.is_empty(),
            // Exactly as many as expected: one mistake is told once.
            Some(says) => {
                told.len() == says.len()
                    && says.iter().all(|words| told.iter().any(|one| one.contains(words)))
            }
        };
        if !good {
            wrong.push(format!("line {}: {told:?}, wanted {:?}", case.line, case.says));
        }
    }
    println!("{} of {} cases", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
