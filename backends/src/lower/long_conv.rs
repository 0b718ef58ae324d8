//! Long convolutions: what depends on their filters is computed at load time and stored in the arena of load-time
//! constants, after its buffers.

use super::{
    address::byte,
    cx::{Cx, Layer},
    slots::{self, Source},
    tokens::Tokens,
};
use crate::kernel::{Func, Module, Val};
use seqc_ir::Value;

/// Adds the kernels that the long convolutions of a layer call.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module) {
    for (_, kernel) in &layer.schedule.filters {
        kernel.prepare(module);
        kernel.run(module);
    }
}

/// Bytes behind the buffers of the arena of load-time constants.
pub(super) fn prepared_bytes(layer: &Layer<'_>) -> usize {
    let filters = layer.schedule.filters.iter();
    filters.map(|(_, kernel)| kernel.prepared_bytes()).sum()
}

/// Where a filter's part of them is.
fn prepared(cx: &Cx<'_>, f: &mut Func, v: Value) -> Val {
    let before = cx.layer.schedule.filters.iter().take_while(|(w, _)| *w != v);
    let bytes: usize = before.map(|(_, kernel)| kernel.prepared_bytes()).sum();
    byte(f, cx.args.constants, cx.prepared + bytes)
}

/// Writes the load-time part of all long convolutions.
pub(super) fn load(cx: &Cx<'_>, f: &mut Func) {
    for (v, kernel) in &cx.layer.schedule.filters {
        let filter = cx.rows_of(f, cx.graph().operands(*v)[1]).base;
        let prepared = prepared(cx, f, *v);
        let name = format!("{}_prepare", kernel.name);
        f.call(&name, &[filter, prepared], None);
    }
}

/// Writes one long convolution.
pub(super) fn convolve(cx: &Cx<'_>, f: &mut Func, v: Value, tokens: Tokens) {
    let kernel = cx.layer.schedule.filter(v);
    let (token, count) = match tokens {
        Tokens::All => (cx.args.first, cx.args.count),
        Tokens::One(t) => (t, f.i64(1)),
    };
    let position = f.add(cx.args.position, token);
    let rows = cx.rows_of(f, cx.graph().operands(v)[0]);
    let (u, u_stride) = (rows.at(f, token), f.i64(rows.stride));
    let id = cx.plan().stored[&v];
    let (out, out_stride) = (cx.row(f, id, token), f.i64(cx.plan().buffer(id).len as i64));
    let first = slots::index_of(cx.layer, |s| matches!(s, Source::Filter(w, 0) if *w == v));
    let [past, sums, spectra, spoiled] = [0, 1, 2, 3].map(|n| cx.state_base(f, first + n));
    let prepared = prepared(cx, f, v);
    let args = [
        u, u_stride, out, out_stride, prepared, past, sums, spectra, spoiled, position, count,
    ];
    let who = [cx.args.scratch, cx.args.tid, cx.args.threads];
    f.call(&format!("{}_run", kernel.name), &[&args[..], &who].concat(), None);
}
