//! Layer files, models and families with words that are not what they should be: checked, laid out, and read as `seqc` does.

use crate::{
    ending::{Ending, put, refused},
    layers, mutate,
};
use seqc::{
    effective, import,
    library::Library,
    model::{self, ReadOptions, standard},
    source::Sources,
};
use seqc_ir::random::Rng;
use std::path::Path;

/// Models of all kinds of layers.
const MODELS: &[&str] = &[
    include_str!("../../../specs/models/samba-small.yaml"),
    include_str!("../../../specs/models/hybrid-130m.yaml"),
    include_str!("../../../specs/models/longvq-130m.yaml"),
    include_str!("../../../specs/models/scout-130m.yaml"),
    include_str!("../../../specs/models/smollm2-135m.yaml"),
    include_str!("../../../specs/policies/lacache.yaml"),
    include_str!("../../../specs/policies/kivi2.yaml"),
];

/// One case.
pub(crate) fn case(rng: &mut Rng, dir: &Path) -> Ending {
    match rng.below(4) {
        3 => {
            let family = rng.choose(&standard::families()).1;
            let text = mutate::text(rng, family);
            checked(dir, &text)
        }
        0 => {
            let text = rng.choose(&standard::seq_texts()).1;
            let text = mutate::text(rng, text);
            definitions(dir, &text)
        }
        1 => {
            let model = rng.choose(MODELS);
            let text = mutate::text(rng, model);
            read(dir, text)
        }
        _ => {
            let (layer, model) = layers::texts(rng);
            let layer = mutate::text(rng, &layer);
            definitions(dir, &layer)?;
            let model = if rng.once_in(2) {
                mutate::text(rng, &model)
            } else {
                model
            };
            read(dir, model)
        }
    }
}

/// Checks a layer file and lays it out: what is laid out means the same and stays as it is.
fn definitions(dir: &Path, text: &str) -> Ending {
    put(dir, "layer.seq", text.as_bytes())?;
    let mut sources = Sources::default();
    let mut check = |text: &str| {
        let id = sources.add("layer.seq".to_owned(), text.to_owned());
        let mut diagnostics = Vec::new();
        model::add_definitions(&mut Library::default(), id, text, &mut diagnostics);
        diagnostics
    };
    let diagnostics = check(text);
    if !diagnostics.is_empty() {
        return refused(&diagnostics, &sources);
    }
    let once = seqc_grammar::format_file(text);
    let diagnostics = check(&once);
    if let Some(first) = diagnostics.first() {
        return Err(format!("laid out, the file is refused: {}\n{once}", first.message));
    }
    if seqc_grammar::format_file(&once) != once {
        return Err(format!("laid out again, the file is another one:\n{once}"));
    }
    Ok("laid out")
}

/// Checks a family without a checkpoint.
fn checked(dir: &Path, text: &str) -> Ending {
    let path = put(dir, "family.yaml", text.as_bytes())?;
    let mut sources = Sources::default();
    match import::check_family(&path, &mut sources) {
        Ok(_) => Ok("checked"),
        Err(diagnostics) => refused(&diagnostics, &sources),
    }
}

/// Reads a model, and what it effectively is.
fn read(dir: &Path, text: String) -> Ending {
    let path = put(dir, "model.yaml", text.as_bytes())?;
    let mut sources = Sources::default();
    match model::read_text(&path, text, &mut sources, &ReadOptions::default()) {
        Ok(built) => {
            effective::effective(&built);
            built.warnings();
            Ok("read")
        }
        Err(diagnostics) => refused(&diagnostics, &sources),
    }
}
