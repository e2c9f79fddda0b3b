//! Events as the engine tells them.

use std::sync::{Arc, Mutex};

use blackstart::base::{RunId, Secrets};
use blackstart::event::{Ending, Event, Line, Mark, StepShown, VERSION, Verdict, What};
use blackstart::report::{Options, Page, Prose, Reporter};
use jiff::{SignedDuration, Timestamp};

/// Events at times told in seconds since the start.
pub fn event(seconds: i64, simulated: bool, what: What) -> Event {
    let start: Timestamp = "2026-11-21T22:00:00Z".parse().unwrap();
    let at = start + SignedDuration::from_secs(seconds);
    let run = Some(RunId("20261121-220000-test".into()));
    Event { v: VERSION, at, run, simulated, event: what }
}

/// All lines as a page has them.
pub fn prose(options: &Options, events: &[Event]) -> String {
    let mut prose = Prose::new(options.clone(), Secrets::default());
    let page = Page::from(options);
    let lines = events.iter().flat_map(|event| prose.lines(event));
    lines.flat_map(|line| line.lay_out(&page)).map(|row| format!("{row}\n")).collect()
}

/// A terminal of 80 columns without colour.
pub fn terminal() -> Options {
    Options { terminal: true, color: false, width: 80, ..Options::default() }
}

