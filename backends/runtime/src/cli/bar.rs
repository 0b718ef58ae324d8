//! A bar on a terminal that shows how much of a long input has been read.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console::Console;

/// What takes less is read without a bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Progress bar of reading a prompt, on standard error where that is a terminal, unless `-q` is given.
pub(crate) struct Bar {
    bar: ProgressBar,
    from: Instant,
    drawn: bool,
}

impl Bar {
    /// Before the first of so many tokens.
    pub(crate) fn new(tokens: usize, console: &Console) -> Bar {
        let style = ProgressStyle::with_template("reading {bar:40} {human_pos} of {human_len} tokens, {eta} left");
        let bar = ProgressBar::with_draw_target(Some(tokens as u64), ProgressDrawTarget::hidden());
        Bar {
            // The template never changes: there is nothing to report.
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            from: Instant::now(),
            drawn: console.verbosity < 0,
        }
    }

    /// So many more tokens were read.
    pub(crate) fn add(&mut self, tokens: usize) {
        self.bar.inc(tokens as u64);
        if !self.drawn && self.from.elapsed() > PATIENCE {
            self.drawn = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}
