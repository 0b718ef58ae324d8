//! Models written out: repeats, conditions and defaults resolved, every value visible.

use crate::{
    known::Known,
    model::{Built, CacheEntry, ENCODER},
};
use seqc_ir::ModelInput;
use std::fmt::Write;

/// The model as a model file that needs no expression: the same model, layer by layer.
pub fn effective(built: &Built) -> String {
    let mut out = format!("version: 1\nmodel: {}\nsizes:\n", text(&built.meta.name));
    // Writing to a string does not fail.
    for (name, value) in &built.sizes {
        let _ = writeln!(out, "  {name}: {}", quoted(value));
    }
    let _ = writeln!(out, "inputs: {}", inputs(&built.model.inputs));
    if !built.document.uses.is_empty() {
        let uses: Vec<String> = built.document.uses.iter().map(|u| text(&u.value)).collect();
        let _ = writeln!(out, "use: [{}]", uses.join(", "));
    }
    match (&built.document.weights, built.meta.random) {
        (_, Some(seed)) => drop(writeln!(out, "weights: {{random: {seed}}}")),
        (Some(weights), None) => {
            let file = weights.file.iter().map(|f| format!("file: {}", text(&f.value)));
            let ty = weights.ty.iter().map(|t| format!("type: {}", t.value));
            let unused: Vec<String> = weights.unused.iter().map(|u| text(&u.value)).collect();
            let unused = (!unused.is_empty()).then(|| format!("unused: [{}]", unused.join(", ")));
            let parts: Vec<String> = file.chain(ty).chain(unused).collect();
            let _ = writeln!(out, "weights: {{{}}}", parts.join(", "));
        }
        (None, None) => {}
    }
    caches(built, &mut out);
    if let Some(tokenizer) = &built.document.tokenizer {
        let _ = writeln!(out, "tokenizer: {}", text(&tokenizer.value));
    }
    if !built.meta.ends.is_empty() {
        let _ = writeln!(out, "end: {:?}", built.meta.ends);
    }
    if let Some(length) = built.meta.trained_length {
        let _ = writeln!(out, "trained_length: {length}");
    }
    // The others are reports of layers.
    if let Some((name, _)) = built.model.outputs.first() {
        let _ = writeln!(out, "output: {name}");
    }
    let (encoder, own): (Vec<usize>, _) = (0..built.instances.len()).partition(|n| built.instances[*n].of_encoder);
    if let Some(described) = &built.document.encoder {
        let _ = writeln!(out, "encoder:\n  inputs: {}", inputs(&built.model.memory.inputs));
        if let Some(name) = &described.output {
            let _ = writeln!(out, "  output: {}", name.value);
        }
        if !built.meta.start.is_empty() {
            let _ = writeln!(out, "  start: {:?}", built.meta.start);
        }
        let _ = writeln!(out, "  stack:");
        let mut entries = String::new();
        encoder.into_iter().for_each(|n| entry(built, n, &mut entries));
        for line in entries.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "stack:");
    own.into_iter().for_each(|n| entry(built, n, &mut out));
    out
}

/// Streams with their types.
fn inputs(inputs: &[ModelInput]) -> String {
    let inputs = inputs.iter().map(|i| {
        let sizes: Vec<String> = i.ty.sizes().iter().map(ToString::to_string).collect();
        let shape = if sizes.is_empty() {
            String::new()
        } else {
            format!("[{}]", sizes.join(", "))
        };
        let int = if i.ty.elem == seqc_ir::Elem::I64 { "int" } else { "" };
        format!("{}: \"{int}{shape}\"", i.name)
    });
    format!("{{{}}}", inputs.collect::<Vec<_>>().join(", "))
}

