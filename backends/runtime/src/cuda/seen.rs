//! Tables of the runtime as generated code sees them: in copies, since a device sees no memory of this process but that of
//! [`Region`](crate::memory::Region).

use crate::{Result, copies::Copies};

/// Copies of tables, valid until the next step begins.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    copies: Copies,
}

impl Seen {
    /// Whether generated code sees copies.
    pub(crate) const COPIES: bool = true;

    /// Forgets the tables of the step before.
    pub(crate) fn begin(&mut self) {
        self.copies.begin();
    }

    /// The address at which generated code sees a copy of these items.
    pub(crate) fn place<T: Copy>(&mut self, items: &[T]) -> Result<u64> {
        self.copies.place(items)
    }
}
