//! A whole model: plans of its layers, the module of their functions, and the descriptor that the runtime reads.

use super::{
    cx::Layer,
    layer, long_conv, products,
    slots::{self, Source},
    step::Driver,
    streams::{Place, Streams},
};
use crate::kernel::Module;
use seqc_abi::{Call, Descriptor, Elem, Encoding, Level, ParamSlot, Rows, RowsAt, StateKind, StateSlot, Stream};
use seqc_ir::{Graph, Model, Ty, Value};
use seqc_passes::{
    attention::cache_sharing::{Site, cache_sharing},
    kept::Kept,
    machine::Machine,
    plan::{Chunks, Plan, layout, native_params},
};
use std::collections::HashMap;

/// What is known about a program beside its model.
#[derive(Clone, Debug)]
pub struct Options {
    /// The level whose symbols the code has.
    pub level: Level,
    /// The processor that the code is for.
    pub machine: Machine,
    /// Longest chunk; of a model that looks ahead, the longest input.
    pub max_chunk: usize,
    /// Tokens of the smallest block of a long convolution: a power of two from 16.
    pub conv_block: usize,
    /// How chunks compute recurrences that have a matrix form.
    pub chunks: Chunks,
}

/// Kernels and descriptor of a model.
pub struct Program {
    /// The module, without the descriptor.
    pub module: Module,
    /// What the runtime must know; fields that do not follow from the graphs are empty.
    pub descriptor: Descriptor,
}

/// A model whose layers are optimised and planned.
struct Planned {
    graphs: Vec<Graph>,
    plans: Vec<Plan>,
    /// Attentions that read the cache of an earlier call, and whose.
    shared: HashMap<Site, Site>,
    /// Encoding of each parameter, and whether the runtime converts to it.
    encodings: Vec<Vec<(Encoding, bool)>>,
}

impl Planned {
    fn new(model: &Model, chunks: Chunks) -> Planned {
        let mut planned = Planned {
            graphs: Vec::new(),
            plans: Vec::new(),
            shared: HashMap::new(),
            encodings: Vec::new(),
        };
        for kind in &model.kinds {
            let mut graph = kind.graph.clone();
            seqc_passes::optimise(&mut graph);
            let native = native_params(&graph);
            let encoding = |(n, name): (usize, &String)| match Encoding::named(name) {
                Some(encoding) if native[n] && encoding != Encoding::F32 => (encoding, false),
                _ => (Encoding::F32, true),
            };
            planned
                .encodings
                .push(kind.encodings.iter().enumerate().map(encoding).collect());
            planned.plans.push(Plan::with(&graph, chunks));
            planned.graphs.push(graph);
        }
        planned.shared = cache_sharing(model, &planned.graphs);
        planned
    }

