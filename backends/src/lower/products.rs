//! Products with weights: matrix times vector for one token, packed panels for a chunk; what follows them entry by
//! entry runs on the results while they are in cache.

use super::{
    cx::{Cx, RowAt},
    nest,
    run::{Tokens, share},
};
use crate::{
    kernel::{Func, Module, Scalar, Val},
    kernels,
};
use seqc_formats::Encoding;
use seqc_ir::{Graph, Normaliser, Op, Value};
use seqc_passes::plan::{Kernel, Matmul};
use std::collections::HashSet;

/// The matrix of a product.
struct Weights {
    base: Val,
    encoding: Encoding,
    rows: usize,
    columns: usize,
}

/// Encoding and columns of a product's matrix.
fn form(layer: &super::cx::Layer<'_>, product: Value) -> (Encoding, usize) {
    let columns = layer.graph.ty(layer.graph.operands(product)[1]).len();
    let encoding = if let Op::Param(n) = layer.graph.op(matrix(layer, product)) {
        layer.encodings[*n]
    } else {
        Encoding::F32
    };
    (encoding, columns)
}

/// What a product reads as its matrix: a parameter, or a stored value.
fn matrix(layer: &super::cx::Layer<'_>, product: Value) -> Value {
    let mut at = layer.graph.operands(product)[0];
    while *layer.graph.op(at) == Op::Reshape && !layer.plan.is_stored(at) {
        at = layer.graph.operands(at)[0];
    }
    at
}

/// Matrices of up to so many weights take no time worth mention in either order.
const SMALL: usize = 4096;

/// Whether a product of one token adds up in the order of those of a chunk, so that it is the same in all its bits. That
/// takes longer where weights come from the cache. It decides between keys: equal ones must be equal whatever chunks
/// they came in, else a rounding error would choose between them and not their order.
fn in_order(layer: &super::cx::Layer<'_>, product: Value) -> bool {
    layer.selecting.contains(&product) || layer.graph.ty(product).len() * form(layer, product).1 <= SMALL
}

/// All values that the keys of selections are computed from.
pub(super) fn selecting(graph: &Graph) -> HashSet<Value> {
    let mut work = Vec::new();
    for v in graph.live_order() {
        if let Op::Attend(spec) = graph.op(v)
            && let Normaliser::Top(_) = spec.normaliser
        {
            let operands = graph.operands(v);
            work.push(operands[1]);
            work.extend(&operands[spec.key_operands()]);
        }
    }
    let mut found = HashSet::new();
    while let Some(v) = work.pop() {
        if !found.insert(v) {
            continue;
        }
        work.extend(graph.operands(v));
        if let Op::Prev(s) = graph.op(v) {
            work.extend(graph.states[s.0 as usize].next);
        }
    }
    found
}

/// Adds the kernels that the products of a layer call.
pub(super) fn prepare(layer: &super::cx::Layer<'_>, module: &mut Module, list: &[Kernel]) {
    for kernel in list {
        match kernel {
            Kernel::Matmuls(products) => {
                for v in products.iter().flat_map(|m| &m.products) {
                    let (encoding, columns) = form(layer, *v);
                    if in_order(layer, *v) {
                        kernels::gemv_in_order(module, layer.lanes(), encoding);
                    } else {
                        kernels::gemv(module, layer.machine, encoding);
                    }
                    kernels::gemm(module, layer.machine, (encoding, columns));
                }
            }
            Kernel::Loop(body) => prepare(layer, module, body),
            Kernel::Map(_)
            | Kernel::Scan(_)
            | Kernel::Attend(_)
            | Kernel::LongConv(_)
            | Kernel::Heads { .. }
            | Kernel::Commit(_) => {}
        }
    }
}

fn weights(cx: &Cx<'_>, f: &mut Func, product: Value) -> Weights {
    let graph = cx.graph();
    let (encoding, columns) = form(cx.layer, product);
    let matrix = matrix(cx.layer, product);
    let base = if let Op::Param(n) = graph.op(matrix) {
        cx.param_base(f, *n)
    } else {
        let zero = f.i64(0);
        cx.row(f, cx.plan().stored[&matrix], zero)
    };
    Weights {
        base,
        encoding,
        rows: graph.ty(product).len(),
        columns,
    }
}

