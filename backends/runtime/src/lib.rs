//! What every emitted program carries: threads, weights, state, tokenizer and the command line.
//!
//! There is no numerical kernel here. [`code::Code`] is the generated half of a program; [`model::Model`] is that with
//! weights and threads; a [`sequence::Sequence`] is what one sequence carries, an [`executor::Executor`] reads tokens of several
//! at once; a [`session::Session`] is one sequence being read; an [`engine::Engine`] answers many requests at once; [`cli`] is
//! the command line around them, [`program`] its `main`. The folder `wasi` has what a system without threads, processes and mapped files takes
//! instead of the modules of the same names; the folder `cuda` what programs take whose code runs on a GPU.

// What requests to a server and to a library share has no use in programs that have neither.
#![cfg_attr(target_os = "wasi", allow(dead_code))]

mod answer;
mod barrier;
mod being_read;
#[cfg_attr(target_os = "wasi", path = "wasi/bounded.rs")]
mod bounded;
#[cfg(not(feature = "cuda"))]
mod busy;
#[cfg_attr(target_os = "wasi", path = "wasi/cache_file.rs")]
pub mod cache_file;
#[cfg(any(feature = "library", test))]
pub mod capi;
pub mod chat;
pub mod cli;
pub mod code;
mod copies;
#[cfg(feature = "cuda")]
#[path = "cuda/device.rs"]
mod device;
pub mod engine;
#[cfg_attr(target_os = "wasi", path = "wasi/entropy.rs")]
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
#[cfg_attr(target_os = "wasi", path = "wasi/limits.rs")]
mod limits;
mod machine;
mod memory;
pub mod model;
pub mod outputs;
mod pages;
mod places;
#[cfg_attr(feature = "cuda", path = "cuda/pool.rs")]
pub mod pool;
pub mod pooling;
pub mod prefix;
pub mod program;
mod prompts;
mod saved;
#[cfg_attr(target_os = "wasi", path = "wasi/scheduling.rs")]
mod scheduling;
#[cfg_attr(feature = "cuda", path = "cuda/seen.rs")]
mod seen;
pub mod sequence;
#[cfg(feature = "server")]
mod server;
pub mod session;
pub mod speculation;
mod state;
mod streams;
#[cfg(test)]
mod testing;
#[cfg(not(feature = "cuda"))]
mod tiny;
pub mod tokenizer;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod warp;
mod weights;

/// Whether parameters lie in memory of a device, where they begin at multiples of 64: in emulation they are read where their file is mapped.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) const DEVICE_MEMORY: bool = false;

pub use barrier::{Barrier, seqc_barrier};
pub use error::{Error, Result};
