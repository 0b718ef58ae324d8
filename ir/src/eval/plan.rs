//! A graph made ready for evaluation: kernels in order, sums of products recognised, offsets computed.

use super::{
    access::Access,
    attend::{Attend, ListOf},
    contract::Contract,
    data::Data,
    tensor::{EvalError, Shape, Tensor},
};
use crate::{
    AttendSpec, BinaryOp, Elem, Graph, IndexExpr, Op, ReduceOp, Rounding, Stage, UnaryOp, Value, joined_views,
};

/// More factors than these are not told apart: a power of a power has twice as many each time.
const MOST_FACTORS: usize = 64;

/// The plan of one graph; shared by all layer instances of it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) params: Vec<Shape>,
    pub(super) inputs: Vec<Shape>,
    pub(super) states: Vec<StateInfo>,
    pub(super) delays: Vec<DelayInfo>,
    /// Taps of each long convolution, and the slot of the stream that it filters.
    pub(super) filters: Vec<(usize, usize)>,
    /// Number of attention caches.
    pub(super) caches: usize,
    pub(super) outputs: Vec<Output>,
    /// Load-stage nodes, operands before users.
    pub(super) load: Vec<Item>,
    /// Token-stage nodes, operands before users.
    pub(super) token: Vec<Item>,
    /// One more than the largest `Item::slot`.
    pub(super) slots: usize,
    pub(super) causal: bool,
    /// Tokens whose queries choose together: a common multiple over all policies.
    pub(super) together: usize,
}

#[derive(Debug)]
pub(super) struct StateInfo {
    pub(super) shape: Vec<usize>,
    pub(super) len: usize,
    /// Slot of the next value; `None` for a state that nothing reads.
    pub(super) next: Option<usize>,
}

#[derive(Debug)]
pub(super) struct DelayInfo {
    pub(super) steps: usize,
    pub(super) len: usize,
    pub(super) operand: usize,
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) slot: usize,
    sizes: Vec<usize>,
}

impl Output {
    pub(super) fn tensor(&self, data: Data) -> Tensor {
        Tensor {
            shape: self.sizes.clone(),
            data: data.to_vec(),
        }
    }
}

/// A node to compute.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Index of its value in the store: the number of its graph value.
    pub(super) slot: usize,
    pub(super) kernel: Kernel,
    /// Slots of the operands that the kernel reads.
    pub(super) operands: Vec<usize>,
    pub(super) sizes: Vec<usize>,
}

impl Item {
    /// Elements of the result.
    pub(super) fn len(&self) -> usize {
        self.sizes.iter().product()
    }
}

/// How a node is computed.
#[derive(Clone, Debug)]
pub(super) enum Kernel {
    Param(usize),
    Input(usize),
    Fill(f64),
    Iota {
        axis: usize,
    },
    Position,
    Unary(UnaryOp),
    Binary {
        op: BinaryOp,
        integer: bool,
    },
    Select,
    /// The operand's elements as they are.
    Share,
    Floor,
    View(Access),
    Concat {
        rows: usize,
        lengths: Vec<usize>,
    },
    Gather {
        rows: usize,
        row: usize,
    },
    /// A stack of `matrices` matrices of so many columns.
    IndexedProduct {
        matrices: usize,
        columns: usize,
    },
    Reduce {
        op: ReduceOp,
        inner: usize,
    },
    Contract(Contract),
    Prev(usize),
    Delay {
        slot: usize,
        steps: usize,
    },
    Window {
        slot: usize,
        taps: usize,
        step: usize,
    },
    LongConv {
        slot: usize,
        taps: usize,
    },
    Reverse,
    /// Rows of so many columns.
    RoundRow {
        rounding: Rounding,
        columns: usize,
    },
    Attend {
        cache: usize,
        attend: Attend,
    },
}

impl Plan {
    /// The graph's input whose value a slot has.
    pub(super) fn input_of(&self, slot: usize) -> Option<usize> {
        self.token.iter().find_map(|item| match item.kernel {
            Kernel::Input(n) if item.slot == slot => Some(n),
            _ => None,
        })
    }

