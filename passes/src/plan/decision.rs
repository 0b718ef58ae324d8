//! A decision: the candidates, what each costs, and why it was not taken.

use super::Misfit;
use seqc_ir::Value;

/// A part of a layer that can be computed in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A recurrence, by its number in [`Plan::recurrences`](super::Plan::recurrences).
    Recurrence(usize),
    /// A long convolution.
    Filter(Value),
}

/// How a part of a layer is computed, and how else it could be.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is computed.
    pub about: Subject,
    /// All ways, in the order of preference.
    pub candidates: Vec<Candidate>,
}

/// One way to compute something.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its name: of a row of [`FORMS`](super::FORMS), or of a form of filters.
    pub form: &'static str,
    /// Additions of a token of a long chunk, where they can be told.
    pub cost: Option<f64>,
    /// Whether it is taken.
    pub verdict: Verdict,
}

/// Whether a candidate is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For chunks of so many tokens or more, up to where another one is taken.
    Chosen {
        /// Tokens of the shortest chunk; 1: single tokens too.
        from: usize,
    },
    /// It could be, and costs more.
    Costlier,
    /// It could be; a form that is preferred fits, so that it was not tried.
    Later,
    /// It cannot be.
    Unfit(Misfit),
}

/// The plain sum over all taps, for each token.
pub const DIRECT_SUM: &str = "direct_sum";

/// Direct sums inside short blocks and transforms between blocks that double.
pub const PARTITIONED: &str = "partitioned_convolution";

impl Decision {
    /// The candidates that are taken, those for the shortest chunks first.
    pub fn chosen(&self) -> Vec<(&Candidate, usize)> {
        let chosen = self.candidates.iter().filter_map(|c| match c.verdict {
            Verdict::Chosen { from } => Some((c, from)),
            Verdict::Costlier | Verdict::Later | Verdict::Unfit(_) => None,
        });
        let mut chosen: Vec<(&Candidate, usize)> = chosen.collect();
        chosen.sort_by_key(|(_, from)| *from);
        chosen
    }
}
