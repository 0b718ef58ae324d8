//! What a session remembers of its sequence: what was read, the last outputs, and snapshots to which it can be taken back.

use std::{ops::Range, sync::Arc};

use seqc_abi::{Descriptor, Stream};

use crate::{
    Result,
    history::History,
    inputs::Values,
    model::Model,
    outputs::Outputs,
    saved::{self, Saved},
    sequence::Sequence,
    streams::{reads_tokens, width},
};

/// A sequence with what was read of it.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) sequence: Sequence,
    /// What was read from position `inputs_from` on, of every input stream.
    pub(super) inputs: Vec<Values>,
    pub(super) inputs_from: u64,
    /// The last row of every output, where it was wanted.
    pub(super) last: Option<Vec<Values>>,
    /// In order of their positions.
    pub(super) snapshots: Vec<Arc<Snapshot>>,
    /// Tokens between two snapshots; 0: none are taken.
    pub(super) every: u64,
    pub(super) history: History,
}

/// A copy of the sequence at an earlier position.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) sequence: Sequence,
    /// The last row of every output, where it is known.
    pub(super) last: Option<Vec<Values>>,
}

impl Track {
    /// A sequence of no tokens yet.
    pub(super) fn new(model: &Model) -> Result<Track> {
        Ok(Track {
            sequence: Sequence::new(model)?,
            inputs: nothing(model.descriptor()),
            inputs_from: 0,
            last: None,
            snapshots: Vec::new(),
            every: 0,
            history: History::default(),
        })
    }

    /// A copy that goes on by itself. Snapshots are shared.
    pub(super) fn fork(&self, descriptor: &Descriptor) -> Result<Track> {
        Ok(Track {
            sequence: self.sequence.fork(descriptor)?,
            inputs: self.inputs.clone(),
            inputs_from: self.inputs_from,
            last: self.last.clone(),
            snapshots: self.snapshots.clone(),
            every: self.every,
            history: self.history.clone(),
        })
    }

    /// What was saved, instead of what is here.
    pub(super) fn restore(&mut self, descriptor: &Descriptor, saved: Saved) {
        self.snapshots.clear();
        let position = saved.sequence.position;
        (self.inputs, self.inputs_from) = match reads_tokens(descriptor) {
            true => (vec![Values::I64(saved.tokens)], 0),
            false => (nothing(descriptor), position),
        };
        (self.sequence, self.last, self.history) = (saved.sequence, saved.last, saved.history);
    }

    /// What is saved.
    pub(super) fn saved(&self) -> saved::Snapshot<'_> {
        saved::Snapshot {
            sequence: &self.sequence,
            tokens: self.tokens().unwrap_or_default(),
            last: self.last.as_deref(),
            history: &self.history,
        }
    }

    /// All tokens that were read, of a model that reads tokens.
    pub(super) fn tokens(&self) -> Option<&[i64]> {
        match &self.inputs[..] {
            [Values::I64(tokens)] if self.inputs_from == 0 && tokens.len() as u64 == self.sequence.position => {
                Some(tokens)
            }
            _ => None,
        }
    }

    /// Whether inputs are kept, to be read again: tokens always, as they are few bytes; vectors where there are snapshots.
    fn keeps_inputs(&self, descriptor: &Descriptor) -> bool {
        let needed = !Sequence::cuts_anywhere(descriptor) && (self.every > 0 || !self.snapshots.is_empty());
        needed || reads_tokens(descriptor)
    }

    /// The most tokens that may be read before a snapshot is taken.
    pub(super) fn until_snapshot(&self, descriptor: &Descriptor) -> usize {
        if self.every == 0 || Sequence::cuts_anywhere(descriptor) {
            return usize::MAX;
        }
        let left = self.every - self.sequence.position % self.every;
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Tokens of the next chunk, of `left` and at most `size`.
    pub(super) fn chunk(&self, descriptor: &Descriptor, size: usize, left: usize) -> usize {
        match descriptor.causal {
            true => {
                let size = size.min(self.until_snapshot(descriptor));
                self.sequence.undivided(descriptor, size, left)
            }
            false => left,
        }
    }

    /// The sequence has read these rows of the inputs, with these outputs.
    pub(super) fn advance(
        &mut self,
        descriptor: &Descriptor,
        inputs: &[Values],
        rows: Range<usize>,
        outputs: &Outputs,
    ) {
        if self.keeps_inputs(descriptor) {
            for ((kept, read), stream) in self.inputs.iter_mut().zip(inputs).zip(&descriptor.inputs) {
                let width = width(stream);
                kept.append(read, rows.start * width..rows.end * width);
            }
        } else {
            self.inputs_from = self.sequence.position;
        }
        self.last = outputs.last_row();
        if self.until_snapshot(descriptor) as u64 == self.every {
            self.snap(descriptor, None);
        }
    }

    /// Keeps a copy of the sequence as it is. Without memory for it none is kept: the one before serves as well.
    pub(super) fn snap(&mut self, descriptor: &Descriptor, last: Option<Vec<Values>>) {
        let position = self.sequence.position;
        self.snapshots.retain(|kept| kept.sequence.position < position);
        if let Ok(sequence) = self.sequence.fork(descriptor) {
            self.snapshots.push(Arc::new(Snapshot { sequence, last }));
        }
    }

    /// Forgets what was read after a position to which the sequence has gone back.
    pub(super) fn forget(&mut self, descriptor: &Descriptor, position: u64) {
        self.snapshots.retain(|kept| kept.sequence.position <= position);
        self.history.truncate(position);
        if position < self.inputs_from {
            (self.inputs, self.inputs_from) = (nothing(descriptor), position);
        }
        let rows = (position - self.inputs_from) as usize;
        for (kept, stream) in self.inputs.iter_mut().zip(&descriptor.inputs) {
            kept.truncate(rows.saturating_mul(width(stream)));
        }
    }
}

/// No rows of any input.
fn nothing(descriptor: &Descriptor) -> Vec<Values> {
    let none = |stream: &Stream| Values::none(stream.elem);
    descriptor.inputs.iter().map(none).collect()
}
