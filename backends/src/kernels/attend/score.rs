//! From products to weights: score, mask and normaliser of a tile of rows and a page of keys, in place.

use super::{
    Attend,
    layout::{PAGE, Scratch, float_at, row_at, slot},
    lookup::Lookup,
    score_lowering::Pair,
    table::Tables,
    top_k::Best,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_ir::Normaliser;

/// Softmax counts in powers of two: scores are multiplied by this, in the queries where nothing comes between.
pub(super) const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// Adding it to a small float leaves the nearest integer in the low bits of the sum: 1.5 * 2^23.
const MAGIC: f32 = 12_582_912.0;
/// `2^r` for `|r| <= 1/2`, highest power first.
const EXP2: [f32; 6] = [
    1.327_647_2e-3,
    9.675_541e-3,
    5.550_713e-2,
    0.240_221_2,
    0.693_146_94,
    1.0,
];

/// What a page needs of its scoring function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// Every query of the tile sees every key of the page.
    Open,
    /// Predicate, causality and the end of the sequence are evaluated for every pair.
    Pairs,
}

/// Parameters of the scoring functions, and of the functions that call them.
#[derive(Clone, Copy)]
pub(super) struct Args {
    /// Scratch of the thread.
    pub(super) scratch: Val,
    /// Pages of key streams, pointers and strides of query streams.
    pub(super) table: Val,
    /// First row of the tile in its block.
    pub(super) at: Val,
    /// Rows of the tile.
    pub(super) rows: Val,
    /// First row of the tile among the rows of the chunk.
    pub(super) first: Val,
    /// Key head.
    pub(super) group: Val,
    /// Page of the sequence.
    pub(super) page: Val,
    /// Position of the chunk's first token.
    pub(super) position: Val,
    /// Tokens of the chunk.
    pub(super) count: Val,
}

impl Args {
    pub(super) const TYPES: [Ty; 9] = [
        Ty::Ptr,
        Ty::Ptr,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
    ];

    pub(super) fn of(params: &[Val]) -> Args {
        Args {
            scratch: params[0],
            table: params[1],
            at: params[2],
            rows: params[3],
            first: params[4],
            group: params[5],
            page: params[6],
            position: params[7],
            count: params[8],
        }
    }

    pub(super) fn list(&self) -> [Val; 9] {
        [
            self.scratch,
            self.table,
            self.at,
            self.rows,
            self.first,
            self.group,
            self.page,
            self.position,
            self.count,
        ]
    }
}

/// The weight of a key that is not seen, in pages of which queries see a part: a zero that no other weight is. Its
/// value must not be multiplied, for it may be no number.
pub(super) const HIDDEN: f32 = -0.0;

/// Adds the scoring function for pages of one kind; returns its name. Its parameters are [`Args`].
pub(super) fn function(attend: &Attend, module: &mut Module, tables: &Tables, mask: Mask) -> String {
    let suffix = if mask == Mask::Open { "open" } else { "pairs" };
    let name = format!("{}_score_{suffix}", attend.name);
    let mut f = Func::new(&name, &Args::TYPES, None);
    let score = Score {
        attend,
        tables,
        mask,
        args: Args::of(&f.params()),
        scratch: Scratch::new(attend),
    };
    match (attend.spec.normaliser, attend.best()) {
        (Normaliser::Softmax, _) => {
            score.largest(&mut f);
            score.shrink(&mut f);
            score.exponentials(&mut f);
        }
        (_, Some(best)) => score.best(&mut f, best),
        (_, None) => score.plain(&mut f),
    }
    module.add(f);
    name
}

struct Score<'a> {
    attend: &'a Attend,
    tables: &'a Tables,
    mask: Mask,
    args: Args,
    scratch: Scratch,
}

