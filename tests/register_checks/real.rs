//! The same, put to a real agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blackstart::base::Source;
use blackstart::jobspec::Job;
use serde_json::{Value as Json, json};

use crate::agent::Agent;
use crate::cases::{cases, refusals};

const CRASHED: &str = "the agent gave no answer";

struct Real {
    agent: Agent,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Real {
    fn start() -> Option<Self> {
        let Some(agent) = Agent::start() else {
            println!("skipped: NOMAD_BIN names no Nomad");
            return None;
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let real = Self { agent, client: reqwest::Client::new(), runtime };
        for _ in 0..600 {
            let leader = format!("{}/v1/status/leader", real.agent.address);
            let answer = real.runtime.block_on(async { real.client.get(leader).send().await?.text().await });
            if answer.is_ok_and(|leader| leader.contains(':')) {
                return Some(real);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the agent has no leader:\n{}", real.agent.log());
    }

    /// Nomad's words where it refuses a job.
    fn refusal(&self, job: &Json) -> Option<String> {
        let body = json!({ "Job": job });
        let text = self.put("/v1/validate/job", &body);
        let answer = match text {
            Ok(text) => serde_json::from_str::<Json>(&text).unwrap(),
            Err(text) => return Some(text),
        };
        match answer["Error"].as_str() {
            Some("") | None => {}
            Some(error) => return Some(error.to_owned()),
        }
        // What the agent itself looks at, and only when it is registered.
        let scaled = |group: &Json| !group["Scaling"].is_null();
        let system =
            job["Type"] == "system" && job["TaskGroups"].as_array().is_some_and(|g| g.iter().any(scaled));
        if system || job["Dispatched"] == true { self.put("/v1/jobs", &body).err() } else { None }
    }

    fn put(&self, path: &str, body: &Json) -> Result<String, String> {
        let url = format!("{}{path}", self.agent.address);
        self.runtime.block_on(async {
            let request = self.client.put(url).body(body.to_string()).timeout(Duration::from_secs(20));
            // Some mutants make the agent's handler panic, and then nothing comes back.
            let Ok(answer) = request.send().await else {
                return Err(CRASHED.to_owned());
            };
            let good = answer.status().is_success();
            let text = answer.text().await.unwrap();
            if good { Ok(text) } else { Err(text) }
        })
    }
}

#[test]
fn a_real_agent_agrees_in_each_case() {
    let Some(real) = Real::start() else { return };
    let mut wrong = Vec::new();
    for case in cases() {
        let theirs = real.refusal(&case.job().json);
        if theirs.is_some() != case.says.is_some() {
            wrong.push(format!("line {}: Nomad says {theirs:?}, we {:?}", case.line, case.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A job's JSON with one value changed at a time, to others of its type.
fn mutants(job: &Json) -> Vec<(String, Json)> {
    let mut pointers = Vec::new();
    collect(job, String::new(), &mut pointers);
    let mut made = Vec::new();
    for pointer in pointers {
        let Some(value) = job.pointer(&pointer) else { continue };
        let others: Vec<Json> = match value {
            Json::String(_) => {
                ["", "nonsense", "a b", "../../../x", "${NOMAD_X}", "signal", "*"].map(Json::from).into()
            }
            Json::Number(n) if n.is_i64() || n.is_u64() => {
                [-1_i64, 0, 1, 2, 70_000, 1_000_000_000, 7_200_000_000_000].map(Json::from).into()
            }
            Json::Bool(truth) => vec![json!(!truth)],
            Json::Array(items) => {
                let mut doubled = items.clone();
                doubled.extend(items.first().cloned());
                vec![json!([]), Json::Array(doubled)]
            }
            Json::Object(_) => vec![Json::Null],
            _ => continue,
        };
        for other in others {
            let mut mutant = job.clone();
            if let Some(place) = mutant.pointer_mut(&pointer) {
                let told = format!("{pointer} = {other}");
                *place = other;
                made.push((told, mutant));
            }
        }
    }
    for kind in ["batch", "system", "sysbatch", "service"] {
        let mut mutant = job.clone();
        mutant["Type"] = kind.into();
        made.push((format!("/Type = {kind}"), mutant));
    }
    made
}

fn collect(value: &Json, pointer: String, out: &mut Vec<String>) {
    // What drivers and people put in is nothing to the server.
    let free =
        ["/Config", "/Env", "/Meta", "/GetterHeaders", "/Policy", "/Region", "/Namespace", "/NodePool"];
    if free.iter().any(|end| pointer.ends_with(end)) {
        return;
    }
    match value {
        Json::Object(map) => {
            for (key, inner) in map {
                collect(inner, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Json::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                collect(inner, format!("{pointer}/{i}"), out);
            }
        }
        _ => {}
    }
    if !pointer.is_empty() {
        out.push(pointer);
    }
}

fn corpus() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/jobs");
    let mut found = Vec::new();
    let mut folders = vec![dir];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What hangs on the server and not on the job.
fn is_servers(words: &str) -> bool {
    ["not enabled but used", "nonexistent namespace", "nonexistent node pool", "Enterprise", "unlicensed"]
        .iter()
        .any(|part| words.contains(part))
}

#[test]
fn what_the_agent_takes_is_never_refused_here() {
    let files = corpus();
    if files.is_empty() {
        println!("skipped: ../shared/conformance is not there");
        return;
    }
    let Some(real) = Real::start() else { return };
    // Every n-th mutant; 1 for the whole measure.
    let every: usize = std::env::var("BLACKSTART_TEST_EVERY").ok().and_then(|n| n.parse().ok()).unwrap_or(37);
    let (mut both, mut neither, mut servers, mut crashed, mut number) = (0, 0, 0, 0, 0);
    let mut wrong = Vec::new();
    let mut missed: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(whole) = serde_json::from_str::<Json>(&text) else { continue };
        for (told, mutant) in mutants(&whole["Job"]) {
            number += 1;
            if number % every != 0 {
                continue;
            }
            let source = Source::new("mutant", "job \"x\" {}");
            let job = Job { json: mutant, source, warnings: blackstart::base::Diagnostics::default() };
            let ours = refusals(&job);
            let theirs = real.refusal(&job.json);
            match (ours.is_empty(), theirs) {
                (_, Some(words)) if words == CRASHED => crashed += 1,
                (true, None) => neither += 1,
                (false, Some(_)) => both += 1,
                (true, Some(words)) if is_servers(&words) => servers += 1,
                (true, Some(words)) => {
                    let place = format!("{}: {told}", path.display());
                    let short: String = words.chars().filter(|c| !c.is_ascii_digit()).take(160).collect();
                    missed.entry(short).or_insert((0, place)).0 += 1;
                }
                (false, None) => wrong.push(format!("{}: {told}: {ours:?}", path.display())),
            }
        }
    }
    println!(
        "both refuse {both}, both take {neither}, the server's own reasons {servers}, no answer {crashed}"
    );
    println!("missed {}:", missed.values().map(|(count, _)| count).sum::<usize>());
    for (words, (count, place)) in &missed {
        println!("{count:6} {words:?} ({place})");
    }
    assert!(wrong.is_empty(), "{} refused though Nomad takes them:\n{}", wrong.len(), wrong.join("\n"));
}
