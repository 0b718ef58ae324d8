//! One panel of weight rows times many rows of activations.

use super::{
    copy,
    layout::{Layout, layout},
    micro::{Multiply, micro_kernel_of},
    pack,
    product_rows::{GemmRows, ProductRows, Run, Strided},
    rounded::{Packed, RowForm, pack_bytes, pack_pairs, tallest, tile_bytes},
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    targets::TargetInfo,
};
use seqc_formats::Encoding;
use seqc_passes::machine::Machine;

/// Bytes of scratch that [`gemm`] needs for chunks of `max_chunk` rows.
pub fn gemm_scratch_bytes(machine: &Machine, max_chunk: usize) -> usize {
    4 * machine.panel_rows() * (machine.memory.panel_columns + max_chunk)
}

/// Name of the function that [`gemm`] adds.
pub fn gemm_name(encoding: Encoding, k: usize, layout: RowLayout) -> String {
    let form = match layout.form {
        RowForm::Floats => "",
        RowForm::Bytes | RowForm::Pairs => "_rounded",
    };
    format!("seqc_gemm{form}_{}_{k}{}", encoding.name(), layout.rows.suffix())
}

/// How rows of activations lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Where they are.
    pub rows: GemmRows,
    /// What they are.
    pub form: RowForm,
}

/// Adds the kernel for one store and `k`; returns its name.
///
/// `fn(w, rows, x, ldx, y, ldy, count, scratch)` computes `y[t * ldy + r] = sum_k W[r][k] * x[t * ldx + k]` for
/// `r < rows`, at most a panel ([`Machine::panel_rows`]), and `t < count`. `w` points to the panel's first row, `ldx` and `ldy`
/// count floats; `k` is a multiple of the store's block.
///
/// With [`GemmRows::Runs`] it takes `(…, scratch, runs, run_count, x_gap, y_gap)`, and the runs are all `count` rows.
pub fn gemm(module: &mut Module, target: &TargetInfo, encoding: Encoding, k: usize, layout: RowLayout) -> String {
    let name = gemm_name(encoding, k, layout);
    if module.has(&name) {
        return name;
    }
    let machine = &target.machine;
    let lanes = machine.lanes;
    let Parts { packer, tiles } = parts(module, target, encoding, layout.form);
    copy::copy(module, lanes);
    let mut types = vec![
        Ty::GLOBAL,
        Ty::I64,
        Ty::GENERIC,
        Ty::I64,
        Ty::GENERIC,
        Ty::I64,
        Ty::I64,
        Ty::SCRATCH,
    ];
    types.extend(layout.rows.params());
    let mut f = Func::new(&name, &types, None);
    let gemm = Gemm {
        width: machine.panel_rows(),
        block: machine.memory.panel_columns,
        encoding,
        k,
        layout,
        tiles,
        packer,
    };
    gemm.body(&mut f);
    module.add(f);
    name
}

/// The functions of which the kernel is made.
struct Parts {
    packer: String,
    /// By their number of rows, from one on.
    tiles: Vec<String>,
}

/// Adds packing and register tiles for rows of a form.
fn parts(module: &mut Module, target: &TargetInfo, encoding: Encoding, form: RowForm) -> Parts {
    let machine = &target.machine;
    let (vectors, heights) = (machine.tiles.vectors, 1..=machine.tallest_tile());
    let micro_kernels = &target.micro_kernels;
    match (
        form,
        layout(encoding),
        micro_kernels.byte_products,
        micro_kernels.dot_pairs,
    ) {
        (RowForm::Bytes, Layout::Blocks(_), Some(products), _) => {
            let packed = Packed::new(machine.lanes, products, encoding);
            let tile = |rows| tile_bytes(module, packed, [rows, vectors]);
            Parts {
                tiles: (1..=tallest(target, packed)).map(tile).collect(),
                packer: pack_bytes(module, packed, encoding, vectors),
            }
        }
        (RowForm::Pairs, _, _, Some(dot)) => {
            let tile = |rows| micro_kernel_of(module, machine, Multiply::Pairs(dot), [rows, vectors]);
            Parts {
                tiles: heights.map(tile).collect(),
                packer: pack_pairs(module, target, vectors),
            }
        }
        _ => {
            let tile = |rows| (micro_kernels.product_tile)(module, machine, rows, vectors);
            Parts {
                tiles: heights.map(tile).collect(),
                packer: pack(module, target, encoding, vectors),
            }
        }
    }
}

struct Gemm {
    /// Rows of a panel.
    width: usize,
    /// Most columns that are packed at once.
    block: usize,
    encoding: Encoding,
    k: usize,
    layout: RowLayout,
    tiles: Vec<String>,
    packer: String,
}

