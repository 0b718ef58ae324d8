//! Laws 2 to 5, 10 and 18: what buffers are, and what writes them.

use super::report::{Report, nests, placed};
use crate::plan::{
    materialize::unshaped,
    native_params,
    types::{Buffer, BufferId, Extent, Kernel, Nest, row_major},
};
use seqc_ir::{Op, Stage, StateId, Value};

pub(super) fn check(report: &mut Report<'_>) {
    let plan = report.plan;
    let definitions = definitions(report);
    for (n, buffer) in plan.buffers.iter().enumerate() {
        strides(report, BufferId(n), buffer);
        defined(report, BufferId(n), &definitions[n]);
    }
    state_axes(report);
    constants(report);
    results(report);
    encodings(report);
}

/// Law 2: sorted by their strides, each axis steps over all entries of those before it.
fn strides(report: &mut Report<'_>, id: BufferId, buffer: &Buffer) {
    let sizes = report.graph.ty(buffer.value).sizes();
    let mut axes: Vec<(i64, usize)> = buffer
        .strides
        .iter()
        .copied()
        .zip(sizes)
        .filter(|(_, n)| *n > 1)
        .collect();
    axes.sort_unstable();
    let mut step = 1;
    for (stride, size) in axes {
        report.require(stride == step, 2, id, || {
            format!("with strides {:?} entries lie on each other or apart", buffer.strides)
        });
        step = stride * size as i64;
    }
}

/// Law 3.
fn state_axes(report: &mut Report<'_>) {
    for (n, order) in report.plan.state_axes.iter().enumerate() {
        let rank = report.graph.states[n].ty.rank();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        report.require(sorted.into_iter().eq(0..rank), 3, StateId(n as u32), || {
            format!("{order:?} is no order of {rank} axes")
        });
    }
}

/// What writes a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Definition {
    /// All of it, with this value.
    Whole(Value),
    /// A part: the axis, where it begins there, and its value.
    Part(usize, usize, Value),
}

/// The definitions of every buffer.
fn definitions(report: &Report<'_>) -> Vec<Vec<Definition>> {
    let plan = report.plan;
    let mut found = vec![Vec::new(); plan.buffers.len()];
    let of_nest = |nest: &Nest| match nest.shift {
        None => Definition::Whole(nest.value),
        Some((axis, from)) => Definition::Part(axis, from, nest.value),
    };
    let placed = placed(plan);
    let of_kernels = placed.iter().flat_map(|(_, kernel)| nests(kernel));
    for nest in plan.load.iter().chain(of_kernels) {
        found[nest.into.0].push(of_nest(nest));
    }
    for (_, kernel) in &placed {
        let values: Vec<Value> = match kernel {
            Kernel::Matmuls(matmuls) => matmuls.iter().flat_map(|m| &m.products).copied().collect(),
            Kernel::Attend(v) | Kernel::LongConv(v) | Kernel::Reverse(v) | Kernel::RoundRow(v) => vec![*v],
            Kernel::Map(_) | Kernel::Scan(_) | Kernel::Heads { .. } | Kernel::Loop(_) | Kernel::Commit(_) => Vec::new(),
        };
        for v in values {
            if let Some(id) = plan.stored.get(&v) {
                found[id.0].push(Definition::Whole(v));
            }
        }
    }
    found
}

/// Law 4.
fn defined(report: &mut Report<'_>, id: BufferId, found: &[Definition]) {
    let (graph, value) = (report.graph, report.plan.buffer(id).value);
    if let [Definition::Whole(v)] = found {
        return report.require(*v == value, 4, id, || format!("{v} is written where {value} belongs"));
    }
    let Op::Concat { axis } = graph.op(value) else {
        return report.require(false, 4, id, || format!("written by {} definitions", found.len()));
    };
    let mut from = 0;
    let parts = graph.operands(value).into_iter().map(|o| {
        from += graph.ty(o).dims[*axis].size;
        Definition::Part(*axis, from - graph.ty(o).dims[*axis].size, o)
    });
    let mut sorted = found.to_vec();
    sorted.sort_unstable();
    report.require(sorted.into_iter().eq(parts), 4, id, || {
        "not every part of the concatenation is written once, where it belongs".to_owned()
    });
}

/// Law 5.
fn constants(report: &mut Report<'_>) {
    let plan = report.plan;
    let constant = |id: BufferId| plan.buffer(id).extent == Extent::Constant;
    for nest in &plan.load {
        report.require(constant(nest.into), 5, nest.into, || {
            "a load nest writes what is no constant".to_owned()
        });
        let known = plan.stage(nest.value) == Stage::Load;
        report.require(known, 5, nest.into, || format!("{} depends on tokens", nest.value));
    }
    for (place, kernel) in placed(plan) {
        for id in plan.writes(kernel) {
            report.require(!constant(id), 5, place, || {
                format!("the constant {id} is written for tokens")
            });
        }
    }
}

/// Law 10.
fn results(report: &mut Report<'_>) {
    let (graph, plan) = (report.graph, report.plan);
    let mut counts = vec![0; graph.outputs.len()];
    for (n, buffer) in plan.buffers.iter().enumerate() {
        let Some(output) = buffer.output else { continue };
        counts[output] += 1;
        let (name, value) = &graph.outputs[output];
        report.require(buffer.value == unshaped(graph, *value), 10, BufferId(n), || {
            format!("result `{name}` is {value}")
        });
        let plain = buffer.extent == Extent::PerToken
            && buffer.history == 0
            && buffer.state.is_none()
            && buffer.strides == row_major(&graph.ty(buffer.value).sizes());
        report.require(plain, 10, BufferId(n), || {
            format!("result `{name}` is no row-major row for every token")
        });
    }
    for (count, (name, _)) in counts.into_iter().zip(&graph.outputs) {
        report.require(count == 1, 10, "results", || format!("`{name}` has {count} buffers"));
    }
}

/// Law 18.
fn encodings(report: &mut Report<'_>) {
    let (graph, plan) = (report.graph, report.plan);
    let allowed = native_params(graph).into_iter().zip(&plan.native_params);
    for ((allowed, native), param) in allowed.zip(&graph.params) {
        report.require(allowed || !native, 18, format!("`{}`", param.name), || {
            "its entries are read one by one, but it stays in the encoding of the checkpoint".to_owned()
        });
    }
}
