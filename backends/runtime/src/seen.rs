//! Tables of the runtime as generated code sees them: it runs in this process, and reads them where they are.

use crate::Result;

/// Tables of a step.
#[derive(Debug, Default)]
pub(crate) struct Seen {}

impl Seen {
    /// Whether generated code sees copies.
    pub(crate) const COPIES: bool = false;

    /// Forgets the tables of the step before.
    pub(crate) fn begin(&mut self) {}

    /// The address at which generated code sees these items, as long as they stay where they are.
    pub(crate) fn place<T: Copy>(&mut self, items: &[T]) -> Result<u64> {
        Ok(items.as_ptr() as u64)
    }
}
