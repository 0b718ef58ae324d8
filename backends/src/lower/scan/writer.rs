//! The scan that is being written.

use crate::lower::{cx::Cx, expr::Coords};
use seqc_ir::{ReduceOp, Value};
use seqc_passes::plan::Scan;

/// The scan being written.
pub(super) struct Writer<'w, 'a> {
    pub(super) cx: &'w Cx<'a>,
    pub(super) scan: &'w Scan,
    /// Sizes of the kept axes, then of the reduced ones: the axes of the loops.
    pub(super) sizes: Vec<usize>,
    /// Blocks of the last kept axis.
    pub(super) row_blocks: usize,
    /// Lanes of a block.
    pub(super) lanes: u32,
    pub(super) sums: Vec<Sum>,
    /// The `Prev` nodes of the states, and the number of the state of each.
    pub(super) previous: Vec<(Value, usize)>,
}

/// A reduction over the state's reduced axes that an output needs.
#[derive(Clone)]
pub(super) struct Sum {
    pub(super) node: Value,
    /// Indices of the reduction's result.
    pub(super) coords: Coords,
    pub(super) op: ReduceOp,
    pub(super) over: Value,
}
