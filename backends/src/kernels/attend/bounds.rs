//! Bounds of an integer, as code.

use crate::kernel::Val;

/// Two i64, both included.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) low: Val,
    pub(super) high: Val,
}
