//! Chunks of a recurrence as matrix products (state-space duality, with the WY form for delta rules): heads are split between
//! the threads, each iterates over blocks of tokens. The mathematics is documented in `seqc_passes::plan::chunked`.

mod decay;
mod diagonal;
mod factors;
mod matrix;
mod results;
mod scores;
mod sizes;
mod triangular;

use self::{
    matrix::Matrix,
    sizes::{CORRECTED, Group, Scratch, Sizes},
};
use super::{
    cx::{Cx, Layer},
    slots,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_passes::plan::{Chunked, Correction, Scan, Write};
use std::ops::Range;

/// Adds the kernels that chunked recurrences of a layer call.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module) {
    for sizes in all_sizes(layer) {
        sizes.tiles().iter().for_each(|tile| tile.add(module));
    }
}

/// Bytes of scratch that a thread needs for the chunked recurrences of a layer.
pub(super) fn scratch_bytes(layer: &Layer<'_>) -> usize {
    all_sizes(layer).iter().map(Sizes::scratch_bytes).max().unwrap_or(0)
}

/// Sizes of the layer's chunked recurrences.
fn all_sizes(layer: &Layer<'_>) -> Vec<Sizes> {
    let scans = slots::chunked(&layer.plan.kernels);
    let sizes = |scan: &Scan| scan.products().map(|(form, _)| Sizes::new(layer, scan, form));
    scans.iter().filter_map(sizes).collect()
}

/// Writes one head, given by its number, at some tokens of the chunk.
pub(super) type HeadByTokens<'t> = dyn Fn(&mut Func, Val, Range<Val>) + 't;

/// The same recurrence from token to token.
pub(super) struct ByTokens<'t> {
    /// All heads and tokens.
    pub(super) all: &'t dyn Fn(&mut Func),
    /// Some tokens of one head.
    pub(super) head: &'t HeadByTokens<'t>,
}

/// Writes a recurrence for a whole chunk: matrix products, or token by token where there are few tokens, or where the results
/// of a block are not finite.
pub(super) fn chunk(cx: &Cx<'_>, f: &mut Func, scan: &Scan, by_tokens: &ByTokens<'_>) {
    let Some((form, shortest)) = scan.products() else {
        return (by_tokens.all)(f);
    };
    let recurrence = Recurrence {
        cx,
        scan,
        form,
        sizes: Sizes::new(cx.layer, scan, form),
    };
    let shortest = f.i64(shortest as i64);
    let long = f.cmp(Cmp::Ge, cx.args.count, shortest);
    f.if_else(
        long,
        |f| {
            recurrence.blocks(f, by_tokens);
            Vec::new()
        },
        |f| {
            (by_tokens.all)(f);
            Vec::new()
        },
    );
}

/// A recurrence that is written as matrix products.
#[derive(Clone, Copy)]
struct Recurrence<'w, 'a> {
    cx: &'w Cx<'a>,
    scan: &'w Scan,
    form: &'w Chunked,
    sizes: Sizes,
}

/// A write of a token, with its number among all of them.
struct Numbered<'w> {
    number: usize,
    write: &'w Write,
}

impl<'w> Recurrence<'w, '_> {
    /// The writes of a group, in order.
    fn group(&self, group: Group) -> Vec<Numbered<'w>> {
        let writes = self.form.writes.iter().enumerate();
        let of_group = writes.filter(|(_, write)| write.correction.is_some() == (group == CORRECTED));
        of_group.map(|(number, write)| Numbered { number, write }).collect()
    }

    /// The corrections of a token, in order.
    fn corrections(&self) -> Vec<&'w Correction> {
        let writes = self.form.writes.iter();
        writes.filter_map(|write| write.correction.as_ref()).collect()
    }

    /// How many writes of a group are among the first `after` ones of a token.
    fn visible(&self, group: Group, after: usize) -> usize {
        self.group(group).iter().filter(|write| write.number < after).count()
    }
}

