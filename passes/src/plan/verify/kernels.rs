//! Laws 11, 12, 13 and 16: what kernels are made of.

use super::{
    report::{Place, Report, placed, scan},
    scans,
};
use crate::{
    affine::{AffineExpr, linearise},
    plan::{
        head_parallel::reads_of_nest,
        row_of,
        stack::Stack,
        types::{BufferId, Kernel, Matmul, Nest, row_major},
    },
};
use seqc_ir::{Elem, Op, OpClass, Stage, StateId, Value};
use std::collections::HashSet;

pub(super) fn check(report: &mut Report<'_>) {
    for (place, kernel) in placed(report.plan) {
        match kernel {
            Kernel::Matmuls(matmuls) => matmuls.iter().for_each(|m| matmul(report, place, m)),
            Kernel::Attend(v) => {
                let is = matches!(report.graph.op(*v), Op::Attend(_));
                report.require(is, 13, place, || format!("{v} is no attention"));
                operands(report, place, *v);
            }
            Kernel::LongConv(v) => {
                let is = matches!(report.graph.op(*v), Op::LongConv);
                report.require(is, 13, place, || format!("{v} is no long convolution"));
                operands(report, place, *v);
            }
            Kernel::Reverse(v) => {
                let is = matches!(report.graph.op(*v), Op::Reverse);
                report.require(is, 13, place, || format!("{v} is no stream from its end"));
                report.require(matches!(place, Place::Kernel(_)), 13, place, || {
                    format!("{v} is computed inside a loop over tokens")
                });
                operands(report, place, *v);
            }
            Kernel::RoundRow(v) => {
                let is = matches!(report.graph.op(*v), Op::RoundRow(_));
                report.require(is, 13, place, || format!("{v} is no rounded row"));
                operands(report, place, *v);
            }
            Kernel::Heads {
                heads, nests, states, ..
            } if *heads > 1 => Heads {
                heads: *heads,
                written: nests.iter().map(|nest| nest.into).collect(),
                states,
                nests,
            }
            .check(report, place),
            Kernel::Heads { .. } | Kernel::Map(_) | Kernel::Scan(_) | Kernel::Loop(_) | Kernel::Commit(_) => {}
        }
        if let Some(scan) = scan(kernel) {
            scans::check(report, place, scan);
        }
    }
}

/// Whether a value is a contiguous part of a row that lies row-major.
fn is_row(report: &Report<'_>, v: Value) -> bool {
    let (graph, plan) = (report.graph, report.plan);
    let real = graph.ty(v).elem == Elem::F32;
    row_of(graph, &|at| plan.is_stored(at), v).is_some_and(|row| {
        let ty = graph.ty(row.value);
        let buffer = plan.stored.get(&row.value).map(|id| plan.buffer(*id));
        (ty.elem == Elem::F32 || !real) && buffer.is_none_or(|b| b.strides == row_major(&ty.sizes()))
    })
}

/// Law 13.
fn operands(report: &mut Report<'_>, place: Place, v: Value) {
    let stored = report.plan.is_stored(v);
    report.require(stored, 13, place, || format!("{v} is not stored"));
    for operand in report.graph.operands(v) {
        let row = is_row(report, operand);
        report.require(row, 13, place, || format!("{operand} is no contiguous part of a row"));
    }
}

