//! The reference: a model computed by the evaluator, in double precision, from the checkpoint's numbers.

use crate::{
    backend,
    diag::{Diagnostic, Placed},
    model::Built,
    random,
    source::Place,
};
use seqc_checkpoint::Checkpoint;
use seqc_formats::Encoding;
use seqc_ir::{
    Activations, Elem, Model, ModelInput,
    eval::{EvalError, ModelEvaluator, Tensor},
};
use std::{collections::HashMap, path::Path};

/// Why a model cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The evaluator refuses the model or an input.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A checkpoint or input file.
    #[error(transparent)]
    Checkpoint(#[from] seqc_checkpoint::Error),
    /// Random weights of another type than f32.
    #[error("random weights are evaluated as f32 only")]
    TypedRandom {
        /// Where the model says so.
        place: Option<Place>,
    },
    /// Something is missing or out of bounds.
    #[error("{message}")]
    Refused {
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
}

impl Error {
    /// Something is missing or out of bounds; `help` says what to do about it.
    pub(crate) fn refused(message: impl Into<String>, help: impl Into<String>) -> Error {
        let (message, help) = (message.into(), help.into());
        Error::Refused { message, help }
    }

    /// What to do about it.
    pub fn help(&self) -> &str {
        match self {
            Error::Eval(_) => "compare the streams and their shapes with those that `seqc inspect` lists",
            Error::Checkpoint(_) => {
                "compare the file with the one that was meant; fetch or write it again where it is damaged"
            }
            Error::TypedRandom { .. } => {
                "leave `type` out, or write the weights to a file first: `seqc init`, then `seqc quantise`"
            }
            Error::Refused { help, .. } => help,
        }
    }

    /// The message of a command.
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let message = self.to_string();
        let d = match self {
            Error::TypedRandom { place: Some(place) } => Diagnostic::new("eval", *place, message),
            _ => Diagnostic::bare("eval", message),
        };
        d.help(self.help())
    }
}

/// The evaluator of a model with its parameters.
pub fn evaluator(built: &Built) -> Result<ModelEvaluator, Error> {
    // Rounding stands in front of what passes find to be products.
    let rounded = (built.model.activations != Activations::F32).then(|| backend::canonical(&built.model));
    evaluator_of(built, rounded.as_ref().unwrap_or(&built.model))
}

/// The evaluator of another form of a model, with its parameters.
pub(crate) fn evaluator_of(built: &Built, model: &Model) -> Result<ModelEvaluator, Error> {
    let mut cache: HashMap<Vec<String>, Vec<f64>> = HashMap::new();
    ModelEvaluator::new(model, |call, n| {
        let source = &built.model.calls[call].params[n];
        let graph = built.model.graph(&built.model.calls[call]);
        let shape = graph.params[n].ty.sizes();
        let data = match cache.get(&source.tensors) {
            Some(data) => data.clone(),
            None => {
                let data = match (&built.tensors.checkpoint, built.meta.random) {
                    (Some(checkpoint), _) => load(checkpoint, &source.tensors)?,
                    (None, Some(_))
                        if built
                            .model
                            .kinds
                            .iter()
                            .any(|k| k.encodings.iter().any(|e| *e != Encoding::F32)) =>
                    {
                        let ty = built.document.weights.as_ref().and_then(|weights| weights.ty.as_ref());
                        let place = ty.map(|ty| Place::new(built.file, ty.span));
                        return Err(Error::TypedRandom { place });
                    }
                    (None, Some(seed)) => random::parameter(&source.tensors[0], &shape, seed),
                    (None, None) => {
                        let file = built.meta.weights.as_ref().map(|p| p.display().to_string());
                        return Err(match file {
                            Some(file) => Error::refused(
                                format!("{file}: there is no such checkpoint"),
                                "give one with `--weights FILE`; `seqc init` writes a random one",
                            ),
                            None => Error::refused(
                                "the model names no weights",
                                "give some with `--weights FILE`, or write `weights: {random: 1}` into the model",
                            ),
                        });
                    }
                };
                cache.insert(source.tensors.clone(), data.clone());
                data
            }
        };
        Ok(Tensor::new(&shape, data))
    })
}

