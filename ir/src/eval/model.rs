//! A stack of layers evaluated token by token, or over a whole sequence.

use super::{EvalError, Evaluator, Tensor, plan::Plan};
use crate::Model;
use std::sync::Arc;

/// All layer instances of a model with their parameters and what they carry.
#[derive(Clone, Debug)]
pub struct ModelEvaluator {
    name: String,
    calls: Vec<CallEvaluator>,
    inputs: Vec<usize>,
    outputs: Vec<(String, usize)>,
    streams: usize,
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
            inputs: model.inputs.iter().map(|i| i.stream.0 as usize).collect(),
            outputs: model
                .outputs
                .iter()
                .map(|(name, s)| (name.clone(), s.0 as usize))
                .collect(),
            streams: model.streams as usize,
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

    /// Forgets all tokens.
    pub fn reset(&mut self) {
        self.calls.iter_mut().for_each(|c| c.evaluator.reset());
    }

    /// One token: inputs in the order of [`Model::inputs`], results in the order of [`Model::outputs`].
    pub fn step(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
        self.check_count(inputs.len())?;
        let mut streams = vec![Tensor::default(); self.streams];
        for (stream, input) in self.inputs.iter().zip(inputs) {
            streams[*stream] = input.clone();
        }
        for call in &mut self.calls {
            let args: Vec<_> = call.args.iter().map(|s| streams[*s].clone()).collect();
            for (stream, result) in call.results.iter().zip(call.evaluator.step(&args)?) {
                streams[*stream] = result;
            }
        }
        Ok(self.outputs.iter().map(|(_, s)| streams[*s].clone()).collect())
    }

    /// Some tokens one after another ([`Evaluator::steps`]).
    pub fn steps(&mut self, tokens: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        let mut all = vec![vec![Tensor::default(); self.streams]; tokens.len()];
        for (streams, inputs) in all.iter_mut().zip(tokens) {
            self.check_count(inputs.len())?;
            for (stream, input) in self.inputs.iter().zip(inputs) {
                streams[*stream] = input.clone();
            }
        }
        for call in &mut self.calls {
            let args = |streams: &Vec<Tensor>| call.args.iter().map(|s| streams[*s].clone()).collect::<Vec<_>>();
            let args: Vec<_> = all.iter().map(args).collect();
            for (streams, results) in all.iter_mut().zip(call.evaluator.steps(&args)?) {
                for (stream, result) in call.results.iter().zip(results) {
                    streams[*stream] = result;
                }
            }
        }
        let outputs = |streams: &Vec<Tensor>| self.outputs.iter().map(|(_, s)| streams[*s].clone()).collect();
        Ok(all.iter().map(outputs).collect())
    }

    /// All tokens of a sequence from its beginning: `inputs[t]` are those of token `t`, and so are the results.
    pub fn run_whole(&self, inputs: &[Vec<Tensor>]) -> Result<Vec<Vec<Tensor>>, EvalError> {
        let mut tokens = vec![vec![Tensor::default(); self.streams]; inputs.len()];
        for (streams, given) in tokens.iter_mut().zip(inputs) {
            self.check_count(given.len())?;
            for (stream, input) in self.inputs.iter().zip(given) {
                streams[*stream] = input.clone();
            }
        }
        for call in &self.calls {
            let args = |streams: &Vec<Tensor>| call.args.iter().map(|s| streams[*s].clone()).collect::<Vec<_>>();
            let args: Vec<_> = tokens.iter().map(args).collect();
            for (streams, results) in tokens.iter_mut().zip(call.evaluator.run_whole(&args)?) {
                for (stream, result) in call.results.iter().zip(results) {
                    streams[*stream] = result;
                }
            }
        }
        let outputs = |streams: &Vec<Tensor>| self.outputs.iter().map(|(_, s)| streams[*s].clone()).collect();
        Ok(tokens.iter().map(outputs).collect())
    }

    fn check_count(&self, found: usize) -> Result<(), EvalError> {
        let expected = self.inputs.len();
        if found == expected {
            return Ok(());
        }
        Err(EvalError::Count {
            graph: self.name.clone(),
            what: "input",
            expected,
            found,
        })
    }
}
