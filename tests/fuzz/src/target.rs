//! What can be fuzzed.
//!
//! A new target is one file with a function that makes one case from a source of random numbers, runs it, and says how it
//! ended, and one row in [`TARGETS`]. It needs to catch nothing: panics, signals, memory beyond [`crate::worker::MEMORY`] and
//! processor time beyond [`crate::worker::SECONDS`] are findings by themselves. Whatever decides about a case follows from the
//! numbers: no clock, no other file.

use crate::ending::Ending;
use seqc_ir::random::Rng;
use std::path::Path;

/// Something that reads what people write.
pub(crate) struct Target {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What is tried.
    pub(crate) about: &'static str,
    /// Makes one case, in a directory of its own that is empty, and runs it.
    pub(crate) case: fn(&mut Rng, &Path) -> Ending,
}

/// All targets.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "layers",
        about: "models of random layers: check, explain, inspect, build; small ones against the evaluator",
        case: crate::layers::case,
    },
    Target {
        name: "caches",
        about: "models with random cache policies: check, and programs against the evaluator",
        case: crate::caches::case,
    },
    Target {
        name: "texts",
        about: "changed layer files, models and families: check, fmt",
        case: crate::texts::case,
    },
    Target {
        name: "checkpoints",
        about: "changed safetensors and GGUF files, whole and in parts: open, every tensor as numbers",
        case: crate::checkpoints::case,
    },
    Target {
        name: "imports",
        about: "changed configurations, weights, GGUF files and families: import",
        case: crate::imports::case,
    },
    Target {
        name: "tokenizers",
        about: "changed tokenizers and chat templates: texts to tokens and back, a conversation",
        case: crate::tokenizers::case,
    },
];