/// How attentions keep keys and values: each by its number.
fn caches(built: &Built, out: &mut String) {
    let entry = |cache: &CacheEntry| {
        let numbers: Vec<String> = cache.on.iter().flatten().map(ToString::to_string).collect();
        let on = cache.on.iter().map(|_| format!("on: [{}]", numbers.join(", ")));
        let policy = cache.policy.iter().map(|name| format!("policy: {name}"));
        let settings = cache
            .settings
            .iter()
            .map(|(name, value)| format!("{name}: {}", quoted(value)));
        let ty = cache.ty.iter().map(|ty| format!("type: {ty}"));
        let parts: Vec<String> = on.chain(policy).chain(settings).chain(ty).collect();
        format!("{{{}}}", parts.join(", "))
    };
    let entries: Vec<String> = built.caches.iter().map(entry).collect();
    match &entries[..] {
        [] => {}
        [one] => drop(writeln!(out, "cache: {one}")),
        several => drop(writeln!(out, "cache: [{}]", several.join(", "))),
    }
}

/// One layer with its blocks, streams and tensors.
fn entry(built: &Built, n: usize, out: &mut String) {
    let (instance, settings, call) = (
        &built.instances[n],
        &built.settings[n],
        &built.model.calls[built.calls[n]],
    );
    let (blocks, layer) = settings.split_at(instance.blocks.len());
    let name = &instance.layer.definition.def.name.text;
    let of = |part: &[(String, Known)]| -> String {
        let parts: Vec<String> = part.iter().map(|(n, v)| format!("{n}: {}", quoted(v))).collect();
        format!("{{{}}}", parts.join(", "))
    };
    let _ = writeln!(out, "  - {name}: {}", layer.iter().map(|s| of(s)).collect::<String>());
    let path = instance.path.strip_prefix(ENCODER).filter(|_| instance.of_encoder);
    let _ = writeln!(out, "    name: {}", text(path.unwrap_or(&instance.path)));
    let blocks: Vec<String> = blocks
        .iter()
        .zip(&instance.blocks)
        .map(|(s, block)| format!("{{{}: {}}}", block.definition.def.name.text, of(s)))
        .collect();
    let blocks = if blocks.is_empty() {
        "none".to_owned()
    } else {
        format!("[{}]", blocks.join(", "))
    };
    let _ = writeln!(out, "    block: {blocks}");
    for (key, pairs) in [("in", &instance.streams), ("tap", &instance.taps)] {
        let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{}: {}", a.text, b.text)).collect();
        if !pairs.is_empty() {
            let _ = writeln!(out, "    {key}: {{{}}}", pairs.join(", "));
        }
    }
    let _ = writeln!(out, "    load:");
    // What a layer computes of the memory's rows is a call of its own.
    let rows = built.model.memory_calls().iter();
    let rows = rows.filter(|other| !instance.of_encoder && other.name == call.name);
    let params = rows
        .chain([call])
        .flat_map(|call| built.model.graph(call).params.iter().zip(&call.params));
    for (port, source) in params {
        let tensors: Vec<String> = source.tensors.iter().map(|t| text(t)).collect();
        let sizes = port.ty.sizes();
        let list = if let [one] = &tensors[..] {
            one.clone()
        } else {
            format!("[{}]", tensors.join(", "))
        };
        let _ = writeln!(out, "      {}: {list}  # {sizes:?}", port.name);
    }
}

/// A text in YAML, in quotes where it needs them.
pub(crate) fn text(text: &str) -> String {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '.' | '/'))
        && text.chars().any(|c| c.is_ascii_alphabetic());
    if plain && !matches!(text, "true" | "false" | "null" | ".inf" | ".nan") {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A value as a model file spells it.
pub(crate) fn quoted(value: &Known) -> String {
    match value {
        Known::Num(n) if n.is_infinite() => if *n > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        Known::List(items) => {
            let items: Vec<String> = items.iter().map(quoted).collect();
            format!("[{}]", items.join(", "))
        }
        Known::Str(s) => {
            let word = s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && s.starts_with(|c: char| c.is_ascii_alphabetic())
                && !matches!(
                    s.as_str(),
                    "true"
                        | "false"
                        | "null"
                        | "inf"
                        | "if"
                        | "then"
                        | "else"
                        | "Infinity"
                        | "True"
                        | "False"
                        | "Null"
                        | "NULL"
                );
            if word {
                s.clone()
            } else {
                format!("'\"{}\"'", s.replace('\'', "''"))
            }
        }
        other => other.to_string(),
    }
}
