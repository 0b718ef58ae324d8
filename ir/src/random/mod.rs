//! Random graphs for tests: valid, bounded, and covering every operation.
//!
//! The values of a random graph stay small (most within ±3) for inputs and parameters of the ranges given with it, and
//! its outputs depend on them continuously enough that single and double precision can be compared: nothing
//! decides on a rounded real, recurrences contract, logarithms and powers are of positive numbers.
//! Sizes are odd on purpose (1, 3, 5, 17, 20, 33, 64): no loop divides evenly.

mod attend;
mod blocks;
mod clock;
mod clocked;
mod data;
mod elementwise;
mod large;
mod memory;
mod model;
mod pairs;
mod policy;
mod product;
mod recurrence;
mod shape;

pub use clocked::random_model_clocked;
pub use data::{Range, Rng};
pub use memory::random_model_with_memory;
pub use model::{RandomModel, random_model, random_model_whole, random_policy};

use crate::{BinaryOp, Dim, Elem, Graph, Op, Stage, Ty, UnaryOp, Value, dims, eval::Tensor};

/// Sizes of axes.
const SIZES: [usize; 7] = [1, 3, 5, 17, 20, 33, 64];

/// Most elements of a value.
const MOST: usize = 2048;

/// A graph and what to feed it.
#[derive(Clone, Debug)]
pub struct RandomGraph {
    /// The graph; the verifier accepts it.
    pub graph: Graph,
    /// Ranges of the inputs, in graph order.
    pub inputs: Vec<Range>,
    /// Ranges of the parameters, in graph order.
    pub params: Vec<Range>,
}

impl RandomGraph {
    /// Parameters within their ranges.
    pub fn param_values(&self, seed: u64) -> Vec<Tensor> {
        let mut rng = Rng::new(seed);
        self.graph
            .params
            .iter()
            .zip(&self.params)
            .map(|(p, r)| r.tensor(&mut rng, &p.ty.sizes(), None))
            .collect()
    }

    /// Inputs of `tokens` tokens within their ranges: `[token][input]`.
    pub fn input_values(&self, seed: u64, tokens: usize) -> Vec<Vec<Tensor>> {
        let ports = self.graph.inputs.iter().zip(&self.inputs);
        let fed = ports.map(|(port, range)| data::Fed {
            sizes: port.ty.sizes(),
            range: *range,
        });
        let ports: Vec<_> = fed.collect();
        data::inputs(&ports, seed, tokens)
    }
}

/// A causal graph of about `size` constructions. The same arguments give the same graph. Its first input `x` and first
/// result `y` are vectors of one size; the other results are taps.
pub fn random_graph(seed: u64, size: usize) -> RandomGraph {
    let mut rng = Rng::new(seed);
    let d = *rng.choose(&SIZES[1..]);
    generate(rng, size, d, true)
}

/// Like [`random_graph`], with attention to later tokens and streams from their end.
pub fn random_graph_whole(seed: u64, size: usize) -> RandomGraph {
    let mut rng = Rng::new(seed);
    let d = *rng.choose(&SIZES[1..]);
    generate(rng, size, d, false)
}

fn generate(rng: Rng, size: usize, d: usize, causal: bool) -> RandomGraph {
    let mut g = Generator::new(rng, d, causal);
    if !causal {
        g.attention();
        g.backward();
    }
    for _ in 0..size {
        g.construct();
    }
    g.finish()
}

/// A graph in the making.
struct Generator {
    graph: Graph,
    rng: Rng,
    /// Real values within about ±3 to build on.
    pool: Vec<Value>,
    inputs: Vec<Range>,
    params: Vec<Range>,
    x: Value,
    /// Token ids below `ROWS`.
    token: Value,
    /// Document ids that never decrease.
    document: Value,
    causal: bool,
}

/// Number of token ids.
const ROWS: usize = 33;

impl Generator {
    fn new(rng: Rng, d: usize, causal: bool) -> Generator {
        let mut graph = Graph::new("random");
        let x = graph.add_input("x", Ty::new(Elem::F32, vec![Dim::new("d", d)]));
        let token = graph.add_input("token", Ty::scalar(Elem::I64));
        let document = graph.add_input("document", Ty::scalar(Elem::I64));
        let inputs = data::ranges(ROWS).to_vec();
        Generator {
            graph,
            rng,
            pool: vec![x],
            inputs,
            params: Vec::new(),
            x,
            token,
            document,
            causal,
        }
    }

