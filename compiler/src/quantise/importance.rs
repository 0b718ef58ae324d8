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
    /// Of the products of a model over a text; `source` is what the encoder reads, of a model that has one.
    pub(crate) fn of_text(built: &Built, tokens: &[i64], source: &[i64]) -> Result<Importance, Error> {
        let rows = reference::token_rows(&built.model, tokens)?;
        let memory = match (built.model.has_memory(), source) {
            (true, []) => {
                let help = "give the tokens of both: {\"tokens\": [1, 2], \"source\": [3, 4]}";
                return Err(Error::refused(
                    "the model has an encoder, and there is no list `source` for it to read",
                    help,
                ));
            }
            (false, []) => Vec::new(),
            _ => reference::memory_token_rows(&built.model, source)?,
        };
        reference::check_range(&built.model.inputs, &built.meta.vocabularies, &rows)?;
        reference::check_range(&built.model.memory.inputs, &built.meta.memory_vocabularies, &memory)?;
        let mut model = backend::canonical(&built.model);
        let watched = watch(&mut model);
        let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut add = |names: &[String], vector: &Tensor| {
            for name in names {
                add_squares(sums.entry(name.clone()).or_default(), vector);
            }
        };
        let mut evaluator = reference::evaluator_of(built, &model)?;
        for streams in evaluator.remember(&memory)? {
            watched
                .of_memory
                .iter()
                .for_each(|(names, stream)| add(names, &streams[*stream]));
        }
        let results = match model.is_causal() {
            true => evaluator.steps(&rows)?,
            false => evaluator.run_whole(&rows)?,
        };
        for row in &results {
            watched
                .of_tokens
                .iter()
                .zip(row)
                .for_each(|(names, vector)| add(names, vector));
        }
        let shares = sums.into_iter().map(|(name, sums)| (name, shares(&sums)));
        Ok(Importance(shares.collect()))
    }

    /// That of a tensor with rows of this length.
    pub(crate) fn of(&self, tensor: &str, columns: usize) -> Option<&[f32]> {
        let found = self.0.get(tensor).map(Vec::as_slice);
        found.filter(|all| all.len() == columns)
    }
}

/// Where what products read is found, and the tensors of their matrices.
#[derive(Debug, Default)]
struct Watched {
    /// For each output of the model.
    of_tokens: Vec<Vec<String>>,
    /// With the number of a stream of the memory.
    of_memory: Vec<(Vec<String>, usize)>,
}

/// Makes what products with parameters read the outputs of a model, or streams of its memory.
fn watch(model: &mut Model) -> Watched {
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
    let mut found = Watched::default();
    model.outputs.clear();
    for n in 0..model.calls.len() {
        for param in &watched[model.calls[n].kind.0 as usize] {
            let stream = model.new_stream();
            model.calls[n].results.push(stream);
            let names = model.calls[n].params[*param].tensors.iter();
            let names = names.map(|name| base(name).to_owned()).collect();
            // What runs at some tokens only has no values at the others.
            if n < model.memory.calls {
                found.of_memory.push((names, stream.0 as usize));
            } else if token[n] {
                found.of_tokens.push(names);
                model
                    .outputs
                    .push((format!("watched{}", found.of_tokens.len()), stream));
            }
        }
    }
    found
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
