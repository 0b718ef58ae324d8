//! Programs that are built for measuring, in a temporary directory.

use crate::{
    driver,
    model::ReadOptions,
    request::{Emit, Failure, Request},
    source::Sources,
};
use seqc_backends::scratch;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Builds a model into a program.
pub(super) fn build(model: &Path, read: &ReadOptions, output: PathBuf) -> Result<PathBuf, String> {
    let request = Request {
        read: read.clone(),
        emit: Emit::Exe,
        target: "native".to_owned(),
        output: output.clone(),
        embed: false,
        force: false,
        prefix: "seqc".to_owned(),
    };
    match driver::build(model, &request, &mut Sources::default(), &mut |_, _, _| {}) {
        Ok(_) => Ok(output),
        Err(Failure::Usage(message) | Failure::Stage(message) | Failure::Write(message)) => Err(message),
        Err(Failure::Input(found)) => Err(found.first().map_or_else(String::new, |d| d.message.clone())),
    }
}

/// Runs a program with words; the JSON that it prints.
pub(super) fn run(program: &Path, words: &str) -> Result<Value, String> {
    let output = scratch::run(Command::new(program).args(words.split(' ')));
    let output = output.map_err(|e| format!("{}: {e}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the program failed: {}", said.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("the program printed no JSON: {e}"))
}

/// Seconds a token of the repetitions of one test of `bench`: `pp512`, `tg64`.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing(Vec<f64>);

impl Timing {
    /// Adds those that a program printed.
    pub(super) fn add(&mut self, found: &Value, test: &str) {
        let rows = found["results"].as_array().into_iter().flatten();
        for row in rows.filter(|r| r["test"] == test) {
            let tokens = row["tokens"].as_f64().unwrap_or(f64::NAN);
            let times = row["milliseconds"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_f64);
            let seconds = times.map(|time| time / 1e3 / tokens);
            self.0.extend(seconds.filter(|s| s.is_finite() && *s > 0.0));
        }
        self.0.sort_by(f64::total_cmp);
    }

    /// The fastest.
    pub(super) fn least(&self) -> Option<f64> {
        self.0.first().copied()
    }

    /// How much longer the median took than the fastest: 0.1 is a tenth.
    pub(super) fn spread(&self) -> f64 {
        match self.0.first() {
            Some(least) => self.0[self.0.len() / 2] / least - 1.0,
            None => 0.0,
        }
    }
}

/// Seconds of reading the tokens before those that a test of `bench` generated.
pub(super) fn before(found: &Value, test: &str) -> Option<f64> {
    let row = found["results"].as_array()?.iter().find(|r| r["test"] == test)?;
    Some(row["depth_milliseconds"].as_f64()? / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_runs_the_fastest_and_how_far_the_median_is() {
        let found = serde_json::json!({"results": [
            {"test": "tg2", "tokens": 2, "milliseconds": [4.0, 2.0, 3.0]},
            {"test": "pp8", "tokens": 8, "milliseconds": [8.0]},
        ]});
        let mut timing = Timing::default();
        timing.add(&found, "tg2");
        assert_eq!(timing.least(), Some(0.001));
        assert!((timing.spread() - 0.5).abs() < 1e-9);
        assert_eq!((Timing::default().least(), Timing::default().spread()), (None, 0.0));
    }
}
