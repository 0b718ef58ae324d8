//! What every emitted program carries: threads, weights, state, tokenizer and the command line.
//!
//! There is no numerical kernel here. [`code::Code`] is the generated half of a program; [`model::Model`] is that with
//! weights and threads; a [`sequence::Sequence`] is what one sequence carries, an [`executor::Executor`] reads tokens of several
//! at once; a [`session::Session`] is one sequence being read; an [`engine::Engine`] answers many requests at once; [`cli`] is
//! the command line around them, [`program`] its `main`.

mod answer;
mod barrier;
mod being_read;
mod bounded;
mod busy;
pub mod cache_file;
#[cfg(any(feature = "library", test))]
pub mod capi;
pub mod chat;
pub mod cli;
pub mod code;
pub mod engine;
mod entropy;
pub mod error;
pub mod executor;
#[cfg(any(feature = "program", feature = "library", test))]
mod fields;
mod fingerprint;
pub mod finite;
pub mod generation;
mod history;
pub mod inputs;
mod kept;
mod limits;
mod machine;
mod memory;
pub mod model;
pub mod outputs;
mod pages;
mod places;
pub mod pool;
pub mod prefix;
pub mod program;
mod prompts;
mod saved;
pub mod sequence;
#[cfg(feature = "program")]
mod server;
pub mod session;
pub mod speculation;
mod state;
mod streams;
#[cfg(test)]
mod testing;
pub mod tokenizer;
mod weights;

pub use barrier::{Barrier, seqc_barrier};
pub use error::{Error, Result};
