//! Sessions that read: steps take tokens of all of them, so that weights are read once for all.

use seqc_abi::{Descriptor, batch::Room};

use super::{
    Session,
    cut::{Cut, Wanted},
    track::Track,
    turns::Turns,
};
use crate::{
    Error, Result,
    executor::{Executor, Segment},
    inputs::Values,
    outputs::Outputs,
};

/// What one of several sessions reads.
#[derive(Debug)]
pub struct Feed<'a, 'm> {
    /// The session.
    pub session: &'a mut Session<'m>,
    /// Rows of every input stream, one for each token.
    pub inputs: &'a [Values],
    /// The chunks in which it reads them.
    pub cut: &'a Cut,
    /// Rows of the outputs that count.
    pub wanted: Wanted,
}

impl Session<'_> {
    /// Reads one row of every input stream for each token, in chunks, and hands the outputs of each chunk to `take`: as
    /// many rows as are wanted, which may be none.
    ///
    /// # Errors
    ///
    /// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens), or an error of `take`.
    pub fn feed(
        &mut self,
        inputs: &[Values],
        cut: &Cut,
        wanted: Wanted,
        mut take: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let feed = Feed {
            session: self,
            inputs,
            cut,
            wanted,
        };
        feed_together(&mut [feed], |_, outputs| take(outputs))
    }
}

/// A session that is reading.
#[derive(Debug)]
struct Reader<'a> {
    track: &'a mut Track,
    inputs: &'a [Values],
    cut: &'a Cut,
    wanted: Wanted,
    tokens: usize,
    done: usize,
    /// Chunks so far.
    chunks: usize,
}

/// Sessions of one model that read together, step by step: each one row of every input stream for each token, in chunks. Each gets what
/// it gets alone.
#[derive(Debug)]
pub struct Together<'a, 'm> {
    /// None without sessions.
    executor: Option<Turns<'m>>,
    readers: Vec<Reader<'a>>,
    /// Who did not fit into the last step comes first in the next one.
    first: usize,
}

impl<'a, 'm> Together<'a, 'm> {
    /// Nothing is read yet.
    ///
    /// # Errors
    ///
    /// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens); sessions of several models, several
    /// of a model that looks ahead.
    pub fn new(feeds: &'a mut [Feed<'_, 'm>]) -> Result<Together<'a, 'm>> {
        check(feeds)?;
        let (mut readers, mut executor) = (Vec::new(), None);
        for feed in feeds {
            let tokens = feed.session.check(feed.inputs, feed.cut)?;
            executor.get_or_insert_with(|| feed.session.executor.clone());
            readers.push(Reader {
                track: &mut feed.session.track,
                inputs: feed.inputs,
                cut: feed.cut,
                wanted: feed.wanted,
                tokens,
                done: 0,
                chunks: 0,
            });
        }
        Ok(Together {
            executor,
            readers,
            first: 0,
        })
    }

    /// Tokens that all sessions read.
    pub fn total(&self) -> usize {
        self.readers.iter().map(|reader| reader.tokens).sum()
    }

    /// Tokens that have been read.
    pub fn done(&self) -> usize {
        self.readers.iter().map(|reader| reader.done).sum()
    }

    /// One step. `take` gets the number of every session that took part and the outputs of its chunk: as many rows as are wanted, which
    /// may be none.
    ///
    /// # Errors
    ///
    /// Too little memory; an error of `take`.
    pub fn step(&mut self, mut take: impl FnMut(usize, &Outputs) -> Result<()>) -> Result<()> {
        let Some(executor) = &self.executor else { return Ok(()) };
        let (shares, first) = plan(executor.model().descriptor(), &self.readers, self.first);
        self.first = first;
        step(&mut executor.turn(), &mut self.readers, &shares, &mut take)
    }
}

/// Sessions read together to the end: [`Together`].
///
/// # Errors
///
/// As [`Together::new`], before anything is read, and [`Together::step`], after which sessions have read some chunks.
pub fn feed_together(feeds: &mut [Feed], mut take: impl FnMut(usize, &Outputs) -> Result<()>) -> Result<()> {
    let mut together = Together::new(feeds)?;
    while together.done() < together.total() {
        together.step(&mut take)?;
    }
    Ok(())
}

fn check(feeds: &[Feed]) -> Result<()> {
    let Some(model) = feeds.first().map(|feed| feed.session.model()) else {
        return Ok(());
    };
    if !feeds.iter().all(|feed| std::ptr::eq(feed.session.model(), model)) {
        return Err(Error::input("sessions that read together are sessions of one model"));
    }
    let descriptor = model.descriptor();
    if feeds.len() > 1 && !descriptor.causal {
        return Err(Error::input(format!(
            "the model {} looks ahead and reads one sequence at once",
            descriptor.model
        )));
    }
    Ok(())
}

/// The tokens that a step reads of each sequence, which takes as many as fit from number `first` on, and the first that did not
/// fit.
fn plan(descriptor: &Descriptor, readers: &[Reader], first: usize) -> (Vec<usize>, usize) {
    let mut shares = vec![0; readers.len()];
    let mut room = Room::of(descriptor);
    for n in (first..first + readers.len()).map(|n| n % readers.len()) {
        let tokens = readers[n].next(descriptor);
        if tokens == 0 {
            continue;
        }
        match room.take(tokens) {
            Some(rest) => (shares[n], room) = (tokens, rest),
            None => return (shares, n),
        }
    }
    (shares, first)
}

/// One step.
fn step(
    executor: &mut Executor,
    readers: &mut [Reader],
    shares: &[usize],
    take: &mut impl FnMut(usize, &Outputs) -> Result<()>,
) -> Result<()> {
    let descriptor = executor.model().descriptor();
    let mut segments = Vec::new();
    for (reader, tokens) in readers.iter_mut().zip(shares).filter(|(_, tokens)| **tokens > 0) {
        segments.push(Segment {
            wanted_from: reader.wanted_from(*tokens),
            sequence: &mut reader.track.sequence,
            inputs: reader.inputs,
            at: reader.done,
            tokens: *tokens,
        });
    }
    let outputs = executor.step(&mut segments)?;
    let mut parts = Vec::new();
    let mut row = 0;
    for (n, (reader, tokens)) in readers
        .iter_mut()
        .zip(shares)
        .enumerate()
        .filter(|(_, (_, tokens))| **tokens > 0)
    {
        let part = outputs.part(row, *tokens - reader.wanted_from(*tokens), *tokens);
        row += part.rows();
        let rows = reader.done..reader.done + tokens;
        reader.track.advance(descriptor, reader.inputs, rows, &part);
        reader.done += tokens;
        reader.chunks += 1;
        parts.push((n, part));
    }
    parts.iter().try_for_each(|(n, part)| take(*n, part))
}

impl Reader<'_> {
    /// Tokens of the next chunk.
    fn next(&self, descriptor: &Descriptor) -> usize {
        let size = self.cut.size(self.chunks, descriptor.max_chunk.max(1));
        self.track.chunk(descriptor, size, self.tokens - self.done)
    }

    /// The first of the next `tokens` tokens whose outputs are wanted.
    fn wanted_from(&self, tokens: usize) -> usize {
        match self.wanted {
            Wanted::All => 0,
            Wanted::Last if self.done + tokens == self.tokens => tokens - 1,
            Wanted::Last => tokens,
        }
    }
}