    /// Plans a graph that the verifier accepts.
    pub(super) fn new(graph: &Graph) -> Result<Plan, EvalError> {
        let violations = crate::verify::verify(graph);
        if !violations.is_empty() {
            let violations = violations.iter().map(ToString::to_string).collect();
            return Err(EvalError::Invalid {
                graph: graph.name.clone(),
                violations,
            });
        }
        let mut planner = Planner {
            graph,
            delays: Vec::new(),
            filters: Vec::new(),
            caches: 0,
        };
        let needed = planner.items();
        let stages = graph.stages();
        let (load, token) = needed.into_iter().partition(|i: &Item| stages[i.slot] == Stage::Load);
        let causal = !graph.reads_later();
        let shape = |p: &crate::Port| Shape {
            name: p.name.clone(),
            sizes: p.ty.sizes(),
        };
        Ok(Plan {
            together: graph.together(),
            name: graph.name.clone(),
            params: graph.params.iter().map(shape).collect(),
            inputs: graph.inputs.iter().map(shape).collect(),
            states: graph
                .states
                .iter()
                .map(|s| StateInfo {
                    shape: s.ty.sizes(),
                    len: s.ty.len(),
                    next: s.next.map(slot),
                })
                .collect(),
            delays: planner.delays,
            filters: planner.filters,
            caches: planner.caches,
            outputs: graph
                .outputs
                .iter()
                .map(|(name, v)| Output {
                    name: name.clone(),
                    slot: slot(*v),
                    sizes: graph.ty(*v).sizes(),
                })
                .collect(),
            load,
            token,
            slots: stages.len(),
            causal,
        })
    }
}

struct Planner<'g> {
    graph: &'g Graph,
    delays: Vec<DelayInfo>,
    filters: Vec<(usize, usize)>,
    caches: usize,
}