impl Recurrence<'_, '_> {
    /// Writes all blocks of tokens of this thread's heads. Heads that share keys and queries follow one another, so that only the
    /// first of them computes scores.
    fn blocks(self, f: &mut Func, by_tokens: &ByTokens<'_>) {
        let (cx, sizes) = (self.cx, &self.sizes);
        let base = cx.thread_scratch(f);
        let scratch = Scratch::new(f, base, sizes);
        let heads = f.i64(sizes.heads as i64);
        let mine = f.team_range(cx.args.team(), heads, 1);
        let (zero, block) = (f.i64(0), f.i64(sizes.block as i64));
        let end = f.add(cx.args.first, cx.args.count);
        f.for_each(cx.args.first, end, sizes.block as i64, |f, first| {
            let left = f.sub(end, first);
            let count = f.min(left, block);
            f.team_for(mine, |f, head| {
                let block = Block {
                    of: self,
                    scratch: &scratch,
                    head,
                    first,
                    count,
                };
                let (start, shared) = (f.cmp(Cmp::Eq, head, mine.low), f.i64(self.form.shared as i64));
                let within = f.urem(head, shared);
                let other = f.cmp(Cmp::Eq, within, zero);
                let new = f.or(start, other);
                f.if_then(new, |f| match sizes.diagonal {
                    true => block.diagonal_scores(f),
                    false => block.scores(f),
                });
                block.head(f, by_tokens);
            });
        });
    }
}

/// One block of tokens of one head.
struct Block<'w, 'a> {
    of: Recurrence<'w, 'a>,
    scratch: &'w Scratch,
    head: Val,
    /// The block's first token, and how many there are.
    first: Val,
    count: Val,
}

impl Block<'_, '_> {
    /// Writes results and the next state of the head. Products multiply what a token does not see by zero, which takes nothing
    /// from NaN or infinity: where a result is not finite, the block is computed token by token instead.
    fn head(&self, f: &mut Func, by_tokens: &ByTokens<'_>) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        sizes.groups().for_each(|group| self.values(f, group));
        let block_decay = match sizes.diagonal {
            true => {
                self.gains(f);
                None
            }
            false => Some(self.decays(f)),
        };
        let own = self.own_state(f);
        let state = if sizes.in_place() { own } else { s.state };
        if !sizes.in_place() {
            self.copy_state(f, own, state, [sizes.n, sizes.p]);
        }
        if sizes.writes[CORRECTED] > 0 {
            self.correct_values(f, state);
        }
        self.results(f, state);
        let finite = self.is_finite(f);
        f.if_else(
            finite,
            |f| {
                self.next_state(f, state, block_decay);
                if !sizes.in_place() {
                    let shape = if sizes.transposed {
                        [sizes.p, sizes.n]
                    } else {
                        [sizes.n, sizes.p]
                    };
                    self.copy_state(f, state, own, shape);
                }
                self.store_outputs(f);
                Vec::new()
            },
            |f| {
                let end = f.add(self.first, self.count);
                (by_tokens.head)(f, self.head, self.first..end);
                Vec::new()
            },
        );
    }

    /// The head's state where it is kept from chunk to chunk.
    fn own_state(&self, f: &mut Func) -> Matrix {
        let sizes = &self.of.sizes;
        let len = f.i64((sizes.n * sizes.p) as i64);
        let at = f.mul(self.head, len);
        let base = self.of.cx.state_base(f, self.of.scan.states[0].0 as usize);
        Matrix {
            base: f.gep(base, at, Scalar::F32),
            stride: if sizes.transposed { sizes.n } else { sizes.p },
        }
    }

    /// Copies a head's state to or from scratch, to these rows and columns; transposed if it lies the other way in memory.
    fn copy_state(&self, f: &mut Func, from: Matrix, to: Matrix, [rows, columns]: [usize; 2]) {
        let sizes = &self.of.sizes;
        let lanes = sizes.lanes as usize;
        if !sizes.transposed {
            return from.copy_to(f, to, rows, columns);
        }
        let whole = |size: usize| size / lanes * lanes;
        let (zero, step) = (f.i64(0), lanes as i64);
        let [whole_rows, whole_columns, rows, columns] =
            [whole(rows), whole(columns), rows, columns].map(|size| f.i64(size as i64));
        f.for_each(zero, whole_rows, step, |f, row| {
            f.for_each(zero, whole_columns, step, |f, column| {
                let (from, to) = (from.rows_from(f, column), to.rows_from(f, row));
                let (from, to) = (from.columns_from(f, row), to.columns_from(f, column));
                self.transpose_square(f, from, to);
            });
        });
        let entry = |f: &mut Func, row: Val, column: Val| {
            let (p, q) = (from.entry(f, column, row), to.entry(f, row, column));
            let x = f.load(p, Ty::F32);
            f.store(x, q);
        };
        f.for_each(zero, whole_rows, 1, |f, row| {
            f.for_each(whole_columns, columns, 1, |f, column| entry(f, row, column))
        });
        f.for_each(whole_rows, rows, 1, |f, row| {
            f.for_each(zero, columns, 1, |f, column| entry(f, row, column))
        });
    }
}
