//! `/metrics`: the numbers of the engine, as Prometheus reads them.

use std::{fmt::Write as _, sync::atomic::Ordering::Relaxed};

use crate::engine::Gauges;

pub(super) fn text(gauges: &Gauges) -> String {
    let mut text = String::new();
    let now = [
        ("waiting", "Sequences that wait for a place.", &gauges.waiting),
        ("running", "Sequences that run.", &gauges.running),
        ("paused", "Sequences whose clients do not read.", &gauges.paused),
        ("kept", "Sequences in the prefix cache.", &gauges.cache_sequences),
    ];
    write(
        &mut text,
        "prefix_cache_bytes",
        "gauge",
        "Memory of the prefix cache.",
        gauges.cache_bytes.load(Relaxed) as f64,
    );
    for (name, help, value) in now {
        write(
            &mut text,
            &format!("sequences_{name}"),
            "gauge",
            help,
            value.load(Relaxed) as f64,
        );
    }
    let sums = [
        ("requests", "Prompts that were accepted.", &gauges.requests),
        (
            "requests_refused",
            "Prompts that were refused because the queue was full.",
            &gauges.refused,
        ),
        ("answers_finished", "Answers that came to their end.", &gauges.finished),
        ("answers_aborted", "Answers whose clients went away.", &gauges.aborted),
        (
            "answers_failed",
            "Answers that could not be given or took too long.",
            &gauges.failed,
        ),
        (
            "prompt_tokens",
            "Tokens of prompts that were read.",
            &gauges.prompt_tokens,
        ),
        (
            "prefix_cache_hits",
            "Prompts that began with the tokens of a kept sequence.",
            &gauges.cache_hits,
        ),
        (
            "prefix_cache_tokens",
            "Tokens of prompts that were not read for that reason.",
            &gauges.cache_tokens,
        ),
        (
            "generated_tokens",
            "Tokens that were generated.",
            &gauges.generated_tokens,
        ),
        (
            "drafted_tokens",
            "Tokens of drafts that were read.",
            &gauges.drafted_tokens,
        ),
        (
            "accepted_tokens",
            "Tokens of drafts that the model chose.",
            &gauges.accepted_tokens,
        ),
        ("steps", "Steps of the model.", &gauges.steps),
        ("step_rows", "Tokens that these steps read.", &gauges.rows),
    ];
    for (name, help, value) in sums {
        write(
            &mut text,
            &format!("{name}_total"),
            "counter",
            help,
            value.load(Relaxed) as f64,
        );
    }
    let seconds = gauges.step_microseconds.load(Relaxed) as f64 / 1e6;
    write(
        &mut text,
        "step_seconds_total",
        "counter",
        "Time that these steps took.",
        seconds,
    );
    text
}

fn write(text: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "# HELP seqc_{name} {help}\n# TYPE seqc_{name} {kind}\nseqc_{name} {value}\n"
    );
}
