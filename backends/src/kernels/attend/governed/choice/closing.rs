//! Definitions of a block that is closed, for a query head: numbers of its entries, of its channels, and of itself.

use super::super::{
    super::{
        layout::{float_at, row_at},
        pair::Pair,
    },
    Governed,
    define::{identity, joined},
    entries::{Numbers, count_of, scalar},
};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Val},
    kernels::{lanes::fold, math::emit_unary},
};
use seqc_ir::{
    PairExpr, PairLeaf, ReduceOp, UnaryOp,
    policy::{Blocks, CHANNEL, Kind, MEMORIES, SLOT},
};

/// A block for a query head.
pub(super) struct Closing<'a> {
    pub(super) governed: &'a Governed<'a>,
    pub(super) blocks: &'a Blocks,
    pub(super) numbers: Numbers,
    /// Slot of its first entry.
    pub(super) start: Val,
}

/// Which number of the block is meant.
#[derive(Clone, Copy)]
struct Of {
    /// Number of the entry in the block.
    entry: Option<Val>,
    /// The first of a vector of channels.
    channel: Option<Val>,
    /// What [`PairExpr::Score`] is.
    score: Option<Val>,
}

impl Closing<'_> {
    /// Computes a definition into scratch.
    pub(super) fn define(&self, f: &mut Func, n: usize) {
        match &self.blocks.closing[n].kind {
            Kind::Entry(e) => self.each_entry(f, |f, entry| {
                let x = self.of_entry(f, entry, e);
                self.store_entry(f, n, entry, x);
            }),
            Kind::Over { of, how, among } => {
                let none = f.f32(identity(*how) as f32);
                let found = self.over_entries(f, &[none], |f, entry, found| {
                    let (x, counts) = (self.of_entry(f, entry, of), self.holds(f, entry, among));
                    let x = f.select(counts, x, none);
                    vec![joined(f, *how, x, found[0])]
                });
                let x = or_zero(f, *how, found[0]);
                let p = self.number_at(f, n);
                f.store(x, p);
            }
            Kind::Top { by, count, among, .. } => self.top(f, n, [by, count, among]),
            Kind::VectorSum { of, values } => self.each_entry(f, |f, entry| {
                let x = self.vector_sum(f, entry, of, *values);
                self.store_entry(f, n, entry, x);
            }),
            Kind::Channel(e) => self.each_channels(f, |f, channel| {
                let of = Of {
                    entry: None,
                    channel: Some(channel),
                    score: None,
                };
                let x = self.in_channels(f, of, e);
                self.store_channels(f, n, channel, x);
            }),
            Kind::Fold { of, how, among, values } => {
                let choice = self.governed.extra().choice;
                let rows = if *values { choice.values } else { choice.keys };
                self.each_channels(f, |f, channel| {
                    let none = f.float(self.governed.vector(), identity(*how) as f32);
                    let found = self.over_entries(f, &[none], |f, entry, found| {
                        let score = self.row_vector(f, rows, entry, channel);
                        let at = Of {
                            entry: Some(entry),
                            channel: Some(channel),
                            score: Some(score),
                        };
                        let (x, counts) = (self.in_channels(f, at, of), self.holds(f, entry, among));
                        let counts = f.splat(counts, self.governed.attend.lanes());
                        let x = f.select(counts, x, none);
                        vec![joined(f, *how, x, found[0])]
                    });
                    let x = or_zero(f, *how, found[0]);
                    self.store_channels(f, n, channel, x);
                });
            }
            Kind::Within => self.within(f, n),
            // Numbers of all entries, or of queries (law 11).
            _ => {}
        }
    }

    fn size(&self, f: &mut Func) -> Val {
        f.i64(self.blocks.size as i64)
    }

    fn each_entry(&self, f: &mut Func, body: impl FnOnce(&mut Func, Val)) {
        let (zero, size) = (f.i64(0), self.size(f));
        f.for_each(zero, size, 1, body);
    }

    fn over_entries(
        &self,
        f: &mut Func,
        init: &[Val],
        body: impl FnOnce(&mut Func, Val, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let (zero, one, size) = (f.i64(0), f.i64(1), self.size(f));
        f.for_loop(zero..size, one, init, body)
    }

    fn each_channels(&self, f: &mut Func, body: impl FnOnce(&mut Func, Val)) {
        let (zero, width) = (f.i64(0), f.i64(self.governed.attend.key_dim as i64));
        f.for_each(zero, width, i64::from(self.governed.attend.lanes()), body);
    }

    /// The row of an entry's numbers; that behind the last definition is for what is being computed.
    fn entries_at(&self, f: &mut Func, n: usize) -> Val {
        let size = self.blocks.size.next_multiple_of(16);
        float_at(
            f,
            self.numbers.args.scratch,
            self.governed.extra().choice.entries + n * size,
        )
    }

    fn store_entry(&self, f: &mut Func, n: usize, entry: Val, x: Val) {
        let row = self.entries_at(f, n);
        let p = f.gep(row, entry, Scalar::F32);
        f.store(x, p);
    }

    fn load_entry(&self, f: &mut Func, n: usize, entry: Val) -> Val {
        let row = self.entries_at(f, n);
        let p = f.gep(row, entry, Scalar::F32);
        f.load(p, Ty::F32)
    }

    /// Pointer to the numbers of channels of a definition.
    pub(super) fn channels_at(&self, f: &mut Func, n: usize) -> Val {
        let at = self.governed.extra().choice.channels + n * self.governed.width16();
        float_at(f, self.numbers.args.scratch, at)
    }

    fn store_channels(&self, f: &mut Func, n: usize, channel: Val, x: Val) {
        let row = self.channels_at(f, n);
        let p = f.gep(row, channel, Scalar::F32);
        f.store(x, p);
    }

    fn number_at(&self, f: &mut Func, n: usize) -> Val {
        float_at(f, self.numbers.args.scratch, self.governed.extra().choice.numbers + n)
    }

    /// A number of the block.
    pub(super) fn number(&self, f: &mut Func, n: usize) -> Val {
        let p = self.number_at(f, n);
        f.load(p, Ty::F32)
    }

    /// Numbers of an entry's row from a channel on.
    fn row_vector(&self, f: &mut Func, rows: usize, entry: Val, channel: Val) -> Val {
        let row = self.governed.row_of_block(f, &self.numbers.args, rows, entry);
        let p = f.gep(row, channel, Scalar::F32);
        f.load(p, self.governed.vector())
    }

    /// An expression in the coordinates of [`Closing::pair`].
    fn in_coordinates(&self, expr: &PairExpr, of: Of) -> PairExpr {
        let governed = self.governed;
        let first = governed.policy.closing_stream(0);
        let (memories, closing) = (governed.policy.memories.len(), self.blocks.closing.len());
        let last = memories + closing;
        governed.in_coordinates(expr, &|leaf| match leaf {
            PairLeaf::Head => governed.head_of_query(),
            // Lanes are channels: the entry is the same for all.
            PairLeaf::KeyPos if of.channel.is_some() => PairExpr::KeyStream(last + 1),
            PairLeaf::KeyStream(SLOT) if of.channel.is_some() => PairExpr::KeyStream(last + 1),
            PairLeaf::KeyStream(CHANNEL) => PairExpr::KeyStream(last),
            PairLeaf::KeyStream(SLOT) => PairExpr::KeyPos,
            PairLeaf::KeyStream(n) if n >= first => PairExpr::KeyStream(memories + n - first),
            PairLeaf::KeyStream(n) => PairExpr::KeyStream(n - MEMORIES),
            other => other.into(),
        })
    }

    /// What expressions of an entry, or of channels, are computed from.
    fn pair(&self, f: &mut Func, of: Of) -> Pair<'_> {
        let governed = self.governed;
        let lanes = if of.channel.is_some() {
            governed.attend.lanes()
        } else {
            1
        };
        let wide = |f: &mut Func, x: Val| if lanes > 1 { f.splat(x, lanes) } else { x };
        let (zero, none) = (f.i64(0), f.f32(0.0));
        let slot = of.entry.map_or(zero, |entry| f.add(self.start, entry));
        let mut streams = Vec::new();
        for (n, memory) in governed.policy.memories.iter().enumerate() {
            let row = if memory.each {
                self.numbers.head
            } else {
                self.numbers.group
            };
            let x = match of.entry {
                Some(_) => {
                    let p = governed.number_of(f, &self.numbers.args, governed.first_memory() + n, row, slot);
                    f.load(p, Ty::F32)
                }
                None => none,
            };
            streams.push(wide(f, x));
        }
        for (n, definition) in self.blocks.closing.iter().enumerate() {
            let x = match (&definition.kind, of.channel, of.entry) {
                (Kind::Over { .. }, ..) => self.number(f, n),
                (kind, Some(channel), _) if kind.of_channels() => {
                    let row = self.channels_at(f, n);
                    let p = f.gep(row, channel, Scalar::F32);
                    streams.push(f.load(p, governed.vector()));
                    continue;
                }
                (kind, _, Some(entry)) if !kind.of_channels() => self.load_entry(f, n, entry),
                _ => none,
            };
            streams.push(wide(f, x));
        }
        if let Some(channel) = of.channel {
            let first = f.convert(Cast::SignedToFloat, channel, Scalar::F32);
            let first = f.splat(first, lanes);
            let numbers: Vec<f32> = (0..lanes).map(|n| n as f32).collect();
            let numbers = f.float_lanes(&numbers);
            streams.push(f.add(first, numbers));
            let slot = f.convert(Cast::SignedToFloat, slot, Scalar::F32);
            streams.push(f.splat(slot, lanes));
        }
        self.numbers.pair(lanes, slot, of.score, streams)
    }

    fn of_entry(&self, f: &mut Func, entry: Val, e: &PairExpr) -> Val {
        let of = Of {
            entry: Some(entry),
            channel: None,
            score: None,
        };
        let x = self.pair(f, of).number(f, &self.in_coordinates(e, of));
        scalar(f, x)
    }

    fn holds(&self, f: &mut Func, entry: Val, e: &PairExpr) -> Val {
        let of = Of {
            entry: Some(entry),
            channel: None,
            score: None,
        };
        let x = self.pair(f, of).truth(f, &self.in_coordinates(e, of));
        scalar(f, x)
    }

    fn in_channels(&self, f: &mut Func, of: Of, e: &PairExpr) -> Val {
        self.pair(f, of).real(f, &self.in_coordinates(e, of))
    }

    /// The sum over channels of a function of an entry's key or value.
    fn vector_sum(&self, f: &mut Func, entry: Val, e: &PairExpr, values: bool) -> Val {
        let attend = self.governed.attend;
        let (lanes, choice) = (attend.lanes(), self.governed.extra().choice);
        let (rows, width) = match values {
            true => (choice.values, attend.value_dim),
            false => (choice.keys, attend.key_dim),
        };
        let (zero, width) = (f.i64(0), f.i64(width as i64));
        let (step, none) = (f.i64(i64::from(lanes)), f.zero(self.governed.vector()));
        let sum = f.for_loop(zero..width, step, &[none], |f, channel, sum| {
            let score = self.row_vector(f, rows, entry, channel);
            let of = Of {
                entry: Some(entry),
                channel: Some(channel),
                score: Some(score),
            };
            let x = self.in_channels(f, of, e);
            let left = f.sub(width, channel);
            let inside = f.tail_mask(left, lanes);
            let x = f.select(inside, x, none);
            vec![f.add(sum[0], x)]
        });
        f.reduce_add(sum[0])
    }

    /// 1 for the entries with the largest values: those before which fewer come.
    fn top(&self, f: &mut Func, n: usize, [by, count, among]: [&PairExpr; 3]) {
        let values = self.blocks.closing.len();
        // What is no number does not compete.
        let none = f.f32(f32::NAN);
        self.each_entry(f, |f, entry| {
            let (x, counts) = (self.of_entry(f, entry, by), self.holds(f, entry, among));
            let x = f.select(counts, x, none);
            self.store_entry(f, values, entry, x);
        });
        let count = self.numbers.number(f, self.governed, count);
        let count = count_of(f, count);
        self.each_entry(f, |f, entry| {
            let own = self.load_entry(f, values, entry);
            let zero = f.i64(0);
            let before = self.over_entries(f, &[zero], |f, other, before| {
                let x = self.load_entry(f, values, other);
                let (more, equal) = (f.cmp(Cmp::Gt, x, own), f.cmp(Cmp::Eq, x, own));
                let earlier = f.cmp(Cmp::Lt, other, entry);
                let equal = f.and(equal, earlier);
                let more = f.or(more, equal);
                let more = f.convert(Cast::ZeroExtend, more, Scalar::I64);
                vec![f.add(before[0], more)]
            });
            let (chosen, number) = (f.cmp(Cmp::Lt, before[0], count), f.cmp(Cmp::Eq, own, own));
            let chosen = f.and(chosen, number);
            let chosen = f.convert(Cast::UnsignedToFloat, chosen, Scalar::F32);
            self.store_entry(f, n, entry, chosen);
        });
    }

    /// Weights that the queries of the block's tokens give its entries.
    fn within(&self, f: &mut Func, n: usize) {
        let governed = self.governed;
        let (args, attend) = (&self.numbers.args, governed.attend);
        let none = f.f32(0.0);
        self.each_entry(f, |f, entry| self.store_entry(f, n, entry, none));
        let most = self.blocks.size + self.blocks.behind;
        let last = governed.last_queries(f, args, self.numbers.group, most);
        // The last row is the query of the row's own token.
        let (one, behind) = (f.i64(1), f.sub(self.numbers.query, self.start));
        let behind = f.add(behind, one);
        let first = f.sub(last.count, behind);
        let scale = f.f32(attend.spec.scale as f32);
        self.each_entry(f, |f, token| {
            let row = f.add(first, token);
            let row = last.rows.row(f, row);
            let row = row_at(f, row, self.numbers.head, attend.key_dim);
            let query = governed.padded_query(f, args, row);
            if let Some(turn) = governed.policy.turn {
                let place = f.convert(Cast::SignedToFloat, token, Scalar::F32);
                governed.turn_row(f, args, turn, query, place);
            }
            let values = self.blocks.closing.len();
            let least = f.f32(f32::NEG_INFINITY);
            let largest = self.over_entries(f, &[least], |f, entry, largest| {
                let x = self.product(f, query, entry);
                let x = f.mul(x, scale);
                self.store_entry(f, values, entry, x);
                vec![f.max(largest[0], x)]
            });
            let total = self.over_entries(f, &[none], |f, entry, total| {
                let x = self.load_entry(f, values, entry);
                let x = f.sub(x, largest[0]);
                let x = emit_unary(f, UnaryOp::Exp, x);
                self.store_entry(f, values, entry, x);
                vec![f.add(total[0], x)]
            });
            self.each_entry(f, |f, entry| {
                let x = self.load_entry(f, values, entry);
                let x = f.div(x, total[0]);
                let old = self.load_entry(f, n, entry);
                let x = f.add(old, x);
                self.store_entry(f, n, entry, x);
            });
        });
    }

    /// The product of a query with the key of an entry, both turned by their places.
    fn product(&self, f: &mut Func, query: Val, entry: Val) -> Val {
        let lanes = self.governed.attend.lanes();
        let placed = self.governed.extra().choice.placed;
        let starts = (0..self.governed.attend.key_dim).step_by(lanes as usize);
        let sums: Vec<Val> = starts
            .map(|start| {
                let p = float_at(f, query, start);
                let q = f.load(p, self.governed.vector());
                let at = f.i64(start as i64);
                let k = self.row_vector(f, placed, entry, at);
                f.mul(q, k)
            })
            .collect();
        let sum = fold(f, &sums, Func::add);
        f.reduce_add(sum)
    }
}

/// A reduction; 0 where there was nothing to be reduced.
fn or_zero(f: &mut Func, how: ReduceOp, found: Val) -> Val {
    let (empty, none) = (f.float(found.ty, identity(how) as f32), f.zero(found.ty));
    let nothing = f.cmp(Cmp::Eq, found, empty);
    f.select(nothing, none, found)
}
