//! Errors of imports.

use crate::diag::{Diagnostic, Placed};

/// What is wrong with a checkpoint, its configuration or a family.
pub(super) fn bare(message: impl Into<String>) -> Diagnostic {
    Diagnostic::bare("import", message)
}

/// A file of weights that cannot be read.
pub(super) fn unread(error: &seqc_checkpoint::Error) -> Diagnostic {
    Diagnostic::bare("bad-checkpoint", error.to_string())
}
