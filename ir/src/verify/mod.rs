//! The verifier: what every graph and model must satisfy before anything reads it.
//!
//! # Laws of a graph
//! 1. Operands, results and the next values of states are nodes of the graph; `param`, `input` and `prev` name
//!    something that is declared.
//! 2. Every operation has the number of operands that it takes.
//! 3. No node depends on itself except through `prev`, and what reads later tokens does not depend on itself at all.
//! 4. Every axis has at least one entry, and a tensor at most 2^40 elements.
//! 5. Parameters and states are real; inputs are real or integer; nodes that read them have their type.
//! 6. Element types fit the operation: arithmetic on reals or integers, functions and powers on reals, logic on truth
//!    values, comparisons between equal types giving truth values; constants fit their type.
//! 7. Shapes fit the operation exactly; nothing is broadcast silently.
//! 8. A view has one index for each axis of its operand, made of existing axes, divided by positive constants,
//!    and in range for every element.
//! 9. Axes named by an operation exist; a delay is at least one token; a filter has at most 2^20 taps.
//! 10. Tables of `gather` and of attention, matrices of `matvec` and filters of `long_conv` are known when weights are loaded.
//! 11. Attention: heads are a multiple of key heads, lengths agree; `on` is a scalar truth value; streams are scalars or
//!     one value per query head; the predicate is a truth value, the score a real number, and both use only streams and
//!     tables that exist; the logarithm of the sum requires softmax, and at most [`MAX_TOP`] keys are selected.
//! 12. Every state has a next value of its own type.
//! 13. There is at least one result, and names of results, of parameters and of inputs do not repeat.
//!
//! # Laws of a model
//! 14. Every layer graph obeys the laws above and has one encoding per parameter, one that generated code reads.
//! 15. Every call names a layer and gives as many arguments, results and parameters as its graph declares;
//!     every parameter has a source.
//! 16. Streams are defined once, before they are used, and are numbered below the model's count.
//! 17. Arguments have the type of the graph's inputs.
//! 18. There is at least one output; names of inputs and of outputs do not repeat.
//!
//! # Laws of a memory
//! 19. What attention to a memory reads at its keys are inputs of the graph, which nothing else reads; such an attention is not causal.
//! 20. The calls of the memory read its inputs and one another's results; other calls read these where law 19 says so, and all else elsewhere.
//!
//! # Laws of clocked parts
//! 21. Clocked parts have calls, of tokens; two of them share none, or one lies within the other and comes later in the list.
//! 22. Calls read streams of the tokens at which they run. A clocked part has for its condition a real number at every token around it; what enters
//!     it is a stream there, and what leaves it one of its calls; a stream that passes has the type of what leaves.
//! 23. What calls of clocked parts keep does not depend on where a prompt ends, and no queries of theirs choose together. Outputs are streams of all tokens.

mod attend;
mod clocked;
mod limits;
mod model;
mod node;
mod parts;
mod policy;
mod policy_scope;
mod report;
mod typed;
mod view;

pub use limits::{MAX_DELAY, MAX_ELEMENTS, MAX_LAGS, MAX_TABLE, MAX_TOP};
pub use model::verify_model;
use report::Report;
pub use report::Violation;

use crate::{Elem, Graph, Source, Ty, Value};
use std::collections::HashSet;

/// All violations of a graph, none when it is well formed. The laws on shapes and types are checked only once the
/// graph's structure (laws 1 to 4) is sound.
pub fn verify(graph: &Graph) -> Vec<Violation> {
    let mut report = Report {
        graph,
        violations: Vec::new(),
    };
    references(&mut report);
    if report.violations.is_empty() {
        structure(&mut report);
    }
    if report.violations.is_empty() {
        ports(&mut report);
        let stages = graph.stages();
        for value in graph.values() {
            node::check(&mut report, &stages, value);
        }
        states(&mut report);
    }
    report.violations
}

