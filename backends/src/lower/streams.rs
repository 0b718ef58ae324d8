//! Streams between layers: which calls only map rows to rows, and the memory of each stream.

use seqc_ir::{Elem, Model, StreamId, Ty};
use seqc_passes::{plan::free_place, planned::PlannedModel};
use std::collections::{HashMap, HashSet};

/// Where a stream's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Input `n` of the model, those of the memory behind those of tokens.
    Input(usize),
    /// Byte offset in the arena.
    Arena(usize),
    /// Result `n` of the model, whose first row is that of the first wanted token.
    Output(usize),
}

/// All streams of a model.
pub(super) struct Streams {
    /// By stream.
    pub(super) places: Vec<Place>,
    /// Types by stream.
    pub(super) types: Vec<Ty>,
    /// Bytes of the arena that streams take.
    pub(super) bytes: usize,
    /// Calls from this one on carry nothing from token to token: they run for the wanted tokens only.
    pub(super) tail: usize,
    /// Results that are not written directly to the output buffers of the runtime.
    pub(super) copies: Vec<ResultCopy>,
}

/// A result that is copied to the runtime's memory at the end of a step.
pub(super) struct ResultCopy {
    pub(super) stream: StreamId,
    /// Number of the model's result.
    pub(super) output: usize,
}

/// Bytes of one row.
pub(super) fn row_bytes(ty: &Ty) -> usize {
    ty.len() * if ty.elem == Elem::I64 { 8 } else { 4 }
}

impl Streams {
    /// Places the streams; `carries` tells for each call whether it has state of its own.
    pub(super) fn new(planned: &PlannedModel<'_>, carries: &[bool]) -> Streams {
        let model = planned.model;
        let types = types(model);
        let tail = tail(carries).max(model.memory.calls);
        let mut places: HashMap<StreamId, Place> = HashMap::new();
        for (n, input) in model.inputs.iter().chain(&model.memory.inputs).enumerate() {
            places.insert(input.stream, Place::Input(n));
        }
        let of_tail: HashSet<StreamId> = model.calls[tail..]
            .iter()
            .flat_map(|c| c.results.iter().copied())
            .collect();
        let mut copies = Vec::new();
        for (n, (_, stream)) in model.outputs.iter().enumerate() {
            if of_tail.contains(stream) && !places.contains_key(stream) {
                places.insert(*stream, Place::Output(n));
            } else {
                copies.push(ResultCopy {
                    stream: *stream,
                    output: n,
                });
            }
        }
        let bytes = place(planned, &types, &mut places);
        let of = |n: u32| places.get(&StreamId(n)).copied().unwrap_or(Place::Arena(0));
        Streams {
            places: (0..model.streams).map(of).collect(),
            types,
            bytes,
            tail,
            copies,
        }
    }
}

fn types(model: &Model) -> Vec<Ty> {
    let mut types = vec![Ty::scalar(Elem::F32); model.streams as usize];
    for input in model.inputs.iter().chain(&model.memory.inputs) {
        types[input.stream.0 as usize] = input.ty.clone();
    }
    for call in &model.calls {
        let graph = model.graph(call);
        for (stream, (_, v)) in call.results.iter().zip(&graph.outputs) {
            types[stream.0 as usize] = graph.ty(*v).clone();
        }
    }
    types
}

/// Types of a model's results.
pub(super) fn types_of_outputs(model: &Model) -> Vec<Ty> {
    let types = types(model);
    model.outputs.iter().map(|(_, s)| types[s.0 as usize].clone()).collect()
}

/// The first call of the longest part at the end in which every call maps rows to rows.
fn tail(carries: &[bool]) -> usize {
    carries.iter().rposition(|carries| *carries).map_or(0, |last| last + 1)
}

/// Memory of a stream in the arena.
struct Allocation {
    offset: usize,
    size: usize,
    /// The last call that reads or writes it.
    last_use: usize,
}

/// Puts streams that are not inputs or results into the arena; those that are never needed at the same time share.
fn place(planned: &PlannedModel<'_>, types: &[Ty], places: &mut HashMap<StreamId, Place>) -> usize {
    let (model, line) = (planned.model, planned.settings.machine.memory.line);
    let mut last_use: HashMap<StreamId, usize> = HashMap::new();
    for (n, call) in model.calls.iter().enumerate() {
        // Rows of the memory are kept when they are computed, and not read again.
        let graph = model.graph(call);
        let args = call.args.iter().enumerate().filter(|(n, _)| !graph.is_memory_input(*n));
        for stream in args.map(|(_, stream)| stream).chain(&call.results) {
            last_use.insert(*stream, n);
        }
    }
    for (_, stream) in &model.outputs {
        last_use.insert(*stream, model.calls.len());
    }
    let mut live: Vec<Allocation> = Vec::new();
    let mut bytes = 0;
    for (n, call) in model.calls.iter().enumerate() {
        live.retain(|a| a.last_use >= n);
        for stream in &call.results {
            if places.contains_key(stream) {
                continue;
            }
            let size = (row_bytes(&types[stream.0 as usize]) * planned.settings.max_chunk)
                .next_multiple_of(line)
                .max(line);
            let at = free_place(live.iter().map(|a| (a.offset, a.offset + a.size)).collect(), size);
            live.push(Allocation {
                offset: at,
                size,
                last_use: last_use[stream],
            });
            places.insert(*stream, Place::Arena(at));
            bytes = bytes.max(at + size);
        }
    }
    bytes
}
