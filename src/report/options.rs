//! How to show things, settled once before anything is shown.

use std::io::IsTerminal;

/// The width that is assumed where a terminal doesn't tell its own.
const USUAL_WIDTH: usize = 80;

/// How a [`super::Reporter`] shows things.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact about the output")]
pub struct Options {
    /// One event a line on stdout, and nothing else there.
    pub json: bool,
    /// Stdout is a terminal whose cursor can be moved.
    pub terminal: bool,
    pub color: bool,
    /// Columns of the terminal; off a terminal lines are as long as they are.
    pub width: usize,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether everything that is shown belongs to a simulated environment, lines that are no events included.
    pub simulated: bool,
}

impl Options {
    /// For this process's stdout and environment variables.
    pub fn detect(json: bool, verbose: u8, simulated: bool) -> Self {
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let found = Self::of(std::io::stdout().is_terminal(), width, variable);
        Self { json, verbose, simulated, ..found }
    }

    /// From whether stdout is a terminal, how wide it says it is, and `NO_COLOR`, `CI` and `TERM`. Pure.
    pub fn of(tty: bool, width: Option<usize>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty() && value != "false");
        let no_color = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|value| value == "dumb");
        let terminal = tty && !dumb && !set("CI");
        Self {
            json: false,
            terminal,
            color: terminal && !no_color,
            width: width.filter(|width| *width >= 20).unwrap_or(USUAL_WIDTH),
            verbose: 0,
            simulated: false,
        }
    }
}

/// Plain lines, as into a file.
impl Default for Options {
    fn default() -> Self {
        Self::of(false, None, |_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tty: bool, variables: &[(&str, &str)]) -> (bool, bool) {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let options = Options::of(tty, Some(80), variable);
        (options.terminal, options.color)
    }

    #[test]
    fn the_environment_is_respected() {
        assert_eq!(of(true, &[("TERM", "xterm")]), (true, true));
        assert_eq!(of(true, &[("NO_COLOR", "1")]), (true, false));
        assert_eq!(of(true, &[("NO_COLOR", "")]), (true, true));
        assert_eq!(of(true, &[("CI", "true")]), (false, false));
        assert_eq!(of(true, &[("TERM", "dumb")]), (false, false));
        assert_eq!(of(false, &[("TERM", "xterm")]), (false, false));
    }
}
