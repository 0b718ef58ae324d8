//! One panel of weight rows times many rows of activations.

use super::{
    copy,
    layout::{Layout, layout},
    matrix_units::{self, Parts, STAGED, Units, pack_fragments},
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
    let form = match (layout.form, layout.units) {
        (RowForm::Floats, Units::Vectors) => "",
        (RowForm::Bytes | RowForm::Pairs, _) => "_rounded",
        (RowForm::Floats, Units::Matrices(Parts::One)) => "_matrices_rounded",
        (RowForm::Floats, Units::Matrices(Parts::Two | Parts::Three)) => "_matrices",
    };
    format!("seqc_gemm{form}_{}_{k}{}", encoding.name(), layout.rows.suffix())
}

/// How rows of activations lie, and what they are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Where they are.
    pub rows: GemmRows,
    /// What they are.
    pub form: RowForm,
    /// What multiplies them.
    pub units: Units,
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
    let Functions { packer, tiles } = functions(module, target, encoding, layout);
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
    let columns = machine.memory.panel_columns;
    let gemm = Gemm {
        width: machine.panel_rows(),
        columns,
        block: match tiles {
            Tiles::Heights(_) => columns,
            // What is staged lies behind what is packed.
            Tiles::Matrices(_) => matrix_units::columns(columns - STAGED, Parts::of(encoding)),
        },
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
struct Functions {
    packer: String,
    tiles: Tiles,
}

/// Functions that multiply rows of activations with a packed panel.
enum Tiles {
    /// By their number of rows, from one on.
    Heights(Vec<String>),
    /// Of any number of rows up to that of the function, the most first; on matrix units.
    Matrices(Vec<AnyHeight>),
}

/// A function that multiplies up to so many rows.
struct AnyHeight {
    name: String,
    most: usize,
}

/// Matrices of activations that are multiplied together: many, and one for the rest.
const MATRICES: [usize; 2] = [4, 1];

/// Adds packing and register tiles for rows of a form.
fn functions(module: &mut Module, target: &TargetInfo, encoding: Encoding, rows: RowLayout) -> Functions {
    let machine = &target.machine;
    let (vectors, heights) = (machine.tiles.vectors, 1..=machine.tallest_tile());
    let micro_kernels = &target.micro_kernels;
    if let (Units::Matrices(activations), Some(units)) = (rows.units, micro_kernels.matrix_units) {
        let tile = |matrices: usize| {
            let tile = matrix_units::Tile {
                units,
                width: machine.panel_rows(),
                weights: Parts::of(encoding),
                activations,
                matrices,
            };
            AnyHeight {
                name: matrix_units::tile(module, tile),
                most: tile.rows(),
            }
        };
        return Functions {
            tiles: Tiles::Matrices(MATRICES.map(tile).into()),
            packer: pack_fragments(module, target, units, encoding, vectors),
        };
    }
    let (tiles, packer) = match (
        rows.form,
        layout(encoding),
        micro_kernels.byte_products,
        micro_kernels.dot_pairs,
    ) {
        (RowForm::Bytes, Layout::Blocks(_), Some(products), _) => {
            let packed = Packed::new(machine.lanes, products, encoding);
            let tile = |rows| tile_bytes(module, packed, [rows, vectors]);
            (
                (1..=tallest(target, packed)).map(tile).collect(),
                pack_bytes(module, target, packed, encoding, vectors),
            )
        }
        (RowForm::Pairs, _, _, Some(dot)) => {
            let tile = |rows| micro_kernel_of(module, machine, Multiply::Pairs(dot), [rows, vectors]);
            (heights.map(tile).collect(), pack_pairs(module, target, vectors))
        }
        _ => {
            let tile = |rows| (micro_kernels.product_tile)(module, machine, rows, vectors);
            (heights.map(tile).collect(), pack(module, target, encoding, vectors))
        }
    };
    Functions {
        packer,
        tiles: Tiles::Heights(tiles),
    }
}

struct Gemm {
    /// Rows of a panel.
    width: usize,
    /// Columns that there is scratch for.
    columns: usize,
    /// Most columns that are packed at once.
    block: usize,
    encoding: Encoding,
    k: usize,
    layout: RowLayout,
    tiles: Tiles,
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
        let columns = f.i64((self.columns * self.width) as i64);
        let tile = f.gep(scratch, columns, Scalar::F32);
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
        let mut args = vec![w, stride, rows, columns.start, columns.count, scratch];
        if let Tiles::Matrices(_) = self.tiles {
            let packed = f.i64(((self.columns - STAGED) * self.width) as i64);
            args.push(f.gep(scratch, packed, Scalar::F32));
        }
        f.call(&self.packer, &args, None);
        all.each(f, &|f, _, run| self.tiles(f, run, columns));
    }

    /// A run of rows by the tallest tiles, then the rest.
    fn tiles(&self, f: &mut Func, run: Run, columns: Columns) {
        match &self.tiles {
            Tiles::Heights(tiles) => self.heights(f, tiles, run, columns),
            Tiles::Matrices(tiles) => self.matrices(f, tiles, run, columns),
        }
    }

    fn heights(&self, f: &mut Func, tiles: &[String], run: Run, columns: Columns) {
        let tall = tiles.len() as i64;
        let (zero, step) = (f.i64(0), f.i64(tall));
        let rest = f.urem(run.count, step);
        let whole = f.sub(run.count, rest);
        let tile = |f: &mut Func, t: Val, rows: usize| {
            let args = self.arguments(f, run, columns, t);
            f.call(&tiles[rows - 1], &args, None);
        };
        f.for_each(zero, whole, tall, |f, t| tile(f, t, tall as usize));
        for r in 1..tall {
            let r_val = f.i64(r);
            let here = f.cmp(Cmp::Eq, rest, r_val);
            f.if_then(here, |f| tile(f, whole, r as usize));
        }
    }

    fn matrices(&self, f: &mut Func, tiles: &[AnyHeight], run: Run, columns: Columns) {
        let mut first = f.i64(0);
        for (n, tile) in tiles.iter().enumerate() {
            let most = f.i64(tile.most as i64);
            let left = f.urem(run.count, most);
            let end = match n + 1 == tiles.len() {
                true => run.count,
                false => f.sub(run.count, left),
            };
            f.for_each(first, end, tile.most as i64, |f, t| {
                let left = f.sub(run.count, t);
                let mut args = self.arguments(f, run, columns, t).to_vec();
                args.push(f.min(left, most));
                f.call(&tile.name, &args, None);
            });
            first = end;
        }
    }

    /// What a tile takes for rows of a run from `t` on.
    fn arguments(&self, f: &mut Func, run: Run, columns: Columns, t: Val) -> [Val; 7] {
        let scratch = f.param(7);
        let at = f.mul(t, run.ldx);
        let per_float = f.i64(self.layout.form.columns());
        let start = f.udiv(columns.start, per_float);
        let at = f.add(at, start);
        let a = f.gep(run.x, at, Scalar::F32);
        let at = f.mul(t, run.ldy);
        let c = f.gep(run.y, at, Scalar::F32);
        [a, run.ldx, scratch, c, run.ldy, columns.count, columns.accumulate]
    }
}
