//! Recurrences whose entries are independent: a block of lanes goes through all tokens with its state in registers, or
//! in the nearest memory where it is larger.

use super::{
    cx::Cx,
    expr::{Axis, Coords, ExprLowering},
    reduce::{combine, neutral},
    run::{Tokens, share},
};
use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_ir::{Elem, Op, ReduceOp, StateId, Value};
use seqc_passes::{
    affine::{AffineExpr, operand_entries},
    plan::Scan,
};
use std::{collections::HashSet, ops::Range};

/// A reduction over the state's reduced axes that an output needs.
#[derive(Clone)]
struct Sum {
    node: Value,
    /// Indices of the reduction's result.
    coords: Coords,
    op: ReduceOp,
    over: Value,
}

/// The entry of a state at hand.
struct StateEntry {
    /// Address of lane 0.
    address: Val,
    /// Its index in the state.
    at: AffineExpr,
}

struct Writer<'w, 'a> {
    cx: &'w Cx<'a>,
    scan: &'w Scan,
    /// Sizes of the kept axes, then of the reduced ones: the axes of the loops.
    sizes: Vec<usize>,
    /// Blocks of the last kept axis.
    row_blocks: usize,
    /// Lanes of a block.
    lanes: u32,
    sums: Vec<Sum>,
    /// The `Prev` nodes of the states, and the number of the state of each.
    previous: Vec<(Value, usize)>,
}