/// Law 1.
fn references(report: &mut Report<'_>) {
    let graph = report.graph;
    for (n, state) in graph.states.iter().enumerate() {
        if let Some(next) = state.next.filter(|v| !graph.contains(*v)) {
            report.general(1, format!("the next value {next} of state @{n} is not in the graph"));
        }
    }
    for (name, value) in &graph.outputs {
        if !graph.contains(*value) {
            report.general(1, format!("the result `{name}`, {value}, is not in the graph"));
        }
    }
    for value in graph.values() {
        let (declared, what) = match graph.op(value).source() {
            Some(Source::Param(n)) => (n < graph.params.len(), "parameter"),
            Some(Source::Input(n)) => (n < graph.inputs.len(), "input"),
            Some(Source::State(s)) => ((s.0 as usize) < graph.states.len(), "state"),
            None => continue,
        };
        report.require(declared, 1, value, || format!("there is no such {what}"));
    }
}

/// Laws 2 to 4.
fn structure(report: &mut Report<'_>) {
    let graph = report.graph;
    let sizes = |ty: &Ty| {
        let total = ty.dims.iter().try_fold(1_usize, |n, d| n.checked_mul(d.size));
        ty.dims.iter().all(|d| d.size > 0) && total.is_some_and(|n| n <= MAX_ELEMENTS)
    };
    for value in graph.values() {
        let (found, arity) = (graph.operands(value).len(), graph.op(value).row().arity);
        let (least, fits) = (*arity.start(), arity.contains(&found));
        report.require(fits, 2, value, || match least == *arity.end() {
            true => format!("takes {least} operands, has {found}"),
            false => format!("takes {least} operands or more, has {found}"),
        });
        let message = || format!("no axis may be empty, and a tensor has at most {MAX_ELEMENTS} elements");
        report.require(sizes(graph.ty(value)), 4, value, message);
    }
    let declared = graph.params.iter().chain(&graph.inputs).map(|p| (&p.name, &p.ty));
    for (name, ty) in declared.chain(graph.states.iter().map(|s| (&s.name, &s.ty))) {
        if !sizes(ty) {
            report.general(
                4,
                format!("`{name}` has an empty axis or more than {MAX_ELEMENTS} elements: {ty}"),
            );
        }
    }
    let order = graph.order();
    if order.len() < graph.values().len() {
        let placed: HashSet<_> = order.into_iter().collect();
        for value in graph.values().into_iter().filter(|v| !placed.contains(v)) {
            report.at(3, value, "depends on itself, or on a node that does");
        }
    } else if graph.reads_later() {
        let cycles = graph.cycles();
        let looped = |v: &Value| graph.op(*v).reads_later() && cycles.values[v.0 as usize].is_some();
        for value in graph.values().into_iter().filter(looped) {
            report.at(3, value, "reads later tokens and depends on itself");
        }
    }
}

/// Laws 5 and 13.
fn ports(report: &mut Report<'_>) {
    let graph = report.graph;
    for port in graph.params.iter().filter(|p| p.ty.elem != Elem::F32) {
        report.general(5, format!("parameter `{}` is {}, not real", port.name, port.ty.elem));
    }
    for port in graph.inputs.iter().filter(|p| p.ty.elem == Elem::Bool) {
        report.general(
            5,
            format!("input `{}` is {}, neither real nor integer", port.name, port.ty.elem),
        );
    }
    for state in graph.states.iter().filter(|s| s.ty.elem != Elem::F32) {
        report.general(5, format!("state `{}` is {}, not real", state.name, state.ty.elem));
    }
    if graph.outputs.is_empty() {
        report.general(13, "there is no result");
    }
    distinct(report, "result", graph.outputs.iter().map(|(name, _)| name));
    distinct(report, "parameter", graph.params.iter().map(|p| &p.name));
    distinct(report, "input", graph.inputs.iter().map(|p| &p.name));
}

fn distinct<'a>(report: &mut Report<'_>, what: &str, names: impl Iterator<Item = &'a String>) {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            report.general(13, format!("two {what}s are called `{name}`"));
        }
    }
}

/// Law 12.
fn states(report: &mut Report<'_>) {
    let graph = report.graph;
    for (n, state) in graph.states.iter().enumerate() {
        match state.next {
            None => report.general(12, format!("state @{n} `{}` has no next value", state.name)),
            Some(next) => {
                let message = || format!("is the next value of state @{n} `{}`, a {}", state.name, state.ty);
                report.require(*graph.ty(next) == state.ty, 12, next, message);
            }
        }
    }
}
