//! What the checkpoint says about parameters: whether they are there, their shapes, and how they are stored.

use super::{expand::Instance, expected::Expected};
use crate::{
    diag::{Diagnostic, Placed},
    names::Names,
    source::{FileId, Place},
};
use seqc_checkpoint::{Checkpoint, base};
use seqc_formats::Encoding;
use seqc_grammar::{
    ast::Span,
    model::{Load, Template, Weights},
};
use seqc_ir::{Model, ParamSource};
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
    /// What its names are in the file.
    names: Names,
    /// How weights that are not there yet will be stored.
    expected: Option<Expected>,
}

/// The tensors of a parameter, and where the model says which they are.
#[derive(Clone, Debug)]
pub struct Param {
    /// The tensors.
    pub source: ParamSource,
    /// The place in the model.
    pub place: Place,
}

impl Tensors {
    /// Opens the checkpoint of a model; one that is not there is no problem until a program runs.
    pub fn open(
        file: FileId,
        weights: Option<&Weights>,
        path: Option<PathBuf>,
        expected: Option<Expected>,
    ) -> Result<Tensors, Diagnostic> {
        let names = weights.iter().flat_map(|w| &w.names);
        let mut tensors = Tensors {
            path: path.clone(),
            names: Names::new(names.map(|(model, file)| (model.value.as_str(), file.value.as_str()))),
            expected,
            ..Tensors::default()
        };
        if let Some(ty) = weights.and_then(|w| w.ty.as_ref()) {
            tensors.encoding = Some(Encoding::named(&ty.value).filter(|e| e.is_native()).ok_or_else(|| {
                let message = format!("there is no type of weights `{}`", ty.value);
                Diagnostic::new("unknown-type", Place::new(file, ty.span), message)
                    .did_you_mean(&ty.value, Encoding::all_native().map(Encoding::name))
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
    pub fn source(&self, instance: &Instance, param: &str) -> Result<Param, Diagnostic> {
        let name = format!("{}.{param}", instance.path);
        let Some((_, load)) = instance.load.iter().find(|(k, _)| k.text == param) else {
            let path = instance.params.as_ref().unwrap_or(&instance.path);
            let tensors = vec![self.names.in_file(&format!("{path}.{param}")).into_owned()];
            return Ok(Param {
                source: ParamSource { name, tensors },
                place: instance.layer.place,
            });
        };
        let (templates, span): (&[Template], Span) = match load {
            Load::One(template) => (std::slice::from_ref(template), template.span),
            Load::Stack(templates, span) => (templates, *span),
        };
        let place = Place::new(instance.names.file, span);
        let mut tensors = Vec::new();
        for template in templates {
            let named = instance.names.template(template)?;
            tensors.extend(named.iter().map(|name| self.names.in_file(name).into_owned()));
        }
        if tensors.is_empty() {
            return Err(Diagnostic::new("bad-template", place, "this names no tensor"));
        }
        Ok(Param {
            source: ParamSource { name, tensors },
            place,
        })
    }

    /// The encoding of a parameter of these sizes, for one that is read as a matrix or table, after its tensors have been
    /// checked; problems go to the list. What generated code does not read as it is stored, or the model wants otherwise,
    /// is f32.
    pub fn encoding(&self, param: &Param, sizes: &[usize], out: &mut Vec<Diagnostic>) -> Encoding {
        let Some(checkpoint) = &self.checkpoint else {
            if let Some(expected) = &self.expected {
                return expected.encoding(&param.source.tensors, sizes);
            }
            let wanted = self.encoding.filter(|_| self.path.is_none());
            let fits = |wanted: &Encoding| wanted.row_bytes(sizes.last().copied().unwrap_or(1)).is_some();
            return wanted.filter(fits).unwrap_or(Encoding::F32);
        };
        match self.checked(checkpoint, param, sizes) {
            Ok(stored) => {
                let wanted = self.encoding.is_none_or(|wanted| wanted == stored);
                if stored.is_native() && wanted {
                    stored
                } else {
                    Encoding::F32
                }
            }
            Err(d) => {
                out.push(d);
                Encoding::F32
            }
        }
    }

    /// How a parameter's tensors are stored, once they are known to be there and to have its shape: f32 where they differ.
    fn checked(&self, checkpoint: &Checkpoint, param: &Param, shape: &[usize]) -> Result<Encoding, Diagnostic> {
        let Param { source, place } = param;
        let place = *place;
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
        let mut encodings = Vec::new();
        for name in &source.tensors {
            let Some(tensor) = checkpoint.get(name) else {
                if let Some(whole) = checkpoint.get(base(name)) {
                    let message = format!("`{name}` is no part of a tensor of shape {:?}", whole.shape);
                    let d = Diagnostic::new("bad-tensor", place, message);
                    return Err(d.help(
                        "`rows` are numbers of rows from 0, the end exclusive, and whole blocks of quantised weights",
                    ));
                }
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
                let message = format!("tensor `{name}` of {} has shape {:?}", self.shown(), tensor.shape);
                let d =
                    Diagnostic::new("bad-tensor", place, message).says(format!("`{}` takes {expected:?}", source.name));
                return Err(d.help("compare the sizes of the model with those of the checkpoint"));
            }
            encodings.push(tensor.copied_encoding());
        }
        encodings.dedup();
        Ok(match encodings[..] {
            [encoding] => encoding,
            _ => Encoding::F32,
        })
    }
}

/// Most messages of one kind about the tensors of a checkpoint.
const MAX_ALIKE: usize = 3;

/// Makes one message of many alike: a checkpoint of another model misses all its tensors.
pub(super) fn fold(out: &mut Vec<Diagnostic>, wanted: usize, renamed: Option<String>) {
    const OTHER: &str = "is it the checkpoint of this model? `load` maps parameters to tensors";
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
