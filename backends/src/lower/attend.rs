//! Attention: the tokens at hand go into the cache, then every query looks through it.

use super::{
    cx::{Cx, Layer},
    run::{Tokens, on_first_thread},
    slots::{self, Source},
};
use crate::text::{Func, Module, Scalar, Val};
use seqc_ir::{Op, Value};
use seqc_passes::plan::Kernel;

/// Adds the kernels that the attentions of a layer call.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module, kernels: &[Kernel]) {
    for v in slots::attentions(kernels) {
        let kernel = slots::attention(layer, v);
        let spec = &kernel.spec;
        let plain = spec.has_values() && spec.clock == seqc_ir::Clock::Every;
        assert!(
            plain,
            "internal error: this form of attention has no generated code yet: {spec}"
        );
        kernel.append(module);
        kernel.attend_split(module);
        if kernel.spec.key_streams > 0 {
            kernel.append_stream(module);
        }
    }
}

/// Writes one attention.
pub(super) fn attend(cx: &Cx<'_>, f: &mut Func, v: Value, tokens: Tokens) {
    let kernel = slots::attention(cx.layer, v);
    let operands = cx.graph().operands(v);
    let first = slots::index_of(cx.layer, |s| matches!(s, Source::Cache(w, 0) if *w == v));
    let zero = f.i64(0);
    let (token, count) = match tokens {
        Tokens::All => (zero, cx.args.count),
        Tokens::One(t) => (t, f.i64(1)),
    };
    let position = f.add(cx.args.position, token);
    let (tid, threads) = (cx.args.tid, cx.args.threads);
    let (keys, values) = (cx.state_base(first), cx.state_base(first + 1));
    let [q, k, val] = [0, 1, 2].map(|n| row(cx, f, operands[n], token));
    let name = format!("{}_append", kernel.name);
    f.call(
        &name,
        &[k.0, k.1, val.0, val.1, keys, values, position, count, tid, threads],
        None,
    );
    let streams = &operands[kernel.spec.key_operands()];
    if !streams.is_empty() {
        on_first_thread(cx, f, |f| {
            for (n, o) in streams.iter().enumerate() {
                let (s, stride) = row(cx, f, *o, token);
                let pages = cx.state_base(first + 2 + n);
                let width = f.i64(kernel.key_widths[n] as i64);
                let name = format!("{}_append_stream", kernel.name);
                f.call(&name, &[s, stride, pages, position, count, width], None);
            }
        });
    }
    cx.barrier(f);
    let table = table(cx, f, (v, first), token);
    let out = cx.plan().stored[&v];
    let out_stride = f.i64(cx.plan().buffer(out).len as i64);
    let out = cx.row(f, out, token);
    let scratch = cx.args.scratch;
    let rows = [q.0, q.1, out, out_stride, keys, values, table, position, count];
    let who = [scratch, tid, threads, cx.args.barrier];
    f.call(
        &format!("{}_attend_split", kernel.name),
        &[&rows[..], &who[..]].concat(),
        None,
    );
}

/// Row of the first token, and the row stride.
fn row(cx: &Cx<'_>, f: &mut Func, v: Value, token: Val) -> (Val, Val) {
    let rows = cx.rows_of(f, v);
    (rows.at(f, token), f.i64(rows.stride))
}

/// Pages of the key streams, then row and stride of each query stream, then the tables.
fn table(cx: &Cx<'_>, f: &mut Func, (v, first): (Value, usize), token: Val) -> Val {
    let Op::Attend(spec) = cx.graph().op(v) else {
        unreachable!("{v} is no attention")
    };
    let operands = cx.graph().operands(v);
    let table = f.stack(spec.key_streams + 2 * spec.query_streams + spec.tables);
    let mut slots: Vec<Val> = (0..spec.key_streams).map(|n| cx.state_base(first + 2 + n)).collect();
    for o in &operands[spec.query_operands()] {
        let (start, stride) = row(cx, f, *o, token);
        slots.extend([start, stride]);
    }
    for o in &operands[spec.table_operands()] {
        slots.push(row(cx, f, *o, token).0);
    }
    for (n, slot) in slots.into_iter().enumerate() {
        let n = f.i64(n as i64);
        let p = f.gep(table, n, Scalar::I64);
        f.store(slot, p);
    }
    table
}
