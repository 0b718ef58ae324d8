//! A family file: which configurations it describes, and the model it makes of them.

use super::{
    clauses::{Clauses, LENGTH, texts},
    config::Config,
    reading::{Computed, Reading},
};
use crate::{
    diag::{Diagnostic, Placed},
    effective::quoted,
    known::Known,
    source::{FileId, Place, Sources},
};
use seqc_grammar::{
    model::{MODEL_KEYS, ModelFile, read_model},
    yaml::{Kind, Node, parse_yaml},
};

/// Keys of a family that are not keys of a model, or are read otherwise.
pub(super) const KEYS: &[&str] = &[
    "family", "match", "include", "sizes", "require", "unused", "use", LENGTH,
];

/// Keys of models that an import writes from the checkpoint and its configuration.
pub(super) const WRITTEN: &[&str] = &["version", "model", "weights", "tokenizer", "end"];

/// What a model has that a family has not.
const STUB: &str = "version: 1\nmodel: family\n";

/// A description of the models of one architecture.
pub(super) struct Family {
    /// Its name.
    pub(super) name: String,
    /// The comment on its first line.
    pub(super) title: String,
    /// Keys and the values they may have.
    matches: Vec<(String, Vec<String>)>,
    /// Its own sizes, requirements and tensors without use, and those of the parts that it includes.
    pub(super) clauses: Clauses,
    /// Layer files of its own, relative to the family file.
    pub(super) uses: Vec<String>,
    /// What is copied into the model.
    pub(super) rest: Vec<Copied>,
    /// The file.
    pub(super) file: FileId,
    /// All of it.
    pub(super) root: Node,
}

/// A part of a family file that stands in the model as it is.
pub(super) struct Copied {
    pub(super) text: String,
    pub(super) file: FileId,
    /// Where it begins, in bytes.
    pub(super) start: usize,
}

impl Family {
    /// Reads a family file.
    pub(super) fn read(name: &str, text: &str, sources: &mut Sources) -> Result<Family, Diagnostic> {
        let id = sources.add(name, text);
        let (root, problems) = parse_yaml(id, text);
        if let Some(d) = problems.into_iter().next() {
            return Err(d);
        }
        let missing = |key: &str| Diagnostic::bare("missing-key", format!("{name} has no `{key}`"));
        let root = root.ok_or_else(|| missing("match"))?;
        let matches = root.get("match").and_then(Node::entries);
        let matches = matches.ok_or_else(|| missing("match"))?;
        let clauses = Clauses::with_parts(id, &root, sources)?;
        let title = text.lines().next().and_then(|l| l.strip_prefix("# "));
        Ok(Family {
            name: root.get("family").and_then(Node::text).unwrap_or(name).to_owned(),
            title: title.unwrap_or(name).to_owned(),
            matches: matches.iter().map(|(k, v)| (k.text.clone(), texts(v))).collect(),
            clauses,
            uses: root.get("use").map(texts).unwrap_or_default(),
            rest: rest(id, text, &root),
            file: id,
            root,
        })
    }

    /// True when a configuration has the values that the family requires.
    pub(super) fn fits(&self, config: &Config) -> bool {
        self.misfit(config).is_none()
    }

    /// The first key that does not have such a value.
    pub(super) fn misfit(&self, config: &Config) -> Option<String> {
        self.matches.iter().find_map(|(key, values)| {
            let wanted = values.join(" or ");
            match config.get(key) {
                Ok(Some(found)) if values.contains(&found.to_string()) => None,
                Ok(Some(found)) => Some(format!("`{key}` is `{found}`, not {wanted}")),
                _ => Some(format!("there is no `{key}`, which should be {wanted}")),
            }
        })
    }

    /// The values of a key that the family describes.
    pub(super) fn kinds(&self, key: &str) -> Vec<String> {
        self.matches
            .iter()
            .filter(|(k, _)| k == key)
            .flat_map(|(_, v)| v.clone())
            .collect()
    }

    /// Names of tensors that checkpoints may hold and the model does not need.
    pub(super) fn unused(&self) -> &[String] {
        &self.clauses.unused
    }

    /// The model that it describes, as far as it says: without what an import writes, and what cannot be read, which is added to `problems`.
    pub(super) fn model(&self, problems: &mut Vec<Diagnostic>) -> Option<ModelFile> {
        let entries = self.root.entries().unwrap_or(&[]);
        let of_model = entries.iter().filter(|(key, _)| {
            let key = key.text.as_str();
            MODEL_KEYS.contains(&key) && !WRITTEN.contains(&key) && (key == "use" || !KEYS.contains(&key))
        });
        let stub = parse_yaml(self.file, STUB).0;
        let stub = stub.as_ref().and_then(Node::entries).unwrap_or(&[]);
        let model = Node {
            kind: Kind::Map(stub.iter().chain(of_model).cloned().collect()),
            span: self.root.span,
        };
        read_model(self.file, &model, problems)
    }

    /// The model's sizes, once everything the family requires holds, and the longest text, where the family says it.
    pub(super) fn sizes(&self, mut reading: Reading<'_>) -> Result<(Vec<Computed>, Option<Known>), Diagnostic> {
        let mut out = Vec::new();
        for size in &self.clauses.sizes {
            let value = reading.evaluate(size.file, &size.value)?;
            out.push(reading.keep(&size.name, value));
        }
        for rule in &self.clauses.require {
            match reading.evaluate(rule.file, &rule.when)? {
                Known::Bool(true) => {}
                Known::Bool(false) => return Err(reading.refusal(rule)),
                other => {
                    let message = format!("a requirement is a condition, not {}", other.kind());
                    let place = Place::new(rule.file, rule.when.span);
                    return Err(Diagnostic::new("not-a-condition", place, message));
                }
            }
        }
        let length = self.clauses.trained_length.as_ref();
        let length = length
            .map(|size| reading.evaluate(size.file, &size.value))
            .transpose()?;
        Ok((out, length))
    }
}

/// The parts of a family file that belong to the model, as they stand.
fn rest(file: FileId, text: &str, root: &Node) -> Vec<Copied> {
    let entries = root.entries().unwrap_or(&[]);
    let starts: Vec<usize> = entries.iter().map(|(k, _)| k.span.start as usize).collect();
    let mut out = Vec::new();
    for (n, (key, _)) in entries.iter().enumerate() {
        if KEYS.contains(&key.text.as_str()) {
            continue;
        }
        let end = starts.get(n + 1).copied().unwrap_or(text.len());
        let part = text.get(starts[n]..end).unwrap_or_default();
        out.push(Copied {
            text: format!("{}\n", part.trim_end()),
            file,
            start: starts[n],
        });
    }
    out
}

/// A value as a model file spells it; a word that is also the name of a size stands in quotes.
pub(super) fn spelled(value: &Known, sizes: &[Computed]) -> String {
    match value {
        Known::Str(s) if sizes.iter().any(|size| size.name == *s) => format!("'\"{s}\"'"),
        Known::List(items) => {
            let items: Vec<String> = items.iter().map(|i| spelled(i, sizes)).collect();
            format!("[{}]", items.join(", "))
        }
        other => quoted(other),
    }
}
