//! What the code of all products with weights has in common: where the matrix is, which kernel multiplies, and what follows.

use super::{
    cx::{Cx, RowAt},
    nest,
};
use crate::{
    kernel::{Func, Val},
    kernels::{self, GemmRows, RowLayout},
    schedule::{Matrix, Product, Summation},
};
use seqc_ir::Value;
use seqc_passes::plan::Matmul;

/// A product with its addresses.
pub(super) struct Operands {
    pub(super) product: Product,
    /// The first row of the matrix.
    pub(super) matrix: Val,
    /// The rows of the vector.
    pub(super) input: RowAt,
    /// The rows of the result.
    pub(super) result: RowAt,
}

impl Operands {
    pub(super) fn of(cx: &Cx<'_>, f: &mut Func, v: Value) -> Operands {
        let product = cx.layer.schedule.products[&v];
        let matrix = matrix(cx, f, &product);
        Operands {
            product,
            matrix,
            input: cx.rows_of(f, cx.graph().operands(v)[1]),
            result: cx.rows(f, cx.plan().stored[&v]),
        }
    }
}

/// Some rows of a matrix, at most as many as a panel packs, and what they are multiplied with.
pub(super) struct Rows {
    /// The first row.
    pub(super) weights: Val,
    /// How many.
    pub(super) count: Val,
    /// The vectors: the first one, and the entries from one to the next.
    pub(super) vectors: [Val; 2],
    /// The results, likewise.
    pub(super) results: [Val; 2],
    /// How many vectors there are.
    pub(super) tokens: Val,
    /// Whether that is few.
    pub(super) few: Val,
    /// Table and number of runs, and the gaps of vectors and results, where there are gaps ([`gemm_rows`]).
    pub(super) runs: Vec<Val>,
}

/// What many rows of a product are, and where.
pub(super) fn row_layout(product: &Product) -> RowLayout {
    RowLayout {
        rows: gemm_rows(product),
        form: product.form,
        units: product.units,
    }
}

/// Where the rows of a product are.
pub(super) fn gemm_rows(product: &Product) -> GemmRows {
    match product.gaps {
        true => GemmRows::Runs,
        false => GemmRows::Together,
    }
}

/// The first row of the matrix, or of the stack of matrices.
pub(super) fn matrix(cx: &Cx<'_>, f: &mut Func, product: &Product) -> Val {
    match product.matrix {
        Matrix::Param(n) => cx.param_base(f, n),
        Matrix::Stored(v) => cx.rows(f, cx.plan().stored[&v]).base,
    }
}

/// Name of the kernel that multiplies with one vector.
pub(super) fn vector_kernel(product: &Product) -> String {
    match product.summation {
        Summation::OfChunk => kernels::gemv_in_order_name(product.encoding),
        Summation::Free => kernels::gemv_name(product.encoding, product.vector_form),
    }
}

/// Multiplies rows of a matrix with vectors. For few, packing would take longer than the products, and the weights are read as they are
/// stored.
pub(super) fn times_rows(cx: &Cx<'_>, f: &mut Func, product: &Product, of: Rows) {
    let ([x, ldx], [y, ldy]) = (of.vectors, of.results);
    let packed = |f: &mut Func| {
        let scratch = cx.thread_scratch(f);
        let args = [
            &[of.weights, of.count, x, ldx, y, ldy, of.tokens, scratch],
            &of.runs[..],
        ]
        .concat();
        let name = kernels::gemm_name(product.encoding, product.columns, row_layout(product));
        f.call(&name, &args, None);
        Vec::new()
    };
    let stored = |f: &mut Func| {
        let (row_bytes, k) = (f.i64(product.row_bytes()), f.i64(product.columns as i64));
        let args = [
            &[of.weights, row_bytes, of.count, x, ldx, y, ldy, of.tokens, k],
            &of.runs[..],
        ]
        .concat();
        f.call(
            &kernels::skinny_gemm_name(product.encoding, gemm_rows(product)),
            &args,
            None,
        );
        Vec::new()
    };
    match product.summation {
        Summation::OfChunk => drop(packed(f)),
        // Of many, blocks have a kernel of their own.
        Summation::Free if product.block_unit.is_some() => drop(stored(f)),
        Summation::Free => drop(f.if_else(of.few, stored, packed)),
    }
}

/// What is computed from the results of products, at a token and a range of entries.
pub(super) fn epilogue(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul, at: [Val; 3]) {
    let rows = cx.layer.schedule.products[&matmul.products[0]].rows;
    cx.in_parts(f, &matmul.epilogue, &at, &mut |cx, f, nests, at| {
        cx.at_row(f, at[0]);
        for n in nests {
            let range = at[1]..at[2];
            nest::nest(cx, f, Some(at[0]), n, nest::Portion::Entries { range, rows });
        }
    });
}
