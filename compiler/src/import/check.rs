//! `seqc check FAMILY.yaml`: what can be said of a family without a checkpoint.

use super::{
    family::{self, Family, WRITTEN},
    stack,
};
use crate::{
    diag::{Diagnostic, Placed},
    model::{self, standard},
    source::{Place, Sources},
};
use seqc_grammar::{FileId, model::MODEL_KEYS, yaml::parse_yaml};
use std::path::Path;

/// Whether a text is a family and no model.
pub fn is_family(text: &str) -> bool {
    let (root, _) = parse_yaml(FileId::default(), text);
    root.is_some_and(|root| root.get("match").is_some() && root.get("version").is_none())
}

/// Everything that is wrong with a family file: its keys, expressions and parts, the names in them, its layer files, and the layers, settings
/// and parameters of its stack. Whether the layers fit together is known with a configuration only.
pub fn family(path: &Path, sources: &mut Sources) -> Result<String, Vec<Diagnostic>> {
    let text = model::text_of(path).map_err(|d| vec![d])?;
    let shown = path.display().to_string();
    let family = Family::read(&shown, &text, sources).map_err(|d| vec![d])?;
    let (id, mut diagnostics) = (family.file, Vec::new());
    let entries = family.root.entries().unwrap_or(&[]);
    let known = |key: &str| family::KEYS.contains(&key) || MODEL_KEYS.contains(&key);
    for (key, _) in entries {
        let of = |why: &str| {
            let message = format!("a family has no key `{}`{why}", key.text.escape_debug());
            Diagnostic::new("unknown-key", Place::new(id, key.span), message)
        };
        if WRITTEN.contains(&key.text.as_str()) {
            let d = of(", which an import writes");
            diagnostics.push(d.help("leave it out: the checkpoint and its configuration say what it is"));
        } else if !known(&key.text) {
            diagnostics.push(of("").did_you_mean(&key.text, family::KEYS.iter().chain(MODEL_KEYS).copied()));
        }
    }
    let mut problems = Vec::new();
    let model = family.model(&mut problems);
    diagnostics.extend(problems);
    diagnostics.extend(family.clauses.problems());
    let mut library = standard::library(sources, &mut diagnostics);
    let home = path.parent().unwrap_or(Path::new(""));
    if let Some(model) = &model {
        diagnostics.extend(model::use_layers(&mut library, id, model, home, sources));
        let sizes: Vec<&str> = family.clauses.sizes.iter().map(|s| s.name.as_str()).collect();
        diagnostics.extend(stack::problems(id, model, &library, &sizes));
    }
    match diagnostics.is_empty() {
        true => Ok(family.name),
        false => Err(diagnostics),
    }
}
