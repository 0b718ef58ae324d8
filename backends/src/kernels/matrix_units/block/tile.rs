//! Rows of activations of one member times the weights in the memory of its block: activations are copied there ahead of their products.

use super::{
    LANES, Lane, Parts, ROWS, SUMMED, TOKENS, WORDS,
    layout::{CHUNK, MEMBER_TOKENS, Place, ROW, STAGE, STAGES, Shared, place_of_activations, ring, stage_columns},
    numbers, products,
    weights::limited,
};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Team, Ty, Val},
    kernels::rounded::RowForm,
    targets::MatrixUnits,
};

/// What a member multiplies.
#[derive(Clone, Copy)]
pub(crate) struct BlockTile {
    /// How the processor does it.
    pub(crate) units: MatrixUnits,
    /// Where the weights are.
    pub(crate) weights: Shared,
    /// Parts of activations.
    pub(crate) activations: Parts,
    /// What activations are: reals, or one part already.
    pub(crate) form: RowForm,
    /// Bytes that a thread copies at once, of which rows of activations begin at multiples: 4 or 16.
    pub(crate) unit: u8,
}

/// Matrices of activations.
const MATRICES: usize = MEMBER_TOKENS / TOKENS;

/// Adds the kernel; returns its name.
///
/// `fn(x, ldx, y, ldy, kc, accumulate, rows, tokens, barrier, tid, threads)` computes `y[t * ldy + r] = sum_k W[r][k] * x[t * ldx + k]` for `r < rows`, `k < kc`
/// and `t < tokens`, at most [`MEMBER_TOKENS`], and adds it to what is there with `accumulate`. `W` is in the memory of the block, zero from column `kc` on up to
/// a multiple of those that are copied together. `ldx` counts memory of an f32, whatever activations are.
pub(crate) fn block_tile(module: &mut Module, tile: BlockTile) -> String {
    let name = format!("seqc_block_tile_{}", tile.name());
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &TYPES, None);
    tile.body(&mut f);
    module.add(f);
    name
}

/// Types of the arguments.
pub(super) const TYPES: [Ty; 11] = [
    Ty::GENERIC,
    Ty::I64,
    Ty::GENERIC,
    Ty::I64,
    Ty::I64,
    Ty::I1,
    Ty::I64,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
];

/// Stages of activations that are on their way while one is multiplied.
pub(super) const AHEAD: usize = STAGES - 1;

/// Copies of one stage: what is the same for all stages.
pub(super) struct Copy {
    /// Bytes from the start of the columns to those of each lane.
    from: Val,
    /// Bytes of its row that are left there.
    left: Val,
    /// Bytes from the start of the stage.
    to: Val,
}

impl BlockTile {
    fn body(&self, f: &mut Func) {
        let (kc, accumulate) = (f.param(4), f.param(5));
        let team = Team {
            tid: f.param(9),
            threads: f.param(10),
        };
        let memory = f.block_memory(f.param(8), team);
        let ring = ring(f, memory, team.tid);
        let copies = self.copies(f);
        let (zero, columns) = (f.i64(0), f.i64(stage_columns(self.form) as i64));
        let stages = f.ceil_div(kc, columns);
        for n in 0..AHEAD {
            let n = f.i64(n as i64);
            self.start(f, &copies, ring, [n, stages]);
        }
        let init = self.first(f, accumulate);
        let one = f.i64(1);
        let sums = f.for_loop(zero..stages, one, &init, |f, n, sums| {
            f.wait_copies(AHEAD as u8 - 1);
            let later = f.i64(AHEAD as i64);
            let later = f.add(n, later);
            self.start(f, &copies, ring, [later, stages]);
            let stage = of_stage(f, ring, n);
            let mut sums = sums.to_vec();
            for within in 0..self.steps() {
                let (steps, within_stage) = (f.i64(self.steps() as i64), f.i64(within as i64));
                let step = f.mul(n, steps);
                let step = f.add(step, within_stage);
                let activations = self.activations(f, stage, within);
                self.step(f, [memory, step], &activations, &mut sums);
            }
            sums
        });
        self.store(f, &sums);
    }

    /// What tells kernels apart.
    pub(super) fn name(&self) -> String {
        let Shared { rows, parts, columns } = self.weights;
        let (weights, activations, form) = (parts.count(), self.activations.count(), self.form.name());
        format!("{rows}x{columns}_{weights}{activations}_{form}_{}", self.unit)
    }

    /// Sixteen columns in each, of a stage.
    pub(super) fn steps(&self) -> usize {
        stage_columns(self.form) / SUMMED
    }