impl Score<'_> {
    fn lanes(&self) -> u32 {
        self.attend.lanes
    }

    fn ty(&self) -> Ty {
        Ty::V(self.lanes(), Scalar::F32)
    }

    fn place(&self, f: &mut Func, offset: usize) -> Val {
        float_at(f, self.args.scratch, offset)
    }

    /// For every row of the tile: its number, and pointers to its vectors of scores.
    fn each_row(&self, f: &mut Func, body: impl FnOnce(&mut Func, Val, &[Val])) {
        let (zero, rows) = (f.i64(0), self.args.rows);
        f.for_each(zero, rows, 1, |f, r| {
            let scores = self.place(f, self.scratch.scores);
            let row = row_at(f, scores, r, PAGE);
            let vectors = PAGE / self.lanes() as usize;
            let places: Vec<Val> = (0..vectors)
                .map(|v| float_at(f, row, v * self.lanes() as usize))
                .collect();
            body(f, r, &places);
        });
    }

    /// Scores in place of products, and the largest of each row so far.
    fn largest(&self, f: &mut Func) {
        let largest = self.place(f, self.scratch.largest);
        let largest = f.gep(largest, self.args.at, Scalar::F32);
        let shift = self.place(f, self.scratch.shift);
        let unseen = f.float(self.ty(), f32::NEG_INFINITY);
        self.each_row(f, |f, r, places| {
            let scores = self.scores(f, r, places, unseen);
            let top = fold(f, &scores, Func::max);
            let top = largest_lane(f, top);
            let p = f.gep(largest, r, Scalar::F32);
            let old = f.load(p, Ty::F32);
            let top = f.max(top, old);
            let p = f.gep(shift, r, Scalar::F32);
            f.store(top, p);
        });
    }

    /// The factors `2^(old - new)`, for all rows of the tile at once.
    fn shrink(&self, f: &mut Func) {
        let largest = self.place(f, self.scratch.largest);
        let largest = f.gep(largest, self.args.at, Scalar::F32);
        let (shift, shrink) = (self.place(f, self.scratch.shift), self.place(f, self.scratch.shrink));
        let (old, new) = (f.load(largest, self.ty()), f.load(shift, self.ty()));
        let inside = f.tail_mask(self.args.rows, self.lanes());
        f.masked_store(new, largest, inside);
        // Nothing seen so far: any number will do in place of minus infinity, which has no difference to itself.
        let (none, zero) = (f.float(self.ty(), f32::NEG_INFINITY), f.zero(self.ty()));
        let empty = f.cmp(Cmp::Eq, new, none);
        let new = f.select(empty, zero, new);
        f.store(new, shift);
        let difference = f.sub(old, new);
        let factor = exp2(f, difference);
        f.store(factor, shrink);
    }

    /// Weights in place of scores, and their sum.
    fn exponentials(&self, f: &mut Func) {
        let (shift, shrink) = (self.place(f, self.scratch.shift), self.place(f, self.scratch.shrink));
        let total = self.place(f, self.scratch.total);
        self.each_row(f, |f, r, places| {
            let p = f.gep(shift, r, Scalar::F32);
            let shift = f.load(p, Ty::F32);
            let shift = f.splat(shift, self.lanes());
            let mut weights = Vec::new();
            for p in places {
                let score = f.load(*p, self.ty());
                let difference = f.sub(score, shift);
                let mut weight = exp2(f, difference);
                if self.mask == Mask::Pairs {
                    let (none, hidden) = (f.float(self.ty(), f32::NEG_INFINITY), f.float(self.ty(), HIDDEN));
                    let unseen = f.cmp(Cmp::Eq, score, none);
                    weight = f.select(unseen, hidden, weight);
                }
                f.store(weight, *p);
                weights.push(weight);
            }
            let sum = fold(f, &weights, Func::add);
            let p = f.gep(shrink, r, Scalar::F32);
            let factor = f.load(p, Ty::F32);
            let factor = f.splat(factor, self.lanes());
            let p = self.total(f, total, r);
            let old = f.load(p, self.ty());
            let new = f.fma(old, factor, sum);
            f.store(new, p);
        });
    }

    /// Scores are the weights.
    fn plain(&self, f: &mut Func) {
        let total = self.place(f, self.scratch.total);
        let unseen = f.float(self.ty(), HIDDEN);
        self.each_row(f, |f, r, places| {
            let scores = self.scores(f, r, places, unseen);
            if self.attend.spec.normaliser == Normaliser::None {
                return;
            }
            let sum = fold(f, &scores, Func::add);
            let p = self.total(f, total, r);
            let old = f.load(p, self.ty());
            let new = f.add(old, sum);
            f.store(new, p);
        });
    }

    /// Scores compete with those of earlier pages.
    fn best(&self, f: &mut Func, best: Best) {
        let rows = self.place(f, self.scratch.sums);
        let unseen = f.float(self.ty(), f32::NEG_INFINITY);
        let size = f.i64(PAGE as i64);
        let position = f.mul(self.args.page, size);
        self.each_row(f, |f, r, places| {
            self.scores(f, r, places, unseen);
            let row = f.add(self.args.at, r);
            let row = best.row(f, rows, row);
            best.insert_all(self.attend, f, row, (places[0], PAGE), position);
        });
    }

    fn total(&self, f: &mut Func, total: Val, r: Val) -> Val {
        let row = f.add(self.args.at, r);
        row_at(f, total, row, self.lanes() as usize)
    }

    /// Scores of a row, stored where they differ from the products; `unseen` in place of keys that it does not see.
    fn scores(&self, f: &mut Func, r: Val, places: &[Val], unseen: Val) -> Vec<Val> {
        let products: Vec<Val> = places.iter().map(|p| f.load(*p, self.ty())).collect();
        let spec = &self.attend.spec;
        if spec.score.is_none() && self.mask == Mask::Open {
            return products;
        }
        let row = Row::new(self, f, r);
        let mut out = Vec::new();
        for (n, product) in products.into_iter().enumerate() {
            let start = n * self.lanes() as usize;
            let streams = row.key_streams(self, f, start);
            let pair = row.pair(self, f, (start, product), &streams);
            let mut score = match &spec.score {
                Some(expr) => {
                    let score = pair.real(f, expr);
                    self.in_powers_of_two(f, score)
                }
                None => product,
            };
            if self.mask == Mask::Pairs {
                let seen = self.seen(f, &pair);
                if matches!(spec.normaliser, Normaliser::Sum | Normaliser::None) {
                    // A score that is [`HIDDEN`] by chance becomes the other zero.
                    let zero = f.zero(self.ty());
                    score = f.add(score, zero);
                }
                score = f.select(seen, score, unseen);
            }
            f.store(score, places[n]);
            out.push(score);
        }
        out
    }

    fn in_powers_of_two(&self, f: &mut Func, score: Val) -> Val {
        if self.attend.spec.normaliser != Normaliser::Softmax {
            return score;
        }
        let factor = f.float(score.ty, LOG2_E as f32);
        f.mul(score, factor)
    }

    fn seen(&self, f: &mut Func, pair: &Pair<'_>) -> Val {
        let last = if self.attend.spec.causal {
            pair.query
        } else {
            let tokens = (self.args.position, self.args.count);
            let (end, one) = (self.attend.keys_end(f, self.args.table, tokens), f.i64(1));
            f.sub(end, one)
        };
        let seen = pair.not_behind(f, last);
        match &self.attend.spec.predicate {
            None => seen,
            Some(predicate) => {
                let mask = pair.mask(f, predicate);
                f.and(seen, mask)
            }
        }
    }
}

