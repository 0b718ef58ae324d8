//! One token of a scan: the state in registers, or in memory, from its previous entries to its next ones.

use super::writer::Writer;
use crate::{
    kernel::{Func, Scalar, Ty, Val},
    kernels::opaque::opaque,
    lower::{expr::ExprLowering, reduce::neutral, space::Axis},
};
use seqc_ir::{Op, StateId};
use seqc_passes::affine::AffineExpr;
use std::ops::Range;

/// The current entry of a state.
struct StateEntry {
    /// Address of lane 0.
    address: Val,
    /// Its index in the state.
    at: AffineExpr,
}

impl Writer<'_, '_> {
    pub(super) fn in_register_state(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, tokens: Range<Val>) {
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
        let last = f.for_loop(tokens, one, &init, |f, t, states| {
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

    /// One token; returns the next states, entry by entry.
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
    pub(super) fn token_in_memory(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, t: Val) {
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
        let (low, high, step) = (f.i64(0), f.i64(self.sizes[depth] as i64), f.i64(1));
        f.for_loop(low..high, step, &sums, |f, i, sums| {
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
            let val = self.not_merged(f, *s, val);
            self.save(exprs, f, *s, val);
        }
        let totals = self.sums.iter().zip(sums);
        totals
            .map(|(sum, total)| self.with_term(exprs, f, sum, total))
            .collect()
    }

    /// The next value of a state of which some entries stay, such that LLVM does not see that: it would store the others through a mask,
    /// which on AVX2 takes some twenty times as long as a store of all. So the bits have those of an unknown zero added.
    fn not_merged(&self, f: &mut Func, s: StateId, val: Val) -> Val {
        let graph = self.cx.graph();
        let next = graph.states[s.0 as usize].next;
        if !next.is_some_and(|v| matches!(graph.op(v), Op::Select)) {
            return val;
        }
        let zero = f.at_start(|f| opaque(f, 0));
        let zero = f.splat(zero, self.lanes);
        let bits = f.bitcast(val, val.ty.with(Scalar::I32));
        let bits = f.or(bits, zero);
        f.bitcast(bits, val.ty)
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

    fn place(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, s: StateId) -> StateEntry {
        let strides = self.cx.plan().state_strides(self.cx.graph(), s);
        let at = AffineExpr::entry(&self.state_coords(), &strides);
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
}
