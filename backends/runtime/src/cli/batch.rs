//! Several sequences read together: steps take tokens of all of them, so that weights are read once for all.

use crate::{
    Error, Result,
    executor::{Executor, Segment},
    inputs::Values,
    sequence::Sequence,
    session::Session,
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

/// Outputs of all tokens of some sequences, each of which goes on from where the session is: rows of every output, those of
/// the first sequence first. Sequence `n` begins with the `n`-th of the sizes of chunks.
pub(super) fn outputs(session: &Session, sequences: Vec<Vec<i64>>, sizes: &[usize]) -> Result<Vec<Vec<u8>>> {
    let model = session.model();
    let descriptor = model.descriptor();
    if !descriptor.causal {
        return Err(Error::input(format!(
            "the model {} looks ahead and reads one sequence at once: give one --tokens",
            descriptor.model
        )));
    }
    let mut readers = Vec::new();
    for (n, tokens) in sequences.into_iter().enumerate() {
        readers.push(Reader {
            sequence: session.sequence().fork(descriptor)?,
            tokens: tokens.len(),
            inputs: [Values::I64(tokens)],
            done: 0,
            chunks: n,
            outputs: vec![Vec::new(); descriptor.outputs.len()],
        });
    }
    let mut executor = Executor::new(model)?;
    let mut first = 0;
    while readers.iter().any(|reader| reader.done < reader.tokens) {
        // Whoever did not fit into a step comes first in the next one.
        first = step(&mut executor, &mut readers, first, sizes)?;
    }
    let mut all = vec![Vec::new(); descriptor.outputs.len()];
    for reader in &mut readers {
        for (all, rows) in all.iter_mut().zip(&mut reader.outputs) {
            all.append(rows);
        }
    }
    Ok(all)
}

/// One step, which takes as many readers as fit, from number `first` on; gives the first that did not.
fn step(executor: &mut Executor, readers: &mut [Reader], first: usize, sizes: &[usize]) -> Result<usize> {
    let count = readers.len();
    let (mut rows, mut taken, mut next) = (0, Vec::new(), first);
    for n in (first..first + count).map(|n| n % count) {
        let left = readers[n].tokens - readers[n].done;
        let size = sizes.get(readers[n].chunks).or(sizes.last()).copied();
        let most = executor.most_rows(rows, taken.len() + 1);
        let tokens = size.unwrap_or(usize::MAX).min(left);
        if left == 0 {
            continue;
        }
        let tokens = if taken.is_empty() { tokens.min(most) } else { tokens };
        if tokens > most {
            next = n;
            break;
        }
        rows += tokens;
        taken.push((n, tokens));
    }
    let mut segments = Vec::new();
    for (n, reader) in readers.iter_mut().enumerate() {
        if let Some((_, tokens)) = taken.iter().find(|(taken, _)| *taken == n) {
            segments.push(Segment {
                sequence: &mut reader.sequence,
                inputs: &reader.inputs,
                at: reader.done,
                tokens: *tokens,
                wanted_from: 0,
            });
        }
    }
    taken.sort_unstable();
    let descriptor = executor.model().descriptor();
    let outputs = executor.step(&mut segments)?;
    let mut row = 0;
    for (n, tokens) in taken {
        let reader = &mut readers[n];
        for (place, stream) in descriptor.outputs.iter().enumerate() {
            let width = row_bytes(stream);
            reader.outputs[place].extend_from_slice(&outputs.bytes(place)[row * width..(row + tokens) * width]);
        }
        row += tokens;
        reader.done += tokens;
        reader.chunks += 1;
    }
    Ok(next)
}
