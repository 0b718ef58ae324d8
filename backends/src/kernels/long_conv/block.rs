//! All tokens of a chunk, block by block.

use super::{LongConv, direct, row_of, turn, vector};
use crate::text::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_abi::PAGE_TOKENS;

pub(super) fn function(conv: &LongConv, module: &mut Module) -> String {
    let panel = panel(conv, module);
    let name = format!("{}_run", conv.name);
    let rows = [Ty::Ptr, Ty::I64, Ty::Ptr, Ty::I64];
    let params = [&rows[..], &[Ty::Ptr; 4], &[Ty::I64, Ty::I64, Ty::Ptr, Ty::I64, Ty::I64]].concat();
    let mut f = Func::new(&name, &params, None);
    let (u, out) = (f.param(0), f.param(2));
    let [prepared, past, sums, spectra] = [4, 5, 6, 7].map(|n| f.param(n));
    let (tid, threads) = (f.param(11), f.param(12));
    let lanes = conv.lanes as usize;
    let panels = f.i64(conv.panels() as i64);
    let one = f.i64(1);
    let bound = |f: &mut Func, n: Val| {
        let at = f.mul(panels, n);
        f.udiv(at, threads)
    };
    let low = bound(&mut f, tid);
    let next = f.add(tid, one);
    let high = bound(&mut f, next);
    let bytes = f.i64(conv.scratch_bytes() as i64);
    let own = f.mul(tid, bytes);
    let scratch = f.gep(f.param(10), own, Scalar::I8);
    f.for_each(low, high, 1, |f, n| {
        let part = |f: &mut Func, base: Val, floats: usize| {
            let floats = f.i64(floats as i64);
            let at = f.mul(n, floats);
            f.gep(base, at, Scalar::F32)
        };
        let u = part(f, u, lanes);
        let out = part(f, out, lanes);
        let prepared = part(f, prepared, conv.prepared_rows() * lanes);
        let past = part(f, past, PAGE_TOKENS * lanes);
        let sums = part(f, sums, PAGE_TOKENS * lanes);
        let spectra = part(f, spectra, 2 * conv.blocks.top() * lanes);
        let (channels, width) = (f.i64(conv.channels as i64), f.i64(lanes as i64));
        let first = f.mul(n, width);
        let columns = f.sub(channels, first);
        let places = [u, f.param(1), out, f.param(3), prepared, past, sums, spectra];
        let args = [&places[..], &[f.param(8), f.param(9), scratch, columns]].concat();
        f.call(&panel, &args, None);
    });
    module.add(f);
    name
}

/// Adds `fn(u, u_stride, out, out_stride, prepared, past, sums, spectra, position, count, scratch, columns)` for one panel,
/// of which `columns` channels exist.
fn panel(conv: &LongConv, module: &mut Module) -> String {
    let direct = direct::function(conv, module);
    let turn = turn::function(conv, module);
    let name = format!("{}_panel", conv.name);
    let rows = [Ty::Ptr, Ty::I64, Ty::Ptr, Ty::I64];
    let params = [&rows[..], &[Ty::Ptr; 4], &[Ty::I64, Ty::I64, Ty::Ptr, Ty::I64]].concat();
    let mut f = Func::new(&name, &params, None);
    let [u, u_stride, out, out_stride] = [0, 1, 2, 3].map(|n| f.param(n));
    let [prepared, past, sums, spectra] = [4, 5, 6, 7].map(|n| f.param(n));
    let [position, count, scratch, columns] = [8, 9, 10, 11].map(|n| f.param(n));
    let (block, zero) = (f.i64(conv.blocks.smallest as i64), f.i64(0));
    let end = f.add(position, count);
    let less = f.i64(conv.blocks.smallest as i64 - 1);
    let behind = f.add(end, less);
    let (first, last) = (f.udiv(position, block), f.udiv(behind, block));
    let mask = f.tail_mask(columns, conv.lanes);
    f.for_each(first, last, 1, |f, number| {
        let start = f.mul(number, block);
        let stop = f.add(start, block);
        let (low, high) = (f.max(start, position), f.min(stop, end));
        let begins = f.cmp(Cmp::Eq, low, start);
        let later = f.cmp(Cmp::Gt, number, zero);
        let due = f.and(begins, later);
        f.if_then(due, |f| {
            f.call(&turn, &[prepared, past, sums, spectra, scratch, number], None);
        });
        let top = f.i64(conv.blocks.top() as i64);
        let page = f.i64(conv.page() as i64);
        let from = f.urem(start, top);
        f.for_each(low, high, 1, |f, token| {
            let t = f.sub(token, position);
            let at = f.mul(t, u_stride);
            let p = f.gep(u, at, Scalar::F32);
            let x = f.masked_load(p, mask, vector(conv.lanes));
            let inside = f.sub(token, start);
            let row = f.add(from, inside);
            let p = row_of(f, (past, page), row, conv.lanes);
            f.store(x, p);
        });
        let t = f.sub(low, position);
        let at = f.mul(t, out_stride);
        let out = f.gep(out, at, Scalar::F32);
        let (low, high) = (f.sub(low, start), f.sub(high, start));
        let list = [prepared, past, sums, out, out_stride, from, low, high, columns];
        f.call(&direct, &list, None);
    });
    module.add(f);
    name
}
