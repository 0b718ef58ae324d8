//! The text form of graphs and models, for reading and for snapshots; it parses back.
//!
//! ```text
//! graph scan {
//!   param 0 a : f32[e=2]
//!   input 0 x : f32[e=2]
//!   state @0 h : f32[e=2] next %4
//!   %0 = input(0) : f32[e=2]  "x"
//!   %1 = param(0) : f32[e=2]  "a"
//!   %2 = prev(@0) : f32[e=2]
//!   %3 = mul %1, %2 : f32[e=2]
//!   %4 = add %3, %0 : f32[e=2]  "h"
//!   output h %4
//! }
//! ```
//!
//! A line per node: number, operation with its constants in parentheses, operands, type, and the name it had in
//! the source. Operands precede their users. Indices of a view are functions of the result's indices `i0`,
//! `i1`, …, as in `view(i1, i0 / 4 + 1) %3`. In attention `i` and `j` are the positions of query and key,
//! `s` the score, `head` the head, `q0` and `k0` streams at query and key: `where=lt(sub(i, j), 512.0)`.
//! Names that are not plain words are quoted. `//` starts a comment.
//!
//! Printing goes through `Display`; parsing through `FromStr` of [`crate::Graph`] and [`crate::Model`], and checks the
//! text alone: a graph that parses may still be refused by the verifier. `print(parse(print(g)))` is `print(g)`.
//!
//! Texts of what is made from graphs are read with the same [`Parser`] and name things with the same [`Name`]s and [`Number`]s.

mod cursor;
mod expr;
mod lex;
mod model;
mod names;
mod parse;
mod policy;
mod print;

pub use cursor::Parser;
pub use lex::Token;
pub(crate) use print::node_line;
pub use print::{Name, Number};

/// Why a text is not a graph or a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found and what belongs there.
    pub message: String,
}

/// Longest text that is parsed, in bytes.
pub const MAX_TEXT: usize = 64 << 20;

/// Largest node, state or stream number in a text.
pub const MAX_NUMBER: u32 = 1 << 17;

/// Deepest nesting of index and score expressions in a text.
pub const MAX_DEPTH: usize = 100;
