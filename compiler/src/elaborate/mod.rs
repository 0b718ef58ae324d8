//! From the definition of a layer, its settings and the types of its inputs to a stream graph.
//!
//! Expressions are elaborated in one way, with and without indices: a value is a node whose leading axes run over the
//! index variables that it uses (`val::Tensor`), and operations that join values repeat them over the union of their
//! variables. What does not depend on tensors is computed at once ([`crate::known`]).
//!
//! A recurrence whose shape is not stated is found by elaborating the layer again with what was learnt (`recur.rs`).

mod affine;
mod attend;
mod attend_options;
mod attend_stages;
mod bind;
mod blame;
mod body;
mod builtin;
mod call;
mod choose;
mod clock;
mod clock_ops;
mod compact;
mod complex;
mod cx;
mod doubt;
mod elementwise;
mod expr;
mod filter;
mod gather;
mod index;
mod infer;
mod join;
mod limits;
mod names;
mod origin;
mod pair;
mod recur;
mod refuse;
mod shape;
mod unknown;
mod val;

use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    library::{Definition, Library},
    source::Place,
};
use cx::Cx;
pub(crate) use infer::children;
use seqc_ir::{Graph, Ty};
use std::{collections::HashMap, sync::Arc};

/// Most nodes of one layer.
pub const MAX_NODES: usize = 200_000;

/// Deepest inlining of functions.
pub const MAX_INLINE: usize = 64;

/// Deepest nesting of expressions, over all inlined functions.
pub const MAX_DEPTH: usize = 3_000;

/// How often a layer is elaborated again to find the shapes of its recurrences.
const MAX_PASSES: usize = 12;

/// In front of the names of results that are reports.
pub const TRACE: &str = "trace.";

/// A value and where it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The value.
    pub value: Known,
    /// Where it stands.
    pub place: Place,
}

/// A definition with the settings that a model gives it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The definition.
    pub definition: Arc<Definition>,
    /// Given settings by name.
    pub settings: Vec<(String, Given)>,
    /// Where the model names it.
    pub place: Place,
}

/// What is to be elaborated.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Definitions that may be called.
    pub library: &'a Library,
    /// Sizes of the model, known in layers and blocks.
    pub sizes: &'a HashMap<String, Given>,
    /// The layer.
    pub layer: Part,
    /// Blocks around it, outermost first.
    pub blocks: Vec<Part>,
    /// Types of the inputs: the first argument, then those that `streams` names.
    pub inputs: Vec<Ty>,
    /// Definitions that become results beside the first.
    pub taps: Vec<(String, Place)>,
}

/// Whether a function is part of the language.
pub fn is_built_in(name: &str) -> bool {
    builtin::is_builtin(name)
}

/// Names of the streams that a layer in its blocks reads, in the order of the graph's inputs.
pub fn stream_names(layer: &Definition, blocks: &[Part]) -> Vec<String> {
    let mut names: Vec<String> = layer.def.streams.iter().map(|s| s.name.text.clone()).collect();
    for block in blocks {
        names.extend(
            block
                .definition
                .def
                .streams
                .iter()
                .skip(1)
                .filter(|s| !matches!(s.ty, seqc_grammar::ast::StreamTy::Layer))
                .map(|s| s.name.text.clone()),
        );
    }
    names
}

/// What stands before the names of the parameters of block `n`: its name, numbered where it wraps more than once.
pub fn block_prefix(blocks: &[Part], n: usize) -> String {
    let Some(block) = blocks.get(n) else {
        return String::new();
    };
    let name = &block.definition.def.name.text;
    let before = blocks[..n]
        .iter()
        .filter(|b| b.definition.def.name.text == *name)
        .count();
    match before {
        0 => format!("{name}."),
        _ => format!("{name}_{}.", before + 1),
    }
}

/// A layer in its blocks.
#[derive(Clone, Debug)]
pub struct Elaborated {
    /// What it computes.
    pub graph: Graph,
    /// Values of all settings, defaults among them: of each block from the outside in, then of the layer.
    pub settings: Vec<Vec<(String, Known)>>,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// The graph of a layer, or everything that is wrong with it.
pub fn elaborate(request: &Request<'_>) -> Result<Elaborated, Vec<Diagnostic>> {
    let mut known = cx::Learnt::default();
    for _ in 0..MAX_PASSES {
        let mut cx = Cx::new(request, known);
        cx.layer();
        let learnt = cx.learn();
        if !learnt {
            return finish(cx);
        }
        known = std::mem::take(&mut cx.learnt);
        known.passes += 1;
    }
    let place = request.layer.place;
    Err(vec![
        Diagnostic::new(
            "no-shape",
            place,
            "the shapes of this layer's recurrences do not settle",
        )
        .help("state them: `h: [n] = …`"),
    ])
}

fn finish(cx: Cx<'_>) -> Result<Elaborated, Vec<Diagnostic>> {
    let mut diagnostics = cx.diagnostics;
    if diagnostics.is_empty() {
        let graph = compact::compact(&cx.graph, &cx.declared);
        let violations = seqc_ir::verify::verify(&graph);
        if violations.is_empty() {
            limits::check(&graph, cx.request).map_err(|d| vec![d])?;
            return Ok(Elaborated {
                graph,
                settings: cx.settings,
                warnings: cx.warnings,
            });
        }
        let place = cx.request.layer.place;
        diagnostics = violations
            .iter()
            .take(3)
            .map(|v| Diagnostic::new("internal", place, format!("this is a bug in seqc: {v}")))
            .collect();
    }
    diagnostics.sort_by_key(|d| d.place().map(|p| (p.file, p.span.start)));
    diagnostics.dedup();
    Err(diagnostics)
}
