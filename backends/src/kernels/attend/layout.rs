//! Memory layout: pages of keys and values, the ring of pages, the scratch of a thread.

use super::{
    cell_sizes::CELLS,
    matrix_tile::TILE_ROWS,
    variant::{Attend, PageCopy},
};
use crate::{
    kernel::{Cmp, Func, Scalar, Ty, Val},
    kernels::layout::{Layout, Plain, layout},
};

/// Keys of a page.
pub(super) const PAGE: usize = seqc_abi::PAGE_TOKENS;

/// Bytes that are copied together into the memory of a block.
pub(super) const CHUNK: usize = 16;

/// Floats of the lists of best keys of a block, from which on blocks have fewer rows.
const LISTS: usize = 1 << 19;

/// Some columns of a value head, packed as `[64][width]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// First column.
    pub(super) start: usize,
    /// Columns that exist.
    pub(super) columns: usize,
    /// Columns with padding, a multiple of the lanes.
    pub(super) width: usize,
}

/// Pages that stay, and those that are used again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) pinned: usize,
    pub(super) pages: Option<usize>,
}

impl Attend {
    /// `f32` lanes of a vector.
    pub(super) fn lanes(&self) -> u32 {
        self.machine.lanes
    }

    /// Rows of a tile, whose products with a page are computed together: those of register tiles, or of matrices.
    pub(super) fn tile_rows(&self) -> usize {
        match self.matrix_units() {
            Some(_) => TILE_ROWS,
            None => self.machine.tallest_tile() as usize,
        }
    }

    /// Most rows of a block, whole tiles.
    pub(super) fn block_rows(&self) -> usize {
        match self.names() {
            Some(named) => self.named_rows(named),
            None => self.page_rows(),
        }
    }

    /// Most rows of a block that goes over pages.
    pub(super) fn page_rows(&self) -> usize {
        let most = self.machine.attention.block_tiles * self.machine.tallest_tile() as usize;
        let tiles = match self.best() {
            // Lists of many keys need much room.
            Some(best) => (LISTS / best.width() / self.tile_rows()).clamp(1, self.machine.attention.block_tiles),
            None => (most / self.tile_rows()).max(1),
        };
        let rows = tiles * self.tile_rows();
        // Heads that choose together are in one block.
        rows.max(self.spec.together) / self.spec.together * self.spec.together
    }

    /// Query heads that choose by themselves or together.
    pub(super) fn choosing(&self) -> usize {
        self.heads / self.spec.together
    }

    /// The pages of an entry: what a query can see, the chunk itself, and one more since neither begins at a page.
    pub(super) fn ring(&self) -> Ring {
        match self.span.distance.and_then(|d| usize::try_from(d).ok()) {
            None => Ring { pinned: 0, pages: None },
            Some(distance) => Ring {
                pinned: (self.span.first as usize).div_ceil(PAGE),
                pages: Some((distance.max(1) + self.max_chunk.max(1) - 1).div_ceil(PAGE) + 1),
            },
        }
    }

    /// Panels of a value head.
    pub(super) fn panels(&self) -> Vec<Panel> {
        let lanes = self.lanes() as usize;
        let starts = (0..self.value_dim).step_by(PAGE);
        let panel = |start| {
            let columns = PAGE.min(self.value_dim - start);
            Panel {
                start,
                columns,
                width: columns.next_multiple_of(lanes),
            }
        };
        starts.map(panel).collect()
    }

    /// Numbers behind each row of a page that is read from a copy of a block: rows that matrices read together lie in different banks.
    pub(super) fn padding(&self) -> usize {
        match self.copy {
            PageCopy::OfBlock => CHUNK / self.elem().bytes() as usize,
            PageCopy::None | PageCopy::OfMember => 0,
        }
    }

    /// Floats of a page of rows of `width` numbers in scratch, where queries bring keys together.
    fn own_page_floats(&self, width: usize) -> usize {
        match self.named {
            Some(_) => (PAGE * width * self.elem().bytes() as usize).div_ceil(4),
            None => 0,
        }
    }

