//! Laws 14 and 15: scans and their matrix form.

use super::report::{Place, Report};
use crate::{
    affine::AffineExpr,
    plan::{Chunked, Factor, Walk, scan::inner_values, types::Scan},
};
use seqc_ir::{Elem, Op, ReduceOp, Value};

/// A sum over one axis.
const SUM: Op = Op::Reduce {
    op: ReduceOp::Sum,
    axes: 1,
};

pub(super) fn check(report: &mut Report<'_>, place: Place, scan: &Scan) {
    let graph = report.graph;
    let shapes: Vec<Vec<usize>> = scan
        .states
        .iter()
        .map(|s| graph.states[s.0 as usize].ty.sizes())
        .collect();
    let sizes = &shapes[0];
    let one_shape = shapes.iter().all(|shape| shape == sizes);
    report.require(one_shape, 14, place, || "its states have different shapes".to_owned());
    let mut axes: Vec<usize> = scan.kept.iter().chain(&scan.reduced).copied().collect();
    axes.sort_unstable();
    let each = !scan.kept.is_empty() && axes.into_iter().eq(0..sizes.len());
    report.require(each, 14, place, || {
        let (kept, reduced) = (&scan.kept, &scan.reduced);
        format!(
            "{kept:?} and {reduced:?} are not the {} axes of its states",
            sizes.len()
        )
    });
    if !each {
        return;
    }
    let space: Vec<usize> = scan.kept.iter().map(|a| sizes[*a]).collect();
    for nest in &scan.outputs {
        let fits = graph.ty(nest.value).sizes() == space && nest.shift.is_none();
        report.require(fits, 14, place, || {
            format!("{} does not have the axes that are kept", nest.value)
        });
    }
    whole(report, place, scan, sizes);
    block(report, place, scan, sizes);
    if let Some(form) = &scan.chunked {
        let loops: Vec<usize> = scan.kept.iter().chain(&scan.reduced).map(|a| sizes[*a]).collect();
        let fits = scan.states.len() == 1 && scan.reduced.len() == 1 && !scan.kept.is_empty();
        report.require(fits, 15, place, || {
            "the matrix form is of one state with one reduced axis".to_owned()
        });
        if fits {
            Form { form, loops }.check(report, place);
        }
    }
}

/// Law 14: results read all of a state.
fn whole(report: &mut Report<'_>, place: Place, scan: &Scan, sizes: &[usize]) {
    let (graph, plan) = (report.graph, report.plan);
    let mut recurrences = plan.recurrences.iter();
    let Some(recurrence) = recurrences.find(|r| r.elementwise && r.states.contains(&scan.states[0])) else {
        return;
    };
    let inner = inner_values(recurrence);
    let stop = |v| inner.contains(&v) || plan.is_stored(v);
    let walk = Walk { graph, stop: &stop };
    for nest in scan.outputs.iter().filter(|nest| !inner.contains(&nest.value)) {
        for leaf in walk.leaves(nest.value) {
            let all = !inner.contains(&leaf.value) || leaf.is_whole(sizes);
            report.require(all, 14, place, || {
                format!("{} reads a part of {}", nest.value, leaf.value)
            });
        }
    }
}

/// Law 14: the block.
fn block(report: &mut Report<'_>, place: Place, scan: &Scan, sizes: &[usize]) {
    let (machine, block) = (&report.plan.settings.machine, &scan.block);
    let row = scan.kept.last().map_or(1, |a| sizes[*a]);
    let lanes = block.lanes as usize;
    let vectors = lanes > 0 && block.lanes.is_multiple_of(machine.lanes);
    let wide = block.lanes <= machine.lanes || block.lanes <= machine.scan_lanes && row.is_multiple_of(lanes);
    report.require(vectors && wide, 14, place, || {
        format!("{lanes} lanes do not fit rows of {row}")
    });
    let entries = scan.reduced.iter().map(|a| sizes[*a]).product::<usize>() * scan.states.len();
    report.require(block.entries == entries, 14, place, || {
        format!("a lane has {entries} entries, not {}", block.entries)
    });
    let registers = entries.saturating_mul(lanes / machine.lanes as usize);
    let fits = !block.in_registers || registers <= machine.state_registers();
    report.require(fits, 14, place, || {
        format!(
            "{registers} registers of state are more than {}",
            machine.state_registers()
        )
    });
}

