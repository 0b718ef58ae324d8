//! The register tiles of a skinny product: some rows of weights times some rows of activations.

use crate::{
    kernel::{Cache, Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{
        block_rows::BlockRows,
        dequant::{byte, plain_vector},
        gemv::{Shape, bytes_ahead},
        lanes::sum_four,
        layout::Plain,
        strips::{Strips, Weights},
    },
    targets::TargetInfo,
};
use seqc_formats::Encoding;

/// Types of the parameters of kernels and their tiles: `w, row_bytes, rows, x, ldx, y, ldy, count, k`.
pub(super) const PARAMS: [Ty; 9] = [
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
    Ty::GENERIC,
    Ty::I64,
    Ty::GENERIC,
    Ty::I64,
    Ty::I64,
    Ty::I64,
];

/// Most rows of weights of a tile: more would not leave registers for what is converted.
const WIDEST: usize = 4;

/// Name of the function that [`Tile::add`] adds.
pub(super) fn tile_name(encoding: Encoding, height: usize) -> String {
    format!("seqc_skinny_tile_{}_{height}", encoding.name())
}

/// The kernel of register tiles of some height.
pub(super) struct Tile<'m> {
    pub(super) target: &'m TargetInfo,
    pub(super) encoding: Encoding,
    /// Rows of activations.
    pub(super) height: usize,
}

/// What a register tile multiplies.
struct Operands<'a> {
    shape: &'a Shape<'a>,
    /// Rows of weights.
    rows: Vec<Val>,
    /// Rows of activations.
    activations: &'a [Val],
}

/// Consecutive columns.
#[derive(Clone, Copy)]
struct Piece {
    /// The first one.
    from: Val,
    /// Behind the last one.
    to: Val,
    /// A mask of the first lane, if the results have the sums of earlier columns; of none, if not.
    carried: Option<Val>,
}

impl Tile<'_> {
    /// Adds `fn(w, row_bytes, rows, x, ldx, y, ldy, count, k)`, which computes `y[t * ldy + r] = sum_k W[r][k] * x[t * ldx + k]`
    /// for `r < rows` and `t < count`, with `1 <= count <= height`.
    pub(super) fn add(&self, module: &mut Module) {
        let name = tile_name(self.encoding, self.height);
        if module.has(&name) {
            return;
        }
        let mut f = Func::new(&name, &PARAMS, None);
        let (w, stride, rows, k) = (f.param(0), f.param(1), f.param(2), f.param(8));
        let (x, ldx, y, ldy) = (f.param(3), f.param(4), f.param(5), f.param(6));
        let activations = self.rows(&mut f, x, ldx);
        let results = self.rows(&mut f, y, ldy);
        // Half of the registers hold sums.
        let width = (self.target.machine.registers as usize / 2 / self.height).clamp(1, WIDEST);
        let shape = Shape {
            encoding: self.encoding,
            target: self.target,
            lanes: self.target.machine.lanes,
            w,
            stride,
            x,
            k,
            ahead: bytes_ahead(&mut f, &self.target.machine, stride, width as u32),
            rounded: false,
        };
        let zero = f.i64(0);
        let weights = Weights::new(&mut f, self.target, self.encoding, width as u32);
        let tile = |f: &mut Func, r: Val, width: usize, piece: Piece| {
            let operands = Operands {
                shape: &shape,
                rows: shape.rows(f, r, width as u32),
                activations: &activations,
            };
            let init = self.carried(f, &results, r, width, piece);
            let sums = match &weights {
                Weights::Plain(plain) => operands.plain_sums(f, *plain, piece, &init),
                Weights::Blocks(strips) => operands.block_sums(f, strips, piece, &init),
            };
            store(f, &sums, &results, r);
        };
        if width > 1 {
            let all = Piece {
                from: zero,
                to: k,
                carried: None,
            };
            let some = f.i64(width as i64);
            let rest = f.urem(rows, some);
            let whole = f.sub(rows, rest);
            f.for_each(zero, whole, width as i64, |f, r| tile(f, r, width, all));
            f.for_each(whole, rows, 1, |f, r| tile(f, r, 1, all));
        } else {
            self.pieces(&mut f, |f, piece| {
                f.for_each(zero, rows, 1, |f, r| tile(f, r, 1, piece));
            });
        }
        module.add(f);
    }

    /// Columns in pieces. A tile of one row of weights loads as many activations as it multiplies, so that these have to stay in the
    /// first-level cache.
    fn pieces(&self, f: &mut Func, body: impl FnOnce(&mut Func, Piece)) {
        let (k, zero, one) = (f.param(8), f.i64(0), f.i64(1));
        let columns = self.target.machine.tiles.skinny_columns;
        // Without columns results are written all the same.
        let end = f.max(k, one);
        f.for_each(zero, end, columns, |f, from| {
            let next = f.i64(columns);
            let next = f.add(from, next);
            let lanes = f.min(from, one);
            let piece = Piece {
                from,
                to: f.min(next, k),
                carried: Some(f.tail_mask(lanes, self.target.machine.lanes)),
            };
            body(f, piece);
        });
    }

    /// Where sums begin: at those of earlier columns, in the first lane.
    fn carried(&self, f: &mut Func, results: &[Val], r: Val, width: usize, piece: Piece) -> Vec<Val> {
        let vector = Ty::V(self.target.machine.lanes, Scalar::F32);
        let Some(mask) = piece.carried else {
            return vec![f.zero(vector); width * results.len()];
        };
        let load = |row: &Val| {
            let p = f.gep(*row, r, Scalar::F32);
            f.masked_load(p, mask, vector)
        };
        results.iter().map(load).collect()
    }

    /// The rows of a tile of activations or results; from the last one on all are that one.
    fn rows(&self, f: &mut Func, base: Val, stride: Val) -> Vec<Val> {
        let (count, one) = (f.param(7), f.i64(1));
        let last = f.sub(count, one);
        let mut row = |t: usize| {
            let t = f.i64(t as i64);
            let t = f.min(t, last);
            let at = f.mul(t, stride);
            f.gep(base, at, Scalar::F32)
        };
        (0..self.height).map(&mut row).collect()
    }
}

