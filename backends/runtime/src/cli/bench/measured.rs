//! What `bench` measures: tests with arbitrary inputs, and the rows of its results.

use seqc_abi::{Descriptor, Elem, Memory, Stream};

use crate::{
    Error, Result,
    cli::{args::Bench, console::Console},
    finite,
    inputs::Values,
    model::Model,
    outputs::Outputs,
    prompts::Prompts,
    session::Session,
    streams::{TRACE, most_rows, width},
    weights::Mix,
};

/// One test and the seconds of its repetitions.
pub(super) struct Row {
    pub(super) name: String,
    /// Tokens of all sequences.
    pub(super) tokens: usize,
    /// Sequences that are read at once.
    pub(super) batch: usize,
    pub(super) seconds: Vec<f64>,
    /// Seconds of reading the tokens before those that were generated, the first time.
    pub(super) before: Option<f64>,
}

impl Row {
    fn rates(&self) -> Vec<f64> {
        let rate = |seconds: &f64| self.tokens as f64 / seconds.max(1e-9);
        self.seconds.iter().map(rate).collect()
    }

    /// Mean of the rates and their standard deviation, as of a sample.
    pub(super) fn mean_and_deviation(&self) -> (f64, f64) {
        let rates = self.rates();
        let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
        let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        let freedom = rates.len().saturating_sub(1).max(1) as f64;
        (mean, (squares / freedom).sqrt())
    }
}

/// Whether outputs of a run that is not counted hold numbers that are not finite.
pub(super) fn odd_outputs(outputs: &Outputs, model: &Model) -> bool {
    let streams = model.descriptor().outputs.iter().enumerate();
    let mut vectors = streams.filter(|(_, stream)| stream.elem == Elem::F32 && !stream.name.starts_with(TRACE));
    vectors.any(|(place, stream)| finite::odd_rows(stream, outputs.bytes(place)))
}

/// Says that what is measured computes numbers that are not finite, and where.
pub(super) fn warn_of_fault(begun: Result<Session>, prompts: &Prompts, parts: &[&[Values]], console: &mut Console) {
    let fault = finite::trace(begun, prompts, parts);
    let why = fault.map_or_else(String::new, |fault| format!(": {fault}"));
    console.warn(format_args!(
        "what is measured computes numbers that are not finite{why}"
    ));
}

/// The longest sequence of a model; an error when that is less than so many tokens.
pub(super) fn admitted(descriptor: &Descriptor, tokens: usize) -> Result<usize> {
    let longest = descriptor.max_context.unwrap_or(usize::MAX);
    if tokens > longest {
        return Err(Error::input(format!(
            "{tokens} tokens are too many: the model {} takes sequences of at most {longest} tokens",
            descriptor.model
        )));
    }
    Ok(longest)
}

/// Arbitrary inputs, the same in every run.
pub(super) fn inputs(descriptor: &Descriptor, tokens: usize) -> Result<Vec<Values>> {
    admitted(descriptor, tokens)?;
    inputs_of(&descriptor.inputs, tokens)
}

/// Arbitrary rows of these streams.
pub(super) fn inputs_of(streams: &[Stream], rows: usize) -> Result<Vec<Values>> {
    let mut mix = Mix(1);
    let too_many = || Error::input(format!("there is no memory for {rows} rows of inputs"));
    let streams = streams.iter().map(|stream| {
        let count = width(stream).checked_mul(rows).ok_or_else(too_many)?;
        let vocab = stream.vocab.unwrap_or(1).max(1) as u64;
        let values = match stream.elem {
            Elem::F32 => filled(count, || mix.signed()).map(Values::F32),
            Elem::I64 => filled(count, || (mix.next() % vocab) as i64).map(Values::I64),
        };
        values.ok_or_else(too_many)
    });
    streams.collect()
}

/// Rows of the source that is read.
pub(super) fn source_rows(descriptor: &Descriptor, memory: &Memory, args: &Bench) -> usize {
    args.source_rows
        .unwrap_or_else(|| most_rows(descriptor, memory).min(512))
}

/// A session whose encoder has read a source, where the model has one.
pub(super) fn begin<'m>(model: &'m Model, args: &Bench) -> Result<Session<'m>> {
    let mut session = Session::new(model)?;
    if let Some(memory) = &model.descriptor().memory {
        session.remember(&inputs_of(
            &memory.inputs,
            source_rows(model.descriptor(), memory, args),
        )?)?;
    }
    Ok(session)
}

/// `None` where there is no memory for so many.
fn filled<T>(count: usize, mut next: impl FnMut() -> T) -> Option<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).ok()?;
    all.extend((0..count).map(|_| next()));
    Some(all)
}