    /// Columns of a value head with padding.
    pub(super) fn value_width(&self) -> usize {
        self.panels().iter().map(|p| p.width).sum()
    }

    /// Floats of a row of what was found so far: sums of values, or the best keys.
    pub(super) fn found_width(&self) -> usize {
        self.best().map_or(self.value_width(), |best| best.width())
    }

    /// Floats of a head's row in [`Scratch::shares`].
    pub(super) fn share_width(&self) -> usize {
        self.found_width() + 16
    }

    pub(super) fn key_page_bytes(&self) -> usize {
        self.elem().bytes() as usize * PAGE * self.groups * self.key_dim
    }

    pub(super) fn value_page_bytes(&self) -> usize {
        self.elem().bytes() as usize * PAGE * self.groups * self.value_width()
    }

    /// How numbers of keys and values are stored in pages.
    pub(super) fn stored(&self) -> Plain {
        match layout(self.spec.stored) {
            Layout::Plain(plain) => plain,
            Layout::Blocks(_) | Layout::Float8(_) => unreachable!("a cache holds numbers by themselves (law 11)"),
        }
    }

    /// What a number of a page is loaded and stored as.
    pub(super) fn elem(&self) -> Scalar {
        self.stored().scalar()
    }

    /// Index in memory of a page of the sequence.
    pub(super) fn slot(&self, f: &mut Func, page: Val) -> Val {
        let ring = self.ring();
        let Some(pages) = ring.pages else { return page };
        let (pinned, pages) = (f.i64(ring.pinned as i64), f.i64(pages as i64));
        let behind = f.sub(page, pinned);
        let reused = f.urem(behind, pages);
        let reused = f.add(reused, pinned);
        if ring.pinned == 0 {
            return reused;
        }
        let stays = f.cmp(Cmp::Lt, page, pinned);
        f.select(stays, page, reused)
    }
}

impl Attend {
    /// Pointer to a head's part of a page, rows of `width` floats; `pages` is the table of all.
    pub(super) fn head_page(&self, f: &mut Func, pages: Val, slot: Val, group: Val, width: usize) -> Val {
        let page = page_at(f, pages, slot);
        numbers_at(f, page, group, PAGE * width, self.elem())
    }
}

/// Offsets in a thread's scratch, in floats from its start, each a multiple of 16.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scratch {
    /// By how much what was summed so far shrinks, vectors with a lane for each row of a tile.
    pub(super) shrink: usize,
    /// The largest score so far that is subtracted from every score, laid out alike.
    pub(super) shift: usize,
    /// Scores, then weights, `[rows of a tile][PAGE]`.
    pub(super) scores: usize,
    /// Largest score so far of each row, `[rows of a block]`, and space for a vector behind it.
    pub(super) largest: usize,
    /// Sum of weights so far of each row, `[rows of a block][lanes]`.
    pub(super) total: usize,
    /// Sums over the keys that each row has seen, for each sum of a score `[rows of a block]`.
    pub(super) behind: usize,
    /// Scaled queries `[rows of a block][E]`.
    pub(super) queries: usize,
    /// What was found so far, weighted values or the best keys, `[rows of a block][found width]`.
    pub(super) sums: usize,
    /// What a thread found in its share of the pages, `[H][found width + 16]`: that, the largest score, the sum of weights.
    pub(super) shares: usize,
    /// Scores of a page, added up over the heads that choose together, `[choices of a block][PAGE]`.
    pub(super) choices: usize,
    /// A page of keys that a block of rows brought together, and one of their values, as pages are stored.
    pub(super) own_keys: usize,
    /// See [`Scratch::own_keys`].
    pub(super) own_values: usize,
    /// Values of a page, as pages of values are stored, where they are read from the keys.
    pub(super) values: usize,
    /// Room for sorting and merging keys.
    pub(super) room: usize,
    /// The list of ticks, twice the longest chunk in 64-bit words, where there is a clock.
    pub(super) list: usize,
    /// Bounds of query streams, two 64-bit words for each of a tile.
    pub(super) bounds: usize,
    /// For each cell of a segment its last entry in [`Scratch::pairs`] and their number, 32 bits each.
    pub(super) cells: usize,
    /// Rows of a block that see a cell: the row and the entry before it, 32 bits each.
    pub(super) pairs: usize,
    /// For each of these a 64-bit word for each list: the keys of the cell that it names.
    pub(super) bits: usize,
    /// Entries of [`Scratch::pairs`] that are used, a 64-bit word.
    pub(super) used: usize,
    /// The rows of a tile, a 64-bit word each, where they are not neighbours.
    pub(super) rows: usize,
    /// Their words of [`Scratch::bits`].
    pub(super) bits_of_rows: usize,
    /// Their [`Scratch::largest`], [`Scratch::total`], [`Scratch::queries`] and [`Scratch::sums`].
    pub(super) places_of_tiles: [usize; 4],
    /// Size of all.
    pub(super) bytes: usize,
}

