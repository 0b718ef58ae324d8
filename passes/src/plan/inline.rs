//! Traverses the inlined expression of a stored value: which stored values it reads, and at which indices.

use crate::affine::{AffineExpr, through};
use seqc_ir::{Graph, Op, Value};
use std::collections::HashSet;

/// A read of a stored value, a parameter, an input or a previous state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// What is read.
    pub value: Value,
    /// Index along each of its axes, over the loop axes: the root's axes, then those of reductions.
    pub coords: Vec<AffineExpr>,
    /// Sizes of the loop axes in scope.
    pub axes: Vec<usize>,
    /// How many tokens ago.
    pub delay: usize,
    /// Extent are picked by data (a table): `coords[0]` means nothing.
    pub table: bool,
}

impl Leaf {
    /// True where every entry of a value of these sizes is read once: at one axis of the loops for each of its own, of the same
    /// size.
    pub fn is_whole(&self, sizes: &[usize]) -> bool {
        let whole = |(at, size): (&AffineExpr, &usize)| at.as_axis().is_some_and(|axis| self.axes[axis] == *size);
        self.coords.len() == sizes.len() && self.coords.iter().zip(sizes).all(whole)
    }
}

/// A traversal that stops at values for which `stop` holds.
pub struct Walk<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// True for values that are read, not computed.
    pub stop: &'a dyn Fn(Value) -> bool,
}

impl Walk<'_> {
    /// All reads below `root`, each once. The root itself is expanded.
    pub fn leaves(&self, root: Value) -> Vec<Leaf> {
        let axes = self.graph.ty(root).sizes();
        let coords: Vec<AffineExpr> = (0..axes.len()).map(AffineExpr::axis).collect();
        let mut found = Found::default();
        self.expand(root, coords, axes, &mut found);
        found.leaves
    }

    fn visit(&self, v: Value, coords: Vec<AffineExpr>, axes: Vec<usize>, found: &mut Found) {
        let op = self.graph.op(v);
        let read = (self.stop)(v) || matches!(op, Op::Param(_) | Op::Input(_) | Op::Prev(_));
        if read {
            found.push(Leaf {
                value: v,
                coords,
                axes,
                delay: 0,
                table: false,
            });
        } else if found.seen.insert((v, coords.clone())) {
            self.expand(v, coords, axes, found);
        }
    }

    fn expand(&self, v: Value, coords: Vec<AffineExpr>, axes: Vec<usize>, found: &mut Found) {
        let operands = self.graph.operands(v);
        match self.graph.op(v) {
            Op::Param(_) | Op::Input(_) | Op::Prev(_) => found.push(Leaf {
                value: v,
                coords,
                axes,
                delay: 0,
                table: false,
            }),
            Op::Const(_) | Op::Iota { .. } | Op::Position => {}
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast => {
                for o in operands {
                    self.visit(o, coords.clone(), axes.clone(), found);
                }
            }
            Op::View(_) | Op::Reshape => {
                if let Some(inner) = through(self.graph, v, &coords, &axes) {
                    self.visit(operands[0], inner, axes, found);
                }
            }
            Op::Gather => {
                let rank = self.graph.ty(operands[1]).rank();
                self.visit(operands[1], coords[..rank].to_vec(), axes.clone(), found);
                let mut at = vec![AffineExpr::default()];
                at.extend_from_slice(&coords[rank..]);
                found.push(Leaf {
                    value: operands[0],
                    coords: at,
                    axes,
                    delay: 0,
                    table: true,
                });
            }
            Op::Reduce { axes: n, .. } => {
                let sizes = self.graph.ty(operands[0]).sizes();
                let (mut inner, mut axes) = (coords, axes);
                for size in &sizes[sizes.len() - n..] {
                    inner.push(AffineExpr::axis(axes.len()));
                    axes.push(*size);
                }
                self.visit(operands[0], inner, axes, found);
            }
            Op::Delay { steps } => found.push(Leaf {
                value: operands[0],
                coords,
                axes,
                delay: *steps,
                table: false,
            }),
            Op::Window { taps, step } => {
                // The oldest value stands for all that are past; the newest is of this token.
                let delays = [taps.saturating_sub(1) * step, 0];
                for delay in &delays[usize::from(delays[0] == 0)..] {
                    found.push(Leaf {
                        value: operands[0],
                        coords: coords[1..].to_vec(),
                        axes: axes.clone(),
                        delay: *delay,
                        table: false,
                    });
                }
            }
            Op::Concat { .. }
            | Op::MatVec
            | Op::IndexedMatVec
            | Op::LongConv
            | Op::Reverse
            | Op::RoundRow(_)
            | Op::Attend(_) => found.push(Leaf {
                value: v,
                coords,
                axes,
                delay: 0,
                table: false,
            }),
        }
    }
}

#[derive(Default)]
struct Found {
    leaves: Vec<Leaf>,
    known: HashSet<Leaf>,
    seen: HashSet<(Value, Vec<AffineExpr>)>,
}

impl Found {
    fn push(&mut self, leaf: Leaf) {
        if self.known.insert(leaf.clone()) {
            self.leaves.push(leaf);
        }
    }
}
