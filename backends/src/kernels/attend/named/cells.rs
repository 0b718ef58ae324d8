//! The table of cells: for each cell of a segment the rows that see a part of it, with a bit for each key that a list names.
//!
//! A pair of a row and a cell is an entry; entries of a cell are linked, the last row first. Rows enter themselves one after another, so that whether
//! a row has entered a cell already is seen at the cell's last entry.

use super::tiles::Cell;
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val},
    kernels::attend::{
        blocks::{Block, QueryBlocks, Row},
        cell_sizes::CELLS,
        layout::{Scratch, float_at},
        variant::Attend,
    },
    kernels::lanes::fold,
};

/// Numbers of blocks are below this.
const LARGE: f32 = (1_u64 << 31) as f32;

/// Some cells of the sequence.
#[derive(Clone, Copy)]
struct Segment {
    /// The first one.
    first: Val,
    /// Behind the last.
    end: Val,
}

/// A row that enters itself.
#[derive(Clone, Copy)]
struct Entering {
    /// Its number in the block.
    row: Val,
    /// Behind the position of its token.
    end: Val,
    segment: Segment,
}

/// Neighbouring keys.
#[derive(Clone, Copy)]
struct Keys {
    start: Val,
    end: Val,
}

/// An entry of the table.
pub(super) struct Pair {
    /// The row of the block.
    pub(super) row: Val,
    /// The entry after it in the cell.
    pub(super) next: Val,
}

fn enter_name(attend: &Attend) -> String {
    format!("{}_enter", attend.name)
}

/// A 32-bit number of the scratch as i64.
fn load_small(f: &mut Func, at: Val) -> Val {
    let x = f.load(at, Ty::S(Scalar::I32));
    f.convert(Cast::SignExtend, x, Scalar::I64)
}

fn store_small(f: &mut Func, x: Val, at: Val) {
    let x = f.convert(Cast::Truncate, x, Scalar::I32);
    f.store(x, at);
}

/// The first 32-bit number of two, pair `n` of an array.
fn small_at(f: &mut Func, base: Val, n: Val) -> Val {
    let two = f.i64(2);
    let at = f.mul(n, two);
    f.gep(base, at, Scalar::I32)
}

/// The word at float `at` of the scratch.
fn word_of(f: &mut Func, scratch: Val, at: usize) -> Val {
    let (base, zero) = (float_at(f, scratch, at), f.i64(0));
    f.gep(base, zero, Scalar::I64)
}

/// The word behind a pointer to 32-bit numbers.
fn second(f: &mut Func, at: Val) -> Val {
    let one = f.i64(1);
    f.gep(at, one, Scalar::I32)
}

/// Adds `fn(scratch, cell, row, bits0, …)`: a row sees a part of a cell of the segment, the keys with bits by the lists.
pub(super) fn add_enter(attend: &Attend, module: &mut Module) {
    let lists = attend.lists().len();
    let params = [&[Ty::SCRATCH, Ty::I64, Ty::I64][..], &vec![Ty::I64; lists]].concat();
    let mut func = Func::new(enter_name(attend), &params, None).allow_inline();
    let f = &mut func;
    let scratch = Scratch::new(attend);
    let (base, cell, row) = (f.param(0), f.param(1), f.param(2));
    let cells = float_at(f, base, scratch.cells);
    let cell = small_at(f, cells, cell);
    let many = second(f, cell);
    let (last, count) = (load_small(f, cell), load_small(f, many));
    let (zero, one) = (f.i64(0), f.i64(1));
    let some = f.cmp(Cmp::Gt, count, zero);
    let pairs = float_at(f, base, scratch.pairs);
    let entered = f.if_else(
        some,
        |f| {
            let pair = small_at(f, pairs, last);
            let other = load_small(f, pair);
            vec![f.cmp(Cmp::Eq, other, row)]
        },
        |f| vec![f.i1(false)],
    )[0];
    let bits: Vec<Val> = (0..lists).map(|n| f.param(3 + n)).collect();
    f.if_else(
        entered,
        |f| {
            for (n, bits) in bits.iter().enumerate() {
                let at = attend.bits_of_pair(f, base, last, n);
                let old = f.load(at, Ty::I64);
                let new = f.or(old, *bits);
                f.store(new, at);
            }
            Vec::new()
        },
        |f| {
            let used = word_of(f, base, scratch.used);
            let pair = f.load(used, Ty::I64);
            let next = f.add(pair, one);
            f.store(next, used);
            let to = small_at(f, pairs, pair);
            store_small(f, row, to);
            let link = second(f, to);
            store_small(f, last, link);
            for (n, bits) in bits.iter().enumerate() {
                let at = attend.bits_of_pair(f, base, pair, n);
                f.store(*bits, at);
            }
            store_small(f, pair, cell);
            let count = f.add(count, one);
            store_small(f, count, many);
            Vec::new()
        },
    );
    module.add(func);
}

