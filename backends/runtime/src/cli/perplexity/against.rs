//! How far the distributions of a model are from those of another one, whose logits are in a file that `logits` wrote.

use std::path::{Path, PathBuf};

use seqc_checkpoint::{Checkpoint, TensorRef};
use serde_json::{Value, json};

use crate::{Error, Result, generation::normal};

/// The other model's logits of every token of the text.
pub(super) struct Against {
    path: PathBuf,
    /// The name of their stream.
    name: String,
    file: Checkpoint,
    /// Tokens that they are of.
    rows: usize,
}

impl Against {
    /// Opens the logits `[tokens, vocabulary]` of a stream.
    ///
    /// # Errors
    ///
    /// Those of the file, and where the numbers of tokens or of the vocabulary are others.
    pub(super) fn open(path: &Path, name: &str, tokens: usize, vocabulary: usize) -> Result<Against> {
        let file = Checkpoint::open(path).map_err(|error| Error::input(error.to_string()))?;
        let wrong = |why: String| {
            Error::input(format!(
                "{}: {why}; it is written by `PROGRAM logits --prompt TEXT -o FILE.safetensors` of the other model",
                path.display()
            ))
        };
        let against = Against {
            path: path.to_owned(),
            name: name.to_owned(),
            rows: tokens,
            file,
        };
        let found = against.tensor().map(|tensor| tensor.shape.to_vec());
        match found {
            Some(shape) if shape == [tokens, vocabulary] => Ok(against),
            Some(shape) => Err(wrong(format!(
                "`{name}` has the shape {shape:?}, and this text gives {:?}",
                [tokens, vocabulary]
            ))),
            None => Err(wrong(format!("there is no `{name}`"))),
        }
    }

    fn tensor(&self) -> Option<TensorRef<'_>> {
        self.file.get(&self.name)
    }

    /// How far the logits of a token are from the other model's.
    ///
    /// # Errors
    ///
    /// Those of reading the file.
    pub(super) fn distance(&self, row: usize, logits: &[f32]) -> Result<Distance> {
        let failed = |why: &dyn std::fmt::Display| Error::input(format!("{}: {why}", self.path.display()));
        let tensor = self.tensor().ok_or_else(|| failed(&"its logits are gone"))?;
        let bytes = tensor.stored();
        let size = bytes.len() / self.rows.max(1);
        let mut other = Vec::new();
        let row = bytes.get(row * size..(row + 1) * size).unwrap_or_default();
        if !tensor.copied_encoding().decode(row, &mut other) || other.len() != logits.len() {
            return Err(failed(&"its logits cannot be read"));
        }
        Ok(Distance::of(&other, logits))
    }
}

/// How far two distributions over tokens are apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distance {
    /// Kullback-Leibler divergence of this model's distribution from the other's, in nats.
    divergence: f64,
    /// Both find the same token most likely.
    same_top: bool,
}

impl Distance {
    fn of(other: &[f32], logits: &[f32]) -> Distance {
        let (of_other, of_this) = (normal(other), normal(logits));
        let terms = other.iter().zip(logits).map(|(other, this)| {
            let expected = f64::from(*other) - of_other;
            let found = f64::from(*this) - of_this;
            if expected.exp() > 0.0 {
                expected.exp() * (expected - found)
            } else {
                0.0
            }
        });
        let top = |logits: &[f32]| {
            logits
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map(|(token, _)| token)
        };
        Distance {
            divergence: terms.sum::<f64>().max(0.0),
            same_top: top(other) == top(logits),
        }
    }
}

/// Mean, 99th percentile, and the share of tokens of which both models find the same most likely.
pub(super) struct Distances {
    mean: f64,
    percentile: f64,
    same_top: f64,
}

impl Distances {
    /// Of the distances of all tokens that are scored, one or more.
    pub(super) fn of(all: &[Distance]) -> Distances {
        let mut divergences: Vec<f64> = all.iter().map(|distance| distance.divergence).collect();
        divergences.sort_by(f64::total_cmp);
        let count = all.len().max(1) as f64;
        let at = (0.99 * count).ceil() as usize;
        Distances {
            mean: divergences.iter().sum::<f64>() / count,
            percentile: divergences.get(at.saturating_sub(1)).copied().unwrap_or(0.0),
            same_top: all.iter().filter(|distance| distance.same_top).count() as f64 / count,
        }
    }

    pub(super) fn text(&self) -> String {
        format!(
            "divergence from the other model: mean {:.6}, 99th percentile {:.6}; the same most likely token: {:.2} %\n",
            self.mean,
            self.percentile,
            100.0 * self.same_top
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({"mean": self.mean, "percentile_99": self.percentile, "same_top": self.same_top})
    }
}

#[cfg(test)]
mod tests {
    use super::{Distance, Distances};

    #[test]
    fn distances_are_divergences_in_nats() {
        let (fair, odd) = ([0.5_f32.ln(), 0.5_f32.ln()], [3.0 + 0.75_f32.ln(), 3.0 + 0.25_f32.ln()]);
        let distance = Distance::of(&fair, &odd);
        let expected = 0.5 * (0.5_f64 / 0.75).ln() + 0.5 * (0.5_f64 / 0.25).ln();
        assert!((distance.divergence - expected).abs() < 1e-7);
        let same = Distance::of(&odd, &odd);
        assert!(same.divergence == 0.0 && same.same_top);
        let found = Distances::of(&[distance, same, same, same]);
        assert!((found.mean - expected / 4.0).abs() < 1e-7 && found.percentile == distance.divergence);
    }
}
