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
    affine::{AffineExpr, Stride, operand_entries},
    plan::Scan,
};
use std::collections::HashSet;

/// A reduction over the state's reduced axes that an output needs.
#[derive(Clone)]
struct Sum {
    node: Value,
    /// Indices of the reduction's result.
    coords: Coords,
    op: ReduceOp,
    over: Value,
}

struct Writer<'w, 'a> {
    cx: &'w Cx<'a>,
    scan: &'w Scan,
    /// Sizes of the kept axes, then of the reduced ones: the axes of the loops.
    sizes: Vec<usize>,
    /// Lanes of a block.
    lanes: u32,
    sums: Vec<Sum>,
    /// The `Prev` nodes of the states, and the number of the state of each.
    previous: Vec<(Value, usize)>,
}

/// Writes a scan; blocks of lanes are split between the threads.
pub(super) fn scan(cx: &Cx<'_>, f: &mut Func, scan: &Scan, tokens: Tokens) {
    let Some((writer, row)) = Writer::new(cx, scan) else {
        return;
    };
    let kept = writer.kept();
    let blocks: usize = writer.sizes[..kept - 1].iter().product::<usize>() * row;
    let count = f.i64(blocks as i64);
    let (lo, hi) = share(cx, f, count, 1);
    let bounds = match tokens {
        Tokens::All => (f.i64(0), cx.args.count),
        Tokens::One(t) => {
            let one = f.i64(1);
            (t, f.add(t, one))
        }
    };
    f.for_each(lo, hi, 1, |f, b| writer.block(f, (b, row), bounds));
}

fn previous(cx: &Cx<'_>, scan: &Scan) -> Vec<(Value, usize)> {
    let nodes = cx.graph().values().into_iter();
    let found = nodes.filter_map(|v| {
        let Op::Prev(s) = cx.graph().op(v) else { return None };
        Some((v, scan.states.iter().position(|t| t == s)?))
    });
    found.collect()
}

/// Writes a scan of one head, an index over all kept axes but the last, at tokens of the chunk from one to before another.
pub(super) fn head(cx: &Cx<'_>, f: &mut Func, scan: &Scan, (head, tokens): (Val, (Val, Val))) {
    let Some((writer, row)) = Writer::new(cx, scan) else {
        return;
    };
    let (blocks, one) = (f.i64(row as i64), f.i64(1));
    let next = f.add(head, one);
    let (lo, hi) = (f.mul(head, blocks), f.mul(next, blocks));
    f.for_each(lo, hi, 1, |f, b| writer.block(f, (b, row), tokens));
}

impl<'w, 'a> Writer<'w, 'a> {
    /// A scan, and the blocks of its last kept axis; nothing where the state has no entries.
    fn new(cx: &'w Cx<'a>, scan: &'w Scan) -> Option<(Writer<'w, 'a>, usize)> {
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
            sums: Vec::new(),
            previous: previous(cx, scan),
        };
        writer.sums = writer.find_sums();
        Some((writer, row.div_ceil(lanes as usize)))
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

