//! `seqc inspect` and `seqc explain`.

use super::{
    parameters,
    session::{ModelArgs, Session},
};
use crate::{
    backend, explain,
    model::{Built, weights::distinct_parameters},
};
use clap::Args;
use seqc_abi::{Level, StateKind, StateSlot};
use seqc_backends::lower::Entry;
use seqc_ir::Model;
use seqc_passes::plan::Plan;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::PathBuf,
};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

pub(crate) fn inspect(session: &mut Session, args: &InspectArgs) -> u8 {
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    let canonical = backend::canonical(&built.model);
    let planned = backend::plan(&canonical, built.meta.max_context, Level::V4);
    let entries = backend::manifest(&planned);
    let state: Vec<StateSlot> = entries.into_iter().map(|e| e.slot).collect();
    let found = describe(&built, &state);
    let text = if args.json {
        format!("{found}\n")
    } else {
        text(&built, &state, &found)
    };
    session.print(&text)
}

fn describe(built: &Built, state: &[StateSlot]) -> Value {
    let (parameters, bytes) = distinct_parameters(&built.model);
    let stream = |name: &str, ty: &seqc_ir::Ty| json!({"name": name, "shape": ty.sizes(), "type": ty.elem.to_string()});
    json!({
        "version": 1,
        "model": built.meta.name,
        "parameters": parameters,
        "parameter_bytes": bytes,
        "tensors": parameters::list(&built.model),
        "layers": built.model.calls.len(),
        "kinds": built.model.kinds.len(),
        "causal": built.model.is_causal(),
        "max_context": built.meta.max_context,
        "inputs": built.model.inputs.iter().map(|i| stream(&i.name, &i.ty)).collect::<Vec<_>>(),
        "outputs": built.model.outputs.iter().map(|(name, _)| json!({"name": name})).collect::<Vec<_>>(),
        "state": state.iter().map(slot).collect::<Vec<_>>(),
    })
}

fn slot(s: &StateSlot) -> Value {
    let (grows, bytes) = match s.kind {
        StateKind::Fixed { bytes } => (false, bytes),
        StateKind::Shared { .. } => (false, 0),
        StateKind::Bounded { page_bytes, pages } => (false, page_bytes.saturating_mul(pages)),
        StateKind::Pages {
            page_bytes,
            pages,
            pinned,
            count: _,
            rewritten: _,
            dropped: _,
        } => (
            pages.is_none(),
            page_bytes.saturating_mul(pages.unwrap_or(1).saturating_add(pinned)),
        ),
    };
    json!({
        "name": s.name, "layer": s.layer, "shape": s.shape, "type": s.encoding, "grows": grows, "bound": s.bound, "bytes": bytes,
    })
}

fn text(built: &Built, state: &[StateSlot], found: &Value) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{}: {} parameters ({} bytes), {} layers of {} kinds",
        built.meta.name, found["parameters"], found["parameter_bytes"], found["layers"], found["kinds"]
    );
    let named = built.meta.weights.is_some();
    let _ = writeln!(out, "parameters:");
    out.push_str(&parameters::text(&built.model, named));
    let _ = writeln!(out, "state:");
    for s in state {
        let grows = match s.kind {
            StateKind::Pages { pages: None, .. } => "grows",
            StateKind::Shared { .. } => "shared",
            _ => "bounded",
        };
        let _ = writeln!(
            out,
            "  {} {} {:?} {}, {grows}: {}",
            s.layer, s.name, s.shape, s.encoding, s.bound
        );
    }
    out
}

pub(crate) fn explain(session: &mut Session, args: &ExplainArgs) -> u8 {
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    let canonical = backend::canonical(&built.model);
    let planned = Level::ALL.map(|level| backend::plan(&canonical, built.meta.max_context, level));
    let entries = backend::manifest(&planned[0]);
    let mut out = String::new();
    for (n, kind) in built.model.kinds.iter().enumerate() {
        let calls: Vec<&str> = built
            .model
            .calls
            .iter()
            .filter(|c| c.kind.0 as usize == n)
            .map(|c| c.name.as_str())
            .collect();
        let first = calls.first().copied().unwrap_or_default();
        let more = calls.len().saturating_sub(1);
        let also = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(out, "{} ({first}{also})", kind.graph.name);
        let plans: Vec<&Plan> = planned.iter().map(|of_level| &of_level.plans[n]).collect();
        for line in explain::layer(&canonical.kinds[n].graph, &plans).lines() {
            let _ = writeln!(out, "  {line}");
        }
        for line in shared(&built.model, n, &entries) {
            let _ = writeln!(out, "  {line}");
        }
    }
    session.print(&out)
}

/// Which layers of a kind keep no keys and values of their own, and whose they read.
fn shared(model: &Model, kind: usize, entries: &[Entry]) -> Vec<String> {
    let mut readers: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for entry in entries.iter().filter(|e| model.calls[e.call].kind.0 as usize == kind) {
        if let StateKind::Shared { with } = entry.slot.kind {
            readers.entry(&entries[with].slot.layer).or_default().insert(entry.call);
        }
    }
    let line = |(owner, calls): (&str, BTreeSet<usize>)| {
        let names: Vec<&str> = calls.iter().map(|n| model.calls[*n].name.as_str()).collect();
        format!("attention reads the cache of {owner}: {}", names.join(", "))
    };
    readers.into_iter().map(line).collect()
}
