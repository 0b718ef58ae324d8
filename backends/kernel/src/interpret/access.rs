//! Addresses, loads and stores.

use super::{code::bytes_of, run::Run};
use crate::{Inst, Scalar, Space, Ty, Val};

/// The number of little-endian bytes.
fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

/// Bytes of an allocation on the stack, at most.
const STACK: i64 = 1 << 24;

impl Run<'_, '_, '_> {
    /// An instruction on memory.
    pub(super) fn access(&mut self, inst: &Inst) -> Result<(), String> {
        match inst {
            Inst::Offset { out, base, index, elem } => {
                let size = elem.bytes();
                let base = self.scalar(*base) as i64;
                self.set(*out, |r, l| {
                    base.wrapping_add(r.integer(*index, l).wrapping_mul(size)) as u64
                });
            }
            Inst::Address { out, global } => {
                let address = self.global(global)?;
                self.set(*out, |_, _| address);
            }
            Inst::Stack { out, count, elem } => return self.allocate(*out, *count, *elem),
            Inst::Load { out, ptr, align, .. } => return self.load(*out, *ptr, usize::from(*align)),
            Inst::Store { value, ptr, align } => {
                let (address, size) = (self.address(*ptr, 0, 0)?, bytes_of(value.ty));
                let (place, n) = (self.place(*value), value.ty.lanes() as usize);
                let bytes = self.member.bytes_mut(address, n * size, usize::from(*align))?;
                for (bytes, word) in bytes.chunks_exact_mut(size).zip(&self.words[place..place + n]) {
                    bytes.copy_from_slice(&word.to_le_bytes()[..size]);
                }
            }
            Inst::MaskedLoad {
                out,
                ptr,
                mask,
                otherwise,
            }
            | Inst::Gather {
                out,
                ptrs: ptr,
                mask,
                otherwise,
            } => return self.load_lanes(*out, *ptr, *mask, *otherwise),
            Inst::MaskedStore { value, ptr, mask } | Inst::Scatter { value, ptrs: ptr, mask } => {
                return self.store_lanes(*value, *ptr, *mask);
            }
            // What may be asked for is any address.
            Inst::Prefetch { .. } => {}
            _ => return Err("is nothing that this interpreter does".to_owned()),
        }
        Ok(())
    }

    fn allocate(&mut self, out: Val, count: Val, elem: Scalar) -> Result<(), String> {
        let bytes = self.integer(count, 0).saturating_mul(elem.bytes());
        if !(0..=STACK).contains(&bytes) {
            return Err(format!("takes {bytes} bytes of the stack"));
        }
        // What is not written yet is NaN.
        let bytes = vec![0xFF; bytes as usize];
        let address = self.member.memory().allocate_in(Space::Private, "the stack", bytes);
        self.stack.push(address);
        self.set(out, |_, _| address);
        Ok(())
    }

    /// Where lane `l`, of `size` bytes, is read or written: through a pointer of its own, or behind the lanes before it.
    pub(super) fn address(&mut self, ptr: Val, l: usize, size: usize) -> Result<u64, String> {
        let address = match ptr.ty {
            Ty::PtrV(..) => self.lane(ptr, l),
            _ => self.scalar(ptr).wrapping_add((l * size) as u64),
        };
        let space = ptr.ty.space().unwrap_or(Space::Generic);
        self.member.memory().is_in(address, space)?;
        Ok(address)
    }

    fn load(&mut self, out: Val, ptr: Val, align: usize) -> Result<(), String> {
        let address = self.address(ptr, 0, 0)?;
        let (place, n, size) = (self.place(out), out.ty.lanes() as usize, bytes_of(out.ty));
        let bytes = self.member.bytes(address, n * size, align)?;
        for (word, bytes) in self.words[place..place + n].iter_mut().zip(bytes.chunks_exact(size)) {
            *word = number(bytes);
        }
        Ok(())
    }

    fn load_lanes(&mut self, out: Val, ptr: Val, mask: Val, otherwise: Val) -> Result<(), String> {
        let (place, size) = (self.place(out), bytes_of(out.ty));
        for l in 0..out.ty.lanes() as usize {
            let word = if self.lane(mask, l) & 1 == 1 {
                let address = self.address(ptr, l, size)?;
                number(self.member.bytes(address, size, size)?)
            } else {
                self.lane(otherwise, l)
            };
            self.words[place + l] = word;
        }
        Ok(())
    }

    fn store_lanes(&mut self, value: Val, ptr: Val, mask: Val) -> Result<(), String> {
        let size = bytes_of(value.ty);
        for l in 0..value.ty.lanes() as usize {
            if self.lane(mask, l) & 1 == 1 {
                let (address, word) = (self.address(ptr, l, size)?, self.lane(value, l));
                let bytes = self.member.bytes_mut(address, size, size)?;
                bytes.copy_from_slice(&word.to_le_bytes()[..size]);
            }
        }
        Ok(())
    }
}
