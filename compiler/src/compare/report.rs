//! The numbers of a comparison, before they are laid out.

use super::{
    cross::crossover,
    predict,
    profile::Profile,
    total::{Layer, Total},
};

/// Times that were measured, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// For a token of a prompt of this length, on average.
    pub prefill: f64,
    /// For a token generated after so many.
    pub decode: Option<f64>,
    /// How much longer the median of the runs took than the fastest: 0.1 is a tenth.
    pub spread: f64,
    /// Share of the processor that other processes used meanwhile, where the system says so.
    pub load: Option<f64>,
}

/// A model at one context length.
#[derive(Clone, Debug)]
pub struct Point {
    /// Tokens before this one.
    pub context: usize,
    /// Operations of a token of a prompt of this length, on average.
    pub prefill_operations: f64,
    /// Operations of the next token.
    pub decode_operations: f64,
    /// Bytes of weights and caches that a token of a prompt reads.
    pub prefill_bytes: f64,
    /// Bytes of weights, caches and state that the next token reads, and of state that it writes.
    pub decode_bytes: f64,
    /// Bytes of state.
    pub state: f64,
    /// Predicted seconds for a token of the prompt, on average.
    pub prefill: f64,
    /// Predicted seconds for the next token.
    pub decode: f64,
    /// What was measured; the reason where nothing was.
    pub measured: Option<Result<Measured, String>>,
    /// Bytes a second that were read from memory beside the measurement: the prediction is for them.
    pub memory: Option<f64>,
}

/// One model of a comparison.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its cost.
    pub total: Total,
    /// At each context length.
    pub points: Vec<Point>,
    /// Why some lengths are missing.
    pub note: Option<String>,
}

/// What of a model is compared for crossovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes of state.
    State,
    /// Predicted time of the next token.
    Decode,
}

/// From `context` on, `of` of one model is larger than that of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Of what.
    pub of: Quantity,
    /// The model that becomes larger, by its place.
    pub larger: usize,
    /// The other one.
    pub smaller: usize,
    /// From this context length on.
    pub context: f64,
}

/// A whole comparison.
#[derive(Clone, Debug)]
pub struct Report {
    /// The machine that times are predicted for.
    pub profile: Profile,
    /// The models.
    pub rows: Vec<Row>,
    /// Where one becomes dearer than another.
    pub crossings: Vec<Crossing>,
}

impl Quantity {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::State => "state_bytes",
            Quantity::Decode => "decode_seconds",
        }
    }

    /// Its value for a model.
    pub fn at(self, total: &Total, profile: &Profile, context: f64) -> f64 {
        match self {
            Quantity::State => total.state.at(context),
            Quantity::Decode => predict::decode(total, &profile.all, context),
        }
    }
}

impl Report {
    /// Computes everything for models and context lengths.
    pub fn new(profile: Profile, totals: Vec<Total>, lengths: &[usize]) -> Report {
        let crossings = crossings(&totals, &profile);
        let rows = totals.into_iter().map(|total| {
            let most = total.max_context.unwrap_or(usize::MAX);
            let note = lengths
                .iter()
                .any(|t| *t > most)
                .then(|| format!("at most {most} tokens"));
            let fitting = lengths.iter().filter(|t| **t <= most);
            Row {
                points: fitting.map(|t| point(&total, &profile, *t)).collect(),
                total,
                note,
            }
        });
        Report {
            rows: rows.collect(),
            profile,
            crossings,
        }
    }

    /// True when something was measured.
    pub fn is_measured(&self) -> bool {
        self.rows.iter().flat_map(|r| &r.points).any(|p| p.measured.is_some())
    }
}

pub(super) fn point(total: &Total, profile: &Profile, context: usize) -> Point {
    let t = context as f64;
    let chunk = if total.causal { t.min(predict::CHUNK) } else { t }.max(1.0);
    let mean = |l: &Layer| -> f64 { l.cost.caches.iter().map(|c| c.mean_bytes(l.seen(t))).sum() };
    Point {
        context,
        prefill_operations: total.prompt_sum(t, |l| l.cost.prefill_operations(l.seen(t))),
        decode_operations: total.sum(|l| l.cost.decode_operations(l.seen(t))),
        prefill_bytes: total.prompt_sum(t, |l| (l.matrix_bytes + mean(l)) / l.seen(chunk) + l.row_bytes),
        decode_bytes: total.footprint() + total.sum(|l| l.cost.cache_bytes(l.seen(t))),
        state: total.state.at(t),
        prefill: predict::prefill(total, &profile.all, t),
        decode: predict::decode(total, &profile.all, t),
        measured: None,
        memory: None,
    }
}

fn crossings(totals: &[Total], profile: &Profile) -> Vec<Crossing> {
    let mut found = Vec::new();
    for of in [Quantity::State, Quantity::Decode] {
        for (larger, a) in totals.iter().enumerate() {
            for (smaller, b) in totals.iter().enumerate() {
                let at = |total: &Total, t| of.at(total, profile, t);
                if larger == smaller || !a.causal || !b.causal {
                    continue;
                }
                if let Some(context) = crossover(|t| at(a, t), |t| at(b, t)) {
                    found.push(Crossing {
                        of,
                        larger,
                        smaller,
                        context,
                    });
                }
            }
        }
    }
    found
}
