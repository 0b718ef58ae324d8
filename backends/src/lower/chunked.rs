//! Chunks of a recurrence as matrix products: heads are split between the threads, each goes through blocks of tokens
//! (see `seqc_passes::plan::chunked` for the mathematics).

use super::{
    cx::{Cx, Layer, byte},
    expr::{Axis, ExprLowering},
    run::share,
    slots,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{
        self, Tile,
        finite::{all_finite, note},
    },
};
use seqc_passes::plan::{Chunked, Factor, Scan};

/// What is done with a vector of axis `p` or `n`: at a token of the block, from an index on.
type Body<'b> = &'b dyn Fn(&mut ExprLowering<'_, '_>, &mut Func, (Val, Val));

/// A matrix in memory: where it begins, and floats from row to row.
type Matrix = (Val, usize);

/// Sizes of a kernel, and where its scratch begins.
#[derive(Clone, Copy)]
struct Sizes {
    lanes: u32,
    /// Rows and vectors of a register tile.
    tall: u32,
    wide: u32,
    heads: usize,
    p: usize,
    n: usize,
    /// The same in whole vectors.
    wide_p: usize,
    wide_n: usize,
    block: usize,
    /// The value is corrected by what the state holds.
    corrected: bool,
    /// Rows of matrices with a row for each token: whole tiles.
    rows: usize,
}

impl Sizes {
    fn new(layer: &Layer<'_>, scan: &Scan, form: &Chunked) -> Sizes {
        let state = layer.graph.states[scan.states[0].0 as usize].ty.sizes();
        let (p, n) = (state[scan.kept[scan.kept.len() - 1]], state[scan.reduced[0]]);
        let lanes = layer.lanes() as usize;
        Sizes {
            lanes: layer.lanes(),
            tall: layer.machine.tallest_tile(),
            wide: layer.machine.tile_vectors,
            heads: state.iter().product::<usize>() / (p * n),
            p,
            n,
            wide_p: p.next_multiple_of(lanes),
            wide_n: n.next_multiple_of(lanes),
            block: form.block,
            corrected: form.correction.is_some(),
            rows: form.block.next_multiple_of(layer.machine.tallest_tile() as usize),
        }
    }

    /// Whether the state's rows are whole vectors: else a head is copied to where they are.
    fn in_place(&self) -> bool {
        self.p == self.wide_p
    }

    /// Vectors of a tile of scores, whose rows have whole tiles.
    fn score_panel(&self) -> u32 {
        let vectors = self.block as u32 / self.lanes;
        let fits = |panel: &u32| vectors.is_multiple_of(*panel);
        (1..=self.wide).rev().find(fits).unwrap_or(1)
    }

    /// Rows and columns of each matrix in scratch, by the order of [`Scratch`].
    fn matrices(&self) -> [(usize, usize); 14] {
        let state = if self.in_place() { 0 } else { self.n };
        let corrected = if self.corrected { self.rows } else { 0 };
        [
            (self.rows, self.wide_n),
            (self.wide_n, self.block),
            (self.rows, self.wide_n),
            (self.rows, self.wide_n),
            (self.rows, self.block),
            (self.rows, self.block),
            (self.rows, self.wide_p),
            (self.rows, self.wide_p),
            (self.rows, self.wide_p),
            (state + 1, self.wide_p.max(self.block)),
            (corrected, self.wide_n),
            (corrected, self.wide_n),
            (corrected, self.block),
            (corrected, self.block),
        ]
    }

    fn bytes(&self) -> usize {
        self.matrices()
            .iter()
            .map(|(r, c)| (4 * r * c).next_multiple_of(64))
            .sum()
    }
}

/// Matrices of one thread.
struct Scratch {
    /// `K`, and transposed.
    key: Matrix,
    key_across: Matrix,
    query: Matrix,
    /// `d o Q`
    decayed: Matrix,
    /// `Q K^T`, and times `D`.
    scores: Matrix,
    weighted: Matrix,
    value: Matrix,
    /// `D[last] o V`
    left: Matrix,
    out: Matrix,
    /// `D[last]`; behind it the state of a head whose rows are no whole vectors.
    last: Matrix,
    /// `R`, `-d' g o R`, `R K^T` and `-D' g o R K^T`, where dashes are of the token before.
    probe: Matrix,
    probe_decayed: Matrix,
    overlap: Matrix,
    system: Matrix,
}

