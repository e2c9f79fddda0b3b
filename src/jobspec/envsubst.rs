//! Job files that pass through envsubst before they are read.
//!
//! As GNU envsubst with a list of names: `$NAME` and `${NAME}` are replaced where the list has the
//! whole name, also after another `$` and in comments; nothing else is touched, and what was put in is
//! not looked at again. Unlike it, a variable that isn't set is an error and not empty text.

use std::ops::Range;
use std::sync::Arc;

use crate::base::{Diagnostic, Diagnostics, Source, Span, text};
use crate::jobspec::job::Inputs;

/// What stands for a value that isn't known, where a file is only looked at: good as text, as a number
/// and as a part of either.
pub const UNKNOWN: &str = "1";

/// The file with the variables in their places. A file that has none of them, or in which they were
/// replaced before, is itself. Errors: each place whose variable isn't set.
pub fn substituted(file: &Arc<Source>, inputs: &Inputs) -> Result<Arc<Source>, Diagnostics> {
    if inputs.envsubst.is_empty() || file.original().is_some() {
        return Ok(Arc::clone(file));
    }
    let mut problems = Diagnostics::default();
    let mut pieces = Vec::new();
    for (range, name) in references(&file.text) {
        if !inputs.envsubst.iter().any(|wanted| wanted == name) {
            continue;
        }
        match inputs.environment.get(name) {
            Some(value) => pieces.push((range, value.as_str())),
            None => problems.push(unset(name, &Span::new(file, range), inputs)),
        }
    }
    if pieces.is_empty() {
        return problems.into_result(Arc::clone(file));
    }
    problems.into_result(Source::replacing(file, &pieces))
}

fn unset(name: &str, place: &Span, inputs: &Inputs) -> Diagnostic {
    let error = Diagnostic::error(format!("the environment variable {name} isn't set")).at(place);
    let known = inputs.environment.keys().map(String::as_str).filter(|other| !inputs.is_named(other));
    match text::nearest(name, known) {
        Some(near) => error.help(format!("{near} is set; did you mean it?")),
        None => {
            error.help("set it in the environment's env_file, or in the shell, or take it out of envsubst")
        }
    }
}

impl Inputs {
    fn is_named(&self, name: &str) -> bool {
        self.envsubst.iter().any(|wanted| wanted == name)
    }
}

/// Every `$NAME` and `${NAME}` with its range.
fn references(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text.get(at..)?.find('$')?;
            at = start + 1;
            let braced = text[at..].starts_with('{');
            let from = at + usize::from(braced);
            let length =
                text[from..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            let end = from + length.count();
            let named = !text[from..].starts_with(|c: char| c.is_ascii_digit()) && end > from;
            if !named || (braced && !text[end..].starts_with('}')) {
                continue;
            }
            at = end + usize::from(braced);
            return Some((start..at, &text[from..end]));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pairs: &[(&str, &str)]) -> Inputs {
        Inputs {
            envsubst: vec!["A".into(), "TAG_1".into(), "_x".into()],
            environment: pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            ..Inputs::default()
        }
    }

    /// What GNU envsubst 0.21 gives for the same texts and names.
    const AS_GNU: [(&str, &str); 17] = [
        ("${A}", "one"),
        ("$A", "one"),
        ("$AB ${AB}", "$AB ${AB}"),
        ("$A.B$A-x", "one.Bone-x"),
        ("$$A $${A}", "$one $one"),
        ("${A ${A", "${A ${A"),
        ("${A${A}", "${Aone"),
        ("{$A}", "{one}"),
        ("${ A} ${A }", "${ A} ${A }"),
        ("${A:-x} ${A.b}", "${A:-x} ${A.b}"),
        ("${var.A} ${node.class}", "${var.A} ${node.class}"),
        ("$TAG_1$_x", "$A"),
        ("$1A $", "$1A $"),
        ("é${A}é", "éoneé"),
        ("# $A", "# one"),
        ("$Aé", "oneé"),
        ("", ""),
    ];

    #[test]
    fn it_replaces_what_envsubst_replaces() {
        let inputs = inputs(&[("A", "one"), ("TAG_1", "$A"), ("_x", ""), ("AB", "no")]);
        for (text, wanted) in AS_GNU {
            let made = substituted(&Source::new("f", text), &inputs).unwrap();
            assert_eq!(made.text, wanted, "{text}");
        }
    }

    #[test]
    fn envsubst_itself_agrees() {
        for (text, wanted) in AS_GNU {
            let child = std::process::Command::new("envsubst")
                .arg("$A $TAG_1 $_x")
                .env_clear()
                .envs([("A", "one"), ("TAG_1", "$A"), ("_x", ""), ("AB", "no")])
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn();
            let Ok(mut child) = child else { return };
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
            assert_eq!(
                String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(),
                wanted,
                "{text}"
            );
        }
    }

    #[test]
    fn an_unset_variable_is_named_with_each_of_its_places() {
        let file = Source::new("f", "a $A\n  ${TAG_1} ${A}");
        let errors = substituted(&file, &inputs(&[("TAG_1", "x")])).unwrap_err();
        let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        let what = "the environment variable A isn't set";
        assert_eq!(told, [format!("f:1:3: {what}"), format!("f:2:12: {what}")]);
    }

    #[test]
    fn a_file_without_variables_is_itself() {
        let file = Source::new("f", "a ${B}");
        assert!(Arc::ptr_eq(&file, &substituted(&file, &inputs(&[])).unwrap()));
    }
}
