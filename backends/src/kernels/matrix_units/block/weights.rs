//! Weights on their way into the memory of a block.

use super::{
    LANES, ROWS, SUMMED, lanes,
    layout::{CHUNK, Place, Shared, turn_of_weights},
    numbers,
};
use crate::{
    kernel::{BlockMember, Cast, Cmp, Func, Module, Scalar, Team, Ty, Val},
    targets::MatrixUnits,
};

/// Adds the function that writes rows of weights as matrices are loaded; returns its name.
///
/// `fn(stage, steps, tile, barrier, tid, threads)`: sixteen rows from `16 tile` on, and `16 steps` columns, which `stage` has as f32, sixteen of a column
/// behind one another.
pub(crate) fn share(module: &mut Module, units: MatrixUnits, shared: Shared) -> String {
    let name = format!("seqc_share_{}x{}_{}", shared.rows, shared.columns, shared.parts.count());
    if module.has(&name) {
        return name;
    }
    let types = [Ty::SCRATCH, Ty::I64, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::I64];
    let mut f = Func::new(&name, &types, None);
    let [stage, steps, tile, barrier, tid, threads] = [0, 1, 2, 3, 4, 5].map(|n| f.param(n));
    let memory = f.block_memory(barrier, Team { tid, threads });
    let bytes = f.i64(shared.start(0, ROWS));
    let before = f.mul(tile, bytes);
    let memory = f.gep(memory, before, Scalar::I8);
    let words: Vec<Place> = lanes(LANES)
        .map(|lane| Place {
            row: lane.of_weights()[0],
            chunk: lane.register / 2,
            byte: 4 * lane.within,
        })
        .collect();
    let zero = f.i64(0);
    f.for_each(zero, steps, 1, |f, step| {
        let floats = f.i64((SUMMED * ROWS) as i64);
        let from = f.mul(step, floats);
        let from = f.gep(stage, from, Scalar::F32);
        let all = f.int(Ty::V(LANES as u32, Scalar::I1), 1);
        let pair = [0, 1].map(|next| {
            let at = numbers(f, LANES, |lane| {
                let [row, column] = lane.of_weights();
                (column + next) * ROWS + row
            });
            let places = f.gep(from, at, Scalar::F32);
            f.gather(places, all, Scalar::F32)
        });
        let places = shared.places(f, &words, step);
        for (part, words) in shared.parts.split(f, units, pair).into_iter().enumerate() {
            let start = f.i64(shared.start(part, 0));
            let to = f.gep(memory, start, Scalar::I8);
            let to = f.gep(to, places, Scalar::I8);
            f.scatter(words, to, all);
        }
    });
    module.add(f);
    name
}

/// Copies of weights that are numbers of bfloat16 already, as many columns at a time as [`Shared::least`] has; rows begin at multiples of 16 bytes. Each member of a block
/// copies some rows.
pub(super) struct Copies {
    shared: Shared,
    /// The first row, and bytes from one to the next.
    weights: [Val; 2],
    /// Rows and columns that are there; others are zeros. A multiple of eight columns.
    size: [Val; 2],
    memory: Val,
    own: BlockMember,
}

/// Lanes of a copy.
const COPIES: usize = 64;

impl Copies {
    pub(super) fn new(shared: Shared, weights: [Val; 2], size: [Val; 2], memory: Val, own: BlockMember) -> Copies {
        Copies {
            shared,
            weights,
            size,
            memory,
            own,
        }
    }

    /// Where the weights of step `n` are.
    pub(super) fn of_step(&self, f: &mut Func, n: Val) -> Val {
        let (turns, bytes) = (f.i64(self.shared.slots() as i64 - 1), f.i64(self.shared.bytes() as i64));
        let at = f.and(n, turns);
        let at = f.mul(at, bytes);
        f.gep(self.memory, at, Scalar::I8)
    }

    /// Starts the copies of step `n`, if it is before `end`.
    pub(super) fn start(&self, f: &mut Func, n: Val, end: Val) {
        let here = f.cmp(Cmp::Lt, n, end);
        f.if_then(here, |f| self.copy(f, n));
    }

    fn copy(&self, f: &mut Func, n: Val) {
        let row_bytes = self.shared.row_bytes();
        let (chunks, lanes) = (row_bytes / CHUNK, COPIES as u32);
        let together = COPIES / chunks;
        let list = |of: &dyn Fn(usize) -> usize| -> Vec<i64> { (0..COPIES).map(|l| of(l) as i64).collect() };
        let place = |l: usize| l / chunks * row_bytes + CHUNK * ((l % chunks) ^ turn_of_weights(l / chunks));
        let [row, byte, place] = [list(&|l| l / chunks), list(&|l| l % chunks * CHUNK), list(&place)]
            .map(|list| f.lanes(Scalar::I64, &list));
        let [rows, columns] = self.size;
        let (size, bytes) = (f.i64(size_of::<u16>() as i64), f.i64(row_bytes as i64));
        let passed = f.mul(n, bytes);
        let left = f.mul(columns, size);
        let left = f.sub(left, passed);
        let left = f.convert(Cast::Truncate, left, Scalar::I32);
        let (left, bytes_before) = (f.splat(left, lanes), f.convert(Cast::Truncate, byte, Scalar::I32));
        let left = f.sub(left, bytes_before);
        let counts = limited(f, left, CHUNK);
        let from = f.gep(self.weights[0], passed, Scalar::I8);
        let to = self.of_step(f, n);
        let (end, none) = (f.i64((self.shared.rows / together) as i64), f.zero(counts.ty));
        let [rows, stride] = [rows, self.weights[1]].map(|n| f.splat(n, lanes));
        f.for_loop(self.own.member..end, self.own.members, &[], |f, part, _| {
            let (height, bytes) = (f.i64(together as i64), f.i64((together * row_bytes) as i64));
            let first = f.mul(part, height);
            let first = f.splat(first, lanes);
            let row = f.add(first, row);
            let inside = f.cmp(Cmp::Lt, row, rows);
            let counts = f.select(inside, counts, none);
            let skip = f.mul(row, stride);
            let skip = f.add(skip, byte);
            let before = f.mul(part, bytes);
            let to = f.gep(to, before, Scalar::I8);
            let (to, from) = (f.gep(to, place, Scalar::I8), f.gep(from, skip, Scalar::I8));
            f.copy_async(to, from, counts, CHUNK as u8);
            Vec::new()
        });
    }
}

/// Bytes that a copy of at most `most` reads of those that are left.
pub(super) fn limited(f: &mut Func, left: Val, most: usize) -> Val {
    let (none, most) = (f.zero(left.ty), f.int(left.ty, most as i64));
    let left = f.max(left, none);
    f.min(left, most)
}
