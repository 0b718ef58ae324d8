//! From text to syntax trees with places: layer files (`.seq`) and model files (YAML).
//!
//! Reading never fails: it gives a tree and a list of messages. *Absent*: graphs, sizes, file access.

pub mod ast;
pub mod diag;
mod fmt;
mod lex;
pub mod model;
mod parse;
mod walk;
pub mod yaml;

pub use diag::{Diagnostic, FileId, Label, Severity, Sources, line_column, nearest};
pub use fmt::format_file;
pub use model::{parse_model, parse_template, schema};
pub use parse::{MAX_FILE, MAX_NESTING, MAX_OPERATORS, parse_expr, parse_file};
