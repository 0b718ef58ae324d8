//! A cache policy while it is elaborated: what its names are, and what it has come to so far.

use super::super::val::Val;
use seqc_ir::{
    PairExpr,
    policy::{COUNTERS, Coding, Definition, Eviction, MEMORIES, Sight},
};
use std::collections::HashMap;

/// Numbers of definitions while it is not known how many memories stand before them.
const PLACEHOLDER: usize = 1 << 20;

/// The stream of a definition, until all are known.
pub(super) fn definition_stream(n: usize) -> PairExpr {
    PairExpr::KeyStream(PLACEHOLDER + n)
}

/// The definition that a stream stands for.
pub(super) fn definition_of(stream: usize) -> Option<usize> {
    stream.checked_sub(PLACEHOLDER)
}

/// What a definition of a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// An expression, inlined where it is used.
    Plain,
    /// A number of the cache that every token updates, and which.
    Counter(usize),
    /// A number of each entry that every token updates, and which.
    Memory(usize),
    /// A number of each channel.
    Channel,
}

/// A definition of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) class: Class,
    /// Whether it is a number of each entry; otherwise of the cache, or of each channel.
    pub(super) entry: bool,
    /// Number of its statement.
    pub(super) at: usize,
}

impl Named {
    /// Its value after the update of this token.
    pub(super) fn leaf(&self) -> Option<PairExpr> {
        match self.class {
            Class::Counter(n) => Some(PairExpr::QueryStream(COUNTERS + n)),
            Class::Memory(n) => Some(PairExpr::KeyStream(MEMORIES + n)),
            Class::Plain | Class::Channel => None,
        }
    }
}

/// When an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Where counters are updated.
    Counters,
    /// Where memories are updated.
    Memories,
    /// Where the token sees the entries.
    See,
    /// Where entries are kept and coded.
    Decide,
}

/// What an expression may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Numbers of the cache.
    Cache,
    /// Numbers of each entry, too.
    Entry,
    /// Numbers of the cache and of each channel.
    Channel,
}

/// What `key[c]` and `query[c]` stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vector {
    /// The number of a key.
    Key,
    /// The number of a query.
    Query,
}

/// Where an expression stands.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) stage: Stage,
    pub(super) level: Level,
    /// The variable that runs over channels.
    pub(super) channel: Option<String>,
    /// Whose number stands at the channel.
    pub(super) vector: Option<Vector>,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope::new(Stage::Decide, Level::Cache)
    }
}

impl Scope {
    pub(super) fn new(stage: Stage, level: Level) -> Scope {
        Scope {
            stage,
            level,
            channel: None,
            vector: None,
        }
    }
}

/// A policy in the making.
#[derive(Debug, Default)]
pub(in super::super) struct Making {
    pub(super) names: HashMap<String, Named>,
    pub(super) scope: Scope,
    /// Number of the statement at hand: names of later ones are not known yet.
    pub(super) at: usize,
    /// Name of the statement at hand.
    pub(super) about: String,
    /// Values of plain definitions, by name and stage.
    pub(super) plain: HashMap<(String, Stage), Val>,
    /// Next values of counters and memories that are complete.
    pub(super) next: HashMap<String, PairExpr>,
    /// First values of counters and memories that `prev` states.
    pub(super) init: HashMap<String, f64>,
    pub(super) definitions: Vec<Definition>,
    /// Numbers of the definitions of channels, by name.
    pub(super) channels: HashMap<String, usize>,
    /// There is a `see`.
    pub(super) sees: bool,
    pub(super) sights: Vec<Sight>,
    pub(super) kept: Option<Option<Eviction>>,
    pub(super) keys: Option<Option<Coding>>,
    pub(super) values: Option<Option<Coding>>,
    /// Numbers of a key and of a value.
    pub(super) widths: Widths,
}

/// Numbers of a key and of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Widths {
    pub(super) key: usize,
    pub(super) value: usize,
}

impl Making {
    pub(super) fn new(names: HashMap<String, Named>, widths: Widths) -> Making {
        Making {
            names,
            widths,
            ..Making::default()
        }
    }

    /// Adds what a statement defines, which has its name; other parts of it get other names.
    pub(super) fn define_last(&mut self, kind: seqc_ir::policy::Kind) -> usize {
        let first = self.definitions.iter().position(|d| d.name == self.about);
        let n = self.define(kind);
        if let Some(first) = first {
            let name = std::mem::replace(&mut self.definitions[first].name, self.about.clone());
            self.definitions[first].name = std::mem::replace(&mut self.definitions[n].name, name);
        }
        n
    }

    /// Adds a definition; gives its number.
    pub(super) fn define(&mut self, kind: seqc_ir::policy::Kind) -> usize {
        let taken = |name: &str| self.definitions.iter().any(|d| d.name == name);
        let mut name = self.about.clone();
        let mut n = 2;
        while taken(&name) {
            name = format!("{}_{n}", self.about);
            n += 1;
        }
        self.definitions.push(Definition { name, kind });
        self.definitions.len() - 1
    }
}