    /// Whether a call carries anything of its own from token to token.
    fn carries(&self, model: &Model, layers: &[Layer<'_>], call: usize) -> bool {
        let layer = &layers[model.calls[call].kind.0 as usize];
        layer
            .plan
            .carries(layer.graph, |v| self.shared.contains_key(&(call, v)))
    }

    fn states(&self, model: &Model, layers: &[Layer<'_>]) -> Vec<Entry> {
        let (mut states, mut firsts) = (Vec::<Entry>::new(), Vec::new());
        for (n, call) in model.calls.iter().enumerate() {
            let (layer, first) = (&layers[call.kind.0 as usize], states.len());
            firsts.push(first);
            let own = slots::manifest(layer, &call.name, first).into_iter();
            states.extend(own.map(|(slot, kept)| Entry { call: n, slot, kept }));
            for (at, source) in slots::sources(layer).iter().enumerate() {
                let Source::Cache(v, part) = source else { continue };
                let Some((owner, cache)) = self.shared.get(&(n, *v)) else {
                    continue;
                };
                let of_owner = &layers[model.calls[*owner].kind.0 as usize];
                let entry = slots::index_of(
                    of_owner,
                    |s| matches!(s, Source::Cache(w, m) if w == cache && m == part),
                );
                let with = firsts[*owner] + entry;
                let bound = format!("that of {}", states[with].slot.layer);
                let shared = &mut states[first + at];
                (shared.slot.bound, shared.slot.kind) = (bound, StateKind::Shared { with });
                shared.kept = Kept::Elsewhere;
            }
        }
        states
    }

    /// Attentions of a kind that read another's cache in some call.
    fn readers(&self, model: &Model, kind: usize) -> Vec<Value> {
        let of_kind = self
            .shared
            .keys()
            .filter(|(call, _)| model.calls[*call].kind.0 as usize == kind);
        let mut found: Vec<Value> = of_kind.map(|(_, v)| *v).collect();
        found.sort_unstable();
        found.dedup();
        // Each has a bit in a word; what more there is appends the same rows once again.
        found.truncate(62);
        found
    }

    fn layers<'a>(&'a self, model: &Model, options: &'a Options) -> Vec<Layer<'a>> {
        let layer = |n: usize| Layer {
            readers: self.readers(model, n),
            selecting: products::selecting(&self.graphs[n]),
            graph: &self.graphs[n],
            plan: &self.plans[n],
            name: format!("layer{n}"),
            encodings: self.encodings[n].iter().map(|(encoding, _)| *encoding).collect(),
            machine: &options.machine,
            max_chunk: options.max_chunk,
            conv_block: options.conv_block,
        };
        (0..self.graphs.len()).map(layer).collect()
    }
}

/// Writes the code of a model.
pub fn program(model: &Model, options: &Options) -> Program {
    let planned = Planned::new(model, options.chunks);
    let layers = planned.layers(model, options);
    let carries: Vec<bool> = (0..model.calls.len())
        .map(|n| planned.carries(model, &layers, n))
        .collect();
    let streams = Streams::new(model, &carries, options.max_chunk);
    let layouts: Vec<_> = layers
        .iter()
        .map(|l| layout(l.graph, l.plan, options.max_chunk))
        .collect();
    let constants: Vec<usize> = layers
        .iter()
        .zip(&layouts)
        .map(|(l, layout)| layout.constants + long_conv::prepared_bytes(l))
        .collect();
    let states: Vec<usize> = layers.iter().map(|l| slots::sources(l).len()).collect();
    let driver = Driver {
        model,
        layers: &layers,
        streams: &streams,
        constants: &constants,
        states: &states,
        shared: &planned.shared,
        level: options.level,
    };
    let mut module = Module::default();
    crate::kernels::copy(&mut module, options.machine.lanes);
    for l in &layers {
        layer::add(l, &mut module);
    }
    driver.add(&mut module);
    let one = layers.iter().map(|l| layout(l.graph, l.plan, 1).arena);
    let arena = layouts.iter().map(|l| l.arena).chain(one).max().unwrap_or(0);
    let descriptor = Descriptor {
        params: params(model, &planned),
        states: planned.states(model, &layers).into_iter().map(|e| e.slot).collect(),
        calls: calls(model, &streams),
        constant_bytes: driver.constant_bytes(),
        arena_bytes: streams.bytes + arena,
        max_chunk: options.max_chunk,
        scratch_bytes: layers.iter().map(layer::scratch_bytes).max().unwrap_or(0),
        ..blank(model)
    };
    Program { module, descriptor }
}

/// An entry of the state manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The call that it belongs to, by its number.
    pub call: usize,
    /// How it is laid out.
    pub slot: StateSlot,
    /// What it takes, as a closed form.
    pub kept: Kept,
}

/// What every sequence of a model carries from chunk to chunk.
pub fn manifest(model: &Model, options: &Options) -> Vec<Entry> {
    let planned = Planned::new(model, options.chunks);
    planned.states(model, &planned.layers(model, options))
}

fn params(model: &Model, planned: &Planned) -> Vec<ParamSlot> {
    let mut slots = Vec::new();
    for call in &model.calls {
        let kind = call.kind.0 as usize;
        let graph = &planned.graphs[kind];
        for ((source, port), (encoding, convert)) in call.params.iter().zip(&graph.params).zip(&planned.encodings[kind])
        {
            slots.push(ParamSlot {
                name: source.name.clone(),
                tensors: source.tensors.clone(),
                shape: port.ty.sizes(),
                encoding: *encoding,
                convert: *convert,
            });
        }
    }
    slots
}

/// Where each call leaves the vectors that it computes.
fn calls(model: &Model, streams: &Streams) -> Vec<Call> {
    let rows = |stream: &seqc_ir::StreamId| {
        let (place, ty) = (streams.places[stream.0 as usize], &streams.types[stream.0 as usize]);
        let at = match place {
            Place::Arena(offset) => RowsAt::Arena(offset),
            Place::Output(n) => RowsAt::Output(n),
            Place::Input(_) => return None,
        };
        let width = ty.len();
        (ty.elem == seqc_ir::Elem::F32).then_some(Rows { at, width })
    };
    let call = |call: &seqc_ir::Call| Call {
        layer: call.name.clone(),
        results: call.results.iter().filter_map(rows).collect(),
    };
    model.calls.iter().map(call).collect()
}

/// The part of a descriptor that says what goes in and out.
fn blank(model: &Model) -> Descriptor {
    let types = super::streams::types_of_outputs(model);
    let stream = |name: &str, ty: &Ty| Stream {
        name: name.to_owned(),
        shape: ty.sizes(),
        elem: if ty.elem == seqc_ir::Elem::I64 {
            Elem::I64
        } else {
            Elem::F32
        },
        vocab: None,
    };
    Descriptor {
        version: 1,
        model: model.name.clone(),
        hash: String::new(),
        tool: String::new(),
        target: String::new(),
        weights: None,
        random: None,
        tokenizer: None,
        inside: false,
        causal: model.is_causal(),
        ends: Vec::new(),
        max_context: None,
        trained_length: None,
        inputs: model.inputs.iter().map(|i| stream(&i.name, &i.ty)).collect(),
        outputs: model
            .outputs
            .iter()
            .zip(&types)
            .map(|((name, _), ty)| stream(name, ty))
            .collect(),
        params: Vec::new(),
        states: Vec::new(),
        calls: Vec::new(),
        constant_bytes: 0,
        arena_bytes: 0,
        max_chunk: 0,
        scratch_bytes: 0,
    }
}
