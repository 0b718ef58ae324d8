//! Measures what was predicted: builds the models' programs and runs them.

use super::{
    probe::Beside,
    profile::Profile,
    program::{self, Folder},
    report::{Measured, Report, Row},
};
use crate::model::ReadOptions;
use std::path::{Path, PathBuf};

/// A length is left out when reading a prompt of it is predicted to take longer, in seconds.
const LONGEST: f64 = 45.0;
/// Tokens that are generated at once, and how often: few and often, so that nothing else runs meanwhile at least once.
const GENERATED: usize = 2;
const TIMES: usize = 24;
/// A prompt that takes longer, in seconds, is read once, others so often.
const SHORT: f64 = 2.5;
const PROMPTS: usize = 3;

/// A model to measure.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its file.
    pub file: PathBuf,
    /// How it is read.
    pub read: ReadOptions,
}

/// Measures all rows; `subjects` are in the same order. The memory's speed may be another one than when the machine was
/// probed, and changes: it is probed again beside every model, and the predictions that stand beside the measured times are
/// made with it. `say` hears what is going on.
pub fn measure(report: &mut Report, subjects: &[Subject], say: &mut dyn FnMut(&str)) -> Result<(), String> {
    let folder = Folder::new()?;
    say("building the probes");
    let beside = Beside::new(&folder)?;
    let profile = report.profile.clone();
    for (n, (row, subject)) in report.rows.iter_mut().zip(subjects).enumerate() {
        say(&format!("building {}", row.total.name));
        let program = program::build(&subject.file, &subject.read, folder.file(&format!("program{n}")));
        measure_row(row, (&program, &beside), &profile, say)?;
        if let Ok(program) = program {
            // The folder goes away with whatever is left in it.
            let _ = std::fs::remove_file(program);
        }
    }
    Ok(())
}

fn measure_row(
    row: &mut Row,
    (program, beside): (&Result<PathBuf, String>, &Beside),
    profile: &Profile,
    say: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let nearer = profile.all.read.iter().rev().nth(1).map_or(0.0, |(bytes, _)| *bytes);
    let memory = row.total.footprint() > nearer;
    let mut before = beside.rates(&profile.all, memory)?;
    for n in 0..row.points.len() {
        let point = &row.points[n];
        let (context, whole) = (point.context, point.prefill * point.context as f64);
        let measured = match program {
            Err(reason) => Err(format!("not built: {reason}")),
            Ok(_) if whole > LONGEST => Err(format!("not measured, about {whole:.0} s")),
            Ok(program) => {
                say(&format!("measuring {} at {context}", row.total.name));
                one(program, (context, row.total.max_context), whole)
            }
        };
        if measured.is_ok() {
            let after = beside.rates(&profile.all, memory)?;
            let now = Profile {
                all: before.between(&after),
                ..profile.clone()
            };
            row.points[n] = super::report::point(&row.total, &now, context);
            row.points[n].memory = now.all.read.last().map(|(_, rate)| *rate).filter(|_| memory);
            before = after;
        }
        row.points[n].measured = Some(measured);
    }
    Ok(())
}

/// A prompt of `context` tokens, and some tokens one by one behind it.
fn one(program: &Path, (context, longest): (usize, Option<usize>), whole: f64) -> Result<Measured, String> {
    let bench = |words: String| {
        let words: Vec<String> = words.split(' ').map(ToOwned::to_owned).collect();
        program::run(program, &words, "")
    };
    let depth = longest.map_or(context, |most| context.min(most.saturating_sub(GENERATED)));
    let generated = bench(format!("bench -p 0 -n {GENERATED} -d {depth} -r {TIMES} --output json"))?;
    let test = format!("tg{GENERATED}@{depth}");
    let once = program::before(&generated, &test).map(|seconds| seconds / depth as f64);
    let prefill = match once {
        Some(once) if whole >= SHORT => once,
        _ => {
            let read = bench(format!("bench -p {context} -n 0 -r {PROMPTS} --output json"))?;
            program::seconds(&read, &format!("pp{context}")).ok_or("the program gave no time")?
        }
    };
    Ok(Measured {
        prefill,
        decode: program::seconds(&generated, &test),
    })
}
