//! The evaluator: what a graph means, in double precision.
//!
//! [`Evaluator::step`] is one token of one layer; it keeps what the layer carries from token to token
//! (states, delayed values, attention caches, the position). [`Evaluator::run_whole`] gives every token at
//! once, and is the only evaluation of graphs that read later tokens. [`ModelEvaluator`] stacks layers.
//!
//! Numbers are `f64` throughout: reals are not rounded to `f32`, integers are exact up to 2^53, truth
//! values are 0 and 1. Nodes that depend on parameters alone are computed once, when the evaluator is made.
//!
//! It is plain rather than fast, but it never builds the product under a sum: products of views under
//! [`crate::ReduceOp::Sum`] and [`crate::Op::MatVec`] are contracted in place (`contract.rs`).

mod access;
mod attend;
mod blocks;
mod coding;
mod contract;
mod data;
mod elementwise;
pub mod entries;
mod governed;
mod kernel;
mod model;
mod place;
mod plan;
mod policy;
mod tensor;
mod whole;

use data::Data;
pub use elementwise::{MAX_WHOLE, apply_binary, apply_unary, whole};
pub use model::ModelEvaluator;
pub use tensor::{EvalError, Tensor};

use crate::{Clock, Graph, StateId};
use attend::Keys;
use plan::{Item, Kernel, Plan};
use std::{collections::VecDeque, sync::Arc};
use tensor::check;

/// One layer instance: its graph, its parameters and what it carries from token to token.
#[derive(Clone, Debug)]
pub struct Evaluator {
    plan: Arc<Plan>,
    /// Values of load-stage nodes, and of the current token's.
    values: Vec<Option<Data>>,
    memory: Memory,
}

/// What is carried from token to token.
#[derive(Clone, Debug)]
struct Memory {
    position: usize,
    /// Tokens of the prompt; `None`: its end has not been said.
    prompt: Option<usize>,
    states: Vec<Data>,
    /// The last values of each delayed operand, oldest first.
    delays: Vec<VecDeque<Data>>,
    /// The past of each stream that a long convolution filters, oldest first, as far as the filter reaches.
    pasts: Vec<VecDeque<Data>>,
    caches: Vec<Keys>,
    /// For each cache, operands of the tokens that follow the next one, as far as they are at hand.
    ahead: Vec<VecDeque<Vec<Data>>>,
    /// Operands of each cache, where they are noted token by token.
    looking: Option<Vec<VecDeque<Vec<Data>>>>,
}

impl Evaluator {
    /// Checks the graph and the parameters (in the order of [`Graph::params`]) and computes the load stage.
    pub fn new(graph: &Graph, params: &[Tensor]) -> Result<Evaluator, EvalError> {
        Evaluator::from_plan(Arc::new(Plan::new(graph)?), params.to_vec())
    }

    fn from_plan(plan: Arc<Plan>, params: Vec<Tensor>) -> Result<Evaluator, EvalError> {
        check(&plan.name, "parameter", &plan.params, &params)?;
        let params: Vec<Data> = params.into_iter().map(|t| Arc::new(t.data)).collect();
        let mut values = vec![None; plan.slots];
        for item in &plan.load {
            values[item.slot] = Some(match item.kernel {
                Kernel::Param(n) => params[n].clone(),
                _ => item.kernel.run(item, &operands(&values, item)),
            });
        }
        let memory = Memory::new(&plan);
        Ok(Evaluator { plan, values, memory })
    }

    /// Forgets all tokens, and the memory.
    pub fn reset(&mut self) {
        self.memory = Memory::new(&self.plan);
    }

    /// Says how many tokens from the start of the sequence are its prompt; `None`: more of it will follow. Cache policies may
    /// ask for it.
    pub fn set_prompt(&mut self, tokens: Option<usize>) {
        self.memory.prompt = tokens;
    }

    /// Number of tokens seen.
    pub fn position(&self) -> usize {
        self.memory.position
    }

    /// What `Prev` of the state will read at the next token.
    pub fn state(&self, state: StateId) -> Option<Tensor> {
        let n = state.0 as usize;
        let data = self.memory.states.get(n)?;
        Some(Tensor {
            shape: self.plan.states[n].shape.clone(),
            data: data.to_vec(),
        })
    }

    /// Names of the results, in the order of [`Graph::outputs`].
    pub fn output_names(&self) -> Vec<&str> {
        self.plan.outputs.iter().map(|o| o.name.as_str()).collect()
    }

    /// One token: inputs in the order of [`Graph::inputs`], results in the order of [`Graph::outputs`].
    /// A graph that reads later tokens has no step and gives [`EvalError::NotCausal`].
    pub fn step(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
        if !self.plan.causal {
            return Err(EvalError::NotCausal {
                graph: self.plan.name.clone(),
            });
        }
        check(&self.plan.name, "input", &self.plan.inputs, inputs)?;
        let inputs: Vec<Data> = inputs.iter().map(|t| Arc::new(t.data.clone())).collect();
        let plan = self.plan.clone();
        for item in &plan.token {
            let value = self.memory.value(item, &inputs, &self.values);
            self.values[item.slot] = Some(value);
        }
        self.memory.advance(&plan, &self.values);
        Ok(plan
            .outputs
            .iter()
            .map(|o| o.tensor(get(&self.values, o.slot)))
            .collect())
    }

