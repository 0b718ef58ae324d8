//! What the checkpoint says about parameters: whether they are there, their shapes, and how they are stored.

use super::expand::Instance;
use crate::{
    diag::{Diagnostic, Placed},
    source::{FileId, Place},
};
use seqc_checkpoint::Checkpoint;
use seqc_formats::Encoding;
use seqc_grammar::{
    ast::Span,
    model::{Load, Template, Weights},
};
use seqc_ir::{BinaryOp, Graph, Model, Op, OperandMode, ParamSource, ReduceOp, Value};
use std::{collections::HashSet, path::PathBuf};

/// Where parameters come from.
#[derive(Debug, Default)]
pub struct Tensors {
    /// The checkpoint, if it is there.
    pub checkpoint: Option<Checkpoint>,
    /// Its path.
    pub path: Option<PathBuf>,
    /// How weights are held, where the model says it.
    pub encoding: Option<Encoding>,
}

impl Tensors {
    /// Opens the checkpoint of a model; one that is not there is no problem until a program runs.
    pub fn open(file: FileId, weights: Option<&Weights>, path: Option<PathBuf>) -> Result<Tensors, Diagnostic> {
        let mut tensors = Tensors {
            path: path.clone(),
            ..Tensors::default()
        };
        if let Some(ty) = weights.and_then(|w| w.ty.as_ref()) {
            tensors.encoding = Some(Encoding::named(&ty.value).filter(|e| e.is_native()).ok_or_else(|| {
                let message = format!("there is no type of weights `{}`", ty.value);
                Diagnostic::new("unknown-type", Place::new(file, ty.span), message)
                    .did_you_mean(&ty.value, Encoding::native().map(Encoding::name))
            })?);
        }
        if let Some(path) = path.filter(|p| p.exists()) {
            let span = weights
                .and_then(|w| w.file.as_ref())
                .map_or(Span::default(), |f| f.span);
            let problem =
                |e: seqc_checkpoint::Error| Diagnostic::new("bad-checkpoint", Place::new(file, span), e.to_string());
            tensors.checkpoint = Some(Checkpoint::open(&path).map_err(problem)?);
        }
        Ok(tensors)
    }

    /// The checkpoint's path, for messages.
    pub(super) fn shown(&self) -> String {
        self.path.as_ref().map(|p| p.display().to_string()).unwrap_or_default()
    }

    /// The tensors of a parameter by the model's templates; its path where the model says nothing.
    pub fn source(&self, instance: &Instance, param: &str) -> Result<(ParamSource, Place), Diagnostic> {
        let name = format!("{}.{param}", instance.path);
        let Some((_, load)) = instance.load.iter().find(|(k, _)| k.text == param) else {
            let tensors = vec![name.clone()];
            return Ok((ParamSource { name, tensors }, instance.layer.place));
        };
        let (templates, span): (&[Template], Span) = match load {
            Load::One(template) => (std::slice::from_ref(template), template.span),
            Load::Stack(templates, span) => (templates, *span),
        };
        let place = Place::new(instance.names.file, span);
        let mut tensors = Vec::new();
        for template in templates {
            tensors.extend(instance.names.template(template)?);
        }
        if tensors.is_empty() {
            return Err(Diagnostic::new("bad-template", place, "this names no tensor"));
        }
        Ok((ParamSource { name, tensors }, place))
    }

    /// How a parameter is read, after its tensors have been checked; problems go to the list.
    pub fn store(&self, graph: &Graph, n: usize, at: (&ParamSource, Place), out: &mut Vec<Diagnostic>) -> Encoding {
        let shape = graph.params[n].ty.sizes();
        let (source, _) = at;
        let row = shape.last().copied().unwrap_or(1);
        let matrix = is_matrix(graph, n);
        let Some(checkpoint) = &self.checkpoint else {
            let wanted = self.encoding.unwrap_or(Encoding::F32);
            let fits = self.path.is_none() && matrix && wanted.row_bytes(row).is_some();
            return if fits { wanted } else { Encoding::F32 };
        };
        let encoding = match self.checked(checkpoint, &shape, at) {
            Ok(encoding) => encoding,
            Err(d) => {
                out.push(d);
                return Encoding::F32;
            }
        };
        // What generated code does not read as it is stored, and what the model wants otherwise, is converted to f32.
        let as_stored = encoding.is_native() && source.tensors.len() == 1 && matrix;
        let wanted = self.encoding.is_none_or(|wanted| wanted == encoding);
        if as_stored && wanted { encoding } else { Encoding::F32 }
    }

