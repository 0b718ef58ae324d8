//! Measures what was predicted: builds the models' programs and runs them.

use super::{
    program::{self, Folder},
    report::{Measured, Report, Row},
};
use crate::model::ReadOptions;
use std::path::{Path, PathBuf};

/// A length is left out when reading a prompt of it is predicted to take longer, in seconds.
const LONGEST: f64 = 45.0;
/// Tokens that are generated.
const GENERATED: usize = 24;
/// A test that takes less, in seconds, is repeated.
const SHORT: f64 = 4.0;

/// A model to measure.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its file.
    pub file: PathBuf,
    /// How it is read.
    pub read: ReadOptions,
    /// True when it reads tokens and gives scores of them, so that it can generate.
    pub generates: bool,
    /// Most values of a token.
    pub vocabulary: usize,
}

/// Measures all rows; `subjects` are in the same order. `say` hears what is going on.
pub fn measure(report: &mut Report, subjects: &[Subject], say: &mut dyn FnMut(&str)) -> Result<(), String> {
    let folder = Folder::new()?;
    for (n, (row, subject)) in report.rows.iter_mut().zip(subjects).enumerate() {
        say(&format!("building {}", row.total.name));
        let program = program::build(&subject.file, &subject.read, folder.file(&format!("program{n}")));
        let name = row.total.name.clone();
        let said = |t: usize| format!("measuring {name} at {t}");
        measure_row(row, subject, &program, &mut |t| say(&said(t)));
        if let Ok(program) = program {
            // The folder goes away with whatever is left in it.
            let _ = std::fs::remove_file(program);
        }
    }
    Ok(())
}

fn measure_row(row: &mut Row, subject: &Subject, program: &Result<PathBuf, String>, say: &mut dyn FnMut(usize)) {
    for point in &mut row.points {
        let whole = point.prefill * point.context as f64;
        point.measured = Some(match program {
            Err(reason) => Err(format!("not built: {reason}")),
            Ok(_) if whole > LONGEST => Err(format!("not measured, about {whole:.0} s")),
            Ok(program) => {
                say(point.context);
                let generated = point.decode * GENERATED as f64;
                let times = if whole + generated < SHORT { 3 } else { 1 };
                best(times, || one(subject, program, point.context))
            }
        });
    }
}

/// The shortest times of several runs.
fn best(times: usize, run: impl Fn() -> Result<Measured, String>) -> Result<Measured, String> {
    let mut best = run()?;
    for _ in 1..times {
        let next = run()?;
        best.prefill = best.prefill.min(next.prefill);
        best.decode = best.decode.zip(next.decode).map(|(a, b)| a.min(b));
    }
    Ok(best)
}

fn one(subject: &Subject, program: &Path, context: usize) -> Result<Measured, String> {
    if subject.generates {
        generate(subject, program, context)
    } else {
        bench(program, context)
    }
}

/// A prompt of `context` tokens, then some more tokens one by one.
fn generate(subject: &Subject, program: &Path, context: usize) -> Result<Measured, String> {
    let tokens: Vec<String> = (0..context)
        .map(|n| (n * 7919 % subject.vocabulary.max(1)).to_string())
        .collect();
    let words = format!("generate --prompt-tokens - --max-tokens {GENERATED} --ignore-eos --temperature 0 --json");
    let words: Vec<String> = words.split(' ').map(ToOwned::to_owned).collect();
    let found = program::run(program, &words, &tokens.join(","))?;
    let timings = &found["timings"];
    let of = |part: &str, count: &str| {
        let (time, count) = (timings[part]["milliseconds"].as_f64()?, timings[part][count].as_f64()?);
        (count > 0.0).then_some(time / 1e3 / count)
    };
    Ok(Measured {
        prefill: of("prompt", "tokens").ok_or("the program gave no time")?,
        decode: of("generation", "steps"),
    })
}

/// For a model that generates no tokens: a prompt, and as many tokens one by one from the beginning.
fn bench(program: &Path, context: usize) -> Result<Measured, String> {
    let words = format!("bench -p {context} -n 0 -r 1 --output json");
    let words: Vec<String> = words.split(' ').map(ToOwned::to_owned).collect();
    let found = program::run(program, &words, "")?;
    Ok(Measured {
        prefill: program::seconds(&found, &format!("pp{context}")).ok_or("the program gave no time")?,
        decode: None,
    })
}
