//! `bench`: how fast this machine reads a prompt (`pp`) and generates token by token (`tg`).

mod decode;
mod measured;

use std::{fmt::Write as _, time::Instant};

use seqc_abi::Memory;
use serde_json::{Value, json};

use super::{
    args::{Bench, Table},
    common,
    console::{Console, JSON_VERSION, printable},
    info,
};
use crate::{
    Error, Result,
    code::Code,
    machine,
    model::{Model, Options},
    session::{Session, Wanted},
};
use measured::{Row, begin, inputs, inputs_of, odd_outputs, source_rows, warn_of_fault};

pub(crate) fn bench(code: Code, args: &Bench, console: &mut Console) -> Result<()> {
    let options = Options {
        measures: true,
        ..args.loading.options()
    };
    let model = common::load_as(code, &options, console)?;
    let mut rows = Vec::new();
    if let Some(memory) = &model.descriptor().memory {
        rows.push(read_source(&model, memory, args, console)?);
    }
    for tokens in args.n_prompt.iter().copied().filter(|tokens| *tokens > 0) {
        rows.push(read(&model, tokens, args, console)?);
    }
    for tokens in args.n_gen.iter().copied().filter(|tokens| *tokens > 0) {
        if !model.descriptor().causal {
            console.warn(format_args!(
                "the model {} looks ahead and cannot generate: tg{tokens} is left out",
                model.descriptor().model
            ));
            continue;
        }
        for batch in &args.batch {
            rows.push(decode::decode(&model, tokens, *batch, args, console)?);
        }
    }
    if model.busy() {
        console.warn("other processes used the cores while this was measured: the program alone is faster");
    }
    let text = match args.output {
        Table::Md => as_table(&model, &rows),
        Table::Json => format!("{:#}\n", as_json(&model, &rows)),
    };
    let written = console.result.write_all(text.as_bytes());
    written.map_err(|error| Error::write("standard output", &error))
}

/// Repeats reading a source; the first run is not counted.
fn read_source(model: &Model, memory: &Memory, args: &Bench, console: &mut Console) -> Result<Row> {
    let rows = source_rows(model.descriptor(), memory, args);
    let name = format!("src{rows}");
    let inputs = inputs_of(&memory.inputs, rows)?;
    let mut session = Session::new(model)?;
    let mut seconds = Vec::new();
    for repetition in 0..=args.repetitions {
        let from = Instant::now();
        session.remember(&inputs)?;
        let took = from.elapsed().as_secs_f64();
        console.note(format_args!("{name}, run {repetition}: {:.2} ms", took * 1e3));
        if repetition > 0 {
            seconds.push(took);
        }
    }
    Ok(Row {
        name,
        tokens: rows,
        batch: 1,
        seconds,
        before: None,
    })
}

/// Repeats reading a prompt, each time as a fresh sequence; the first run is not counted.
fn read(model: &Model, tokens: usize, args: &Bench, console: &mut Console) -> Result<Row> {
    let (name, cut) = (format!("pp{tokens}"), common::cut(&args.chunk));
    let inputs = inputs(model.descriptor(), tokens)?;
    let mut session = begin(model, args)?;
    let (mut seconds, mut odd) = (Vec::new(), false);
    for repetition in 0..=args.repetitions {
        session.reset()?;
        session.end_prompt(tokens as u64);
        let from = Instant::now();
        session.feed(&inputs, &cut, Wanted::Last, |outputs| {
            odd |= repetition == 0 && odd_outputs(outputs, model);
            Ok(())
        })?;
        let took = from.elapsed().as_secs_f64();
        console.note(format_args!("{name}, run {repetition}: {:.2} ms", took * 1e3));
        if repetition > 0 {
            seconds.push(took);
        }
    }
    if odd {
        warn_of_fault(begin(model, args), session.prompts(), &[&inputs], console);
    }
    Ok(Row {
        name,
        tokens,
        batch: 1,
        seconds,
        before: None,
    })
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
            printable(&descriptor.model),
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
            "batch": row.batch,
            "repetitions": row.seconds.len(),
            "tokens_per_second": mean,
            "deviation": deviation,
            "depth_milliseconds": row.before.map(|seconds| seconds * 1e3),
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
        "peak_bytes": machine::peak_bytes(),
        "busy": model.busy(),
        "machine": machine::describe(),
        "results": results.collect::<Vec<_>>(),
    })
}
