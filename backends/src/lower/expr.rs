//! Expressions: the value of a node at given indices, as scalars or vectors, each computed once in its scope.
//!
//! One subject: the match from operations to code, and what its arms share, which is the loops that an expression stands in
//! ([`Space`]), the values that are known there, and what is computed before inner loops. Arms that are more than a line are
//! files of their own: `read`, `reduce`, `fused`, `elementwise`, `linear`.

use super::{cx::Cx, elementwise, space::Space};
use crate::kernel::{Cast, Func, Scalar, Ty, Val};
use seqc_ir::{BinaryOp, Elem, Op, OperandMode, StateId, UnaryOp, Value};
use seqc_passes::affine::{AffineExpr, Stride, operand_entries, through};
use std::collections::{HashMap, HashSet};

/// Indices into a value's axes.
pub(super) type Coords = Vec<AffineExpr>;

/// Writes expressions of one layer function.
pub(super) struct ExprLowering<'c, 'a> {
    pub(super) cx: &'c Cx<'a>,
    pub(super) space: Space,
    /// Lanes of its vectors: those of the processor's vectors, or of several vectors.
    pub(super) lanes: u32,
    memo: Vec<HashMap<(Value, Coords), Val>>,
    /// Buffers being written: their values are computed, not read.
    pub(super) into: Vec<seqc_passes::plan::BufferId>,
}

impl<'c, 'a> ExprLowering<'c, 'a> {
    pub(super) fn new(cx: &'c Cx<'a>, token: Option<Val>) -> ExprLowering<'c, 'a> {
        ExprLowering {
            cx,
            space: Space::new(token),
            lanes: cx.lanes(),
            memo: vec![HashMap::new()],
            into: Vec::new(),
        }
    }

    /// Opens a scope: what is computed inside is forgotten at its end. Every body of a loop is one.
    pub(super) fn enter(&mut self) {
        self.memo.push(HashMap::new());
    }

    /// Closes a scope.
    pub(super) fn leave(&mut self) {
        self.memo.pop();
    }

    /// Makes the value of `v` at `coords` known in the current scope.
    pub(super) fn set(&mut self, v: Value, coords: Coords, val: Val) {
        if let Some(scope) = self.memo.last_mut() {
            scope.insert((v, coords), val);
        }
    }

    /// The value of `v` at `coords`, where it is computed already.
    pub(super) fn known(&self, v: Value, coords: &Coords) -> Option<Val> {
        let entry = (v, coords.clone());
        self.memo.iter().rev().find_map(|scope| scope.get(&entry).copied())
    }

    /// Axes `0, 1, …` of a space of the given rank.
    pub(super) fn identity(rank: usize) -> Coords {
        (0..rank).map(AffineExpr::axis).collect()
    }

    /// True for values that are read rather than computed here.
    pub(super) fn is_read(&self, v: Value) -> bool {
        let stored = self.cx.plan().stored.get(&v);
        stored.is_some_and(|id| !self.into.contains(id))
    }

    /// The value of `v` at `coords`: a vector when it differs from lane to lane, else a scalar.
    pub(super) fn value(&mut self, f: &mut Func, v: Value, coords: &Coords) -> Val {
        if let Some(val) = self.known(v, coords) {
            return val;
        }
        let val = if self.is_read(v) {
            self.read(f, v, coords, 0)
        } else {
            self.compute(f, v, coords)
        };
        self.set(v, coords.clone(), val);
        val
    }

