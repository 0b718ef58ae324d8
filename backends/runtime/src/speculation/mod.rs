//! Speculative decoding: tokens are drafted, read in one step with the one before, and kept as far as they are those that the
//! model chooses.
//!
//! A drafted token is kept exactly if the sampler chooses it from the logits before it. As the draft proposes one token with
//! certainty, that is the acceptance rule of speculative sampling (Leviathan et al. 2023): it is kept with the probability that
//! the model gives it, and otherwise another token is drawn from what is left. So the distribution of answers is that without
//! drafts, and the draws of a seed are the same.
//!
//! Drafts come from the text itself (`lookup`), or from another program with a smaller model (`program`), whose command `propose` reads
//! texts and drafts what may come after them (`proposer`).

mod lookup;
#[cfg_attr(target_os = "wasi", path = "../wasi/process.rs")]
mod process;
mod program;
mod proposer;
mod protocol;
#[cfg(test)]
mod tests;
mod totals;

pub use program::DraftProgram;
pub(crate) use program::Wake;
pub(crate) use proposer::Proposer;
#[cfg(test)]
pub(crate) use protocol::Proposals;
pub(crate) use protocol::{Asks, Drafter, Hello};
pub use totals::DraftTotals;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lookup::Lookup;
use program::DraftedText;

/// The shortest time that is waited for a draft: what threads and pipes need.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// Wrong drafts in a row after which the next ones become rarer.
const MOST_WRONG: u32 = 2;
/// The most tokens between two drafts, as a power of two.
const RAREST: u32 = 4;

/// How tokens are drafted.
#[derive(Clone, Debug)]
pub enum Drafting {
    /// By prompt lookup.
    Lookup {
        /// The most tokens of a draft.
        most: usize,
    },
    /// By another program.
    Program {
        /// The program.
        program: Arc<DraftProgram>,
        /// The most tokens of a draft.
        most: usize,
    },
}

/// Drafts for one answer, as long as they turn out to be right.
#[derive(Debug)]
pub struct Speculation {
    source: Source,
    totals: DraftTotals,
}

#[derive(Debug)]
enum Source {
    Lookup(Lookup),
    Program(Asking),
}

/// What a program is asked for one answer.
#[derive(Debug)]
struct Asking {
    program: Arc<DraftProgram>,
    text: DraftedText,
    most: usize,
    /// Drafts in a row of which nothing was right, or that came too late.
    wrong: u32,
    /// Tokens until the next draft.
    pause: usize,
    /// Until when the draft is worth waiting for.
    until: Option<Instant>,
    /// Whether a draft came: the first one takes as long as the prompt is.
    begun: bool,
}

impl Speculation {
    /// No drafts yet.
    pub fn new(drafting: &Drafting) -> Speculation {
        Speculation::waking(drafting, || None)
    }

    /// The same; whoever makes steps for several answers is woken when a draft comes from elsewhere.
    pub(crate) fn waking(drafting: &Drafting, wake: impl FnOnce() -> Option<Wake>) -> Speculation {
        let source = match drafting {
            Drafting::Lookup { most } => Source::Lookup(Lookup::new(*most)),
            Drafting::Program { program, most } => Source::Program(Asking {
                text: DraftedText::new(Arc::clone(program), wake()),
                program: Arc::clone(program),
                most: *most,
                wrong: 0,
                pause: 0,
                until: None,
                begun: false,
            }),
        };
        Speculation {
            source,
            totals: DraftTotals::default(),
        }
    }

    /// Asks for at most `most` tokens that may come after a text, where somebody has to be asked. Those for several texts are asked
    /// for before the first of them is waited for.
    pub(crate) fn ask(&mut self, text: &[i64], most: usize) {
        if let Source::Program(asking) = &mut self.source {
            asking.ask(text, most);
        }
    }

    /// The tokens that were asked for, at most `most`; waits for them.
    pub(crate) fn draft(&mut self, text: &[i64], most: usize) -> Vec<i64> {
        match &mut self.source {
            Source::Lookup(lookup) => lookup.draft(text, most),
            Source::Program(asking) => {
                asking.text.wait();
                asking.take(text, most).unwrap_or_default()
            }
        }
    }

    /// At most `most` tokens that may come after a text; `None` as long as they are worth waiting for, where a step takes `pace`.
    pub(crate) fn poll(&mut self, text: &[i64], most: usize, pace: Duration) -> Option<Vec<i64>> {
        match &mut self.source {
            Source::Lookup(lookup) => Some(lookup.draft(text, most)),
            Source::Program(asking) => asking.poll(text, most, pace),
        }
    }

    /// Takes notice of how many tokens of a draft the model chose.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        self.totals.drafted += drafted as u64;
        self.totals.accepted += accepted as u64;
        match &mut self.source {
            Source::Lookup(lookup) => lookup.judge(drafted, accepted),
            Source::Program(asking) => {
                asking.program.judge(drafted, accepted);
                asking.judge(accepted);
            }
        }
    }

    /// What became of all drafts.
    pub fn totals(&self) -> DraftTotals {
        self.totals
    }
}

impl Asking {
    /// Asks, unless drafts were wrong before or there is nobody to ask.
    fn ask(&mut self, text: &[i64], most: usize) {
        let most = most.min(self.most);
        if most == 0 || self.text.is_asked() || self.program.failure().is_some() {
            return;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        self.text.ask(text, most);
    }

    /// The draft that came, as far as it goes on from the text, which may have grown since.
    fn take(&mut self, text: &[i64], most: usize) -> Option<Vec<i64>> {
        let draft = self.text.take()?;
        (self.begun, self.until) = (true, None);
        if draft.tokens.is_empty() {
            self.judge(0);
        }
        let since = text.get(draft.after..)?;
        let rest = draft.tokens.strip_prefix(since)?;
        let rest = &rest[..rest.len().min(most)];
        (since.is_empty() || !rest.is_empty()).then(|| rest.to_vec())
    }

    fn poll(&mut self, text: &[i64], most: usize, pace: Duration) -> Option<Vec<i64>> {
        if let Some(draft) = self.take(text, most) {
            return Some(draft);
        }
        if !self.text.is_asked() {
            self.ask(text, most);
            let steps = u32::try_from(self.most).unwrap_or(u32::MAX);
            // No longer than the steps take that it may save.
            let wait = pace.saturating_mul(steps).max(SHORTEST_WAIT);
            self.until = Instant::now().checked_add(wait);
        }
        if !self.text.is_asked() {
            return Some(Vec::new());
        }
        match self.until {
            Some(until) if Instant::now() < until => None,
            Some(_) => {
                self.until = None;
                if self.begun {
                    self.judge(0);
                }
                Some(Vec::new())
            }
            // It came too late already, and may be of use when it comes.
            None => Some(Vec::new()),
        }
    }

    fn judge(&mut self, accepted: usize) {
        self.wrong = if accepted == 0 { self.wrong + 1 } else { 0 };
        self.pause = match self.wrong.checked_sub(MOST_WRONG) {
            Some(beyond) => 1 << beyond.min(RAREST),
            None => 0,
        };
    }
}