impl Scratch {
    fn new(f: &mut Func, base: Val, sizes: &Sizes) -> Scratch {
        let mut at = 0;
        let [
            key,
            key_across,
            query,
            decayed,
            scores,
            weighted,
            value,
            left,
            out,
            last,
            probe,
            probe_decayed,
            overlap,
            system,
        ] = sizes.matrices().map(|(rows, columns)| {
            let p = byte(f, base, at);
            at += (4 * rows * columns).next_multiple_of(64);
            (p, columns)
        });
        Scratch {
            key,
            key_across,
            query,
            decayed,
            scores,
            weighted,
            value,
            left,
            out,
            last,
            probe,
            probe_decayed,
            overlap,
            system,
        }
    }
}

/// Adds the kernels that chunked recurrences of a layer call.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module) {
    for sizes in all(layer) {
        for (rows, panel, across) in tiles(&sizes) {
            let lanes = layer.lanes();
            Tile {
                lanes,
                rows,
                panel,
                across,
            }
            .add(module);
        }
    }
}

fn all(layer: &Layer<'_>) -> Vec<Sizes> {
    let scans = slots::chunked(&layer.plan.kernels);
    let sizes = |scan: &Scan| scan.products().map(|(form, _)| Sizes::new(layer, scan, form));
    scans.iter().filter_map(sizes).collect()
}

/// Rows, vectors and order of the tiles that a kernel calls.
fn tiles(sizes: &Sizes) -> Vec<(u32, u32, bool)> {
    let (tall, wide) = (sizes.tall, sizes.wide);
    let rest = (sizes.n as u32) % tall;
    let mut all = vec![(tall, sizes.score_panel(), false)];
    for panel in [wide, 1] {
        all.push((tall, panel, false));
        all.extend([tall, rest].into_iter().filter(|r| *r > 0).map(|r| (r, panel, true)));
    }
    all
}

/// Bytes of scratch that a thread needs for the chunked recurrences of a layer.
pub(super) fn scratch_bytes(layer: &Layer<'_>) -> usize {
    all(layer).iter().map(Sizes::bytes).max().unwrap_or(0)
}

/// Writes one head, given by its number, at tokens of the chunk from one on to before another.
pub(super) type Head<'t> = dyn Fn(&mut Func, Val, (Val, Val)) + 't;

/// The same recurrence from token to token.
pub(super) struct ByTokens<'t> {
    /// All heads and tokens.
    pub(super) all: &'t dyn Fn(&mut Func),
    /// Some tokens of one head.
    pub(super) head: &'t Head<'t>,
}

/// Writes a recurrence for a whole chunk: matrix products, or token by token where there are few tokens, or where a
/// block has what is not finite.
pub(super) fn chunk(cx: &Cx<'_>, f: &mut Func, scan: &Scan, by_tokens: &ByTokens<'_>) {
    let Some((form, shortest)) = scan.products() else {
        return (by_tokens.all)(f);
    };
    let shortest = f.i64(shortest as i64);
    let long = f.cmp(Cmp::Ge, cx.args.count, shortest);
    f.if_else(
        long,
        |f| {
            blocks(cx, f, (scan, form), by_tokens);
            Vec::new()
        },
        |f| {
            (by_tokens.all)(f);
            Vec::new()
        },
    );
}

fn blocks(cx: &Cx<'_>, f: &mut Func, (scan, form): (&Scan, &Chunked), by_tokens: &ByTokens<'_>) {
    let sizes = Sizes::new(cx.layer, scan, form);
    let base = cx.thread_scratch(f);
    let scratch = Scratch::new(f, base, &sizes);
    let heads = f.i64(sizes.heads as i64);
    let (lo, hi) = share(cx, f, heads, 1);
    let (zero, block) = (f.i64(0), f.i64(sizes.block as i64));
    f.for_each(zero, cx.args.count, sizes.block as i64, |f, first| {
        let left = f.sub(cx.args.count, first);
        let count = f.min(left, block);
        f.for_each(lo, hi, 1, |f, head| {
            let writer = Writer {
                cx,
                scan,
                form,
                sizes,
                scratch: &scratch,
                head,
                first,
                count,
            };
            let (start, shared) = (f.cmp(Cmp::Eq, head, lo), f.i64(form.shared as i64));
            let within = f.urem(head, shared);
            let other = f.cmp(Cmp::Eq, within, zero);
            let new = f.or(start, other);
            f.if_then(new, |f| writer.scores(f));
            writer.head(f, by_tokens);
        });
    });
}

