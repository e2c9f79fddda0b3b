//! Single services through the real binary: one suite for the sandbox, always, and for a real agent where
//! NOMAD_BIN names one (a dev agent with raw_exec, started by the test).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; a skipped one says so"
)]

#[path = "nomad_contract/agent.rs"]
mod agent;
mod common;
#[path = "service/placing.rs"]
mod placing;
#[path = "service/restarting.rs"]
mod restarting;
#[path = "service/scaling.rs"]
mod scaling;
#[path = "service/site.rs"]
mod site;
#[path = "service/stopping.rs"]
mod stopping;

use placing::{
    both_are_short, jobs_of_a_wave_are_added_up, nodes_that_cannot_take_it_are_named,
    what_has_no_place_has_one_with_what_is_offered,
};
use restarting::{
    a_check_must_succeed_after_the_restart, a_job_that_somebody_changes_is_left_alone,
    each_only_when_the_last_is_healthy, one_that_does_not_get_healthy_ends_it,
    one_that_goes_on_failing_is_never_called_healthy, several_at_a_time,
};
use scaling::{
    bounds_are_kept, one_that_does_not_get_healthy_ends_the_scaling, up_and_down_step_by_step,
    what_has_no_place_is_not_begun,
};
use stopping::{
    a_change_by_hand_outlives_a_stop, a_forgotten_one_keeps_its_variables, a_forgotten_one_runs_its_file,
    a_start_from_the_file_undoes_no_live_change_unasked, a_stopped_one_comes_back_as_it_was,
    names_are_looked_up, nothing_happens_without_a_yes,
};

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod sandbox {
            $(#[test]
            fn $name() {
                super::$name(&super::site::Site::sandbox());
            })*
        }

        #[test]
        fn on_a_real_agent() {
            let Some(site) = site::Site::agent() else {
                println!("skipped: NOMAD_BIN is not set");
                return;
            };
            $(
                println!("{}", stringify!($name));
                $name(&site);
                site.clear();
            )*
        }
    };
}

suite![
    what_has_no_place_has_one_with_what_is_offered,
    both_are_short,
    nodes_that_cannot_take_it_are_named,
    jobs_of_a_wave_are_added_up,
    a_stopped_one_comes_back_as_it_was,
    a_forgotten_one_runs_its_file,
    a_forgotten_one_keeps_its_variables,
    a_start_from_the_file_undoes_no_live_change_unasked,
    a_change_by_hand_outlives_a_stop,
    names_are_looked_up,
    nothing_happens_without_a_yes,
    each_only_when_the_last_is_healthy,
    one_that_does_not_get_healthy_ends_it,
    one_that_goes_on_failing_is_never_called_healthy,
    several_at_a_time,
    a_check_must_succeed_after_the_restart,
    a_job_that_somebody_changes_is_left_alone,
    up_and_down_step_by_step,
    one_that_does_not_get_healthy_ends_the_scaling,
    bounds_are_kept,
    what_has_no_place_is_not_begun,
];
