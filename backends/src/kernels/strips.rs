//! Stored weights for the kernels that read them as floats: of blocks 32 columns of some rows at a time.

use super::{
    block_rows::BlockRows,
    float8,
    layout::{Block, Blocks, Grouped, Layout, Plain, STRIP, layout},
    short_blocks::block_vectors,
    unpack::Unpacked,
};
use crate::{
    kernel::{Cmp, Func, Scalar, Ty, Val},
    targets::TargetInfo,
};
use seqc_formats::{Encoding, Float8};

/// How weights are read.
pub(super) enum Weights<'m> {
    /// Numbers by themselves.
    Plain(Plain),
    /// Blocks.
    Blocks(Box<Strips<'m>>),
}

impl Weights<'_> {
    /// Of an encoding, at most `rows` rows at a time. Where a function begins: this reserves memory on its stack.
    pub(super) fn new<'m>(f: &mut Func, target: &'m TargetInfo, encoding: Encoding, rows: u32) -> Weights<'m> {
        match layout(encoding) {
            Layout::Plain(plain) => Weights::Plain(plain),
            Layout::Blocks(layout) => Weights::Blocks(Box::new(Strips::new(f, target, layout, rows))),
            Layout::Float8(kind) => Weights::Blocks(Box::new(Strips {
                target,
                source: Source::Float8(kind),
            })),
        }
    }
}

/// How the blocks of some rows are read.
pub(super) struct Strips<'m> {
    target: &'m TargetInfo,
    source: Source,
}

enum Source {
    Short(Block),
    Grouped(Grouped, Unpacked),
    Float8(Float8),
}

impl Strips<'_> {
    fn new<'m>(f: &mut Func, target: &'m TargetInfo, layout: Blocks, rows: u32) -> Strips<'m> {
        let source = match layout {
            Blocks::Short(block) => Source::Short(block),
            Blocks::Grouped(grouped) => Source::Grouped(grouped, Unpacked::new(f, grouped, target.machine.lanes, rows)),
        };
        Strips { target, source }
    }

    /// Runs `body` for the columns of a block of each row, 32 at a time. It takes the first of these columns, counted from the block's,
    /// and the weights of each row as vectors in order; and it returns what is carried to the next columns.
    pub(super) fn each(
        &self,
        f: &mut Func,
        rows: &BlockRows,
        init: &[Val],
        body: impl FnOnce(&mut Func, Val, &[Vec<Val>], &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let zero = f.i64(0);
        match &self.source {
            Source::Short(block) => {
                let weights = self.blocks(f, rows, |f, ptr| block_vectors(f, self.target, *block, ptr));
                body(f, zero, &weights, init)
            }
            Source::Float8(kind) => {
                let lanes = self.target.machine.lanes;
                let weights = self.blocks(f, rows, |f, ptr| float8::weights(f, *kind, ptr, lanes));
                body(f, zero, &weights, init)
            }
            Source::Grouped(grouped, unpacked) => {
                let (size, strip) = (f.i64(grouped.size.into()), f.i64(STRIP.into()));
                unpacked.unpack(f, &self.target.micro_kernels, rows);
                f.for_loop(zero..size, strip, init, |f, column, carried| {
                    let weights: Vec<Vec<Val>> = (0..rows.count).map(|r| unpacked.weights(f, r, column)).collect();
                    body(f, column, &weights, carried)
                })
            }
        }
    }

    /// The weights of a block of each row, which `read` reads; zeros of rows that do not exist.
    fn blocks(&self, f: &mut Func, rows: &BlockRows, read: impl Fn(&mut Func, Val) -> Vec<Val>) -> Vec<Vec<Val>> {
        let lanes = self.target.machine.lanes;
        let mut ptr = rows.first;
        let mut weights = Vec::new();
        for r in 0..rows.count {
            if r > 0 {
                ptr = f.gep(ptr, rows.stride, Scalar::I8);
            }
            weights.push(match rows.valid {
                None => read(f, ptr),
                Some(valid) => {
                    let r = f.i64(i64::from(r));
                    let exists = f.cmp(Cmp::Lt, r, valid);
                    f.if_else(
                        exists,
                        |f| read(f, ptr),
                        |f| vec![f.zero(Ty::V(lanes, Scalar::F32)); (STRIP / lanes) as usize],
                    )
                }
            });
        }
        weights
    }
}
