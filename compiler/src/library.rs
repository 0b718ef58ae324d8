//! The definitions visible to a model, and to a file.

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

type Defs = BTreeMap<String, Arc<Definition>>;

/// Definitions by name.
///
/// A model names layers and blocks of the files it uses, then those of the standard library. A call is looked up in the file
/// where it stands, then in the standard library, then in the other files that the model uses: so no file changes what the
/// standard library means, nor what another file means that was complete without it. Caches have names of their own: a layer and
/// a cache may be called the same.
#[derive(Clone, Debug, Default)]
pub struct Library {
    standard: Defs,
    standard_caches: Defs,
    /// Files of the user in the order of their use.
    used: Vec<UsedFile>,
}

/// The definitions of a file that a model uses.
#[derive(Clone, Debug)]
struct UsedFile {
    id: FileId,
    defs: Defs,
    caches: Defs,
}

impl UsedFile {
    /// Its definitions of a kind, among others of the same name space.
    fn of(&self, kind: DefKind) -> &Defs {
        match kind {
            DefKind::Cache => &self.caches,
            DefKind::Layer | DefKind::Block | DefKind::Fn => &self.defs,
        }
    }

    fn of_mut(&mut self, kind: DefKind) -> &mut Defs {
        match kind {
            DefKind::Cache => &mut self.caches,
            DefKind::Layer | DefKind::Block | DefKind::Fn => &mut self.defs,
        }
    }
}

impl Library {
    /// Adds a definition of the standard library, whose names are all different.
    pub fn insert_standard(&mut self, file: FileId, def: Def) {
        let name = def.name.text.clone();
        let defs = match def.kind {
            DefKind::Cache => &mut self.standard_caches,
            DefKind::Layer | DefKind::Block | DefKind::Fn => &mut self.standard,
        };
        defs.insert(name, Arc::new(Definition { file, def }));
    }

    /// Adds a definition of a file that the model uses. Gives back one of the same name and kind in another such file,
    /// when a model could mean either.
    pub fn insert(&mut self, file: FileId, def: Def) -> Option<Arc<Definition>> {
        let (name, kind) = (def.name.text.clone(), def.kind);
        let definition = Arc::new(Definition { file, def });
        let others = self.used.iter().filter(|f| f.id != file && kind != DefKind::Fn);
        let other = others
            .filter_map(|f| f.of(kind).get(&name))
            .find(|d| d.def.kind == kind);
        let other = other.cloned();
        let at = self.used.iter().position(|f| f.id == file).unwrap_or_else(|| {
            self.used.push(UsedFile {
                id: file,
                defs: Defs::new(),
                caches: Defs::new(),
            });
            self.used.len() - 1
        });
        self.used[at].of_mut(kind).insert(name, definition);
        other
    }

    /// What a model means by the name of a layer, block or cache; failing that, something else of this name.
    pub fn named(&self, name: &str, kind: DefKind) -> Option<&Arc<Definition>> {
        let all = || self.used.iter().map(|f| f.of(kind)).chain([self.standard_of(kind)]);
        let fitting = all().find(|defs| defs.get(name).is_some_and(|d| d.def.kind == kind));
        fitting
            .or_else(|| all().find(|defs| defs.contains_key(name)))?
            .get(name)
    }

    /// What a call in a file may mean: one function, or several between which nothing decides.
    pub fn called(&self, from: FileId, name: &str) -> Vec<&Arc<Definition>> {
        let own = self.used.iter().find(|f| f.id == from);
        let nearest = own
            .and_then(|f| function(&f.defs, name))
            .or_else(|| function(&self.standard, name));
        match (nearest, own) {
            (Some(found), _) => vec![found],
            (None, Some(_)) => self.used.iter().filter_map(|f| function(&f.defs, name)).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// All definitions of the files that the model uses.
    pub fn used(&self) -> impl Iterator<Item = &Definition> {
        let files = self.used.iter().flat_map(|f| f.defs.values().chain(f.caches.values()));
        files.map(|definition| &**definition)
    }

    /// Whether a file is none of the user's.
    pub fn is_standard(&self, file: FileId) -> bool {
        self.used.iter().all(|f| f.id != file)
    }

    /// Names of all definitions of a kind.
    pub fn names(&self, kind: DefKind) -> impl Iterator<Item = &str> {
        let used = self.used.iter().flat_map(move |f| f.of(kind).values());
        used.chain(self.standard_of(kind).values())
            .filter(move |d| d.def.kind == kind)
            .map(|d| d.def.name.text.as_str())
    }

    fn standard_of(&self, kind: DefKind) -> &Defs {
        match kind {
            DefKind::Cache => &self.standard_caches,
            DefKind::Layer | DefKind::Block | DefKind::Fn => &self.standard,
        }
    }

    /// The layers, blocks and functions of the standard library, then its caches, by name.
    pub fn standard(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.standard.values().chain(self.standard_caches.values())
    }
}

fn function<'a>(defs: &'a Defs, name: &str) -> Option<&'a Arc<Definition>> {
    defs.get(name).filter(|d| d.def.kind == DefKind::Fn)
}
