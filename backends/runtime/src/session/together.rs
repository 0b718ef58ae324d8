//! Sessions that read: steps take tokens of all of them, so that weights are read once for all.

use seqc_abi::{Descriptor, batch::Room};

use super::{
    Session,
    cut::{Cut, Wanted},
    track::Track,
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

/// Sessions of one model read one row of every input stream for each token, in chunks. After each step `take` gets the number of
/// every session that took part and the outputs of its chunk: as many rows as are wanted, which may be none. Each gets
/// what it gets alone.
///
/// # Errors
///
/// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens), of which none is read then; sessions of
/// several models, several of a model that looks ahead; an error of `take`, after which sessions have read some chunks.
pub fn feed_together(feeds: &mut [Feed], mut take: impl FnMut(usize, &Outputs) -> Result<()>) -> Result<()> {
    check(feeds)?;
    let (mut readers, mut executor) = (Vec::new(), None);
    for feed in feeds.iter_mut() {
        let tokens = feed.session.check(feed.inputs, feed.cut)?;
        let Session { executor: own, track } = &mut *feed.session;
        executor.get_or_insert(own);
        readers.push(Reader {
            track,
            inputs: feed.inputs,
            cut: feed.cut,
            wanted: feed.wanted,
            tokens,
            done: 0,
            chunks: 0,
        });
    }
    let Some(executor) = executor else { return Ok(()) };
    let descriptor = executor.model().descriptor();
    let mut first = 0;
    while readers.iter().any(|reader| reader.done < reader.tokens) {
        // Whoever did not fit into a step comes first in the next one.
        let shares;
        (shares, first) = plan(descriptor, &readers, first);
        step(executor, &mut readers, &shares, &mut take)?;
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