/// Laws 11 and 12.
fn matmul(report: &mut Report<'_>, place: Place, matmul: &Matmul) {
    let (graph, plan) = (report.graph, report.plan);
    let rows: HashSet<usize> = matmul.products.iter().map(|v| graph.ty(*v).len()).collect();
    report.require(rows.len() == 1, 11, place, || {
        "products with different numbers of rows are computed together".to_owned()
    });
    let stacks: HashSet<Option<Stack>> = matmul.products.iter().map(|v| Stack::of(graph, *v)).collect();
    report.require(stacks.len() == 1, 11, place, || {
        "products whose matrices are chosen differently are computed together".to_owned()
    });
    for v in &matmul.products {
        let product = graph.class(*v) == OpClass::Product && plan.stage(*v) == Stage::Token;
        report.require(product, 11, place, || format!("{v} is no product for tokens"));
        report.require(plan.is_stored(*v), 11, place, || format!("{v} is not stored"));
        if let (true, [matrix, rows @ ..]) = (product, &graph.operands(*v)[..]) {
            let there = is_matrix(report, *matrix);
            report.require(there, 11, place, || format!("the matrix {matrix} is not in memory"));
            for row in rows {
                let there = is_row(report, *row);
                report.require(there, 11, place, || format!("{row} is no contiguous part of a row"));
            }
        }
    }
    let products = matmul.products.iter().filter_map(|v| plan.stored.get(v));
    let own: HashSet<BufferId> = products
        .copied()
        .chain(matmul.epilogue.iter().map(|n| n.into))
        .collect();
    for nest in &matmul.epilogue {
        let entries = graph.ty(nest.value).len();
        report.require(rows.contains(&entries) && nest.shift.is_none(), 12, place, || {
            format!("{} does not have an entry for each row of the products", nest.value)
        });
        epilogue_reads(report, place, nest, &own);
    }
}

/// True for a parameter behind reshapes, and for what is stored in rows.
fn is_matrix(report: &Report<'_>, v: Value) -> bool {
    let (graph, mut at) = (report.graph, v);
    while matches!(graph.op(at), Op::Reshape) && !report.plan.is_stored(at) {
        at = graph.operands(at)[0];
    }
    matches!(graph.op(at), Op::Param(_)) || is_row(report, at)
}

/// Law 12 for the reads of one nest, of the buffers that are computed together.
fn epilogue_reads(report: &mut Report<'_>, place: Place, nest: &Nest, own: &HashSet<BufferId>) {
    let (graph, plan) = (report.graph, report.plan);
    let index = |coords: &[AffineExpr], v: Value| linearise(coords, &graph.ty(v).sizes());
    let axes: Vec<AffineExpr> = (0..graph.ty(nest.value).rank()).map(AffineExpr::axis).collect();
    let here = index(&axes, nest.value);
    for leaf in reads_of_nest(graph, plan, nest) {
        let computed = plan.stored.get(&leaf.value).is_some_and(|id| own.contains(id));
        let same = leaf.delay == 0 && !leaf.table && index(&leaf.coords, leaf.value) == here;
        report.require(!computed || same, 12, place, || {
            format!("{} reads {} at another index or token", nest.value, leaf.value)
        });
    }
}

/// A kernel over several heads.
struct Heads<'a> {
    heads: usize,
    written: HashSet<BufferId>,
    states: &'a [StateId],
    nests: &'a [Nest],
}

impl Heads<'_> {
    /// Law 16.
    fn check(&self, report: &mut Report<'_>, place: Place) {
        let (graph, plan) = (report.graph, report.plan);
        let leads = |v: Value| graph.ty(v).dims.first().is_some_and(|d| d.size == self.heads);
        for s in self.states {
            let ty = &graph.states[s.0 as usize].ty;
            let leads = ty.dims.first().is_some_and(|d| d.size == self.heads);
            report.require(leads, 16, place, || format!("{s} has no axis of heads in front"));
        }
        for nest in self.nests {
            let whole = leads(nest.value) && nest.shift.is_none_or(|(axis, _)| axis > 0);
            report.require(whole, 16, place, || {
                format!("{} has no axis of heads in front", nest.value)
            });
            for leaf in reads_of_nest(graph, plan, nest) {
                let inside = match (plan.stored.get(&leaf.value), graph.op(leaf.value)) {
                    (Some(id), _) => self.written.contains(id) && leaf.value != nest.value,
                    (None, Op::Prev(s)) => self.states.contains(s),
                    (None, _) => false,
                };
                let own = leads(leaf.value) && leaf.coords.first() == Some(&AffineExpr::axis(0));
                report.require(!inside || own, 16, place, || {
                    format!("{} reads {} of another head", nest.value, leaf.value)
                });
            }
        }
    }
}
