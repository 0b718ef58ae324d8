//! Syntax of model files (YAML, docs/language.md, §8 (Models)). Every node has its source location.

mod keys;
mod read;
mod reader;
mod scalar;
mod schema;
mod stack;
mod types;

pub use keys::{CACHE_KEYS, ENCODER_KEYS, ENTRY_KEYS, MODEL_KEYS, REPEAT_KEYS, WEIGHTS_KEYS};
pub use read::{parse_model, read_model};
pub use scalar::parse_template;
pub use schema::schema;
pub use types::{
    BlockRef, BlockSpec, Cache, Encoder, Entry, InputTy, LayerEntry, Load, ModelFile, Part, RepeatEntry, Spanned,
    Template, Value, Weights, When,
};
