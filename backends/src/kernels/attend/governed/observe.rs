//! Queries of the last tokens, and the weights that they give.

use super::{
    super::{
        blocks::Block,
        layout::{PAGE, Strided, float_at, row_at},
        ticks::Chunk,
    },
    Governed,
    append::NewRows,
    args::Args,
    entries::Numbers,
    expr::POSITION,
    run::{RowBlock, Rows},
    states::Word,
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};

/// The last rows of the buffer of queries.
#[derive(Clone, Copy)]
pub(super) struct LastQueries {
    pub(super) rows: Strided,
    pub(super) count: Val,
}

/// Where query streams are copied from.
#[derive(Clone, Copy)]
enum Origin {
    /// The rows of the tokens at hand.
    Tokens(Val),
    /// The buffer of queries.
    Buffer(Val),
}

impl Governed<'_> {
    /// Floats of a token in the buffer: its queries, then for each query stream that is kept a number of each head.
    pub(super) fn queries_stride(&self) -> usize {
        self.attend.heads * (self.attend.key_dim + self.kept_streams())
    }

    /// Query streams of the layer by which weights are computed again.
    fn kept_streams(&self) -> usize {
        if self.observed.is_empty() {
            return 0;
        }
        self.attend.spec.query_streams
    }

    /// Pointer to a kept query stream of a token, a number of each head, from the token's row of the buffer.
    fn stream_at(&self, f: &mut Func, row: Val, stream: usize) -> Val {
        float_at(f, row, self.attend.heads * (self.attend.key_dim + stream))
    }

    /// Copies a key head's query streams of row `from` of the tokens, or of the buffer, into row `to` of the buffer.
    fn keep_streams(&self, f: &mut Func, args: &Args, group: Val, from: Origin, to: Val) {
        let ratio = f.i64(self.attend.ratio() as i64);
        let (first, one) = (f.mul(group, ratio), f.i64(1));
        let behind = f.add(first, ratio);
        let to = row_at(f, args.queries, to, self.queries_stride());
        for stream in 0..self.kept_streams() {
            let to = self.stream_at(f, to, stream);
            f.for_loop(first..behind, one, &[], |f, head, _| {
                let x = match from {
                    Origin::Tokens(row) => self.layer_stream(f, args, [head, row], stream),
                    Origin::Buffer(row) => {
                        let row = row_at(f, args.queries, row, self.queries_stride());
                        let row = self.stream_at(f, row, stream);
                        let p = f.gep(row, head, Scalar::F32);
                        f.load(p, Ty::F32)
                    }
                };
                let p = f.gep(to, head, Scalar::F32);
                f.store(x, p);
                Vec::new()
            });
        }
    }

    /// The kept query streams become those of the sights of earlier queries.
    fn fill_earlier_streams(&self, f: &mut Func, args: &Args, last: LastQueries) {
        for stream in 0..self.kept_streams() {
            let base = self.stream_at(f, last.rows.base, stream);
            for (at, value) in [base, last.rows.stride].into_iter().enumerate() {
                let slot = f.i64((self.streams() + 2 * stream + at) as i64);
                let p = f.gep(args.observed, slot, Scalar::I64);
                f.store(value, p);
            }
        }
    }

    /// Floats of one key head's queries of a token.
    fn queries_width(&self) -> usize {
        self.attend.ratio() * self.attend.key_dim
    }

    /// Pointer to a key head's queries in row `row` of the buffer.
    fn query_at(&self, f: &mut Func, args: &Args, group: Val, row: Val) -> Val {
        let row = row_at(f, args.queries, row, self.queries_stride());
        row_at(f, row, group, self.queries_width())
    }

    /// Keeps the queries of the last of some rows.
    pub(super) fn keep_queries(&self, f: &mut Func, args: &Args, new: NewRows) {
        let most = self.policy.queries();
        if most == 0 {
            return;
        }
        let (zero, most, room) = (f.i64(0), f.i64(most as i64), f.i64(2 * most as i64));
        let count = f.sub(new.end, new.first);
        let count = f.min(count, most);
        let filled = self.load_word(f, args.words, new.group, Word::Queries);
        let needed = f.add(filled, count);
        let full = f.cmp(Cmp::Gt, needed, room);
        let kept = f.min(filled, most);
        let moved = f.sub(filled, kept);
        f.if_then(full, |f| {
            // To the front: what is read is never written before.
            f.for_each(zero, kept, 1, |f, row| {
                let from = f.add(moved, row);
                let (from, to) = (
                    self.query_at(f, args, new.group, from),
                    self.query_at(f, args, new.group, row),
                );
                self.copy_queries(f, from, to);
            });
            f.for_each(zero, kept, 1, |f, row| {
                let from = f.add(moved, row);
                self.keep_streams(f, args, new.group, Origin::Buffer(from), row);
            });
        });
        let filled = f.select(full, kept, filled);
        let first = f.sub(new.end, count);
        let q = self.queries(args);
        f.for_each(zero, count, 1, |f, n| {
            let (from, to) = (f.add(first, n), f.add(filled, n));
            self.keep_streams(f, args, new.group, Origin::Tokens(from), to);
            let from = q.row(f, from);
            let from = row_at(f, from, new.group, self.queries_width());
            let to = self.query_at(f, args, new.group, to);
            self.copy_queries(f, from, to);
        });
        let (filled, p) = (f.add(filled, count), self.word(f, args.words, new.group, Word::Queries));
        f.store(filled, p);
    }

    fn copy_queries(&self, f: &mut Func, from: Val, to: Val) {
        let (zero, width) = (f.i64(0), f.i64(self.queries_width() as i64));
        f.for_each(zero, width, 1, |f, n| {
            let (from, to) = (f.gep(from, n, Scalar::F32), f.gep(to, n, Scalar::F32));
            let x = f.load(from, Ty::F32);
            f.store(x, to);
        });
    }

    /// The last `most` tokens' queries.
    pub(super) fn last_queries(&self, f: &mut Func, args: &Args, group: Val, most: usize) -> LastQueries {
        let (filled, most) = (self.load_word(f, args.words, group, Word::Queries), f.i64(most as i64));
        let count = f.min(filled, most);
        let first = f.sub(filled, count);
        LastQueries {
            rows: Strided {
                base: row_at(f, args.queries, first, self.queries_stride()),
                stride: f.i64(self.queries_stride() as i64),
            },
            count,
        }
    }

    /// Stores for each entry the sum of the weights that the last tokens' queries give it in array `to`.
    pub(super) fn seen(&self, f: &mut Func, numbers: &Numbers, row: Val, most: usize, to: usize) {
        let args = &numbers.args;
        let last = self.last_queries(f, args, numbers.group, most);
        self.earlier_numbers(f, args, row, last.count);
        self.fill_earlier_streams(f, args, last);
        let (one, none) = (f.i64(1), f.zero(self.vector()));
        let entries = f.add(numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let p = self.vector_of(f, args, to, numbers.group, at);
            f.store(none, p);
        });
        let rows = Rows {
            args: *args,
            queries: last.rows,
            table: args.observed,
            chunk: Chunk {
                position: f.sub(entries, last.count),
                count: last.count,
            },
        };
        let (zero, ratio) = (f.i64(0), f.i64(self.attend.ratio() as i64));
        let all = f.mul(last.count, ratio);
        self.each_block(f, zero, all, |f, first, count| {
            let block = Block {
                group: numbers.group,
                first,
                rows: count,
            };
            let at = RowBlock { rows, block };
            let observed: Vec<&super::Attend> = self.observed.iter().collect();
            self.attend_block(f, &observed, at);
            self.inverses(f, args, block);
            let tokens = f.udiv(count, ratio);
            self.each_page_of_weights(f, &observed, at, entries, |f, page| {
                let weights = float_at(f, args.scratch, self.extra().weights);
                f.for_each(zero, tokens, 1, |f, token| {
                    let weights = row_at(f, weights, token, PAGE);
                    let size = f.i64(PAGE as i64);
                    f.for_each(zero, size, i64::from(self.attend.lanes()), |f, start| {
                        let p = f.gep(weights, start, Scalar::F32);
                        let weight = f.load(p, self.vector());
                        let at = super::entries::Lanes { page, start };
                        let p = self.vector_of(f, args, to, numbers.group, at);
                        let sum = f.load(p, self.vector());
                        let sum = f.add(sum, weight);
                        f.store(sum, p);
                    });
                });
            });
        });
    }

    /// The numbers of the cache at `row` for the `count` last tokens, with their positions.
    fn earlier_numbers(&self, f: &mut Func, args: &Args, row: Val, count: Val) {
        let (zero, one) = (f.i64(0), f.i64(1));
        let from = Numbers::row(self, f, args.scratch, row);
        let all = float_at(f, args.scratch, self.extra().earlier);
        f.for_each(zero, count, 1, |f, n| {
            let to = row_at(f, all, n, self.numbers());
            for number in 0..self.numbers() {
                let p = float_at(f, from, number);
                let x = f.load(p, Ty::F32);
                let x = if number == POSITION {
                    let after = f.add(n, one);
                    let ago = f.sub(count, after);
                    let ago = f.convert(Cast::SignedToFloat, ago, Scalar::F32);
                    f.sub(x, ago)
                } else {
                    x
                };
                let p = float_at(f, to, number);
                f.store(x, p);
            }
        });
    }
}
