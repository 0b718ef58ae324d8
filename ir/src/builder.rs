//! Short constructors on [`Graph`]: each derives the result's type from its operands.
//!
//! Nothing is checked here: an impossible request gives a node that the verifier refuses, never a panic.

use crate::{AttendSpec, BinaryOp, Dim, Elem, Graph, IndexExpr, Op, ReduceOp, Rounding, StateId, Ty, UnaryOp, Value};

impl Graph {
    /// The same number everywhere in a tensor of type `ty`.
    pub fn constant(&mut self, value: f64, ty: Ty) -> Value {
        self.add(Op::Const(value), ty, &[])
    }

    /// A real scalar.
    pub fn scalar(&mut self, value: f64) -> Value {
        self.constant(value, Ty::scalar(Elem::F32))
    }

    /// Indices along `axis` in a tensor of shape `dims`.
    pub fn iota(&mut self, dims: Vec<Dim>, axis: usize) -> Value {
        self.add(Op::Iota { axis }, Ty::new(Elem::I64, dims), &[])
    }

    /// Position of the token.
    pub fn position(&mut self) -> Value {
        self.add(Op::Position, Ty::scalar(Elem::I64), &[])
    }

    /// Elementwise `op(x)`.
    pub fn unary(&mut self, op: UnaryOp, x: Value) -> Value {
        let ty = self.ty(x).clone();
        self.add(Op::Unary(op), ty, &[x])
    }

