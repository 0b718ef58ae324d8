//! A whole planned model: the module of its layers' functions, and the descriptor that the runtime reads.

use super::{
    clocked,
    cx::Layer,
    decode::Sampled,
    layer, long_conv,
    slots::{self, Source},
    step::Driver,
    streams::{Place, Streams},
};
use crate::{kernel::Module, schedule::Schedule, targets::TargetInfo};
use seqc_abi::{Call, Descriptor, Elem, Level, Memory, ParamSlot, Rows, RowsAt, StateKind, StateOf, StateSlot, Stream};
use seqc_formats::Encoding;
use seqc_ir::{Model, ModelInput, Ty};
use seqc_passes::{
    attention::{caches::Site, clock_rate::ClockRate},
    kept::Kept,
    plan::{Kernel, Plan, layout},
    planned::PlannedModel,
};

/// Kernels and descriptor of a model.
pub struct Program {
    /// The module, without the descriptor.
    pub module: Module,
    /// The descriptor for the runtime; fields that do not follow from the graphs are empty.
    pub descriptor: Descriptor,
}

/// Writes the code of a planned model under the symbols of a level.
pub fn program(planned: &PlannedModel<'_>, level: Level) -> Program {
    let (model, max_chunk) = (planned.model, planned.settings.max_chunk);
    let layers = layers(planned);
    let streams = Streams::new(planned, clocked::table_bytes(planned));
    let layouts: Vec<_> = layers.iter().map(|l| layout(l.graph, l.plan, max_chunk)).collect();
    let constants: Vec<usize> = layers
        .iter()
        .zip(&layouts)
        .map(|(l, layout)| layout.constants + long_conv::prepared_bytes(l))
        .collect();
    let states: Vec<usize> = layers.iter().map(|l| slots::sources(l).len()).collect();
    let of_layers = model.calls.iter().map(|call| states[call.kind.0 as usize]).sum();
    let sampled = TargetInfo::of(&planned.settings.machine)
        .samples
        .then(|| Sampled::of(model))
        .flatten();
    let driver = Driver {
        model,
        layers: &layers,
        streams: &streams,
        constants: &constants,
        states: &states,
        of_layers,
        max_chunk,
        caches: &planned.caches,
        level,
        sampled,
        lanes: planned.settings.machine.lanes,
    };
    let mut module = Module::default();
    crate::kernels::copy(&mut module, planned.settings.machine.lanes);
    for l in &layers {
        layer::add(l, &mut module);
    }
    driver.add(&mut module);
    let one = layers.iter().map(|l| layout(l.graph, l.plan, 1).arena);
    let arena = layouts.iter().map(|l| l.arena).chain(one).max().unwrap_or(0);
    let mut kernels = planned.plans.iter().flat_map(|plan| &plan.kernels);
    let descriptor = Descriptor {
        params: params(planned),
        states: states_of(planned, &layers).into_iter().map(|e| e.slot).collect(),
        calls: calls(model, &streams),
        evictions: of_caches(model, &layers, slots::evictions),
        choices: of_caches(model, &layers, slots::choices),
        ticks: clocked::all_ticks(model, of_layers),
        token_loops: kernels.any(|kernel| matches!(kernel, Kernel::Loop(_))),
        constant_bytes: driver.constant_bytes(),
        arena_bytes: streams.bytes + arena,
        max_chunk,
        padding: layers.iter().map(|l| l.plan.padding()).max().unwrap_or(0),
        scratch_bytes: layers.iter().map(layer::scratch_bytes).max().unwrap_or(0),
        sampled: sampled.map(|sampled| sampled.output),
        ..blank(model)
    };
    Program { module, descriptor }
}

