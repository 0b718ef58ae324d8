//! What a sequence carries from one chunk to the next: one region for every entry of the manifest.

use seqc_abi::{Descriptor, PAGE_TOKENS, StateKind, StateSlot};

use crate::{Error, Result, memory::Region};

/// Rings at least this large ask for huge pages: what is touched in vain is little beside them.
const LARGE: usize = 16 << 20;

/// The state of one sequence.
#[derive(Debug)]
pub(crate) struct State {
    regions: Vec<Region>,
    /// The region of each entry: its own, or that of the entry it shares.
    lies_in: Vec<usize>,
    pointers: Vec<*mut u8>,
}

// SAFETY: the pointers lead into the regions, which are owned here.
unsafe impl Send for State {}

impl State {
    /// The state before the first token.
    pub(crate) fn new(descriptor: &Descriptor) -> Result<State> {
        let mut state = State {
            regions: Vec::new(),
            lies_in: Vec::new(),
            pointers: Vec::new(),
        };
        for slot in &descriptor.states {
            let bytes = match slot.kind {
                StateKind::Fixed { bytes } => bytes,
                StateKind::Pages { .. } | StateKind::Shared { .. } => 0,
            };
            state.regions.push(Region::new(bytes)?);
            state.lies_in.push(match slot.kind {
                StateKind::Shared { with } => with,
                _ => state.lies_in.len(),
            });
        }
        state.refresh();
        Ok(state)
    }

    /// Reserves memory for `more` tokens after the first `position`.
    pub(crate) fn reserve(&mut self, descriptor: &Descriptor, position: u64, more: u64) -> Result<()> {
        let mut moved = false;
        for (number, slot) in descriptor.states.iter().enumerate() {
            let needed = kept_bytes(slot, self.tokens(slot, position).saturating_add(more))?;
            let region = &mut self.regions[number];
            if needed > region.len() {
                // Reserving ahead saves calls; untouched pages take no memory.
                let ahead = match slot.kind {
                    StateKind::Pages { pages: None, .. } => needed.saturating_add(needed / 2),
                    _ => kept_bytes(slot, u64::MAX).unwrap_or(needed),
                };
                region.grow(ahead).or_else(|_| region.grow(needed))?;
                if matches!(slot.kind, StateKind::Pages { pages: Some(_), .. }) {
                    region.on_huge_pages(LARGE);
                }
                moved = true;
            }
        }
        if moved {
            self.refresh();
        }
        Ok(())
    }

    /// Tokens that were appended to an entry in a sequence of `position` tokens: all, or as many as another entry counts.
    pub(crate) fn tokens(&self, slot: &StateSlot, position: u64) -> u64 {
        let StateKind::Pages {
            count: Some(counter), ..
        } = slot.kind
        else {
            return position;
        };
        let bytes = self
            .regions
            .get(counter)
            .and_then(|region| region.bytes().first_chunk());
        bytes.map_or(position, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Capacity of an entry in bytes.
    #[cfg(test)]
    pub(crate) fn room(&self, slot: usize) -> usize {
        self.regions[slot].len()
    }

    fn refresh(&mut self) {
        self.pointers.clear();
        let regions = self.lies_in.iter().filter_map(|n| self.regions.get(*n));
        self.pointers.extend(regions.map(Region::as_ptr));
    }

    /// The frame's table.
    pub(crate) fn table(&self) -> *const *mut u8 {
        self.pointers.as_ptr()
    }

    /// The first `bytes` bytes of an entry, whose memory was reserved.
    pub(crate) fn kept(&self, slot: usize, bytes: usize) -> &[u8] {
        &self.regions[slot].bytes()[..bytes]
    }

    pub(crate) fn kept_mut(&mut self, slot: usize, bytes: usize) -> &mut [u8] {
        &mut self.regions[slot].bytes_mut()[..bytes]
    }
}

/// Bytes that an entry holds after `tokens` tokens were appended.
pub(crate) fn kept_bytes(slot: &StateSlot, tokens: u64) -> Result<usize> {
    let bytes = match slot.kind {
        StateKind::Fixed { bytes } => Some(bytes),
        StateKind::Shared { .. } => Some(0),
        StateKind::Pages {
            page_bytes,
            pinned,
            pages,
            count: _,
        } => {
            let needed = usize::try_from(tokens.div_ceil(PAGE_TOKENS as u64)).ok();
            needed.and_then(|needed| {
                needed
                    .min(pages.map_or(usize::MAX, |ring| pinned.saturating_add(ring)))
                    .checked_mul(page_bytes)
            })
        }
    };
    bytes.ok_or_else(|| {
        Error::input(format!(
            "the state `{}` of {tokens} tokens is beyond all memory",
            slot.name
        ))
    })
}
