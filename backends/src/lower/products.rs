//! Products with weights: matrix times vector for one token, packed panels for a chunk; what follows them entry by
//! entry runs on the results while they are in cache.

use super::{
    address::{load_word, table_entry},
    block_products::Product,
    cx::{Cx, Layer},
    product::{Operands, Rows, epilogue, gemm_rows, matrix, row_layout, times_rows, vector_kernel},
    round,
    stacked::Stacked,
    tokens::Tokens,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, TeamRange, Val},
    kernels::{self, GemmRows, RowForm},
    schedule::Summation,
};
use seqc_abi::frame::rows as slots;
use seqc_ir::Value;
use seqc_passes::plan::{Kernel, Matmul, flat};

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
                    for form in [RowForm::Floats, product.vector_form] {
                        kernels::gemv(module, &layer.target, product.encoding, form);
                    }
                    kernels::skinny_gemm(module, &layer.target, product.encoding, gemm_rows(product));
                }
            }
            match product.block_rows() {
                Some(rows) => drop(kernels::block_gemm(
                    module,
                    &layer.target,
                    product.encoding,
                    product.columns,
                    rows,
                )),
                None => drop(kernels::gemm(
                    module,
                    &layer.target,
                    product.encoding,
                    product.columns,
                    row_layout(product),
                )),
            }
        }
    }
}

/// Writes the products of one kernel.
pub(super) fn products(cx: &Cx<'_>, f: &mut Func, list: &[Matmul], tokens: Tokens) {
    cx.in_parts(f, list, &tokens.numbers(), &mut |cx, f, list, numbers| {
        let mut rounded = None;
        for matmul in list {
            let grouping = cx.layer.schedule.grouping(cx.plan(), matmul);
            let stacked = grouping.map(|grouping| Stacked { matmul, grouping });
            match (Tokens::of(numbers), stacked) {
                (Tokens::One(t), None) => one_token(cx, f, matmul, t, &mut rounded),
                (Tokens::One(t), Some(stacked)) => stacked.one_token(cx, f, t),
                (Tokens::All, None) => chunk(cx, f, matmul),
                (Tokens::All, Some(stacked)) => stacked.chunk(cx, f),
            }
        }
    });
}

/// Rows of the matrices are split between the threads. `rounded` is the row that this thread has rounded last.
fn one_token(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul, t: Val, rounded: &mut Option<Value>) {
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
        let x = round::vector(cx, f, cx.graph().operands(*v)[1], t, rounded);
        let k = f.i64(product.columns as i64);
        let y = cx.row(f, cx.plan().stored[v], t);
        let y = f.gep(y, lo, Scalar::F32);
        f.call(&vector_kernel(product), &[start, row_bytes, count, x, k, y], None);
    }
    epilogue(cx, f, matmul, [t, lo, hi]);
}

/// Panels of the matrices are split between the threads. Each is packed once and multiplied with all tokens, or where there are more threads
/// than panels, by several threads with some tokens each; for few tokens that would take longer than their products, and the weights are read as
/// they are stored.
fn chunk(cx: &Cx<'_>, f: &mut Func, matmul: &Matmul) {
    let rows = cx.graph().ty(matmul.products[0]).len();
    let machine = cx.layer.machine();
    let (width, line) = (machine.panel_rows() as i64, machine.line_entries() as i64);
    let (size, most) = (f.i64(rows as i64), f.i64(machine.tiles.skinny_rows));
    let operands: Vec<Operands> = matmul.products.iter().map(|v| Operands::of(cx, f, *v)).collect();
    let few = match operands.iter().any(|of| of.product.summation == Summation::Free) {
        true => f.cmp(Cmp::Le, cx.args.count, most),
        false => f.i1(false),
    };
    let team = cx.args.team();
    let product = |width: Val| Chunk {
        matmul,
        operands: &operands,
        few,
        width,
    };
    let together = operands.iter().all(|of| gemm_rows(&of.product) == GemmRows::Together);
    let in_blocks = operands.iter().all(|of| of.product.block_rows().is_some());
    if let Some(most) = machine.tiles.block_rows.filter(|_| in_blocks) {
        let whole = |f: &mut Func| {
            let mine = f.team_range(team, size, line);
            let width = f.i64(width);
            product(width).whole(cx, f, TeamRange { step: width, ..mine });
            Vec::new()
        };
        f.if_else(few, whole, |f| {
            let width = f.i64(most as i64);
            let product = Product {
                matmul,
                operands: &operands,
                width,
            };
            product.divided(cx, f, size);
            Vec::new()
        });
        return;
    }
    if let Some(least) = machine.tiles.shared_rows.filter(|_| together) {
        let width = f.i64(width);
        let whole = |f: &mut Func| {
            let mine = f.team_range(team, size, line);
            product(width).whole(cx, f, TeamRange { step: width, ..mine });
            Vec::new()
        };
        let divided = |f: &mut Func| {
            product(width).divided(cx, f, size, least);
            Vec::new()
        };
        f.if_else(few, whole, divided);
        return;
    }
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
    product(width).whole(cx, f, mine);
}

