//! What a sequence carries from one step to the next: memory for every entry of the manifest.

use std::{ops::Range, sync::Arc};

use seqc_abi::{Descriptor, PAGE_TOKENS, StateKind, StateOf, StateSlot, Word};

use crate::{
    Error, Result,
    cache_file::Store,
    memory::{Piece, Region},
    pages::Pages,
    seen::Seen,
};

/// Pieces at least this large ask for huge pages: what is touched in vain is little beside them.
const LARGE: usize = 16 << 20;

/// Memory of one entry.
#[derive(Debug)]
enum Entry {
    /// One piece.
    Piece(Region),
    /// Pages that lie anywhere.
    Pages(Pages),
    /// That of another entry.
    Shared(usize),
}

/// The state of one sequence.
#[derive(Debug)]
pub(crate) struct State {
    entries: Vec<Entry>,
    /// For generated code: pointers in slots of 64 bits.
    pointers: Vec<u64>,
}

// SAFETY: the pointers lead into the entries, which are owned here.
unsafe impl Send for State {}
// SAFETY: shared references only read.
unsafe impl Sync for State {}

impl State {
    /// The state before the first token. Pages of caches are parts of a file, if there is one.
    pub(crate) fn new(descriptor: &Descriptor, store: Option<&Arc<Store>>) -> Result<State> {
        let entry = |slot: &StateSlot| match slot.kind {
            StateKind::Fixed { bytes } => Region::new(bytes).map(Entry::Piece),
            StateKind::Bounded { .. } => Region::new(0).map(Entry::Piece),
            StateKind::Pages { page_bytes, .. } => Ok(Entry::Pages(Pages::new(page_bytes, store))),
            StateKind::Shared { with } => Ok(Entry::Shared(with)),
        };
        let entries = descriptor.states.iter().map(entry).collect::<Result<_>>()?;
        Ok(State::of(entries))
    }

    fn of(entries: Vec<Entry>) -> State {
        let mut state = State {
            entries,
            pointers: Vec::new(),
        };
        state.refresh();
        state
    }

    /// A copy after `position` tokens: pages are shared until one of both writes them.
    pub(crate) fn fork(&self, descriptor: &Descriptor, position: u64) -> Result<State> {
        let entry = |(entry, slot): (&Entry, &StateSlot)| {
            Ok(match entry {
                Entry::Piece(region) => {
                    let mut copy = Region::new(region.len())?;
                    let kept = kept_bytes(slot, position)?.min(region.len());
                    copy.bytes_mut()[..kept].copy_from_slice(&region.bytes()[..kept]);
                    Entry::Piece(copy)
                }
                Entry::Pages(pages) => Entry::Pages(pages.fork()),
                Entry::Shared(with) => Entry::Shared(*with),
            })
        };
        let entries = self.entries.iter().zip(&descriptor.states).map(entry);
        Ok(State::of(entries.collect::<Result<_>>()?))
    }

    /// The state before the first token, with the memory of this one.
    pub(crate) fn restart(&self, descriptor: &Descriptor, store: Option<&Arc<Store>>) -> Result<State> {
        let mut fresh = State::new(descriptor, store)?;
        let with_memory = self.fork(descriptor, 0)?;
        fresh.take_memory(descriptor, with_memory);
        Ok(fresh)
    }

    /// Has the memory of another state from now on.
    pub(crate) fn take_memory(&mut self, descriptor: &Descriptor, other: State) {
        let entries = self.entries.iter_mut().zip(other.entries).zip(&descriptor.states);
        for ((own, theirs), _) in entries.filter(|(_, slot)| slot.of == StateOf::Memory) {
            *own = theirs;
        }
        self.refresh();
    }

    /// Rows of the memory that was read, 0 before.
    pub(crate) fn rows(&self, descriptor: &Descriptor) -> u64 {
        let mut of_memory = descriptor.states.iter().filter(|slot| slot.of == StateOf::Memory);
        of_memory
            .find(|slot| matches!(slot.kind, StateKind::Pages { .. }))
            .map_or(0, |slot| self.tokens(slot, 0))
    }