impl Scratch {
    pub(super) fn new(attend: &Attend) -> Scratch {
        let mut next = 0;
        let mut take = |floats: usize| {
            let at = next;
            next += floats.next_multiple_of(16);
            at
        };
        let lanes = attend.lanes() as usize;
        let (tile, block) = (attend.tile_rows(), attend.block_rows());
        // The same whether queries go over what they name or over all pages: threads have room for either, at the same places.
        let named = attend.named.as_ref();
        let lists = named.map_or(0, |named| named.lists.len());
        let block = named.map_or(block, |named| attend.named_rows(named).max(attend.page_rows()));
        // Choices of a block of queries, or rows.
        let found = block / attend.spec.together;
        let pairs = named.map_or(0, |named| attend.pairs_of_block(named));
        let bounding = named.map_or(attend.bounding().len(), |_| attend.spec.query_streams);
        let (cells, apart) = named.map_or((0, 0), |_| (CELLS, tile));
        Scratch {
            shrink: take(tile.next_multiple_of(lanes)),
            shift: take(tile.next_multiple_of(lanes)),
            scores: take(tile * PAGE),
            largest: take(block + lanes),
            total: take(block * lanes),
            behind: take(block * attend.spec.sums_behind().len()),
            queries: take(block * attend.key_dim),
            sums: take(found * attend.found_width()),
            shares: take(attend.choosing() * attend.share_width()),
            choices: take(if attend.spec.together > 1 { found * PAGE } else { 0 }),
            own_keys: take(attend.own_page_floats(attend.key_dim)),
            own_values: take(attend.own_page_floats(attend.value_width())),
            values: take(match attend.values_in_keys {
                Some(_) => (PAGE * attend.value_width() * attend.elem().bytes() as usize).div_ceil(4),
                None => 0,
            }),
            room: take(attend.best().map_or(0, |best| best.room())),
            list: take(if attend.spec.clock.has_ticks() {
                4 * attend.max_chunk
            } else {
                0
            }),
            bounds: take(attend.machine.attention.block_tiles * bounding * 4),
            cells: take(2 * cells),
            pairs: take(2 * pairs),
            bits: take(2 * pairs * lists),
            used: take(2),
            rows: take(2 * apart),
            bits_of_rows: take(2 * apart * lists),
            places_of_tiles: [
                take(apart + lanes),
                take(apart * lanes),
                take(apart * attend.key_dim),
                take(apart * attend.found_width()),
            ],
            bytes: 4 * take(0),
        }
    }
}

impl Scratch {
    /// As tile kernels see it: the rows of a tile that are not neighbours in the block have places of their own.
    pub(super) fn of_tiles(attend: &Attend) -> Scratch {
        let scratch = Scratch::new(attend);
        if attend.names().is_some() {
            scratch.tiles()
        } else {
            scratch
        }
    }

    /// With the places of such rows.
    pub(super) fn tiles(self) -> Scratch {
        let [largest, total, queries, sums] = self.places_of_tiles;
        Scratch {
            largest,
            total,
            queries,
            sums,
            ..self
        }
    }
}

