//! Measures what was predicted: builds the models' programs and runs them.

use super::{
    Step,
    identity::Moment,
    probe::Beside,
    profile::Profile,
    program::{self, Timing},
    report::{Measured, Report, Row},
};
use crate::model::ReadOptions;
use seqc_backends::scratch::Folder;
use std::path::{Path, PathBuf};

/// A length is left out when reading a prompt of it is predicted to take longer, in seconds.
const LONGEST: f64 = 45.0;
/// Tokens that are generated at once, and how often: few and often, so that nothing else runs meanwhile at least once.
const GENERATED: usize = 2;
const TIMES: usize = 24;
/// A prompt that takes longer, in seconds, is read once, others so often.
const SHORT: f64 = 2.5;
const PROMPTS: usize = 3;
/// Share of the processor that others may use while something is measured.
const LOAD: f64 = 0.15;
/// How much longer the median of the runs may take than the fastest.
const SPREAD: f64 = 0.25;
/// Times that a row is measured while it is void.
const ATTEMPTS: usize = 2;

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
/// made with it. `watch` is called with the progress.
pub fn measure(report: &mut Report, subjects: &[Subject], watch: &mut dyn FnMut(Step<'_>)) -> Result<(), String> {
    let folder = Folder::new().map_err(|e| e.to_string())?;
    let points: usize = report.rows.iter().map(|r| r.points.len()).sum();
    let (mut done, of) = (0, 1 + report.rows.len() + points);
    let mut said = |text: &str| {
        watch(Step { text, done, of });
        done += 1;
    };
    said("building the probes");
    let beside = Beside::new(&folder)?;
    let profile = report.profile.clone();
    for (n, (row, subject)) in report.rows.iter_mut().zip(subjects).enumerate() {
        said(&format!("building {}", row.total.name));
        let program = program::build(&subject.file, &subject.read, folder.file(&format!("program{n}")));
        measure_row(row, &program, &beside, &profile, &mut said)?;
        if let Ok(program) = program {
            // The folder goes away with whatever is left in it.
            let _ = std::fs::remove_file(program);
        }
    }
    Ok(())
}

fn measure_row(
    row: &mut Row,
    program: &Result<PathBuf, String>,
    beside: &Beside,
    profile: &Profile,
    said: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let nearer = profile.all.read.iter().rev().nth(1).map_or(0.0, |(bytes, _)| *bytes);
    let memory = row.total.footprint() > nearer;
    let mut before = beside.rates(&profile.all, memory)?;
    for n in 0..row.points.len() {
        let point = &row.points[n];
        let (context, whole) = (point.context, point.prefill * point.context as f64);
        said(&format!("measuring {} at {context}", row.total.name));
        let measured = match program {
            Err(reason) => Err(format!("not built: {reason}")),
            Ok(_) if whole > LONGEST => Err(format!("not measured, about {whole:.0} s")),
            Ok(program) => quietest(program, context, row.total.max_context, whole),
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

/// The first of some attempts that is not void, or the fastest.
fn quietest(program: &Path, context: usize, longest: Option<usize>, whole: f64) -> Result<Measured, String> {
    let mut best = one(program, context, longest, whole)?;
    for _ in 1..ATTEMPTS {
        if best.void().is_none() {
            break;
        }
        let next = one(program, context, longest, whole)?;
        if next.void().is_none() || next.prefill < best.prefill {
            best = next;
        }
    }
    Ok(best)
}

/// A prompt of `context` tokens, and some tokens one by one behind it.
fn one(program: &Path, context: usize, longest: Option<usize>, whole: f64) -> Result<Measured, String> {
    let from = Moment::now();
    let depth = longest.map_or(context, |most| context.min(most.saturating_sub(GENERATED)));
    let words = format!("bench -p 0 -n {GENERATED} -d {depth} -r {TIMES} --output json");
    let generated = program::run(program, &words)?;
    let test = format!("tg{GENERATED}@{depth}");
    let (mut decode, mut prefill) = (Timing::default(), Timing::default());
    decode.add(&generated, &test);
    let once = program::before(&generated, &test).map(|seconds| seconds / depth as f64);
    let once = once.filter(|_| whole >= SHORT);
    if once.is_none() {
        let words = format!("bench -p {context} -n 0 -r {PROMPTS} --output json");
        prefill.add(&program::run(program, &words)?, &format!("pp{context}"));
    }
    Ok(Measured {
        prefill: once.or(prefill.least()).ok_or("the program gave no time")?,
        decode: decode.least(),
        spread: prefill.spread().max(decode.spread()),
        load: from.and_then(|from| Moment::now()?.others_since(from)),
    })
}

impl Measured {
    /// Why the times mean nothing, where that is so.
    pub fn void(&self) -> Option<String> {
        if let Some(load) = self.load.filter(|load| *load > LOAD) {
            return Some(format!(
                "void: other processes used {:.0} % of the processor",
                100.0 * load
            ));
        }
        (self.spread > SPREAD).then(|| format!("void: runs differ by {:.0} %", 100.0 * self.spread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_void_where_runs_differ_or_others_are_at_work() {
        let row = |spread, load| Measured {
            prefill: 1.0,
            decode: Some(1.0),
            spread,
            load,
        };
        assert_eq!(row(0.1, Some(0.05)).void(), None);
        assert_eq!(row(0.1, None).void(), None);
        assert_eq!(row(0.4, None).void().as_deref(), Some("void: runs differ by 40 %"));
        assert_eq!(
            row(0.1, Some(0.5)).void().as_deref(),
            Some("void: other processes used 50 % of the processor")
        );
    }
}
