//! What Nomad would refuse at register: cases with our words, the same cases put to a real agent where
//! `NOMAD_BIN` names one, and there the mutated jobs of the conformance corpus, too.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

#[path = "nomad_contract/agent.rs"]
#[allow(dead_code, reason = "its log is asked for elsewhere")]
mod agent;
#[path = "register_checks/cases.rs"]
mod cases;
#[path = "register_checks/places.rs"]
mod places;
#[path = "register_checks/real.rs"]
mod real;
