//! Source locations in the texts of one compilation.

use seqc_grammar::ast::Span;
pub use seqc_grammar::{FileId, Sources};

/// A range of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub span: Span,
}

impl Place {
    /// A range of a file.
    pub fn new(file: FileId, span: Span) -> Place {
        Place { file, span }
    }
}