/// What is the same for all keys of a row.
struct Row<'a> {
    query: Val,
    head: Val,
    query_streams: Vec<Val>,
    /// The page's entries of every key stream, those of the head where it has several.
    streams: Vec<Val>,
    lookups: Vec<Lookup<'a>>,
}

impl<'a> Row<'a> {
    fn new(score: &Score<'a>, f: &mut Func, r: Val) -> Row<'a> {
        let (attend, args) = (score.attend, &score.args);
        let row = f.add(args.first, r);
        let ratio = f.i64(attend.ratio() as i64);
        let (query, head) = (f.udiv(row, ratio), f.urem(row, ratio));
        let token = attend.query_row(f, args.table, query);
        let base = f.mul(args.group, ratio);
        let head = f.add(base, head);
        let pages = attend.spec.key_streams;
        let query_streams = (0..attend.spec.query_streams)
            .map(|n| {
                let pointer = slot(f, args.table, pages + 2 * n, Ty::Ptr);
                let stride = slot(f, args.table, pages + 2 * n + 1, Ty::I64);
                let offset = f.mul(token, stride);
                let offset = if attend.query_widths.get(n).is_some_and(|w| *w > 1) {
                    f.add(offset, head)
                } else {
                    offset
                };
                let p = f.gep(pointer, offset, Scalar::F32);
                f.load(p, Ty::F32)
            })
            .collect();
        let page = attend.slot(f, args.page);
        let widths = attend.key_widths.iter().enumerate();
        let streams = widths.map(|(n, width)| {
            let pointer = slot(f, args.table, n, Ty::Ptr);
            let pointer = row_at(f, pointer, page, width * PAGE);
            if *width > 1 {
                row_at(f, pointer, head, PAGE)
            } else {
                pointer
            }
        });
        let streams = streams.collect();
        Row {
            query: attend.query_position(f, args.table, (args.position, query)),
            head,
            query_streams,
            streams,
            lookups: Lookup::all(attend, f, args.table),
        }
    }

    fn key_streams(&self, score: &Score<'_>, f: &mut Func, start: usize) -> Vec<Val> {
        let load = |stream: &Val| {
            let p = float_at(f, *stream, start);
            f.load(p, score.ty())
        };
        self.streams.iter().map(load).collect()
    }

    fn pair<'b>(
        &'b self,
        score: &'b Score<'_>,
        f: &mut Func,
        (start, product): (usize, Val),
        key_streams: &'b [Val],
    ) -> Pair<'b> {
        let (size, start) = (f.i64(PAGE as i64), f.i64(start as i64));
        let key = f.mul(score.args.page, size);
        Pair {
            tables: score.tables,
            lanes: score.lanes(),
            query: self.query,
            key: f.add(key, start),
            head: self.head,
            score: Some(product),
            query_streams: &self.query_streams,
            key_streams,
            lookups: &self.lookups,
        }
    }
}

