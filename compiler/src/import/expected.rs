//! Which kinds of values a family expects of a configuration: by what its expressions and its layers do with them.

use super::{
    clauses::Clauses,
    stack::{self, Seen},
};
use crate::{
    kinds::{self, Taken, Visitor},
    known::{Kind, Known},
    library::Library,
    source::{FileId, Place},
};
use seqc_grammar::{
    ast::{Expr, ExprKind, NamedArg},
    model::ModelFile,
};
use std::collections::{BTreeSet, HashMap};

/// Kinds of values; none: any.
pub(super) type Kinds = BTreeSet<Kind>;

/// The kinds of the values that are read, by the place of their `get`.
#[derive(Default)]
pub(super) struct Expected {
    places: HashMap<Place, Read>,
    /// What anything expects of a key, by its text.
    keys: HashMap<String, Kinds>,
}

/// What is expected where a value is read.
#[derive(Default)]
struct Read {
    key: String,
    /// Kinds without which there is an error.
    needed: Kinds,
}

/// What a size is used as.
#[derive(Default)]
struct Uses {
    /// Kinds without which there is an error.
    needed: Kinds,
    /// Kinds of what it is compared with.
    compared: Kinds,
}

impl Expected {
    /// What the clauses of a family expect, and the stack of its model.
    pub(super) fn new(clauses: &Clauses, model: Option<&ModelFile>, library: &Library) -> Expected {
        let mut reader = Reader::default();
        let names: Vec<&str> = clauses.sizes.iter().map(|size| size.name.as_str()).collect();
        if let Some(model) = model {
            reader.used_by_layers(model, library, &names);
            stack::visit(model, library, &names, &mut |seen: Seen<'_, '_>| {
                kinds::walk(seen.expr, seen.kind, &mut reader);
            });
            // The id of a token, or a list of them.
            for start in model.encoder.iter().filter_map(|encoder| encoder.start.as_ref()) {
                [Kind::Number, Kind::List]
                    .into_iter()
                    .for_each(|kind| kinds::walk(start, Some(kind), &mut reader));
            }
        }
        for rule in &clauses.require {
            reader.file = rule.file;
            kinds::walk(&rule.when, Some(Kind::Boolean), &mut reader);
        }
        if let Some(length) = &clauses.trained_length {
            reader.file = length.file;
            kinds::walk(&length.value, Some(Kind::Number), &mut reader);
        }
        // Each size is read by those behind it.
        for size in clauses.sizes.iter().rev() {
            reader.file = size.file;
            let Uses { needed, compared } = reader.names.remove(&size.name).unwrap_or_default();
            if needed.is_empty() {
                kinds::walk(&size.value, None, &mut reader);
                compared
                    .iter()
                    .for_each(|kind| kinds::compare(&size.value, *kind, &mut reader));
            } else {
                needed
                    .union(&compared)
                    .for_each(|kind| kinds::walk(&size.value, Some(*kind), &mut reader));
            }
        }
        reader.found
    }

    /// The kinds that are expected of a key where it is read.
    pub(super) fn at(&self, place: Place) -> Kinds {
        let Some(read) = self.places.get(&place) else {
            return Kinds::new();
        };
        match read.needed.is_empty() {
            true => self.keys.get(&read.key).cloned().unwrap_or_default(),
            false => read.needed.clone(),
        }
    }
}

/// Kinds for a message.
pub(super) fn listed(kinds: &Kinds) -> String {
    let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    names.join(" or ")
}

/// Whether a value has one of some kinds.
pub(super) fn fits(value: &Known, kinds: &Kinds) -> bool {
    kinds.is_empty() || kinds.contains(&value.kind())
}

/// Collects kinds from the expressions of one file at a time.
#[derive(Default)]
struct Reader {
    file: FileId,
    names: HashMap<String, Uses>,
    found: Expected,
}

impl Reader {
    /// What layers use sizes as that they read by name, not as a setting.
    fn used_by_layers(&mut self, model: &ModelFile, library: &Library, sizes: &[&str]) {
        for definition in stack::definitions(model, library) {
            let settings = &definition.def.settings;
            for size in sizes
                .iter()
                .filter(|size| !settings.iter().any(|s| s.name.text == **size))
            {
                let kind = kinds::of_setting(library, definition, size);
                self.names.entry((*size).to_owned()).or_default().needed.extend(kind);
            }
        }
    }
}

impl<'e> Visitor<'e> for Reader {
    fn part(&mut self, taken: Taken<'e>) {
        match &taken.part.kind {
            ExprKind::Name(name) => {
                let uses = self.names.entry(name.clone()).or_default();
                let kinds = if taken.is_needed {
                    &mut uses.needed
                } else {
                    &mut uses.compared
                };
                kinds.insert(taken.kind);
            }
            ExprKind::Call { callee, args, .. } if callee.text == "get" => {
                let Some(Expr {
                    kind: ExprKind::Str(key),
                    ..
                }) = args.first()
                else {
                    return;
                };
                let read = self
                    .found
                    .places
                    .entry(Place::new(self.file, taken.part.span))
                    .or_default();
                read.key.clone_from(key);
                if taken.is_needed {
                    read.needed.insert(taken.kind);
                }
                self.found.keys.entry(key.clone()).or_default().insert(taken.kind);
            }
            _ => {}
        }
    }

    fn argument(&self, _callee: &str, _argument: &NamedArg) -> Option<Kind> {
        None
    }
}
