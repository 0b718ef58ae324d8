//! What is asked about threads, where there is one.

use std::sync::atomic::AtomicU32;

/// There is nobody to wait for.
pub(crate) fn sleep(_word: &AtomicU32, _value: u32) {}

/// Nobody sleeps.
pub(crate) fn wake(_word: &AtomicU32) {}

/// Nobody else is seen.
pub(crate) fn contended() -> bool {
    false
}

/// How often the system took a core away is not known.
pub(crate) fn interruptions() -> i64 {
    0
}
