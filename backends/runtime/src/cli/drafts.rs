//! Where drafts come from: the text itself, or another program.

use super::draft_process::DraftProcess;
use crate::{
    Result,
    generation::{DraftTotals, Speculation},
};

/// Drafts for answers in one session.
pub(crate) enum Drafts {
    /// What came after the end of the text before.
    Lookup(Speculation),
    /// What another model would say.
    Program {
        process: DraftProcess,
        /// The most tokens of a draft.
        most: usize,
        totals: DraftTotals,
    },
}

impl Drafts {
    /// At most `most` tokens that may come after a text.
    pub(crate) fn draft(&mut self, text: &[i64], most: usize) -> Result<Vec<i64>> {
        match self {
            Drafts::Lookup(speculation) => Ok(speculation.draft(text, most)),
            Drafts::Program { most: own, .. } if most.min(*own) == 0 => Ok(Vec::new()),
            Drafts::Program { process, most: own, .. } => process.draft(text, most.min(*own)),
        }
    }

    /// Takes notice of how many tokens of a draft the model chose.
    pub(crate) fn judge(&mut self, drafted: usize, accepted: usize) {
        match self {
            Drafts::Lookup(speculation) => speculation.judge(drafted, accepted),
            Drafts::Program { totals, .. } => {
                totals.drafted += drafted as u64;
                totals.accepted += accepted as u64;
            }
        }
    }

    /// What became of all drafts.
    pub(crate) fn totals(&self) -> DraftTotals {
        match self {
            Drafts::Lookup(speculation) => speculation.totals(),
            Drafts::Program { totals, .. } => *totals,
        }
    }
}
