//! Random models of which parts run at some tokens only.

use super::{
    RandomGraph, RandomModel, Range, Rng, SIZES, data, generate,
    memory::{add, call, inputs, streams},
};
use crate::{Between, BinaryOp, Clocked, Dim, Elem, Enter, Graph, IndexExpr, KindId, Leave, Model, StreamId, Ty};

/// A stack in the making.
struct Stack {
    random: RandomModel,
    rng: Rng,
    /// Constructions of a layer.
    size: usize,
    /// Elements of the vectors between layers.
    d: usize,
    /// The result so far, and the model's inputs, where calls run now.
    last: StreamId,
    given: Vec<StreamId>,
    /// The layer that says where a part ticks.
    condition: KindId,
}

/// A model of layers of `size` constructions each, with clocked parts, some of them within others. They tick by position and by the sign of an input.
pub fn random_model_clocked(seed: u64, size: usize) -> RandomModel {
    let mut rng = Rng::new(seed);
    let d = *rng.choose(&SIZES[1..]);
    let first = generate(Rng::new(rng.bits()), size, d, true);
    let mut random = RandomModel {
        model: Model::default(),
        inputs: first.inputs.clone(),
        params: Vec::new(),
    };
    random.model.name = format!("clocked{seed}");
    random.model.inputs = inputs(&mut random.model, &first, "");
    let given = streams(&random.model.inputs);
    let (first, condition) = (add(&mut random, first, &given), condition(&mut rng, d));
    let condition = add(&mut random, condition, &given[..1]);
    let last = call(&mut random.model, "layers.0", first, given.clone())[0];
    let mut stack = Stack {
        random,
        rng,
        size,
        d,
        last,
        given,
        condition,
    };
    for _ in 0..1 + stack.rng.below(2) {
        stack.part(0);
    }
    if stack.rng.once_in(2) {
        stack.layer();
    }
    let mut random = stack.random;
    random.model.outputs.push(("y".to_owned(), stack.last));
    random
}

impl Stack {
    fn layer(&mut self) {
        let layer = generate(Rng::new(self.rng.bits()), self.size, self.d, true);
        let args = [&[self.last], &self.given[1..]].concat();
        let kind = add(&mut self.random, layer, &args);
        let name = format!("layers.{}", self.random.model.calls.len());
        self.last = call(&mut self.random.model, &name, kind, args)[0];
    }

    /// Layers that run at some of the tokens at which calls run now.
    fn part(&mut self, depth: usize) {
        let name = format!("layers.{}.condition", self.random.model.calls.len());
        let condition = call(&mut self.random.model, &name, self.condition, vec![self.given[0]])[0];
        let (last, given) = (self.last, self.given.clone());
        let model = &mut self.random.model;
        let (number, start) = (model.clocked.len(), model.calls.len());
        let mut enter = Vec::new();
        let mut entered = |from: StreamId| {
            let to = model.new_stream();
            enter.push(Enter { from, to });
            to
        };
        self.last = entered(last);
        self.given = given.iter().map(|stream| entered(*stream)).collect();
        model.clocked.push(Clocked {
            name: format!("layers.{start}.clock"),
            condition,
            calls: start..start,
            enter,
            leave: Vec::new(),
        });
        self.layer();
        if depth < 2 && self.rng.once_in(2) {
            self.part(depth + 1);
        }
        if self.rng.once_in(2) {
            self.layer();
        }
        let between = *self.rng.choose(&[Between::Hold, Between::Zero, Between::Pass(last)]);
        let (from, to) = (self.last, self.random.model.new_stream());
        let calls = self.random.model.calls.len();
        let part = &mut self.random.model.clocked[number];
        part.calls.end = calls;
        part.leave.push(Leave { from, to, between });
        (self.last, self.given) = (to, given);
    }
}

/// 1 at every `n`-th position, or also where the first entry of the input is positive; else 0.
fn condition(rng: &mut Rng, d: usize) -> RandomGraph {
    let mut g = Graph::new("condition");
    let x = g.add_input("x", Ty::new(Elem::F32, vec![Dim::new("d", d)]));
    let int = Ty::scalar(Elem::I64);
    let n = *rng.choose(&[1.0, 2.0, 3.0, 7.0]);
    let (position, period) = (g.position(), g.constant(n, int.clone()));
    let (rest, last) = (g.binary(BinaryOp::Mod, position, period), g.constant(n - 1.0, int));
    let mut on = g.binary(BinaryOp::Eq, rest, last);
    if rng.once_in(2) {
        let first = g.view(x, Vec::new(), vec![IndexExpr::Const(0)]);
        let zero = g.constant(0.0, Ty::f32(&[]));
        let positive = g.binary(BinaryOp::Gt, first, zero);
        on = g.binary(BinaryOp::Or, on, positive);
    }
    let on = g.cast(Elem::F32, on);
    g.add_output("on", on);
    RandomGraph {
        graph: g,
        inputs: data::ranges(super::ROWS)[..1].to_vec() as Vec<Range>,
        params: Vec::new(),
    }
}
