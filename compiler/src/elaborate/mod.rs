//! From the definition of a layer, its settings and the types of its inputs to a stream graph.
//!
//! Expressions are elaborated in one way, with and without indices: a value is a node whose leading axes run over the
//! index variables that it uses (`val::Tensor`), and operations that join values repeat them over the union of their
//! variables. What does not depend on tensors is computed at once ([`crate::known`]).
//!
//! The files below hold methods of one `Cx`, a kind of expression or statement each, which call each other as expressions
//! contain each other: recursive descent over the syntax tree.
//!
//! A recurrence whose shape is not stated is found by elaborating the layer again with what was learnt (`recur.rs`).

mod affine;
mod attend;
mod attend_options;
mod attend_stages;
mod backward;
mod bind;
mod blame;
mod body;
mod builtin;
mod call;
mod children;
mod choose;
mod clock;
mod clock_ops;
mod clocks;
mod compact;
mod complex;
mod cut;
mod cx;
mod derivatives;
mod dims;
mod direction;
mod doubt;
mod elementwise;
mod expr;
mod filter;
mod gather;
mod grad;
mod index;
mod infer;
mod join;
mod limits;
mod lists;
mod memory;
mod names;
mod origin;
mod pair;
mod policy;
mod recur;
mod refuse;
mod request;
mod rotary;
mod shape;
mod unknown;
mod val;

pub(crate) use body::defined;
pub(crate) use children::children;
pub(crate) use clock::last_of_segment;
pub(crate) use policy::mentions;
pub use request::{CacheUse, Given, Part, PolicyUse, Request, TRACE, block_prefix, stream_names};

use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use cx::Cx;
use seqc_ir::Graph;

/// How often a layer is elaborated again to find the shapes of its recurrences.
const MAX_PASSES: usize = 12;

/// Whether a function is part of the language.
pub fn is_built_in(name: &str) -> bool {
    builtin::is_builtin(name)
}

/// A layer in its blocks.
#[derive(Clone, Debug)]
pub struct Elaborated {
    /// What it computes at tokens. Behind its inputs of tokens are the results of `rows`.
    pub graph: Graph,
    /// What it computes for each row of the memory, from its inputs of the memory.
    pub rows: Option<Graph>,
    /// Values of all settings, defaults among them: of each block from the outside in, then of the layer.
    pub settings: Vec<Vec<(String, Known)>>,
    /// Values of all settings of the policy of its caches.
    pub policy: Vec<(String, Known)>,
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

fn finish(mut cx: Cx<'_>) -> Result<Elaborated, Vec<Diagnostic>> {
    if cx.diagnostics.is_empty() {
        cx.turn();
    }
    if cx.diagnostics.is_empty() {
        let Some(cut) = memory::cut(&cx.graph, &cx.declared, &cx.request.of_memory) else {
            cx.joined_with_memory(cx.request.layer.place);
            return Err(cx.diagnostics);
        };
        let memory::Cut { graph, rows } = cut;
        let both = || rows.iter().chain([&graph]);
        let violations: Vec<_> = both().flat_map(seqc_ir::verify::verify).collect();
        if violations.is_empty() {
            both()
                .try_for_each(|graph| limits::check(graph, cx.request))
                .map_err(|d| vec![d])?;
            return Ok(Elaborated {
                graph,
                rows,
                settings: cx.settings,
                policy: cx.policy_settings,
                warnings: cx.warnings,
            });
        }
        let place = cx.request.layer.place;
        cx.diagnostics = violations
            .iter()
            .take(3)
            .map(|v| Diagnostic::new("internal", place, format!("this is a bug in seqc: {v}")))
            .collect();
    }
    let mut diagnostics = cx.diagnostics;
    diagnostics.sort_by_key(|d| d.place().map(|p| (p.file, p.span.start)));
    diagnostics.dedup();
    Err(diagnostics)
}
