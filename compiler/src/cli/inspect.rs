//! `seqc inspect` and `seqc explain`.

use super::{
    caches, compare, parameters,
    session::{ModelArgs, Session, WRONG},
};
use crate::{
    backend, explain,
    model::{Built, weights::distinct_parameters},
};
use clap::Args;
use seqc_abi::{Family, PAGE_TOKENS, StateKind, StateSlot};
use seqc_backends::lower::Entry;
use seqc_passes::{kept::Kept, plan::Plan, planned::PlannedModel};
use serde_json::{Value, json};
use std::{fmt::Write, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Bytes of state after N tokens; `k` multiplies by 1024
    #[arg(long, value_name = "N")]
    context: Option<String>,
    /// How many of these are a prompt, for cache policies that decide at its end; default: all
    #[arg(long, value_name = "N", requires = "context")]
    prompt_length: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// How long a sequence is.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    tokens: usize,
    /// The first of them.
    prompt: usize,
}

impl Lengths {
    fn of(args: &InspectArgs) -> Result<Option<Lengths>, String> {
        let Some(word) = &args.context else { return Ok(None) };
        let tokens = compare::length(word).map_err(|why| format!("--context {word}: {why}"))?;
        match args.prompt_length.unwrap_or(tokens) {
            prompt if (1..=tokens).contains(&prompt) => Ok(Some(Lengths { tokens, prompt })),
            prompt => Err(format!(
                "--prompt-length {prompt}: a prompt is from 1 to all {tokens} tokens of the context long"
            )),
        }
    }

    /// Bytes that a state entry takes.
    fn bytes(self, kept: &Kept) -> u64 {
        kept.behind(self.tokens as f64, self.prompt as f64).ceil() as u64
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

pub(crate) fn inspect(session: &mut Session, args: &InspectArgs) -> u8 {
    let lengths = match Lengths::of(args) {
        Ok(lengths) => lengths,
        Err(message) => {
            session.fail("bad-length", message);
            return WRONG;
        }
    };
    let built = match session.model(&args.file, &args.model) {
        Ok(built) => built,
        Err(status) => return status,
    };
    let canonical = backend::canonical(&built.model);
    let planned = backend::plan(&canonical, &built.meta, Family::HERE.highest());
    let entries = backend::manifest(&planned);
    let chunk = planned.settings.max_chunk;
    let mut found = describe(&built, &planned, &entries, lengths);
    if let Some(lengths) = lengths.filter(|_| entries.iter().any(|e| matches!(e.kept, Kept::Entries { .. }))) {
        let most = entries.iter().map(|entry| most_bytes(entry, lengths.prompt, chunk));
        found["prompt_bytes"] = most.sum::<usize>().into();
        found["chunk"] = chunk.into();
    }
    let text = if args.json {
        format!("{found}\n")
    } else {
        text(&built, &planned, &entries, &found)
    };
    session.print(&text)
}

fn describe(built: &Built, planned: &PlannedModel<'_>, entries: &[Entry], lengths: Option<Lengths>) -> Value {
    let (parameters, bytes) = distinct_parameters(&built.model);
    let stream = |name: &str, ty: &seqc_ir::Ty| json!({"name": name, "shape": ty.sizes(), "type": ty.elem.to_string()});
    let mut found = json!({
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
        "caches": caches::list(planned),
        "state": entries.iter().map(|entry| slot(&entry.slot)).collect::<Vec<_>>(),
    });
    if let Some(lengths) = lengths {
        let bytes: Vec<u64> = entries.iter().map(|entry| lengths.bytes(&entry.kept)).collect();
        found["context"] = lengths.tokens.into();
        found["prompt_length"] = lengths.prompt.into();
        found["state_bytes"] = bytes.iter().sum::<u64>().into();
        for (n, bytes) in bytes.into_iter().enumerate() {
            found["state"][n]["context_bytes"] = bytes.into();
        }
    }
    found
}

/// Most memory of a state entry while a prompt is read, `chunk` tokens at a time: whole pages, with what decides what is kept.
fn most_bytes(entry: &Entry, prompt: usize, chunk: usize) -> usize {
    match (&entry.slot.kind, entry.kept.most(prompt, chunk)) {
        (
            StateKind::Pages {
                page_bytes,
                pages,
                pinned,
                ..
            },
            Some(most),
        ) => {
            let needed = (most / PAGE_TOKENS as f64).ceil() as usize;
            let limit = pages.map_or(usize::MAX, |pages| pages.saturating_add(*pinned));
            page_bytes.saturating_mul(needed.min(limit))
        }
        _ => grows_and_bytes(&entry.slot.kind).1,
    }
}

/// Whether a state entry grows with the context, and its bytes; of one that grows those of a page.
fn grows_and_bytes(kind: &StateKind) -> (bool, usize) {
    match *kind {
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
    }
}

fn slot(s: &StateSlot) -> Value {
    let (grows, bytes) = grows_and_bytes(&s.kind);
    json!({
        "name": s.name, "layer": s.layer, "shape": s.shape, "type": s.encoding, "grows": grows, "bound": s.bound, "bytes": bytes,
    })
}

fn text(built: &Built, planned: &PlannedModel<'_>, entries: &[Entry], found: &Value) -> String {
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
    out.push_str(&caches::text(planned));
    let _ = writeln!(out, "state:");
    for (n, Entry { slot: s, .. }) in entries.iter().enumerate() {
        let grows = match s.kind {
            StateKind::Pages { pages: None, .. } => "grows",
            StateKind::Shared { .. } => "shared",
            _ => "bounded",
        };
        let _ = write!(
            out,
            "  {} {} {:?} {}, {grows}: {}",
            s.layer, s.name, s.shape, s.encoding, s.bound
        );
        let _ = match &found["state"][n]["context_bytes"] {
            Value::Null => writeln!(out),
            bytes => writeln!(out, "; {bytes} bytes"),
        };
    }
    if !found["context"].is_null() {
        let _ = writeln!(
            out,
            "state after {} tokens, of which {} are the prompt: {} bytes",
            found["context"], found["prompt_length"], found["state_bytes"]
        );
    }
    if !found["prompt_bytes"].is_null() {
        let _ = writeln!(
            out,
            "while the prompt is read, {} tokens at a time: at most {} bytes",
            found["chunk"], found["prompt_bytes"]
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
    let planned: Vec<_> = backend::levels(&canonical, Family::HERE)
        .map(|level| backend::plan(&canonical, &built.meta, level))
        .collect();
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
        for part in explain::parts_of(&planned[0], n) {
            let _ = writeln!(out, "  {part}");
        }
        let plans: Vec<&Plan> = planned.iter().map(|of_level| &of_level.plans[n]).collect();
        for line in explain::layer(&canonical.kinds[n].graph, &plans).lines() {
            let _ = writeln!(out, "  {line}");
        }
        for line in caches::of_kind(&planned[0], n) {
            let _ = writeln!(out, "  {line}");
        }
    }
    session.print(&out)
}