/// One block of tokens of one head.
struct Writer<'w, 'a> {
    cx: &'w Cx<'a>,
    scan: &'w Scan,
    form: &'w Chunked,
    sizes: Sizes,
    scratch: &'w Scratch,
    head: Val,
    /// The block's first token, and how many there are.
    first: Val,
    count: Val,
}

impl Writer<'_, '_> {
    fn p_axis(&self) -> usize {
        self.scan.kept.len() - 1
    }

    /// Row `row` of a matrix.
    fn row(&self, f: &mut Func, (base, stride): Matrix, row: Val) -> Val {
        let stride = f.i64(stride as i64);
        let at = f.mul(row, stride);
        f.gep(base, at, Scalar::F32)
    }

    fn vector(&self) -> Ty {
        Ty::V(self.sizes.lanes, Scalar::F32)
    }

    /// Expressions at token `t` of the block, the axes behind the heads' not yet entered.
    fn emit(&self, f: &mut Func, t: Val) -> ExprLowering<'_, '_> {
        let token = f.add(self.first, t);
        let mut emit = ExprLowering::new(self.cx, Some(token));
        emit.into = self.scan.outputs.iter().map(|nest| nest.into).collect();
        let state = self.cx.graph().states[self.scan.states[0].0 as usize].ty.sizes();
        let (mut axes, mut outer) = (Vec::new(), self.head);
        for axis in self.scan.kept[..self.p_axis()].iter().rev() {
            let size = f.i64(state[*axis] as i64);
            axes.push((f.urem(outer, size), state[*axis]));
            outer = f.udiv(outer, size);
        }
        for (at, size) in axes.into_iter().rev() {
            emit.space.push(Axis::At(at), size);
        }
        emit
    }

    fn product(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, factors: &[Factor]) -> Val {
        let one = f.f32(1.0);
        factors.iter().fold(one, |product, x| {
            let mut val = emit.value(f, x.value, &x.coords);
            if let Some(keeps) = x.keeps {
                let ty = val.ty.with(Scalar::F32);
                let (one, zero) = (f.float(ty, 1.0), f.zero(ty));
                val = if keeps {
                    f.select(val, one, zero)
                } else {
                    f.select(val, zero, one)
                };
            }
            if product == one {
                return val;
            }
            let (a, b) = emit.alike(f, product, val);
            f.mul(a, b)
        })
    }

    /// For each token of the block and each vector of axis `p` or `n`: `body` with that axis over the lanes.
    fn each_vector(&self, f: &mut Func, lane: usize, body: Body<'_>) {
        let sizes = [self.sizes.p, self.sizes.n];
        let size = sizes[lane - self.p_axis()];
        let lanes = self.sizes.lanes as usize;
        let (zero, whole) = (f.i64(0), f.i64((size / lanes * lanes) as i64));
        f.for_each(zero, self.count, 1, |f, t| {
            let vector = |f: &mut Func, at: Val, mask: Option<Val>| {
                let mut emit = self.emit(f, t);
                for axis in [self.p_axis(), self.p_axis() + 1] {
                    let place = if axis == lane { Axis::At(at) } else { Axis::Fixed(0) };
                    emit.space.push(place, sizes[axis - self.p_axis()]);
                }
                (emit.space.lane, emit.space.mask) = (Some(lane), mask);
                body(&mut emit, f, (t, at));
            };
            f.for_each(zero, whole, lanes as i64, |f, at| vector(f, at, None));
            if !size.is_multiple_of(lanes) {
                let rest = f.i64((size % lanes) as i64);
                let mask = f.tail_mask(rest, self.sizes.lanes);
                vector(f, whole, Some(mask));
            }
        });
    }

    /// Writes the products of some factors for all tokens of the block.
    fn gather(&self, f: &mut Func, (factors, lane): (&[Factor], usize), to: Matrix) {
        self.each_vector(f, lane, &|emit, f, (t, at)| {
            let val = self.product(emit, f, factors);
            let val = emit.spread(f, val);
            let row = self.row(f, to, t);
            let p = f.gep(row, at, Scalar::F32);
            f.store(val, p);
        });
    }

