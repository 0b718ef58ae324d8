//! The loops over the entries of a nest: over which axes they run, and along which one the lanes of its sums lie.

use super::{cx::Cx, read::strides};
use crate::schedule::loops;
use seqc_ir::{Op, OpClass, Value};
use seqc_passes::{
    affine::{AffineExpr, Stride},
    plan::{Leaf, Nest, Walk},
};
use std::collections::HashSet;

/// The loops over the entries of a nest.
pub(super) struct Loops {
    /// Sizes of the axes: those of the value, or of a sum of which it has the entries in another shape.
    pub(super) shape: Vec<usize>,
    /// One loop runs over all axes.
    pub(super) flat: bool,
    /// Lanes are those of sums, one entry after another.
    pub(super) by_rows: bool,
    /// It is computed from sums that are not written out.
    pub(super) long_sums: bool,
}

impl Loops {
    /// Those of a nest.
    pub(super) fn new(cx: &Cx<'_>, nest: &Nest) -> Loops {
        let of = shaped(cx, nest).unwrap_or(nest.value);
        let shape = cx.graph().ty(of).sizes();
        let leaves = leaves(cx, nest, of);
        let long_sums = has_long_sum(cx, nest, of);
        let merged = loops(cx.layer.machine(), &shape).len() < shape.len();
        Loops {
            flat: merged && !(long_sums && wants_rows(cx, nest, &leaves, &shape)),
            by_rows: reduces_rows(cx, nest, &leaves, shape.len()),
            long_sums,
            shape,
        }
    }

    /// How many entries each loop goes over.
    pub(super) fn sizes(&self) -> Vec<usize> {
        if self.flat {
            vec![self.shape.iter().product()]
        } else {
            self.shape.clone()
        }
    }
}

fn is_read(cx: &Cx<'_>, nest: &Nest, v: Value) -> bool {
    cx.plan().stored.get(&v).is_some_and(|id| *id != nest.into)
}

/// What a value of a nest is computed from.
fn leaves(cx: &Cx<'_>, nest: &Nest, v: Value) -> Vec<Leaf> {
    let (graph, stop) = (cx.graph(), |v| is_read(cx, nest, v));
    (Walk { graph, stop: &stop }).leaves(v)
}

/// Whether a value is a sum that is not written out.
pub(super) fn is_long(cx: &Cx<'_>, v: Value) -> bool {
    cx.graph().class(v) == OpClass::Reduction && cx.graph().reduced(v) > cx.layer.machine().short_reduction
}

/// Whether a value is computed from sums that are not written out.
fn has_long_sum(cx: &Cx<'_>, nest: &Nest, v: Value) -> bool {
    let graph = cx.graph();
    let (mut seen, mut work) = (HashSet::new(), vec![v]);
    while let Some(v) = work.pop() {
        if !seen.insert(v) || is_read(cx, nest, v) {
            continue;
        }
        let class = graph.class(v);
        if is_long(cx, v) {
            return true;
        }
        if class == OpClass::Elementwise || class == OpClass::Index {
            work.extend(graph.operands(v));
        }
    }
    false
}

/// Where a row is made of long sums over several axes, that value: loops over its axes find what it reads beside each other.
fn shaped(cx: &Cx<'_>, nest: &Nest) -> Option<Value> {
    let graph = cx.graph();
    if graph.ty(nest.value).rank() != 1 || nest.shift.is_some() {
        return None;
    }
    let (mut seen, mut work) = (HashSet::new(), vec![nest.value]);
    while let Some(v) = work.pop() {
        if !seen.insert(v) || is_read(cx, nest, v) {
            continue;
        }
        if *graph.op(v) == Op::Reshape {
            let inner = graph.operands(v)[0];
            let several = graph.ty(inner).rank() > 1 && !is_read(cx, nest, inner);
            if several && has_long_sum(cx, nest, inner) {
                return Some(inner);
            }
        } else if graph.class(v) == OpClass::Elementwise {
            work.extend(graph.operands(v));
        }
    }
    None
}

/// How lanes read what a sum adds up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lanes {
    /// Side by side, or all the same, in one loop over all axes as well.
    Together,
    /// So in loops over each axis alone.
    InRows,
    /// One by one.
    Apart,
}

impl Lanes {
    fn of(cx: &Cx<'_>, nest: &Nest, leaf: &Leaf, shape: &[usize]) -> Lanes {
        let at = entry(cx, nest, leaf);
        let step = |axis: usize| match at.stride(axis, i64::from(cx.lanes())) {
            Stride::Fixed(step) => Some(step),
            Stride::Irregular => None,
        };
        let steps: Option<Vec<i64>> = (0..shape.len()).map(step).collect();
        let Some((steps, last)) = steps.and_then(|steps| Some((steps.clone(), *steps.last()?))) else {
            return Lanes::Apart;
        };
        let mut entries = last;
        let regular = steps.iter().zip(shape).rev().all(|(step, size)| {
            let fits = *step == entries;
            entries *= *size as i64;
            fits
        });
        match (0..=1).contains(&last) {
            false => Lanes::Apart,
            true if regular => Lanes::Together,
            true => Lanes::InRows,
        }
    }
}

/// Whether loops over each axis let lanes read side by side, and one loop over all of them does not.
fn wants_rows(cx: &Cx<'_>, nest: &Nest, leaves: &[Leaf], shape: &[usize]) -> bool {
    let summed = leaves
        .iter()
        .filter(|leaf| leaf.axes.len() > shape.len() && !leaf.table);
    let lanes: Vec<Lanes> = summed.map(|leaf| Lanes::of(cx, nest, leaf, shape)).collect();
    // What is read one by one in any case is read so for as many lanes as possible.
    let filled = 2 * shape.last().copied().unwrap_or(0) > cx.lanes() as usize;
    lanes.contains(&Lanes::InRows) && (filled || !lanes.contains(&Lanes::Apart))
}

/// Where in memory a leaf is read.
fn entry(cx: &Cx<'_>, nest: &Nest, leaf: &Leaf) -> AffineExpr {
    let stored = cx.plan().stored.get(&leaf.value).copied().filter(|id| *id != nest.into);
    AffineExpr::entry(&leaf.coords, &strides(cx, leaf.value, stored))
}

/// True where what a nest adds up lies in memory along the last reduced axis, and apart along its own last axis, as in the product of a
/// matrix with a vector: then its entries are computed one after another, each over lanes. The other way lanes would be gathered.
fn reduces_rows(cx: &Cx<'_>, nest: &Nest, leaves: &[Leaf], own: usize) -> bool {
    let lanes = cx.lanes() as usize;
    let Some(last) = own.checked_sub(1) else { return false };
    let votes = leaves
        .iter()
        .filter(|leaf| leaf.axes.len() > own && !leaf.table)
        .map(|leaf: &Leaf| {
            let reduced = leaf.axes.len() - 1;
            let at = entry(cx, nest, leaf);
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
