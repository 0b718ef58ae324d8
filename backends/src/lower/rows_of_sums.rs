//! Along which axis the lanes of a nest's sums lie.

use super::{cx::Cx, read::strides};
use seqc_passes::{
    affine::{AffineExpr, Stride},
    plan::{Leaf, Nest, Walk},
};

/// True where what a nest adds up lies in memory along the last reduced axis, and apart along its own last axis, as in the product of a
/// matrix with a vector: then its entries are computed one after another, each over lanes. The other way lanes would be gathered.
pub(super) fn reduces_rows(cx: &Cx<'_>, nest: &Nest) -> bool {
    let (graph, plan, lanes) = (cx.graph(), cx.plan(), cx.lanes() as usize);
    let own = graph.ty(nest.value).rank();
    let Some(last) = own.checked_sub(1) else { return false };
    let stored = |v| plan.stored.get(&v).copied().filter(|id| *id != nest.into);
    let stop = |v| stored(v).is_some();
    let leaves = (Walk { graph, stop: &stop }).leaves(nest.value);
    let votes = leaves
        .iter()
        .filter(|leaf| leaf.axes.len() > own && !leaf.table)
        .map(|leaf: &Leaf| {
            let reduced = leaf.axes.len() - 1;
            let at = AffineExpr::entry(&leaf.coords, &strides(cx, leaf.value, stored(leaf.value)));
            let near = |axis: usize| matches!(at.stride(axis, lanes as i64), Stride::Fixed(0 | 1));
            let size: i64 = leaf.axes.iter().map(|n| *n as i64).product();
            match (near(last), near(reduced)) {
                _ if leaf.axes[reduced] < lanes => -size,
                (false, true) => size,
                (true, false) => -size,
                _ => 0,
            }
        });
    votes.sum::<i64>() > 0
}