/// Writes a scan; blocks of lanes are split between the threads.
pub(super) fn scan(cx: &Cx<'_>, f: &mut Func, scan: &Scan, tokens: Tokens) {
    let Some(writer) = Writer::new(cx, scan) else {
        return;
    };
    let kept = writer.kept();
    let blocks: usize = writer.sizes[..kept - 1].iter().product::<usize>() * writer.row_blocks;
    let count = f.i64(blocks as i64);
    let (lo, hi) = share(cx, f, count, 1);
    let tokens = tokens.range(cx, f);
    f.for_each(lo, hi, 1, |f, b| writer.block(f, b, tokens));
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

    fn in_register_state(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, tokens: Range<Val>) {
        let entries = self.reduced_entries();
        let mut init = Vec::new();
        for n in 0..entries {
            self.enter_entry(exprs, n);
            init.extend(
                self.scan
                    .states
                    .iter()
                    .map(|s| self.load(exprs, f, *s))
                    .collect::<Vec<_>>(),
            );
            self.leave_entry(exprs);
        }
        let one = f.i64(1);
        let last = f.for_loop((tokens.start, tokens.end, one), &init, |f, t, states| {
            self.token_in_registers(exprs, f, t, states)
        });
        for n in 0..entries {
            self.enter_entry(exprs, n);
            for (i, s) in self.scan.states.iter().enumerate() {
                self.save(exprs, f, *s, last[n * self.scan.states.len() + i]);
            }
            self.leave_entry(exprs);
        }
    }

    /// Sets the reduced axes to entry `n`, row-major.
    fn enter_entry(&self, exprs: &mut ExprLowering<'_, '_>, n: usize) {
        let reduced = &self.sizes[self.kept()..];
        let mut index = vec![0; reduced.len()];
        let mut rest = n;
        for (i, size) in reduced.iter().enumerate().rev() {
            index[i] = rest % size;
            rest /= size;
        }
        for (i, size) in index.into_iter().zip(reduced) {
            exprs.space.push(Axis::Fixed(i as i64), *size);
        }
        if !reduced.is_empty() {
            exprs.enter();
        }
    }

    fn leave_entry(&self, exprs: &mut ExprLowering<'_, '_>) {
        if self.sizes.len() > self.kept() {
            exprs.leave();
        }
        exprs.space.truncate(self.kept());
    }

    /// One token; gives the next states, entry by entry.
    fn token_in_registers(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, t: Val, states: &[Val]) -> Vec<Val> {
        exprs.space.token = Some(t);
        exprs.enter();
        self.hoist(exprs, f);
        let mut sums: Vec<Option<Val>> = vec![None; self.sums.len()];
        let mut next = Vec::new();
        for n in 0..self.reduced_entries() {
            self.enter_entry(exprs, n);
            let width = self.scan.states.len();
            next.extend(self.advance(exprs, f, &states[n * width..(n + 1) * width]));
            for (sum, total) in self.sums.iter().zip(&mut sums) {
                *total = Some(match *total {
                    Some(total) => self.with_term(exprs, f, sum, total),
                    None => self.first_term(exprs, f, sum),
                });
            }
            self.leave_entry(exprs);
        }
        let sums: Vec<Val> = sums.into_iter().flatten().collect();
        self.finish(exprs, f, &sums);
        exprs.leave();
        next
    }

    /// One token, the state in memory.
    fn token_in_memory(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, t: Val) {
        exprs.space.token = Some(t);
        exprs.enter();
        self.hoist(exprs, f);
        let ty = Ty::V(self.lanes, Scalar::F32);
        let init: Vec<Val> = self.sums.iter().map(|sum| neutral(f, sum.op, ty)).collect();
        let sums = self.reduced_loops(exprs, f, self.kept(), init);
        self.finish(exprs, f, &sums);
        exprs.leave();
    }

    fn reduced_loops(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize, sums: Vec<Val>) -> Vec<Val> {
        if depth == self.sizes.len() {
            return self.entry_in_memory(exprs, f, sums);
        }
        let bounds = (f.i64(0), f.i64(self.sizes[depth] as i64), f.i64(1));
        f.for_loop(bounds, &sums, |f, i, sums| {
            exprs.space.push(Axis::At(i), self.sizes[depth]);
            exprs.enter();
            let sums = self.reduced_loops(exprs, f, depth + 1, sums.to_vec());
            exprs.leave();
            exprs.space.truncate(depth);
            sums
        })
    }

    fn entry_in_memory(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sums: Vec<Val>) -> Vec<Val> {
        let states: Vec<Val> = self.scan.states.iter().map(|s| self.load(exprs, f, *s)).collect();
        let next = self.advance(exprs, f, &states);
        for (s, val) in self.scan.states.iter().zip(next) {
            self.save(exprs, f, *s, val);
        }
        let totals = self.sums.iter().zip(sums);
        totals
            .map(|(sum, total)| self.with_term(exprs, f, sum, total))
            .collect()
    }

    /// The next states from the previous ones.
    fn advance(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, states: &[Val]) -> Vec<Val> {
        let graph = self.cx.graph();
        let coords = self.state_coords();
        for (v, i) in &self.previous {
            exprs.set(*v, coords.clone(), states[*i]);
        }
        let next = |s: &StateId| graph.states[s.0 as usize].next;
        let values = self.scan.states.iter().zip(states).map(|(s, old)| match next(s) {
            Some(v) => {
                let val = exprs.value(f, v, &coords);
                exprs.spread(f, val)
            }
            None => *old,
        });
        values.collect()
    }

    /// The entry at hand of what is summed up.
    fn term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum) -> Val {
        let val = exprs.value(f, sum.over, &self.term_coords(sum));
        exprs.spread(f, val)
    }

    /// A sum of the entry at hand alone.
    fn first_term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum) -> Val {
        let term = self.term(exprs, f, sum);
        match sum.op {
            ReduceOp::Sum | ReduceOp::Prod => term,
            // What is no number is passed over, also where it comes first.
            ReduceOp::Max | ReduceOp::Min => {
                let none = neutral(f, sum.op, term.ty);
                combine(f, sum.op, none, term)
            }
        }
    }

    /// A sum with the entry at hand.
    fn with_term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum, total: Val) -> Val {
        if sum.op == ReduceOp::Sum && self.cx.graph().ty(sum.over).elem == Elem::F32 {
            return exprs.add_to(f, total, sum.over, &self.term_coords(sum));
        }
        let term = self.term(exprs, f, sum);
        combine(f, sum.op, total, term)
    }

    fn term_coords(&self, sum: &Sum) -> Coords {
        let mut coords = sum.coords.clone();
        coords.extend((self.kept()..self.sizes.len()).map(AffineExpr::axis));
        coords
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

    fn place(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId) -> StateEntry {
        let strides = self.cx.plan().state_strides(self.cx.graph(), s);
        let coords = self.state_coords();
        let at = coords
            .iter()
            .zip(&strides)
            .fold(AffineExpr::default(), |sum, (c, s)| sum.plus(&c.times(*s)));
        let first = exprs.first_lane(f, &at);
        let base = self.cx.state_base(f, s.0 as usize);
        StateEntry {
            address: f.gep(base, first, Scalar::F32),
            at,
        }
    }

    fn load(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId) -> Val {
        let StateEntry { at, .. } = self.place(exprs, f, s);
        let base = self.cx.state_base(f, s.0 as usize);
        let val = exprs.load_at(f, base, &at, Scalar::F32);
        exprs.spread(f, val)
    }

    fn save(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId, val: Val) {
        // The plan lays states out so that lanes are consecutive.
        let StateEntry { address, .. } = self.place(exprs, f, s);
        match exprs.space.mask {
            Some(mask) => f.masked_store(val, address, mask),
            None => f.store(val, address),
        }
    }

    /// Reductions of the state that outputs are made from.
    fn find_sums(&self) -> Vec<Sum> {
        let mut found: Vec<Sum> = Vec::new();
        if self.sizes.len() == self.kept() {
            return found;
        }
        let mut space = super::expr::Space::new(None);
        for size in &self.sizes[..self.kept()] {
            space.push(Axis::Fixed(0), *size);
        }
        let mut exprs = ExprLowering::new(self.cx, None);
        exprs.space = space;
        exprs.into = self.scan.outputs.iter().map(|nest| nest.into).collect();
        let outputs = self
            .scan
            .outputs
            .iter()
            .map(|nest| (nest.value, ExprLowering::identity(self.kept())));
        let mut work: Vec<(Value, Coords)> = outputs.collect();
        let mut seen = HashSet::new();
        while let Some((v, coords)) = work.pop() {
            if seen.insert((v, coords.clone())) {
                work.extend(self.sums_at(&exprs, v, coords, &mut found));
            }
        }
        found
    }

    /// Notes `v` if it is a reduction of the state, else gives what it is computed from.
    fn sums_at(
        &self,
        exprs: &ExprLowering<'_, '_>,
        v: Value,
        coords: Coords,
        found: &mut Vec<Sum>,
    ) -> Vec<(Value, Coords)> {
        let graph = self.cx.graph();
        let operands = graph.operands(v);
        if exprs.is_read(v) {
            return Vec::new();
        }
        if let Op::Reduce { op, .. } = graph.op(v)
            && exprs.reads_state(operands[0], &self.scan.states)
        {
            found.push(Sum {
                node: v,
                coords,
                op: *op,
                over: operands[0],
            });
            return Vec::new();
        }
        operand_entries(graph, v, &coords, &exprs.space.sizes).unwrap_or_default()
    }
}
