//! Streams between layers: which calls only map rows to rows, and the memory of each stream.

use seqc_ir::{Between, Elem, Model, StreamId, Ty};
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
    /// Where the tables of clocked parts begin in the arena.
    pub(super) tables: usize,
    /// Bytes of the arena that streams and these tables take.
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
    /// Places the streams, and so many bytes of tables behind them.
    pub(super) fn new(planned: &PlannedModel<'_>, table_bytes: usize) -> Streams {
        let model = planned.model;
        let types = model.stream_types();
        let tail = planned.tail().max(model.memory.calls);
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
        let tables = place(planned, &types, &mut places);
        let bytes = tables + table_bytes;
        let of = |n: u32| places.get(&StreamId(n)).copied().unwrap_or(Place::Arena(0));
        Streams {
            places: (0..model.streams).map(of).collect(),
            types,
            tables,
            bytes,
            tail,
            copies,
        }
    }
}

/// Types of a model's results.
pub(super) fn types_of_outputs(model: &Model) -> Vec<Ty> {
    let types = model.stream_types();
    model.outputs.iter().map(|(_, s)| types[s.0 as usize].clone()).collect()
}

/// Memory of a stream in the arena.
struct Allocation {
    offset: usize,
    size: usize,
    /// The last call that reads or writes it.
    last_use: usize,
}

/// Streams that are defined when each call runs: those that enter clocked parts there, its results, and those that leave parts behind it.
fn defined(model: &Model) -> Vec<Vec<StreamId>> {
    let mut defined: Vec<Vec<StreamId>> = vec![Vec::new(); model.calls.len()];
    for part in &model.clocked {
        defined[part.calls.start].extend(part.enter.iter().map(|enter| enter.to));
    }
    for (streams, call) in defined.iter_mut().zip(&model.calls) {
        streams.extend(&call.results);
    }
    for part in &model.clocked {
        defined[part.calls.end - 1].extend(part.leave.iter().map(|leave| leave.to));
    }
    defined
}

/// The last call at which each stream is read or written. What crosses into a clocked part is read when it begins, and what decides or passes when it ends.
fn last_uses(model: &Model, defined: &[Vec<StreamId>]) -> HashMap<StreamId, usize> {
    let mut last_use: HashMap<StreamId, usize> = HashMap::new();
    let mut used = |stream: StreamId, at: usize| {
        let last = last_use.entry(stream).or_insert(at);
        *last = at.max(*last);
    };
    for (n, call) in model.calls.iter().enumerate() {
        // Rows of the memory are kept when they are computed, and not read again.
        let graph = model.graph(call);
        let args = call.args.iter().enumerate().filter(|(n, _)| !graph.is_memory_input(*n));
        args.for_each(|(_, stream)| used(*stream, n));
        defined[n].iter().for_each(|stream| used(*stream, n));
    }
    for part in &model.clocked {
        let (first, last) = (part.calls.start, part.calls.end - 1);
        part.enter.iter().for_each(|enter| used(enter.from, first));
        used(part.condition, last);
        for leave in &part.leave {
            used(leave.from, last);
            if let Between::Pass(stream) = leave.between {
                used(stream, last);
            }
        }
    }
    for (_, stream) in &model.outputs {
        used(*stream, model.calls.len());
    }
    last_use
}

/// Puts streams that are not inputs or results into the arena; those that are never needed at the same time share.
fn place(planned: &PlannedModel<'_>, types: &[Ty], places: &mut HashMap<StreamId, Place>) -> usize {
    let (model, line) = (planned.model, planned.settings.machine.memory.line);
    let defined = defined(model);
    let last_use = last_uses(model, &defined);
    let mut live: Vec<Allocation> = Vec::new();
    let mut bytes = 0;
    for (n, streams) in defined.iter().enumerate() {
        live.retain(|a| a.last_use >= n);
        for stream in streams {
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
