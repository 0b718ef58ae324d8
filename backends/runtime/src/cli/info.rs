//! `info`: what this program is, without loading its weights.

use std::{collections::HashSet, fmt::Write as _};

use seqc_abi::{Descriptor, StateKind, StateOf, StateSlot, Stream};
use serde_json::{Value, json};

use super::{
    args::Info,
    console::{Console, JSON_VERSION, printable},
};
use crate::{
    Error, Result, places,
    streams::{self, elem_name},
    weights::stored_bytes,
};

pub(crate) fn info(descriptor: &Descriptor, args: &Info, console: &mut Console) -> Result<()> {
    let inside = match descriptor.inside {
        true => Some(places::inside()?.bytes()),
        false => None,
    };
    let text = if args.json {
        format!("{:#}\n", as_json(descriptor, inside))
    } else {
        as_text(descriptor, inside)
    };
    let written = console.result.write_all(text.as_bytes());
    written.map_err(|error| Error::write("standard output", &error))
}

/// A file of the program, and whether it lies inside.
fn named(path: &str, inside: Option<u64>) -> String {
    match inside {
        Some(bytes) => format!("{path}, inside this program ({:.1} MB in all)", bytes as f64 / 1e6),
        None => path.to_owned(),
    }
}

/// Number of parameters and their bytes; those that share tensors count once.
pub(crate) fn size(descriptor: &Descriptor) -> (u64, u64) {
    let mut seen = HashSet::new();
    let fresh = descriptor.params.iter().filter(|slot| {
        let names = if slot.tensors.is_empty() {
            std::slice::from_ref(&slot.name)
        } else {
            &slot.tensors[..]
        };
        seen.insert(names)
    });
    fresh.fold((0_u64, 0_u64), |(count, bytes), slot| {
        let elements = slot
            .shape
            .iter()
            .fold(1_u64, |product, size| product.saturating_mul(*size as u64));
        let stored = stored_bytes(slot).unwrap_or(0) as u64;
        (count.saturating_add(elements), bytes.saturating_add(stored))
    })
}

fn as_json(descriptor: &Descriptor, inside: Option<u64>) -> Value {
    let (parameters, bytes) = size(descriptor);
    let described = |streams: &[Stream]| {
        let one = |stream: &Stream| json!({"name": stream.name, "shape": stream.shape, "type": elem_name(stream.elem), "vocab": stream.vocab});
        streams.iter().map(one).collect::<Vec<_>>()
    };
    json!({
        "version": JSON_VERSION,
        "model": descriptor.model,
        "hash": descriptor.hash,
        "tool": descriptor.tool,
        "target": descriptor.target,
        "device": device(),
        "weights": descriptor.weights,
        "random": descriptor.random,
        "tokenizer": descriptor.tokenizer,
        "inside": inside,
        "causal": descriptor.causal,
        "ends": descriptor.ends,
        "max_context": descriptor.max_context,
        "trained_length": descriptor.trained_length,
        "max_chunk": descriptor.max_chunk,
        "parameters": parameters,
        "weight_bytes": bytes,
        "constant_bytes": descriptor.constant_bytes,
        "arena_bytes": descriptor.arena_bytes,
        "inputs": described(&descriptor.inputs),
        "source": descriptor.memory.as_ref().map(|memory| json!({
            "inputs": described(&memory.inputs),
            "longest": streams::most_rows(descriptor, memory),
            "start": memory.start,
        })),
        "outputs": described(&descriptor.outputs),
        "state": kept(descriptor).map(|slot| json!({
            "name": slot.name,
            "layer": slot.layer,
            "shape": slot.shape,
            "type": "f32",
            "grows": matches!(slot.kind, StateKind::Pages { pages: None, .. }),
            "bound": slot.bound,
        })).collect::<Vec<_>>(),
    })
}

/// Entries that a sequence carries.
fn kept(descriptor: &Descriptor) -> impl Iterator<Item = &StateSlot> {
    descriptor.states.iter().filter(|slot| slot.of != StateOf::Source)
}

/// What the encoder reads; empty where there is none.
fn source(descriptor: &Descriptor) -> String {
    let Some(memory) = &descriptor.memory else {
        return String::new();
    };
    format!(
        "{}, at most {} rows",
        streams::list(&memory.inputs),
        streams::most_rows(descriptor, memory)
    )
}

/// What a program for a device says of it.
fn device() -> Option<String> {
    #[cfg(feature = "cuda")]
    return Some(crate::device::described());
    #[cfg(not(feature = "cuda"))]
    None
}

fn as_text(descriptor: &Descriptor, inside: Option<u64>) -> String {
    let (parameters, bytes) = size(descriptor);
    let weights = match (&descriptor.weights, descriptor.random) {
        (Some(path), _) => named(path, inside),
        (None, Some(seed)) => format!("random, seed {seed}"),
        (None, None) => "none named: give them with --weights".to_owned(),
    };
    let reads = match (descriptor.causal, descriptor.max_context) {
        (true, Some(limit)) => format!("token by token, at most {limit} of them"),
        (true, None) => "token by token, without limit".to_owned(),
        (false, _) => format!("whole inputs of at most {} tokens", descriptor.max_chunk),
    };
    let trained = match descriptor.trained_length {
        Some(length) => format!("on sequences of up to {length} tokens"),
        None => "on sequences of unknown length".to_owned(),
    };
    let ends = match &descriptor.ends[..] {
        [] => "at the tokens that the tokenizer names".to_owned(),
        ids => format!("at the tokens {ids:?}, and at those that the tokenizer names"),
    };
    let growing = kept(descriptor)
        .filter(|slot| matches!(slot.kind, StateKind::Pages { pages: None, .. }))
        .count();
    let rows = [
        ("model", descriptor.model.clone()),
        ("hash", descriptor.hash.clone()),
        ("built", format!("seqc {} for {}", descriptor.tool, descriptor.target)),
        ("parameters", format!("{parameters} in {:.1} MB", bytes as f64 / 1e6)),
        ("weights", weights),
        (
            "tokenizer",
            descriptor
                .tokenizer
                .as_ref()
                .map_or_else(|| "none".to_owned(), |path| named(path, inside)),
        ),
        ("reads", reads),
        ("trained", trained),
        ("ends", ends),
        ("inputs", streams::list(&descriptor.inputs)),
        ("source", source(descriptor)),
        ("outputs", streams::list(&descriptor.outputs)),
        (
            "state",
            format!("{} entries, {growing} grow with the context", kept(descriptor).count()),
        ),
    ];
    let device = device().map(|device| ("device", device));
    rows.iter()
        .filter(|(name, value)| *name != "source" || !value.is_empty())
        .chain(&device)
        .fold(String::new(), |mut text, (name, value)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<12}{}", printable(value));
            text
        })
}
