//! Configurations of models of text and something else (images, sound): the half that reads text, and its tensors among all.

use super::config::Config;
use crate::{diag::Diagnostic, names::Names};
use seqc_checkpoint::Checkpoint;
use std::collections::BTreeMap;

/// Keys under which the configuration of a model of text and something else has that of its text half.
const HALVES: &[&str] = &["text_config", "llm_config", "language_config"];

/// What the part of a name is that stands before those of the text half.
const PARTS: &[&str] = &["language_model.", "text_model.", "llm."];

/// The text half of a model.
pub(super) struct Half {
    /// Its configuration, with what the other one says beside.
    pub(super) config: Config,
    /// The key under which it is.
    pub(super) key: &'static str,
    /// The type of the whole model.
    pub(super) whole: String,
}

/// Where the tensors of the text half are, and which ones are not of it.
#[derive(Default)]
pub(super) struct Place {
    /// What names are in the file.
    pub(super) names: Names,
    /// Patterns of all other tensors.
    pub(super) others: Vec<String>,
    /// Their number.
    count: usize,
}

impl Half {
    /// Of the configuration of a whole model, where that has one.
    pub(super) fn of(config: &Config) -> Option<Half> {
        HALVES.iter().find_map(|key| {
            Some(Half {
                config: config.of_part(key)?,
                key,
                whole: config.text(config.kind_key()).unwrap_or_default(),
            })
        })
    }

    /// Where its tensors are.
    pub(super) fn place(&self, checkpoint: Option<&Checkpoint>) -> Place {
        let Some(checkpoint) = checkpoint else {
            return Place::default();
        };
        let Some(before) = checkpoint.names().find_map(beginning) else {
            return Place::default();
        };
        // Either all of the half is below, its head too, or its layers are, and the head is beside.
        let all = format!("{before}model.");
        let whole = checkpoint.names().any(|name| name.starts_with(&all));
        let names = Names::new([(if whole { "" } else { "model." }, before)].into_iter());
        let mut others: BTreeMap<String, usize> = BTreeMap::new();
        let outside = |name: &&str| !name.starts_with(before) && (whole || !name.starts_with("lm_head."));
        for name in checkpoint.names().filter(outside) {
            let inside = name.strip_prefix("model.").unwrap_or(name);
            let first = inside.split('.').next().unwrap_or(inside);
            let end = name.len() - inside.len() + first.len();
            let pattern = if end == name.len() {
                name.to_owned()
            } else {
                format!("{}.*", &name[..end])
            };
            *others.entry(pattern).or_default() += 1;
        }
        Place {
            names,
            count: others.values().sum(),
            others: others.into_keys().collect(),
        }
    }

    /// What is left out.
    pub(super) fn warning(&self, place: &Place) -> Diagnostic {
        let (whole, key, shown) = (&self.whole, self.key, self.config.shown());
        let mut message = format!("{shown}: the model is the text half (`{key}`) of `{whole}`");
        if place.count > 0 {
            message += &format!(
                "; the {} other tensors are not read: {}",
                place.count,
                place.others.join(", ")
            );
        }
        Diagnostic::warning("text-half", message)
    }
}

/// How names are found where a model was stored without its head, and so without what their names begin with in the whole: `family` is the text of
/// its family.
pub(super) fn of_body(checkpoint: &Checkpoint, family: &str) -> Names {
    const BEGINNING: &str = "model.";
    let is_quoted = |name: &str| {
        let whole = format!("{BEGINNING}{name}");
        family.match_indices(&whole).any(|(at, _)| {
            !family[at + whole.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
        })
    };
    let begins = checkpoint.names().any(|name| name.starts_with(BEGINNING));
    match !begins && checkpoint.names().any(is_quoted) {
        true => Names::new([(BEGINNING, "")].into_iter()),
        false => Names::default(),
    }
}

/// What a name of the text half begins with.
fn beginning(name: &str) -> Option<&str> {
    PARTS.iter().find_map(|part| {
        let at = name.find(part)?;
        // A part of the name, not the end of one.
        (at == 0 || name.as_bytes()[at - 1] == b'.').then(|| &name[..at + part.len()])
    })
}