/// Columns of the weights that are packed together.
#[derive(Clone, Copy)]
struct Columns {
    /// The first one.
    start: Val,
    /// How many.
    count: Val,
    /// Their products are added to those of earlier columns.
    accumulate: Val,
}

impl Gemm {
    fn body(&self, f: &mut Func) {
        let (rows, y, ldy) = (f.param(1), f.param(4), f.param(5));
        let scratch = f.param(7);
        let width = f.i64(self.width as i64);
        let full = f.cmp(Cmp::Eq, rows, width);
        let block = f.i64((self.block * self.width) as i64);
        let tile = f.gep(scratch, block, Scalar::F32);
        let zero = f.i64(0);
        let (x, count) = ([f.param(2), f.param(3)], f.param(6));
        let own = ProductRows::new(f, self.layout.rows, [x, [y, ldy]], count, 8);
        // A panel that is not full is computed in scratch and copied.
        let place = f.if_else(full, |_| vec![y, ldy, own.y.gap], |_| vec![tile, width, zero]);
        let y = Strided {
            base: place[0],
            stride: place[1],
            gap: place[2],
        };
        self.blocks(f, ProductRows { y, ..own });
        let narrow = f.cmp(Cmp::Ne, rows, width);
        f.if_then(narrow, |f| {
            own.each(f, &|f, first, run| {
                f.for_each(zero, run.count, 1, |f, t| {
                    let row = f.add(first, t);
                    let (from, to) = (f.mul(row, width), f.mul(t, run.ldy));
                    let (from, to) = (f.gep(tile, from, Scalar::F32), f.gep(run.y, to, Scalar::F32));
                    f.call(copy::COPY, &[from, to, rows], None);
                });
            });
        });
    }

    /// Blocks of columns one after another, adding up. However many there are, the code is that of one.
    fn blocks(&self, f: &mut Func, all: ProductRows) {
        let count = self.k.div_ceil(self.block).max(1);
        let whole = self.encoding.block().max(32);
        let each = self.k.div_ceil(count).next_multiple_of(whole).max(1);
        let (zero, k) = (f.i64(0), f.i64(self.k as i64));
        if count == 1 {
            let columns = Columns {
                start: zero,
                count: k,
                accumulate: f.i1(false),
            };
            return self.block(f, all, columns);
        }
        f.for_each(zero, k, each as i64, |f, start| {
            let (left, most) = (f.sub(k, start), f.i64(each as i64));
            let columns = Columns {
                start,
                count: f.min(left, most),
                accumulate: f.cmp(Cmp::Ne, start, zero),
            };
            self.block(f, all, columns);
        });
    }

    /// Packs columns and multiplies all rows of activations with them.
    fn block(&self, f: &mut Func, all: ProductRows, columns: Columns) {
        let (w, rows, scratch) = (f.param(0), f.param(1), f.param(7));
        let stride = f.i64(self.encoding.row_bytes(self.k).unwrap_or(0) as i64);
        f.call(
            &self.packer,
            &[w, stride, rows, columns.start, columns.count, scratch],
            None,
        );
        all.each(f, &|f, _, run| self.tiles(f, run, columns));
    }

    /// A run of rows by the tallest tiles, then the rest.
    fn tiles(&self, f: &mut Func, run: Run, columns: Columns) {
        let tall = self.tiles.len() as i64;
        let (zero, step) = (f.i64(0), f.i64(tall));
        let rest = f.urem(run.count, step);
        let whole = f.sub(run.count, rest);
        f.for_each(zero, whole, tall, |f, t| self.tile(f, run, columns, t, tall as usize));
        for r in 1..tall {
            let r_val = f.i64(r);
            let here = f.cmp(Cmp::Eq, rest, r_val);
            f.if_then(here, |f| self.tile(f, run, columns, whole, r as usize));
        }
    }

    /// `rows` rows of a run from `t` on.
    fn tile(&self, f: &mut Func, run: Run, columns: Columns, t: Val, rows: usize) {
        let scratch = f.param(7);
        let at = f.mul(t, run.ldx);
        let per_float = f.i64(self.layout.form.columns());
        let start = f.udiv(columns.start, per_float);
        let at = f.add(at, start);
        let a = f.gep(run.x, at, Scalar::F32);
        let at = f.mul(t, run.ldy);
        let c = f.gep(run.y, at, Scalar::F32);
        f.call(
            &self.tiles[rows - 1],
            &[a, run.ldx, scratch, c, run.ldy, columns.count, columns.accumulate],
            None,
        );
    }
}