    /// Forgets what came after the first `position` tokens, of a state that [`cuts_anywhere`] holds for.
    pub(crate) fn truncate(&mut self, descriptor: &Descriptor, position: u64) {
        let entries = self.entries.iter_mut().zip(&descriptor.states);
        for (entry, _) in entries.filter(|(_, slot)| slot.of == StateOf::Tokens) {
            if let Entry::Pages(pages) = entry {
                let kept = usize::try_from(position.div_ceil(PAGE)).unwrap_or(usize::MAX);
                pages.truncate(kept);
            }
        }
        self.refresh();
    }

    /// Makes room for `more` tokens after the first `position`, and what they write this sequence's own.
    pub(crate) fn reserve(&mut self, descriptor: &Descriptor, position: u64, more: u64) -> Result<()> {
        self.reserve_where(descriptor, position..position.saturating_add(more), |of| {
            of == StateOf::Tokens
        })
    }

    /// Makes room for so many rows of the memory, in a state before the first token.
    pub(crate) fn reserve_memory(&mut self, descriptor: &Descriptor, rows: u64) -> Result<()> {
        self.reserve_where(descriptor, 0..rows, |of| of != StateOf::Tokens)
    }

    fn reserve_where(
        &mut self,
        descriptor: &Descriptor,
        tokens: Range<u64>,
        which: impl Fn(StateOf) -> bool,
    ) -> Result<()> {
        let (position, more) = (tokens.start, tokens.end - tokens.start);
        let slots = descriptor.states.iter().enumerate();
        for (number, slot) in slots.filter(|(_, slot)| which(slot.of)) {
            let (before, dropped) = (self.tokens(slot, position), self.dropped(slot));
            let needed = kept_bytes(slot, before.saturating_add(more))?;
            match &mut self.entries[number] {
                Entry::Piece(region) if needed > region.len() => {
                    // Room ahead spares calls; what nobody touches costs nothing.
                    let ahead = kept_bytes(slot, u64::MAX).unwrap_or(needed);
                    region.grow(ahead).or_else(|_| region.grow(needed))?;
                    region.on_huge_pages(LARGE);
                }
                Entry::Pages(pages) => {
                    let end = page_number(slot, before.saturating_add(more).div_ceil(PAGE))?;
                    pages_for(pages, slot, page_number(slot, before / PAGE)?..end, &dropped)?;
                }
                Entry::Piece(_) | Entry::Shared(_) => {}
            }
        }
        self.refresh();
        Ok(())
    }

    /// Gives back what is not needed any more after a step that ended at `position`.
    pub(crate) fn settle(&mut self, descriptor: &Descriptor, position: u64) {
        for (number, slot) in descriptor.states.iter().enumerate() {
            let (tokens, dropped) = (self.tokens(slot, position), self.dropped(slot));
            let StateKind::Pages { rewritten, .. } = slot.kind else {
                continue;
            };
            let Entry::Pages(pages) = &mut self.entries[number] else {
                continue;
            };
            if rewritten {
                pages.truncate(usize::try_from(tokens.div_ceil(PAGE)).unwrap_or(usize::MAX));
            }
            pages.drop_pages(dropped);
            pages.settle();
        }
    }

    /// Tokens of an entry in a sequence of `position` tokens: all, or as many as another entry counts.
    pub(crate) fn tokens(&self, slot: &StateSlot, position: u64) -> u64 {
        // What reads the memory is gone behind that.
        let position = if slot.of == StateOf::Tokens { position } else { 0 };
        match slot.kind {
            StateKind::Pages { count: Some(word), .. } => self.word(word).unwrap_or(position),
            _ => position,
        }
    }

    /// Whether an entry has at most as many tokens as a sequence of `position` tokens, and has dropped at most as many.
    pub(crate) fn is_sound(&self, descriptor: &Descriptor, slot: &StateSlot, position: u64) -> bool {
        let tokens = self.tokens(slot, position);
        let dropped = match slot.kind {
            StateKind::Pages {
                dropped: Some(word), ..
            } => self.word(word).unwrap_or_default(),
            _ => 0,
        };
        let most = match (slot.of, &descriptor.memory) {
            (StateOf::Memory, Some(_)) => descriptor.max_chunk as u64,
            _ => position,
        };
        dropped <= tokens && tokens <= most
    }

