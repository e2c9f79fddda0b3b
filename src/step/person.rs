//! `manual`: shows what a person has to do and waits until they say that it is done. `approve`: a yes in
//! the middle of a run.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::build::{Inputs, Known};
use crate::base::text;
use crate::engine::{
    Answer, Context, Horizon, Outcome, Preview, Question, Reconciled, Step, StepError, digest_of,
};
use crate::event::Line;
use crate::journal::Intent;

pub struct Person {
    pub inputs: Inputs,
    pub approves: bool,
}

#[async_trait]
impl Step for Person {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let known = self.inputs.read(cx, |reader, body| reader.string(body, "text"))?;
        let (shown, decision) = match known {
            Known::All(text) => (text.clone(), json!({ "text": text })),
            Known::Not(what) => {
                (format!("a text with {what}, which is known later"), json!({ "unknown": what }))
            }
        };
        let summary = if self.approves { "asks for a yes" } else { "waits for a person" };
        let later = match horizon {
            Horizon::Later(why) => Some(why.clone()),
            Horizon::Now => None,
        };
        let lines = shown.trim().lines().map(|line| Line::plain(text::one_line(line))).collect();
        let bound = Some(decision.clone());
        Ok(Preview { lines, later, bound, ..Preview::new(summary, decision) })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let text = self.inputs.now(cx, |reader, body| reader.string(body, "text"))?;
        let settings = self.inputs.environment.settings();
        let question = if self.approves {
            Question::Approve {
                digest: digest_of(&preview.decision),
                environment: settings.name.clone(),
                protected: settings.protected,
                also: Vec::new(),
                what: text,
            }
        } else {
            Question::Manual { step: cx.step.clone(), text }
        };
        let denied = |message: String| StepError { denied: true, ..StepError::untouched(message) };
        match cx.ask(question).await {
            Answer::Yes { who, how } => {
                let summary = format!("{who} said yes {how}");
                let evidence = json!({ "who": who, "how": how });
                Ok(Outcome { summary, evidence, output: Value::Null })
            }
            Answer::No { who } => Err(denied(format!("{who} said no"))),
            Answer::Wait | Answer::Nobody => {
                let help = "resume the run in a terminal";
                Err(denied("this needs a person, and nobody is there to ask".into()).help(help))
            }
        }
    }

    async fn reconcile(&self, _: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        Ok(Reconciled::NotDone("the question is asked again".into()))
    }
}
