//! What is to be elaborated: a layer in its blocks, and what is given to it.

use crate::{
    known::Known,
    library::{Definition, Library},
    source::Place,
};
use seqc_formats::Encoding;
use seqc_ir::Ty;
use std::{collections::HashMap, sync::Arc};

/// In front of the names of results that are reports.
pub const TRACE: &str = "trace.";

/// A value and where it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The value.
    pub value: Known,
    /// Where it stands.
    pub place: Place,
}

/// A definition with the settings that a model gives it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The definition.
    pub definition: Arc<Definition>,
    /// Given settings by name.
    pub settings: Vec<(String, Given)>,
    /// Where the model names it.
    pub place: Place,
}

/// How the attentions of a layer keep keys and values.
#[derive(Clone, Debug)]
pub struct CacheUse {
    /// The type of their numbers; of those that the policy codes, before that.
    pub stored: Encoding,
    /// The type as the model writes it; it may be one of the policy's codes.
    pub ty: Option<String>,
    /// Which of them are kept, and how.
    pub policy: Option<PolicyUse>,
}

/// A cache policy with the settings that a model gives it.
#[derive(Clone, Debug)]
pub struct PolicyUse {
    /// The policy.
    pub part: Part,
    /// Number of the layer among those that the model's entry applies to.
    pub layer: usize,
    /// How many they are.
    pub layers: usize,
}

/// What is to be elaborated.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Definitions that may be called.
    pub library: &'a Library,
    /// Sizes of the model, known in layers and blocks.
    pub sizes: &'a HashMap<String, Given>,
    /// The layer.
    pub layer: Part,
    /// Blocks around it, outermost first.
    pub blocks: Vec<Part>,
    /// How its attentions keep keys and values, where the model says it.
    pub cache: Option<Arc<CacheUse>>,
    /// Types of the inputs: the first argument, then those that `streams` names.
    pub inputs: Vec<Ty>,
    /// Which of them have a value for each row of the memory, and none at a token.
    pub of_memory: Vec<bool>,
    /// Definitions that become results beside the first.
    pub taps: Vec<(String, Place)>,
}

/// Names of the streams that a layer in its blocks reads, in the order of the graph's inputs.
pub fn stream_names(layer: &Definition, blocks: &[Part]) -> Vec<String> {
    let mut names: Vec<String> = layer.def.streams.iter().map(|s| s.name.text.clone()).collect();
    for block in blocks {
        names.extend(
            block
                .definition
                .def
                .streams
                .iter()
                .skip(1)
                .filter(|s| !matches!(s.ty, seqc_grammar::ast::StreamTy::Layer))
                .map(|s| s.name.text.clone()),
        );
    }
    names
}

/// What stands before the names of the parameters of block `n`: its name, numbered where it wraps more than once.
pub fn block_prefix(blocks: &[Part], n: usize) -> String {
    let Some(block) = blocks.get(n) else {
        return String::new();
    };
    let name = &block.definition.def.name.text;
    let before = blocks[..n]
        .iter()
        .filter(|b| b.definition.def.name.text == *name)
        .count();
    match before {
        0 => format!("{name}."),
        _ => format!("{name}_{}.", before + 1),
    }
}
