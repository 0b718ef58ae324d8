//! Progress of reading a prompt, where there is no terminal to show it on.

use super::console::Console;

/// Shows nothing.
pub(crate) struct Bar;

impl Bar {
    /// Before the first of so many tokens.
    pub(crate) fn new(_tokens: usize, _console: &Console) -> Bar {
        Bar
    }

    /// So many more tokens were read.
    pub(crate) fn add(&mut self, _tokens: usize) {}

    /// The end.
    pub(crate) fn end(self) {}
}
