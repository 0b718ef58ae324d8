//! `activations:` of a model: what is rounded before products with stored weights.

use super::values::Names;
use crate::{
    diag::{Diagnostic, Placed},
    source::Place,
};
use seqc_formats::Native;
use seqc_grammar::model::Spanned;
use seqc_ir::{Activations, Model};

/// The choice of a model; none is rounded where it says nothing.
pub(super) fn read(names: &Names, text: Option<&Spanned<String>>) -> Result<Activations, Diagnostic> {
    let Some(text) = text else {
        return Ok(Activations::default());
    };
    let known = || Activations::ALL.into_iter().map(Activations::name);
    Activations::named(&text.value).ok_or_else(|| {
        let message = format!("there are no activations `{}`", text.value);
        Diagnostic::new("unknown-type", Place::new(names.file, text.span), message)
            .did_you_mean(&text.value, known())
            .help(format!("they are {}", known().collect::<Vec<_>>().join(", ")))
    })
}

/// A warning where a model has no weights that the choice is for.
pub(super) fn without_effect(model: &Model, names: &Names, text: Option<&Spanned<String>>) -> Option<Diagnostic> {
    let text = text?;
    let (weights, fits): (_, fn(Native) -> bool) = match model.activations {
        Activations::F32 | Activations::Auto => return None,
        Activations::Bf16 => ("weights of bf16", |native| native == Native::Bf16),
        Activations::Int8 => ("weights in blocks, such as q8_0 or q4_k", |native| {
            matches!(native, Native::Block(_))
        }),
    };
    let mut encodings = model.kinds.iter().flat_map(|kind| &kind.encodings);
    let some = encodings.any(|encoding| encoding.native().is_some_and(fits));
    (!some).then(|| {
        let d = Diagnostic::warning("no-rounding", format!("no layer of the model has {weights}"));
        d.label(names.file, text.span, "nothing is rounded")
            .help("`weights: {type: …}` says how weights are held, `seqc quantise` writes them so")
    })
}
