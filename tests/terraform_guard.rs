//! The guard over Terraform plans, without a process.

use blackstart::terraform::{
    Action, Breach, Change, Counts, Earlier, Guard, Offence, Planned, Verdict, matches,
};
use proptest::prelude::*;

fn change(address: &str, action: Action) -> Change {
    Change {
        address: address.into(),
        action,
        reason: None,
        tainted: false,
        fingerprint: String::new(),
        detail: Vec::new(),
    }
}

fn core(count: usize, action: Action) -> Vec<Change> {
    (0..count).map(|i| change(&format!("module.core.terraform_data.vm[{i}]"), action)).collect()
}

fn thirteen(action: Action) -> Guard {
    let addresses = vec!["module.core.*".to_owned()];
    match action {
        Action::Create => Guard { add: 13, addresses, ..Guard::default() },
        _ => Guard { destroy: 13, addresses, ..Guard::default() },
    }
}

fn refused(guard: &Guard, changes: &[Change], earlier: &Earlier) -> Breach {
    *guard.check(changes, earlier).expect_err("must be refused")
}

#[test]
fn thirteen_pass_and_fourteen_do_not() {
    let guard = thirteen(Action::Create);
    let earlier = Earlier::default();
    assert_eq!(guard.check(&core(13, Action::Create), &earlier).unwrap().verdict, Verdict::AsExpected);
    assert!(guard.check(&core(12, Action::Create), &earlier).is_err());

    let changes = core(14, Action::Create);
    let mut breach = refused(&guard, &changes, &earlier);
    assert_eq!(breach.to_string(), "14 to add instead of 13");
    assert!(breach.offending.is_empty());
    let last: Vec<String> = changes.iter().take(13).map(|c| c.address.clone()).collect();
    breach.compare(&changes, &last);
    assert_eq!(breach.offending.len(), 1);
    assert!(breach.marks("module.core.terraform_data.vm[13]"));
    assert_eq!(breach.offending[0].offence, Offence::NewSinceLastRun);
}

#[test]
fn a_dependent_outside_is_marked_even_where_the_count_fits() {
    let mut changes = core(12, Action::Destroy);
    changes.push(change("terraform_data.dns", Action::Destroy));
    let breach = refused(&thirteen(Action::Destroy), &changes, &Earlier::default());
    assert!(breach.counts.is_empty());
    assert_eq!(breach.offending.len(), 1);
    assert!(breach.marks("terraform_data.dns"));
    assert_eq!(breach.to_string(), "outside module.core.*: destroy terraform_data.dns");
}

#[test]
fn what_a_replacement_left_behind_belongs_to_its_resource() {
    let guard = Guard { destroy: 1, addresses: vec!["x.y".into()], ..Guard::default() };
    guard.check(&[change("x.y (deposed 0a1b)", Action::Destroy)], &Earlier::default()).unwrap();
}

#[test]
fn nothing_to_change_is_not_a_breach() {
    let mut changes = core(13, Action::NoOp);
    changes.push(change("data.x.y", Action::Read));
    let report = thirteen(Action::Create).check(&changes, &Earlier::default()).unwrap();
    assert_eq!(report.verdict, Verdict::NothingToDo);
}

#[test]
fn forgets_moves_imports_and_outputs_are_something_to_do() {
    let planned = |changes: Vec<Change>, outputs: &[&str]| Planned {
        changes,
        output_changes: outputs.iter().map(|&o| o.to_owned()).collect(),
        lineage: None,
        serial: 0,
        warnings: Vec::new(),
        file: Box::new(()),
    };
    let guard = thirteen(Action::Create);
    for action in [Action::Forget, Action::Move, Action::Import] {
        let plan = planned(vec![change("module.core.x", action)], &[]);
        assert!(!plan.nothing_to_do());
        assert!(guard.check_planned(&plan, &Earlier::default()).is_err());
    }
    let outputs = planned(core(2, Action::NoOp), &["address"]);
    assert!(!outputs.nothing_to_do());
    assert_eq!(guard.check_planned(&outputs, &Earlier::default()).unwrap().verdict, Verdict::OutputsOnly);
    let nothing = planned(core(2, Action::NoOp), &[]);
    assert_eq!(guard.check_planned(&nothing, &Earlier::default()).unwrap().verdict, Verdict::NothingToDo);
}

#[test]
fn forgets_are_counted_on_their_own() {
    let breach = refused(&Guard::default(), &[change("a.b", Action::Forget)], &Earlier::default());
    assert_eq!(breach.to_string(), "1 to forget instead of 0");
    let guard = Guard { forget: 1, ..Guard::default() };
    assert!(guard.check(&[change("a.b", Action::Forget)], &Earlier::default()).is_ok());
}

