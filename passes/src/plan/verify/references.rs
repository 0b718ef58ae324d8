//! Law 1: everything that a plan names is there.

use super::report::{Place, Report, nests, placed, scan, states};
use crate::plan::types::{Buffer, BufferId, Kernel, Nest};
use seqc_ir::{StateId, Value};

pub(super) fn check(report: &mut Report<'_>) {
    let (graph, plan) = (report.graph, report.plan);
    for (n, buffer) in plan.buffers.iter().enumerate() {
        check_buffer(report, BufferId(n), buffer);
    }
    for (v, id) in &plan.stored {
        let there = plan.buffers.get(id.0).is_some_and(|b| b.value == *v);
        report.require(there, 1, id, || format!("this is not the buffer of {v}"));
    }
    let axes = plan.state_axes.len() == graph.states.len();
    report.require(axes, 1, "states", || "not every state has an order of axes".to_owned());
    let params = plan.native_params.len() == graph.params.len();
    report.require(params, 1, "parameters", || {
        "another number than that of the graph".to_owned()
    });
    for nest in &plan.load {
        check_nest(report, Place::Load, nest);
    }
    for (place, kernel) in placed(plan) {
        nests(kernel)
            .into_iter()
            .for_each(|nest| check_nest(report, place, nest));
        check_kernel(report, place, kernel);
    }
}

fn check_buffer(report: &mut Report<'_>, id: BufferId, buffer: &Buffer) {
    let graph = report.graph;
    value(report, id, buffer.value);
    if graph.contains(buffer.value) {
        let ty = graph.ty(buffer.value);
        let fits = (buffer.len, buffer.elem, buffer.strides.len()) == (ty.len(), ty.elem, ty.rank());
        report.require(fits, 1, id, || {
            let (elem, len, axes) = (buffer.elem, buffer.len, buffer.strides.len());
            format!("{elem}[{len}] with {axes} strides does not hold {ty}")
        });
    }
    let results = graph.outputs.len();
    report.require(buffer.output.is_none_or(|n| n < results), 1, id, || {
        format!("there are {results} results")
    });
    buffer.state.iter().for_each(|s| state(report, id, *s));
}

fn value(report: &mut Report<'_>, place: impl std::fmt::Display, v: Value) {
    let there = report.graph.contains(v);
    report.require(there, 1, place, || format!("{v} is not in the graph"));
}

fn state(report: &mut Report<'_>, place: impl std::fmt::Display, s: StateId) {
    let state = report.graph.states.get(s.0 as usize);
    let there = state.is_some_and(|state| state.next.is_some());
    report.require(there, 1, place, || format!("{s} is no state with a next value"));
}

fn check_nest(report: &mut Report<'_>, place: Place, nest: &Nest) {
    value(report, place, nest.value);
    let there = nest.into.0 < report.plan.buffers.len();
    report.require(there, 1, place, || format!("there is no {}", nest.into));
}

fn check_kernel(report: &mut Report<'_>, place: Place, kernel: &Kernel) {
    states(kernel).iter().for_each(|s| state(report, place, *s));
    match kernel {
        Kernel::Matmuls(matmuls) => {
            let products = matmuls.iter().flat_map(|m| &m.products);
            products.for_each(|v| value(report, place, *v));
        }
        Kernel::Attend(v) | Kernel::LongConv(v) | Kernel::Reverse(v) | Kernel::RoundRow(v) => value(report, place, *v),
        Kernel::Map(_) | Kernel::Scan(_) | Kernel::Heads { .. } | Kernel::Loop(_) | Kernel::Commit(_) => {}
    }
    let Some(scan) = scan(kernel) else { return };
    report.require(!scan.states.is_empty(), 1, place, || "a scan without states".to_owned());
    scan.states.iter().for_each(|s| state(report, place, *s));
    scan.outputs.iter().for_each(|nest| check_nest(report, place, nest));
    if let Some(form) = &scan.chunked {
        form.queries.iter().for_each(|query| value(report, place, query.sum));
        form.factors().for_each(|x| value(report, place, x.value));
    }
}
