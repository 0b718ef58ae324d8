//! Decoding of some sequences at once, token by token.

use std::time::Instant;

use seqc_abi::{Descriptor, batch::Room};

use super::measured::{Row, admitted, begin, inputs, odd_outputs, warn_of_fault};
use crate::{
    Error, Result,
    cli::{args::Bench, common, console::Console},
    executor::{Executor, Segment},
    inputs::Values,
    model::Model,
    sequence::Sequence,
    session::Cut,
};

/// Repeats decoding `tokens` tokens of each of `batch` sequences, behind as many tokens as the arguments say; the first run is
/// not counted. Without such tokens every run begins with fresh sequences, else one goes on where the last ended.
pub(super) fn decode(model: &Model, tokens: usize, batch: usize, args: &Bench, console: &mut Console) -> Result<Row> {
    let (depth, descriptor) = (args.n_depth, model.descriptor());
    let name = name(tokens, depth, batch);
    let longest = admitted(descriptor, depth.saturating_add(tokens))?;
    check_room(descriptor, batch)?;
    let before = inputs(descriptor, depth.saturating_mul(batch))?;
    let decoded = inputs(descriptor, tokens.saturating_mul(batch))?;
    let mut decoding = Decoding {
        executor: Executor::new(model)?,
        root: begin(model, args)?.fork_sequence()?,
        sequences: Vec::new(),
        odd: false,
    };
    let (mut at, mut seconds, mut reading) = (longest, Vec::new(), None);
    for repetition in 0..=args.repetitions {
        if depth == 0 || longest - at < tokens {
            let from = Instant::now();
            decoding.begin(&before, depth, batch, &common::cut(&args.chunk))?;
            reading.get_or_insert(from.elapsed().as_secs_f64());
            at = depth;
        }
        at += tokens;
        let from = Instant::now();
        decoding.run(&decoded, tokens, repetition == 0)?;
        let took = from.elapsed().as_secs_f64();
        console.note(format_args!("{name}, run {repetition}: {:.2} ms", took * 1e3));
        if repetition > 0 {
            seconds.push(took);
        }
    }
    if decoding.odd {
        let first = [inputs(descriptor, depth)?, inputs(descriptor, tokens)?];
        let prompts = &decoding.sequences[0].prompts;
        warn_of_fault(begin(model, args), prompts, &[&first[0], &first[1]], console);
    }
    Ok(Row {
        name,
        tokens: tokens * batch,
        batch,
        seconds,
        before: reading.filter(|_| depth > 0),
    })
}

fn name(tokens: usize, depth: usize, batch: usize) -> String {
    let behind = match depth {
        0 => String::new(),
        _ => format!("@{depth}"),
    };
    match batch {
        1 => format!("tg{tokens}{behind}"),
        _ => format!("tg{tokens}{behind} b{batch}"),
    }
}

/// An error where a step does not take a token of so many sequences.
fn check_room(descriptor: &Descriptor, batch: usize) -> Result<()> {
    let all = (0..batch).try_fold(Room::of(descriptor), |room, taken| room.take(1).ok_or(taken));
    all.map(|_| ()).map_err(|most| {
        Error::input(format!(
            "--batch {batch} is too much: a step of the model {} takes at most {most} sequences",
            descriptor.model
        ))
    })
}

struct Decoding<'m> {
    executor: Executor<'m>,
    /// A sequence of no tokens.
    root: Sequence,
    sequences: Vec<Sequence>,
    /// Whether numbers that are not finite were computed.
    odd: bool,
}

impl Decoding<'_> {
    /// Fresh sequences, each with `depth` tokens of its own.
    fn begin(&mut self, inputs: &[Values], depth: usize, batch: usize, cut: &Cut) -> Result<()> {
        let descriptor = self.executor.model().descriptor();
        self.sequences.clear();
        for n in 0..batch {
            let mut sequence = self.root.fork(descriptor)?;
            sequence.end_prompt(depth as u64);
            let (mut done, mut chunk) = (0, 0);
            while done < depth {
                let tokens = cut.size(chunk, descriptor.max_chunk.max(1)).min(depth - done);
                let segment = Segment {
                    sequence: &mut sequence,
                    inputs,
                    at: n * depth + done,
                    tokens,
                    wanted_from: tokens,
                };
                self.executor.step(&mut [segment])?;
                (done, chunk) = (done + tokens, chunk + 1);
            }
            self.sequences.push(sequence);
        }
        Ok(())
    }

    /// Steps of one token of each sequence. The outputs of every token are wanted, as when the next one is chosen from them.
    fn run(&mut self, inputs: &[Values], tokens: usize, check: bool) -> Result<()> {
        let model = self.executor.model();
        for done in 0..tokens {
            let segment = |(n, sequence)| Segment {
                sequence,
                inputs,
                at: n * tokens + done,
                tokens: 1,
                wanted_from: 0,
            };
            let mut segments: Vec<Segment> = self.sequences.iter_mut().enumerate().map(segment).collect();
            let outputs = self.executor.step(&mut segments)?;
            self.odd |= check && odd_outputs(&outputs, model);
        }
        Ok(())
    }
}
