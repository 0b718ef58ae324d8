//! All tokens of a chunk, block by block.

use super::{
    block_transition, direct, nonfinite,
    rows::{row_of, vector},
    variant::LongConv,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Team, Ty, Val};
use seqc_abi::PAGE_TOKENS;

pub(super) fn function(conv: &LongConv, module: &mut Module) -> String {
    let panel = panel(conv, module);
    let name = format!("{}_run", conv.name);
    let rows = [Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64];
    let params = [
        &rows[..],
        &[Ty::GLOBAL; 5],
        &[Ty::I64, Ty::I64, Ty::SCRATCH, Ty::I64, Ty::I64],
    ]
    .concat();
    let mut f = Func::new(&name, &params, None);
    let (u, out) = (f.param(0), f.param(2));
    let [prepared, past, sums, spectra, nan_until] = [4, 5, 6, 7, 8].map(|n| f.param(n));
    let team = Team {
        tid: f.param(12),
        threads: f.param(13),
    };
    let lanes = conv.lanes() as usize;
    let panels = f.i64(conv.panels() as i64);
    let mine = f.team_indices(team, panels);
    let bytes = f.i64(conv.scratch_bytes() as i64);
    let own = f.mul(team.tid, bytes);
    let scratch = f.gep(f.param(11), own, Scalar::I8);
    f.team_for(mine, |f, n| {
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
        let nan_until = part(f, nan_until, lanes);
        let (channels, width) = (f.i64(conv.channels as i64), f.i64(lanes as i64));
        let first = f.mul(n, width);
        let columns = f.sub(channels, first);
        let places = [u, f.param(1), out, f.param(3), prepared, past, sums, spectra, nan_until];
        let args = [&places[..], &[f.param(9), f.param(10), scratch, columns]].concat();
        f.call(&panel, &args, None);
    });
    module.add(f);
    name
}

/// Adds `fn(u, u_stride, out, out_stride, prepared, past, sums, spectra, nan_until, position, count, scratch, columns)` for
/// one panel, of which `columns` channels exist.
fn panel(conv: &LongConv, module: &mut Module) -> String {
    let direct = direct::function(conv, module);
    let transition = block_transition::function(conv, module);
    let nan_results = nonfinite::function(conv, module);
    let name = format!("{}_panel", conv.name);
    let rows = [Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64];
    let params = [&rows[..], &[Ty::GLOBAL; 5], &[Ty::I64, Ty::I64, Ty::SCRATCH, Ty::I64]].concat();
    let mut f = Func::new(&name, &params, None);
    let [u, u_stride, out, out_stride] = [0, 1, 2, 3].map(|n| f.param(n));
    let [prepared, past, sums, spectra, nan_until] = [4, 5, 6, 7, 8].map(|n| f.param(n));
    let [position, count, scratch, columns] = [9, 10, 11, 12].map(|n| f.param(n));
    let (block, zero) = (f.i64(conv.blocks.smallest as i64), f.i64(0));
    let end = f.add(position, count);
    let less = f.i64(conv.blocks.smallest as i64 - 1);
    let behind = f.add(end, less);
    let (first, last) = (f.udiv(position, block), f.udiv(behind, block));
    let mask = f.tail_mask(columns, conv.lanes());
    f.for_each(first, last, 1, |f, number| {
        let start = f.mul(number, block);
        let stop = f.add(start, block);
        let (low, high) = (f.max(start, position), f.min(stop, end));
        let begins = f.cmp(Cmp::Eq, low, start);
        let later = f.cmp(Cmp::Gt, number, zero);
        let due = f.and(begins, later);
        f.if_then(due, |f| {
            f.call(&transition, &[prepared, past, sums, spectra, scratch, number], None);
        });
        let top = f.i64(conv.blocks.top() as i64);
        let page = f.i64(conv.page() as i64);
        let from = f.urem(start, top);
        let (none, one) = (f.zero(vector(conv.lanes()).with(Scalar::I32)), f.i64(1));
        let found = f.for_loop(low..high, one, &[none], |f, token, found| {
            let t = f.sub(token, position);
            let at = f.mul(t, u_stride);
            let p = f.gep(u, at, Scalar::F32);
            let x = f.masked_load(p, mask, vector(conv.lanes()));
            let (x, found) = nonfinite::finite(f, x, found[0]);
            let inside = f.sub(token, start);
            let row = f.add(from, inside);
            let p = row_of(f, past, page, row, conv.lanes());
            f.store(x, p);
            vec![found]
        });
        let t = f.sub(low, position);
        let (from_u, to) = (f.mul(t, u_stride), f.mul(t, out_stride));
        let (u, out) = (f.gep(u, from_u, Scalar::F32), f.gep(out, to, Scalar::F32));
        let list = [f.sub(low, start), f.sub(high, start), columns];
        f.call(
            &direct,
            &[&[prepared, past, sums, out, out_stride, from][..], &list].concat(),
            None,
        );
        let some = nonfinite::some(f, nan_until, low, found[0]);
        f.if_then(some, |f| {
            f.call(
                &nan_results,
                &[u, u_stride, out, out_stride, nan_until, low, high, columns],
                None,
            );
        });
    });
    module.add(f);
    name
}
