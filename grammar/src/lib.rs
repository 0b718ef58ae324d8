//! From text to syntax trees with places: layer files (`.seq`) and model files (YAML).
//!
//! Reading never fails: it gives a tree and a list of messages. Nothing here knows graphs, sizes or the disk.

pub mod ast;
pub mod diag;
pub mod model;

pub use diag::{Diagnostic, FileId, Label, Severity, Sources, line_column, nearest};
