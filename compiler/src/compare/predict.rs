//! How long a token takes on a machine: each part of a model's cost at the rate that was measured for its kind.

use super::{
    profile::{Phase, Rates, at},
    total::{Layer, Total},
};
use seqc_passes::cost::Cache;

/// Tokens that a program reads at once.
pub const CHUNK: f64 = seqc_passes::plan::Settings::CHUNK as f64;

/// Seconds for the token after `context` others, when tokens are generated one by one.
pub fn decode(total: &Total, rates: &Rates, context: f64) -> f64 {
    let footprint = total.footprint();
    total.sum(|layer| decode_layer(layer, rates, context, footprint))
}

/// Seconds for one token of a layer; `footprint`: the bytes that the whole model moves for a token.
pub fn decode_layer(layer: &Layer, rates: &Rates, context: f64, footprint: f64) -> f64 {
    let context = layer.seen(context);
    let cost = &layer.cost;
    let phase = &rates.decode;
    let attended = cost
        .caches
        .iter()
        .map(|c| c.weight * c.keys(context) + c.policy_weight(context));
    let attended: f64 = attended.sum();
    let steps = (cost.steps + cost.token_steps) as f64;
    // Since the last token all weights have passed through the processor's caches: keys and values come from memory.
    let history = 2.0 * cost.history as f64;
    let apart = cost.scattered_bytes();
    let moved = layer.matrix_bytes + layer.row_bytes + cost.moved_bytes() - history - apart + cost.cache_bytes(context);
    moved / at(&rates.read, footprint)
        + apart / at(&rates.rows, footprint)
        + history / at(&rates.copy, footprint)
        + work(layer, rates, phase)
        + filtered(layer, phase, context)
        + attended / phase.attend
        + steps * rates.step
}

/// Seconds for a token of a prompt of `context` tokens, on average.
pub fn prefill(total: &Total, rates: &Rates, context: f64) -> f64 {
    let chunk = if total.causal { context.min(CHUNK) } else { context }.max(1.0);
    let footprint = total.footprint();
    total
        .layers
        .iter()
        .map(|layer| {
            let last = layer.tail as f64 * decode_layer(layer, rates, context, footprint) / context.max(1.0);
            let every = layer.runs() - layer.tail as f64;
            every * prefill_layer(layer, rates, context, chunk, footprint) + last
        })
        .sum()
}

fn prefill_layer(layer: &Layer, rates: &Rates, context: f64, chunk: f64, footprint: f64) -> f64 {
    let (context, chunk) = (layer.seen(context), layer.seen(chunk));
    let cost = &layer.cost;
    let phase = &rates.prefill;
    let attended = |c: &Cache| c.weight * c.mean_keys(context) + c.mean_policy_weight(context, chunk);
    let attended: f64 = cost.caches.iter().map(attended).sum();
    let steps = cost.steps as f64 / chunk + cost.token_steps as f64;
    let weights = layer.matrix_bytes / chunk / at(&rates.read, footprint);
    let products = (2.0 * cost.products / rates.product).max(weights);
    // What tokens pick of tables differs from token to token.
    let picked = layer.row_bytes / at(&rates.read, footprint);
    let history = 2.0 * cost.history as f64 / chunk / at(&rates.copy, footprint);
    let saved = cost.saved[0] / phase.scans + cost.saved[1] / phase.loops;
    let work = work(layer, rates, phase) - saved + scanned(layer, rates) + filtered(layer, phase, context);
    products + picked + history + work + attended / phase.attend + steps * rates.step
}

/// Seconds that states take from one token to the next where a block of lanes exceeds the L1 cache, beside the
/// arithmetic. Small blocks take none, blocks as large as the probe's take what that takes.
fn scanned(layer: &Layer, rates: &Rates) -> f64 {
    let (small, large) = (lane_bytes(SMALL_ROWS), lane_bytes(LARGE_ROWS));
    let share = |bytes: usize| ((bytes as f64 / small).ln() / (large / small).ln()).clamp(0.0, 1.0);
    let scans = layer.cost.scanned.iter().filter(|s| !s.products);
    scans
        .map(|s| 2.0 * s.bytes as f64 * share(s.lane_bytes) / rates.block)
        .sum()
}

/// Rows of the states that the probes of scans have: few, which stay in the L1 cache, and many.
pub(super) const SMALL_ROWS: usize = 16;
pub(super) const LARGE_ROWS: usize = 256;

fn lane_bytes(rows: usize) -> f64 {
    4.0 * rows as f64
}

/// Seconds of long convolutions. A multiplication and an addition take as long as an addition.
fn filtered(layer: &Layer, phase: &Phase, context: f64) -> f64 {
    layer.cost.filter_operations(context) / 2.0 / phase.entries
}

/// Seconds of the loops over entries and of the recurrences. What runs for one token after another does so in prefill, too.
fn work(layer: &Layer, rates: &Rates, phase: &Phase) -> f64 {
    let cost = &layer.cost;
    (cost.entries.weight - cost.entries.sums) / phase.entries
        + cost.entries.sums / phase.sums
        + cost.scans.weight / phase.scans
        + cost.loops.weight / phase.loops
        + cost.sequential.weight / rates.decode.entries
}
