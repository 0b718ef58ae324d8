//! Checkpoints: safetensors files, folders of them, and GGUF files, mapped into memory and read with bounds.
//!
//! A checkpoint is untrusted. Counts, lengths and offsets in it are checked against the size of the file before
//! anything is read or allocated; whatever does not add up is an [`Error`].

mod blocks;
mod bundle;
mod checkpoint;
mod entry;
mod error;
mod faults;
mod files;
mod gguf;
mod gguf_head;
mod joined;
#[cfg_attr(target_os = "wasi", path = "wasi/mapping.rs")]
mod mapping;
mod open;
#[cfg_attr(target_os = "wasi", path = "wasi/output.rs")]
pub mod output;
mod output_error;
mod pairs;
mod parts;
mod quantised;
mod safe;
mod scales;
mod tensor;
pub mod tokenizer_kinds;
mod view;

pub use bundle::Bundle;
pub use checkpoint::Checkpoint;
pub use error::Error;
pub use faults::foreign;
pub use files::{COMPANIONS, Source, companions, read_at_most, take_at_most};
pub use gguf::{Array, Metadata, Value};
pub use gguf_head::{Keys, Planned};
pub use quantised::unquantised;
pub use scales::Scales;
pub use tensor::TensorRef;
pub use view::base;