    /// Sixteen rows of weights in each.
    fn tiles(&self) -> usize {
        self.weights.rows / ROWS
    }

    /// The sums before the first product.
    pub(super) fn first(&self, f: &mut Func, accumulate: Val) -> Vec<Val> {
        let sums = Ty::V(LANES as u32, Scalar::F32);
        f.if_else(
            accumulate,
            |f| {
                let load = |f: &mut Func, n: usize| {
                    let (place, inside) = self.result(f, n);
                    f.gather(place, inside, Scalar::F32)
                };
                (0..MATRICES * self.tiles()).map(|n| load(f, n)).collect()
            },
            |f| vec![f.zero(sums); MATRICES * self.tiles()],
        )
    }

    pub(super) fn store(&self, f: &mut Func, sums: &[Val]) {
        for (n, sum) in sums.iter().enumerate() {
            let (place, inside) = self.result(f, n);
            f.scatter(*sum, place, inside);
        }
    }

    /// Where the lanes of a matrix of sums go, and which of them are there: that of rows `16 n / MATRICES` on.
    fn result(&self, f: &mut Func, n: usize) -> (Val, Val) {
        let [y, ldy, rows, tokens] = [2, 3, 6, 7].map(|n| f.param(n));
        let (i, j) = (n / MATRICES, n % MATRICES);
        // The rows of all matrices are those of the first one, and a constant.
        let row = numbers(f, LANES, |lane| lane.of_sums()[0]);
        let first = f.int(row.ty, (ROWS * i) as i64);
        let below = f.add(row, first);
        let token = numbers(f, LANES, |lane| TOKENS * j + lane.of_sums()[1]);
        let [ldy, rows, tokens] = [ldy, rows, tokens].map(|n| f.splat(n, LANES as u32));
        let (a, b) = (f.cmp(Cmp::Lt, below, rows), f.cmp(Cmp::Lt, token, tokens));
        let inside = f.and(a, b);
        let before = f.mul(token, ldy);
        let at = f.add(before, row);
        let at = f.add(at, first);
        (f.gep(y, at, Scalar::F32), inside)
    }

    /// The copies of a stage.
    pub(super) fn copies(&self, f: &mut Func) -> Vec<Copy> {
        let starts = (0..STAGE).step_by(64 * usize::from(self.unit));
        starts.map(|at| self.copy(f, at)).collect()
    }

    /// Copies of 64 lanes from byte `at` of a stage on.
    fn copy(&self, f: &mut Func, at: usize) -> Copy {
        let lanes = 64;
        let byte = |l: usize| at + l * usize::from(self.unit);
        let list = |of: &dyn Fn(usize) -> usize| -> Vec<i64> { (0..lanes).map(|l| of(byte(l)) as i64).collect() };
        let place = |byte: usize| place_of_activations(byte / ROW, byte % ROW / CHUNK) + byte % CHUNK;
        let [token, within, to] =
            [list(&|byte| byte / ROW), list(&|byte| byte % ROW), list(&place)].map(|list| f.lanes(Scalar::I32, &list));
        let [ldx, kc, tokens] = [1, 4, 7].map(|n| f.param(n));
        let (one, word, per_word) = (f.i64(1), f.i64(4), f.i64(self.form.columns()));
        // A member without a row copies zeros.
        let last = f.max(tokens, one);
        let last = f.sub(last, one);
        let row_bytes = f.mul(ldx, word);
        let words = f.ceil_div(kc, per_word);
        let bytes = f.mul(words, word);
        // Distances between few rows fit into 32 bits, of which registers have one.
        let [last, tokens, row_bytes, bytes] = [last, tokens, row_bytes, bytes].map(|n| {
            let n = f.convert(Cast::Truncate, n, Scalar::I32);
            f.splat(n, lanes as u32)
        });
        let row = f.min(token, last);
        let before = f.mul(row, row_bytes);
        let (left, none) = (f.sub(bytes, within), f.zero(within.ty));
        let inside = f.cmp(Cmp::Lt, token, tokens);
        Copy {
            from: f.add(before, within),
            left: f.select(inside, left, none),
            to,
        }
    }