    /// Keys, queries and `Q K^T`.
    fn scores(&self, f: &mut Func) {
        let s = self.scratch;
        let n_axis = self.p_axis() + 1;
        self.gather(f, (&self.form.key, n_axis), s.key);
        self.gather(f, (&self.form.query, n_axis), s.query);
        self.turn_keys(f);
        self.against_keys(f, s.query, s.scores);
        if let Some(correction) = &self.form.correction {
            self.gather(f, (&correction.probe, n_axis), s.probe);
            self.against_keys(f, s.probe, s.overlap);
        }
    }

    /// The products of rows with all keys of tokens up to theirs.
    fn against_keys(&self, f: &mut Func, rows: Matrix, to: Matrix) {
        let (tall, wide) = (self.sizes.tall, self.sizes.score_panel());
        let (zero, keys) = (f.i64(0), self.scratch.key_across);
        f.for_each(zero, self.count, i64::from(tall), |f, t| {
            let step = f.i64(i64::from(tall));
            let end = f.add(t, step);
            let end = f.min(end, self.count);
            let (a, c) = (self.row(f, rows, t), self.row(f, to, t));
            f.for_each(zero, end, i64::from(wide * self.sizes.lanes), |f, column| {
                let (k, old) = (f.i64(self.sizes.n as i64), f.f32(0.0));
                let (b, c) = (f.gep(keys.0, column, Scalar::F32), f.gep(c, column, Scalar::F32));
                self.tile(f, (tall, wide, false), [(a, rows.1), (b, keys.1), (c, to.1)], (k, old));
            });
        });
    }

    fn turn_keys(&self, f: &mut Func) {
        let lanes = i64::from(self.sizes.lanes);
        let (zero, n) = (f.i64(0), f.i64(self.sizes.n as i64));
        f.for_each(zero, self.count, lanes, |f, t| {
            f.for_each(zero, n, lanes, |f, column| {
                let at = |f: &mut Func, m: Matrix, row: Val, i: i64, column: Val| {
                    let i = f.i64(i);
                    let row = f.add(row, i);
                    let row = self.row(f, m, row);
                    f.gep(row, column, Scalar::F32)
                };
                let rows: Vec<Val> = (0..lanes)
                    .map(|i| {
                        let p = at(f, self.scratch.key, t, i, column);
                        f.load(p, self.vector())
                    })
                    .collect();
                for (i, val) in kernels::transpose(f, &rows).into_iter().enumerate() {
                    let p = at(f, self.scratch.key_across, column, i as i64, t);
                    f.store(val, p);
                }
            });
        });
    }

    fn tile(
        &self,
        f: &mut Func,
        (rows, panel, across): (u32, u32, bool),
        [a, b, c]: [Matrix; 3],
        (k, old): (Val, Val),
    ) {
        let lanes = self.sizes.lanes;
        let [lda, ldb, ldc] = [a.1, b.1, c.1].map(|stride| f.i64(stride as i64));
        let name = Tile {
            lanes,
            rows,
            panel,
            across,
        }
        .name();
        f.call(&name, &[a.0, lda, b.0, ldb, c.0, ldc, k, old], None);
    }

    /// Panels of columns of what has a column for each `p`: wide ones, then single vectors.
    fn panels(&self, f: &mut Func, body: &dyn Fn(&mut Func, Val, u32)) {
        let (lanes, wide) = (self.sizes.lanes as usize, self.sizes.wide);
        let step = wide as usize * lanes;
        let (zero, whole) = (f.i64(0), f.i64((self.sizes.wide_p / step * step) as i64));
        let end = f.i64(self.sizes.wide_p as i64);
        f.for_each(zero, whole, step as i64, |f, column| body(f, column, wide));
        if !self.sizes.wide_p.is_multiple_of(step) {
            f.for_each(whole, end, lanes as i64, |f, column| body(f, column, 1));
        }
    }

