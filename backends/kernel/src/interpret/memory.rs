//! Memory in allocations, each in a space: a pointer is the number of one and an offset into it.

use super::races::{Access, Mark};
use crate::Space;

/// Bits of an offset.
const OFFSET: u32 = 40;

/// Memory of separate allocations, whose bytes are reached by addresses.
#[derive(Debug, Default)]
pub struct Memory {
    allocations: Vec<Allocation>,
    /// Times between barriers that have ended.
    pub(super) intervals: u64,
}

#[derive(Debug)]
struct Allocation {
    name: String,
    bytes: Vec<u8>,
    space: Space,
    writable: bool,
    /// One for each byte from when members of a team reach it on.
    marks: Vec<Mark>,
}

impl Memory {
    /// Adds an allocation in a space that begins at a multiple of 64; returns its address.
    pub fn allocate_in(&mut self, space: Space, name: &str, bytes: Vec<u8>) -> u64 {
        self.add(Allocation {
            name: name.to_owned(),
            bytes,
            space,
            writable: space != Space::Constant,
            marks: Vec::new(),
        })
    }

    /// The same in memory that the whole team sees.
    pub fn allocate(&mut self, name: &str, bytes: Vec<u8>) -> u64 {
        self.allocate_in(Space::Global, name, bytes)
    }

    /// The same, for bytes that nothing may write.
    pub fn allocate_constant(&mut self, name: &str, bytes: Vec<u8>) -> u64 {
        self.add(Allocation {
            name: name.to_owned(),
            bytes,
            space: Space::Global,
            writable: false,
            marks: Vec::new(),
        })
    }

    fn add(&mut self, allocation: Allocation) -> u64 {
        self.allocations.push(allocation);
        (self.allocations.len() as u64) << OFFSET
    }

    /// Ends an allocation: no address in it is valid any more.
    pub fn free(&mut self, address: u64) {
        if let Some(allocation) = self.allocations.get_mut(((address >> OFFSET) as usize).wrapping_sub(1)) {
            allocation.bytes = Vec::new();
            allocation.marks = Vec::new();
        }
    }

    /// The bytes from an address on.
    ///
    /// # Errors
    ///
    /// What is wrong with the address, the number of bytes or the alignment.
    pub fn bytes(&self, address: u64, count: usize, align: usize) -> Result<&[u8], String> {
        let (n, start) = self.place(address, count, align)?;
        Ok(&self.allocations[n].bytes[start..start + count])
    }

    /// The same, to write.
    ///
    /// # Errors
    ///
    /// Those of [`Memory::bytes`], and where the bytes are constant.
    pub fn bytes_mut(&mut self, address: u64, count: usize, align: usize) -> Result<&mut [u8], String> {
        let (n, start) = self.place(address, count, align)?;
        let allocation = &mut self.allocations[n];
        match allocation.writable {
            true => Ok(&mut allocation.bytes[start..start + count]),
            false => Err(format!("writes the constant {}", allocation.name)),
        }
    }

    /// Notes that a member of a team reaches bytes that others may reach.
    ///
    /// # Errors
    ///
    /// That others did since all met, so that it matters who is first.
    pub(super) fn reach(&mut self, address: u64, count: usize, access: Access) -> Result<(), String> {
        let (n, start) = self.place(address, count, 1)?;
        let allocation = &mut self.allocations[n];
        if !allocation.writable || allocation.space == Space::Private {
            return Ok(());
        }
        allocation.marks.resize(allocation.bytes.len(), Mark::default());
        for (at, mark) in allocation.marks[start..start + count].iter_mut().enumerate() {
            if let Err(done) = mark.reach(access) {
                let (doing, at) = (if access.writes { "writes" } else { "reads" }, start + at);
                return Err(format!(
                    "{doing} byte {at} of {}, which another member has {done} since all met at a barrier",
                    allocation.name
                ));
            }
        }
        Ok(())
    }

    /// Whether what is at an address may be reached through a pointer into `space`.
    ///
    /// # Errors
    ///
    /// That the address is in another space.
    pub(super) fn is_in(&self, address: u64, space: Space) -> Result<(), String> {
        match self.allocations.get(((address >> OFFSET) as usize).wrapping_sub(1)) {
            Some(found) if space != Space::Generic && found.space != space => {
                let Allocation { name, space: own, .. } = found;
                Err(format!(
                    "reaches {name}, which is {own}, through a pointer to {space} memory"
                ))
            }
            // What is no address is told by the access.
            _ => Ok(()),
        }
    }

    fn place(&self, address: u64, count: usize, align: usize) -> Result<(usize, usize), String> {
        let (number, start) = ((address >> OFFSET) as usize, (address & ((1 << OFFSET) - 1)) as usize);
        let n = number.wrapping_sub(1);
        let Some(allocation) = self.allocations.get(n) else {
            return Err(format!("{address:#x} is no address"));
        };
        let (name, size) = (&allocation.name, allocation.bytes.len());
        if start + count > size {
            // Offsets before the start are large ones of the allocation before.
            return Err(format!("{count} bytes at {start} of {name}, which has {size}"));
        }
        if !start.is_multiple_of(align) {
            return Err(format!("byte {start} of {name} is not aligned to {align}"));
        }
        Ok((n, start))
    }
}
