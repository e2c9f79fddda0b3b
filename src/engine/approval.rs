//! Questions to a person, and answers.

use async_trait::async_trait;

/// What is asked. Everything it is about has been shown already.
#[derive(Clone, Debug)]
pub enum Question {
    /// The decision with this digest; `also` are other protected environments, whose files it changes.
    Approve { digest: String, environment: String, protected: bool, also: Vec<String>, what: String },
    /// An instruction to carry out by hand: was it done?
    Manual { step: String, text: String },
    /// A gate is past its deadline: wait on, go on without it, or stop?
    Deadline { gate: String, detail: String },
    /// A crash left it open whether a step happened: did it?
    Unknown { step: String, detail: String },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// By whom, and how ("at a prompt", "--yes", "--approve").
    Yes {
        who: String,
        how: String,
    },
    No {
        who: String,
    },
    /// Wait longer.
    Wait,
    /// Nobody is there to ask.
    Nobody,
}

/// Gets answers.
#[async_trait]
pub trait Approver: Send + Sync {
    async fn ask(&self, question: &Question) -> Answer;
}
