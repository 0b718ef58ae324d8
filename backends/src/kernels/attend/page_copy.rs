//! Copies of a head's part of a page in the memory of a block: their layout, and the function that starts them.
//!
//! Keys lie before the panels of values, all in rows as in the page, with room behind each row ([`Attend::padding`]).

use super::{
    layout::{CHUNK, PAGE},
    variant::{Attend, PageCopy},
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_abi::device::SHARED_BYTES;

/// Lanes of a copy, one for each thread of a member.
const LANES: usize = 32;

/// Most copies of pages that a block has: the one that its members go over, and the next one.
const MOST: usize = 2;

/// Rows that lie one after another, in a page and in its copy.
#[derive(Clone, Copy)]
struct Rows {
    count: usize,
    bytes: usize,
}

impl Rows {
    fn chunks(self) -> usize {
        self.count * self.bytes / CHUNK
    }

    fn chunks_of_row(self) -> usize {
        self.bytes / CHUNK
    }

    /// Bytes of their copy, with what the lanes of the last copy reach.
    fn copied(self) -> usize {
        let chunks = self.chunks().next_multiple_of(LANES);
        chunks.div_ceil(self.chunks_of_row()) * (self.bytes + CHUNK)
    }
}

/// Copies of pages in the memory of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageCopies {
    /// How many there are at once.
    pub(super) count: usize,
    /// Bytes of one.
    pub(super) bytes: usize,
    /// Bytes of its keys, behind which values lie.
    pub(super) key_bytes: usize,
}

impl Attend {
    /// The same attention over copies of a block.
    pub(super) fn over_copies(&self) -> Attend {
        Attend {
            copy: PageCopy::OfBlock,
            ..self.clone()
        }
    }

    /// Copies of pages for products on matrix units, where the memory of a block has room for one, and keys and values are read from pages as they are.
    pub(super) fn page_copies(&self) -> Option<PageCopies> {
        let as_they_are = self.values_in_keys.is_none() && self.sight.is_none();
        self.matrix_units().filter(|_| as_they_are)?;
        let key_bytes = self.key_rows().copied();
        let bytes = key_bytes + self.value_rows().map(Rows::copied).sum::<usize>();
        let count = MOST.min(SHARED_BYTES / bytes);
        (count > 0).then_some(PageCopies {
            count,
            bytes,
            key_bytes,
        })
    }

    fn key_rows(&self) -> Rows {
        Rows {
            count: self.key_dim,
            bytes: PAGE * self.elem().bytes() as usize,
        }
    }

    /// The rows of each panel.
    fn value_rows(&self) -> impl Iterator<Item = Rows> {
        let number = self.elem().bytes() as usize;
        self.panels().into_iter().map(move |panel| Rows {
            count: PAGE,
            bytes: panel.width * number,
        })
    }
}

/// Adds `fn(to, keys, values, member, members)`, which starts a member's part of the copies of a head's page; returns its name.
pub(super) fn function(attend: &Attend, module: &mut Module, copies: PageCopies) -> String {
    let name = format!("{}_copy", attend.name);
    let types = [Ty::SHARED, Ty::GLOBAL, Ty::GLOBAL, Ty::I64, Ty::I64];
    let mut f = Func::new(&name, &types, None);
    let [to, keys, values] = [0, 1, 2].map(|n| f.param(n));
    copy(&mut f, to, keys, attend.key_rows());
    let (mut from, mut behind) = (0, copies.key_bytes);
    for rows in attend.value_rows() {
        let [to, from_panel] = [(to, behind), (values, from)].map(|(base, at)| {
            let at = f.i64(at as i64);
            f.gep(base, at, Scalar::I8)
        });
        copy(&mut f, to, from_panel, rows);
        from += rows.count * rows.bytes;
        behind += rows.copied();
    }
    module.add(f);
    name
}

/// Starts a member's part of the copies of some rows.
fn copy(f: &mut Func, to: Val, from: Val, rows: Rows) {
    let (member, members) = (f.param(3), f.param(4));
    let end = f.i64(rows.chunks().div_ceil(LANES) as i64);
    let lanes: Vec<i64> = (0..LANES as i64).collect();
    let lane = f.lanes(Scalar::I64, &lanes);
    let [each, of_row, chunk, row_bytes] =
        [LANES, rows.chunks_of_row(), CHUNK, rows.bytes + CHUNK].map(|n| f.int(lane.ty, n as i64));
    let [whole, none] = [CHUNK as i64, 0].map(|n| f.int(lane.ty.with(Scalar::I32), n));
    let count = f.int(lane.ty, rows.chunks() as i64);
    f.for_loop(member..end, members, &[], |f, n, _| {
        let n = f.splat(n, LANES as u32);
        let first = f.mul(n, each);
        let number = f.add(first, lane);
        let (row, within) = (f.udiv(number, of_row), f.urem(number, of_row));
        let inside = f.cmp(Cmp::Lt, number, count);
        let counts = f.select(inside, whole, none);
        let skipped = f.mul(number, chunk);
        let (before, within) = (f.mul(row, row_bytes), f.mul(within, chunk));
        let place = f.add(before, within);
        let (to, from) = (f.gep(to, place, Scalar::I8), f.gep(from, skipped, Scalar::I8));
        f.copy_async(to, from, counts, CHUNK as u8);
        Vec::new()
    });
}
