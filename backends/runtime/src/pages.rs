//! Pages of a cache: shared by sequences that began alike, until one of them writes.

use std::sync::Arc;

use crate::{
    Result,
    memory::{Piece, Region},
};

/// Memory is asked for in pieces of about so many bytes; what nobody touches costs nothing.
const SLAB: usize = 1 << 20;

/// A page, somewhere in a slab.
#[derive(Debug)]
struct Page {
    start: *mut u8,
    _slab: Arc<Region>,
}

// SAFETY: a page owns its part of the slab, as a `Box<[u8]>` would.
unsafe impl Send for Page {}
// SAFETY: shared pages are only read.
unsafe impl Sync for Page {}

/// All pages of one cache of a sequence.
#[derive(Debug)]
pub(crate) struct Pages {
    page_bytes: usize,
    pages: Vec<Arc<Page>>,
    /// Their addresses, for generated code.
    table: Vec<*mut u8>,
    /// Pages of a slab that no page is made of yet.
    spare: Vec<Page>,
}

// SAFETY: the table leads into the pages, which are owned here.
unsafe impl Send for Pages {}
// SAFETY: shared references only read.
unsafe impl Sync for Pages {}

impl Pages {
    /// No pages of `page_bytes` each, a multiple of 64.
    pub(crate) fn new(page_bytes: usize) -> Pages {
        Pages {
            page_bytes,
            pages: Vec::new(),
            table: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    /// The address of the table; it stays until pages are added or made this sequence's own.
    pub(crate) fn table(&self) -> *mut u8 {
        self.table.as_ptr().cast_mut().cast()
    }

    /// Adds pages of zeros until there are `count`, of at most `most` that there will ever be.
    pub(crate) fn grow(&mut self, count: usize, most: usize) -> Result<()> {
        while self.pages.len() < count {
            let page = self.fresh(count, most)?;
            self.table.push(page.start);
            self.pages.push(Arc::new(page));
        }
        Ok(())
    }

    /// Makes page `n` one that this sequence may write.
    pub(crate) fn make_own(&mut self, n: usize) -> Result<()> {
        // Whoever shared it may have read it in another thread until now.
        if Arc::get_mut(&mut self.pages[n]).is_some() {
            return Ok(());
        }
        let own = self.fresh(0, usize::MAX)?;
        // SAFETY: both have so many bytes; a shared page is not written, and the new one is nobody else's.
        unsafe { std::ptr::copy_nonoverlapping(self.table[n], own.start, self.page_bytes) };
        self.table[n] = own.start;
        self.pages[n] = Arc::new(own);
        Ok(())
    }

    /// The same pages, shared.
    pub(crate) fn fork(&self) -> Pages {
        Pages {
            page_bytes: self.page_bytes,
            pages: self.pages.clone(),
            table: self.table.clone(),
            spare: Vec::new(),
        }
    }

    /// Forgets pages behind the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.pages.truncate(count);
        self.table.truncate(count);
    }

    /// Bytes of page `n`.
    pub(crate) fn page(&self, n: usize) -> &[u8] {
        // SAFETY: the page has so many bytes, and is written only through `&mut self` of the one that owns it.
        unsafe { std::slice::from_raw_parts(self.table[n], self.page_bytes) }
    }

    /// Bytes of page `n`, which is nobody else's.
    pub(crate) fn page_mut(&mut self, n: usize) -> &mut [u8] {
        assert_eq!(Arc::strong_count(&self.pages[n]), 1, "page {n} is shared");
        // SAFETY: the page has so many bytes, and is this sequence's alone.
        unsafe { std::slice::from_raw_parts_mut(self.table[n], self.page_bytes) }
    }

    /// Bytes of pages, where one that `n` sequences share counts as its `n`-th part.
    pub(crate) fn bytes(&self) -> usize {
        let share = |page: &Arc<Page>| self.page_bytes / Arc::strong_count(page).max(1);
        self.pages.iter().map(share).sum()
    }

    /// The pages, each with the number of sequences that use it.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.pages.iter().map(|page| Piece {
            address: page.start as usize,
            bytes: self.page_bytes,
            holders: Arc::strong_count(page),
        })
    }

    /// A page of zeros, of a slab with room for pages up to `count` where there is none left.
    fn fresh(&mut self, count: usize, most: usize) -> Result<Page> {
        if let Some(page) = self.spare.pop() {
            return Ok(page);
        }
        let have = self.pages.len();
        let pages = (SLAB / self.page_bytes.max(1)).max(count.saturating_sub(have));
        let pages = pages.min(most.saturating_sub(have)).max(1);
        let slab = Region::huge(self.page_bytes.saturating_mul(pages));
        let slab = Arc::new(slab.or_else(|_| Region::new(self.page_bytes))?);
        let pages = slab.len() / self.page_bytes.max(1);
        let page = |n: usize| Page {
            start: slab.as_ptr().wrapping_add(n * self.page_bytes),
            _slab: slab.clone(),
        };
        self.spare.extend((1..pages).rev().map(page));
        Ok(page(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_share_pages_until_one_of_them_writes() {
        let mut one = Pages::new(128);
        one.grow(3, usize::MAX).expect("memory");
        one.page_mut(1).fill(7);
        let mut other = one.fork();
        assert_eq!((one.bytes(), other.bytes()), (192, 192));
        other.make_own(1).expect("memory");
        other.page_mut(1)[0] = 8;
        assert_eq!((one.page(1)[0], other.page(1)[0], other.page(1)[1]), (7, 8, 7));
        assert_eq!(one.page(0).as_ptr(), other.page(0).as_ptr());
        drop(one);
        assert_eq!(other.bytes(), 3 * 128);
        other.truncate(1);
        assert_eq!((other.len(), other.bytes()), (1, 128));
        other.grow(2, 2).expect("memory");
        assert_eq!(other.page(1)[0], 0);
    }
}
