//! A line on standard error while something long runs; none where that is no terminal, or with `-q`.

use super::session::Session;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Shown until it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Session {
    /// Says what is going on, and for how long.
    pub(crate) fn progress(&self, what: String) -> Progress {
        if self.global.quiet {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        // The template is a constant of which indicatif approves; its own is as good.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