/// The matrix form of a scan, and the sizes of its loops: heads, entries of a value, entries of a key.
struct Form<'a> {
    form: &'a Chunked,
    loops: Vec<usize>,
}

impl Form<'_> {
    /// Law 15.
    fn check(&self, report: &mut Report<'_>, place: Place) {
        let (graph, form) = (report.graph, self.form);
        let (n, p) = (self.loops.len() - 1, self.loops.len() - 2);
        let whole = |v: Value| graph.ty(graph.operands(v)[0]).sizes() == self.loops;
        report.require(!form.queries.is_empty(), 15, place, || "nothing is read".to_owned());
        for sum in form.queries.iter().map(|query| query.sum) {
            let is_sum = *graph.op(sum) == SUM && whole(sum);
            report.require(is_sum, 15, place, || format!("{sum} is no sum over all keys"));
        }
        let heads: usize = self.loops[..p].iter().product();
        let divides = form.shared > 0 && heads.is_multiple_of(form.shared);
        report.require(divides, 15, place, || {
            format!("{} heads in a row do not divide {heads}", form.shared)
        });
        let tokens = form.block > 0 && form.shortest != Some(0);
        report.require(tokens, 15, place, || "blocks and chunks have tokens".to_owned());
        report.require(!form.writes.is_empty(), 15, place, || "nothing is written".to_owned());
        let (of_key, of_value, of_head) = (&[p][..], &[n][..], &[n, p][..]);
        let of_decay = if form.diagonal { of_key } else { of_head };
        let mut products = vec![("decay", &form.decay, of_decay)];
        products.extend(form.queries.iter().map(|query| ("query", &query.factors, of_key)));
        for (number, write) in form.writes.iter().enumerate() {
            products.push(("key", &write.key, of_key));
            products.extend(write.value.iter().map(|value| ("value", &value.factors, of_value)));
            let Some(correction) = &write.correction else { continue };
            products.push(("gain", &correction.gain.factors, of_head));
            products.push(("probe", &correction.probe, of_key));
            let before = correction.after <= number;
            report.require(before, 15, place, || {
                format!("write {number} reads what comes after it")
            });
        }
        for (what, factors, apart) in products {
            for x in factors {
                let fits = self.in_range(report, x);
                report.require(fits, 15, place, || format!("{what}: {x} is no entry of {}", x.value));
                let apart = !fits || apart.iter().all(|axis| !depends(report, x, *axis));
                report.require(apart, 15, place, || format!("{what}: {x} depends on another axis"));
            }
        }
    }

    /// Whether a factor is a number at indices that are there.
    fn in_range(&self, report: &Report<'_>, x: &Factor) -> bool {
        let ty = report.graph.ty(x.value);
        let there = |(at, size): (&AffineExpr, usize)| {
            !at.uses_any(&|axis| axis >= self.loops.len()) && {
                let (lo, hi) = at.range(&self.loops);
                lo >= 0 && hi < size as i64
            }
        };
        let truth = ty.elem == Elem::Bool;
        truth == x.keeps.is_some() && x.coords.len() == ty.rank() && x.coords.iter().zip(ty.sizes()).all(there)
    }
}

/// Whether a factor depends on a loop axis: through the indices of what its value is computed from.
fn depends(report: &Report<'_>, x: &Factor, axis: usize) -> bool {
    let uses = |a: usize| x.coords[a].uses(axis);
    if report.plan.is_stored(x.value) {
        return (0..x.coords.len()).any(uses);
    }
    let stop = |v| report.plan.is_stored(v);
    let walk = Walk {
        graph: report.graph,
        stop: &stop,
    };
    let rank = x.coords.len();
    let mut leaves = walk.leaves(x.value).into_iter();
    leaves.any(|leaf| leaf.coords.iter().any(|at| at.uses_any(&|a| a < rank && uses(a))))
}
