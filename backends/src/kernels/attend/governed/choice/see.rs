//! A query head attends to what its sights show it: vectors of entries, with a running maximum and a running sum.

use super::super::{
    super::{
        layout::{PAGE, float_at, load, row_at, store, vectors},
        split_kv,
    },
    Governed,
    args::Args,
    entries::{Lanes, Numbers},
    turn,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_ir::{
    PairExpr,
    policy::{CLOSED, RANK, SHOWN, Sight, Turn},
};

/// Floats that are carried from span to span.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// The largest score, in powers of two.
    Largest = 0,
    /// The sum of weights.
    Total = 1,
    /// Entries of the sight that are shown.
    Shown = 2,
    /// Those before the span.
    Rank = 3,
    /// The distance by which the query in scratch is turned ([`super::turned`]); minus infinity for none.
    Turned = 4,
}

/// What is done with the entries that are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// They are counted.
    Count = 0,
    /// Their values are added up.
    Sum = 1,
    /// Their weights are stored.
    Give = 2,
}

/// One query head at one row.
#[derive(Clone, Copy)]
struct Seeing {
    args: Args,
    head: Val,
    row: Val,
    /// Blocks among which it could choose, where a choice holds for several tokens.
    known: Val,
}

impl Governed<'_> {
    /// Adds `fn NAME_see(arguments…, head, row, known)`: the result of a query head that could choose from `known` blocks, and the weights that it gives.
    pub(super) fn add_see(&self, module: &mut Module) {
        for n in 0..self.policy.sights.len() {
            self.add_span(module, n, false);
            if self.blocks_policy().is_some() {
                self.add_span(module, n, true);
            }
        }
        let (mut function, args, own) = self.function("see", &[Ty::I64; 3]);
        let f = &mut function;
        let seeing = Seeing {
            args,
            head: own[0],
            row: own[1],
            known: own[2],
        };
        let numbers = self.numbers_of_head(f, &args, own[0], own[1]);
        let (least, none) = (f.f32(f32::NEG_INFINITY), f.f32(0.0));
        self.note(f, &args, Found::Largest, least);
        self.note(f, &args, Found::Total, none);
        let sums = float_at(f, args.scratch, self.extra().choice.sums);
        let empty = f.zero(self.vector());
        vectors(f, self.attend.lanes(), self.attend.value_width(), |f, start, _| {
            let p = float_at(f, sums, start);
            f.store(empty, p);
        });
        self.each_sight(f, seeing, &numbers, Pass::Sum);
        self.write_result(f, &args, own[0], own[1]);
        if !self.policy.memories.is_empty() {
            self.clear_given(f, &args, own[0], numbers.last);
            self.each_sight(f, seeing, &numbers, Pass::Give);
        }
        module.add(function);
    }

    /// Numbers of entries for a query head at a row.
    pub(super) fn numbers_of_head(&self, f: &mut Func, args: &Args, head: Val, row: Val) -> Numbers {
        let ratio = f.i64(self.attend.ratio() as i64);
        let (group, own) = (f.udiv(head, ratio), f.add(args.position, row));
        self.numbers_after(f, args, group, row, own).with_head(head)
    }

    fn note_at(&self, f: &mut Func, args: &Args, what: Found) -> Val {
        float_at(f, args.scratch, self.extra().choice.found + what as usize)
    }

    pub(super) fn note(&self, f: &mut Func, args: &Args, what: Found, x: Val) {
        let p = self.note_at(f, args, what);
        f.store(x, p);
    }

    pub(super) fn noted(&self, f: &mut Func, args: &Args, what: Found) -> Val {
        let p = self.note_at(f, args, what);
        f.load(p, Ty::F32)
    }

    fn each_sight(&self, f: &mut Func, seeing: Seeing, numbers: &Numbers, pass: Pass) {
        let args = &seeing.args;
        for (n, sight) in self.policy.sights.iter().enumerate() {
            let shows = self.may_show(f, numbers, sight);
            f.if_then(shows, |f| {
                let none = f.f32(0.0);
                if reads(&sight.query, &PairExpr::QueryStream(SHOWN)) {
                    self.note(f, args, Found::Shown, none);
                    self.note(f, args, Found::Rank, none);
                    self.each_span(f, seeing, numbers, n, Pass::Count);
                }
                self.note(f, args, Found::Rank, none);
                self.load_seeing_query(f, seeing, numbers, sight);
                self.each_span(f, seeing, numbers, n, pass);
            });
        }
    }

    /// The scaled query, turned where keys stand at one position for all entries.
    fn load_seeing_query(&self, f: &mut Func, seeing: Seeing, numbers: &Numbers, sight: &Sight) {
        let args = &seeing.args;
        let at = match (self.policy.turn, sight.key.constant()) {
            (Some(_), Some(key)) => {
                let query = self.position_of_sight(f, args, numbers, sight);
                let key = f.f32(key as f32);
                Some(f.sub(query, key))
            }
            _ => None,
        };
        self.load_query(f, args, seeing.head, seeing.row, at);
        let nothing = f.f32(f32::NEG_INFINITY);
        self.note(f, args, Found::Turned, nothing);
        if let (Some(turn), Some(_)) = (self.policy.turn, at) {
            // As keys have it, too.
            self.magnify_query(f, args, turn);
        }
    }

    /// The position at which a sight's query stands.
    pub(super) fn position_of_sight(&self, f: &mut Func, args: &Args, numbers: &Numbers, sight: &Sight) -> Val {
        let shown = self.noted(f, args, Found::Shown);
        numbers.clone().with_shown(shown).number(f, self, &sight.query)
    }

    /// Copies a query into scratch, turned to a position where there is one.
    pub(super) fn load_query(&self, f: &mut Func, args: &Args, head: Val, row: Val, at: Option<Val>) {
        let attend = self.attend;
        let from = self.queries(args).row(f, row);
        let from = row_at(f, from, head, attend.key_dim);
        let to = self.padded_query(f, args, from);
        if let (Some(turn), Some(at)) = (self.policy.turn, at) {
            self.turn_row(f, args, turn, to, at);
        }
    }

    fn magnify_query(&self, f: &mut Func, args: &Args, turn: Turn) {
        if turn.magnitude == 1.0 {
            return;
        }
        let query = float_at(f, args.scratch, self.extra().choice.query);
        let (zero, pairs) = (f.i64(0), f.i64(turn.pairs as i64));
        let magnitude = f.f32(turn.magnitude as f32);
        f.for_each(zero, pairs, 1, |f, pair| {
            for channel in <[Val; 2]>::from(turn::channels(f, turn, pair)) {
                let p = f.gep(query, channel, Scalar::F32);
                let x = f.load(p, Ty::F32);
                let x = f.mul(x, magnitude);
                f.store(x, p);
            }
        });
    }

    /// Spans of entries in the order of slots: those before the first block, those of each closed block, those behind.
    fn each_span(&self, f: &mut Func, seeing: Seeing, numbers: &Numbers, n: usize, pass: Pass) {
        let args = &seeing.args;
        let (zero, one) = (f.i64(0), f.i64(1));
        let entries = f.add(numbers.last, one);
        let pass = f.i64(pass as i64);
        let outside = |f: &mut Func, low: Val, high: Val| {
            let some = f.cmp(Cmp::Lt, low, high);
            f.if_then(some, |f| {
                let own = [seeing.head, seeing.row, low, high, zero, pass];
                self.call(f, &format!("span{n}"), args, &own);
            });
        };
        let sight = &self.policy.sights[n];
        let divided = self.blocks_policy().filter(|_| {
            let seen = sight.seen.as_ref();
            seen.is_some_and(|e| self.policy.reads_choice(e) || reads(e, &PairExpr::KeyStream(CLOSED)))
        });
        let Some(blocks) = divided else {
            return outside(f, zero, entries);
        };
        let first = f.i64(blocks.first as i64);
        let first = f.min(first, entries);
        outside(f, zero, first);
        let count = match self.choices_last() {
            true => seeing.known,
            false => self.blocks_after(f, numbers.last),
        };
        let size = f.i64(blocks.size as i64);
        let inside = |f: &mut Func, block: Val| {
            let low = f.mul(block, size);
            let low = f.add(low, first);
            let high = f.add(low, size);
            let own = [seeing.head, seeing.row, low, high, block, pass];
            self.call(f, &format!("closed{n}"), args, &own);
        };
        let skips = sight.seen.as_ref().is_some_and(|e| self.skips_unchosen(e));
        if skips {
            self.each_chosen(f, args, seeing.head, count, sight, inside);
        } else {
            f.for_each(zero, count, 1, inside);
        }
        let closed = f.mul(count, size);
        let behind = f.add(first, closed);
        outside(f, behind, entries);
    }

    /// Whether entries of a closed block of which all numbers are 0 are not seen.
    fn skips_unchosen(&self, seen: &PairExpr) -> bool {
        let chosen = self.policy.choosing_stream(0);
        let unchosen = seen.substitute(&|leaf| match leaf {
            seqc_ir::PairLeaf::KeyStream(CLOSED) => PairExpr::Const(1.0),
            seqc_ir::PairLeaf::KeyStream(n) if n >= chosen => PairExpr::Const(0.0),
            other => other.into(),
        });
        unchosen.simplified().constant() == Some(0.0)
    }

    /// Code for each block of which a number that a sight reads is not 0.
    #[expect(clippy::too_many_arguments, reason = "the blocks of a query head, and the sight")]
    fn each_chosen(
        &self,
        f: &mut Func,
        args: &Args,
        head: Val,
        count: Val,
        sight: &Sight,
        body: impl FnOnce(&mut Func, Val),
    ) {
        let read = self.choices_read(sight);
        let blocks = Args {
            table: args.blocks,
            ..*args
        };
        let (zero, size, lanes) = (f.i64(0), f.i64(PAGE as i64), i64::from(self.attend.lanes()));
        let pages = f.ceil_div(count, size);
        let step = f.i64(lanes);
        let mut body = Some(body);
        f.for_each(zero, pages, 1, |f, page| {
            f.for_each(zero, size, lanes, |f, start| {
                let at = Lanes { page, start };
                let none = f.zero(self.vector());
                let mut some = None;
                for (_, array) in &read {
                    let p = self.vector_of(f, &blocks, *array, head, at);
                    let x = f.load(p, self.vector());
                    let x = f.cmp(Cmp::Ne, x, none);
                    some = Some(some.map_or(x, |some| f.or(some, x)));
                }
                let Some(some) = some else { return };
                let before = f.mul(page, size);
                let before = f.add(before, start);
                let left = f.sub(count, before);
                let inside = f.tail_mask(left, self.attend.lanes());
                let some = f.and(some, inside);
                let any = self.count_of_mask(f, some);
                let none = f.f32(0.0);
                let any = f.cmp(Cmp::Gt, any, none);
                f.if_then(any, |f| {
                    let end = f.min(left, step);
                    let end = f.add(before, end);
                    f.for_each(before, end, 1, |f, block| {
                        let mut some = f.i1(false);
                        for (_, array) in &read {
                            let p = self.number_of(f, &blocks, *array, head, block);
                            let x = f.load(p, Ty::F32);
                            let x = f.cmp(Cmp::Ne, x, none);
                            some = f.or(some, x);
                        }
                        f.if_then(some, |f| {
                            if let Some(body) = body.take() {
                                body(f, block);
                            }
                        });
                    });
                });
            });
        });
    }

    /// Definitions of [`seqc_ir::policy::Blocks::choosing`] that a sight reads, with their arrays.
    pub(super) fn choices_read(&self, sight: &Sight) -> Vec<(usize, usize)> {
        let arrays = self.block_arrays();
        let closing = arrays.of.len() - arrays.raw.len();
        let first = self.policy.choosing_stream(0);
        let reads = |n: &usize| sight.seen.iter().any(|e| reads(e, &PairExpr::KeyStream(first + n)));
        let read = (0..arrays.raw.len()).filter(reads);
        read.filter_map(|n| Some((n, arrays.of[closing + n]?))).collect()
    }

    /// How many lanes of a mask are set, as f32.
    pub(super) fn count_of_mask(&self, f: &mut Func, mask: Val) -> Val {
        let (one, none) = (f.float(self.vector(), 1.0), f.zero(self.vector()));
        let counted = f.select(mask, one, none);
        f.reduce_add(counted)
    }

    /// The sums divided by the sum of weights.
    fn write_result(&self, f: &mut Func, args: &Args, head: Val, row: Val) {
        let (attend, lanes) = (self.attend, self.attend.lanes());
        let total = self.noted(f, args, Found::Total);
        let inverse = split_kv::inverse_of(f, total);
        self.note(f, args, Found::Total, inverse);
        let inverse = f.splat(inverse, lanes);
        let from = float_at(f, args.scratch, self.extra().choice.sums);
        let stride = args.out_stride;
        let to = f.mul(row, stride);
        let to = f.gep(args.out, to, Scalar::F32);
        let to = row_at(f, to, head, attend.value_dim);
        vectors(f, lanes, attend.value_dim, |f, start, mask| {
            let p = float_at(f, from, start);
            let x = load(f, p, lanes, None);
            let x = f.mul(x, inverse);
            let p = float_at(f, to, start);
            store(f, x, p, mask);
        });
    }

    /// A query's row in scratch, with zeros behind its channels.
    pub(super) fn padded_query(&self, f: &mut Func, args: &Args, from: Val) -> Val {
        let to = float_at(f, args.scratch, self.extra().choice.query);
        let (lanes, width) = (self.attend.lanes(), self.attend.key_dim);
        for start in (0..width.next_multiple_of(16)).step_by(lanes as usize) {
            let left = f.i64(width.saturating_sub(start) as i64);
            let inside = f.tail_mask(left, lanes);
            let p = float_at(f, from, start);
            let x = f.masked_load(p, inside, self.vector());
            let p = float_at(f, to, start);
            f.store(x, p);
        }
        to
    }

    /// Turns a row in place.
    pub(super) fn turn_row(&self, f: &mut Func, args: &Args, turn: Turn, row: Val, position: Val) {
        let (zero, pairs) = (f.i64(0), f.i64(turn.pairs as i64));
        f.for_each(zero, pairs, 1, |f, pair| {
            let p = f.gep(args.angles, pair, Scalar::F32);
            let angle = f.load(p, Ty::F32);
            let (a, b) = turn::channels(f, turn, pair);
            let (a, b) = (f.gep(row, a, Scalar::F32), f.gep(row, b, Scalar::F32));
            turn::turned(f, turn, [angle, position], [a, b], Ty::F32);
        });
    }
}

/// Whether an expression reads a leaf.
pub(super) fn reads(e: &PairExpr, leaf: &PairExpr) -> bool {
    e.any(&|e| e == leaf)
}

/// Whether positions of a sight are ranks.
pub(super) fn is_ranked(sight: &Sight) -> bool {
    reads(&sight.key, &PairExpr::KeyStream(RANK))
}