fn load(checkpoint: &Checkpoint, names: &[String]) -> Result<Vec<f64>, Error> {
    let mut all = Vec::new();
    for name in names {
        let tensor = checkpoint.get(name).ok_or_else(|| {
            Error::refused(
                format!("there is no tensor `{name}` in the checkpoint"),
                "give the checkpoint of this model with `--weights FILE`",
            )
        })?;
        tensor.append_f32(&mut all)?;
    }
    Ok(all.into_iter().map(f64::from).collect())
}

/// One row of inputs per token: token ids for a model that reads one stream of integers.
pub fn token_rows(model: &Model, tokens: &[i64]) -> Result<Vec<Vec<Tensor>>, Error> {
    id_rows(&model.inputs, tokens).map_err(|names| {
        Error::refused(
            format!("the model reads no tokens alone, but {names}"),
            "give them with --input FILE",
        )
    })
}

/// The rows of the memory from token ids, for an encoder that reads one stream of integers.
pub fn memory_token_rows(model: &Model, tokens: &[i64]) -> Result<Vec<Vec<Tensor>>, Error> {
    id_rows(&model.memory.inputs, tokens).map_err(|names| match names.is_empty() {
        true => no_memory(),
        false => Error::refused(
            format!("the encoder reads no tokens alone, but {names}"),
            "give them with --source-input FILE",
        ),
    })
}

/// A source is given to a model that reads none.
pub(crate) fn no_memory() -> Error {
    Error::refused(
        "the model has no encoder, which would read a source",
        "leave the source out",
    )
}

/// A row for each of some ids, or the names of the inputs.
fn id_rows(inputs: &[ModelInput], tokens: &[i64]) -> Result<Vec<Vec<Tensor>>, String> {
    match inputs {
        [input] if input.ty.elem == Elem::I64 && input.ty.rank() == 0 => {
            Ok(tokens.iter().map(|t| vec![Tensor::scalar(*t as f64)]).collect())
        }
        inputs => {
            let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
            Err(names.join(", "))
        }
    }
}

/// One row of inputs per token from a file with a tensor `[tokens, …]` for each stream.
pub fn file_rows(model: &Model, path: &Path) -> Result<Vec<Vec<Tensor>>, Error> {
    rows_of(&model.inputs, path)
}

/// The rows of the memory from such a file.
pub fn memory_file_rows(model: &Model, path: &Path) -> Result<Vec<Vec<Tensor>>, Error> {
    rows_of(&model.memory.inputs, path)
}

fn rows_of(inputs: &[ModelInput], path: &Path) -> Result<Vec<Vec<Tensor>>, Error> {
    let file = Checkpoint::open(path)?;
    let mut rows: Vec<Vec<Tensor>> = Vec::new();
    for (n, input) in inputs.iter().enumerate() {
        let tensor = file.get(&input.name).ok_or_else(|| {
            let message = format!("{}: there is no tensor `{}`", path.display(), input.name);
            Error::refused(
                message,
                "the file has one tensor for each input that `seqc inspect` lists, by its name",
            )
        })?;
        let sizes = input.ty.sizes();
        let each: usize = sizes.iter().product();
        let fits = tensor.shape.len() == sizes.len() + 1 && tensor.shape[1..] == sizes[..];
        let count = tensor.shape.first().copied().unwrap_or(0);
        if !fits || (n > 0 && count != rows.len()) {
            return Err(Error::refused(
                format!("{}: `{}` has shape {:?}", path.display(), input.name, tensor.shape),
                format!(
                    "write it as [tokens, …] with {sizes:?} for each token, the same number of tokens for every input"
                ),
            ));
        }
        // Integers have more digits than f32.
        let data: Vec<f64> = match input.ty.elem {
            Elem::I64 => tensor.to_i64()?.into_iter().map(|n| n as f64).collect(),
            _ => tensor.to_f32()?.into_iter().map(f64::from).collect(),
        };
        rows.resize_with(count, Vec::new);
        for (row, values) in rows.iter_mut().zip(data.chunks_exact(each)) {
            row.push(Tensor::new(&sizes, values.to_vec()));
        }
    }
    Ok(rows)
}

