//! Pages of a cache: shared by sequences that began alike, until one of them writes.

use std::{ops::Range, sync::Arc};

use crate::{
    Result,
    cache_file::{self, Store},
    memory::{Piece, Region, release},
};

/// Memory is asked for in pieces of about so many bytes; what nobody touches costs nothing.
const SLAB: usize = 1 << 20;

/// A page, somewhere in a slab.
#[derive(Debug)]
struct Page {
    start: *mut u8,
    slab: Arc<Slab>,
}

// SAFETY: a page owns its part of the slab, as a `Box<[u8]>` would.
unsafe impl Send for Page {}
// SAFETY: shared pages are only read.
unsafe impl Sync for Page {}

/// What pages are made of.
#[derive(Debug)]
enum Slab {
    /// Memory.
    Memory(Region),
    /// A part of a file.
    File(cache_file::Slab),
}

impl Slab {
    fn as_ptr(&self) -> *mut u8 {
        match self {
            Slab::Memory(region) => region.as_ptr(),
            Slab::File(slab) => slab.as_ptr(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Slab::Memory(region) => region.len(),
            Slab::File(slab) => slab.len(),
        }
    }
}

/// All pages of one cache of a sequence.
#[derive(Debug)]
pub(crate) struct Pages {
    page_bytes: usize,
    /// The file of which pages are parts; `None`: they are in memory.
    store: Option<Arc<Store>>,
    /// `None`: a page that is not needed any more.
    pages: Vec<Option<Arc<Page>>>,
    /// Their addresses, for generated code; null where there is none.
    table: Vec<u64>,
    /// Pages of a slab that no page is made of yet: zeros.
    spare: Vec<Page>,
    /// Pages that were given back, to be used again: not zeros.
    used: Vec<Page>,
    /// Pages that were added or copied since [`Pages::settle`].
    taken: usize,
}

// SAFETY: the table leads into the pages, which are owned here.
unsafe impl Send for Pages {}
// SAFETY: shared references only read.
unsafe impl Sync for Pages {}

impl Pages {
    /// No pages of `page_bytes` each, a multiple of 64: of a file, or of memory.
    pub(crate) fn new(page_bytes: usize, store: Option<&Arc<Store>>) -> Pages {
        Pages {
            page_bytes,
            store: store.cloned(),
            pages: Vec::new(),
            table: Vec::new(),
            spare: Vec::new(),
            used: Vec::new(),
            taken: 0,
        }
    }

    /// How many there are, those that are not needed any more included.
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Bytes of a page.
    pub(crate) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// The addresses of all pages; they stay where they are until pages are added or made this sequence's own.
    pub(crate) fn table(&self) -> &[u64] {
        &self.table
    }

    /// Adds pages of zeros until there are `count`, of at most `most` that there will ever be; none in the place of `dropped` ones.
    pub(crate) fn grow(&mut self, count: usize, most: usize, dropped: &Range<usize>) -> Result<()> {
        while self.pages.len() < count {
            if dropped.contains(&self.pages.len()) {
                self.table.push(0);
                self.pages.push(None);
                continue;
            }
            let page = self.zeros(count, most)?;
            self.table.push(page.start as u64);
            self.pages.push(Some(Arc::new(page)));
        }
        Ok(())
    }

    /// Makes page `n` one that this sequence may write, if it is needed.
    pub(crate) fn make_own(&mut self, n: usize) -> Result<()> {
        // Whoever shared it may have read it in another thread until now.
        if self.pages[n].as_mut().is_none_or(|page| Arc::get_mut(page).is_some()) {
            return Ok(());
        }
        let own = match self.used.pop() {
            Some(page) => page,
            None => self.fresh(0, usize::MAX)?,
        };
        // SAFETY: both have so many bytes; a shared page is not written, and the new one is nobody else's.
        unsafe { std::ptr::copy_nonoverlapping(self.table[n] as *const u8, own.start, self.page_bytes) };
        self.taken += 1;
        self.table[n] = own.start as u64;
        self.pages[n] = Some(Arc::new(own));
        Ok(())
    }

    /// The same pages, shared.
    pub(crate) fn fork(&self) -> Pages {
        Pages {
            pages: self.pages.clone(),
            table: self.table.clone(),
            ..Pages::new(self.page_bytes, self.store.as_ref())
        }
    }

