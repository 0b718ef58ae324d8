//! Weights on their way into the memory of a block.

use super::{
    LANES, Parts, ROWS, SUMMED, lanes,
    layout::{CHUNK, Place, Shared, turn_of_weights},
    numbers,
};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Team, Ty, Val},
    targets::MatrixUnits,
};

/// Adds the function that writes rows of weights as matrices are loaded; returns its name.
///
/// `fn(stage, steps, tile, barrier, tid, threads)`: sixteen rows from `16 tile` on, and `16 steps` columns, which `stage` has as f32, sixteen of a column
/// behind one another.
pub(crate) fn share(module: &mut Module, units: MatrixUnits, shared: Shared) -> String {
    let name = format!(
        "seqc_share_{}x{}_{}",
        shared.rows,
        shared.columns(),
        shared.parts.count()
    );
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

/// Lanes of a copy.
const COPIES: usize = 64;

/// Adds the function that copies weights that are numbers of bfloat16 already; returns its name.
///
/// `fn(w, row_bytes, rows, count, member, members, barrier, tid, threads)`: columns of `rows` rows from `w` on, `count` of them, and zeros up to those that there is
/// room for; each of the members copies some rows and waits for them. Rows begin at multiples of 16 bytes, and `count` is one of eight.
pub(crate) fn copy_weights(module: &mut Module, rows: usize) -> String {
    let shared = Shared {
        rows,
        parts: Parts::One,
    };
    let name = format!("seqc_share_copies_{}x{}", shared.rows, shared.columns());
    if module.has(&name) {
        return name;
    }
    let types = [
        Ty::GLOBAL,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::GLOBAL,
        Ty::I64,
        Ty::I64,
    ];
    let mut f = Func::new(&name, &types, None);
    let [w, row_bytes, rows, count, member, members] = [0, 1, 2, 3, 4, 5].map(|n| f.param(n));
    let team = Team {
        tid: f.param(7),
        threads: f.param(8),
    };
    let memory = f.block_memory(f.param(6), team);
    let chunks = shared.row_bytes() / CHUNK;
    let together = COPIES / chunks;
    let each = |of: &dyn Fn(usize) -> usize| -> Vec<i64> { (0..COPIES).map(|l| of(l) as i64).collect() };
    let (row, chunk) = (
        f.lanes(Scalar::I64, &each(&|l| l / chunks)),
        f.lanes(Scalar::I64, &each(&|l| l % chunks)),
    );
    let all = row.ty;
    let (size, most) = (f.int(all, CHUNK as i64), f.int(all, shared.row_bytes() as i64));
    let (two, end) = (f.i64(2), f.i64((shared.rows / together) as i64));
    let left = f.mul(count, two);
    let left = f.splat(left, COPIES as u32);
    let column = f.mul(chunk, size);
    let left = f.sub(left, column);
    let (rows, stride) = (f.splat(rows, COPIES as u32), f.splat(row_bytes, COPIES as u32));
    let turns = f.int(all, turn_of_weights(usize::MAX) as i64);
    f.for_loop(member..end, members, &[], |f, n, _| {
        let first = f.i64(together as i64);
        let first = f.mul(n, first);
        let first = f.splat(first, COPIES as u32);
        let row = f.add(first, row);
        let turn = f.and(row, turns);
        let place = f.xor(chunk, turn);
        let (place, start) = (f.mul(place, size), f.mul(row, most));
        let to = f.add(place, start);
        let to = f.gep(memory, to, Scalar::I8);
        let from = f.mul(row, stride);
        let from = f.add(from, column);
        let from = f.gep(w, from, Scalar::I8);
        let (inside, none) = (f.cmp(Cmp::Lt, row, rows), f.zero(all));
        let left = f.select(inside, left, none);
        let counts = limited(f, left, CHUNK);
        f.copy_async(to, from, counts, CHUNK as u8);
        Vec::new()
    });
    f.commit_copies();
    f.wait_copies(0);
    module.add(f);
    name
}

/// Bytes that a copy of at most `most` reads of those that are left.
pub(super) fn limited(f: &mut Func, left: Val, most: usize) -> Val {
    let (none, most) = (f.zero(left.ty), f.int(left.ty, most as i64));
    let left = f.max(left, none);
    let left = f.min(left, most);
    f.convert(Cast::Truncate, left, Scalar::I32)
}