/// One output of a model over a sequence.
#[derive(Clone, Debug)]
pub struct Output {
    /// Name.
    pub name: String,
    /// Tokens, then the shape of one token.
    pub shape: Vec<usize>,
    /// The numbers, row by row.
    pub data: Vec<f64>,
}

/// Most elements of one tensor that is evaluated.
const MAX_TENSOR: usize = 1 << 28;

/// Most elements of all parameters.
const MAX_PARAMETERS: usize = 1 << 31;

/// Refuses models that would fill the memory.
fn check_size(built: &Built) -> Result<(), Error> {
    let mut total = 0_usize;
    for call in &built.model.calls {
        let graph = built.model.graph(call);
        let largest = graph.values().into_iter().map(|v| graph.ty(v).len()).max();
        total = graph.params.iter().fold(total, |n, p| n.saturating_add(p.ty.len()));
        if largest.is_some_and(|n| n > MAX_TENSOR) || total > MAX_PARAMETERS {
            let name = &call.name;
            return Err(Error::refused(
                format!(
                    "`{name}` is too large for the evaluator: {MAX_TENSOR} elements a tensor, {MAX_PARAMETERS} in all parameters"
                ),
                "build the model and run the program, or evaluate it with smaller sizes: `--set sizes.d=64`",
            ));
        }
    }
    Ok(())
}

/// The model's outputs for every token.
pub fn run(built: &Built, rows: &[Vec<Tensor>]) -> Result<Vec<Output>, Error> {
    let given = Given {
        rows,
        ..Given::default()
    };
    run_given(built, &given)
}

/// What a model reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The inputs of each token.
    pub rows: &'a [Vec<Tensor>],
    /// The inputs of each row of the memory; none for a model without an encoder.
    pub memory: &'a [Vec<Tensor>],
    /// So many tokens are a prompt, where that is known.
    pub prompt: Option<usize>,
}

/// The model's outputs for every token of what is given.
pub fn run_given(built: &Built, given: &Given<'_>) -> Result<Vec<Output>, Error> {
    let Given { rows, memory, prompt } = *given;
    check_size(built)?;
    check_range(&built.model.inputs, &built.meta.vocabularies, rows)?;
    check_range(&built.model.memory.inputs, &built.meta.memory_vocabularies, memory)?;
    if built.model.has_memory() && memory.is_empty() {
        let help = "give it with --source-tokens or --source-input";
        return Err(Error::refused(
            "the model has an encoder, and nothing is given for it to read",
            help,
        ));
    }
    if let Some(length) = prompt.filter(|n| !(1..=rows.len()).contains(n)) {
        let message = format!("a prompt has from 1 to all {} tokens, not {length}", rows.len());
        return Err(Error::refused(message, "give another --prompt-length, or leave it out"));
    }
    let mut evaluator = evaluator(built)?;
    evaluator.set_prompt(prompt);
    evaluator.remember(memory)?;
    let results = if built.model.is_causal() {
        evaluator.steps(rows)?
    } else {
        evaluator.run_whole(rows)?
    };
    let names: Vec<String> = evaluator.output_names().iter().map(|n| (*n).to_owned()).collect();
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(n, name)| {
            let mut shape = vec![results.len()];
            shape.extend(results.first().iter().flat_map(|r| &r[n].shape));
            let data = results.iter().flat_map(|r| r[n].data.iter().copied()).collect();
            Output { name, shape, data }
        })
        .collect())
}

/// Refuses integers outside the tables that they index.
pub(crate) fn check_range(
    inputs: &[ModelInput],
    vocabularies: &[Option<usize>],
    rows: &[Vec<Tensor>],
) -> Result<(), Error> {
    for (n, (input, rows_of)) in inputs.iter().zip(vocabularies).enumerate() {
        let Some(count) = rows_of else { continue };
        for (at, row) in rows.iter().enumerate() {
            let wrong = row
                .get(n)
                .and_then(|t| t.data.iter().find(|v| **v < 0.0 || **v >= *count as f64));
            if let Some(v) = wrong {
                let (name, number, all) = (&input.name, at + 1, rows.len());
                return Err(Error::refused(
                    format!("`{name}`: {v}, number {number} of {all}, is out of range"),
                    format!("the model takes ids from 0 to {}", count.saturating_sub(1)),
                ));
            }
        }
    }
    Ok(())
}
