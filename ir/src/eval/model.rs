//! A stack of layers evaluated token by token, or over a whole sequence.

use super::{EvalError, Evaluator, Tensor, plan::Plan};
use crate::{Between, Clocked, Model, Step, Ty};
use std::sync::Arc;

/// All layer instances of a model with their parameters and what they carry.
#[derive(Clone, Debug)]
pub struct ModelEvaluator {
    name: String,
    calls: Vec<CallEvaluator>,
    clocked: Vec<ClockedEvaluator>,
    /// The calls of tokens in the order in which they run.
    steps: Arc<[Step]>,
    inputs: Vec<usize>,
    outputs: Vec<(String, usize)>,
    /// What streams have where nothing gives them a value: nothing, or zeros for rows of the memory that calls of tokens name.
    blank: Vec<Tensor>,
    memory: MemoryRows,
}

/// The calls that run over rows of the memory.
#[derive(Clone, Debug)]
struct MemoryRows {
    /// How many they are: the first ones.
    calls: usize,
    inputs: Vec<usize>,
}

#[derive(Clone, Debug)]
struct CallEvaluator {
    evaluator: Evaluator,
    args: Vec<usize>,
    results: Vec<usize>,
}

impl ModelEvaluator {
    /// Checks the model, takes the parameters from `params(call, parameter)` and computes the load stage.
    pub fn new<E: From<EvalError>>(
        model: &Model,
        mut params: impl FnMut(usize, usize) -> Result<Tensor, E>,
    ) -> Result<ModelEvaluator, E> {
        let violations = crate::verify::verify_model(model);
        if !violations.is_empty() {
            let violations = violations.iter().map(ToString::to_string).collect();
            return Err(EvalError::Invalid {
                graph: model.name.clone(),
                violations,
            }
            .into());
        }
        let plans: Vec<Arc<Plan>> = model
            .kinds
            .iter()
            .map(|k| Plan::new(&k.graph).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut calls = Vec::with_capacity(model.calls.len());
        for (n, call) in model.calls.iter().enumerate() {
            let plan = plans[call.kind.0 as usize].clone();
            let params = (0..plan.params.len())
                .map(|p| params(n, p))
                .collect::<Result<Vec<_>, E>>()?;
            calls.push(CallEvaluator {
                evaluator: Evaluator::from_plan(plan, params)?,
                args: call.args.iter().map(|s| s.0 as usize).collect(),
                results: call.results.iter().map(|s| s.0 as usize).collect(),
            });
        }
        Ok(ModelEvaluator {
            name: model.name.clone(),
            calls,
            clocked: clocked(model),
            steps: model.steps(model.memory.calls..model.calls.len()).into(),
            inputs: model.inputs.iter().map(|i| i.stream.0 as usize).collect(),
            outputs: model
                .outputs
                .iter()
                .map(|(name, s)| (name.clone(), s.0 as usize))
                .collect(),
            blank: blank(model),
            memory: MemoryRows {
                calls: model.memory.calls,
                inputs: model.memory.inputs.iter().map(|i| i.stream.0 as usize).collect(),
            },
        })
    }

    /// Names of the results, in the order of [`Model::outputs`].
    pub fn output_names(&self) -> Vec<&str> {
        self.outputs.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The evaluator of one layer instance, for its state.
    pub fn call(&self, n: usize) -> Option<&Evaluator> {
        self.calls.get(n).map(|c| &c.evaluator)
    }

    /// Says how many tokens from the start of the sequence are its prompt ([`Evaluator::set_prompt`]).
    pub fn set_prompt(&mut self, tokens: Option<usize>) {
        self.calls.iter_mut().for_each(|c| c.evaluator.set_prompt(tokens));
    }

    /// Reads the memory, before the first token: `rows[n]` are the inputs of row `n`, in the order of its inputs. Gives what all streams
    /// have at each row, by their numbers.
    pub fn remember(&mut self, rows: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        let mut all = self.streams(&self.memory.inputs, rows)?;
        let (of_memory, of_tokens) = self.calls.split_at_mut(self.memory.calls);
        of_memory.iter().try_for_each(|call| call.run_whole(&mut all))?;
        for call in of_tokens {
            let args = call.args(&all);
            call.evaluator.remember(&args);
        }
        Ok(all)
    }

    /// Forgets all tokens, and the memory.
    pub fn reset(&mut self) {
        self.calls.iter_mut().for_each(|c| c.evaluator.reset());
        self.clocked.iter_mut().for_each(ClockedEvaluator::reset);
    }

    /// One token: inputs in the order of [`Model::inputs`], results in the order of [`Model::outputs`].
    pub fn step(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
        Ok(self.steps(&[inputs.to_vec()])?.concat())
    }

    /// Some tokens one after another ([`Evaluator::steps`]).
    pub fn steps(&mut self, tokens: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        self.run(tokens, |call, all| call.evaluator.steps(&call.args(all)))
    }

    /// All tokens of a sequence from its beginning: `inputs[t]` are those of token `t`, and so are the results.
    pub fn run_whole(&self, inputs: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        let mut fresh = self.clone();
        fresh.clocked.iter_mut().for_each(ClockedEvaluator::reset);
        fresh.run(inputs, |call, all| call.evaluator.run_whole(&call.args(all)))
    }

    /// Results at some tokens, whose calls are run by `run`.
    fn run(
        &mut self,
        tokens: &[Vec<Tensor>],
        mut run: impl FnMut(&mut CallEvaluator, &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError>,
    ) -> Result<Vec<Vec<Tensor>>, EvalError> {
        let mut all = self.streams(&self.inputs, tokens)?;
        let steps = self.steps.clone();
        self.run_steps(&steps, &mut all, &mut run)?;
        Ok(self.results(&all))
    }

    fn run_steps(
        &mut self,
        steps: &[Step],
        tokens: &mut [Vec<Tensor>],
        run: &mut impl FnMut(&mut CallEvaluator, &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError>,
    ) -> Result<(), EvalError> {
        for step in steps {
            match step {
                Step::Calls(range) => {
                    for call in &mut self.calls[range.clone()] {
                        let results = run(call, tokens)?;
                        call.keep(tokens, results);
                    }
                }
                Step::Clocked(n, within) => {
                    let mut ticks = self.clocked[*n].enter(tokens);
                    if !ticks.is_empty() {
                        self.run_steps(within, &mut ticks, run)?;
                    }
                    self.clocked[*n].leave(tokens, ticks);
                }
            }
        }
        Ok(())
    }

    /// The streams of some tokens, or of some rows of the memory, of which `inputs` are given.
    fn streams(&self, inputs: &[usize], tokens: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        let token = |given: &Vec<Tensor>| {
            if given.len() != inputs.len() {
                return Err(EvalError::Count {
                    graph: self.name.clone(),
                    what: "input",
                    expected: inputs.len(),
                    found: given.len(),
                });
            }
            let mut streams = self.blank.clone();
            for (stream, input) in inputs.iter().zip(given) {
                streams[*stream] = input.clone();
            }
            Ok(streams)
        };
        tokens.iter().map(token).collect()
    }

    fn results(&self, tokens: &[Vec<Tensor>]) -> Vec<Vec<Tensor>> {
        let outputs = |streams: &Vec<Tensor>| self.outputs.iter().map(|(_, s)| streams[*s].clone()).collect();
        tokens.iter().map(outputs).collect()
    }
}

impl CallEvaluator {
    /// Its arguments at each of some tokens.
    fn args(&self, tokens: &[Vec<Tensor>]) -> Vec<Vec<Tensor>> {
        let args = |streams: &Vec<Tensor>| self.args.iter().map(|s| streams[*s].clone()).collect();
        tokens.iter().map(args).collect()
    }

    fn keep(&self, tokens: &mut [Vec<Tensor>], results: Vec<Vec<Tensor>>) {
        for (streams, results) in tokens.iter_mut().zip(results) {
            for (stream, result) in self.results.iter().zip(results) {
                streams[*stream] = result;
            }
        }
    }

    fn run_whole(&self, tokens: &mut [Vec<Tensor>]) -> Result<(), EvalError> {
        let results = self.evaluator.run_whole(&self.args(tokens))?;
        self.keep(tokens, results);
        Ok(())
    }
}

/// A clocked part and what its streams were at the last tick.
#[derive(Clone, Debug)]
struct ClockedEvaluator {
    part: Clocked,
    /// What each stream that leaves was at the last tick.
    held: Vec<Tensor>,
}

impl ClockedEvaluator {
    fn reset(&mut self) {
        self.held.iter_mut().for_each(|held| held.data.fill(0.0));
    }

    fn ticks(&self, streams: &[Tensor]) -> bool {
        streams[self.part.condition.0 as usize].data[0] != 0.0
    }

    /// The ticks among some tokens.
    fn enter(&self, tokens: &[Vec<Tensor>]) -> Vec<Vec<Tensor>> {
        let mut ticks: Vec<Vec<Tensor>> = tokens.iter().filter(|streams| self.ticks(streams)).cloned().collect();
        for streams in &mut ticks {
            for enter in &self.part.enter {
                streams[enter.to.0 as usize] = streams[enter.from.0 as usize].clone();
            }
        }
        ticks
    }

    /// Goes on with all tokens, of which some are these ticks.
    fn leave(&mut self, tokens: &mut [Vec<Tensor>], ticks: Vec<Vec<Tensor>>) {
        let mut ticks = ticks.into_iter();
        for streams in tokens {
            let tick = self.ticks(streams).then(|| ticks.next()).flatten();
            for (leave, held) in self.part.leave.iter().zip(&mut self.held) {
                let now = match (&tick, leave.between) {
                    (Some(tick), _) => tick[leave.from.0 as usize].clone(),
                    (None, Between::Hold) => held.clone(),
                    (None, Between::Zero) => zeros(&held.shape),
                    (None, Between::Pass(stream)) => streams[stream.0 as usize].clone(),
                };
                if tick.is_some() {
                    *held = now.clone();
                }
                streams[leave.to.0 as usize] = now;
            }
        }
    }
}

fn clocked(model: &Model) -> Vec<ClockedEvaluator> {
    let types: Vec<Ty> = model.stream_types();
    let part = |part: &Clocked| ClockedEvaluator {
        held: part
            .leave
            .iter()
            .map(|leave| zeros(&types[leave.from.0 as usize].sizes()))
            .collect(),
        part: part.clone(),
    };
    model.clocked.iter().map(part).collect()
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        data: vec![0.0; shape.iter().product()],
    }
}

/// What a stream has where nothing gives it a value.
fn blank(model: &Model) -> Vec<Tensor> {
    let mut blank = vec![Tensor::default(); model.streams as usize];
    for call in model.token_calls() {
        let graph = model.graph(call);
        for (n, stream) in call.args.iter().enumerate().filter(|(n, _)| graph.is_memory_input(*n)) {
            let ty = &graph.inputs[n].ty;
            blank[stream.0 as usize] = zeros(&ty.sizes());
        }
    }
    blank
}