#[test]
fn a_resumed_run_is_counted_whole_and_its_own_leftover_once() {
    let all = core(13, Action::Create);
    let done: Vec<_> = all[..5].iter().map(|c| (c.address.clone(), c.action)).collect();
    let unfinished = vec![(all[5].address.clone(), Action::Create)];
    let mut earlier = Earlier::default();
    earlier.attempt(&done, &unfinished);

    let mut remaining = core(13, Action::Create).split_off(5);
    remaining[0].action = Action::Replace;
    remaining[0].tainted = true;
    let report = thirteen(Action::Create).check(&remaining, &earlier).unwrap();
    assert_eq!(report.already, Counts { add: 5, ..Counts::default() });
    assert_eq!(report.planned, Counts { add: 8, ..Counts::default() });

    // The same leftover of another run is a replacement like any other.
    let mut other = Earlier::default();
    other.attempt(&done, &[]);
    let breach = refused(&thirteen(Action::Create), &remaining, &other);
    assert_eq!(breach.to_string(), "1 to destroy instead of 0");

    // The second attempt removed the leftover and failed again, at the same place.
    earlier.attempt(&[(all[5].address.clone(), Action::Destroy)], &unfinished);
    assert!(thirteen(Action::Create).check(&remaining, &earlier).is_ok());
    // Or removed it and got no further.
    let mut gone = remaining.clone();
    gone[0].action = Action::Create;
    gone[0].tainted = false;
    assert!(thirteen(Action::Create).check(&gone, &earlier).is_ok());
}

#[test]
fn a_replacement_that_was_torn_apart_counts_as_one() {
    let guard = Guard { add: 1, destroy: 1, ..Guard::default() };
    let address = "terraform_data.x".to_owned();
    let mut earlier = Earlier::default();
    earlier.attempt(&[(address.clone(), Action::Destroy)], &[(address.clone(), Action::Create)]);
    let mut left = change(&address, Action::Replace);
    left.tainted = true;
    assert!(guard.check(&[left], &earlier).is_ok());
    let mut earlier = Earlier::default();
    earlier.attempt(&[(address.clone(), Action::Destroy)], &[]);
    assert!(guard.check(&[change(&address, Action::Create)], &earlier).is_ok());
}

#[test]
fn an_unknown_outcome_is_inferred_from_what_remains() {
    let intended = core(13, Action::Create);
    let mut remaining = core(13, Action::Create).split_off(9);
    remaining[0].action = Action::Replace;
    remaining[0].tainted = true;
    let mut earlier = Earlier::default();
    earlier.infer(&intended, &remaining);
    assert!(thirteen(Action::Create).check(&remaining, &earlier).is_ok());
    // Terraform finished by itself after we were killed.
    let mut earlier = Earlier::default();
    earlier.infer(&intended, &core(13, Action::NoOp));
    let report = thirteen(Action::Create).check(&core(13, Action::NoOp), &earlier).unwrap();
    assert_eq!(report.verdict, Verdict::NothingToDo);
    assert_eq!(report.already.add, 13);
}

/// The matcher's meaning, written as slowly as it can be.
fn slow(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skip| slow(rest, &text[skip..])),
        Some((c, rest)) => text.first() == Some(c) && slow(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn the_matcher_means_what_it_says(pattern in "[ab.*]{0,8}", text in "[ab.]{0,10}") {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        prop_assert_eq!(matches(&pattern, &text), slow(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn stars_span_dots_and_brackets(key in "[a-z.\\[\\]\"0-9]{0,12}") {
        let address = format!("module.core.x{key}");
        prop_assert!(matches("module.core.*", &address));
        let other = format!("module.core2.{key}");
        prop_assert!(!matches("module.core.*", &other));
    }

    /// Wherever an apply of creations is cut, and however often, the whole run counts as the guard
    /// expects, and one resource too many is always found.
    #[test]
    fn however_a_run_is_cut_it_counts_whole(
        cuts in proptest::collection::vec((0usize..14, any::<bool>(), any::<bool>()), 0..5),
        extra in 0usize..2,
        inferred in any::<bool>(),
    ) {
        let total = 13 + extra;
        let mut remaining = core(total, Action::Create);
        let mut earlier = Earlier::default();
        for (cut, begun, removed) in cuts {
            let intended = remaining.clone();
            let cut = cut.min(remaining.len());
            let mut done = Vec::new();
            for finished in remaining.drain(..cut) {
                if finished.action == Action::Replace {
                    done.push((finished.address.clone(), Action::Destroy));
                }
                done.push((finished.address, Action::Create));
            }
            let mut unfinished = Vec::new();
            if let Some(next) = remaining.first_mut() {
                if next.tainted && removed {
                    done.push((next.address.clone(), Action::Destroy));
                    next.tainted = false;
                    next.action = Action::Create;
                }
                if begun && !next.tainted {
                    unfinished.push((next.address.clone(), Action::Create));
                    next.tainted = true;
                    next.action = Action::Replace;
                }
            }
            if inferred {
                earlier.infer(&intended, &remaining);
            } else {
                earlier.attempt(&done, &unfinished);
            }
        }
        let verdict = thirteen(Action::Create).check(&remaining, &earlier);
        if extra == 0 || remaining.is_empty() {
            prop_assert!(verdict.is_ok(), "{verdict:?} {earlier:?}");
        } else {
            prop_assert_eq!(verdict.unwrap_err().counts[0].found, 14);
        }
    }

    #[test]
    fn whatever_is_outside_is_marked(outside in proptest::collection::vec("[a-z]{1,6}", 1..4), inside in 0usize..5) {
        let mut changes = core(inside, Action::Destroy);
        changes.extend(outside.iter().map(|name| change(&format!("x.{name}"), Action::Destroy)));
        let guard = Guard {
            destroy: changes.len(),
            addresses: vec!["module.core.*".into()],
            ..Guard::default()
        };
        let breach = refused(&guard, &changes, &Earlier::default());
        prop_assert_eq!(breach.offending.len(), outside.len());
        for name in outside {
            let address = format!("x.{name}");
            prop_assert!(breach.marks(&address));
        }
    }
}
