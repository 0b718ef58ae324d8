//! Products with weights: matrix times vector for one token, packed panels for a chunk; what follows them entry by
//! entry runs on the results while they are in cache.

use super::{
    address::{load_word, table_entry},
    cx::{Cx, Layer, RowAt},
    nest,
    stacked::Stacked,
    tokens::Tokens,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, TeamRange, Val},
    kernels::{self, GemmRows},
    schedule::{Matrix, Product, Summation},
};
use seqc_abi::frame::rows as slots;
use seqc_ir::Value;
use seqc_passes::plan::{Kernel, Matmul, flat};

/// A product with its addresses.
struct Operands {
    product: Product,
    /// The first row of the matrix.
    matrix: Val,
    /// The rows of the vector.
    input: RowAt,
    /// The rows of the result.
    result: RowAt,
}

/// Adds the kernels that the products of a layer call.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module) {
    for kernel in flat(&layer.plan.kernels) {
        let Kernel::Matmuls(list) = kernel else { continue };
        for v in list.iter().flat_map(|m| &m.products) {
            let product = &layer.schedule.products[v];
            match product.summation {
                Summation::OfChunk => {
                    kernels::gemv_in_order(module, &layer.target, product.encoding);
                }
                Summation::Free => {
                    kernels::gemv(module, &layer.target, product.encoding);
                    kernels::skinny_gemm(module, &layer.target, product.encoding, gemm_rows(product));
                }
            }
            kernels::gemm(
                module,
                &layer.target,
                product.encoding,
                product.columns,
                gemm_rows(product),
            );
        }
    }
}

fn gemm_rows(product: &Product) -> GemmRows {
    match product.gaps {
        true => GemmRows::Runs,
        false => GemmRows::Together,
    }
}

fn operands(cx: &Cx<'_>, f: &mut Func, v: Value) -> Operands {
    let product = cx.layer.schedule.products[&v];
    let matrix = matrix(cx, f, &product);
    Operands {
        product,
        matrix,
        input: cx.rows_of(f, cx.graph().operands(v)[1]),
        result: cx.rows(f, cx.plan().stored[&v]),
    }
}

pub(super) fn matrix(cx: &Cx<'_>, f: &mut Func, product: &Product) -> Val {
    match product.matrix {
        Matrix::Param(n) => cx.param_base(f, n),
        Matrix::Stored(v) => cx.rows(f, cx.plan().stored[&v]).base,
    }
}

/// Writes the products of one kernel.
pub(super) fn products(cx: &Cx<'_>, f: &mut Func, list: &[Matmul], tokens: Tokens) {
    cx.in_parts(f, list, &tokens.numbers(), &mut |cx, f, list, numbers| {
        for matmul in list {
            let grouping = cx.layer.schedule.grouping(cx.plan(), matmul);
            let stacked = grouping.map(|grouping| Stacked { matmul, grouping });
            match (Tokens::of(numbers), stacked) {
                (Tokens::One(t), None) => one_token(cx, f, matmul, t),
                (Tokens::One(t), Some(stacked)) => stacked.one_token(cx, f, t),
                (Tokens::All, None) => chunk(cx, f, matmul),
                (Tokens::All, Some(stacked)) => stacked.chunk(cx, f),
            }
        }
    });
}

/// Rows of the matrices are split between the threads.
fn one_token(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul, t: Val) {
    let rows = cx.graph().ty(matmul.products[0]).len();
    let size = f.i64(rows as i64);
    let line = cx.layer.machine().line_entries() as i64;
    let TeamRange { low: lo, high: hi, .. } = f.team_range(cx.args.team(), size, line);
    let count = f.sub(hi, lo);
    for v in &matmul.products {
        let product = &cx.layer.schedule.products[v];
        let matrix = matrix(cx, f, product);
        let row_bytes = f.i64(product.row_bytes());
        let skip = f.mul(lo, row_bytes);
        let start = f.gep(matrix, skip, Scalar::I8);
        let x = cx.rows_of(f, cx.graph().operands(*v)[1]).at(f, t);
        let k = f.i64(product.columns as i64);
        let y = cx.row(f, cx.plan().stored[v], t);
        let y = f.gep(y, lo, Scalar::F32);
        f.call(&vector_kernel(product), &[start, row_bytes, count, x, k, y], None);
    }
    epilogue(cx, f, matmul, [t, lo, hi]);
}