/// Vectors joined by pairs.
fn fold(f: &mut Func, values: &[Val], mut join: impl FnMut(&mut Func, Val, Val) -> Val) -> Val {
    let mut values = values.to_vec();
    while values.len() > 1 {
        values = values
            .chunks(2)
            .map(|pair| if let [a, b] = pair { join(f, *a, *b) } else { pair[0] })
            .collect();
    }
    values[0]
}

/// The largest lane; halves are cheaper than lane after lane.
pub(super) fn largest_lane(f: &mut Func, mut v: Val) -> Val {
    while v.ty.lanes() > 1 {
        let half = i64::from(v.ty.lanes() / 2);
        let (low, high): (Vec<i64>, Vec<i64>) = ((0..half).collect(), (half..2 * half).collect());
        let (low, high) = (f.shuffle(v, v, &low), f.shuffle(v, v, &high));
        v = f.max(low, high);
    }
    f.extract(v, 0)
}

/// `2^x` for `x <= 0` to some 2e-7, a fit of degree 5; 0 below 2^-126. NaN gives NaN.
pub(super) fn exp2(f: &mut Func, x: Val) -> Val {
    let ty = x.ty;
    let (low, magic) = (f.float(ty, -127.0), f.float(ty, MAGIC));
    let x = f.max(low, x);
    let shifted = f.add(x, magic);
    let n = f.sub(shifted, magic);
    let r = f.sub(x, n);
    let mut p = f.float(ty, EXP2[0]);
    for c in &EXP2[1..] {
        let c = f.float(ty, *c);
        p = f.fma(p, r, c);
    }
    let bits = f.bitcast(shifted, ty.with(Scalar::I32));
    let (bias, places) = (f.int(bits.ty, 127), f.int(bits.ty, 23));
    let bits = f.add(bits, bias);
    let bits = f.shl(bits, places);
    let scale = f.bitcast(bits, ty);
    f.mul(p, scale)
}