impl Operands<'_> {
    /// For each row of activations and each of weights, in this order, a vector whose lanes add up to their product: of numbers that are
    /// stored by themselves.
    fn plain_sums(&self, f: &mut Func, plain: Plain, piece: Piece, init: &[Val]) -> Vec<Val> {
        let shape = self.shape;
        let bytes = i64::from(shape.lanes) * shape.encoding.block_bytes() as i64;
        let (none, step) = (f.i64(0), f.i64(i64::from(shape.lanes)));
        let size = f.sub(piece.to, piece.from);
        let rest = f.urem(size, step);
        let whole = f.sub(piece.to, rest);
        let vectors = |f: &mut Func, start: Val, mask: Option<Val>, sums: &[Val]| {
            let offset = shape.offset(f, start);
            let vector = |row: &Val| {
                let p = f.gep(*row, offset, Scalar::I8);
                vec![plain_vector(f, plain, p, shape.lanes, mask)]
            };
            let weights: Vec<Vec<Val>> = self.rows.iter().map(vector).collect();
            self.products(f, &weights, start, mask, sums)
        };
        let sums = f.for_loop(piece.from..whole, step, init, |f, start, sums| {
            let offset = shape.offset(f, start);
            shape.prefetch(f, &self.rows, offset, bytes, Cache::Second);
            vectors(f, start, None, sums)
        });
        let some = f.cmp(Cmp::Gt, rest, none);
        f.if_else(
            some,
            |f| {
                let mask = Some(f.tail_mask(rest, shape.lanes));
                vectors(f, whole, mask, &sums)
            },
            |_| sums.clone(),
        )
    }

    /// The same for blocks.
    fn block_sums(&self, f: &mut Func, strips: &Strips<'_>, piece: Piece, init: &[Val]) -> Vec<Val> {
        let shape = self.shape;
        let (step, bytes) = (
            f.i64(shape.encoding.block() as i64),
            shape.encoding.block_bytes() as i64,
        );
        f.for_loop(piece.from..piece.to, step, init, |f, start, sums| {
            let offset = shape.offset(f, start);
            // The few bytes of blocks are computed with for long enough; more of them would wait for the first-level cache's few requests.
            shape.prefetch(f, &self.rows, offset, bytes, Cache::First);
            let rows = BlockRows {
                first: f.gep(self.rows[0], offset, Scalar::I8),
                stride: shape.stride,
                count: self.rows.len() as u32,
                valid: None,
            };
            strips.each(f, &rows, sums, |f, column, weights, sums| {
                let start = f.add(start, column);
                self.products(f, weights, start, None, sums)
            })
        })
    }

    /// Adds the products of some vectors of columns, whose first is `start`; of those of the mask, where not all exist.
    fn products(&self, f: &mut Func, weights: &[Vec<Val>], start: Val, mask: Option<Val>, sums: &[Val]) -> Vec<Val> {
        let shape = self.shape;
        let mut next = sums.to_vec();
        for part in 0..weights[0].len() {
            for (row, sums) in self.activations.iter().zip(next.chunks_mut(weights.len())) {
                let p = f.gep(*row, start, Scalar::F32);
                let p = byte(f, p, part as i64 * 4 * i64::from(shape.lanes));
                let x = match mask {
                    None => f.load(p, shape.vector()),
                    Some(mask) => f.masked_load(p, mask, shape.vector()),
                };
                for (weights, sum) in weights.iter().zip(sums) {
                    *sum = f.fma(weights[part], x, *sum);
                }
            }
        }
        next
    }
}

/// Writes the sums of the lanes of some vectors, in the order of [`Operands::block_sums`]; `r` is the number of the first row of weights.
fn store(f: &mut Func, sums: &[Val], results: &[Val], r: Val) {
    let width = sums.len() / results.len();
    // Sums of one row of activations that are side by side in a vector of four.
    let together = width.min(4);
    for (n, vectors) in sums.chunks(4).enumerate() {
        let four = sum_four(f, std::array::from_fn(|i| vectors[i % vectors.len()]));
        for lane in (0..vectors.len()).step_by(together) {
            let at = 4 * n + lane;
            let p = f.gep(results[at / width], r, Scalar::F32);
            let p = byte(f, p, 4 * (at % width) as i64);
            let lanes: Vec<i64> = (lane..lane + together).map(|lane| lane as i64).collect();
            let part = match together {
                1 => f.extract(four, lane as i64),
                _ => f.shuffle(four, four, &lanes),
            };
            f.store(part, p);
        }
    }
}