    /// How a parameter's tensors are stored, once they are known to be there and to have its shape.
    fn checked(
        &self,
        checkpoint: &Checkpoint,
        shape: &[usize],
        (source, place): (&ParamSource, Place),
    ) -> Result<Encoding, Diagnostic> {
        let count = source.tensors.len();
        let expected = if count == 1 {
            shape
        } else {
            shape.get(1..).unwrap_or_default()
        };
        if count != 1 && shape.first() != Some(&count) {
            let first = shape.first().copied().unwrap_or(1);
            let message = format!(
                "{count} tensors are stacked for `{}`, its first axis has {first}",
                source.name
            );
            return Err(Diagnostic::new("bad-tensor", place, message));
        }
        let mut encoding = Encoding::F32;
        for name in &source.tensors {
            let Some(tensor) = checkpoint.get(name) else {
                let message = format!("there is no tensor `{name}` in {}", self.shown());
                let d = Diagnostic::new("missing-tensor", place, message)
                    .says(format!("wanted for `{}`, of shape {shape:?}", source.name));
                return Err(d.did_you_mean(name, checkpoint.names()));
            };
            if let Some(refusal) = tensor.encoding.refusal() {
                let d = Diagnostic::new("bad-type", place, format!("tensor `{name}` {refusal}"))
                    .says(format!("wanted for `{}`", source.name));
                return Err(d.help("take the checkpoint before it was quantised, or a GGUF file of another type"));
            }
            let squeeze = |s: &[usize]| s.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
            if squeeze(&tensor.shape) != squeeze(expected) {
                let message = format!("tensor `{name}` has shape {:?}", tensor.shape);
                let d =
                    Diagnostic::new("bad-tensor", place, message).says(format!("`{}` takes {expected:?}", source.name));
                return Err(d.help("compare the sizes of the model with those of the checkpoint"));
            }
            encoding = tensor.encoding;
        }
        Ok(encoding)
    }
}

/// Most messages of one kind about the tensors of a checkpoint.
const MAX_ALIKE: usize = 3;

/// Makes one message of many alike: a checkpoint of another model misses all its tensors.
pub(super) fn fold(out: &mut Vec<Diagnostic>, wanted: usize, renamed: Option<String>) {
    const OTHER: &str = "is it the checkpoint of this model? `load` says which tensor a parameter is";
    for (code, what, help) in [
        (
            "missing-tensor",
            "are missing",
            Some(renamed.as_deref().unwrap_or(OTHER)),
        ),
        ("bad-tensor", "have another shape", Some(OTHER)),
        ("bad-type", "have a type that cannot be read", None),
        ("two-shapes", "are read in two ways", None),
    ] {
        let count = out.iter().filter(|d| d.code == code).count();
        if count <= MAX_ALIKE {
            continue;
        }
        let mut first = true;
        out.retain(|d| d.code != code || std::mem::take(&mut first));
        if let Some(d) = out.iter_mut().find(|d| d.code == code) {
            d.message = format!("{count} of {wanted} parameters {what}; the first: {}", d.message);
            d.help.extend(help.map(str::to_owned));
        }
    }
}

/// True when a parameter is used as a matrix in products or as a table only: those are read as they are stored,
/// everything else is small and converted.
fn is_matrix(graph: &Graph, n: usize) -> bool {
    let nodes: Vec<Value> = graph
        .values()
        .into_iter()
        .filter(|v| matches!(graph.op(*v), Op::Param(m) if *m == n))
        .collect();
    graph.params[n].ty.rank() >= 2
        && nodes
            .iter()
            .all(|v| graph.users(*v).iter().all(|u| reads_rows(graph, *v, *u)))
}

/// Distinct parameters and the bytes they take; tensors that several layers use count once.
pub fn distinct_parameters(model: &Model) -> (usize, usize) {
    let mut seen = HashSet::new();
    let (mut elements, mut bytes) = (0_usize, 0_usize);
    for call in &model.calls {
        let kind = &model.kinds[call.kind.0 as usize];
        for ((port, source), encoding) in kind.graph.params.iter().zip(&call.params).zip(&kind.encodings) {
            if !seen.insert(&source.tensors) {
                continue;
            }
            let (n, encoding) = (port.ty.len(), *encoding);
            elements = elements.saturating_add(n);
            bytes = bytes.saturating_add(n / encoding.block() * encoding.block_bytes());
        }
    }
    (elements, bytes)
}

/// True when `user` multiplies and sums over the last axis of `param`, or looks its rows up.
fn reads_rows(graph: &Graph, param: Value, user: Value) -> bool {
    let first = graph.operands(user).first() == Some(&param);
    match graph.op(user).mode(0) {
        OperandMode::Matrix => first,
        OperandMode::Table => first && graph.ty(param).rank() == 2,
        OperandMode::Entries => is_summed_product(graph, param, user),
        OperandMode::Whole | OperandMode::Earlier => false,
    }
}

/// True when `user` multiplies `param` entry by entry, and nothing but sums over the last axis reads that.
fn is_summed_product(graph: &Graph, param: Value, user: Value) -> bool {
    let sum = Op::Reduce {
        op: ReduceOp::Sum,
        axes: 1,
    };
    *graph.op(user) == Op::Binary(BinaryOp::Mul)
        && graph.ty(user).sizes() == graph.ty(param).sizes()
        && graph.users(user).iter().all(|u| *graph.op(*u) == sum)
}
