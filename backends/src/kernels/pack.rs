//! Packing a panel of weight rows for the micro-kernel: dequantised, and transposed in registers.

use super::{
    block_rows::BlockRows,
    dequant::{byte, plain_vector},
    lanes::transpose,
    layout::Plain,
    strips::{Strips, Weights},
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    targets::TargetInfo,
};
use seqc_formats::Encoding;

/// Adds the packing kernel for panels of `panel` vectors; returns its name.
///
/// `fn(w, row_bytes, rows, k0, kc, out)` writes `out[(k - k0) * n + r] = W[r][k]`, `n = panel * lanes`, for
/// `k0 <= k < k0 + kc`; rows from `rows` up to `n` are zero. For block stores `k0` and `kc` are multiples of their block.
pub fn pack(module: &mut Module, target: &TargetInfo, encoding: Encoding, panel: u32) -> String {
    let name = format!("seqc_pack_{}x{panel}", encoding.name());
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(
        &name,
        &[Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64, Ty::I64, Ty::SCRATCH],
        None,
    );
    let (w, stride, rows, k0, kc) = (f.param(0), f.param(1), f.param(2), f.param(3), f.param(4));
    let out = f.param(5);
    let lanes = target.machine.lanes;
    let pack = Pack {
        weights: Weights::new(&mut f, target, encoding, lanes),
        encoding,
        lanes,
        panel,
        stride,
    };
    let blocks = f.i64(encoding.block() as i64);
    let first = f.udiv(k0, blocks);
    let bytes = f.i64(encoding.block_bytes() as i64);
    let first = f.mul(first, bytes);
    let start = f.gep(w, first, Scalar::I8);
    let (zero, groups, step) = (f.i64(0), f.i64(i64::from(panel)), f.i64(i64::from(lanes)));
    f.for_each(zero, groups, 1, |f, g| {
        let row = f.mul(g, step);
        let offset = f.mul(row, stride);
        let source = f.gep(start, offset, Scalar::I8);
        let target = f.gep(out, row, Scalar::F32);
        let left = f.sub(rows, row);
        let full = f.cmp(Cmp::Ge, left, step);
        f.if_else(
            full,
            |f| {
                let valid = None;
                pack.group(f, Group { source, target, valid }, kc);
                Vec::new()
            },
            |f| {
                let valid = Some(left);
                pack.group(f, Group { source, target, valid }, kc);
                Vec::new()
            },
        );
    });
    module.add(f);
    name
}

struct Pack<'m> {
    weights: Weights<'m>,
    encoding: Encoding,
    lanes: u32,
    panel: u32,
    stride: Val,
}

/// One vector of rows of the panel.
#[derive(Clone, Copy)]
struct Group {
    /// The first row's weights.
    source: Val,
    /// Where the first row's weights go.
    target: Val,
    /// How many of the rows exist, when not all do.
    valid: Option<Val>,
}

/// Column `k + shift`.
struct Column {
    k: Val,
    shift: i64,
}

impl Pack<'_> {
    /// A group over all of `k`.
    fn group(&self, f: &mut Func, group: Group, kc: Val) {
        let zero = f.i64(0);
        let plain = match &self.weights {
            Weights::Plain(plain) => *plain,
            Weights::Blocks(strips) => {
                let block = self.encoding.block() as i64;
                f.for_each(zero, kc, block, |f, k| self.blocks(f, strips, group, k));
                return;
            }
        };
        let step = f.i64(i64::from(self.lanes));
        let rest = f.urem(kc, step);
        let whole = f.sub(kc, rest);
        f.for_each(zero, whole, i64::from(self.lanes), |f, k| {
            self.tile(f, plain, group, k, None)
        });
        let some = f.cmp(Cmp::Gt, rest, zero);
        f.if_then(some, |f| self.tile(f, plain, group, whole, Some(rest)));
    }

    fn row(&self, f: &mut Func, source: Val, r: u32) -> Val {
        let r = f.i64(i64::from(r));
        let offset = f.mul(r, self.stride);
        f.gep(source, offset, Scalar::I8)
    }

    /// `lanes` rows by `lanes` columns of numbers that are stored by themselves, `columns` of them when not all.
    fn tile(&self, f: &mut Func, plain: Plain, group: Group, k: Val, columns: Option<Val>) {
        let size = f.i64(self.encoding.block_bytes() as i64);
        let offset = f.mul(k, size);
        let column_mask = columns.map(|n| f.tail_mask(n, self.lanes));
        let mut loaded = Vec::new();
        for r in 0..self.lanes {
            let row = self.row(f, group.source, r);
            let p = f.gep(row, offset, Scalar::I8);
            let mask = self.row_mask(f, r, group.valid, column_mask);
            loaded.push(plain_vector(f, plain, p, self.lanes, mask));
        }
        let rows = transpose(f, &loaded);
        self.store_tile(f, group.target, Column { k, shift: 0 }, &rows, columns);
    }

    fn row_mask(&self, f: &mut Func, r: u32, valid: Option<Val>, columns: Option<Val>) -> Option<Val> {
        let Some(valid) = valid else { return columns };
        let r = f.i64(i64::from(r));
        let exists = f.cmp(Cmp::Lt, r, valid);
        let exists = f.splat(exists, self.lanes);
        Some(columns.map_or(exists, |mask| f.and(exists, mask)))
    }

    /// `lanes` rows by one block.
    fn blocks(&self, f: &mut Func, strips: &Strips<'_>, group: Group, k: Val) {
        let (per_block, bytes) = (
            f.i64(self.encoding.block() as i64),
            f.i64(self.encoding.block_bytes() as i64),
        );
        let index = f.udiv(k, per_block);
        let offset = f.mul(index, bytes);
        let rows = BlockRows {
            first: f.gep(group.source, offset, Scalar::I8),
            stride: self.stride,
            count: self.lanes,
            valid: group.valid,
        };
        strips.each(f, &rows, &[], |f, column, rows, _| {
            let k = f.add(k, column);
            for part in 0..rows[0].len() {
                let vectors: Vec<Val> = rows.iter().map(|row| row[part]).collect();
                let columns = transpose(f, &vectors);
                let shift = part as i64 * i64::from(self.lanes);
                self.store_tile(f, group.target, Column { k, shift }, &columns, None);
            }
            Vec::new()
        });
    }

    /// Writes columns of the panel from `first` on, the first `columns` of them when not all.
    fn store_tile(&self, f: &mut Func, target: Val, first: Column, vectors: &[Val], columns: Option<Val>) {
        let width = f.i64(i64::from(self.panel * self.lanes));
        let at = f.mul(first.k, width);
        let start = f.gep(target, at, Scalar::F32);
        for (i, v) in vectors.iter().enumerate() {
            let p = byte(
                f,
                start,
                4 * (i as i64 + first.shift) * i64::from(self.panel * self.lanes),
            );
            match columns {
                None => f.store(*v, p),
                Some(n) => {
                    let i = f.i64(i as i64);
                    let inside = f.cmp(Cmp::Lt, i, n);
                    f.if_then(inside, |f| f.store(*v, p));
                }
            }
        }
    }
}
