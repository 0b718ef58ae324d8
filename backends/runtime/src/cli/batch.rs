//! Several sequences read together: steps take tokens of all of them, so that weights are read once for all.

use seqc_abi::{Descriptor, batch::Room};

use crate::{
    Error, Result,
    executor::{Executor, Segment},
    inputs::Values,
    sequence::Sequence,
    session::{Cut, Session},
    streams::row_bytes,
};

/// A sequence, what it has to read, and what came out.
struct Reader {
    sequence: Sequence,
    inputs: [Values; 1],
    tokens: usize,
    done: usize,
    /// Chunks so far.
    chunks: usize,
    /// Rows of every output.
    outputs: Vec<Vec<u8>>,
}

/// Outputs of all tokens of some sequences, given with their numbers of tokens, each of which goes on from where the session is:
/// rows of every output, those of the first sequence first. Sequence `n` begins with the `n`-th chunk of the cut.
pub(super) fn outputs(session: &mut Session, sequences: Vec<([Values; 1], usize)>, cut: &Cut) -> Result<Vec<Vec<u8>>> {
    let descriptor = session.model().descriptor();
    if !descriptor.causal {
        return Err(Error::input(format!(
            "the model {} looks ahead and reads one sequence at once: give one --tokens",
            descriptor.model
        )));
    }
    let (executor, start) = session.parts();
    let mut readers = Vec::new();
    for (n, (inputs, tokens)) in sequences.into_iter().enumerate() {
        readers.push(Reader {
            sequence: start.fork(descriptor)?,
            inputs,
            tokens,
            done: 0,
            chunks: n,
            outputs: vec![Vec::new(); descriptor.outputs.len()],
        });
    }
    let mut first = 0;
    while readers.iter().any(|reader| reader.done < reader.tokens) {
        // Whoever did not fit into a step comes first in the next one.
        let shares;
        (shares, first) = plan(descriptor, &readers, first, cut);
        step(executor, &mut readers, &shares)?;
    }
    let mut all = vec![Vec::new(); descriptor.outputs.len()];
    for reader in &mut readers {
        for (all, rows) in all.iter_mut().zip(&mut reader.outputs) {
            all.append(rows);
        }
    }
    Ok(all)
}

/// The tokens that a step reads of each sequence, which takes as many as fit from number `first` on, and the first that did not
/// fit.
fn plan(descriptor: &Descriptor, readers: &[Reader], first: usize, cut: &Cut) -> (Vec<usize>, usize) {
    let mut shares = vec![0; readers.len()];
    let mut room = Room::of(descriptor);
    for n in (first..first + readers.len()).map(|n| n % readers.len()) {
        let reader = &readers[n];
        let left = reader.tokens - reader.done;
        if left == 0 {
            continue;
        }
        let tokens = cut.size(reader.chunks, descriptor.max_chunk).min(left);
        match room.take(tokens) {
            Some(rest) => (shares[n], room) = (tokens, rest),
            None => return (shares, n),
        }
    }
    (shares, first)
}

/// One step.
fn step(executor: &mut Executor, readers: &mut [Reader], shares: &[usize]) -> Result<()> {
    let descriptor = executor.model().descriptor();
    let mut segments = Vec::new();
    for (reader, tokens) in readers.iter_mut().zip(shares).filter(|(_, tokens)| **tokens > 0) {
        segments.push(Segment {
            sequence: &mut reader.sequence,
            inputs: &reader.inputs,
            at: reader.done,
            tokens: *tokens,
            wanted_from: 0,
        });
    }
    let outputs = executor.step(&mut segments)?;
    let mut row = 0;
    for (reader, tokens) in readers.iter_mut().zip(shares).filter(|(_, tokens)| **tokens > 0) {
        for ((place, stream), rows) in descriptor.outputs.iter().enumerate().zip(&mut reader.outputs) {
            let width = row_bytes(stream);
            rows.extend_from_slice(&outputs.bytes(place)[row * width..(row + tokens) * width]);
        }
        row += tokens;
        reader.done += tokens;
        reader.chunks += 1;
    }
    Ok(())
}
