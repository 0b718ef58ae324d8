//! Reads of stored values, parameters, inputs, states and tables.

use super::{
    address::scalar_of,
    cx::Cx,
    elementwise::truth,
    expr::{Coords, ExprLowering},
};
use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_ir::{Elem, Source as Leaf, Value};
use seqc_passes::{
    affine::{AffineExpr, Stride},
    plan::{BufferId, Extent, row_major},
};

/// Address and strides of a tensor of one token.
struct Source {
    base: Val,
    strides: Vec<i64>,
    elem: Elem,
}

impl ExprLowering<'_, '_> {
    /// The value of something in memory, `delay` tokens ago.
    pub(super) fn read(&mut self, f: &mut Func, v: Value, coords: &Coords, delay: usize) -> Val {
        let source = self.source(f, v, delay);
        let at = AffineExpr::entry(coords, &source.strides);
        let loaded = self.load_at(f, source.base, &at, scalar_of(source.elem));
        as_value(f, source.elem, loaded)
    }

    /// Value `coords[0]` of a window over `v`: its rows are contiguous, the oldest first.
    pub(super) fn read_window(&mut self, f: &mut Func, v: Value, coords: &Coords, taps: usize, step: usize) -> Val {
        let source = self.source(f, v, taps.saturating_sub(1) * step);
        let row = (self.cx.graph().ty(v).len() * step) as i64;
        let at = coords[0]
            .times(row)
            .plus(&AffineExpr::entry(&coords[1..], &source.strides));
        let loaded = self.load_at(f, source.base, &at, scalar_of(source.elem));
        as_value(f, source.elem, loaded)
    }

    fn source(&mut self, f: &mut Func, v: Value, delay: usize) -> Source {
        let (graph, plan) = (self.cx.graph(), self.cx.plan());
        let ty = graph.ty(v);
        let stored = plan
            .stored
            .get(&v)
            .copied()
            .filter(|id| !self.into.contains(id) || delay > 0);
        if let Some(id) = stored {
            let b = plan.buffer(id);
            let base = match (b.extent, self.space.token) {
                (Extent::PerToken, Some(token)) => self.cx.delayed_row(f, id, token, delay),
                _ => self.cx.buffer_base(f, id),
            };
            return Source {
                base,
                strides: b.strides.clone(),
                elem: b.elem,
            };
        }
        let strides = strides(self.cx, v, None);
        match graph.op(v).source() {
            Some(Leaf::Param(n)) => Source {
                base: self.cx.param_base(f, n),
                strides,
                elem: ty.elem,
            },
            Some(Leaf::State(s)) => Source {
                base: self.cx.state_base(f, s.0 as usize),
                strides,
                elem: ty.elem,
            },
            Some(Leaf::Input(n)) => {
                let base = self.input_row(f, n, ty.len() as i64, scalar_of(ty.elem));
                Source {
                    base,
                    strides,
                    elem: ty.elem,
                }
            }
            None => unreachable!("{v} is neither stored nor declared"),
        }
    }

    fn input_row(&mut self, f: &mut Func, n: usize, len: i64, scalar: Scalar) -> Val {
        let base = self.cx.input_base(f, n);
        match self.space.token {
            Some(token) => {
                let len = f.i64(len);
                let at = f.mul(token, len);
                f.gep(base, at, scalar)
            }
            None => base,
        }
    }

    /// Entry `at` behind `base`: one for all lanes, consecutive ones, or gathered.
    pub(super) fn load_at(&mut self, f: &mut Func, base: Val, at: &AffineExpr, scalar: Scalar) -> Val {
        let lanes = self.lanes;
        match self.stride(at) {
            Stride::Fixed(0) => {
                let at = self.first_lane(f, at);
                let p = f.gep(base, at, scalar);
                f.load(p, Ty::S(scalar))
            }
            Stride::Fixed(1) => {
                let at = self.first_lane(f, at);
                let p = f.gep(base, at, scalar);
                match self.space.mask {
                    Some(mask) => f.masked_load(p, mask, Ty::V(lanes, scalar)),
                    None => f.load(p, Ty::V(lanes, scalar)),
                }
            }
            _ => {
                let at = self.index(f, at);
                self.gather_at(f, base, at, scalar)
            }
        }
    }

    fn gather_at(&mut self, f: &mut Func, base: Val, at: Val, scalar: Scalar) -> Val {
        let lanes = self.lanes;
        let mask = match self.space.mask {
            Some(mask) => mask,
            None => f.int(Ty::V(lanes, Scalar::I1), 1),
        };
        let pointers = f.gep(base, at, scalar);
        f.gather(pointers, mask, scalar)
    }

    /// A row of a table: `table[index[i…], r…]`, the index clamped to the table.
    pub(super) fn lookup(&mut self, f: &mut Func, table: Value, index: Value, coords: &Coords) -> Val {
        let graph = self.cx.graph();
        let (rank, sizes) = (graph.ty(index).rank(), graph.ty(table).sizes());
        let chosen = self.value(f, index, &coords[..rank].to_vec());
        let (zero, last) = (f.zero(chosen.ty), f.int(chosen.ty, sizes[0] as i64 - 1));
        let chosen = f.max(chosen, zero);
        let chosen = f.min(chosen, last);
        let source = self.source(f, table, 0);
        let step = f.int(chosen.ty, source.strides[0]);
        let row = f.mul(chosen, step);
        let rest = AffineExpr::entry(&coords[rank..], &source.strides[1..]);
        let scalar = scalar_of(source.elem);
        let loaded = if matches!(row.ty, Ty::V(..)) {
            let rest = self.index(f, &rest);
            let rest = self.spread(f, rest);
            let at = f.add(row, rest);
            self.gather_at(f, source.base, at, scalar)
        } else {
            let base = f.gep(source.base, row, scalar);
            self.load_at(f, base, &rest, scalar)
        };
        as_value(f, source.elem, loaded)
    }
}

/// Strides of the axes of what is read, in entries: of a buffer, or of what a model declares.
pub(super) fn strides(cx: &Cx<'_>, v: Value, stored: Option<BufferId>) -> Vec<i64> {
    let (graph, plan) = (cx.graph(), cx.plan());
    match (stored, graph.op(v).source()) {
        (Some(id), _) => plan.buffer(id).strides.clone(),
        (None, Some(Leaf::State(s))) => plan.state_strides(graph, s),
        (None, _) => row_major(&graph.ty(v).sizes()),
    }
}

/// What was loaded as a value of its element type: truth values are stored as reals.
fn as_value(f: &mut Func, elem: Elem, loaded: Val) -> Val {
    match elem {
        Elem::Bool => truth(f, loaded),
        Elem::F32 | Elem::I64 => loaded,
    }
}
