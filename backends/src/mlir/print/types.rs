//! Types and lists as MLIR writes them.

use crate::kernel::Ty;
use std::fmt;

/// A type as MLIR writes it.
pub(super) struct Type(pub(super) Ty);

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ty::S(s) => write!(f, "{s}"),
            Ty::V(n, s) => write!(f, "vector<{n}x{s}>"),
            Ty::Ptr(_) => f.write_str("!llvm.ptr"),
            Ty::PtrV(n, _) => write!(f, "vector<{n}x!llvm.ptr>"),
        }
    }
}

/// Items with commas between them.
pub(super) struct List<I>(pub(super) I);

impl<I: Iterator<Item = T> + Clone, T: fmt::Display> fmt::Display for List<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in self.0.clone().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}
