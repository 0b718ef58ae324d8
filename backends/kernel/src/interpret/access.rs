//! Addresses, loads and stores.

use super::{code::bytes_of, run::Run};
use crate::{Inst, Scalar, Val};

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
            Inst::Load { out, ptr, align, .. } => {
                let address = self.scalar(*ptr);
                return self.load(*out, address, usize::from(*align));
            }
            Inst::Store { value, ptr, align } => {
                let (address, size) = (self.scalar(*ptr), bytes_of(value.ty));
                let (place, n) = (self.place(*value), value.ty.lanes() as usize);
                let memory = self.member.memory();
                let bytes = memory.bytes_mut(address, n * size, usize::from(*align))?;
                for (bytes, word) in bytes.chunks_exact_mut(size).zip(&self.words[place..place + n]) {
                    bytes.copy_from_slice(&word.to_le_bytes()[..size]);
                }
            }
            Inst::MaskedLoad {
                out,
                ptr,
                mask,
                otherwise,
            } => {
                let (start, size) = (self.scalar(*ptr), bytes_of(out.ty));
                let address = |_: &Self, l: usize| start.wrapping_add((l * size) as u64);
                return self.load_lanes(*out, *mask, *otherwise, address);
            }
            Inst::Gather {
                out,
                ptrs,
                mask,
                otherwise,
            } => return self.load_lanes(*out, *mask, *otherwise, |r, l| r.lane(*ptrs, l)),
            Inst::MaskedStore { value, ptr, mask } => {
                let (start, size) = (self.scalar(*ptr), bytes_of(value.ty));
                let address = |_: &Self, l: usize| start.wrapping_add((l * size) as u64);
                return self.store_lanes(*value, *mask, address);
            }
            Inst::Scatter { value, ptrs, mask } => return self.store_lanes(*value, *mask, |r, l| r.lane(*ptrs, l)),
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
        let address = self.member.memory().allocate("the stack", vec![0xFF; bytes as usize]);
        self.stack.push(address);
        self.set(out, |_, _| address);
        Ok(())
    }

    fn load(&mut self, out: Val, address: u64, align: usize) -> Result<(), String> {
        let (place, n, size) = (self.place(out), out.ty.lanes() as usize, bytes_of(out.ty));
        let bytes = self.member.memory().bytes(address, n * size, align)?;
        for (word, bytes) in self.words[place..place + n].iter_mut().zip(bytes.chunks_exact(size)) {
            *word = number(bytes);
        }
        Ok(())
    }

    fn load_lanes(
        &mut self,
        out: Val,
        mask: Val,
        otherwise: Val,
        address: impl Fn(&Self, usize) -> u64,
    ) -> Result<(), String> {
        let (place, size) = (self.place(out), bytes_of(out.ty));
        for l in 0..out.ty.lanes() as usize {
            let word = if self.lane(mask, l) & 1 == 1 {
                let address = address(self, l);
                number(self.member.memory().bytes(address, size, size)?)
            } else {
                self.lane(otherwise, l)
            };
            self.words[place + l] = word;
        }
        Ok(())
    }

    fn store_lanes(&mut self, value: Val, mask: Val, address: impl Fn(&Self, usize) -> u64) -> Result<(), String> {
        let size = bytes_of(value.ty);
        for l in 0..value.ty.lanes() as usize {
            if self.lane(mask, l) & 1 == 1 {
                let (address, word) = (address(self, l), self.lane(value, l));
                let bytes = self.member.memory().bytes_mut(address, size, size)?;
                bytes.copy_from_slice(&word.to_le_bytes()[..size]);
            }
        }
        Ok(())
    }
}
