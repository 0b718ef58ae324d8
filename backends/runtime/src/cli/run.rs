//! `logits` and `run`: the outputs of every token, for tokens from the command line or streams from a file.

use std::path::Path;

use seqc_abi::Descriptor;

use super::{
    Console,
    args::{Format, Logits, Reading, Run},
    common, input,
    output::Tensors,
};
use crate::{
    Result,
    code::Code,
    session::{Session, Values, Wanted},
    streams,
};

/// Outputs with such names are decisions of the model, which are written on request.
const TRACE: &str = "trace.";

pub(crate) fn logits(code: Code, args: &Logits, console: &mut Console) -> Result<()> {
    let ids = common::ids(&args.tokens, "--tokens")?;
    streams::check_reads_tokens(&code.describe()?)?;
    let model = common::load(code, &args.reading.loading, console)?;
    let mut session = common::open(&model, &args.reading, console)?;
    let tokens = ids.len();
    let target = (args.output.as_path(), args.format);
    write(
        &mut session,
        (&common::tokens(ids), tokens),
        (target, false),
        &args.reading,
        console,
    )
}

pub(crate) fn run(code: Code, args: &Run, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let (inputs, tokens) = input::read(&descriptor, &args.input, console)?;
    let model = common::load(code, &args.reading.loading, console)?;
    let mut session = common::open(&model, &args.reading, console)?;
    let target = (args.output.as_path(), args.format);
    write(
        &mut session,
        (&inputs, tokens),
        (target, args.trace),
        &args.reading,
        console,
    )
}

/// Feeds the inputs and writes the outputs, then the state if the words say so.
fn write(
    session: &mut Session,
    (inputs, tokens): (&[Values], usize),
    (target, trace): ((&Path, Option<Format>), bool),
    reading: &Reading,
    console: &mut Console,
) -> Result<()> {
    let cut = common::cut(&reading.chunk);
    let pending = session.take_pending();
    if !pending.is_empty() {
        session.feed(&common::tokens(pending), &cut, Wanted::Last, |_| Ok(()))?;
    }
    // A file that stands there already is not given up for inputs that are refused.
    session.check(inputs, &cut)?;
    let descriptor: &Descriptor = session.model().descriptor();
    let outputs = descriptor.outputs.iter().enumerate();
    let streams = outputs
        .filter(|(_, stream)| trace || !stream.name.starts_with(TRACE))
        .collect();
    let mut tensors = Tensors::create(target, streams, tokens, console.result)?;
    session.feed(inputs, &cut, Wanted::All, |outputs| tensors.take(outputs))?;
    tensors.finish()?;
    common::save(session, reading, &[], console)
}
