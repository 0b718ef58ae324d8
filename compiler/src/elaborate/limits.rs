//! How large a layer may be, and what it may keep: beyond it no memory holds a sequence, and sizes of buffers would leave
//! what is computed with.

use super::request::Request;
use crate::diag::{Diagnostic, Placed};
use seqc_ir::{Graph, Op, OpClass, Value};
use std::collections::BTreeMap;

/// Most nodes of one layer.
pub(super) const MAX_NODES: usize = 200_000;

/// Deepest inlining of functions.
pub(super) const MAX_INLINE: usize = 64;

/// Deepest nesting of expressions, over all inlined functions.
pub(super) const MAX_DEPTH: usize = 3_000;

/// Most numbers that a layer keeps from token to token, beside the caches of attention: 64 GiB of them.
const MAX_KEPT: usize = 1 << 34;

/// Most operations of a layer for one token, beside its attentions: a minute of one core. Beyond it a size is a slip, and the
/// program would seem to stand still.
const MAX_WORK: f64 = (1_u64 << 36) as f64;

/// Most entries of a row of queries, keys or values: attention holds whole rows in registers and in the nearest memory.
const MAX_ROW: usize = 8192;

/// Refuses what no program can hold.
pub(super) fn check(graph: &Graph, request: &Request<'_>) -> Result<(), Diagnostic> {
    rows(graph, request)?;
    work(graph, request)?;
    kept(graph, request)
}

/// Refuses a layer that computes too much for each token.
fn work(graph: &Graph, request: &Request<'_>) -> Result<(), Diagnostic> {
    let computing = [OpClass::Elementwise, OpClass::Reduction, OpClass::Product];
    let values = graph.values().into_iter();
    let counted: Vec<(Value, f64)> = values
        .filter(|v| computing.contains(&graph.class(*v)))
        .map(|v| {
            (
                v,
                graph.ty(v).len() as f64 * graph.reduced(v).max(graph.columns(v)) as f64,
            )
        })
        .collect();
    let total: f64 = counted.iter().map(|(_, count)| count).sum();
    if total <= MAX_WORK {
        return Ok(());
    }
    let most = counted.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let (value, most) = most.map_or((String::new(), 0.0), |(v, count)| (graph.node(v).name.clone(), count));
    let message = format!("this layer has {total:.3e} operations for each token, the maximum is {MAX_WORK:.3e}");
    let what = if value.is_empty() {
        "one value".to_owned()
    } else {
        format!("`{value}`")
    };
    let d = Diagnostic::new("too-large", request.layer.place, message);
    Err(d
        .says(format!("{what} alone takes {most:.3e} of them"))
        .help("choose smaller sizes and ranges of index variables"))
}

/// Refuses attention with rows that are too long.
fn rows(graph: &Graph, request: &Request<'_>) -> Result<(), Diagnostic> {
    let attentions = graph
        .values()
        .into_iter()
        .filter(|v| matches!(graph.op(*v), Op::Attend(_)));
    let of_operands = attentions.flat_map(|v| graph.operands(v).into_iter().take(3));
    let longest = of_operands
        .filter_map(|o| graph.ty(o).dims.get(1))
        .map(|d| d.size)
        .max();
    match longest.filter(|n| *n > MAX_ROW) {
        Some(n) => {
            let message = format!("queries, keys and values have {n} entries per head here, the maximum is {MAX_ROW}");
            let d = Diagnostic::new("too-large", request.layer.place, message);
            Err(d.help("use more heads with a smaller head_dim"))
        }
        None => Ok(()),
    }
}

/// Refuses a layer whose recurrences and delays keep too much.
fn kept(graph: &Graph, request: &Request<'_>) -> Result<(), Diagnostic> {
    let states = graph.states.iter().map(|s| (s.name.clone(), s.ty.len()));
    let kept: Vec<(String, usize)> = states.chain(histories(graph)).collect();
    let total = kept.iter().fold(0_usize, |sum, (_, n)| sum.saturating_add(*n));
    if total <= MAX_KEPT {
        return Ok(());
    }
    let (name, most) = kept.into_iter().max_by_key(|(_, n)| *n).unwrap_or_default();
    let what = if name.is_empty() {
        "a delayed stream".to_owned()
    } else {
        format!("`{name}`")
    };
    let message = format!("this layer has {total} numbers of state, the maximum is {MAX_KEPT}");
    let d = Diagnostic::new("too-large", request.layer.place, message);
    Err(d
        .says(format!("{what} alone is {most} of them"))
        .help("smaller sizes, shorter delays"))
}

/// The past of each delayed stream: its name, and numbers kept of it.
fn histories(graph: &Graph) -> Vec<(String, usize)> {
    let mut longest: BTreeMap<Value, usize> = BTreeMap::new();
    for v in graph.values() {
        let Some(steps) = graph.op(v).reach() else { continue };
        let of = longest.entry(graph.operands(v)[0]).or_default();
        *of = (*of).max(steps);
    }
    let each = longest.into_iter();
    each.map(|(v, steps)| (graph.node(v).name.clone(), graph.ty(v).len().saturating_mul(steps)))
        .collect()
}
