//! What a model says of the texts that it reads and writes: how they begin and end, and how long they were in training.

use super::values::Names;
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::Place,
};
use seqc_grammar::{ast::Expr, model::ModelFile};

/// What a model says of the texts that it reads and writes.
pub(super) struct TextSettings {
    /// Ids that end a text.
    pub(super) ends: Vec<i64>,
    /// Ids that it begins with, behind an encoder.
    pub(super) start: Vec<i64>,
    /// The length that the model was trained for.
    pub(super) trained_length: Option<usize>,
}

/// Ids and lengths of a model file, whose tokens are of a vocabulary of so many.
pub(super) fn text_settings(
    file: &ModelFile,
    names: &Names,
    vocabulary: Option<usize>,
) -> Result<TextSettings, Diagnostic> {
    let whole = |value: &Known| match value {
        Known::Num(n) if *n >= 0.0 && *n < f64::from(u32::MAX) && n.fract() == 0.0 => Some(*n as i64),
        _ => None,
    };
    let wrong = |expr: &Expr, message: String| {
        let place = Place::new(names.file, expr.span);
        Diagnostic::new("wrong-type", place, message)
    };
    let ids = |key: &str, expr: Option<&Expr>| {
        let Some(expr) = expr else { return Ok(Vec::new()) };
        let value = names.value(expr)?;
        let ids = match &value {
            Known::List(ids) => ids.iter().map(whole).collect::<Option<Vec<_>>>(),
            one => whole(one).map(|id| vec![id]),
        };
        let message = || format!("`{key}` is the id of a token or a list of them, not {value}");
        let ids = ids.ok_or_else(|| wrong(expr, message()).help(format!("write `{key}: 2` or `{key}: [2, 7]`")))?;
        match (ids.iter().max(), vocabulary) {
            (Some(most), Some(count)) if usize::try_from(*most).is_ok_and(|id| id >= count) => {
                let message = format!(
                    "`{key}` names the token {most}; the vocabulary has ids up to {}",
                    count - 1
                );
                let d = Diagnostic::new("out-of-range", Place::new(names.file, expr.span), message);
                Err(d.help(format!("give ids that the tokenizer has, or leave `{key}` out")))
            }
            _ => Ok(ids),
        }
    };
    let settings = TextSettings {
        ends: ids("end", file.end.as_ref())?,
        start: ids(
            "start",
            file.encoder.as_ref().and_then(|encoder| encoder.start.as_ref()),
        )?,
        trained_length: None,
    };
    let Some(expr) = &file.trained_length else {
        return Ok(settings);
    };
    let value = names.value(expr)?;
    let length = whole(&value).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let message = || format!("`trained_length` is a number of tokens from 1, not {value}");
    length
        .map(|length| TextSettings {
            trained_length: Some(length),
            ..settings
        })
        .ok_or_else(|| wrong(expr, message()).help("write `trained_length: 8192`, or leave it out"))
}
