//! Packing a panel of weights of bfloat16 in pairs of columns.

use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::lanes::transpose,
    targets::TargetInfo,
};

/// Adds the packing kernel for panels of `panel` vectors; returns its name.
///
/// `fn(w, row_bytes, rows, k0, kc, out)` writes the pair of columns `k, k + 1` of row `r` as `out[(k - k0) / 2 * n + r]`, of 32 bits, with
/// `n = panel * lanes`, for even `k` from `k0` on below `k0 + kc`; what lies beyond is zero. `k0` is even, and so is `kc` but where the rows
/// end. Rows from `rows` up to `n` are the last one again.
pub(crate) fn pack_pairs(module: &mut Module, target: &TargetInfo, panel: u32) -> String {
    let name = format!("seqc_pack_pairs_x{panel}");
    if module.has(&name) {
        return name;
    }
    let types = [Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64, Ty::I64, Ty::SCRATCH];
    let mut f = Func::new(&name, &types, None);
    let lanes = target.machine.lanes;
    let (zero, groups) = (f.i64(0), f.i64(panel.into()));
    f.for_each(zero, groups, 1, |f, g| Group::new(f, lanes, panel, g).pack(f));
    module.add(f);
    name
}

/// As many rows as a vector has lanes.
struct Group {
    lanes: u32,
    panel: u32,
    /// The first of their columns, in each row.
    rows: Vec<Val>,
    target: Val,
}

impl Group {
    fn new(f: &mut Func, lanes: u32, panel: u32, number: Val) -> Group {
        let (k0, out) = (f.param(3), f.param(5));
        let rows = super::pack_bytes::row_starts(f, lanes, number);
        let rows = rows.into_iter().map(|row| f.gep(row, k0, Scalar::I16)).collect();
        let size = f.i64(lanes.into());
        let at = f.mul(number, size);
        Group {
            lanes,
            panel,
            rows,
            target: f.gep(out, at, Scalar::I32),
        }
    }

    fn pack(&self, f: &mut Func) {
        let kc = f.param(4);
        let columns = i64::from(2 * self.lanes);
        let (zero, step) = (f.i64(0), f.i64(columns));
        let rest = f.urem(kc, step);
        let whole = f.sub(kc, rest);
        f.for_each(zero, whole, columns, |f, k| self.square(f, k, None));
        let some = f.cmp(Cmp::Gt, rest, zero);
        f.if_then(some, |f| self.square(f, whole, Some(rest)));
    }

    /// As many pairs of columns as there are rows, the first `columns` of them where not all are there.
    fn square(&self, f: &mut Func, k: Val, columns: Option<Val>) {
        let halves = Ty::V(2 * self.lanes, Scalar::I16);
        let mask = columns.map(|n| f.tail_mask(n, 2 * self.lanes));
        let load = |row: &Val| {
            let p = f.gep(*row, k, Scalar::I16);
            let loaded = match mask {
                None => f.load(p, halves),
                Some(mask) => f.masked_load(p, mask, halves),
            };
            f.bitcast(loaded, Ty::V(self.lanes, Scalar::I32))
        };
        let loaded: Vec<Val> = self.rows.iter().map(load).collect();
        let pairs = transpose(f, &loaded);
        let (width, two) = (f.i64((self.panel * self.lanes).into()), f.i64(2));
        let first = f.udiv(k, two);
        for (n, pair) in pairs.iter().enumerate() {
            let n = f.i64(n as i64);
            let at = f.add(first, n);
            let at = f.mul(at, width);
            let p = f.gep(self.target, at, Scalar::I32);
            match columns {
                None => f.store(*pair, p),
                Some(columns) => {
                    let column = f.mul(n, two);
                    let there = f.cmp(Cmp::Lt, column, columns);
                    f.if_then(there, |f| f.store(*pair, p));
                }
            }
        }
    }
}
