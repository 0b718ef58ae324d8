//! Some rows of weights times many rows of activations.

use super::{
    Parts, ROWS, SUMMED,
    layout::{CHUNK, MEMBER_TOKENS, Shared, stage_columns},
    stream::stream_tile,
    tile::{BlockTile, block_tile},
    weights::share,
};
use crate::{
    kernel::{BlockMember, Cmp, Func, Module, Scalar, Team, Ty, Val},
    kernels::{
        layout::{Layout, Plain, layout},
        pack,
        rounded::RowForm,
    },
    targets::TargetInfo,
};
use seqc_formats::Encoding;

/// Rows of activations that a block multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRows {
    /// Numbers of bfloat16 that one of them is.
    pub parts: Parts,
    /// What they are: reals, or [`RowForm::Pairs`] of one part.
    pub form: RowForm,
    /// Bytes of which they begin at multiples: 4 or 16.
    pub unit: u8,
}

/// Name of the function that [`block_gemm`] adds.
pub fn block_gemm_name(encoding: Encoding, k: usize, rows: BlockRows) -> String {
    let (form, parts) = (rows.form.name(), rows.parts.count());
    format!("seqc_block_gemm_{}_{k}_{parts}_{form}_{}", encoding.name(), rows.unit)
}

/// Bytes of scratch of a member that [`block_gemm`] needs for so many rows of weights.
pub fn block_gemm_scratch_bytes(encoding: Encoding, rows: usize) -> usize {
    let parts = Parts::of(encoding);
    size_of::<f32>() * rows * staged(encoding, Shared::most(rows, parts))
}

/// Columns that are unpacked together: whole blocks.
fn staged(encoding: Encoding, shared: Shared) -> usize {
    shared.columns.max(encoding.block())
}

/// Adds the kernel for one store and `k`, which all members of a block call together; returns its name. `None` where the target has no matrix units or no blocks.
///
/// `fn(w, rows, x, ldx, y, ldy, count, scratch, barrier, tid, threads)` computes `y[t * ldy + r] = sum_k W[r][k] * x[t * ldx + k]` for
/// `r < rows`, at most `block_rows` of the machine, and `t < count`. `w` points to the first row, `ldx` and `ldy` count floats. Rows
/// of results `t` are of the member `t / MEMBER_TOKENS` modulo the members of its block.
pub fn block_gemm(
    module: &mut Module,
    target: &TargetInfo,
    encoding: Encoding,
    k: usize,
    rows: BlockRows,
) -> Option<String> {
    let units = target.micro_kernels.matrix_units?;
    let height = target.machine.tiles.block_rows?;
    let name = block_gemm_name(encoding, k, rows);
    if module.has(&name) {
        return Some(name);
    }
    module.declare_blocks();
    let streamed =
        matches!(layout(encoding), Layout::Plain(Plain::Bf16)) && (size_of::<u16>() * k).is_multiple_of(CHUNK);
    let shared = match streamed {
        true => Shared::least(height),
        false => Shared::most(height, Parts::of(encoding)),
    };
    let tile = BlockTile {
        units,
        weights: shared,
        activations: rows.parts,
        form: rows.form,
        unit: rows.unit,
    };
    let gemm = BlockGemm {
        shared,
        encoding,
        k,
        form: rows.form,
        source: match streamed {
            true => Source::Streamed(stream_tile(module, tile)),
            false => Source::unpacked(module, target, tile, encoding),
        },
    };
    let mut f = Func::new(&name, &TYPES, None);
    gemm.body(&mut f);
    module.add(f);
    Some(name)
}

/// Types of the kernel's arguments.
const TYPES: [Ty; 11] = [
    Ty::GLOBAL,
    Ty::I64,
    Ty::GENERIC,
    Ty::I64,
    Ty::GENERIC,
    Ty::I64,
    Ty::I64,
    Ty::SCRATCH,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
];