impl Attend {
    /// Address of the word of entry `pair` in [`Scratch::bits`], for list `list`.
    pub(super) fn bits_of_pair(&self, f: &mut Func, scratch: Val, pair: Val, list: usize) -> Val {
        let bits = float_at(f, scratch, Scratch::new(self).bits);
        word_at(f, bits, pair, [self.lists().len(), list])
    }

    /// Address of the word of row `at` of a tile in [`Scratch::bits_of_rows`], for list `list`.
    pub(super) fn bits_of_row(&self, f: &mut Func, scratch: Val, at: Val, list: usize) -> Val {
        let bits = float_at(f, scratch, Scratch::new(self).bits_of_rows);
        word_at(f, bits, at, [self.lists().len(), list])
    }
}

/// Rows of floats at equal distances.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    /// The first row.
    pub(super) base: Val,
    /// Floats from one row to the next.
    pub(super) stride: Val,
}

impl Strided {
    /// Parameters `first` and `first + 1` of a function.
    pub(super) fn of_params(f: &Func, first: usize) -> Strided {
        Strided {
            base: f.param(first),
            stride: f.param(first + 1),
        }
    }

    /// Pointer to row `n`.
    pub(super) fn row(&self, f: &mut Func, n: Val) -> Val {
        let offset = f.mul(n, self.stride);
        f.gep(self.base, offset, Scalar::F32)
    }
}

/// Pointer to number `n` of a page behind `base`.
pub(super) fn number_at(f: &mut Func, base: Val, n: usize, elem: Scalar) -> Val {
    if n == 0 {
        return base;
    }
    let n = f.i64(n as i64);
    f.gep(base, n, elem)
}

/// Pointer to float `n` behind `base`.
pub(super) fn float_at(f: &mut Func, base: Val, n: usize) -> Val {
    number_at(f, base, n, Scalar::F32)
}

/// Page `slot` of a table of pages.
pub(super) fn page_at(f: &mut Func, pages: Val, slot: Val) -> Val {
    let p = f.gep(pages, slot, Scalar::I64);
    f.load(p, Ty::GLOBAL)
}

/// Pointer to word `place` of row `row` of an array of rows of `width` 64-bit words.
pub(super) fn word_at(f: &mut Func, base: Val, row: Val, [width, place]: [usize; 2]) -> Val {
    let (width, place) = (f.i64(width as i64), f.i64(place as i64));
    let at = f.mul(row, width);
    let at = f.add(at, place);
    f.gep(base, at, Scalar::I64)
}

/// Pointer to row `row` of an array of rows of `width` floats.
pub(super) fn row_at(f: &mut Func, base: Val, row: Val, width: usize) -> Val {
    numbers_at(f, base, row, width, Scalar::F32)
}

/// The same for rows of numbers of a page.
pub(super) fn numbers_at(f: &mut Func, base: Val, row: Val, width: usize, elem: Scalar) -> Val {
    let width = f.i64(width as i64);
    let offset = f.mul(row, width);
    f.gep(base, offset, elem)
}

/// Calls `each` for the vectors of a row of `columns` floats: first column, and the mask of the last when it is not whole.
pub(super) fn vectors(f: &mut Func, lanes: u32, columns: usize, mut each: impl FnMut(&mut Func, usize, Option<Val>)) {
    for start in (0..columns).step_by(lanes as usize) {
        let left = columns - start;
        let mask = (left < lanes as usize).then(|| {
            let left = f.i64(left as i64);
            f.tail_mask(left, lanes)
        });
        each(f, start, mask);
    }
}

/// Loads `lanes` floats, or those of the mask.
pub(super) fn load(f: &mut Func, ptr: Val, lanes: u32, mask: Option<Val>) -> Val {
    let ty = Ty::V(lanes, Scalar::F32);
    match mask {
        None => f.load(ptr, ty),
        Some(mask) => f.masked_load(ptr, mask, ty),
    }
}

/// Stores a vector, or the lanes of the mask.
pub(super) fn store(f: &mut Func, value: Val, ptr: Val, mask: Option<Val>) {
    match mask {
        None => f.store(value, ptr),
        Some(mask) => f.masked_store(value, ptr, mask),
    }
}
