//! All definitions that a model can name.

use crate::source::FileId;
use seqc_grammar::ast::{Def, DefKind};
use std::{collections::BTreeMap, sync::Arc};

/// A definition and the file it stands in.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The file.
    pub file: FileId,
    /// The definition.
    pub def: Def,
}

/// Definitions by name. A file of the user hides definitions of the standard library.
#[derive(Clone, Debug, Default)]
pub struct Library {
    defs: BTreeMap<String, Arc<Definition>>,
}

impl Library {
    /// Adds a definition; gives back the one of the same name that it hides.
    pub fn insert(&mut self, file: FileId, def: Def) -> Option<Arc<Definition>> {
        self.defs
            .insert(def.name.text.clone(), Arc::new(Definition { file, def }))
    }

    /// The definition of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Definition>> {
        self.defs.get(name)
    }

    /// Names of all definitions of a kind.
    pub fn names(&self, kind: DefKind) -> impl Iterator<Item = &str> {
        self.defs
            .values()
            .filter(move |d| d.def.kind == kind)
            .map(|d| d.def.name.text.as_str())
    }

    /// All definitions, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.defs.values()
    }
}