    /// Reads a memory: `rows` are the rows of each of the graph's inputs, of which only those that are keys of [`Clock::Memory`]
    /// are looked at. What was read of another one is forgotten.
    pub fn remember(&mut self, rows: &[Vec<Tensor>]) {
        let plan = self.plan.clone();
        for item in &plan.token {
            let Kernel::Attend { cache, attend } = &item.kernel else {
                continue;
            };
            if attend.spec.clock != Clock::Memory {
                continue;
            }
            let row = |inputs: &Vec<Tensor>| {
                let of = |slot: &usize| plan.input_of(*slot).map(|n| Arc::new(inputs[n].data.clone()));
                item.operands.iter().map(|slot| of(slot).unwrap_or_default()).collect()
            };
            let rows: Vec<Vec<Data>> = rows.iter().map(row).collect();
            self.memory.caches[*cache] = attend.remembered(&rows);
        }
    }

    /// Some tokens one after another, whose queries choose together where a cache policy says so; otherwise as
    /// [`Evaluator::step`]. Tokens of a prompt that choose together must not be divided.
    pub fn steps(&mut self, tokens: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        if self.plan.together > 1 && tokens.len() > 1 {
            // What queries are does not depend on what is seen, so that it is known beforehand.
            let mut looking = self.clone();
            looking.memory.looking = Some(vec![VecDeque::new(); self.plan.caches]);
            for inputs in tokens {
                looking.step(inputs)?;
            }
            self.memory.ahead = looking.memory.looking.unwrap_or_default();
        }
        let step = |inputs: &Vec<Tensor>| {
            self.memory.ahead.iter_mut().for_each(|ahead| {
                ahead.pop_front();
            });
            self.step(inputs)
        };
        tokens.iter().map(step).collect()
    }

    /// All tokens of a sequence from its beginning: `inputs[t]` are the inputs of token `t`, the results
    /// are those of token `t`. The state of [`Evaluator::step`] is neither read nor changed, but for the memory, which is read.
    pub fn run_whole(&self, inputs: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        whole::run(&self.plan, &self.values, &self.memory.caches, inputs)
    }
}

impl Memory {
    fn new(plan: &Plan) -> Memory {
        Memory {
            position: 0,
            prompt: None,
            states: plan.states.iter().map(|s| Arc::new(vec![0.0; s.len])).collect(),
            delays: plan
                .delays
                .iter()
                .map(|d| (0..d.steps).map(|_| Arc::new(vec![0.0; d.len])).collect())
                .collect(),
            pasts: vec![VecDeque::new(); plan.filters.len()],
            caches: vec![Keys::default(); plan.caches],
            ahead: vec![VecDeque::new(); plan.caches],
            looking: None,
        }
    }

    fn value(&mut self, item: &Item, inputs: &[Data], values: &[Option<Data>]) -> Data {
        match &item.kernel {
            Kernel::Input(n) => inputs[*n].clone(),
            Kernel::Position => Arc::new(vec![self.position as f64]),
            Kernel::Prev(s) => self.states[*s].clone(),
            Kernel::Delay { slot, .. } => self.delays[*slot].front().cloned().unwrap_or_default(),
            Kernel::Window { slot, taps, step } => {
                let ring = &self.delays[*slot];
                let now = get(values, item.operands[0]);
                let rows = (0..*taps).map(|k| ring.get(k * step).unwrap_or(&now));
                Arc::new(rows.flat_map(|row| row.to_vec()).collect())
            }
            Kernel::LongConv { slot, taps } => {
                let (now, f) = (get(values, item.operands[0]), get(values, item.operands[1]));
                let past = std::iter::once(&now).chain(self.pasts[*slot].iter().rev());
                Arc::new(kernel::convolve(&f, *taps, past))
            }
            Kernel::Attend { cache, attend } => {
                let mut tokens = vec![operands(values, item)];
                tokens.extend(self.ahead[*cache].iter().cloned());
                if let Some(seen) = &mut self.looking {
                    seen[*cache].push_back(tokens[0].clone());
                }
                Arc::new(attend.step(&mut self.caches[*cache], self.prompt, &tokens))
            }
            kernel => kernel.run(item, &operands(values, item)),
        }
    }

    fn advance(&mut self, plan: &Plan, values: &[Option<Data>]) {
        for (state, info) in self.states.iter_mut().zip(&plan.states) {
            if let Some(next) = info.next {
                *state = get(values, next);
            }
        }
        for (ring, info) in self.delays.iter_mut().zip(&plan.delays) {
            ring.push_back(get(values, info.operand));
            ring.pop_front();
        }
        for (past, (taps, operand)) in self.pasts.iter_mut().zip(&plan.filters) {
            past.push_back(get(values, *operand));
            if past.len() >= *taps {
                past.pop_front();
            }
        }
        self.position += 1;
    }
}

fn operands(values: &[Option<Data>], item: &Item) -> Vec<Data> {
    item.operands.iter().map(|o| get(values, *o)).collect()
}

/// The plan orders operands before users, so the value is there; an absent one reads as empty.
fn get(values: &[Option<Data>], slot: usize) -> Data {
    values[slot].clone().unwrap_or_default()
}
