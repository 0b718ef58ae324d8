//! The caches of a model, for `seqc inspect` and `seqc explain`.

use seqc_ir::{Op, Value};
use seqc_passes::{
    attention::{
        PairAnalysis,
        caches::{Cache, CacheId, Site},
    },
    planned::PlannedModel,
};
use serde_json::json;
use std::{collections::BTreeMap, fmt::Write};

/// A line for each cache of a model.
pub(super) fn text(planned: &PlannedModel<'_>) -> String {
    let mut out = String::new();
    if planned.caches.all.is_empty() {
        return out;
    }
    out.push_str("caches:\n");
    for (n, cache) in carried(planned) {
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "  {} {}: {}",
            CacheId(n),
            name(planned, cache.owner),
            contents(planned, cache)
        );
        if !cache.readers.is_empty() {
            let readers: Vec<String> = cache.readers.iter().map(|reader| name(planned, *reader)).collect();
            let _ = write!(out, "; read by {}", readers.join(", "));
        }
        if let Some((other, why)) = cache.beside {
            let _ = write!(out, "; not {other}: {why}");
        }
        out.push('\n');
    }
    out
}

/// The same as JSON.
pub(super) fn list(planned: &PlannedModel<'_>) -> Vec<serde_json::Value> {
    let cache = |(n, cache): (usize, &Cache)| {
        let readers: Vec<String> = cache.readers.iter().map(|reader| name(planned, *reader)).collect();
        json!({
            "name": CacheId(n).to_string(),
            "owner": name(planned, cache.owner),
            "readers": readers,
            "entries": known(planned, cache.owner).entries(planned.rate(cache.owner.call)),
            "beside": cache.beside.map(|(other, why)| json!({"name": other.to_string(), "reason": why.to_string()})),
        })
    };
    carried(planned).map(cache).collect()
}

/// The caches that sequences carry, with their numbers: not those of an encoder, which are there while it reads.
fn carried<'p>(planned: &'p PlannedModel<'_>) -> impl Iterator<Item = (usize, &'p Cache)> {
    let of_memory = planned.model.memory.calls;
    let caches = planned.caches.all.iter().enumerate();
    caches.filter(move |(_, cache)| cache.owner.call >= of_memory)
}

/// Which layers of a kind keep no keys and values of their own, or keep once more what an earlier one does, and why.
pub(super) fn of_kind(planned: &PlannedModel<'_>, kind: usize) -> Vec<String> {
    let (caches, calls) = (&planned.caches, &planned.model.calls);
    let of_kind = |site: &Site| calls[site.call].kind.0 as usize == kind;
    let owner = |id: CacheId| calls[caches.all[id.0].owner.call].name.as_str();
    let mut lines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (n, cache) in caches.all.iter().enumerate() {
        for reader in cache.readers.iter().filter(|reader| of_kind(reader)) {
            let line = format!("attention reads the cache of {}", owner(CacheId(n)));
            lines.entry(line).or_default().push(&calls[reader.call].name);
        }
        if let Some((other, why)) = cache.beside.filter(|_| of_kind(&cache.owner)) {
            let line = format!("attention has a cache beside that of {}, for {why}", owner(other));
            lines.entry(line).or_default().push(&calls[cache.owner.call].name);
        }
    }
    let line = |(line, mut names): (String, Vec<&str>)| {
        names.dedup();
        format!("{line}: {}", names.join(", "))
    };
    lines.into_iter().map(line).collect()
}

/// `layers.3.attention.o`
fn name(planned: &PlannedModel<'_>, site: Site) -> String {
    let call = &planned.model.calls[site.call];
    let node = planned.graph(call.kind.0 as usize).node(site.value);
    match node.name.as_str() {
        "" => format!("{}.t{}", call.name, site.value.0),
        own => format!("{}.{own}", call.name),
    }
}

/// `min(T, 64) tokens of 2 heads, keys of 16 numbers, values of 16, f16`
fn contents(planned: &PlannedModel<'_>, cache: &Cache) -> String {
    let site = cache.owner;
    let graph = planned.graph(planned.model.calls[site.call].kind.0 as usize);
    let operands = graph.operands(site.value);
    let width = |v: Value| graph.ty(v).dims[1].size;
    let Op::Attend(spec) = graph.op(site.value) else {
        return String::new();
    };
    let heads = graph.ty(operands[1]).dims[0].size;
    let values = match known(planned, site).values_in_keys {
        _ if !spec.has_values() => String::new(),
        Some(0) => format!(", the first {} of them values", width(operands[2])),
        Some(first) => format!(", {} of them from {first} on values", width(operands[2])),
        None => format!(", values of {}", width(operands[2])),
    };
    format!(
        "{} of {heads} heads, keys of {} numbers{values}, {}",
        known(planned, site).kept(planned.rate(site.call)),
        width(operands[1]),
        spec.stored
    )
}

/// What is known of an attention.
fn known<'p>(planned: &'p PlannedModel<'_>, site: Site) -> &'p PairAnalysis {
    let kind = planned.model.calls[site.call].kind.0 as usize;
    &planned.plans[kind].attentions[&site.value]
}