    /// Starts the copies of stage `n`, if there is one, as a group.
    pub(super) fn start(&self, f: &mut Func, copies: &[Copy], ring: Val, [n, stages]: [Val; 2]) {
        let here = f.cmp(Cmp::Lt, n, stages);
        f.if_then(here, |f| {
            let bytes = f.i64(ROW as i64);
            let before = f.mul(n, bytes);
            let x = f.gep(f.param(0), before, Scalar::I8);
            let stage = of_stage(f, ring, n);
            for copy in copies {
                let passed = f.convert(Cast::Truncate, before, Scalar::I32);
                let passed = f.splat(passed, copy.left.ty.lanes());
                let left = f.sub(copy.left, passed);
                let counts = limited(f, left, self.unit.into());
                let (from, to) = (f.gep(x, copy.from, Scalar::I8), f.gep(stage, copy.to, Scalar::I8));
                f.copy_async(to, from, counts, self.unit);
            }
        });
        f.commit_copies();
    }

    /// The matrices of sixteen columns of a stage, each in its parts.
    pub(super) fn activations(&self, f: &mut Func, stage: Val, within: usize) -> Vec<Vec<Val>> {
        match self.form {
            RowForm::Pairs => pairs(f, stage, within),
            RowForm::Floats | RowForm::Bytes => (0..MATRICES).map(|j| self.split(f, stage, j)).collect(),
        }
    }

    /// Adds the products of sixteen columns, those of step `step` of the weights.
    pub(super) fn step(&self, f: &mut Func, [weights, step]: [Val; 2], activations: &[Vec<Val>], sums: &mut [Val]) {
        let rows: Vec<Place> = (0..LANES / 4)
            .map(|row| Place {
                row: row % 8 + 8 * (row / 8 % 2),
                chunk: row / 16,
                byte: 0,
            })
            .collect();
        let at = self.weights.places(f, &rows, step);
        let products = products(self.weights.parts, self.activations);
        for (i, sums) in sums.chunks_mut(MATRICES).enumerate() {
            let load = |part: usize| {
                let start = f.i64(self.weights.start(part, ROWS * i));
                let start = f.gep(weights, start, Scalar::I8);
                let rows = f.gep(start, at, Scalar::I8);
                f.load_matrices(rows)
            };
            let weights: Vec<Val> = (0..self.weights.parts.count()).map(load).collect();
            // Sums that follow one another do not wait for each other.
            for [w, x] in &products {
                for (sum, activations) in sums.iter_mut().zip(activations) {
                    *sum = (self.units.multiply)(f, *sum, weights[*w], activations[*x]);
                }
            }
        }
    }

    /// The parts of matrix `j` of reals.
    fn split(&self, f: &mut Func, stage: Val, j: usize) -> Vec<Val> {
        // Two reals of a lane lie beside each other.
        let place = |lane: Lane| {
            let [token, column] = lane.of_activations();
            let byte = size_of::<f32>() * column;
            place_of_activations(TOKENS * j + token, byte / CHUNK) + byte % CHUNK
        };
        let at = numbers(f, WORDS, place);
        let all = f.int(at.ty.with(Scalar::I1), 1);
        let from = f.gep(stage, at, Scalar::I8);
        let both = f.gather(from, all, Scalar::I64);
        let half = f.int(both.ty, 32);
        let upper = f.shr(both, half);
        let pair = [both, upper].map(|bits| {
            let bits = f.convert(Cast::Truncate, bits, Scalar::I32);
            f.bitcast(bits, bits.ty.with(Scalar::F32))
        });
        self.activations.split(f, self.units, pair)
    }
}

/// The memory of stage `n` of a member's activations.
pub(super) fn of_stage(f: &mut Func, ring: Val, n: Val) -> Val {
    let (turns, bytes) = (f.i64(STAGES as i64 - 1), f.i64(STAGE as i64));
    let at = f.and(n, turns);
    let at = f.mul(at, bytes);
    f.gep(ring, at, Scalar::I8)
}

/// The matrices of activations that are numbers of bfloat16, sixteen columns of a stage.
fn pairs(f: &mut Func, stage: Val, within: usize) -> Vec<Vec<Val>> {
    let place = |row: usize| {
        let (token, half) = (row % 8 + 8 * (row / 16), row / 8 % 2);
        place_of_activations(token, 2 * within + half) as i64
    };
    let rows: Vec<i64> = (0..MATRICES * WORDS / 4).map(place).collect();
    let at = f.lanes(Scalar::I64, &rows);
    let from = f.gep(stage, at, Scalar::I8);
    let words = f.load_matrices(from);
    let matrix = |j: usize| -> Vec<i64> { (j * WORDS..(j + 1) * WORDS).map(|lane| lane as i64).collect() };
    (0..MATRICES)
        .map(|j| vec![f.shuffle(words, words, &matrix(j))])
        .collect()
}
