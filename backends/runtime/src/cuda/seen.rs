//! Tables of the runtime as generated code sees them: in copies, since a device sees no memory of this process but that of [`Region`].

use crate::{Result, memory::Region};

/// Bytes of the first piece of memory.
const PIECE: usize = 1 << 16;
/// Tables begin on multiples of so many bytes.
const ALIGNED: usize = 64;

/// Copies of tables, valid until the next step begins.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Each twice as large as the one before: the last one is used.
    pieces: Vec<Region>,
    used: usize,
}

impl Seen {
    /// Whether generated code sees copies.
    pub(crate) const COPIES: bool = true;

    /// Forgets the tables of the step before. Only the largest piece stays.
    pub(crate) fn begin(&mut self) {
        self.pieces.drain(..self.pieces.len().saturating_sub(1));
        self.used = 0;
    }

    /// The address at which generated code sees a copy of these items.
    pub(crate) fn place<T: Copy>(&mut self, items: &[T]) -> Result<u64> {
        let bytes = size_of_val(items);
        let room = self.pieces.last().map_or(0, Region::len);
        if room.saturating_sub(self.used) < bytes {
            let needed = (2 * room).max(bytes).max(PIECE);
            self.pieces.push(Region::new(needed)?);
            self.used = 0;
        }
        let Some(piece) = self.pieces.last_mut() else {
            return Ok(0);
        };
        // SAFETY: the piece has room for these bytes behind what is used, and the items are plain data of others.
        let start = unsafe {
            let start = piece.as_ptr().add(self.used);
            std::ptr::copy_nonoverlapping(items.as_ptr().cast::<u8>(), start, bytes);
            start
        };
        self.used += bytes.next_multiple_of(ALIGNED);
        Ok(start as u64)
    }
}