    /// Elementwise `op(a, b)` of operands of equal shape; Bool for comparisons.
    pub fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        let mut ty = self.ty(a).clone();
        if op.is_predicate() {
            ty.elem = Elem::Bool;
        }
        self.add(Op::Binary(op), ty, &[a, b])
    }

    /// `a + b`
    pub fn sum_of(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a * b`
    pub fn product_of(&mut self, a: Value, b: Value) -> Value {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// Elementwise `if c then a else b`.
    pub fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        let ty = self.ty(a).clone();
        self.add(Op::Select, ty, &[c, a, b])
    }

    /// Conversion to `elem`.
    pub fn cast(&mut self, elem: Elem, x: Value) -> Value {
        let ty = Ty::new(elem, self.ty(x).dims.clone());
        self.add(Op::Cast, ty, &[x])
    }

    /// A tensor of shape `dims` whose element `i` is `x[map(i)]`; one map entry per axis of `x`.
    pub fn view(&mut self, x: Value, dims: Vec<Dim>, map: Vec<IndexExpr>) -> Value {
        let ty = Ty::new(self.ty(x).elem, dims);
        self.add(Op::View(map), ty, &[x])
    }

    /// `x` repeated to shape `dims`; axis `n` of `x` becomes result axis `axes[n]`.
    pub fn broadcast(&mut self, x: Value, dims: Vec<Dim>, axes: &[usize]) -> Value {
        self.view(x, dims, axes.iter().map(|a| IndexExpr::Axis(*a)).collect())
    }

    /// `x` with its axes in another order: result axis `n` is axis `order[n]` of `x`.
    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Value {
        let from = self.ty(x).dims.clone();
        let dims = order.iter().filter_map(|a| from.get(*a).cloned()).collect();
        let map = (0..from.len())
            .filter_map(|a| order.iter().position(|o| *o == a))
            .map(IndexExpr::Axis)
            .collect();
        self.view(x, dims, map)
    }

    /// Entries `start .. start + size` of `axis`.
    pub fn slice(&mut self, x: Value, axis: usize, start: usize, size: usize) -> Value {
        let mut dims = self.ty(x).dims.clone();
        let mut map: Vec<_> = (0..dims.len()).map(IndexExpr::Axis).collect();
        if axis < dims.len() {
            dims[axis] = Dim::new("", size);
            if start > 0 {
                let start = Box::new(IndexExpr::Const(start as i64));
                map[axis] = IndexExpr::Add(Box::new(IndexExpr::Axis(axis)), start);
            }
        }
        self.view(x, dims, map)
    }

    /// The same elements under shape `dims`.
    pub fn reshape(&mut self, x: Value, dims: Vec<Dim>) -> Value {
        let ty = Ty::new(self.ty(x).elem, dims);
        self.add(Op::Reshape, ty, &[x])
    }

    /// Operands one after another along `axis`. No operands: an empty vector, which the verifier refuses.
    pub fn concat(&mut self, axis: usize, parts: &[Value]) -> Value {
        let mut ty = parts
            .first()
            .map_or(Ty::new(Elem::F32, vec![Dim::new("", 0)]), |p| self.ty(*p).clone());
        if axis < ty.dims.len() {
            let size = parts
                .iter()
                .filter_map(|p| self.ty(*p).dims.get(axis))
                .map(|d| d.size)
                .sum();
            ty.dims[axis] = Dim::new("", size);
        }
        self.add(Op::Concat { axis }, ty, parts)
    }

    /// Rows of `table` at the indices `index`: `[index…, row…]`.
    pub fn gather(&mut self, table: Value, index: Value) -> Value {
        let mut dims = self.ty(index).dims.clone();
        dims.extend(self.ty(table).dims.iter().skip(1).cloned());
        let ty = Ty::new(self.ty(table).elem, dims);
        self.add(Op::Gather, ty, &[table, index])
    }

    /// Reduction over the last `axes` axes.
    pub fn reduce(&mut self, op: ReduceOp, x: Value, axes: usize) -> Value {
        let mut ty = self.ty(x).clone();
        ty.dims.truncate(ty.rank().saturating_sub(axes));
        self.add(Op::Reduce { op, axes }, ty, &[x])
    }

    /// `out[n…] = sum_k w[n…, k] * x[k]`
    pub fn matvec(&mut self, w: Value, x: Value) -> Value {
        let mut ty = self.ty(w).clone();
        ty.dims.pop();
        self.add(Op::MatVec, ty, &[w, x])
    }

    /// `out[c, n…] = sum_k w[index[c], n…, k] * x[c, k]`, or `x[k]`.
    pub fn indexed_matvec(&mut self, w: Value, index: Value, x: Value) -> Value {
        let mut dims = self.ty(index).dims.clone();
        dims.extend(self.ty(w).dims.iter().skip(1).cloned());
        dims.pop();
        self.add(Op::IndexedMatVec, Ty::new(Elem::F32, dims), &[w, index, x])
    }

    /// Value of a state one token ago.
    pub fn prev(&mut self, state: StateId) -> Value {
        let ty = self
            .states
            .get(state.0 as usize)
            .map_or(Ty::scalar(Elem::F32), |s| s.ty.clone());
        self.add(Op::Prev(state), ty, &[])
    }

    /// Closes a recurrence.
    pub fn set_next(&mut self, state: StateId, next: Value) {
        if let Some(state) = self.states.get_mut(state.0 as usize) {
            state.next = Some(next);
        }
    }

    /// The value `steps` tokens ago.
    pub fn delay(&mut self, x: Value, steps: usize) -> Value {
        let ty = self.ty(x).clone();
        self.add(Op::Delay { steps }, ty, &[x])
    }

    /// The last `taps` values, `step` tokens apart, the oldest first.
    pub fn window(&mut self, x: Value, taps: usize, step: usize) -> Value {
        let mut ty = self.ty(x).clone();
        ty.dims.insert(0, Dim::new("", taps));
        self.add(Op::Window { taps, step }, ty, &[x])
    }

    /// A filter `f [c…, taps]` over the whole past of `x [c…]`.
    pub fn long_conv(&mut self, x: Value, f: Value) -> Value {
        let ty = self.ty(x).clone();
        self.add(Op::LongConv, ty, &[x, f])
    }

    /// The stream from its end; see [`Op::Reverse`].
    pub fn reverse(&mut self, x: Value) -> Value {
        let ty = self.ty(x).clone();
        self.add(Op::Reverse, ty, &[x])
    }

    /// The rows of `x` as products read them where activations are rounded; see [`Op::RoundRow`].
    pub fn round_row(&mut self, x: Value, rounding: Rounding) -> Value {
        let ty = self.ty(x).clone();
        self.add(Op::RoundRow(rounding), ty, &[x])
    }

    /// Attention; `operands` in the order of [`Op::Attend`].
    pub fn attend(&mut self, spec: AttendSpec, operands: &[Value]) -> Value {
        let dim = |slot: usize, axis: usize| {
            let ty = operands.get(slot).map(|v| self.ty(*v));
            ty.and_then(|ty| ty.dims.get(axis)).cloned().unwrap_or(Dim::new("", 1))
        };
        let heads = dim(0, 0);
        let width = if spec.has_values() { dim(2, 1) } else { Dim::new("", 0) };
        let mut result = dims(&spec.result(heads.size, width.size));
        if result.len() == 2 && result[1].size == width.size {
            result[1] = width;
        }
        if result[0].size == heads.size {
            result[0] = heads;
        }
        self.add(Op::Attend(Box::new(spec)), Ty::new(Elem::F32, result), operands)
    }

    /// Declares a result.
    pub fn add_output(&mut self, name: impl Into<String>, value: Value) {
        self.outputs.push((name.into(), value));
    }
}

impl Ty {
    /// Real numbers with unnamed axes.
    pub fn f32(sizes: &[usize]) -> Ty {
        Ty::new(Elem::F32, dims(sizes))
    }

    /// Integers with unnamed axes.
    pub fn i64(sizes: &[usize]) -> Ty {
        Ty::new(Elem::I64, dims(sizes))
    }
}

/// Unnamed axes.
pub fn dims(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().map(|s| Dim::new("", *s)).collect()
}
