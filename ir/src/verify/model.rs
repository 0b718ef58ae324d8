//! Laws of models.

use super::{
    clocked::{Clocks, nesting},
    report::Violation,
    verify,
};
use crate::{Call, Model, StreamId, Ty};
use std::collections::{HashMap, HashSet};

/// All violations of a model and its layer graphs, none when it is well formed.
pub fn verify_model(model: &Model) -> Vec<Violation> {
    let mut report = ModelReport {
        model,
        violations: Vec::new(),
        streams: HashMap::new(),
        of_memory: HashSet::new(),
        clocks: Clocks::default(),
    };
    report.violations.extend(nesting(model));
    for (n, kind) in model.kinds.iter().enumerate() {
        report.violations.extend(verify(&kind.graph));
        let (params, encodings) = (kind.graph.params.len(), kind.encodings.len());
        report.require(params == encodings, 14, || {
            format!("layer{n} has {params} parameters and {encodings} encodings")
        });
        for encoding in kind.encodings.iter().filter(|encoding| !encoding.is_native()) {
            report.require(false, 14, || {
                format!("layer{n} has a parameter of {encoding}, which generated code does not read")
            });
        }
    }
    for input in model.memory.inputs.iter().chain(&model.inputs) {
        report.define(input.stream, input.ty.clone());
    }
    report.memory();
    // The types of streams come from graphs: only sound ones have them.
    if report.violations.is_empty() {
        for (n, call) in model.calls.iter().enumerate() {
            report.begin_parts(n);
            report.call(call);
            report.rows(call, n < model.memory.calls);
            report.end_parts(n);
        }
    }
    if report.violations.is_empty() {
        report.outputs();
    }
    report.violations
}

pub(super) struct ModelReport<'m> {
    pub(super) model: &'m Model,
    violations: Vec<Violation>,
    /// Types of the streams defined so far.
    pub(super) streams: HashMap<StreamId, Ty>,
    /// Those with a value for each row of the memory.
    pub(super) of_memory: HashSet<StreamId>,
    pub(super) clocks: Clocks,
}

impl ModelReport<'_> {
    pub(super) fn require(&mut self, holds: bool, law: u8, message: impl FnOnce() -> String) {
        if !holds {
            let graph = self.model.name.clone();
            self.violations.push(Violation {
                law,
                graph,
                message: message(),
                node: None,
            });
        }
    }

    /// Law 16.
    pub(super) fn define(&mut self, stream: StreamId, ty: Ty) {
        let streams = self.model.streams;
        self.require(stream.0 < streams, 16, || {
            format!("{stream} is beyond the model's {streams} streams")
        });
        let fresh = self.streams.insert(stream, ty).is_none();
        self.require(fresh, 16, || format!("{stream} is defined twice"));
    }

    /// Law 20 for inputs.
    fn memory(&mut self) {
        let memory = &self.model.memory;
        let (calls, all) = (memory.calls, self.model.calls.len());
        self.require(calls <= all, 20, || {
            format!("{calls} of {all} calls are those of the memory")
        });
        let some = calls == 0 || !memory.inputs.is_empty();
        self.require(some, 20, || "the memory has calls and no input".to_owned());
        self.of_memory = memory.inputs.iter().map(|input| input.stream).collect();
    }

    /// Law 20 for one call.
    fn rows(&mut self, call: &Call, of_memory: bool) {
        let Some(kind) = self.model.kinds.get(call.kind.0 as usize) else {
            return;
        };
        for (n, arg) in call.args.iter().enumerate() {
            let takes = of_memory || kind.graph.is_memory_input(n);
            let fits = self.of_memory.contains(arg) == takes;
            let rows = |memory: bool| if memory { "rows of the memory" } else { "tokens" };
            self.require(fits, 20, || {
                format!(
                    "`{}` reads {arg} as {}, which has {}",
                    call.name,
                    rows(takes),
                    rows(!takes)
                )
            });
        }
        let attends = of_memory && (0..kind.graph.inputs.len()).any(|n| kind.graph.is_memory_input(n));
        self.require(!attends, 20, || {
            format!("`{}` of the memory attends to a memory", call.name)
        });
        if of_memory {
            self.of_memory.extend(&call.results);
        }
    }

    /// Laws 15 to 17 for one call.
    fn call(&mut self, call: &Call) {
        let Some(kind) = self.model.kinds.get(call.kind.0 as usize) else {
            return self.require(false, 15, || {
                format!("`{}` calls {}, which does not exist", call.name, call.kind)
            });
        };
        let graph = &kind.graph;
        for (what, found, expected) in [
            ("arguments", call.args.len(), graph.inputs.len()),
            ("results", call.results.len(), graph.outputs.len()),
            ("parameters", call.params.len(), graph.params.len()),
        ] {
            self.require(found == expected, 15, || {
                format!(
                    "`{}` has {found} {what}, `{}` declares {expected}",
                    call.name, graph.name
                )
            });
        }
        for param in call.params.iter().filter(|p| p.tensors.is_empty()) {
            self.require(false, 15, || format!("parameter `{}` has no source", param.name));
        }
        for (arg, input) in call.args.iter().zip(&graph.inputs) {
            let found = self.streams.get(arg).cloned();
            self.require(found.is_some(), 16, || {
                format!("`{}` reads {arg} before it is defined", call.name)
            });
            let fits = found.as_ref().is_none_or(|ty| *ty == input.ty);
            let found = found.unwrap_or(Ty::scalar(input.ty.elem));
            self.require(fits, 17, || {
                format!(
                    "`{}` gives {arg}, {found}, for `{}`, {}",
                    call.name, input.name, input.ty
                )
            });
        }
        self.at_its_clock(call);
        for (stream, (_, value)) in call.results.iter().zip(&graph.outputs) {
            self.define(*stream, graph.ty(*value).clone());
            self.clocks.place(*stream);
        }
    }

    /// Laws 16 and 18 for outputs and inputs.
    fn outputs(&mut self) {
        let model = self.model;
        self.require(!model.outputs.is_empty(), 18, || "there is no output".to_owned());
        for (name, stream) in &model.outputs {
            let defined = self.streams.contains_key(stream);
            self.require(defined, 16, || {
                format!("output `{name}` is {stream}, which nothing defines")
            });
        }
        let mut seen = HashSet::new();
        for (name, _) in &model.outputs {
            self.require(seen.insert(name), 18, || format!("two outputs are called `{name}`"));
        }
        seen.clear();
        for (_, stream) in &model.outputs {
            let of_tokens = !self.of_memory.contains(stream);
            self.require(of_tokens, 20, || format!("the output {stream} has rows of the memory"));
            let of_all = self.clocks.of(*stream).is_none();
            self.require(of_all, 23, || format!("the output {stream} has values at ticks only"));
        }
        for input in model.memory.inputs.iter().chain(&model.inputs) {
            self.require(seen.insert(&input.name), 18, || {
                format!("two inputs are called `{}`", input.name)
            });
        }
    }
}
