//! Memory that generated code sees, for a step: copies of tables, and numbers that it changes.

use crate::{Result, memory::Region};

/// Bytes of the first piece of memory.
const PIECE: usize = 1 << 16;
/// Tables begin on multiples of so many bytes.
const ALIGNED: usize = 64;

/// Copies of tables, valid until the next step begins.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Each twice as large as the one before: the last one is used.
    pieces: Vec<Region>,
    used: usize,
}

impl Copies {
    /// Forgets the tables of the step before. Only the largest piece stays.
    pub(crate) fn begin(&mut self) {
        self.pieces.drain(..self.pieces.len().saturating_sub(1));
        self.used = 0;
    }

    /// The address at which generated code sees a copy of these items.
    pub(crate) fn place<T: Copy>(&mut self, items: &[T]) -> Result<u64> {
        let bytes = size_of_val(items);
        let start = self.room(bytes)?;
        // SAFETY: there is room for these bytes, and the items are plain data of others.
        unsafe { std::ptr::copy_nonoverlapping(items.as_ptr().cast::<u8>(), start, bytes) };
        Ok(start as u64)
    }

    /// So many bytes, of any content.
    pub(crate) fn room(&mut self, bytes: usize) -> Result<*mut u8> {
        let room = self.pieces.last().map_or(0, Region::len);
        if room.saturating_sub(self.used) < bytes {
            let needed = (2 * room).max(bytes).max(PIECE);
            self.pieces.push(Region::new(needed)?);
            self.used = 0;
        }
        let Some(piece) = self.pieces.last_mut() else {
            return Ok(std::ptr::null_mut());
        };
        // SAFETY: the piece has room for these bytes behind what is used.
        let start = unsafe { piece.as_ptr().add(self.used) };
        self.used += bytes.next_multiple_of(ALIGNED);
        Ok(start)
    }
}