/// A product of all tokens of a chunk.
struct Chunk<'a> {
    matmul: &'a Matmul,
    operands: &'a [Operands],
    /// There are few tokens.
    few: Val,
    /// Most rows of a panel.
    width: Val,
}

/// Consecutive tokens of a chunk.
#[derive(Clone, Copy)]
struct Span {
    first: Val,
    count: Val,
}

/// Some rows of a matrix, at most as many as a panel packs, for all tokens or for some.
#[derive(Clone, Copy)]
struct Panel {
    /// The first one.
    r: Val,
    /// How many.
    count: Val,
    tokens: Option<Span>,
}

impl Chunk<'_> {
    /// Rows of this thread, for all tokens.
    fn whole(&self, cx: &Cx<'_>, f: &mut Func, mine: TeamRange) {
        f.team_for(mine, |f, r| {
            let left = f.sub(mine.high, r);
            let count = f.min(left, self.width);
            let tokens = None;
            self.panel(cx, f, Panel { r, count, tokens });
        });
    }

    /// Panels and tokens of this thread: as many parts of the tokens as threads have no panel of their own, of at least so many tokens.
    fn divided(&self, cx: &Cx<'_>, f: &mut Func, size: Val, least: i64) {
        let (one, all, width) = (f.i64(1), cx.args.count, self.width);
        let team = cx.args.team();
        let (panels, least) = (f.ceil_div(size, width), f.i64(least));
        let (spare, most) = (f.udiv(team.threads, panels), f.ceil_div(all, least));
        let parts = f.min(spare, most);
        let parts = f.max(parts, one);
        let each = f.ceil_div(all, parts);
        let items = f.mul(panels, parts);
        let mine = f.team_indices(team, items);
        f.team_for(mine, |f, item| {
            let (panel, part) = (f.udiv(item, parts), f.urem(item, parts));
            let (r, first) = (f.mul(panel, width), f.mul(part, each));
            let (left, tokens) = (f.sub(size, r), f.sub(all, first));
            let zero = f.i64(0);
            let tokens = f.min(tokens, each);
            let tokens = Some(Span {
                first,
                count: f.max(tokens, zero),
            });
            let count = f.min(left, width);
            self.panel(cx, f, Panel { r, count, tokens });
        });
    }

    /// Rows of all matrices, and what follows from them.
    fn panel(&self, cx: &Cx<'_>, f: &mut Func, panel: Panel) {
        for of in self.operands {
            rows(cx, f, of, panel, self.few);
        }
        if self.matmul.epilogue.is_empty() {
            return;
        }
        let end = f.add(panel.r, panel.count);
        let (from, to) = match panel.tokens {
            None => (f.i64(0), cx.args.count),
            Some(tokens) => (tokens.first, f.add(tokens.first, tokens.count)),
        };
        f.for_each(from, to, 1, |f, t| {
            epilogue(cx, f, self.matmul, [t, panel.r, end]);
        });
    }
}

/// Rows of a matrix times tokens.
fn rows(cx: &Cx<'_>, f: &mut Func, of: &Operands, Panel { r, count, tokens }: Panel, few: Val) {
    let product = &of.product;
    let row_bytes = f.i64(product.row_bytes());
    let skip = f.mul(r, row_bytes);
    let w = f.gep(of.matrix, skip, Scalar::I8);
    let (ldx, ldy) = (f.i64(of.input.stride), f.i64(product.rows as i64));
    let (mut x, mut y) = (of.input.base, f.gep(of.result.base, r, Scalar::F32));
    if let Some(tokens) = tokens {
        let (from, to) = (f.mul(tokens.first, ldx), f.mul(tokens.first, ldy));
        (x, y) = (f.gep(x, from, Scalar::F32), f.gep(y, to, Scalar::F32));
    }
    let runs = match gemm_rows(product) {
        GemmRows::Together => Vec::new(),
        GemmRows::Runs => {
            let runs = table_entry(f, cx.args.rows, slots::RUN_TABLE);
            let count = load_word(f, cx.args.rows, slots::RUNS);
            vec![runs, count, f.i64(of.input.gap), f.i64(of.result.gap)]
        }
    };
    let rows = Rows {
        weights: w,
        count,
        vectors: [x, ldx],
        results: [y, ldy],
        tokens: tokens.map_or(cx.args.count, |tokens| tokens.count),
        few,
        runs,
    };
    times_rows(cx, f, product, rows);
}
