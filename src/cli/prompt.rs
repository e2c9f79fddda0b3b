//! Questions at the terminal.

use async_trait::async_trait;
use dialoguer::{Input, Select};
use nix::sys::termios;
use tokio::sync::watch;

use crate::base::text;
use crate::engine::{Answer, Approver, Question};
use crate::report::{Options, Page, Reporter, Styled};

/// How often a wrong name may be typed.
const TRIES: usize = 3;

/// Nobody is there: every question goes unanswered.
pub struct Nobody;

#[async_trait]
impl Approver for Nobody {
    async fn ask(&self, _: &Question) -> Answer {
        Answer::Nobody
    }
}

/// Says yes to everything, and says so: for the demo off a terminal.
pub struct AlwaysYes;

#[async_trait]
impl Approver for AlwaysYes {
    async fn ask(&self, question: &Question) -> Answer {
        match question {
            Question::Deadline { .. } | Question::Unknown { .. } => Answer::Nobody,
            _ => Answer::Yes { who: "the demo".into(), how: "since nobody is at a terminal".into() },
        }
    }
}

/// Asks at the terminal. One question at a time: a run's waves may ask side by side.
pub struct Terminal {
    reporter: Reporter,
    who: String,
    interrupts: watch::Receiver<u32>,
    one: tokio::sync::Mutex<()>,
}

impl Terminal {
    pub fn new(reporter: Reporter, who: &str, interrupts: watch::Receiver<u32>) -> Self {
        Self { reporter, who: who.to_owned(), interrupts, one: tokio::sync::Mutex::new(()) }
    }
}

#[async_trait]
impl Approver for Terminal {
    async fn ask(&self, question: &Question) -> Answer {
        let _one = self.one.lock().await;
        let asked = question;
        let (question, who) = (question.clone(), self.who.clone());
        // Not the thread's: where it goes on waiting for a key, what is said next would wait with it, and be lost.
        let _held = self.reporter.hold();
        let mode = termios::tcgetattr(std::io::stdin()).ok();
        let asking = tokio::task::spawn_blocking(move || answer(&question, &who));
        let mut interrupts = self.interrupts.clone();
        let before = *interrupts.borrow();
        // A key at the prompt ends both, whichever is seen first; a signal from elsewhere only the second.
        let answer = tokio::select! {
            answer = asking => answer.ok().flatten(),
            _ = interrupts.wait_for(|count| *count > before) => None,
        };
        answer.unwrap_or_else(|| {
            // A thread that waits for a key has the terminal give each as it is typed.
            if let Some(mode) = &mode {
                let _ = termios::tcsetattr(std::io::stdin(), termios::SetArg::TCSANOW, mode);
            }
            // The cursor stands behind the question.
            told("");
            // Ctrl-C is a no to what would be done, and no answer to what happened.
            match asked {
                Question::Approve { .. } => Answer::No { who: self.who.clone() },
                Question::Manual { .. } | Question::Deadline { .. } | Question::Unknown { .. } => {
                    Answer::Nobody
                }
            }
        })
    }
}

/// None where it was broken off.
fn answer(question: &Question, who: &str) -> Option<Answer> {
    let yes = || Answer::Yes { who: who.to_owned(), how: "at the prompt".into() };
    let no = || Answer::No { who: who.to_owned() };
    forget_typed_ahead();
    match question {
        Question::Approve { digest, environment, protected, also, what } => {
            let what = text::harmless(what);
            let own = protected.then_some(environment);
            let names: Vec<&String> = own.into_iter().chain(also).collect();
            if names.is_empty() {
                told(&format!("{what}, decision {digest}"));
                return confirmed("Approve?", yes, no);
            }
            for name in names {
                let why = if own == Some(name) {
                    "it is protected".to_owned()
                } else {
                    format!("it changes {name}'s files")
                };
                told(&format!("{what}, decision {digest}"));
                told(&format!("type {name} to approve ({why}); empty refuses:"));
                if !typed(name)? {
                    return Some(no());
                }
            }
            Some(yes())
        }
        Question::Manual { step, text } => {
            told(&format!("{step}:\n{}", text::harmless(text.trim())));
            confirmed("Is it done?", yes, no)
        }
        Question::Deadline { gate, detail } => {
            let items = ["wait as long again", "go on without it", "stop here; resume later"];
            told(&format!("The gate '{gate}' is {}.", text::one_line(detail)));
            Some(
                match Select::new().with_prompt("What now?").items(items).default(0).interact_opt().ok()? {
                    Some(0) => Answer::Wait,
                    Some(1) => yes(),
                    _ => no(),
                },
            )
        }
        Question::Unknown { step, detail } => {
            let items = ["it happened", "it did not happen; do it now", "I don't know; stop here"];
            told(&format!("It is not known whether the step '{step}' happened: {}.", text::one_line(detail)));
            Some(match Select::new().with_prompt("Did it?").items(items).default(2).interact_opt().ok()? {
                Some(0) => yes(),
                Some(1) => no(),
                _ => Answer::Nobody,
            })
        }
    }
}

/// Whether the name is typed, in a few tries; none where it is broken off.
fn typed(name: &str) -> Option<bool> {
    for left in (0..TRIES).rev() {
        // A short prompt: a wrapped one would be drawn again at each key.
        let asked = Input::<String>::new().with_prompt("environment").allow_empty(true);
        let typed = asked.interact_text().ok()?;
        if typed.trim() == name {
            return Some(true);
        }
        if typed.trim().is_empty() {
            return Some(false);
        }
        let typed = text::one_line(&typed);
        let more = if left > 0 { "; try again, or press Ctrl-C" } else { "" };
        told(&format!("'{typed}' is not '{name}'{more}"));
    }
    Some(false)
}

/// Lines between two prompts, as wide as the terminal is: the reporter waits until they are over.
#[expect(clippy::print_stderr, reason = "prompts write for themselves, to where dialoguer does")]
fn told(text: &str) {
    let page = Page::from(&Options::detect(false, 0, false));
    for row in text.split('\n').flat_map(|line| Styled::new(0).plain(line).lay_out(&page)) {
        eprintln!("{row}");
    }
}

/// A whole word and Enter: one key, or what was typed ahead, approves nothing.
fn confirmed(prompt: &str, yes: impl Fn() -> Answer, no: impl Fn() -> Answer) -> Option<Answer> {
    for _ in 0..TRIES {
        let asked = Input::<String>::new().with_prompt(format!("{prompt} [y/N]")).allow_empty(true);
        match asked.interact_text().ok()?.trim().to_lowercase().as_str() {
            "y" | "yes" => return Some(yes()),
            "" | "n" | "no" => return Some(no()),
            _ => told("answer yes or no"),
        }
    }
    Some(no())
}

/// Throws away what was typed before the question was there.
fn forget_typed_ahead() {
    let _ = termios::tcflush(std::io::stdin(), termios::FlushArg::TCIFLUSH);
}
