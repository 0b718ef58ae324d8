//! The keys that the mappings of a model file have.

/// Keys of a model.
pub const MODEL_KEYS: &[&str] = &[
    "version",
    "model",
    "sizes",
    "inputs",
    "use",
    "weights",
    "activations",
    "cache",
    "tokenizer",
    "end",
    "trained_length",
    "block",
    "encoder",
    "stack",
    "output",
];

/// Keys of `encoder`.
pub const ENCODER_KEYS: &[&str] = &["inputs", "block", "stack", "output", "start"];

/// Keys of `weights`.
pub const WEIGHTS_KEYS: &[&str] = &["file", "type", "random", "names", "unused"];

/// Keys of an entry of `cache` beside the settings of its policy.
pub const CACHE_KEYS: &[&str] = &["on", "policy", "type"];

/// Keys beside the layer of an entry.
pub const ENTRY_KEYS: &[&str] = &[
    "name",
    "block",
    "load",
    "params",
    "if",
    "in",
    "tap",
    "when",
    "otherwise",
];

/// Keys of a tensor of which a part is loaded.
pub(super) const PART_KEYS: &[&str] = &["tensor", "rows", "transpose"];

/// Keys of several entries.
pub const REPEAT_KEYS: &[&str] = &["repeat", "of", "if", "when", "otherwise"];
