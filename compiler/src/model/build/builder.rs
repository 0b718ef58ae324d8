//! The model as far as it is built, and what is known of its layers.

use super::total::Total;
use crate::{
    diag::Diagnostic,
    elaborate::Elaborated,
    known::Known,
    library::Library,
    model::{clock::Clock, unread::Reading, values::Names, weights::Tensors},
    source::Place,
};
use seqc_formats::Encoding;
use seqc_grammar::model::ModelFile;
use seqc_ir::{Call, KindId, Model, StreamId, Ty};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Values of all settings of one layer.
pub type CallSettings = Vec<Vec<(String, Known)>>;

/// A stream between layers; without a type after an error.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) ty: Option<Ty>,
    /// Whether it has a value for each row of the memory, and none at a token.
    pub(super) of_memory: bool,
    /// The clocked part at whose ticks it has values; `None`: at every token.
    pub(super) clock: Option<usize>,
}

/// The clocked parts so far.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// By the number of the part.
    pub(super) parts: Vec<Part>,
    /// Parts around what comes next, outermost first.
    pub(super) open: Vec<usize>,
    /// Layers that say where `every(n)` holds.
    pub(super) every: HashMap<usize, KindId>,
}

/// Entries that run at some tokens only.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) clock: Arc<Clock>,
    /// The part around it.
    pub(super) around: Option<usize>,
    /// What was read before it begins.
    pub(super) last: Stream,
    /// Streams at its ticks by those outside.
    pub(super) entered: HashMap<StreamId, StreamId>,
    /// Held streams outside by those at its ticks.
    pub(super) left: HashMap<StreamId, StreamId>,
}

impl Clocks {
    /// The innermost part around what comes next.
    pub(super) fn inner(&self) -> Option<usize> {
        self.open.last().copied()
    }
}

/// The layers of one description that are equal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The number of its graph.
    pub(super) at: usize,
    /// That of what it computes for each row of the memory.
    pub(super) rows: Option<usize>,
}

/// A model in the making.
pub(super) struct Builder<'a> {
    pub(super) library: &'a Library,
    pub(super) file: &'a ModelFile,
    pub(super) names: &'a Names,
    pub(super) tensors: &'a Tensors,
    pub(super) model: Model,
    /// Model inputs and taps by name.
    pub(super) streams: HashMap<String, Stream>,
    /// Graphs by what they were made of; `None` after an error.
    pub(super) graphs: HashMap<String, Option<Found>>,
    pub(super) elaborated: Vec<Elaborated>,
    /// What layers compute for each row of the memory.
    pub(super) rows: Vec<Call>,
    /// The call of each layer.
    pub(super) calls: Vec<usize>,
    pub(super) clocks: Clocks,
    /// Which parameters of a graph are read as they are stored, where that was asked.
    pub(super) natives: HashMap<usize, Vec<bool>>,
    pub(super) kinds: HashMap<(usize, Vec<Encoding>), KindId>,
    /// Settings of each layer: of its blocks from the outside in, then of its layer.
    pub(super) settings: Vec<CallSettings>,
    /// Settings of the policy of each layer's caches.
    pub(super) policies: Vec<Vec<(String, Known)>>,
    /// Parameters looked for so far.
    pub(super) wanted: usize,
    /// What the model has come to so far.
    pub(super) total: Total,
    /// Problems of parameters that are known already: place and message.
    pub(super) known: HashSet<(Option<Place>, String)>,
    pub(super) warnings: Vec<Diagnostic>,
    /// How each tensor was read first.
    pub(super) readings: HashMap<String, Reading>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    /// A model without layers.
    pub(super) fn new(
        library: &'a Library,
        file: &'a ModelFile,
        names: &'a Names,
        tensors: &'a Tensors,
    ) -> Builder<'a> {
        Builder {
            library,
            file,
            names,
            tensors,
            model: Model {
                name: file.name.value.clone(),
                ..Model::default()
            },
            streams: HashMap::new(),
            graphs: HashMap::new(),
            elaborated: Vec::new(),
            rows: Vec::new(),
            calls: Vec::new(),
            clocks: Clocks::default(),
            natives: HashMap::new(),
            kinds: HashMap::new(),
            settings: Vec::new(),
            policies: Vec::new(),
            wanted: 0,
            total: Total::default(),
            known: HashSet::new(),
            warnings: Vec::new(),
            readings: HashMap::new(),
            diagnostics: Vec::new(),
        }
    }
}