    /// Pages of an entry that are not needed any more.
    fn dropped(&self, slot: &StateSlot) -> Range<usize> {
        let StateKind::Pages {
            pinned,
            pages: None,
            dropped: Some(word),
            ..
        } = slot.kind
        else {
            return 0..0;
        };
        let end = self.word(word).unwrap_or_default() / PAGE;
        pinned..usize::try_from(end).unwrap_or(usize::MAX).max(pinned)
    }

    /// A number in an entry of constant size, or in one that shares it.
    pub(crate) fn word(&self, word: Word) -> Option<u64> {
        let entry = match self.entries.get(word.entry) {
            Some(Entry::Shared(with)) => self.entries.get(*with),
            entry => entry,
        };
        let Some(Entry::Piece(region)) = entry else {
            return None;
        };
        let bytes = region.bytes().get(word.word.checked_mul(8)?..)?;
        bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Bytes of an entry, as they are saved, in a sequence of `position` tokens.
    ///
    /// # Errors
    ///
    /// More tokens than can be.
    pub(crate) fn saved_bytes(&self, slot: &StateSlot, position: u64) -> Result<usize> {
        let bytes = kept_bytes(slot, self.tokens(slot, position))?;
        let StateKind::Pages { page_bytes, .. } = slot.kind else {
            return Ok(bytes);
        };
        let (dropped, pages) = (self.dropped(slot), bytes / page_bytes.max(1));
        Ok(bytes - dropped.end.min(pages).saturating_sub(dropped.start) * page_bytes)
    }

    /// Bytes of memory; what several sequences share counts in parts.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |entry: &Entry| match entry {
            Entry::Piece(region) => region.len(),
            Entry::Pages(pages) => pages.bytes(),
            Entry::Shared(_) => 0,
        };
        self.entries.iter().map(bytes).sum()
    }

    /// The memory, piece by piece.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        let pieces = |entry: &Entry| match entry {
            Entry::Piece(region) => vec![Piece {
                address: region.as_ptr() as usize,
                bytes: region.len(),
                holders: 1,
            }],
            Entry::Pages(pages) => pages.pieces().collect(),
            Entry::Shared(_) => Vec::new(),
        };
        self.entries.iter().flat_map(pieces).filter(|piece| piece.bytes > 0)
    }

    fn refresh(&mut self) {
        self.pointers.clear();
        for entry in &self.entries {
            let pointer = match entry {
                Entry::Piece(region) => region.as_ptr() as u64,
                Entry::Pages(pages) => pages.table().as_ptr() as u64,
                // An entry shares that of an earlier layer.
                Entry::Shared(with) => self.pointers.get(*with).copied().unwrap_or_default(),
            };
            self.pointers.push(pointer);
        }
    }

    /// The frame's table, where generated code sees it.
    pub(crate) fn table(&self, seen: &mut Seen) -> Result<u64> {
        if !Seen::COPIES {
            return seen.place(&self.pointers);
        }
        let mut pointers: Vec<u64> = Vec::with_capacity(self.entries.len());
        for (entry, own) in self.entries.iter().zip(&self.pointers) {
            pointers.push(match entry {
                Entry::Piece(_) => *own,
                Entry::Pages(pages) => seen.place(pages.table())?,
                Entry::Shared(with) => pointers.get(*with).copied().unwrap_or_default(),
            });
        }
        seen.place(&pointers)
    }

    /// The first `bytes` bytes of an entry, whose room was reserved, piece by piece; nothing of pages that are not needed any more.
    pub(crate) fn kept(&self, slot: usize, bytes: usize) -> Vec<&[u8]> {
        match &self.entries[slot] {
            Entry::Piece(region) => vec![&region.bytes()[..bytes]],
            Entry::Pages(pages) => (0..pages_of(pages, bytes)).filter_map(|n| pages.page(n)).collect(),
            Entry::Shared(_) => Vec::new(),
        }
    }

    /// Fills the first `bytes` bytes of an entry, whose room was reserved, piece by piece, but for pages that are not needed any more.
    pub(crate) fn fill<E>(
        &mut self,
        slot: usize,
        bytes: usize,
        mut fill: impl FnMut(&mut [u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match &mut self.entries[slot] {
            Entry::Piece(region) => fill(&mut region.bytes_mut()[..bytes]),
            Entry::Pages(pages) => {
                let mut all = 0..pages_of(pages, bytes);
                all.try_for_each(|n| pages.page_mut(n).map_or(Ok(()), &mut fill))
            }
            Entry::Shared(_) => Ok(()),
        }
    }
}

/// Tokens of a page.
const PAGE: u64 = PAGE_TOKENS as u64;

/// How many pages so many bytes are, of those that there are.
fn pages_of(pages: &Pages, bytes: usize) -> usize {
    (bytes / pages.page_bytes().max(1)).min(pages.len())
}

fn page_number(slot: &StateSlot, number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| too_long(slot, number))
}