    /// Gives pages behind the first `count` back.
    pub(crate) fn truncate(&mut self, count: usize) {
        for page in self.pages.drain(count.min(self.pages.len())..).rev().flatten() {
            self.used.extend(Arc::into_inner(page));
        }
        self.table.truncate(count);
    }

    /// Gives some pages back, whose places stay empty.
    pub(crate) fn drop_pages(&mut self, dropped: Range<usize>) {
        for n in dropped.start..dropped.end.min(self.pages.len()) {
            self.table[n] = 0;
            self.used.extend(self.pages[n].take().and_then(Arc::into_inner));
        }
    }

    /// Keeps as many of the pages that were given back as were taken since the last time, at least one, since the next step is likely
    /// to need them; memory of others goes back to the system.
    pub(crate) fn settle(&mut self) {
        let kept = std::mem::take(&mut self.taken).max(1);
        for page in self.used.drain(kept.min(self.used.len())..) {
            // SAFETY: the page is a part of its slab that nobody else has, and ends here.
            unsafe {
                match &*page.slab {
                    Slab::Memory(_) => release(page.start, self.page_bytes),
                    Slab::File(slab) => slab.release(page.start, self.page_bytes),
                }
            }
        }
    }

    /// Bytes of page `n`, if it is needed.
    pub(crate) fn page(&self, n: usize) -> Option<&[u8]> {
        // SAFETY: the page has so many bytes, and is written only through `&mut self` of the one that owns it.
        let bytes = |page: &Arc<Page>| unsafe { std::slice::from_raw_parts(page.start, self.page_bytes) };
        self.pages[n].as_ref().map(bytes)
    }

    /// Bytes of page `n`, which is nobody else's, if it is needed.
    pub(crate) fn page_mut(&mut self, n: usize) -> Option<&mut [u8]> {
        let page = self.pages[n].as_ref()?;
        assert_eq!(Arc::strong_count(page), 1, "page {n} is shared");
        if let Some(store) = &self.store {
            store.hold(true);
        }
        // SAFETY: the page has so many bytes, and is this sequence's alone.
        Some(unsafe { std::slice::from_raw_parts_mut(page.start, self.page_bytes) })
    }

    /// Bytes of pages, where one that `n` sequences share counts as its `n`-th part.
    pub(crate) fn bytes(&self) -> usize {
        self.pieces().map(|piece| piece.bytes / piece.holders.max(1)).sum()
    }

