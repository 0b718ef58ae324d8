//! Going back: sequences that are cut at an earlier position, forks, and the memory that both keep.

use std::{collections::HashMap, sync::Arc};

use super::{Session, track::Track};
use crate::{Error, Result, executor::Segment, history::History, inputs::Values, memory::Piece, sequence::Sequence};

/// Bytes that a session keeps, without the memory that a step needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// What is freed with the session: states, pages and snapshots that nobody shares, and inputs that are kept.
    pub alone: usize,
    /// Pages and snapshots that forks of the session use as well.
    pub shared: usize,
}

/// A place in a sequence to which its session may go back.
#[derive(Debug)]
pub struct Mark {
    position: u64,
    /// A copy of the sequence, where it cannot be cut anywhere.
    sequence: Option<Sequence>,
    last: Option<Vec<Values>>,
    history: History,
}

impl Mark {
    /// Tokens read there.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl<'m> Session<'m> {
    /// Whether the session can be cut at any earlier token at once.
    pub fn cuts_anywhere(&self) -> bool {
        Sequence::cuts_anywhere(self.model().descriptor())
    }

    /// Marks the place where the session is.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn mark(&self) -> Result<Mark> {
        let (descriptor, sequence) = (self.model().descriptor(), &self.track.sequence);
        let copy = !self.cuts_anywhere();
        Ok(Mark {
            position: sequence.position,
            sequence: copy.then(|| sequence.fork(descriptor)).transpose()?,
            last: self.track.last.clone(),
            history: self.track.history.clone(),
        })
    }

    /// Goes back to a mark, and is again what it was there: nothing is read.
    ///
    /// # Panics
    ///
    /// If the session was taken back to an earlier token, reset or loaded after the mark was set.
    pub fn return_to(&mut self, mark: Mark) {
        let descriptor = self.model().descriptor();
        assert!(mark.position <= self.position(), "the session is before the mark");
        match mark.sequence {
            Some(sequence) => self.track.sequence = sequence,
            None => self.track.sequence.truncate(descriptor, mark.position),
        }
        self.track.forget(descriptor, mark.position);
        (self.track.last, self.track.history) = (mark.last, mark.history);
    }

    /// A copy that goes on by itself, in other threads as well. Pages of caches and snapshots are shared, and memory for steps, with which
    /// the sessions take turns.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn fork(&self) -> Result<Session<'m>> {
        Ok(Session {
            executor: self.executor.clone(),
            track: self.track.fork(self.model().descriptor())?,
        })
    }

    /// A copy of the sequence alone.
    pub(crate) fn fork_sequence(&self) -> Result<Sequence> {
        self.track.sequence.fork(self.model().descriptor())
    }

    /// Keeps a snapshot of the sequence every so many tokens from now on, from which [`Session::truncate`] reads on; 0: none.
    /// Each has the size of the states that are no cache. Models whose sequences can be cut anywhere need none.
    pub fn keep_snapshots(&mut self, every: u64) {
        // Where tokens are read together, no snapshot is taken between them.
        self.track.every = every.next_multiple_of(self.model().descriptor().together.max(1) as u64);
    }

    /// Keeps a snapshot at this position, with the last outputs.
    pub fn keep_snapshot(&mut self) {
        let descriptor = self.model().descriptor();
        if !self.cuts_anywhere() {
            let last = self.track.last.clone();
            self.track.snap(descriptor, last);
        }
    }

    /// Forgets all but the first `position` tokens: at once where all that the model carries are caches that forget nothing, else
    /// from the last snapshot before, or from the start, by reading the tokens in between again. The outputs of the last
    /// token are known afterwards if it was read again, or a snapshot with outputs was kept there.
    ///
    /// # Errors
    ///
    /// A position ahead, inputs of vectors that were not kept, a model that looks ahead, too little memory; the session is then as
    /// before.
    pub fn truncate(&mut self, position: u64) -> Result<()> {
        let descriptor = self.model().descriptor();
        let read = self.position();
        if position > read {
            return Err(Error::input(format!(
                "the sequence cannot be cut at token {position}: {read} were read"
            )));
        }
        if position == read {
            self.track.history.truncate(position);
            return Ok(());
        }
        if position > 0 && !descriptor.causal {
            return Err(Error::input(format!(
                "the model {} looks ahead: what it read cannot be cut",
                descriptor.model
            )));
        }
        if self.cuts_anywhere() {
            self.track.sequence.truncate(descriptor, position);
            self.track.last = None;
        } else {
            let (sequence, last) = self.replay(position)?;
            (self.track.sequence, self.track.last) = (sequence, last);
        }
        self.track.forget(descriptor, position);
        Ok(())
    }

    /// The sequence after its first tokens, read from the last snapshot on, and the last row of every output where it is known.
    fn replay(&mut self, position: u64) -> Result<(Sequence, Option<Vec<Values>>)> {
        let descriptor = self.model().descriptor();
        let Session { executor, track } = self;
        let model = executor.model();
        let mut before = track.snapshots.iter().rev();
        let snapshot = before.find(|snapshot| snapshot.sequence.position <= position);
        let (mut sequence, mut last) = match snapshot {
            Some(snapshot) => (snapshot.sequence.fork(descriptor)?, snapshot.last.clone()),
            None => (track.sequence.restart(model)?, None),
        };
        let prompts = &track.sequence.prompts;
        if sequence.position < position && sequence.position < track.inputs_from {
            return Err(Error::input(format!(
                "the sequence cannot be cut at token {position}: the model {} would have to read it again, and its first {} inputs were not kept",
                descriptor.model, track.inputs_from
            )));
        }
        while sequence.position < position {
            let left = (position - sequence.position) as usize;
            let (until_here, until_next) = prompts.until(sequence.position);
            let same = usize::try_from(until_next - sequence.position).unwrap_or(usize::MAX);
            sequence.prompts = until_here;
            let tokens = sequence.undivided(descriptor, descriptor.max_chunk.max(1), left.min(same));
            let segment = Segment {
                at: (sequence.position - track.inputs_from) as usize,
                sequence: &mut sequence,
                inputs: &track.inputs,
                tokens,
                wanted_from: if tokens == left { tokens - 1 } else { tokens },
            };
            last = executor.turn().step(&mut [segment])?.last_row();
        }
        sequence.prompts = prompts.clone();
        sequence.prompts.truncate(position);
        Ok((sequence, last))
    }

    /// Bytes of memory that the session keeps.
    pub fn bytes(&self) -> Bytes {
        self.track.bytes()
    }
}

/// A piece of memory that is met in some sequences of a session.
struct Met {
    piece: Piece,
    /// How many of its holders belong to the session alone.
    own: usize,
}

impl Track {
    fn bytes(&self) -> Bytes {
        let mut met: HashMap<usize, Met> = HashMap::new();
        let mut meet = |sequence: &Sequence, own: bool| {
            for piece in sequence.pieces() {
                let entry = met.entry(piece.address).or_insert(Met { piece, own: 0 });
                entry.own += usize::from(own);
            }
        };
        meet(&self.sequence, true);
        for snapshot in &self.snapshots {
            meet(&snapshot.sequence, Arc::strong_count(snapshot) == 1);
        }
        let rows = |values: &Vec<Values>| values.iter().map(Values::bytes).sum::<usize>();
        let lasts = self.snapshots.iter().map(|snapshot| &snapshot.last).chain([&self.last]);
        let mut bytes = Bytes {
            alone: rows(&self.inputs) + lasts.flatten().map(rows).sum::<usize>(),
            shared: 0,
        };
        for Met { piece, own } in met.values() {
            match *own == piece.holders {
                true => bytes.alone += piece.bytes,
                false => bytes.shared += piece.bytes,
            }
        }
        bytes
    }
}
