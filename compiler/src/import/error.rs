//! Errors of imports.

use crate::diag::{Diagnostic, Placed};

/// What is wrong with a checkpoint, its configuration or a family.
pub(super) fn bare(message: impl Into<String>) -> Diagnostic {
    Diagnostic::bare("import", message)
}
