//! Orders of axes in memory: of states, and of what is computed at load time, so that vector loads are contiguous.
//! Does not change what is stored.

use super::{
    definitions::PlanBuilder,
    inline::{Leaf, Walk},
    types::{BufferId, Extent, Kernel, Nest, Scan, flat, scans, strides},
};
use crate::affine::AffineExpr;
use seqc_ir::{Op, OpClass, Stage, Value};
use std::collections::HashSet;

/// Place of a loop in its nest: the outermost first, the one over lanes last.
type Place<'a> = &'a dyn Fn(usize) -> usize;

/// The loop over lanes.
const LANES: usize = usize::MAX;

impl PlanBuilder<'_> {
    /// Chooses the order of axes of scanned states, and of load-stage tensors that are read with a stride along lanes.
    pub(super) fn lay_out(&mut self) {
        let found: Vec<Scan> = scans(&self.plan.kernels).into_iter().cloned().collect();
        for scan in found {
            let Some((lane, outer)) = scan.kept.split_last() else {
                continue;
            };
            let order: Vec<usize> = outer.iter().chain(&scan.reduced).chain([lane]).copied().collect();
            for s in &scan.states {
                self.plan.state_axes[s.0 as usize] = order.clone();
            }
            self.lay_out_scan(&scan);
        }
        for nest in nests(&self.plan.kernels) {
            let rank = self.graph.ty(nest.value).rank();
            let vector = self
                .graph
                .ty(nest.value)
                .dims
                .last()
                .is_some_and(|d| d.size >= self.settings.machine.vector_axis);
            if vector {
                let place = |axis: usize| if axis + 1 == rank { LANES } else { axis };
                self.lay_out_reads(nest.value, &|_| false, &place);
            }
        }
    }

    fn lay_out_scan(&mut self, scan: &Scan) {
        let graph = self.graph;
        let inside = |v: Value| matches!(graph.op(v), Op::Prev(s) if scan.states.contains(s));
        let depth = |i: usize| if i + 1 == scan.kept.len() { LANES } else { i };
        let all: Vec<usize> = scan.kept.iter().chain(&scan.reduced).copied().collect();
        let of_state = |axis: usize| all.iter().position(|a| *a == axis).map_or(axis, depth);
        for s in &scan.states {
            if let Some(next) = graph.states[s.0 as usize].next {
                self.lay_out_reads(next, &inside, &of_state);
            }
        }
        for nest in &scan.outputs {
            self.lay_out_reads(nest.value, &inside, &depth);
        }
    }

    /// Lays out what the expression of `root` reads, where that is possible.
    fn lay_out_reads(&mut self, root: Value, inside: &dyn Fn(Value) -> bool, place: Place<'_>) {
        let own = self.plan.stored.get(&root).copied();
        let leaves = {
            let stop = |v: Value| v != root && self.plan.is_stored(v) || inside(v);
            (Walk {
                graph: self.graph,
                stop: &stop,
            })
            .leaves(root)
        };
        for leaf in leaves {
            let Some(order) = self.better_order(&leaf, place) else {
                continue;
            };
            let id = self.copy_of(leaf.value);
            if Some(id) != own {
                let sizes = self.graph.ty(leaf.value).sizes();
                self.plan.buffers[id.0].strides = strides(&sizes, &order);
            }
        }
    }

    /// The order of a load-stage tensor's axes that makes lanes consecutive, when they are not and could be.
    fn better_order(&self, leaf: &Leaf, place: Place<'_>) -> Option<Vec<usize>> {
        let axes: Vec<usize> = leaf.coords.iter().map(AffineExpr::as_axis).collect::<Option<_>>()?;
        let distinct: HashSet<usize> = axes.iter().copied().collect();
        let lanes = axes.iter().position(|a| place(*a) == LANES)?;
        let constant = self.plan.stage(leaf.value) == Stage::Load && !leaf.table;
        if !constant || lanes + 1 == axes.len() || distinct.len() != axes.len() || self.is_read_by_rows(leaf.value) {
            return None;
        }
        let mut order: Vec<usize> = (0..axes.len()).collect();
        order.sort_by_key(|a| place(axes[*a]));
        Some(order)
    }

    /// True for what a product or attention reads row by row, or a table, as it lies.
    fn is_read_by_rows(&self, v: Value) -> bool {
        if matches!(self.graph.op(v), Op::Param(_)) {
            // A parameter is copied; the original stays as it is.
            return false;
        }
        self.graph
            .users(v)
            .into_iter()
            .any(|user| match self.graph.class(user) {
                OpClass::Product | OpClass::Sequence | OpClass::Lookup => true,
                OpClass::Index => self.is_read_by_rows(user),
                OpClass::Leaf | OpClass::Elementwise | OpClass::Concat | OpClass::Reduction | OpClass::Lag => false,
            })
    }

    /// The load-stage buffer of a value; a parameter gets one.
    fn copy_of(&mut self, value: Value) -> BufferId {
        if let Some(id) = self.plan.stored.get(&value) {
            return *id;
        }
        let into = self.new_buffer(value, Extent::Constant);
        self.plan.stored.insert(value, into);
        let copy = Nest {
            value,
            into,
            shift: None,
        };
        self.plan.load.insert(0, copy);
        into
    }
}

/// Nests that run for tokens, outside of scans.
fn nests(kernels: &[Kernel]) -> Vec<Nest> {
    let found = flat(kernels).into_iter().flat_map(|kernel| match kernel {
        Kernel::Map(nests) | Kernel::Heads { nests, .. } => nests.clone(),
        Kernel::Matmuls(products) => products.iter().flat_map(|m| m.epilogue.clone()).collect(),
        Kernel::Scan(_) | Kernel::Attend(_) | Kernel::LongConv(_) | Kernel::Reverse(_) => Vec::new(),
        Kernel::RoundRow(_) | Kernel::Commit(_) | Kernel::Loop(_) => Vec::new(),
    });
    found.collect()
}
