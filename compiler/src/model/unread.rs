//! Tensors of a checkpoint that no parameter is loaded from: known buffers, signs of quantised weights, and what is lost.

use super::weights::Tensors;
use crate::{
    diag::{Diagnostic, Placed},
    names::fits,
    source::{FileId, Place},
};
use seqc_checkpoint::{Checkpoint, base, unquantised};
use seqc_formats::Encoding;
use seqc_grammar::model::{ModelFile, Weights};
use seqc_ir::Model;
use std::{collections::HashSet, rc::Rc};

/// Names that a message shows.
const SHOWN: usize = 3;

/// Tensors that nothing reads and that the model does not list as unused.
fn unread<'c>(checkpoint: &'c Checkpoint, model: &Model, file: &ModelFile) -> Vec<&'c str> {
    let params = model.calls.iter().flat_map(|call| &call.params);
    let read: HashSet<&str> = params.flat_map(|p| &p.tensors).map(|name| base(name)).collect();
    let listed = file.weights.iter().flat_map(|w| &w.unused);
    let listed: Vec<&str> = listed.map(|pattern| pattern.value.as_str()).collect();
    checkpoint
        .names()
        .filter(|name| !read.contains(name) && !listed.iter().any(|pattern| fits(pattern, name)))
        .collect()
}

/// A warning about what is lost.
pub(super) fn warning(tensors: &Tensors, model: &Model, file: FileId, document: &ModelFile) -> Option<Diagnostic> {
    let checkpoint = tensors.checkpoint.as_ref()?;
    let lost = unread(checkpoint, model, document);
    if lost.is_empty() {
        return None;
    }
    let (count, all) = (lost.len(), checkpoint.names().count());
    let verb = if count == 1 { "is" } else { "are" };
    let message = format!(
        "{count} of {all} tensors in {} {verb} read by no layer: {}",
        tensors.shown(),
        some(&lost)
    );
    let d = placed(Diagnostic::warning("unread-tensors", message), file, document);
    Some(
        d.help("is a layer, a bias or another part of the architecture missing in the model?")
            .help("tensors that it can do without are listed: `weights: {file: …, unused: [\"*.inv_freq\"]}`"),
    )
}

/// An error about weights that are nothing without their scales, where a checkpoint holds such.
pub(super) fn quantised(tensors: &Tensors, model: &Model, file: FileId, document: &ModelFile) -> Option<Diagnostic> {
    let checkpoint = tensors.checkpoint.as_ref()?;
    let found = checkpoint.companions(unread(checkpoint, model, document));
    if found.is_empty() {
        return None;
    }
    let message = format!(
        "the weights in {} are quantised in an unsupported form, with the tensors {}",
        tensors.shown(),
        some(&found)
    );
    Some(placed(Diagnostic::error("quantised-weights", message), file, document).help(unquantised()))
}

/// At the name of the checkpoint, where the model has one.
fn placed(d: Diagnostic, file: FileId, document: &ModelFile) -> Diagnostic {
    match named(document.weights.as_ref()) {
        Some(place) => d.label(file, place, ""),
        None => d,
    }
}

fn named(weights: Option<&Weights>) -> Option<seqc_grammar::ast::Span> {
    weights?.file.as_ref().map(|f| f.span)
}

/// The first names, and how many more there are.
fn some(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    shown.join(", ") + &more
}

/// What the names of the tensors have before or lack of those that parameters ask for, where that explains all of them.
pub(super) fn prefix(checkpoint: &Checkpoint, wanted: &[&str]) -> Option<String> {
    let first = wanted.first()?;
    let longer = checkpoint.names().find_map(|name| name.strip_suffix(first));
    if let Some(before) = longer.filter(|before| before.ends_with('.')) {
        let all = wanted
            .iter()
            .all(|name| checkpoint.get(&format!("{before}{name}")).is_some());
        return all.then(|| format!("the checkpoint has them under `{before}`: `{before}{first}`"));
    }
    let cuts = first.match_indices('.').map(|(at, _)| &first[..=at]);
    let lacking = |before: &str| {
        let rest = |name: &&str| {
            name.strip_prefix(before)
                .is_some_and(|rest| checkpoint.get(rest).is_some())
        };
        wanted.iter().all(rest)
    };
    let before = cuts.into_iter().find(|before| lacking(before))?;
    Some(format!(
        "the checkpoint has them without `{before}`: `{}`",
        &first[before.len()..]
    ))
}

/// What a tensor is read as: without a file, its numbers follow from this.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// Its own shape.
    pub(super) shape: Vec<usize>,
    /// The tensors that are stacked with it, itself among them, and their common shape.
    pub(super) whole: Rc<(Vec<String>, Vec<usize>)>,
    /// How it is held.
    pub(super) encoding: Encoding,
    /// The parameter.
    pub(super) param: String,
    /// Where the model says so.
    pub(super) place: Place,
}

impl Reading {
    /// Two readings of one tensor that cannot both be right; `random`: its numbers follow from how it is read.
    pub(super) fn conflict(&self, before: &Reading, tensor: &str, random: bool) -> Option<Diagnostic> {
        let squeeze = |s: &[usize]| s.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
        let what = |r: &Reading| format!("for `{}`", r.param);
        let (message, help) = if squeeze(&self.shape) != squeeze(&before.shape)
            || random && self.whole.0 == before.whole.0 && self.shape != before.shape
        {
            (
                format!(
                    "tensor `{tensor}` is read with two shapes, {:?} and {:?}",
                    before.shape, self.shape
                ),
                "a tensor has one shape: give both parameters the same, or read two tensors",
            )
        } else if random && self.whole != before.whole {
            (
                format!(
                    "tensor `{tensor}` is read in two stacks, or alone and in one: random weights would not be the same"
                ),
                "`seqc init` writes a checkpoint whose tensors can be read in both ways",
            )
        } else if random && self.encoding != before.encoding {
            (
                format!(
                    "tensor `{tensor}` is held as {} and as {}: random weights would not be the same",
                    before.encoding, self.encoding
                ),
                "leave `type` out, or use another tensor: what is not a matrix everywhere is held as f32",
            )
        } else {
            return None;
        };
        let d = Diagnostic::new("two-shapes", self.place, message).says(what(self));
        Some(d.note(before.place, what(before)).help(help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        for (pattern, name, fit) in [
            ("*.inv_freq", "model.layers.0.rotary_emb.inv_freq", true),
            ("*.inv_freq", "model.inv_freq.weight", false),
            ("cls.*", "cls.predictions.bias", true),
            ("cls.*", "bert.cls.bias", false),
            ("blk.*.attn_*_embd", "blk.10.attn_rot_embd", true),
            ("blk.*.attn_*_embd", "blk.attn_rot_embd", false),
            ("lm_head.weight", "lm_head.weight", true),
            ("lm_head.weight", "lm_head.weights", false),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("a*b*", "acb", true),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