    /// One vector of the last kept axis, through all tokens.
    fn block(&self, f: &mut Func, (b, row): (Val, usize), tokens: (Val, Val)) {
        let lanes = i64::from(self.lanes);
        let kept = self.kept();
        let mut emit = ExprLowering::new(self.cx, None);
        emit.lanes = self.lanes;
        emit.into = self.scan.outputs.iter().map(|nest| nest.into).collect();
        let row = f.i64(row as i64);
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
            emit.space.push(axis, *size);
        }
        emit.space.lane = Some(kept - 1);
        let last = self.sizes[kept - 1] as i64;
        if last % lanes != 0 {
            let last = f.i64(last);
            let left = f.sub(last, start);
            emit.space.mask = Some(f.tail_mask(left, self.lanes));
        }
        if self.scan.block.in_registers {
            self.in_register_state(&mut emit, f, tokens);
        } else {
            let (lo, hi) = tokens;
            f.for_each(lo, hi, 1, |f, t| self.token_in_memory(&mut emit, f, t));
        }
    }

    fn in_register_state(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, (lo, hi): (Val, Val)) {
        let entries = self.reduced_entries();
        let mut init = Vec::new();
        for n in 0..entries {
            self.enter_entry(emit, n);
            init.extend(
                self.scan
                    .states
                    .iter()
                    .map(|s| self.load(emit, f, *s))
                    .collect::<Vec<_>>(),
            );
            self.leave_entry(emit);
        }
        let one = f.i64(1);
        let last = f.for_loop((lo, hi, one), &init, |f, t, states| {
            self.token_in_registers(emit, f, t, states)
        });
        for n in 0..entries {
            self.enter_entry(emit, n);
            for (i, s) in self.scan.states.iter().enumerate() {
                self.save(emit, f, *s, last[n * self.scan.states.len() + i]);
            }
            self.leave_entry(emit);
        }
    }

    /// Sets the reduced axes to entry `n`, row-major.
    fn enter_entry(&self, emit: &mut ExprLowering<'_, '_>, n: usize) {
        let reduced = &self.sizes[self.kept()..];
        let mut index = vec![0; reduced.len()];
        let mut rest = n;
        for (i, size) in reduced.iter().enumerate().rev() {
            index[i] = rest % size;
            rest /= size;
        }
        for (i, size) in index.into_iter().zip(reduced) {
            emit.space.push(Axis::Fixed(i as i64), *size);
        }
        if !reduced.is_empty() {
            emit.enter();
        }
    }

    fn leave_entry(&self, emit: &mut ExprLowering<'_, '_>) {
        if self.sizes.len() > self.kept() {
            emit.leave();
        }
        emit.space.truncate(self.kept());
    }

    /// One token; gives the next states, entry by entry.
    fn token_in_registers(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, t: Val, states: &[Val]) -> Vec<Val> {
        emit.space.token = Some(t);
        emit.enter();
        self.hoist(emit, f);
        let mut sums: Vec<Option<Val>> = vec![None; self.sums.len()];
        let mut next = Vec::new();
        for n in 0..self.reduced_entries() {
            self.enter_entry(emit, n);
            let width = self.scan.states.len();
            next.extend(self.advance(emit, f, &states[n * width..(n + 1) * width]));
            for (sum, total) in self.sums.iter().zip(&mut sums) {
                *total = Some(match *total {
                    Some(total) => self.with_term(emit, f, sum, total),
                    None => self.first_term(emit, f, sum),
                });
            }
            self.leave_entry(emit);
        }
        let sums: Vec<Val> = sums.into_iter().flatten().collect();
        self.finish(emit, f, &sums);
        emit.leave();
        next
    }

    /// One token, the state in memory.
    fn token_in_memory(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, t: Val) {
        emit.space.token = Some(t);
        emit.enter();
        self.hoist(emit, f);
        let ty = Ty::V(self.lanes, Scalar::F32);
        let init: Vec<Val> = self.sums.iter().map(|sum| neutral(f, sum.op, ty)).collect();
        let sums = self.reduced_loops(emit, f, self.kept(), init);
        self.finish(emit, f, &sums);
        emit.leave();
    }

    fn reduced_loops(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, depth: usize, sums: Vec<Val>) -> Vec<Val> {
        if depth == self.sizes.len() {
            return self.entry_in_memory(emit, f, sums);
        }
        let bounds = (f.i64(0), f.i64(self.sizes[depth] as i64), f.i64(1));
        f.for_loop(bounds, &sums, |f, i, sums| {
            emit.space.push(Axis::At(i), self.sizes[depth]);
            emit.enter();
            let sums = self.reduced_loops(emit, f, depth + 1, sums.to_vec());
            emit.leave();
            emit.space.truncate(depth);
            sums
        })
    }

    fn entry_in_memory(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, sums: Vec<Val>) -> Vec<Val> {
        let states: Vec<Val> = self.scan.states.iter().map(|s| self.load(emit, f, *s)).collect();
        let next = self.advance(emit, f, &states);
        for (s, val) in self.scan.states.iter().zip(next) {
            self.save(emit, f, *s, val);
        }
        let totals = self.sums.iter().zip(sums);
        totals.map(|(sum, total)| self.with_term(emit, f, sum, total)).collect()
    }

    /// The next states from the previous ones.
    fn advance(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, states: &[Val]) -> Vec<Val> {
        let graph = self.cx.graph();
        let coords = self.state_coords();
        for (v, i) in &self.previous {
            emit.set(*v, coords.clone(), states[*i]);
        }
        let next = |s: &StateId| graph.states[s.0 as usize].next;
        let values = self.scan.states.iter().zip(states).map(|(s, old)| match next(s) {
            Some(v) => {
                let val = emit.value(f, v, &coords);
                emit.spread(f, val)
            }
            None => *old,
        });
        values.collect()
    }

    /// The entry at hand of what is summed up.
    fn term(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum) -> Val {
        let val = emit.value(f, sum.over, &self.term_coords(sum));
        emit.spread(f, val)
    }

    /// A sum of the entry at hand alone.
    fn first_term(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum) -> Val {
        let term = self.term(emit, f, sum);
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
    fn with_term(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum, total: Val) -> Val {
        if sum.op == ReduceOp::Sum && self.cx.graph().ty(sum.over).elem == Elem::F32 {
            return emit.add_to(f, total, sum.over, &self.term_coords(sum));
        }
        let term = self.term(emit, f, sum);
        combine(f, sum.op, total, term)
    }

    fn term_coords(&self, sum: &Sum) -> Coords {
        let mut coords = sum.coords.clone();
        coords.extend((self.kept()..self.sizes.len()).map(AffineExpr::axis));
        coords
    }

    /// Computes what all entries of a token share.
    fn hoist(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func) {
        let kept = self.kept();
        for size in &self.sizes[kept..] {
            emit.space.push(Axis::Fixed(0), *size);
        }
        let coords = self.state_coords();
        if self.sizes.len() > kept {
            for s in &self.scan.states {
                if let Some(v) = self.cx.graph().states[s.0 as usize].next {
                    emit.hoist_outside(f, v, &coords, (kept, &self.scan.states));
                }
            }
        }
        emit.space.truncate(kept);
    }

    /// Stores the outputs of a token.
    fn finish(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, sums: &[Val]) {
        for (sum, val) in self.sums.iter().zip(sums) {
            emit.set(sum.node, sum.coords.clone(), *val);
        }
        for nest in &self.scan.outputs {
            let coords = ExprLowering::identity(self.kept());
            let val = emit.value(f, nest.value, &coords);
            emit.write(f, nest, &coords, val);
        }
    }

    fn place(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId) -> (Val, Stride, AffineExpr) {
        let strides = self.cx.plan().state_strides(self.cx.graph(), s);
        let coords = self.state_coords();
        let at = coords
            .iter()
            .zip(&strides)
            .fold(AffineExpr::default(), |sum, (c, s)| sum.plus(&c.times(*s)));
        let first = emit.first_lane(f, &at);
        let base = self.cx.state_base(f, s.0 as usize);
        let p = f.gep(base, first, Scalar::F32);
        (p, emit.stride(&at), at)
    }

    fn load(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId) -> Val {
        let (_, _, at) = self.place(emit, f, s);
        let base = self.cx.state_base(f, s.0 as usize);
        let val = emit.load_at(f, base, &at, Scalar::F32);
        emit.spread(f, val)
    }

    fn save(&self, emit: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId, val: Val) {
        // The plan lays states out so that lanes are consecutive.
        let (p, _, _) = self.place(emit, f, s);
        match emit.space.mask {
            Some(mask) => f.masked_store(val, p, mask),
            None => f.store(val, p),
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
        let mut emit = ExprLowering::new(self.cx, None);
        emit.space = space;
        emit.into = self.scan.outputs.iter().map(|nest| nest.into).collect();
        let outputs = self
            .scan
            .outputs
            .iter()
            .map(|nest| (nest.value, ExprLowering::identity(self.kept())));
        let mut work: Vec<(Value, Coords)> = outputs.collect();
        let mut seen = HashSet::new();
        while let Some((v, coords)) = work.pop() {
            if seen.insert((v, coords.clone())) {
                work.extend(self.sums_at(&emit, v, coords, &mut found));
            }
        }
        found
    }

    /// Notes `v` if it is a reduction of the state, else gives what it is computed from.
    fn sums_at(
        &self,
        emit: &ExprLowering<'_, '_>,
        v: Value,
        coords: Coords,
        found: &mut Vec<Sum>,
    ) -> Vec<(Value, Coords)> {
        let graph = self.cx.graph();
        let operands = graph.operands(v);
        if emit.is_read(v) {
            return Vec::new();
        }
        if let Op::Reduce { op, .. } = graph.op(v)
            && emit.reads_state(operands[0], &self.scan.states)
        {
            found.push(Sum {
                node: v,
                coords,
                op: *op,
                over: operands[0],
            });
            return Vec::new();
        }
        operand_entries(graph, v, &coords, &emit.space.sizes).unwrap_or_default()
    }
}
