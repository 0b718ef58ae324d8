//! Values that are a part of the keys: latent attention (DeepSeek-V2, Liu et al. 2024, arXiv:2405.04434, section 2.1) attends to one vector a token
//! and adds up its first entries. Their cache is that of the keys alone.

use crate::{affine::AffineExpr, attention::streams::is_stream};
use seqc_ir::{AttendSpec, Graph, Op, Value};

/// The entry of a key where the value begins, for keys and values of the same heads; `None` where values are kept beside the keys.
///
/// Keys and values that are streams of the model are kept apart: other layers may read the same cache, and need not see what one is of the other.
pub(super) fn values_in_keys(graph: &Graph, spec: &AttendSpec, operands: &[Value]) -> Option<usize> {
    if !spec.has_values() || spec.policy.is_some() {
        return None;
    }
    let (keys, values) = (operands[1], operands[2]);
    if is_stream(graph, keys) && is_stream(graph, values) {
        return None;
    }
    if keys == values {
        return Some(0);
    }
    part_of_view(graph, keys, values).or_else(|| piece_of_concat(graph, keys, values))
}

/// `values[g, e] = keys[g, e + n]`
fn part_of_view(graph: &Graph, keys: Value, values: Value) -> Option<usize> {
    let Op::View(map) = graph.op(values) else { return None };
    if graph.operands(values)[0] != keys {
        return None;
    }
    let [head, entry] = map.as_slice() else { return None };
    let (axes, sizes) = ([0, 1].map(AffineExpr::axis), graph.ty(values).sizes());
    let [head, entry] = [head, entry].map(|index| AffineExpr::of(index, &axes, &sizes));
    let shift = entry.plus(&AffineExpr::axis(1).times(-1));
    // The whole of a key: an entry past its end is none.
    (head == AffineExpr::axis(0) && shift.terms.is_empty()).then_some(shift.constant as usize)
}

/// `keys = concat(…, values, …)` along the entries.
fn piece_of_concat(graph: &Graph, keys: Value, values: Value) -> Option<usize> {
    let Op::Concat { axis: 1 } = graph.op(keys) else {
        return None;
    };
    let pieces = graph.operands(keys);
    let at = pieces.iter().position(|piece| *piece == values)?;
    Some(pieces[..at].iter().map(|piece| graph.ty(*piece).dims[1].size).sum())
}