    /// Results and the next state of the head. Products multiply what a token does not see by zero, which takes nothing
    /// from NaN or infinity: where a result is not finite, the block goes from token to token instead.
    fn head(&self, f: &mut Func, by_tokens: &ByTokens<'_>) {
        let s = self.scratch;
        self.gather(f, (&self.form.value, self.p_axis()), s.value);
        let total = self.decays(f);
        let at = f.i64((self.sizes.n * self.sizes.p) as i64);
        let at = f.mul(self.head, at);
        let base = self.cx.state_base(f, self.scan.states[0].0 as usize);
        let base = f.gep(base, at, Scalar::F32);
        let own = (base, self.sizes.p);
        let state = if self.sizes.in_place() { own } else { self.copy(f, own) };
        if self.sizes.corrected {
            self.correct(f, state);
        }
        self.results(f, state);
        let finite = self.is_finite(f);
        f.if_else(
            finite,
            |f| {
                self.weigh(f);
                self.advance(f, state, total);
                if !self.sizes.in_place() {
                    self.copy_rows(f, state, own);
                }
                self.finish(f);
                Vec::new()
            },
            |f| {
                let end = f.add(self.first, self.count);
                (by_tokens.head)(f, self.head, (self.first, end));
                Vec::new()
            },
        );
    }

    /// True unless a result is infinite or no number.
    fn is_finite(&self, f: &mut Func) -> Val {
        let (p, lanes) = (self.sizes.p, self.sizes.lanes as usize);
        let (whole, bits) = (p / lanes * lanes, self.vector().with(Scalar::I32));
        let (zero, none) = (f.i64(0), f.zero(bits));
        let (one, step, end) = (f.i64(1), f.i64(lanes as i64), f.i64(whole as i64));
        let found = f.for_loop((zero, self.count, one), &[none], |f, t, found| {
            let row = self.row(f, self.scratch.out, t);
            let found = f.for_loop((zero, end, step), found, |f, at, found| {
                let p = f.gep(row, at, Scalar::F32);
                let x = f.load(p, self.vector());
                vec![note(f, x, found[0])]
            });
            if whole == p {
                return found;
            }
            let rest = f.i64((p - whole) as i64);
            let mask = f.tail_mask(rest, self.sizes.lanes);
            let p = f.gep(row, end, Scalar::F32);
            let x = f.masked_load(p, mask, self.vector());
            vec![note(f, x, found[0])]
        });
        all_finite(f, found[0])
    }

    /// `D o Q K^T`, `d o Q`, `D[last]`, and the system for corrected values; gives `d[last]`.
    fn decays(&self, f: &mut Func) -> Val {
        let s = self.scratch;
        let lanes = self.sizes.lanes as usize;
        let vectors = self.sizes.block / lanes;
        let place = |f: &mut Func, row: Val, v: usize| {
            let at = f.i64((v * lanes) as i64);
            f.gep(row, at, Scalar::F32)
        };
        let (zero, one, none) = (f.i64(0), f.i64(1), f.zero(self.vector()));
        let mut init = vec![none; vectors];
        init.push(f.f32(1.0));
        let last = f.for_loop((zero, self.count, one), &init, |f, t, carried| {
            let mut emit = self.emit(f, t);
            emit.space.push(Axis::Fixed(0), self.sizes.p);
            emit.space.push(Axis::Fixed(0), self.sizes.n);
            let a = self.product(&mut emit, f, &self.form.decay);
            let wide = f.splat(a, self.sizes.lanes);
            let (scores, weighted) = (self.row(f, s.scores, t), self.row(f, s.weighted, t));
            let here = f.splat(t, self.sizes.lanes);
            let mut next = Vec::new();
            for (v, d) in carried[..vectors].iter().enumerate() {
                let tokens: Vec<i64> = (v * lanes..(v + 1) * lanes).map(|x| x as i64).collect();
                let tokens = f.lanes(Scalar::I64, &tokens);
                let (own, whole) = (f.cmp(Cmp::Eq, tokens, here), f.float(self.vector(), 1.0));
                let d = f.mul(*d, wide);
                let d = f.select(own, whole, d);
                let p = place(f, scores, v);
                let score = f.load(p, self.vector());
                let score = f.mul(score, d);
                let p = place(f, weighted, v);
                f.store(score, p);
                next.push(d);
            }
            if let Some(correction) = &self.form.correction {
                let gain = self.product(&mut emit, f, &correction.gain);
                let gain = f.neg(gain);
                self.system_row(f, t, gain, carried);
            }
            let total = f.mul(carried[vectors], a);
            let (from, to) = (self.row(f, s.query, t), self.row(f, s.decayed, t));
            self.scale(f, total, (from, to), self.sizes.wide_n);
            next.push(total);
            next
        });
        for (v, d) in last[..vectors].iter().enumerate() {
            let p = place(f, s.last.0, v);
            f.store(*d, p);
        }
        last[vectors]
    }

