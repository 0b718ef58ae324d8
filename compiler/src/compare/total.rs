//! The cost of a whole model: its layers' costs and the bytes of the weights they read.

use super::form::Form;
use crate::{
    backend,
    model::{Built, weights::distinct_parameters},
};
use seqc_abi::Family;
use seqc_formats::Encoding;
use seqc_ir::Kind;
use seqc_passes::{
    attention::clock_rate::ClockRate,
    cost::{self, Cost, Read},
    plan::Plan,
};
use std::{collections::BTreeSet, ops::Range};

/// One kind of layer and how often the model runs it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The layer's name.
    pub name: String,
    /// How many of it the model has.
    pub calls: usize,
    /// At which tokens they run: one kind at several rates is several of these.
    pub rate: ClockRate,
    /// How many of these come after everything that carries something from token to token: of a prompt they see only
    /// the tokens whose outputs are wanted, the last one.
    pub tail: usize,
    /// What all of these keep together; some may read caches that others keep.
    pub state: Form,
    /// What one of them costs.
    pub cost: Cost,
    /// Bytes of weights that every token reads.
    pub matrix_bytes: f64,
    /// Bytes of rows that each token picks.
    pub row_bytes: f64,
}

impl Layer {
    /// How often one of them runs for a token.
    pub fn runs(&self) -> f64 {
        self.calls as f64 * self.rate.share()
    }

    /// The tokens that they have seen among so many.
    pub fn seen(&self, context: f64) -> f64 {
        context * self.rate.share()
    }
}

/// What a model costs.
#[derive(Clone, Debug)]
pub struct Total {
    /// The model's name.
    pub name: String,
    /// Distinct parameters.
    pub parameters: usize,
    /// Bytes they take.
    pub weight_bytes: usize,
    /// False: the model reads whole sequences and has no decoding step.
    pub causal: bool,
    /// Longest sequence, where the model says one.
    pub max_context: Option<usize>,
    /// What a sequence keeps.
    pub state: Form,
    /// Its layers by kind.
    pub layers: Vec<Layer>,
}

impl Total {
    /// Adds up the layers of a model.
    pub fn new(built: &Built) -> Total {
        let canonical = backend::canonical(&built.model);
        // What a layer costs is the same on all levels.
        let planned = backend::plan(&canonical, &built.meta, Family::HERE.least());
        let model = planned.model;
        let entries = backend::manifest(&planned);
        let all = model.calls.len();
        let tail = if model.is_causal() {
            planned.tail()..all
        } else {
            all..all
        };
        let of_calls = model.calls.iter().enumerate();
        let kinds_of_calls: Vec<(usize, ClockRate)> = of_calls
            .map(|(n, call)| (call.kind.0 as usize, planned.rate(n)))
            .collect();
        let kind_of = |call: usize| kinds_of_calls[call];
        let kinds: BTreeSet<(usize, ClockRate)> = kinds_of_calls.iter().copied().collect();
        let layers = kinds.into_iter().map(|(n, rate)| {
            let of_kind = |calls: Range<usize>| calls.filter(|call| kind_of(*call) == (n, rate)).count();
            let of_this = entries.iter().filter(|e| kind_of(e.call) == (n, rate));
            Layer {
                // What reads a memory is no part of a token.
                calls: of_kind(model.memory.calls..all),
                rate,
                tail: of_kind(tail.clone()),
                state: Form::of(of_this.map(|e| e.kept.clone())),
                ..layer(&model.kinds[n], &planned.plans[n])
            }
        });
        let (parameters, weight_bytes) = distinct_parameters(model);
        Total {
            name: built.meta.name.clone(),
            parameters,
            weight_bytes,
            causal: model.is_causal(),
            max_context: built.meta.max_context,
            state: Form::of(entries.iter().map(|e| e.kept.clone())),
            layers: layers.collect(),
        }
    }

    /// The sum over all layers of something that one layer has.
    pub fn sum(&self, of: impl Fn(&Layer) -> f64) -> f64 {
        self.layers.iter().map(|l| l.runs() * of(l)).sum()
    }

    /// The same for a token of a prompt of `context` tokens, on average: what only the last token needs counts less.
    pub fn prompt_sum(&self, context: f64, of: impl Fn(&Layer) -> f64) -> f64 {
        let last = |l: &Layer| l.tail as f64 * (1.0 - 1.0 / context.max(1.0));
        self.layers.iter().map(|l| (l.runs() - last(l)) * of(l)).sum()
    }

    /// Bytes of weights that a decoded token reads.
    pub fn token_bytes(&self) -> f64 {
        self.sum(|l| l.matrix_bytes + l.row_bytes)
    }

    /// Bytes of weights and of constant state that a decoded token reads and writes.
    pub fn footprint(&self) -> f64 {
        self.token_bytes() + self.sum(|l| l.cost.moved_bytes())
    }
}

fn layer(kind: &Kind, plan: &Plan) -> Layer {
    let cost = cost::cost(&kind.graph, plan);
    let bytes = |rows: bool| -> f64 {
        let reads = cost.reads.iter().filter(|r| r.rows == rows);
        reads.map(|r| read_bytes(r, &kind.encodings)).sum()
    };
    Layer {
        name: kind.graph.name.clone(),
        calls: 0,
        rate: ClockRate::ALL,
        tail: 0,
        state: Form::default(),
        matrix_bytes: bytes(false),
        row_bytes: bytes(true),
        cost,
    }
}

/// Bytes of a read: parameters as they are stored, everything else as f32.
fn read_bytes(read: &Read, encodings: &[Encoding]) -> f64 {
    let encoding = read.param.map_or(Encoding::F32, |n| encodings[n]);
    read.entries as f64 / encoding.block() as f64 * encoding.block_bytes() as f64
}
