//! What lines are laid out for.

use super::options::Options;

/// What lines are laid out for. The default is a file: as wide as needed, ASCII frames, no colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Columns; none off a terminal, where nothing is wrapped or cut.
    pub width: Option<usize>,
    pub color: bool,
    /// Frames and arrows may be other than ASCII.
    pub unicode: bool,
    /// Every line begins with `[simulated] `.
    pub simulated: bool,
}

impl From<&Options> for Page {
    fn from(options: &Options) -> Self {
        Self {
            width: options.terminal.then_some(options.width),
            color: options.color,
            unicode: options.terminal,
            simulated: options.simulated,
        }
    }
}