    /// The row of a token in the system for corrected values; `carried` is of the token before.
    fn system_row(&self, f: &mut Func, t: Val, gain: Val, carried: &[Val]) {
        let (s, lanes) = (self.scratch, self.sizes.lanes);
        let wide = f.splat(gain, lanes);
        let (from, to) = (self.row(f, s.overlap, t), self.row(f, s.system, t));
        let (decays, total) = carried.split_at(carried.len() - 1);
        for (v, d) in decays.iter().enumerate() {
            let at = f.i64((v as u32 * lanes).into());
            let (from, to) = (f.gep(from, at, Scalar::F32), f.gep(to, at, Scalar::F32));
            let overlap = f.load(from, self.vector());
            let d = f.mul(*d, wide);
            let val = f.mul(overlap, d);
            f.store(val, to);
        }
        let by = f.mul(total[0], gain);
        let (from, to) = (self.row(f, s.probe, t), self.row(f, s.probe_decayed, t));
        self.scale(f, by, (from, to), self.sizes.wide_n);
    }

    /// Solves for the corrected values, in the place of the others: `U = V - d' g o (R S) - (D' g o R K^T) U`.
    fn correct(&self, f: &mut Func, state: Matrix) {
        let s = self.scratch;
        let tall = self.sizes.tall;
        self.panels(f, &|f, column, panel| {
            let [u, state_at] = [s.value.0, state.0].map(|m| f.gep(m, column, Scalar::F32));
            let zero = f.i64(0);
            f.for_each(zero, self.count, i64::from(tall), |f, t| {
                let (n, one) = (f.i64(self.sizes.n as i64), f.f32(1.0));
                let c = (self.row(f, (u, s.value.1), t), s.value.1);
                let a = (self.row(f, s.probe_decayed, t), s.probe_decayed.1);
                self.tile(f, (tall, panel, false), [a, (state_at, state.1), c], (n, one));
                let a = (self.row(f, s.system, t), s.system.1);
                self.tile(f, (tall, panel, false), [a, (u, s.value.1), c], (t, one));
                self.substitute(f, (t, column), panel);
            });
        });
    }

    /// The rows of a tile from token `first` on, each from those before it in the tile.
    fn substitute(&self, f: &mut Func, (first, column): (Val, Val), panel: u32) {
        let s = self.scratch;
        let places = |f: &mut Func, row: Val| -> Vec<Val> {
            let row = f.gep(row, column, Scalar::F32);
            let place = |v: u32| {
                let at = f.i64((v * self.sizes.lanes).into());
                f.gep(row, at, Scalar::F32)
            };
            (0..panel).map(place).collect()
        };
        let mut solved: Vec<Vec<Val>> = Vec::new();
        for i in 0..self.sizes.tall {
            let i = f.i64(i.into());
            let t = f.add(first, i);
            let (row, own) = (self.row(f, s.system, t), self.row(f, s.value, t));
            let places = places(f, own);
            let mut sums: Vec<Val> = places.iter().map(|p| f.load(*p, self.vector())).collect();
            for (j, before) in solved.iter().enumerate() {
                let j = f.i64(j as i64);
                let at = f.add(first, j);
                let p = f.gep(row, at, Scalar::F32);
                let x = f.load(p, Ty::F32);
                let x = f.splat(x, self.sizes.lanes);
                sums = sums.iter().zip(before).map(|(sum, u)| f.fma(x, *u, *sum)).collect();
            }
            for (p, sum) in places.iter().zip(&sums) {
                f.store(*sum, *p);
            }
            solved.push(sums);
        }
    }

    /// `D[last] o V`
    fn weigh(&self, f: &mut Func) {
        let s = self.scratch;
        let zero = f.i64(0);
        f.for_each(zero, self.count, 1, |f, t| {
            let p = f.gep(s.last.0, t, Scalar::F32);
            let d = f.load(p, Ty::F32);
            let (from, to) = (self.row(f, s.value, t), self.row(f, s.left, t));
            self.scale(f, d, (from, to), self.sizes.wide_p);
        });
    }