/// Makes room for pages up to the end of `written`, which a step writes; other pages are written only where tokens are rewritten.
fn pages_for(pages: &mut Pages, slot: &StateSlot, written: Range<usize>, dropped: &Range<usize>) -> Result<()> {
    let StateKind::Pages {
        pinned,
        pages: ring,
        rewritten,
        ..
    } = slot.kind
    else {
        return Ok(());
    };
    let most = ring.map_or(usize::MAX, |ring| pinned.saturating_add(ring));
    pages.grow(written.end.min(most), most, dropped)?;
    if rewritten {
        return (0..pages.len()).try_for_each(|n| pages.make_own(n));
    }
    // Of a ring, no page is met twice.
    for page in written.start.max(written.end.saturating_sub(most))..written.end {
        let own = match ring {
            Some(ring) if page >= pinned => pinned + (page - pinned) % ring.max(1),
            _ => page,
        };
        pages.make_own(own)?;
    }
    Ok(())
}

/// Whether sequences of a model can be cut at any earlier token: all that they carry are caches that forget nothing.
pub(crate) fn cuts_anywhere(descriptor: &Descriptor) -> bool {
    let of_tokens = descriptor.states.iter().filter(|slot| slot.of == StateOf::Tokens);
    let mut kinds = of_tokens.map(|slot| &slot.kind);
    let forgets_nothing = kinds.all(|kind| match kind {
        StateKind::Fixed { bytes } => *bytes == 0,
        StateKind::Bounded { .. } => false,
        StateKind::Shared { .. } => true,
        StateKind::Pages {
            page_bytes: _,
            pinned: _,
            pages,
            count,
            rewritten,
            dropped,
        } => pages.is_none() && count.is_none() && !rewritten && dropped.is_none(),
    });
    forgets_nothing && !descriptor.prompt_matters
}

/// Bytes that an entry holds after `tokens` tokens were appended.
pub(crate) fn kept_bytes(slot: &StateSlot, tokens: u64) -> Result<usize> {
    let grown = |page_bytes: usize, most: usize| {
        let needed = usize::try_from(tokens.div_ceil(PAGE)).ok();
        needed.and_then(|needed| needed.min(most).checked_mul(page_bytes))
    };
    let bytes = match slot.kind {
        StateKind::Fixed { bytes } => Some(bytes),
        StateKind::Shared { .. } => Some(0),
        StateKind::Bounded { page_bytes, pages } => grown(page_bytes, pages),
        StateKind::Pages {
            page_bytes,
            pinned,
            pages,
            ..
        } => grown(page_bytes, pages.map_or(usize::MAX, |ring| pinned.saturating_add(ring))),
    };
    bytes.ok_or_else(|| too_long(slot, tokens))
}

fn too_long(slot: &StateSlot, tokens: u64) -> Error {
    Error::input(format!(
        "the state `{}` of {tokens} tokens is beyond all memory",
        slot.name
    ))
}
