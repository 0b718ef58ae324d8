//! A cache policy while it is elaborated: what its names are, and what it has come to so far.

use super::super::val::Val;
use seqc_ir::{
    PairExpr, ReduceOp,
    policy::{Blocks, COUNTERS, Coding, Definition, Eviction, MEMORIES, Sight},
};
use std::collections::HashMap;

/// Numbers of definitions while it is not known how many memories stand before them.
const PLACEHOLDER: usize = 1 << 20;

/// A list of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    /// [`seqc_ir::policy::Policy::definitions`]
    Deciding,
    /// [`seqc_ir::policy::Blocks::closing`]
    Closing,
    /// [`seqc_ir::policy::Blocks::choosing`]
    Choosing,
}

impl List {
    pub(super) const ALL: [List; 3] = [List::Deciding, List::Closing, List::Choosing];
}

/// A definition in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DefinitionId {
    pub(super) list: List,
    pub(super) n: usize,
}

impl DefinitionId {
    /// Its stream, until all definitions are known.
    pub(super) fn stream(self) -> PairExpr {
        PairExpr::KeyStream(PLACEHOLDER * (1 + self.list as usize) + self.n)
    }

    /// The definition that a stream stands for.
    pub(super) fn of(stream: usize) -> Option<DefinitionId> {
        let list = *List::ALL.get((stream / PLACEHOLDER).checked_sub(1)?)?;
        Some(DefinitionId {
            list,
            n: stream % PLACEHOLDER,
        })
    }
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
    /// A number of each channel of a block.
    BlockChannel,
}

/// A definition of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) class: Class,
    /// Whether it is a number of each entry; otherwise of the cache, or of each channel.
    pub(super) entry: bool,
    /// Each query head has its own: a memory that `given` updates.
    pub(super) each: bool,
    /// Number of its statement.
    pub(super) at: usize,
}

impl Named {
    /// Its value after the update of this token.
    pub(super) fn leaf(&self) -> Option<PairExpr> {
        match self.class {
            Class::Counter(n) => Some(PairExpr::QueryStream(COUNTERS + n)),
            Class::Memory(n) => Some(PairExpr::KeyStream(MEMORIES + n)),
            Class::Plain | Class::Channel | Class::BlockChannel => None,
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
    /// Where blocks are closed.
    Close,
    /// Where queries choose blocks.
    Choose,
}

impl Stage {
    /// The list of what is computed here.
    pub(super) fn list(self) -> List {
        match self {
            Stage::Close => List::Closing,
            Stage::See | Stage::Choose => List::Choosing,
            Stage::Counters | Stage::Memories | Stage::Decide => List::Deciding,
        }
    }
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
    /// Numbers of the cache and of each block.
    Block,
}

/// What `key[c]` and `query[c]` stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vector {
    /// The number of a key.
    Key,
    /// The number of a value.
    Value,
    /// The number of a query.
    Query,
    /// Those of a query and of a key that it meets.
    Both,
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
    /// The word for how many entries are seen that may stand here.
    pub(super) counted: Option<&'static str>,
    /// How what stands here is reduced over the queries that choose together.
    pub(super) over: Option<ReduceOp>,
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
            counted: None,
            over: None,
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
    /// Definitions of each [`List`].
    pub(super) definitions: [Vec<Definition>; 3],
    /// The definitions of channels, by name.
    pub(super) channels: HashMap<String, DefinitionId>,
    /// What blocks are; without definitions.
    pub(super) blocks: Option<Blocks>,
    /// There is a `see`.
    pub(super) sees: bool,
    pub(super) sights: Vec<Sight>,
    pub(super) kept: Option<Option<Eviction>>,
    pub(super) keys: Option<Option<Coding>>,
    pub(super) values: Option<Option<Coding>>,
    /// Numbers of a key and of a value.
    pub(super) widths: Widths,
    /// Query heads of the layer, and those that share a key head.
    pub(super) heads: [usize; 2],
    /// The memory at hand is one of each query head.
    pub(super) each: bool,
}

/// Numbers of a key and of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Widths {
    pub(super) key: usize,
    pub(super) value: usize,
}

impl Making {
    pub(super) fn new(names: HashMap<String, Named>, widths: Widths, heads: [usize; 2]) -> Making {
        Making {
            names,
            widths,
            heads,
            ..Making::default()
        }
    }

    /// Adds what a statement defines, which has its name; other parts of it get other names.
    pub(super) fn define_last(&mut self, list: List, kind: seqc_ir::policy::Kind) -> DefinitionId {
        let first = self.definitions[list as usize]
            .iter()
            .position(|d| d.name == self.about);
        let id = self.define(list, kind);
        if let Some(first) = first {
            let list = &mut self.definitions[list as usize];
            let name = std::mem::replace(&mut list[first].name, self.about.clone());
            list[first].name = std::mem::replace(&mut list[id.n].name, name);
        }
        id
    }

    /// Adds a definition.
    pub(super) fn define(&mut self, list: List, kind: seqc_ir::policy::Kind) -> DefinitionId {
        let known = &mut self.definitions[list as usize];
        let taken = |name: &str| known.iter().any(|d| d.name == name);
        let mut name = self.about.clone();
        let mut n = 2;
        while taken(&name) {
            name = format!("{}_{n}", self.about);
            n += 1;
        }
        known.push(Definition { name, kind });
        DefinitionId {
            list,
            n: known.len() - 1,
        }
    }
}
