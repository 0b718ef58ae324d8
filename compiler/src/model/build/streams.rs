//! Streams between layers: the inputs of the model, and what each layer reads of them.

use super::builder::{Builder, Stream};
use crate::{
    diag::{Diagnostic, Placed},
    elaborate,
    model::{expand::Instance, values},
    source::Place,
};
use seqc_grammar::{
    ast::{Expr, ExprKind, Ident},
    model::InputTy,
};
use seqc_ir::{Dim, Elem, ModelInput, Ty};

impl Builder<'_> {
    /// Declares the model's inputs; gives the first, and whether it is integers.
    pub(super) fn inputs(&mut self) -> Option<(Stream, bool)> {
        let file = self.file;
        self.declare(&file.inputs, "tokens")
    }

    /// Declares inputs: `name`, which is integers, unless some are given.
    pub(super) fn declare(&mut self, inputs: &[(Ident, InputTy)], name: &str) -> Option<(Stream, bool)> {
        if inputs.is_empty() {
            let ty = Ty::scalar(Elem::I64);
            return Some((self.input(name, ty), true));
        }
        let mut first = None;
        for (key, ty) in inputs {
            match self.input_type(ty) {
                Ok(ty) => {
                    if self.streams.contains_key(&key.text) {
                        let place = Place::new(self.names.file, key.span);
                        let message = format!("the encoder has a stream `{}` already", key.text);
                        let d = Diagnostic::new("defined-twice", place, message);
                        self.diagnostics.push(d.help("give one of them another name"));
                    }
                    let tokens = ty.elem == Elem::I64;
                    let stream = self.input(&key.text, ty);
                    first.get_or_insert((stream, tokens));
                }
                Err(d) => self.diagnostics.push(d),
            }
        }
        if self.diagnostics.is_empty() { first } else { None }
    }

    fn input(&mut self, name: &str, ty: Ty) -> Stream {
        let id = self.model.new_stream();
        self.model.inputs.push(ModelInput {
            name: name.to_owned(),
            ty: ty.clone(),
            stream: id,
        });
        let stream = Stream {
            id,
            ty: Some(ty),
            of_memory: false,
            clock: None,
        };
        self.streams.insert(name.to_owned(), stream.clone());
        stream
    }

    fn input_type(&self, ty: &InputTy) -> Result<Ty, Diagnostic> {
        let names: Vec<&str> = self.names.sizes.keys().map(String::as_str).collect();
        let mut dims = Vec::new();
        for e in ty.shape.iter().flat_map(|s| &s.dims) {
            let known = values::evaluate(self.names.file, e, self.names, &names)?;
            let Some(size) = known.size().filter(|n| *n > 0) else {
                let message = format!("a size is an integer from 1, not {known}");
                return Err(Diagnostic::new(
                    "bad-size",
                    Place::new(self.names.file, e.span),
                    message,
                ));
            };
            let name = if let ExprKind::Name(name) = &e.kind {
                name.as_str()
            } else {
                ""
            };
            dims.push(Dim::new(name, size));
        }
        let total = dims.iter().try_fold(1_usize, |n, d| n.checked_mul(d.size));
        if total.is_none_or(|n| n > seqc_ir::verify::MAX_ELEMENTS) {
            let place = Place::new(self.names.file, ty.span);
            return Err(Diagnostic::new(
                "too-large",
                place,
                "a stream of this shape is too large",
            ));
        }
        Ok(Ty::new(if ty.int { Elem::I64 } else { Elem::F32 }, dims))
    }

    /// Streams for the arguments, in the order of the graph's inputs.
    pub(super) fn arguments(&mut self, instance: &Instance, last: &Stream) -> Option<Vec<Stream>> {
        let names = elaborate::stream_names(&instance.layer.definition, &instance.blocks);
        let mut fits = true;
        for (key, _) in &instance.streams {
            if !names.contains(&key.text) {
                let layer = &instance.layer.definition.def.name.text;
                let d = Diagnostic::new(
                    "unknown-stream",
                    Place::new(self.names.file, key.span),
                    format!("`{layer}` reads no stream `{}`", key.text),
                );
                self.diagnostics
                    .push(d.did_you_mean(&key.text, names.iter().map(String::as_str)));
                fits = false;
            }
        }
        if names.is_empty() {
            let d = Diagnostic::new(
                "wrong-arguments",
                instance.layer.place,
                "a layer reads at least one stream",
            );
            let def = &instance.layer.definition;
            self.diagnostics
                .push(d.note(Place::new(def.file, def.def.name.span), "defined here"));
            return None;
        }
        let mut args = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let given = instance.streams.iter().find(|(k, _)| k.text == *name);
            let (wanted, place) = match given {
                Some((_, stream)) => (stream.text.clone(), Place::new(self.names.file, stream.span)),
                None if n == 0 => {
                    args.push(self.here(last));
                    continue;
                }
                None => (name.clone(), instance.layer.place),
            };
            match self.streams.get(&wanted).cloned() {
                Some(stream) => args.push(self.here(&stream)),
                None => {
                    let layer = &instance.layer.definition.def.name.text;
                    let message = match given {
                        Some(_) => format!("there is no stream `{wanted}` here"),
                        None => format!("`{layer}` also reads `{name}`"),
                    };
                    let known: Vec<&str> = self.streams.keys().map(String::as_str).collect();
                    let d = Diagnostic::new("unknown-stream", place, message);
                    let d = match given {
                        Some(_) => d.did_you_mean(&wanted, known),
                        None => d.help(format!(
                            "name the stream: `in: {{{name}: …}}`; a stream is an input of the model or a `tap` above"
                        )),
                    };
                    self.diagnostics.push(d);
                    fits = false;
                }
            }
        }
        fits.then_some(args)
    }

    /// A stream to go on with after an error in a layer that gives what it takes.
    pub(super) fn result_after_error(&mut self, instance: &Instance, input: &Ty) -> Option<Stream> {
        let outer = instance.blocks.first().unwrap_or(&instance.layer);
        let def = &outer.definition.def;
        let takes = def.streams.first().and_then(|s| match &s.ty {
            seqc_grammar::ast::StreamTy::Real(shape) => Some(shape),
            _ => None,
        })?;
        let name = |e: &Expr| match &e.kind {
            ExprKind::Name(n) => Some(n.clone()),
            _ => None,
        };
        let names = |s: &seqc_grammar::ast::Shape| s.dims.iter().map(name).collect::<Option<Vec<_>>>();
        let fits = takes.dims.len() == input.rank();
        (fits && names(takes)? == names(def.result.as_ref()?)?).then(|| Stream {
            id: self.model.new_stream(),
            ty: Some(input.clone()),
            of_memory: false,
            clock: self.clocks.inner(),
        })
    }
}
