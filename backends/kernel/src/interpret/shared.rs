//! The memory of a block: its matrices, and copies into it. Where a copy goes is NaN until it arrives, so that reading it early shows.

use super::{copies::Copy, run::Run, team::Member};
use crate::{Inst, Val};

/// Bytes of a row of a matrix.
const ROW: usize = 16;

impl Run<'_, '_, '_> {
    /// An instruction on the memory of a block.
    pub(super) fn shared(&mut self, inst: &Inst) -> Result<(), String> {
        match inst {
            Inst::LoadMatrices { out, rows } => return self.load_matrices(*out, *rows),
            Inst::CopyAsync {
                to,
                from,
                counts,
                bytes,
            } => return self.start(*to, *from, *counts, usize::from(*bytes)),
            Inst::CommitCopies => self.member.copies.commit(),
            Inst::WaitCopies { left } => {
                let copies = self.member.copies.take_but(usize::from(*left));
                return copies.into_iter().try_for_each(|copy| arrive(self.member, copy));
            }
            _ => return Err("is nothing that reaches the memory of a block".to_owned()),
        }
        Ok(())
    }

    fn load_matrices(&mut self, out: Val, rows: Val) -> Result<(), String> {
        let place = self.place(out);
        for row in 0..rows.ty.lanes() as usize {
            let address = self.address(rows, row, ROW)?;
            let bytes = self.member.bytes(address, ROW, ROW)?;
            let words = bytes
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            for (word, found) in self.words[place + 4 * row..][..4].iter_mut().zip(words) {
                *word = u64::from(found);
            }
        }
        Ok(())
    }

    fn start(&mut self, to: Val, from: Val, counts: Val, bytes: usize) -> Result<(), String> {
        for l in 0..to.ty.lanes() as usize {
            let (to, from) = (self.address(to, l, bytes)?, self.address(from, l, bytes)?);
            let count = self.integer(counts, l);
            let count = usize::try_from(count).ok().filter(|count| *count <= bytes);
            let count = count.ok_or_else(|| format!("copies {} bytes of {bytes}", self.integer(counts, l)))?;
            if count > 0 {
                // Whole units are aligned, whatever is read of them.
                self.member.bytes(from, count, bytes)?;
            }
            self.member.bytes_mut(to, bytes, bytes)?.fill(0xFF);
            self.member.copies.start(Copy { to, from, count, bytes });
        }
        Ok(())
    }
}

fn arrive(member: &mut Member<'_>, copy: Copy) -> Result<(), String> {
    let mut found = match copy.count {
        0 => Vec::new(),
        count => member.bytes(copy.from, count, copy.bytes)?.to_vec(),
    };
    found.resize(copy.bytes, 0);
    member
        .bytes_mut(copy.to, copy.bytes, copy.bytes)?
        .copy_from_slice(&found);
    Ok(())
}
