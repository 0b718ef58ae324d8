//! `bench`: how fast this machine reads a prompt (`pp`) and generates token by token (`tg`).

use std::{fmt::Write as _, time::Instant};

use seqc_abi::{Descriptor, Elem};
use serde_json::{Value, json};

use super::{
    Console, JSON_VERSION,
    args::{Bench, Table},
    common, info,
};
use crate::{
    Error, Result,
    code::Code,
    machine,
    model::Model,
    session::{Cut, Session, Values, Wanted, width},
    weights::Mix,
};

/// One test and the seconds of its repetitions.
struct Row {
    name: String,
    tokens: usize,
    seconds: Vec<f64>,
}

impl Row {
    fn rates(&self) -> Vec<f64> {
        let rate = |seconds: &f64| self.tokens as f64 / seconds.max(1e-9);
        self.seconds.iter().map(rate).collect()
    }

    /// Mean of the rates and their standard deviation, as of a sample.
    fn mean_and_deviation(&self) -> (f64, f64) {
        let rates = self.rates();
        let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
        let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        let freedom = rates.len().saturating_sub(1).max(1) as f64;
        (mean, (squares / freedom).sqrt())
    }
}

pub(crate) fn bench(code: Code, args: &Bench, console: &mut Console) -> Result<()> {
    let model = common::load(code, &args.loading, console)?;
    let cut = common::cut(&args.chunk);
    let mut rows = Vec::new();
    for tokens in args.n_prompt.iter().copied().filter(|tokens| *tokens > 0) {
        let row = measure(
            &model,
            (format!("pp{tokens}"), tokens),
            args.repetitions,
            console,
            |session, inputs| session.feed(inputs, &cut, Wanted::Last, |_| Ok(())),
        )?;
        rows.push(row);
    }
    let one = Cut::new(vec![1]);
    for tokens in args.n_gen.iter().copied().filter(|tokens| *tokens > 0) {
        if !model.descriptor().causal {
            console.warn(format_args!(
                "{} looks ahead and does not generate: no tg{tokens}",
                model.descriptor().model
            ));
            continue;
        }
        let row = measure(
            &model,
            (format!("tg{tokens}"), tokens),
            args.repetitions,
            console,
            |session, inputs| {
                // Every token's outputs are wanted, as when each is chosen from them.
                session.feed(inputs, &one, Wanted::All, |_| Ok(()))
            },
        )?;
        rows.push(row);
    }
    let text = match args.output {
        Table::Md => as_table(&model, &rows),
        Table::Json => format!("{:#}\n", as_json(&model, &rows)),
    };
    let written = console.result.write_all(text.as_bytes());
    written.map_err(|error| Error::write("standard output", &error))
}

/// Repeats a run on a fresh sequence, after one that is not counted.
fn measure(
    model: &Model,
    (name, tokens): (String, usize),
    repetitions: usize,
    console: &mut Console,
    run: impl Fn(&mut Session, &[Values]) -> Result<()>,
) -> Result<Row> {
    let inputs = inputs(model.descriptor(), tokens)?;
    let mut session = Session::new(model)?;
    let mut seconds = Vec::new();
    for repetition in 0..=repetitions {
        session.reset()?;
        let from = Instant::now();
        run(&mut session, &inputs)?;
        let took = from.elapsed().as_secs_f64();
        console.note(format_args!("{name}, run {repetition}: {:.2} ms", took * 1e3));
        if repetition > 0 {
            seconds.push(took);
        }
    }
    Ok(Row { name, tokens, seconds })
}

/// Arbitrary inputs, the same in every run.
fn inputs(descriptor: &Descriptor, tokens: usize) -> Result<Vec<Values>> {
    let mut mix = Mix(1);
    let longest = descriptor.max_context.unwrap_or(usize::MAX);
    if tokens > longest {
        return Err(Error::input(format!(
            "{tokens} tokens are more than the {longest} that the model {} admits",
            descriptor.model
        )));
    }
    let too_many = || Error::input(format!("{tokens} tokens are beyond all memory"));
    let streams = descriptor.inputs.iter().map(|stream| {
        let count = width(stream).checked_mul(tokens).ok_or_else(too_many)?;
        let vocab = stream.vocab.unwrap_or(1).max(1) as u64;
        let values = match stream.elem {
            Elem::F32 => filled(count, || mix.signed()).map(Values::F32),
            Elem::I64 => filled(count, || (mix.next() % vocab) as i64).map(Values::I64),
        };
        values.ok_or_else(too_many)
    });
    streams.collect()
}

/// `None` where there is no memory for so many.
fn filled<T>(count: usize, mut next: impl FnMut() -> T) -> Option<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).ok()?;
    all.extend((0..count).map(|_| next()));
    Some(all)
}

fn as_table(model: &Model, rows: &[Row]) -> String {
    let descriptor = model.descriptor();
    let (parameters, bytes) = info::size(descriptor);
    let mut text =
        "| model | size | params | threads | test | t/s |\n| --- | ---: | ---: | ---: | ---: | ---: |\n".to_owned();
    for row in rows {
        let (mean, deviation) = row.mean_and_deviation();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {:.2} MiB | {:.2} M | {} | {} | {mean:.2} ± {deviation:.2} |",
            descriptor.model,
            bytes as f64 / f64::from(1 << 20),
            parameters as f64 / 1e6,
            model.threads(),
            row.name,
        );
    }
    text
}

fn as_json(model: &Model, rows: &[Row]) -> Value {
    let descriptor = model.descriptor();
    let (parameters, bytes) = info::size(descriptor);
    let results = rows.iter().map(|row| {
        let (mean, deviation) = row.mean_and_deviation();
        json!({
            "test": row.name,
            "tokens": row.tokens,
            "repetitions": row.seconds.len(),
            "tokens_per_second": mean,
            "deviation": deviation,
            "milliseconds": row.seconds.iter().map(|seconds| seconds * 1e3).collect::<Vec<_>>(),
        })
    });
    json!({
        "version": JSON_VERSION,
        "model": descriptor.model,
        "hash": descriptor.hash,
        "tool": descriptor.tool,
        "target": descriptor.target,
        "parameters": parameters,
        "weight_bytes": bytes,
        "threads": model.threads(),
        "machine": machine::describe(),
        "results": results.collect::<Vec<_>>(),
    })
}