/// Name of the kernel that multiplies with one vector.
pub(super) fn vector_kernel(product: &Product) -> String {
    match product.summation {
        Summation::OfChunk => kernels::gemv_in_order_name(product.encoding),
        Summation::Free => kernels::gemv_name(product.encoding),
    }
}

/// Panels of the matrices are split between the threads. Each is packed once and multiplied with all tokens; for few tokens that
/// would take longer than their products, and the weights are read as they are stored.
fn chunk(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul) {
    let rows = cx.graph().ty(matmul.products[0]).len();
    let machine = cx.layer.machine();
    let (width, line) = (machine.panel_rows() as i64, machine.line_entries() as i64);
    let (size, most) = (f.i64(rows as i64), f.i64(machine.tiles.skinny_rows));
    let operands: Vec<Operands> = matmul.products.iter().map(|v| operands(cx, f, *v)).collect();
    let few = match operands.iter().any(|of| of.product.summation == Summation::Free) {
        true => f.cmp(Cmp::Le, cx.args.count, most),
        false => f.i1(false),
    };
    let team = cx.args.team();
    let range = |f: &mut Func, step: i64| {
        let range = f.team_range(team, size, step);
        vec![range.low, range.high]
    };
    let bounds = f.if_else(few, |f| range(f, line), |f| range(f, width));
    let width = f.i64(width);
    let mine = TeamRange {
        low: bounds[0],
        high: bounds[1],
        step: width,
    };
    f.team_for(mine, |f, r| {
        let left = f.sub(mine.high, r);
        let count = f.min(left, width);
        for of in &operands {
            panel(cx, f, of, Panel { r, count, few });
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
pub(super) fn epilogue(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul, at: [Val; 3]) {
    cx.in_parts(f, &matmul.epilogue, &at, &mut |cx, f, nests, at| {
        cx.at_row(f, at[0]);
        for n in nests {
            nest::nest(cx, f, Some(at[0]), n, nest::Portion::Entries(at[1]..at[2]));
        }
    });
}

/// Some rows of a matrix, at most as many as a panel packs.
#[derive(Clone, Copy)]
struct Panel {
    /// The first one.
    r: Val,
    /// How many.
    count: Val,
    /// There are few tokens.
    few: Val,
}

/// Rows of a matrix times all tokens.
fn panel(cx: &Cx<'_>, f: &mut Func, of: &Operands, Panel { r, count, few }: Panel) {
    let product = &of.product;
    let row_bytes = f.i64(product.row_bytes());
    let skip = f.mul(r, row_bytes);
    let w = f.gep(of.matrix, skip, Scalar::I8);
    let (ldx, ldy) = (f.i64(of.input.stride), f.i64(product.rows as i64));
    let (x, y) = (of.input.base, f.gep(of.result.base, r, Scalar::F32));
    let rows = gemm_rows(product);
    let runs = match rows {
        GemmRows::Together => Vec::new(),
        GemmRows::Runs => {
            let runs = table_entry(f, cx.args.rows, slots::RUN_TABLE);
            let count = load_word(f, cx.args.rows, slots::RUNS);
            vec![runs, count, f.i64(of.input.gap), f.i64(of.result.gap)]
        }
    };
    let packed = |f: &mut Func| {
        let scratch = cx.thread_scratch(f);
        let args = [&[w, count, x, ldx, y, ldy, cx.args.count, scratch], &runs[..]].concat();
        let name = kernels::gemm_name(product.encoding, product.columns, rows);
        f.call(&name, &args, None);
        Vec::new()
    };
    let stored = |f: &mut Func| {
        let k = f.i64(product.columns as i64);
        let args = [&[w, row_bytes, count, x, ldx, y, ldy, cx.args.count, k], &runs[..]].concat();
        f.call(&kernels::skinny_gemm_name(product.encoding, rows), &args, None);
        Vec::new()
    };
    match product.summation {
        Summation::OfChunk => drop(packed(f)),
        Summation::Free => drop(f.if_else(few, stored, packed)),
    }
}