impl QueryBlocks<'_> {
    /// Adds all cells that a block sees to its sums.
    pub(super) fn add_cells(&self, f: &mut Func, block: Block, skip_masked: Val) {
        let high = self.positions(f, block.first, block.rows).high;
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(self.attend.cell() as i64));
        let end = f.add(high, one);
        let end = f.ceil_div(end, size);
        f.for_each(zero, end, CELLS as i64, |f, first| {
            let many = f.i64(CELLS as i64);
            let behind = f.add(first, many);
            let segment = Segment {
                first,
                end: f.min(behind, end),
            };
            self.clear_cells(f, segment);
            f.for_each(zero, block.rows, 1, |f, row| self.enter_row(f, block, row, segment));
            f.for_each(segment.first, segment.end, 1, |f, number| {
                let cell = self.cell_of_segment(f, segment, number);
                let some = f.cmp(Cmp::Gt, cell.count, zero);
                f.if_then(some, |f| self.tiles_of_cell(f, block, cell, skip_masked));
            });
        });
    }

    /// Goes over the cells that the first row of a block sees, in order: `body` gets what was kept, the cell, and a bit for each key; it gives
    /// what is kept next.
    pub(super) fn each_named_cell(
        &self,
        f: &mut Func,
        block: Block,
        kept: Val,
        body: impl FnOnce(&mut Func, [Val; 3]) -> Val,
    ) -> Val {
        let high = self.positions(f, block.first, block.rows).high;
        let (zero, one, size, many) = (
            f.i64(0),
            f.i64(1),
            f.i64(self.attend.cell() as i64),
            f.i64(CELLS as i64),
        );
        let end = f.add(high, one);
        let end = f.ceil_div(end, size);
        f.for_loop(zero..end, many, &[kept], |f, first, kept| {
            let behind = f.add(first, many);
            let segment = Segment {
                first,
                end: f.min(behind, end),
            };
            self.clear_cells(f, segment);
            self.enter_row(f, block, zero, segment);
            f.for_loop(segment.first..segment.end, one, kept, |f, number, kept| {
                let cell = self.cell_of_segment(f, segment, number);
                let some = f.cmp(Cmp::Gt, cell.count, zero);
                let named = |f: &mut Func| {
                    let bits = (0..self.attend.lists().len()).map(|n| {
                        let at = self.attend.bits_of_pair(f, self.mine, cell.last, n);
                        f.load(at, Ty::I64)
                    });
                    let bits: Vec<Val> = bits.collect();
                    let bits = fold(f, &bits, Func::or);
                    vec![body(f, [kept[0], number, bits])]
                };
                f.if_else(some, named, |_| vec![kept[0]])
            })
        })[0]
    }

    /// What the table has of a cell.
    fn cell_of_segment(&self, f: &mut Func, segment: Segment, number: Val) -> Cell {
        let place = f.sub(number, segment.first);
        let cells = float_at(f, self.mine, self.scratch.cells);
        let at = small_at(f, cells, place);
        let (last, many) = (load_small(f, at), second(f, at));
        Cell {
            number,
            last,
            count: load_small(f, many),
        }
    }

    /// No row has entered a cell of the segment.
    fn clear_cells(&self, f: &mut Func, segment: Segment) {
        let zero = f.i64(0);
        let used = word_of(f, self.mine, self.scratch.used);
        f.store(zero, used);
        let cells = float_at(f, self.mine, self.scratch.cells);
        let count = f.sub(segment.end, segment.first);
        f.for_each(zero, count, 1, |f, cell| {
            let at = f.gep(cells, cell, Scalar::I64);
            f.store(zero, at);
        });
    }

    /// Entry `pair` of the table.
    pub(super) fn pair(&self, f: &mut Func, pair: Val) -> Pair {
        let pairs = float_at(f, self.mine, self.scratch.pairs);
        let at = small_at(f, pairs, pair);
        let next = second(f, at);
        Pair {
            row: load_small(f, at),
            next: load_small(f, next),
        }
    }

    /// A row of a block enters the cells that it sees.
    fn enter_row(&self, f: &mut Func, block: Block, row: Val, segment: Segment) {
        let number = f.add(block.first, row);
        let (ratio, zero, one) = (f.i64(self.attend.ratio() as i64), f.i64(0), f.i64(1));
        let token = f.udiv(number, ratio);
        let position = self.attend.query_position(f, self.table, self.chunk.position, token);
        let entering = Entering {
            row,
            end: f.add(position, one),
            segment,
        };
        let place = self.row(f, block, row);
        for n in 0..self.attend.lists().len() {
            self.enter_list(f, n, place, entering);
        }
        let Some(named) = self.attend.names() else { return };
        // Keys that are brought together are seen by their bits.
        let near = self.attend.alone().map(|_| 0);
        if named.near.first > 0 {
            let first = f.i64(named.near.first as i64);
            self.enter(
                f,
                entering,
                Keys {
                    start: zero,
                    end: first,
                },
                near,
            );
        }
        let distance = named.near.distance.unwrap_or(0);
        if distance > 0 {
            let distance = f.i64(distance as i64);
            let (start, end) = (f.sub(entering.end, distance), entering.end);
            self.enter(f, entering, Keys { start, end }, near);
        }
    }

    /// The blocks that a list of the row names.
    fn enter_list(&self, f: &mut Func, n: usize, place: Row, entering: Entering) {
        let (attend, list) = (self.attend, &self.attend.lists()[n]);
        let entries = attend.list_of_row(f, self.table, list.stream, [place.token, place.head]);
        let (zero, count) = (f.i64(0), f.i64(list.entries as i64));
        f.for_each(zero, count, 1, |f, entry| {
            let p = f.gep(entries, entry, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let (least, most) = (f.f32(-LARGE), f.f32(LARGE));
            let (above, below) = (f.cmp(Cmp::Ge, x, least), f.cmp(Cmp::Le, x, most));
            let known = f.and(above, below);
            let nothing = f.f32(0.0);
            let small = f.select(known, x, nothing);
            let number = f.convert(Cast::FloatToSigned, small, Scalar::I64);
            let back = f.convert(Cast::SignedToFloat, number, Scalar::F32);
            let whole = f.cmp(Cmp::Eq, back, x);
            let known = f.and(known, whole);
            f.if_then(known, |f| {
                let (size, shift) = (f.i64(list.blocks.size as i64), f.i64(list.blocks.shift));
                let start = f.mul(number, size);
                let start = f.sub(start, shift);
                let end = f.add(start, size);
                self.enter(f, entering, Keys { start, end }, Some(n));
            });
        });
    }

    /// A row enters the cells of some keys, as far as its token sees them, which list `list` names.
    fn enter(&self, f: &mut Func, entering: Entering, keys: Keys, list: Option<usize>) {
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(self.attend.cell() as i64));
        let (start, end) = (f.max(keys.start, zero), f.min(keys.end, entering.end));
        let some = f.cmp(Cmp::Lt, start, end);
        f.if_then(some, |f| {
            let first = f.udiv(start, size);
            let last = f.sub(end, one);
            let last = f.udiv(last, size);
            let behind = f.add(last, one);
            let first = f.max(first, entering.segment.first);
            let behind = f.min(behind, entering.segment.end);
            f.for_each(first, behind, 1, |f, cell| {
                let place = f.sub(cell, entering.segment.first);
                let bits = self.bits(f, Keys { start, end }, cell);
                let none = f.i64(0);
                let of = |n: usize| if Some(n) == list { bits } else { none };
                let all: Vec<Val> = (0..self.attend.lists().len()).map(of).collect();
                let list = [&[self.mine, place, entering.row][..], &all].concat();
                f.call(&enter_name(self.attend), &list, None);
            });
        });
    }

    /// A bit for each of the keys that is in the cell, of which there is one.
    fn bits(&self, f: &mut Func, keys: Keys, cell: Val) -> Val {
        let (zero, all) = (f.i64(0), f.i64(-1));
        let (size, word) = (f.i64(self.attend.cell() as i64), f.i64(64));
        let start = f.mul(cell, size);
        let (low, high) = (f.sub(keys.start, start), f.sub(keys.end, start));
        let (low, high) = (f.max(low, zero), f.min(high, size));
        let above = f.sub(word, high);
        let (below, from) = (f.shr(all, above), f.shl(all, low));
        f.and(below, from)
    }
}
