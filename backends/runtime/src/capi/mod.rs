//! The C interface of `include/seqc.h`, which documents every function; here is what makes it safe to call.
//!
//! Every pointer is checked for NULL, every text for UTF-8, every panic is caught (`outcome`). Objects of C are boxes: a
//! [`CModel`](model::CModel) shares its model with what is made of it; sessions, decoders and samplers are behind locks that are never waited
//! for, so that an object in use is an error.

mod answer;
pub mod callbacks;
pub mod decoder;
mod described;
pub mod draft;
mod drafted;
pub mod feed;
pub mod generate;
pub mod memory;
pub mod model;
pub mod outcome;
mod pointers;
mod reading;
pub mod sampler;
pub mod session;
pub mod source;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod text;
pub mod version;