    fn compute(&mut self, f: &mut Func, v: Value, coords: &Coords) -> Val {
        let graph = self.cx.graph();
        let operands = graph.operands(v);
        match graph.op(v) {
            Op::Param(_) | Op::Input(_) | Op::Prev(_) => self.read(f, v, coords, 0),
            Op::Delay { steps } => self.read(f, operands[0], coords, *steps),
            Op::Window { taps, step } => self.read_window(f, operands[0], coords, *taps, *step),
            Op::Const(c) => constant(f, graph.ty(v).elem, *c),
            Op::Iota { axis } => self.index(f, &coords[*axis]),
            Op::Position => self.position(f),
            Op::Unary(UnaryOp::Exp) if self.factors(operands[0], coords).is_some() => {
                self.power_of_product(f, operands[0], coords)
            }
            Op::Unary(op) => {
                let x = self.value(f, operands[0], coords);
                crate::kernels::math::emit_unary(f, *op, x)
            }
            Op::Binary(BinaryOp::Add) if graph.ty(v).elem == Elem::F32 => self.sum(f, operands[0], operands[1], coords),
            Op::Binary(op) => {
                let exponent = constant_of(graph, operands[1]);
                let (x, y) = (self.value(f, operands[0], coords), self.value(f, operands[1], coords));
                let compares = graph.ty(v).elem == Elem::Bool;
                let narrow = [(operands[0], x, y), (operands[1], y, x)].map(|(index, own, other)| {
                    let narrow = compares && own.ty == Ty::V(self.lanes, Scalar::I64) && other.ty == Ty::I64;
                    narrow.then(|| self.narrow_index(f, index, other, coords)).flatten()
                });
                let (x, y) = match narrow {
                    [Some([index, other]), _] => (index, other),
                    [None, Some([index, other])] => (other, index),
                    [None, None] => self.alike(f, x, y),
                };
                elementwise::binary(f, *op, x, y, exponent)
            }
            Op::Select => {
                let c = self.value(f, operands[0], coords);
                let (a, b) = (self.value(f, operands[1], coords), self.value(f, operands[2], coords));
                let (mut a, mut b) = self.alike(f, a, b);
                // One condition for all lanes stays one: masks of equal lanes take several times as long.
                if matches!(c.ty, Ty::V(..)) {
                    (a, b) = (self.spread(f, a), self.spread(f, b));
                }
                f.select(c, a, b)
            }
            Op::Cast => {
                let x = self.value(f, operands[0], coords);
                elementwise::cast(f, x, graph.ty(v).elem)
            }
            Op::View(_) | Op::Reshape => {
                let Some(inner) = through(graph, v, coords, &self.space.sizes) else {
                    unreachable!("views and reshapes have indices of their operand")
                };
                self.value(f, operands[0], &inner)
            }
            Op::Gather => self.lookup(f, operands[0], operands[1], coords),
            Op::Reduce { op, axes } => self.reduce(f, operands[0], *op, *axes, coords),
            Op::MatVec => self.product(f, operands[0], operands[1], coords),
            Op::IndexedMatVec => self.indexed_product(f, &operands, coords),
            Op::Concat { .. } => unreachable!("a concatenation is stored part by part"),
            Op::LongConv => unreachable!("a long convolution is a kernel of its own"),
            Op::Reverse => unreachable!("a stream from its end is a kernel of its own"),
            Op::RoundRow(_) => unreachable!("rounded rows are a kernel of their own"),
            Op::Attend(_) => unreachable!("attention is a kernel of its own"),
        }
    }

    /// Position of the token.
    fn position(&mut self, f: &mut Func) -> Val {
        match self.space.token {
            Some(token) => self.cx.position(f, token),
            None => unreachable!("load time has no tokens"),
        }
    }

    /// Both scalars, or both vectors.
    pub(super) fn alike(&self, f: &mut Func, x: Val, y: Val) -> (Val, Val) {
        match (matches!(x.ty, Ty::V(..)), matches!(y.ty, Ty::V(..))) {
            (true, false) => (x, self.spread(f, y)),
            (false, true) => (self.spread(f, x), y),
            _ => (x, y),
        }
    }

    /// A scalar in all lanes; a vector as it is.
    pub(super) fn spread(&self, f: &mut Func, x: Val) -> Val {
        if matches!(x.ty, Ty::V(..)) {
            x
        } else {
            f.splat(x, self.lanes)
        }
    }

    /// The stride of an index from lane to lane.
    pub(super) fn stride(&self, at: &AffineExpr) -> Stride {
        match self.space.lane {
            Some(lane) => at.stride(lane, i64::from(self.lanes)),
            None => Stride::Fixed(0),
        }
    }

    /// An index as a number, or as a vector when it differs from lane to lane.
    pub(super) fn index(&mut self, f: &mut Func, at: &AffineExpr) -> Val {
        match self.stride(at) {
            Stride::Fixed(step) => {
                let first = self.first_lane(f, at);
                if step == 0 {
                    return first;
                }
                let lanes: Vec<i64> = (0..i64::from(self.lanes)).map(|l| l * step).collect();
                let (first, steps) = (f.splat(first, self.lanes), f.lanes(Scalar::I64, &lanes));
                f.add(first, steps)
            }
            Stride::Irregular => super::linear::evaluate(f, &self.space, at, Some(self.lanes)),
        }
    }