/// What was written so far.
#[derive(Clone, Default)]
pub struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Sheet {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a reporter writes to stdout and stderr.
pub fn written(options: Options, secrets: &Secrets, show: impl FnOnce(&Reporter)) -> (String, String) {
    let (out, err) = (Sheet::default(), Sheet::default());
    let reporter = Reporter::with_output(options, secrets.clone(), out.clone(), err.clone());
    show(&reporter);
    (out.text(), err.text())
}

pub fn target(plan: &str, environment: &str, protected: bool) -> What {
    What::Target {
        project: "cosims".into(),
        environment: environment.into(),
        protected,
        plan: plan.into(),
        details: vec![
            ("terraform".into(), format!("terraform, workspace {environment}, targets module.core")),
            ("nomad".into(), "terraform.output.nomad_address, known after apply".into()),
            ("who".into(), "ada@desk".into()),
        ],
    }
}

fn addresses() -> Vec<String> {
    let servers = ["tf-tata", "tf-tete", "tf-titi", "tf-tutu"];
    let kinds = ["instance", "port", "volume"];
    let each = servers.iter().flat_map(|server| {
        kinds.iter().map(move |kind| format!("module.core.terraform_data.{kind}[\"{server}\"]"))
    });
    each.chain(["module.core.terraform_data.network".to_owned()]).collect()
}

pub fn shown(
    wave: &str,
    step: &str,
    kind: &str,
    summary: &str,
    lines: Vec<Line>,
    later: Option<&str>,
) -> What {
    let (wave, step, kind) = (wave.to_owned(), step.to_owned(), kind.to_owned());
    let (summary, later) = (summary.to_owned(), later.map(str::to_owned));
    What::Shown { step: StepShown { wave, step, kind, summary, lines, later } }
}

fn creations() -> Vec<Line> {
    addresses().iter().map(|address| Line::new(Mark::Add, 0, format!("create {address}"))).collect()
}

fn started(wave: &str, step: &str, kind: &str, summary: &str) -> What {
    let [wave, step, kind, summary] = [wave, step, kind, summary].map(str::to_owned);
    What::StepStarted { wave, step, kind, summary }
}

pub fn progress(step: &str, item: Option<&str>, text: &str, of: Option<(usize, usize)>) -> What {
    What::StepProgress {
        step: step.into(),
        item: item.map(str::to_owned),
        text: text.into(),
        done: of.map(|(done, _)| done),
        of: of.map(|(_, of)| of),
    }
}

fn done(step: &str, summary: &str, seconds: f64) -> What {
    What::StepDone { step: step.into(), summary: summary.into(), seconds }
}

pub fn sampled(verdict: Verdict, detail: &str, passes: u32, waited: i32) -> What {
    What::GateSampled {
        wave: "independent".into(),
        gate: "caught-up".into(),
        verdict,
        detail: detail.into(),
        passes,
        needed: 3,
        waited: f64::from(waited),
    }
}

pub fn gate() -> What {
    What::GateStarted {
        wave: "independent".into(),
        gate: "caught-up".into(),
        every: 30.0,
        deadline: 43_200.0,
        consecutive: 3,
    }
}

fn look(step: &str) -> What {
    What::Looking { step: step.into(), doing: format!("looking at {step}") }
}

/// A cold start in a simulated environment, as far as its second wave.
pub fn cold_start() -> Vec<Event> {
    let mut told: Vec<(i64, What)> = vec![
        (0, target("cold-start", "sandbox", false)),
        (0, What::CheckPassed { name: "backup".into(), wave: None }),
        (0, look("core")),
        (0, progress("core", Some("module.core.terraform_data.network"), "refreshing", None)),
    ];
    let guarded = "13 to add, 0 to change, 0 to destroy, all under module.core.*, nothing else";
    told.push((1, shown("infrastructure", "core", "terraform_apply", guarded, creations(), None)));
    let once = Some("once core is done");
    let types = "update cosims.system_parameters set job_types_list = :types";
    told.push((1, shown("independent", "types", "sql", types, Vec::new(), once)));
    let jobs = vec![
        Line::plain("job_creation, worker_pool_management"),
        Line::plain("job_configuration, job_execution, job_publication, monitor"),
    ];
    let registered = "6 jobs: registered where they aren't there";
    told.push((1, shown("independent", "services", "nomad_job", registered, jobs, once)));
    let waves = vec!["infrastructure".into(), "independent".into()];
    told.push((1, What::Decision { digest: "0f3c9a5b77d2e1846a90c1de".into(), waves, later: 2 }));
    told.push((1, What::Approved { who: "ada@desk".into(), how: "--yes".into() }));
    told.push((1, What::WaveStarted { wave: "infrastructure".into(), index: 1, of: 2 }));
    told.push((1, started("infrastructure", "core", "terraform_apply", guarded)));
    for (i, address) in addresses().iter().enumerate() {
        let now = 2 + i64::try_from(i).unwrap() * 20;
        told.push((now, progress("core", Some(address), "create …", Some((i, 13)))));
        told.push((now + 10, progress("core", Some(address), "still at it after 10s", Some((i, 13)))));
        told.push((now + 20, progress("core", Some(address), "done after 20s", Some((i + 1, 13)))));
    }
    told.push((263, done("core", "13 added, 0 changed, 0 destroyed", 262.0)));
    told.push((263, What::WaveDone { wave: "infrastructure".into(), seconds: 262.0 }));
    told.push((263, What::WaveStarted { wave: "independent".into(), index: 2, of: 2 }));
    told.push((263, What::CheckPassed { name: "search-window".into(), wave: Some("independent".into()) }));
    told.push((263, started("independent", "types", "sql", types)));
    told.push((263, done("types", "1 row changed", 0.25)));
    told.push((263, started("independent", "services", "nomad_job", "6 jobs to bring up")));
    for job in ["job_creation", "monitor"] {
        told.push((264, progress("services", Some(job), "registering", None)));
        told.push((264, progress("services", Some(job), "0 of 1 healthy", None)));
        told.push((265, progress("services", Some(job), "0 of 1 healthy", None)));
        told.push((270, progress("services", Some(job), "main: Task started by client", None)));
        told.push((274, progress("services", Some(job), "1 of 1 healthy", None)));
    }
    told.push((275, progress("services", Some("job_creation"), "healthy", Some((1, 2)))));
    told.push((276, progress("services", Some("monitor"), "healthy", Some((2, 2)))));
    told.push((276, done("services", "2 jobs healthy", 13.0)));
    told.push((276, gate()));
    for i in 0..500_i32 {
        let lag = format!("generated: lag {}h, indexed: lag {}h", 71 - i / 8, 72 - i / 8);
        told.push((276 + i64::from(i) * 30, sampled(Verdict::NotYet, &lag, 0, i * 30)));
    }
    for passes in 1..=3_u32 {
        let i = 499 + i32::try_from(passes).unwrap();
        let what = sampled(Verdict::Pass, "generated: lag 52m 3s, indexed: lag 58m", passes, i * 30);
        told.push((276 + i64::from(i) * 30, what));
    }
    told.push((
        15_336,
        What::GatePassed {
            wave: "independent".into(),
            gate: "caught-up".into(),
            detail: "generated: lag 52m 3s, indexed: lag 58m".into(),
            waited: 15_060.0,
        },
    ));
    told.push((15_336, What::Recorded { name: "newest_job".into(), value: serde_json::json!(1203) }));
    told.push((15_336, What::WaveDone { wave: "independent".into(), seconds: 15_073.0 }));
    told.push((
        15_336,
        What::Finished {
            ending: Ending::Done,
            summary: "cold-start is done".into(),
            done: ["core", "types", "services"].map(str::to_owned).into(),
            not_done: Vec::new(),
            next: None,
            help: None,
            head: Some("5d41402abc4b2a76b9719d911017c592".into()),
            seconds: 15_336.0,
        },
    ));
    told.into_iter().map(|(at, what)| event(at, true, what)).collect()
}

/// A stop of a protected environment that its guard refuses.
pub fn refusal() -> Vec<Event> {
    let mut lines: Vec<Line> = addresses()
        .iter()
        .take(3)
        .map(|address| Line::new(Mark::Remove, 0, format!("destroy {address}")))
        .collect();
    let offending = "destroy module.persistent.terraform_data.bucket[\"results\"]  ← not expected";
    lines.push(Line::new(Mark::Offending, 0, offending));
    let message = "core: 14 to destroy where 13 are expected";
    let told = [
        target("stop", "prod", true),
        look("core"),
        shown("down", "core", "terraform_destroy", "0 to add, 0 to change, 14 to destroy", lines, None),
        What::Finished {
            ending: Ending::Refused,
            summary: message.into(),
            done: Vec::new(),
            not_done: vec!["core".into()],
            next: None,
            help: None,
            head: Some("5d41402abc4b2a76b9719d911017c592".into()),
            seconds: 3.0,
        },
    ];
    told.into_iter().map(|what| event(0, false, what)).collect()
}

/// A start that Ctrl-C pauses after a failed job.
pub fn pause() -> Vec<Event> {
    let error = "'monitor': its allocation failed\n  task 'main': Driver Failure: no such image".to_owned();
    let told = [
        target("start", "test", false),
        What::Warning { text: "nomad-jobs/monitor.nomad.hcl:3:1: 'region' is not used".into() },
        What::WaveStarted { wave: "services".into(), index: 1, of: 1 },
        started("services", "jobs", "nomad_job", "6 jobs to bring up"),
        What::Interrupted { text: "nothing new is started; waiting for what runs".into() },
        What::StepFailed { step: "jobs".into(), error: error.clone(), seconds: 65.0, interrupted: false },
        What::Finished {
            ending: Ending::Paused,
            summary: format!("jobs: {error}"),
            done: vec!["core".into()],
            not_done: vec!["jobs".into()],
            next: Some("blackstart resume 20261121-220000-test".into()),
            help: None,
            head: Some("5d41402abc4b2a76b9719d911017c592".into()),
            seconds: 70.0,
        },
    ];
    told.into_iter().map(|what| event(0, false, what)).collect()
}
