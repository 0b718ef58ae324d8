//! How much the columns of matrices count: mean squares of what is multiplied with them, over the tokens of a text.

use crate::{
    backend,
    model::Built,
    reference::{self, Error},
};
use seqc_checkpoint::base;
use seqc_ir::{Model, OpClass, Stage, eval::Tensor};
use seqc_passes::stored_matrix;
use std::collections::BTreeMap;

/// Part of the mean below which no column counts less: texts are longer than what was read.
const LEAST: f64 = 1e-3;

/// For each tensor that is multiplied with vectors, a number for each of its columns, 1 on average.
#[derive(Debug, Default)]
pub(crate) struct Importance(BTreeMap<String, Vec<f32>>);

impl Importance {
    /// Of the products of a model over a text.
    pub(crate) fn of_text(built: &Built, tokens: &[i64]) -> Result<Importance, Error> {
        if built.model.has_memory() || !built.model.is_causal() {
            let message = "importance is measured token by token: a model with an encoder, or one that reads whole sequences, has none";
            return Err(Error::refused(message, "leave --importance out"));
        }
        let rows = reference::token_rows(&built.model, tokens)?;
        reference::check_range(&built.model.inputs, &built.meta.vocabularies, &rows)?;
        let mut watched = backend::canonical(&built.model);
        let tensors = watch(&mut watched);
        let mut sums: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut evaluator = reference::evaluator_of(built, &watched)?;
        for row in &rows {
            let results = evaluator.step(row)?;
            for (names, vector) in tensors.iter().zip(&results) {
                names
                    .iter()
                    .for_each(|name| add_squares(sums.entry(name).or_default(), vector));
            }
        }
        let shares = sums.into_iter().map(|(name, sums)| (name.to_owned(), shares(&sums)));
        Ok(Importance(shares.collect()))
    }

    /// That of a tensor with rows of this length.
    pub(crate) fn of(&self, tensor: &str, columns: usize) -> Option<&[f32]> {
        let found = self.0.get(tensor).map(Vec::as_slice);
        found.filter(|all| all.len() == columns)
    }
}

/// Makes what products with parameters read the outputs of a model; gives the tensors of each of them.
fn watch(model: &mut Model) -> Vec<Vec<String>> {
    let inside = |call: usize| model.clocked.iter().any(|part| part.calls.contains(&call));
    let token: Vec<bool> = (0..model.calls.len()).map(|call| !inside(call)).collect();
    let mut watched = vec![Vec::new(); model.kinds.len()];
    for (kind, watched) in model.kinds.iter_mut().zip(&mut watched) {
        let graph = &mut kind.graph;
        let stages = graph.stages();
        for v in graph.live_order() {
            if graph.class(v) != OpClass::Product || stages[v.0 as usize] == Stage::Load {
                continue;
            }
            let operands = graph.operands(v);
            let (matrix, vector) = (operands[0], operands[operands.len() - 1]);
            if let Some(param) = stored_matrix(graph, matrix) {
                graph.add_output(format!("watched{}", watched.len()), vector);
                watched.push(param);
            }
        }
    }
    let mut tensors = Vec::new();
    model.outputs.clear();
    for n in 0..model.calls.len() {
        for param in &watched[model.calls[n].kind.0 as usize] {
            let stream = model.new_stream();
            model.calls[n].results.push(stream);
            // What runs at some tokens only has no values at the others.
            if token[n] {
                let names = model.calls[n].params[*param].tensors.iter();
                tensors.push(names.map(|name| base(name).to_owned()).collect());
                model.outputs.push((format!("watched{}", tensors.len()), stream));
            }
        }
    }
    tensors
}

/// Adds the squares of a vector, or of several.
fn add_squares(sums: &mut Vec<f64>, vectors: &Tensor) {
    let columns = vectors.shape.last().copied().unwrap_or(1);
    sums.resize(columns, 0.0);
    for (n, x) in vectors.data.iter().enumerate() {
        sums[n % columns] += x * x;
    }
}

/// Numbers that are 1 on average, none much less.
fn shares(sums: &[f64]) -> Vec<f32> {
    let mean = sums.iter().sum::<f64>() / sums.len().max(1) as f64;
    let share = |x: &f64| if mean > 0.0 { x / mean + LEAST } else { 1.0 };
    sums.iter().map(|x| share(x) as f32).collect()
}