    /// An index of a loop, `v` at `coords`, that moves from lane to lane, and an integer to compare it with, in half as many bits, of which
    /// a vector compares twice as many at once. Integers out of the loop's range compare as its neighbours do.
    fn narrow_index(&mut self, f: &mut Func, v: Value, with: Val, coords: &Coords) -> Option<[Val; 2]> {
        let (graph, sizes) = (self.cx.graph(), &self.space.sizes);
        let (mut v, mut coords) = (v, coords.clone());
        while let Some(inner) = through(graph, v, &coords, sizes) {
            (v, coords) = (graph.operands(v)[0], inner);
        }
        let Op::Iota { axis } = graph.op(v) else { return None };
        let at = coords[*axis].clone();
        let (low, high) = at.range(sizes);
        let Stride::Fixed(step) = self.stride(&at) else {
            return None;
        };
        let small = |x: i64| i32::try_from(x + step * i64::from(self.lanes)).is_ok();
        if !small(low) || !small(high) {
            return None;
        }
        let steps: Vec<i64> = (0..i64::from(self.lanes)).map(|lane| lane * step).collect();
        let first = self.first_lane(f, &at);
        let (below, above) = (f.i64(low - 1), f.i64(high + 1));
        let with = f.max(with, below);
        let with = f.min(with, above);
        let [first, with] = [first, with].map(|x| {
            let x = f.convert(Cast::Truncate, x, Scalar::I32);
            f.splat(x, self.lanes)
        });
        let steps = f.lanes(Scalar::I32, &steps);
        Some([f.add(first, steps), with])
    }

    /// An index at lane 0.
    pub(super) fn first_lane(&mut self, f: &mut Func, at: &AffineExpr) -> Val {
        super::linear::evaluate(f, &self.space, at, None)
    }

    /// Computes whatever `v` at `coords` needs and does not differ along axes from `first` on, in the current scope:
    /// loops over those axes then find it done.
    pub(super) fn hoist(&mut self, f: &mut Func, v: Value, coords: &Coords, first: usize) {
        self.hoist_outside(f, v, coords, first, &[]);
    }

    /// [`ExprLowering::hoist`] for the next value of a recurrence: stops at the previous values of `states`, which are not known yet.
    pub(super) fn hoist_outside(&mut self, f: &mut Func, v: Value, coords: &Coords, first: usize, states: &[StateId]) {
        let mut work = vec![(v, coords.clone())];
        let mut seen: HashSet<(Value, Coords)> = HashSet::new();
        while let Some((v, coords)) = work.pop() {
            let state = matches!(self.cx.graph().op(v), Op::Prev(s) if states.contains(s));
            if state || !seen.insert((v, coords.clone())) || self.known(v, &coords).is_some() {
                continue;
            }
            if !self.differs(&coords, first) && (states.is_empty() || !self.reads_state(v, states)) {
                self.value(f, v, &coords);
            } else if !self.is_read(v) {
                work.extend(self.hoisted_operands(v, &coords));
            }
        }
    }

    /// What a value at `coords` is computed from, as far as it can be computed before the loops.
    fn hoisted_operands(&self, v: Value, coords: &Coords) -> Vec<(Value, Coords)> {
        // The axes of a reduction exist only inside of it; and reads are cheap.
        operand_entries(self.cx.graph(), v, coords, &self.space.sizes).unwrap_or_default()
    }

    /// True when a value is computed from the previous value of one of `states`, not read from memory.
    pub(super) fn reads_state(&self, v: Value, states: &[StateId]) -> bool {
        let (mut work, mut seen) = (vec![v], HashSet::new());
        let graph = self.cx.graph();
        while let Some(at) = work.pop() {
            let op = graph.op(at);
            if matches!(op, Op::Prev(s) if states.contains(s)) {
                return true;
            }
            if !self.is_read(at) && seen.insert(at) {
                let operands = graph.operands(at).into_iter().enumerate();
                work.extend(
                    operands
                        .filter(|(slot, _)| op.mode(*slot) == OperandMode::Entries)
                        .map(|(_, o)| o),
                );
            }
        }
        false
    }

    fn differs(&self, coords: &Coords, first: usize) -> bool {
        coords.iter().any(|c| c.uses_any(&|a| a >= first))
    }
}

/// A number of an element type.
pub(super) fn constant(f: &mut Func, elem: Elem, c: f64) -> Val {
    match elem {
        Elem::F32 => f.f32(c as f32),
        Elem::I64 => f.i64(c as i64),
        Elem::Bool => f.i1(c != 0.0),
    }
}

/// The number that a node is, through views.
pub(super) fn constant_of(graph: &seqc_ir::Graph, v: Value) -> Option<f64> {
    let mut at = v;
    while let Op::View(_) | Op::Reshape | Op::Cast = graph.op(at) {
        at = graph.operands(at)[0];
    }
    graph.op(at).as_const()
}