/// How weights come into the memory of the block.
enum Source {
    /// As they are stored, while this function multiplies.
    Streamed(String),
    /// Before they are multiplied.
    Unpacked(Unpacked),
}

/// Functions for weights that are unpacked.
struct Unpacked {
    /// Sixteen rows as f32 into scratch.
    unpack: String,
    /// These into the memory of the block.
    share: String,
    tile: String,
}

impl Source {
    fn unpacked(module: &mut Module, target: &TargetInfo, tile: BlockTile, encoding: Encoding) -> Source {
        let vectors = ROWS as u32 / target.machine.lanes;
        Source::Unpacked(Unpacked {
            unpack: pack::pack(module, target, encoding, vectors),
            share: share(module, tile.units, tile.weights),
            tile: block_tile(module, tile),
        })
    }
}

struct BlockGemm {
    shared: Shared,
    encoding: Encoding,
    k: usize,
    form: RowForm,
    source: Source,
}

/// Columns of the weights.
#[derive(Clone, Copy)]
struct Columns {
    /// The first one.
    start: Val,
    /// How many.
    count: Val,
}

impl BlockGemm {
    fn body(&self, f: &mut Func) {
        let team = Team {
            tid: f.param(9),
            threads: f.param(10),
        };
        let own = f.block_member(team);
        match &self.source {
            Source::Streamed(tile) => self.stream(f, tile, own),
            Source::Unpacked(functions) => self.unpacked(f, functions, own),
        }
    }

