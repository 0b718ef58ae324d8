//! Recurrences whose entries are independent: a block of lanes iterates over all tokens with its state in registers, or
//! in memory where it has more entries than registers.

mod state;
mod sums;
mod writer;

use super::{
    cx::Cx,
    expr::{Coords, ExprLowering},
    space::Axis,
    tokens::Tokens,
};
use crate::kernel::{Func, Val};
use seqc_ir::{Op, Value};
use seqc_passes::{affine::AffineExpr, plan::Scan};
use std::ops::Range;
use writer::Writer;

/// Writes a scan; blocks of lanes are split between the threads.
pub(super) fn scan(cx: &Cx<'_>, f: &mut Func, scan: &Scan, tokens: Tokens) {
    let Some(writer) = Writer::new(cx, scan) else {
        return;
    };
    let kept = writer.kept();
    let blocks: usize = writer.sizes[..kept - 1].iter().product::<usize>() * writer.row_blocks;
    let count = f.i64(blocks as i64);
    let mine = f.team_range(cx.args.team(), count, 1);
    let tokens = tokens.range(cx, f);
    f.team_for(mine, |f, b| writer.block(f, b, tokens));
}

fn previous(cx: &Cx<'_>, scan: &Scan) -> Vec<(Value, usize)> {
    let nodes = cx.graph().values().into_iter();
    let found = nodes.filter_map(|v| {
        let Op::Prev(s) = cx.graph().op(v) else { return None };
        Some((v, scan.states.iter().position(|t| t == s)?))
    });
    found.collect()
}

/// Writes a scan of one head, an index over all kept axes but the last, at some tokens of the chunk.
pub(super) fn head(cx: &Cx<'_>, f: &mut Func, scan: &Scan, head: Val, tokens: Range<Val>) {
    let Some(writer) = Writer::new(cx, scan) else {
        return;
    };
    let (blocks, one) = (f.i64(writer.row_blocks as i64), f.i64(1));
    let next = f.add(head, one);
    let (lo, hi) = (f.mul(head, blocks), f.mul(next, blocks));
    f.for_each(lo, hi, 1, |f, b| writer.block(f, b, tokens));
}

impl<'w, 'a> Writer<'w, 'a> {
    /// `None` where the state has no entries.
    fn new(cx: &'w Cx<'a>, scan: &'w Scan) -> Option<Writer<'w, 'a>> {
        let state = cx.graph().states[scan.states[0].0 as usize].ty.sizes();
        if state.contains(&0) {
            return None;
        }
        let axes = scan.kept.iter().chain(&scan.reduced);
        let sizes: Vec<usize> = axes.map(|a| state[*a]).collect();
        let row = sizes[scan.kept.len() - 1];
        let lanes = scan.block.lanes;
        let mut writer = Writer {
            cx,
            scan,
            lanes,
            sizes,
            row_blocks: row.div_ceil(lanes as usize),
            sums: Vec::new(),
            previous: previous(cx, scan),
        };
        writer.sums = writer.find_sums();
        Some(writer)
    }
}

impl Writer<'_, '_> {
    fn kept(&self) -> usize {
        self.scan.kept.len()
    }

    fn reduced_entries(&self) -> usize {
        self.sizes[self.kept()..].iter().product()
    }

    /// Indices of a state inside the loops.
    fn state_coords(&self) -> Coords {
        let all: Vec<usize> = self.scan.kept.iter().chain(&self.scan.reduced).copied().collect();
        let place = |axis: usize| all.iter().position(|a| *a == axis).unwrap_or(axis);
        (0..all.len()).map(|axis| AffineExpr::axis(place(axis))).collect()
    }

    /// Block `b`, a vector of the last kept axis, at all of the tokens.
    fn block(&self, f: &mut Func, b: Val, tokens: Range<Val>) {
        let lanes = i64::from(self.lanes);
        let kept = self.kept();
        let mut exprs = ExprLowering::new(self.cx, None);
        exprs.lanes = self.lanes;
        exprs.into = self.scan.outputs.iter().map(|nest| nest.into).collect();
        let row = f.i64(self.row_blocks as i64);
        let (mut outer, within) = (f.udiv(b, row), f.urem(b, row));
        let mut axes = vec![Axis::Fixed(0); kept];
        for i in (0..kept - 1).rev() {
            let size = f.i64(self.sizes[i] as i64);
            axes[i] = Axis::At(f.urem(outer, size));
            outer = f.udiv(outer, size);
        }
        let step = f.i64(lanes);
        let start = f.mul(within, step);
        axes[kept - 1] = Axis::At(start);
        for (axis, size) in axes.into_iter().zip(&self.sizes) {
            exprs.space.push(axis, *size);
        }
        exprs.space.lane = Some(kept - 1);
        let last = self.sizes[kept - 1] as i64;
        if last % lanes != 0 {
            let last = f.i64(last);
            let left = f.sub(last, start);
            exprs.space.mask = Some(f.tail_mask(left, self.lanes));
        }
        if self.scan.block.in_registers {
            self.in_register_state(&mut exprs, f, tokens);
        } else {
            f.for_each(tokens.start, tokens.end, 1, |f, t| {
                self.token_in_memory(&mut exprs, f, t)
            });
        }
    }

    /// Computes what all entries of a token share.
    fn hoist(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func) {
        let kept = self.kept();
        for size in &self.sizes[kept..] {
            exprs.space.push(Axis::Fixed(0), *size);
        }
        let coords = self.state_coords();
        if self.sizes.len() > kept {
            for s in &self.scan.states {
                if let Some(v) = self.cx.graph().states[s.0 as usize].next {
                    exprs.hoist_outside(f, v, &coords, kept, &self.scan.states);
                }
            }
        }
        exprs.space.truncate(kept);
    }

    /// Stores the outputs of a token.
    fn finish(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sums: &[Val]) {
        for (sum, val) in self.sums.iter().zip(sums) {
            exprs.set(sum.node, sum.coords.clone(), *val);
        }
        for nest in &self.scan.outputs {
            let coords = ExprLowering::identity(self.kept());
            let val = exprs.value(f, nest.value, &coords);
            exprs.write(f, nest, &coords, val);
        }
    }
}
