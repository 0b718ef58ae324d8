//! How the rows of the tokens of a text become one vector for it.

use clap::ValueEnum;

/// How the rows of a prompt's tokens become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Pooling {
    /// Mean over all tokens
    #[default]
    Mean,
    /// Vector of the first token
    First,
    /// Vector of the last token
    Last,
}

/// Adds a row to a sum of rows, which is empty before the first one.
pub(crate) fn add(sum: &mut Vec<f32>, row: impl Iterator<Item = f32>) {
    for (n, value) in row.enumerate() {
        match sum.get_mut(n) {
            Some(entry) => *entry += value,
            None => sum.push(value),
        }
    }
}

/// A vector of the same direction and length 1.
pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let squares: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    if squares > 0.0 {
        let length = squares.sqrt();
        vector
            .iter_mut()
            .for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    vector
}