    /// Adds one construction to the pool.
    fn construct(&mut self) {
        let made = match self.rng.below(19) {
            0 | 1 => self.unary(),
            2 | 3 => self.binary(),
            4 => self.choice(),
            5 => self.exact(),
            6 | 7 => self.reshaped(),
            8 => self.matrix_product(),
            9 => self.tensor_product(),
            10 => self.reduction(),
            11 => self.lookup(),
            12 => self.history(),
            13 | 14 => self.recurrence(),
            15 | 16 => self.large(),
            17 if self.causal || self.rng.once_in(2) => self.indexed_product(),
            17 => self.backward(),
            _ => self.attention(),
        };
        self.pool.push(made);
    }

    /// The result: a vector like `x` that depends on the last value; every value that nothing reads is a tap.
    fn finish(mut self) -> RandomGraph {
        self.turn_states();
        let last = self.pool.last().copied().unwrap_or(self.x);
        let d = self.graph.ty(self.x).len();
        let mixed = self.projected(last, &[d]);
        let y = self.mean(self.x, mixed);
        self.graph.add_output("y", y);
        for (n, value) in self.pool.clone().into_iter().enumerate() {
            if self.graph.users(value).is_empty() && !matches!(self.graph.op(value), Op::Input(_) | Op::Param(_)) {
                self.graph.add_output(format!("tap{n}"), value);
            }
        }
        let stages = self.graph.stages();
        // A result is a stream: what is known at load time is read through the position's zeroth multiple.
        for n in 0..self.graph.outputs.len() {
            let value = self.graph.outputs[n].1;
            if stages.get(value.0 as usize) == Some(&Stage::Load) {
                let sizes = self.graph.ty(value).sizes();
                let zero = self.position_times(0.0, &sizes);
                let sum = self.graph.sum_of(value, zero);
                self.graph.outputs[n].1 = sum;
            }
        }
        RandomGraph {
            graph: self.graph,
            inputs: self.inputs,
            params: self.params,
        }
    }

    fn pick(&mut self) -> Value {
        let n = self.rng.below(self.pool.len());
        // Later values more often, so that graphs grow deep.
        let n = n.max(self.rng.below(self.pool.len()));
        self.pool[n]
    }

    fn sizes(&self, x: Value) -> Vec<usize> {
        self.graph.ty(x).sizes()
    }

    fn size(&mut self) -> usize {
        *self.rng.choose(&SIZES)
    }

    /// A parameter within ±`bound`.
    fn param(&mut self, sizes: &[usize], bound: f64) -> Value {
        self.params.push(Range::Real {
            low: -bound,
            high: bound,
        });
        self.graph.add_param(format!("p{}", self.params.len()), Ty::f32(sizes))
    }

    fn filled(&mut self, c: f64, like: Value) -> Value {
        let ty = Ty::f32(&self.sizes(like));
        self.graph.constant(c, ty)
    }

    fn plus(&mut self, x: Value, c: f64) -> Value {
        let c = self.filled(c, x);
        self.graph.sum_of(x, c)
    }

    fn times(&mut self, x: Value, c: f64) -> Value {
        let c = self.filled(c, x);
        self.graph.product_of(x, c)
    }

    fn tanh(&mut self, x: Value) -> Value {
        self.graph.unary(UnaryOp::Tanh, x)
    }

    fn sigmoid(&mut self, x: Value) -> Value {
        self.graph.unary(UnaryOp::Sigmoid, x)
    }

    fn mean(&mut self, a: Value, b: Value) -> Value {
        let sum = self.graph.sum_of(a, b);
        self.times(sum, 0.5)
    }

    /// `c * position` in every element of a tensor.
    fn position_times(&mut self, c: f64, sizes: &[usize]) -> Value {
        let position = self.graph.position();
        let position = self.graph.cast(Elem::F32, position);
        let position = self.graph.broadcast(position, dims(sizes), &[]);
        self.times(position, c)
    }

    /// A truth value that changes along the sequence.
    fn condition(&mut self) -> Value {
        let scalar = Ty::scalar(Elem::I64);
        match self.rng.below(3) {
            0 => {
                let before = self.graph.delay(self.document, 1);
                self.graph.binary(BinaryOp::Ne, self.document, before)
            }
            1 => {
                let position = self.graph.position();
                let zero = self.graph.constant(0.0, scalar);
                self.graph.binary(BinaryOp::Eq, position, zero)
            }
            _ => {
                let n = 2 + self.rng.below(5);
                let n = self.graph.constant(n as f64, scalar.clone());
                let rest = self.graph.binary(BinaryOp::Mod, self.token, n);
                let one = self.graph.constant(1.0, scalar);
                let op = *self.rng.choose(&[BinaryOp::Lt, BinaryOp::Eq, BinaryOp::Ge]);
                self.graph.binary(op, rest, one)
            }
        }
    }

    /// The condition in every element of a tensor.
    fn condition_like(&mut self, x: Value) -> Value {
        let condition = self.condition();
        let dims = self.graph.ty(x).dims.clone();
        self.graph.broadcast(condition, dims, &[])
    }
}
