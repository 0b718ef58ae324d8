//! Sums over channels of a query's numbers and those of all closed blocks.

use super::{
    super::{
        super::layout::{PAGE, float_at, row_at},
        Governed,
        entries::{Lanes, Numbers},
    },
    products::add_to,
};
use crate::kernel::{Cache, Cmp, Func, Scalar, Ty, Val};
use seqc_ir::{
    BinaryOp, PairExpr, ReduceOp,
    policy::{Definition, Kind},
};

/// Vectors of a page of blocks, and of the page behind it, by number of the definition.
struct PageVectors {
    own: Vec<(usize, Val)>,
    next: Vec<(usize, Val)>,
}

/// Definitions of closed blocks that bound the same numbers in every channel.
#[derive(Clone, Copy)]
struct ChannelBounds {
    least: usize,
    largest: usize,
}

impl Governed<'_> {
    /// The sum over channels of a function of the query's number and of numbers of channels of each block.
    pub(super) fn query_sum(&self, f: &mut Func, numbers: &Numbers, to: usize, e: &PairExpr) {
        let args = &numbers.args;
        let larger = self.larger_product(e);
        let e = self.of_block(e);
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let blocks = f.add(numbers.last, one);
        let pages = f.ceil_div(blocks, size);
        let end = f.sub(pages, one);
        let (lanes, width) = (self.attend.lanes(), f.i64(self.attend.key_dim as i64));
        let query = float_at(f, args.scratch, self.extra().choice.query);
        let none = f.zero(self.vector());
        f.for_each(zero, pages, 1, |f, page| {
            let next = f.add(page, one);
            let next = f.min(next, end);
            let vectors = PageVectors {
                own: self.vectors_of_page(f, args, numbers.head, page),
                next: self.vectors_of_page(f, args, numbers.head, next),
            };
            let starts: Vec<usize> = (0..PAGE).step_by(lanes as usize).collect();
            let sums = f.for_loop(zero..width, one, &vec![none; starts.len()], |f, channel, sums| {
                let p = f.gep(query, channel, Scalar::F32);
                let x = f.load(p, Ty::F32);
                if let Some(bounds) = larger {
                    return self.add_larger(f, bounds, &vectors, [x, channel], sums);
                }
                for (_, vector) in &vectors.next {
                    let row = row_at(f, *vector, channel, PAGE);
                    self.ask_for_row(f, row);
                }
                let x = f.splat(x, lanes);
                let starts = starts.iter().zip(sums);
                starts
                    .map(|(start, sum)| {
                        let first = f.i64(*start as i64);
                        let at = Lanes { page, start: first };
                        let mut streams = self.streams_of_channel(f, args, &vectors.own, channel, *start);
                        self.add_numbers(f, numbers, at, &e, &mut streams);
                        let pair = numbers.pair(lanes, first, Some(x), streams);
                        add_to(f, &pair, &e, *sum)
                    })
                    .collect()
            });
            let row = self.numbers_of_page(f, args, to, numbers.group, page);
            for (start, sum) in starts.iter().zip(sums) {
                let p = float_at(f, row, *start);
                f.store(sum, p);
            }
        });
    }

    /// Adds the larger product of a query's number with two bounds: that with the larger bound where it is positive, else the other.
    fn add_larger(
        &self,
        f: &mut Func,
        bounds: ChannelBounds,
        vectors: &PageVectors,
        [x, channel]: [Val; 2],
        sums: &[Val],
    ) -> Vec<Val> {
        let lanes = self.attend.lanes();
        let none = f.f32(0.0);
        let positive = f.cmp(Cmp::Gt, x, none);
        let row = |f: &mut Func, vectors: &[(usize, Val)]| {
            let of = |n: usize| vectors.iter().find(|(of, _)| *of == n).map(|(_, vector)| *vector);
            let (Some(least), Some(largest)) = (of(bounds.least), of(bounds.largest)) else {
                unreachable!("what is read of closed blocks is kept")
            };
            let vector = f.select(positive, largest, least);
            row_at(f, vector, channel, PAGE)
        };
        let next = row(f, &vectors.next);
        self.ask_for_row(f, next);
        let row = row(f, &vectors.own);
        let x = f.splat(x, lanes);
        let starts = (0..PAGE).step_by(lanes as usize).zip(sums);
        starts
            .map(|(start, sum)| {
                let p = float_at(f, row, start);
                let bound = f.load(p, self.vector());
                f.fma(x, bound, *sum)
            })
            .collect()
    }

    /// Asks for a channel's numbers of the page that is read next: which of the bounds are read follows from the query, so that the
    /// processor does not see them coming.
    fn ask_for_row(&self, f: &mut Func, row: Val) {
        let step = self.attend.machine.memory.line / size_of::<f32>();
        for start in (0..PAGE).step_by(step.max(1)) {
            let p = float_at(f, row, start);
            f.prefetch(p, Cache::Second);
        }
    }

    /// The bounds of which a function of channels is the larger product with the query's number.
    fn larger_product(&self, of: &PairExpr) -> Option<ChannelBounds> {
        let PairExpr::Binary(BinaryOp::Max, a, b) = of else {
            return None;
        };
        let factor = |e: &PairExpr| match e {
            PairExpr::Binary(BinaryOp::Mul, x, y) => match (&**x, &**y) {
                (PairExpr::Score, PairExpr::KeyStream(n)) | (PairExpr::KeyStream(n), PairExpr::Score) => {
                    n.checked_sub(self.policy.closing_stream(0))
                }
                _ => None,
            },
            _ => None,
        };
        let (a, b) = (factor(a)?, factor(b)?);
        let (of_a, of_b) = (self.fold_of_keys(a)?, self.fold_of_keys(b)?);
        let bounds = |least: usize, largest: usize| ChannelBounds { least, largest };
        match (&of_a, &of_b) {
            (
                Kind::Fold {
                    of: x,
                    how: ReduceOp::Min,
                    among: some,
                    values: false,
                },
                Kind::Fold {
                    of: y,
                    how: ReduceOp::Max,
                    among: others,
                    values: false,
                },
            ) if x == y && some == others => Some(bounds(a, b)),
            (
                Kind::Fold {
                    of: x,
                    how: ReduceOp::Max,
                    among: some,
                    values: false,
                },
                Kind::Fold {
                    of: y,
                    how: ReduceOp::Min,
                    among: others,
                    values: false,
                },
            ) if x == y && some == others => Some(bounds(b, a)),
            _ => None,
        }
    }

    /// The reduction over a block's entries that a number of channels is, whatever its name.
    fn fold_of_keys(&self, n: usize) -> Option<&Kind> {
        let closing = &self.blocks_policy()?.closing;
        let mut at = closing.get(n)?;
        while let Definition {
            kind: Kind::Channel(PairExpr::KeyStream(of)),
            ..
        } = at
        {
            at = closing.get(of.checked_sub(self.policy.closing_stream(0))?)?;
        }
        Some(&at.kind)
    }
}