    /// The pages, each with the number of sequences that use it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.pages.iter().flatten().map(|page| Piece {
            address: page.start as usize,
            bytes: self.page_bytes,
            holders: Arc::strong_count(page),
        })
    }

    /// A page of zeros.
    fn zeros(&mut self, count: usize, most: usize) -> Result<Page> {
        self.taken += 1;
        let Some(page) = self.used.pop() else {
            return self.fresh(count, most);
        };
        // SAFETY: the page has so many bytes and is nobody else's.
        unsafe { std::ptr::write_bytes(page.start, 0, self.page_bytes) };
        Ok(page)
    }

    /// A page of zeros that was not used before, of a slab with room for pages up to `count` where there is none left.
    fn fresh(&mut self, count: usize, most: usize) -> Result<Page> {
        if let Some(page) = self.spare.pop() {
            return Ok(page);
        }
        let have = self.pages.len();
        let slab = Arc::new(self.slab(count.saturating_sub(have), most.saturating_sub(have))?);
        let pages = slab.len() / self.page_bytes.max(1);
        let page = |n: usize| Page {
            start: slab.as_ptr().wrapping_add(n * self.page_bytes),
            slab: slab.clone(),
        };
        self.spare.extend((1..pages).rev().map(page));
        Ok(page(0))
    }

    /// A slab for `needed` pages and, as far as a usual slab has room, for those that may follow, `most` in all. Room in a file is taken from the
    /// disk at once, so that slabs of it are not larger.
    fn slab(&self, needed: usize, most: usize) -> Result<Slab> {
        let usual = SLAB / self.page_bytes.max(1);
        let bytes = |pages: usize| self.page_bytes.saturating_mul(pages.min(most).max(1));
        match &self.store {
            Some(store) => store.slab(bytes(usual)).map(Slab::File),
            None => {
                let slab = Region::huge(bytes(usual.max(needed)));
                slab.or_else(|_| Region::new(self.page_bytes)).map(Slab::Memory)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds pages up to `count`.
    fn grow(pages: &mut Pages, count: usize) {
        pages.grow(count, usize::MAX, &(0..0)).expect("memory");
    }

    fn fill(pages: &mut Pages, n: usize, byte: u8) {
        pages.page_mut(n).expect("a page").fill(byte);
    }

    /// The first byte of a page.
    fn first(pages: &Pages, n: usize) -> u8 {
        pages.page(n).expect("a page")[0]
    }

    #[test]
    fn forks_share_pages_until_one_of_them_writes() {
        let mut one = Pages::new(128, None);
        grow(&mut one, 3);
        fill(&mut one, 1, 7);
        let mut other = one.fork();
        assert_eq!((one.bytes(), other.bytes()), (192, 192));
        other.make_own(1).expect("memory");
        other.page_mut(1).expect("a page")[0] = 8;
        let second = other.page(1).expect("a page")[1];
        assert_eq!((first(&one, 1), first(&other, 1), second), (7, 8, 7));
        assert_eq!(one.table[0], other.table[0]);
        drop(one);
        assert_eq!(other.bytes(), 3 * 128);
        other.truncate(1);
        assert_eq!((other.len(), other.bytes()), (1, 128));
        grow(&mut other, 2);
        assert_eq!(first(&other, 1), 0);
    }

    #[test]
    fn pages_that_were_given_back_are_used_again_and_are_zeros() {
        let mut pages = Pages::new(128, None);
        grow(&mut pages, 3);
        (0..3).for_each(|n| fill(&mut pages, n, 9));
        let last = pages.table[2];
        pages.truncate(2);
        pages.settle();
        grow(&mut pages, 3);
        assert_eq!((pages.table[2], first(&pages, 2), first(&pages, 1)), (last, 0, 9));
        // A page that another sequence still has is not this one's to use again.
        let other = pages.fork();
        pages.truncate(0);
        grow(&mut pages, 3);
        fill(&mut pages, 0, 5);
        assert_eq!(first(&other, 0), 9);
    }

    #[test]
    fn memory_of_pages_that_no_step_will_need_goes_back_to_the_system() {
        const BYTES: usize = 1 << 16;
        let mut pages = Pages::new(BYTES, None);
        grow(&mut pages, 32);
        (0..32).for_each(|n| fill(&mut pages, n, 9));
        let starts = pages.table.clone();
        pages.truncate(4);
        // The last step took as many, so that the next one may.
        pages.settle();
        assert_eq!(pages.used.len(), 28);
        pages.settle();
        assert_eq!(pages.used.len(), 1);
        // SAFETY: page 0 keeps the slab of them all.
        let now = |n: usize| unsafe { (starts[n] as *const u8).read_volatile() };
        assert_eq!((now(3), now(4), now(20), now(31)), (9, 0, 0, 9));
    }

    #[test]
    fn pages_that_are_dropped_leave_holes_that_forks_keep() {
        let mut pages = Pages::new(128, None);
        grow(&mut pages, 5);
        (0..5).for_each(|n| fill(&mut pages, n, n as u8));
        pages.drop_pages(1..4);
        let mut fork = pages.fork();
        for pages in [&mut pages, &mut fork] {
            assert_eq!((pages.len(), pages.pieces().count()), (5, 2));
            let holes: Vec<bool> = pages.table.iter().map(|start| *start == 0).collect();
            assert_eq!(holes, [false, true, true, true, false]);
            (0..5).for_each(|n| pages.make_own(n).expect("memory"));
            assert_eq!((first(pages, 4), pages.page(2)), (4, None));
        }
        // A sequence that is loaded has the same holes.
        let mut loaded = Pages::new(128, None);
        loaded.grow(5, usize::MAX, &(1..4)).expect("memory");
        assert_eq!(
            (loaded.pieces().count(), loaded.page(1), first(&loaded, 4)),
            (2, None, 0)
        );
    }
}