impl Planner<'_> {
    /// The nodes that outputs and states need, once sums of products are recognised.
    fn items(&mut self) -> Vec<Item> {
        let graph = self.graph;
        let mut items: Vec<Option<Item>> = Vec::new();
        let mut work: Vec<Value> = graph.outputs.iter().map(|(_, v)| *v).collect();
        work.extend(graph.states.iter().filter_map(|s| s.next));
        while let Some(value) = work.pop() {
            if items.len() <= slot(value) {
                items.resize(slot(value) + 1, None);
            }
            if items[slot(value)].is_none() {
                let item = self.item(value);
                work.extend(item.operands.iter().map(|o| Value(*o as u32)));
                items[slot(value)] = Some(item);
            }
        }
        graph
            .order()
            .into_iter()
            .filter_map(|v| items.get_mut(slot(v)).and_then(Option::take))
            .collect()
    }

    fn item(&mut self, value: Value) -> Item {
        let sizes = self.graph.ty(value).sizes();
        if let Some((contract, factors)) = self.contraction(value) {
            let operands = factors.into_iter().map(slot).collect();
            return Item {
                slot: slot(value),
                kernel: Kernel::Contract(contract),
                operands,
                sizes,
            };
        }
        let operands = self.graph.operands(value);
        let kernel = self.kernel(value, &operands);
        Item {
            slot: slot(value),
            kernel,
            operands: operands.into_iter().map(slot).collect(),
            sizes,
        }
    }

    fn kernel(&mut self, value: Value, operands: &[Value]) -> Kernel {
        let graph = self.graph;
        let sizes = |n: usize| graph.ty(operands[n]).sizes();
        let elem = |n: usize| graph.ty(operands[n]).elem;
        match graph.op(value) {
            Op::Param(n) => Kernel::Param(*n),
            Op::Input(n) => Kernel::Input(*n),
            Op::Const(c) => Kernel::Fill(*c),
            Op::Iota { axis } => Kernel::Iota { axis: *axis },
            Op::Position => Kernel::Position,
            Op::Unary(op) => Kernel::Unary(*op),
            Op::Binary(op) => Kernel::Binary {
                op: *op,
                integer: elem(0) == Elem::I64,
            },
            Op::Select => Kernel::Select,
            Op::Cast if elem(0) == Elem::F32 && graph.ty(value).elem == Elem::I64 => Kernel::Floor,
            Op::Cast | Op::Reshape => Kernel::Share,
            Op::View(map) => Kernel::View(Access::new(map, &sizes(0), &graph.ty(value).sizes())),
            Op::Concat { axis } => Kernel::Concat {
                rows: sizes(0)[..*axis].iter().product(),
                lengths: (0..operands.len())
                    .map(|n| sizes(n)[*axis..].iter().product())
                    .collect(),
            },
            Op::Gather => Kernel::Gather {
                rows: sizes(0)[0],
                row: sizes(0)[1..].iter().product(),
            },
            Op::Reduce { op, axes } => {
                let sizes = sizes(0);
                Kernel::Reduce {
                    op: *op,
                    inner: sizes[sizes.len() - axes..].iter().product(),
                }
            }
            Op::IndexedMatVec => Kernel::IndexedProduct {
                matrices: sizes(0)[0],
                columns: sizes(0).last().copied().unwrap_or(0),
            },
            // Always a contraction.
            Op::MatVec => Kernel::Fill(0.0),
            Op::Prev(state) => Kernel::Prev(state.0 as usize),
            Op::Delay { steps } => {
                let info = DelayInfo {
                    steps: *steps,
                    len: graph.ty(value).len(),
                    operand: slot(operands[0]),
                };
                self.delays.push(info);
                Kernel::Delay {
                    slot: self.delays.len() - 1,
                    steps: *steps,
                }
            }
            Op::Window { taps, step } => {
                let info = DelayInfo {
                    steps: taps.saturating_sub(1) * step,
                    len: sizes(0).iter().product(),
                    operand: slot(operands[0]),
                };
                self.delays.push(info);
                Kernel::Window {
                    slot: self.delays.len() - 1,
                    taps: *taps,
                    step: *step,
                }
            }
            Op::LongConv => {
                let taps = sizes(1).last().copied().unwrap_or(0);
                self.filters.push((taps, slot(operands[0])));
                Kernel::LongConv {
                    slot: self.filters.len() - 1,
                    taps,
                }
            }
            Op::Reverse => Kernel::Reverse,
            Op::RoundRow(rounding) => Kernel::RoundRow {
                rounding: *rounding,
                columns: sizes(0).last().copied().unwrap_or(1),
            },
            Op::Attend(spec) => self.attend(spec, operands),
        }
    }

    fn attend(&mut self, spec: &AttendSpec, operands: &[Value]) -> Kernel {
        let sizes = |v: &Value| self.graph.ty(*v).sizes();
        let (q, k) = (sizes(&operands[0]), sizes(&operands[1]));
        let attend = Attend {
            spec: spec.clone(),
            heads: q[0],
            group: q[0] / k[0],
            e: q[1],
            f: if spec.has_values() { sizes(&operands[2])[1] } else { 0 },
            tables: operands[spec.table_operands()].iter().map(sizes).collect(),
            lists: operands[spec.query_operands()]
                .iter()
                .map(sizes)
                .map(ListOf::of)
                .collect(),
        };
        self.caches += 1;
        Kernel::Attend {
            cache: self.caches - 1,
            attend,
        }
    }

    /// A matrix product, or a sum over a product of views: how to contract it and the tensors it reads.
    fn contraction(&self, value: Value) -> Option<(Contract, Vec<Value>)> {
        let operands = self.graph.operands(value);
        let first = self.graph.ty(*operands.first()?).sizes();
        if let Op::MatVec = self.graph.op(value) {
            let last = IndexExpr::Axis(first.len() - 1);
            let x = Access::new(&[last], &self.graph.ty(operands[1]).sizes(), &first);
            let contract = Contract {
                factors: vec![Access::identity(&first), x],
                dims: first,
                summed: 1,
            };
            return Some((contract, operands));
        }
        let Op::Reduce {
            op: ReduceOp::Sum,
            axes,
        } = self.graph.op(value)
        else {
            return None;
        };
        let mut leaves = Vec::new();
        self.factors(operands[0], &mut leaves);
        let read = leaves.into_iter().map(|leaf| self.through_views(leaf, &first));
        let (sources, factors) = read.unzip();
        let contract = Contract {
            dims: first,
            summed: *axes,
            factors,
        };
        Some((contract, sources))
    }

    /// The factors of a product of reals, of which many are left together.
    fn factors(&self, value: Value, leaves: &mut Vec<Value>) {
        if let (Op::Binary(BinaryOp::Mul), true) = (self.graph.op(value), leaves.len() < MOST_FACTORS) {
            self.graph.operands(value).iter().for_each(|v| self.factors(*v, leaves));
        } else {
            leaves.push(value);
        }
    }

    /// The source of a chain of views, and the composed access to it.
    fn through_views(&self, leaf: Value, dims: &[usize]) -> (Value, Access) {
        let mut source = leaf;
        let mut map: Vec<_> = (0..dims.len()).map(IndexExpr::Axis).collect();
        while let Op::View(inner) = self.graph.op(source) {
            let Some(next) = self.graph.operands(source).first().copied() else {
                break;
            };
            let Some(joined) = joined_views(inner, &map) else {
                break;
            };
            (map, source) = (joined, next);
        }
        (source, Access::new(&map, &self.graph.ty(source).sizes(), dims))
    }
}

fn slot(value: Value) -> usize {
    value.0 as usize
}