/// Writes the products of one kernel.
pub(super) fn products(cx: &Cx<'_>, f: &mut Func, list: &[Matmul], tokens: Tokens) {
    cx.in_parts(f, (list, &tokens.numbers()), &mut |cx, f, list, numbers| {
        for matmul in list {
            match Tokens::of(numbers) {
                Tokens::One(t) => one_token(cx, f, matmul, t),
                Tokens::All => chunk(cx, f, matmul),
            }
        }
    });
}

/// Rows of the matrices are split between the threads.
fn one_token(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul, t: Val) {
    let rows = cx.graph().ty(matmul.products[0]).len();
    let size = f.i64(rows as i64);
    let (lo, hi) = share(cx, f, size, 16);
    let count = f.sub(hi, lo);
    for v in &matmul.products {
        let w = weights(cx, f, *v);
        let row_bytes = f.i64(w.encoding.row_bytes(w.columns).unwrap_or(0) as i64);
        let skip = f.mul(lo, row_bytes);
        let start = f.gep(w.base, skip, Scalar::I8);
        let x = input(cx, f, *v).at(f, t);
        let k = f.i64(w.columns as i64);
        let y = cx.row(f, cx.plan().stored[v], t);
        let y = f.gep(y, lo, Scalar::F32);
        let name = if in_order(cx.layer, *v) {
            kernels::gemv_in_order_name(w.encoding)
        } else {
            kernels::gemv_name(w.encoding)
        };
        f.call(&name, &[start, row_bytes, count, x, k, y], None);
    }
    epilogue(cx, f, matmul, [t, lo, hi]);
}

fn input(cx: &Cx<'_>, f: &mut Func, product: Value) -> RowAt {
    let x = cx.graph().operands(product)[1];
    cx.rows_of(f, x)
}

/// Panels of the matrices are split between the threads; each is packed once and multiplied with all tokens.
fn chunk(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul) {
    let rows = cx.graph().ty(matmul.products[0]).len();
    let width = cx.layer.machine.panel_rows() as i64;
    let size = f.i64(rows as i64);
    let (lo, hi) = share(cx, f, size, width);
    let operands: Vec<(Weights, RowAt, Val)> = matmul.products.iter().map(|v| operands_of(cx, f, *v)).collect();
    f.for_each(lo, hi, width, |f, r| {
        let width = f.i64(width);
        let left = f.sub(hi, r);
        let count = f.min(left, width);
        for (w, x, y) in &operands {
            panel(cx, f, (w, x, *y), (r, count));
        }
        if matmul.epilogue.is_empty() {
            return;
        }
        let end = f.add(r, count);
        let zero = f.i64(0);
        f.for_each(zero, cx.args.count, 1, |f, t| {
            epilogue(cx, f, matmul, [t, r, end]);
        });
    });
}

/// What is computed from the results of products, at a token and a range of entries.
fn epilogue(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul, at: [Val; 3]) {
    cx.in_parts(f, (&matmul.epilogue, &at), &mut |cx, f, nests, at| {
        for n in nests {
            nest::nest(cx, f, Some(at[0]), n, (Some((at[1], at[2])), true));
        }
    });
}

fn operands_of(cx: &Cx<'_>, f: &mut Func, v: Value) -> (Weights, RowAt, Val) {
    let zero = f.i64(0);
    let y = cx.row(f, cx.plan().stored[&v], zero);
    (weights(cx, f, v), input(cx, f, v), y)
}

fn panel(cx: &Cx<'_>, f: &mut Func, (w, x, y): (&Weights, &RowAt, Val), (r, count): (Val, Val)) {
    let row_bytes = f.i64(w.encoding.row_bytes(w.columns).unwrap_or(0) as i64);
    let skip = f.mul(r, row_bytes);
    let start = f.gep(w.base, skip, Scalar::I8);
    let (ldx, ldy) = (f.i64(x.stride), f.i64(w.rows as i64));
    let y = f.gep(y, r, Scalar::F32);
    let scratch = cx.thread_scratch(f);
    let name = kernels::gemm_name(w.encoding, w.columns);
    f.call(
        &name,
        &[start, count, x.base, ldx, y, ldy, cx.args.count, scratch],
        None,
    );
}
