//! How a model keeps keys and values: what its file says, for all of its attentions.

use crate::{
    diag::{Diagnostic, Placed},
    source::{FileId, Place},
};
use seqc_formats::Encoding;
use seqc_grammar::model::Cache;
use seqc_ir::{Model, Op};

/// Gives every attention of a model the type of its cache. A warning where there is none.
pub(super) fn apply(model: &mut Model, file: FileId, cache: Option<&Cache>) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(ty) = cache.and_then(|cache| cache.ty.as_ref()) else {
        return Ok(None);
    };
    let place = Place::new(file, ty.span);
    let types = || Encoding::ALL.iter().copied().filter(|e| e.nearest().is_some());
    let Some(stored) = types().find(|e| e.name() == ty.value) else {
        let names: Vec<&str> = types().map(Encoding::name).collect();
        let message = format!("there is no type of caches `{}`", ty.value);
        let d = Diagnostic::new("unknown-type", place, message);
        return Err(d
            .did_you_mean(&ty.value, names.iter().copied())
            .help(format!("the types are {}", names.join(", "))));
    };
    let mut found = false;
    for kind in &mut model.kinds {
        let graph = &mut kind.graph;
        for v in graph.values() {
            if let Op::Attend(spec) = graph.op(v) {
                let mut spec = spec.clone();
                spec.stored = stored;
                graph.set_op(v, Op::Attend(spec));
                found = true;
            }
        }
    }
    Ok((!found).then(|| {
        let d = Diagnostic::warning("no-cache", "no layer of the model keeps keys and values");
        d.label(file, ty.span, "nothing has this type")
    }))
}