    /// All columns of some rows of activations, then the next ones.
    fn stream(&self, f: &mut Func, tile: &str, own: BlockMember) {
        let [w, rows, x, ldx, y, ldy, count, _, barrier, tid, threads] =
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|n| f.param(n));
        let (zero, most) = (f.i64(0), f.i64(MEMBER_TOKENS as i64));
        let (before, step) = (f.mul(own.member, most), f.mul(own.members, most));
        let (k, row_bytes, accumulate) = (f.i64(self.k as i64), f.i64(self.row_bytes()), f.i1(false));
        f.for_loop(zero..count, step, &[], |f, first, _| {
            let t = f.add(first, before);
            let (from, to) = (f.mul(t, ldx), f.mul(t, ldy));
            let (x, y) = (f.gep(x, from, Scalar::F32), f.gep(y, to, Scalar::F32));
            let left = f.sub(count, t);
            let tokens = f.min(left, most);
            let args = [
                x, ldx, y, ldy, k, accumulate, rows, tokens, barrier, tid, threads, w, row_bytes,
            ];
            f.call(tile, &args, None);
            Vec::new()
        });
    }

    /// Some columns of all rows of activations, then the next ones.
    fn unpacked(&self, f: &mut Func, functions: &Unpacked, own: BlockMember) {
        let team = Team {
            tid: f.param(9),
            threads: f.param(10),
        };
        let staged = staged(self.encoding, self.shared);
        let (zero, k) = (f.i64(0), f.i64(self.k as i64));
        self.each(f, [zero, k], staged, &|f, start, count| {
            self.unpack(f, &functions.unpack, own, Columns { start, count });
            self.each(f, [zero, count], self.shared.columns, &|f, within, count| {
                f.block_barrier(f.param(8), team);
                self.share(f, &functions.share, own, Columns { start: within, count });
                f.block_barrier(f.param(8), team);
                let start = f.add(start, within);
                self.multiply(f, &functions.tile, own, Columns { start, count });
            });
        });
    }

    /// Runs `body` with the start and the number of each of so many columns.
    fn each(&self, f: &mut Func, [start, end]: [Val; 2], columns: usize, body: &dyn Fn(&mut Func, Val, Val)) {
        f.for_each(start, end, columns as i64, |f, at| {
            let (left, most) = (f.sub(end, at), f.i64(columns as i64));
            let count = f.min(left, most);
            body(f, at, count);
        });
    }

    /// Runs `body` with each sixteen rows of weights that a member brings.
    fn own_tiles(&self, f: &mut Func, own: BlockMember, body: impl FnOnce(&mut Func, Val)) {
        let (height, more) = (f.i64(ROWS as i64), f.param(1));
        let tiles = f.ceil_div(more, height);
        f.for_loop(own.member..tiles, own.members, &[], |f, tile, _| {
            body(f, tile);
            Vec::new()
        });
    }

    /// The columns that are multiplied for so many: those beyond are zeros.
    fn multiplied(&self, f: &mut Func, count: Val) -> Val {
        let step = f.i64(stage_columns(self.form) as i64);
        let steps = f.ceil_div(count, step);
        f.mul(steps, step)
    }

    /// Where sixteen rows are staged.
    fn stage(&self, f: &mut Func, tile: Val) -> Val {
        let floats = f.i64((ROWS * staged(self.encoding, self.shared)) as i64);
        let before = f.mul(tile, floats);
        f.gep(f.param(7), before, Scalar::F32)
    }

    fn unpack(&self, f: &mut Func, unpack: &str, own: BlockMember, columns: Columns) {
        let row_bytes = f.i64(self.row_bytes());
        let end = self.multiplied(f, columns.count);
        self.own_tiles(f, own, |f, tile| {
            let height = f.i64(ROWS as i64);
            let row = f.mul(tile, height);
            let skip = f.mul(row, row_bytes);
            let w = f.gep(f.param(0), skip, Scalar::I8);
            let left = f.sub(f.param(1), row);
            let rows = f.min(left, height);
            let stage = self.stage(f, tile);
            f.call(unpack, &[w, row_bytes, rows, columns.start, columns.count, stage], None);
            let none = f.zero(Ty::V(ROWS as u32, Scalar::F32));
            f.for_each(columns.count, end, 1, |f, column| {
                let before = f.mul(column, height);
                let p = f.gep(stage, before, Scalar::F32);
                f.store(none, p);
            });
        });
    }

    fn share(&self, f: &mut Func, share: &str, own: BlockMember, columns: Columns) {
        let summed = f.i64(SUMMED as i64);
        let end = self.multiplied(f, columns.count);
        let steps = f.udiv(end, summed);
        self.own_tiles(f, own, |f, tile| {
            let stage = self.stage(f, tile);
            let height = f.i64(ROWS as i64);
            let before = f.mul(columns.start, height);
            let stage = f.gep(stage, before, Scalar::F32);
            let [barrier, tid, threads] = [8, 9, 10].map(|n| f.param(n));
            f.call(share, &[stage, steps, tile, barrier, tid, threads], None);
        });
    }

    /// The member's rows of activations times these columns.
    fn multiply(&self, f: &mut Func, tile: &str, own: BlockMember, columns: Columns) {
        let [rows, x, ldx, y, ldy, count] = [1, 2, 3, 4, 5, 6].map(|n| f.param(n));
        let (zero, most) = (f.i64(0), f.i64(MEMBER_TOKENS as i64));
        let (first, step) = (f.mul(own.member, most), f.mul(own.members, most));
        let accumulate = f.cmp(Cmp::Ne, columns.start, zero);
        let per_float = f.i64(self.form.columns());
        let before = f.udiv(columns.start, per_float);
        f.for_loop(first..count, step, &[], |f, t, _| {
            let at = f.mul(t, ldx);
            let at = f.add(at, before);
            let x = f.gep(x, at, Scalar::F32);
            let at = f.mul(t, ldy);
            let y = f.gep(y, at, Scalar::F32);
            let left = f.sub(count, t);
            let tokens = f.min(left, most);
            let [barrier, tid, threads] = [8, 9, 10].map(|n| f.param(n));
            let kc = columns.count;
            let args = [x, ldx, y, ldy, kc, accumulate, rows, tokens, barrier, tid, threads];
            f.call(tile, &args, None);
            Vec::new()
        });
    }

    /// Bytes of a row of weights.
    fn row_bytes(&self) -> i64 {
        self.encoding.row_bytes(self.k).unwrap_or(0) as i64
    }
}