/// What the functions of each kind of layer are written from.
fn layers<'p>(planned: &'p PlannedModel<'_>) -> Vec<Layer<'p>> {
    let layer = |(n, plan): (usize, &'p Plan)| {
        let (graph, name) = (planned.graph(n), format!("layer{n}"));
        let encodings = planned.model.kinds[n].encodings.clone();
        Layer {
            readers: planned.readers(n),
            schedule: Schedule::new(&name, graph, plan, &encodings),
            target: TargetInfo::of(&plan.settings.machine),
            graph,
            plan,
            name,
            encodings,
        }
    };
    planned.plans.iter().enumerate().map(layer).collect()
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
pub fn manifest(planned: &PlannedModel<'_>) -> Vec<Entry> {
    let mut entries = states_of(planned, &layers(planned));
    entries.retain(|entry| entry.slot.of != StateOf::Source);
    entries
}

fn states_of(planned: &PlannedModel<'_>, layers: &[Layer<'_>]) -> Vec<Entry> {
    let model = planned.model;
    let (mut states, mut firsts) = (Vec::<Entry>::new(), Vec::new());
    for (n, call) in model.calls.iter().enumerate() {
        let (layer, first) = (&layers[call.kind.0 as usize], states.len());
        firsts.push(first);
        let own = slots::manifest(layer, &call.name, first).into_iter();
        states.extend(own.map(|(mut slot, kept)| {
            if n < model.memory.calls {
                slot.of = StateOf::Source;
            }
            Entry { call: n, slot, kept }
        }));
        for (at, source) in slots::sources(layer).iter().enumerate() {
            let Source::Cache(v, part) = source else { continue };
            let site = Site { call: n, value: *v };
            let kept = layer.schedule.attention(*v).is_kept_of_tokens(*part);
            let Some(owner) = planned.caches.elsewhere(site).filter(|_| kept) else {
                continue;
            };
            let of_owner = &layers[model.calls[owner.call].kind.0 as usize];
            let entry = slots::index_of(
                of_owner,
                |s| matches!(s, Source::Cache(w, m) if *w == owner.value && m == part),
            );
            let with = firsts[owner.call] + entry;
            let bound = format!("that of {}", states[with].slot.layer);
            let shared = &mut states[first + at];
            (shared.slot.bound, shared.slot.kind) = (bound, StateKind::Shared { with });
            shared.kept = Kept::Elsewhere;
        }
    }
    let ticks = clocked::all_ticks(model, states.len());
    for entry in &mut states {
        // Inside a clocked part a token is a tick.
        if let StateKind::Pages {
            count: count @ None, ..
        } = &mut entry.slot.kind
        {
            let around = model.clocked.iter().rposition(|part| part.calls.contains(&entry.call));
            *count = around.map(|part| ticks[part]);
        }
        if let Kept::Tokens { rate, .. } = &mut entry.kept {
            let ticks = planned.rate(entry.call);
            if ticks != ClockRate::ALL {
                *rate = rate.of_those(ticks);
                entry.slot.bound = entry.kept.bound();
            }
        }
    }
    let of_parts = clocked::states(model).into_iter();
    states.extend(of_parts.map(|(call, slot, kept)| Entry { call, slot, kept }));
    states
}

/// What the caches of all layers note: `of` a layer, the name of its instance, and the number of its first state entry.
fn of_caches<T>(model: &Model, layers: &[Layer<'_>], of: impl Fn(&Layer<'_>, &str, usize) -> Vec<T>) -> Vec<T> {
    let (mut found, mut first) = (Vec::new(), 0);
    for call in &model.calls {
        let layer = &layers[call.kind.0 as usize];
        found.extend(of(layer, &call.name, first));
        first += slots::sources(layer).len();
    }
    found
}

fn params(planned: &PlannedModel<'_>) -> Vec<ParamSlot> {
    let mut slots = Vec::new();
    for call in &planned.model.calls {
        let kind = call.kind.0 as usize;
        let ports = call.params.iter().zip(&planned.graph(kind).params);
        for ((source, port), encoding) in ports.zip(&planned.model.kinds[kind].encodings) {
            slots.push(ParamSlot {
                name: source.name.clone(),
                tensors: source.tensors.clone(),
                shape: port.ty.sizes(),
                encoding: *encoding,
                convert: *encoding == Encoding::F32,
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
    let of_ticks = model.streams_of_ticks();
    let call = |(n, call): (usize, &seqc_ir::Call)| {
        // Inside a clocked part there are rows for ticks only, and behind it those of what leaves it.
        let left = model.clocked.iter().filter(|part| part.calls.end == n + 1);
        let left = left.flat_map(|part| part.leave.iter().map(|leave| leave.to));
        let of_all = |stream: &seqc_ir::StreamId| !of_ticks.contains(stream);
        let results = call.results.iter().copied().chain(left).filter(of_all);
        Call {
            layer: call.name.clone(),
            results: results.filter_map(|stream| rows(&stream)).collect(),
        }
    };
    model.calls.iter().enumerate().map(call).collect()
}

/// The part of a descriptor for inputs and outputs.
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
    let streams = |inputs: &[ModelInput]| inputs.iter().map(|i| stream(&i.name, &i.ty)).collect();
    Descriptor {
        version: Descriptor::VERSION,
        model: model.name.clone(),
        hash: String::new(),
        tool: String::new(),
        target: String::new(),
        weights: None,
        random: None,
        tokenizer: None,
        inside: false,
        prompt_matters: model.prompt_matters(),
        together: model.together(),
        evictions: Vec::new(),
        choices: Vec::new(),
        ticks: Vec::new(),
        causal: model.is_causal(),
        ends: Vec::new(),
        max_context: None,
        trained_length: None,
        inputs: streams(&model.inputs),
        memory: model.has_memory().then(|| Memory {
            inputs: streams(&model.memory.inputs),
            calls: model.memory.calls,
            start: Vec::new(),
            longest: None,
        }),
        outputs: model
            .outputs
            .iter()
            .zip(&types)
            .map(|((name, _), ty)| stream(name, ty))
            .collect(),
        params: Vec::new(),
        states: Vec::new(),
        calls: Vec::new(),
        token_loops: false,
        constant_bytes: 0,
        arena_bytes: 0,
        max_chunk: 0,
        padding: 0,
        scratch_bytes: 0,
        sampled: None,
    }
}