    /// A row of whole vectors times a number.
    fn scale(&self, f: &mut Func, by: Val, (from, to): (Val, Val), width: usize) {
        let by = f.splat(by, self.sizes.lanes);
        let (zero, width) = (f.i64(0), f.i64(width as i64));
        f.for_each(zero, width, i64::from(self.sizes.lanes), |f, at| {
            let (from, to) = (f.gep(from, at, Scalar::F32), f.gep(to, at, Scalar::F32));
            let val = f.load(from, self.vector());
            let val = f.mul(val, by);
            f.store(val, to);
        });
    }

    /// `Y = (D o Q K^T) V + (d o Q) S`
    fn results(&self, f: &mut Func, state: Matrix) {
        let s = self.scratch;
        let tall = self.sizes.tall;
        self.panels(f, &|f, column, panel| {
            let [v, y, state_at] = [s.value.0, s.out.0, state.0].map(|m| f.gep(m, column, Scalar::F32));
            let zero = f.i64(0);
            f.for_each(zero, self.count, i64::from(tall), |f, t| {
                let step = f.i64(i64::from(tall));
                let end = f.add(t, step);
                let end = f.min(end, self.count);
                let c = (self.row(f, (y, s.out.1), t), s.out.1);
                let (none, all) = (f.f32(0.0), f.f32(1.0));
                let a = (self.row(f, s.weighted, t), s.weighted.1);
                self.tile(f, (tall, panel, false), [a, (v, s.value.1), c], (end, none));
                let a = (self.row(f, s.decayed, t), s.decayed.1);
                let n = f.i64(self.sizes.n as i64);
                self.tile(f, (tall, panel, false), [a, (state_at, state.1), c], (n, all));
            });
        });
    }

    /// `S' = d[last] S + K^T (D[last] o V)`
    fn advance(&self, f: &mut Func, state: Matrix, total: Val) {
        let s = self.scratch;
        let tall = self.sizes.tall;
        let rest = (self.sizes.n as u32) % tall;
        self.panels(f, &|f, column, panel| {
            let (v, state_at) = (
                f.gep(s.left.0, column, Scalar::F32),
                f.gep(state.0, column, Scalar::F32),
            );
            let rows = |f: &mut Func, n: Val, rows: u32| {
                let a = (f.gep(s.key.0, n, Scalar::F32), s.key.1);
                let c = (self.row(f, (state_at, state.1), n), state.1);
                self.tile(f, (rows, panel, true), [a, (v, s.left.1), c], (self.count, total));
            };
            let (zero, whole) = (f.i64(0), f.i64((self.sizes.n as u32 - rest).into()));
            f.for_each(zero, whole, i64::from(tall), |f, n| rows(f, n, tall));
            if rest > 0 {
                rows(f, whole, rest);
            }
        });
    }

    /// The head's state in rows of whole vectors.
    fn copy(&self, f: &mut Func, own: Matrix) -> Matrix {
        let (last, stride) = self.scratch.last;
        let stride_val = f.i64(stride as i64);
        let to = (f.gep(last, stride_val, Scalar::F32), stride);
        self.copy_rows(f, own, to);
        to
    }

    fn copy_rows(&self, f: &mut Func, from: Matrix, to: Matrix) {
        let (zero, n, p) = (f.i64(0), f.i64(self.sizes.n as i64), f.i64(self.sizes.p as i64));
        f.for_each(zero, n, 1, |f, n| {
            let (from, to) = (self.row(f, from, n), self.row(f, to, n));
            f.call("seqc_copy", &[from, to, p], None);
        });
    }

    /// Stores what is made of the results.
    fn finish(&self, f: &mut Func) {
        self.each_vector(f, self.p_axis(), &|emit, f, (t, at)| {
            emit.space.truncate(self.p_axis() + 1);
            let coords = ExprLowering::identity(self.p_axis() + 1);
            let row = self.row(f, self.scratch.out, t);
            let p = f.gep(row, at, Scalar::F32);
            let sum = f.load(p, self.vector());
            emit.set(self.form.sum, coords.clone(), sum);
            for nest in &self.scan.outputs {
                let val = emit.value(f, nest.value, &coords);
                emit.write(f, nest, &coords, val);
            }
        });
    }
}
