//! Arguments and settings of a call bound to the names of its definition: shapes name sizes, and have to agree with them.

use super::{
    call::{Argument, CallOf},
    cx::{Binding, Cx},
    val::{Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::Place,
};
use seqc_grammar::ast::{DefKind, Expr, ExprKind, Ident, Shape, StreamTy};
use seqc_ir::Elem;

impl Cx<'_> {
    /// Binds arguments and settings; `None` where something does not fit.
    pub(super) fn bind_arguments(&mut self, call: &CallOf) -> Option<()> {
        let def = &call.definition.def;
        let file = call.definition.file;
        for (name, given) in &call.settings {
            self.bind(name, Binding::Known(given.value.clone()), given.place);
        }
        let mut fits = true;
        for (stream, arg) in def.streams.iter().zip(&call.args) {
            let place = Place::new(file, stream.name.span);
            let bound = match &stream.ty {
                StreamTy::Layer => {
                    self.bind(&stream.name.text, Binding::Inner, place);
                    continue;
                }
                StreamTy::Any => Some(arg.val.clone()),
                StreamTy::Real(shape) => self.bind_dims(&shape.dims, arg, &stream.name, Elem::F32),
                StreamTy::Complex(shape) => self.bind_complex(shape.as_ref(), arg, &stream.name),
                StreamTy::Int(None) => self.bind_dims(&[], arg, &stream.name, Elem::I64),
                StreamTy::Int(Some(shape)) => self.bind_dims(&shape.dims, arg, &stream.name, Elem::I64),
            };
            if bound.is_none() {
                fits = false;
                self.poison_sizes(&stream.ty);
            }
            let bound = bound.unwrap_or(Val::Poison);
            self.bind(&stream.name.text, Binding::Value(bound), place);
        }
        fits &= self.bind_settings(call);
        for (stream, arg) in def.streams.iter().zip(&call.args) {
            if let StreamTy::Real(shape) | StreamTy::Int(Some(shape)) | StreamTy::Complex(Some(shape)) = &stream.ty {
                fits &= self.check_shape(shape, arg, &stream.name);
            }
        }
        fits.then_some(())
    }

    /// Makes the names of a shape that was not found known as wrong.
    fn poison_sizes(&mut self, ty: &StreamTy) {
        let (StreamTy::Real(shape) | StreamTy::Int(Some(shape)) | StreamTy::Complex(Some(shape))) = ty else {
            return;
        };
        for e in &shape.dims {
            if let ExprKind::Name(name) = &e.kind
                && !self.frame().names.contains_key(name)
            {
                let place = self.place(e.span);
                self.bind(name, Binding::Value(Val::Poison), place);
            }
        }
    }

    fn bind_settings(&mut self, call: &CallOf) -> bool {
        let def = &call.definition.def;
        let mut fits = true;
        for setting in &def.settings {
            let name = &setting.name.text;
            let place = Place::new(call.definition.file, setting.name.span);
            if self.frame().names.contains_key(name) {
                continue;
            }
            let value = match &setting.default {
                Some(e) => {
                    let known = self.known(e, &format!("the default of `{name}`"));
                    // What layers compute of it is refused as a constant; caches compare with it.
                    known.filter(|known| def.kind != DefKind::Cache || self.no_nan(known, e.span).is_some())
                }
                None => {
                    let d = Diagnostic::new(
                        "missing-setting",
                        call.at,
                        format!("`{}` needs `{name}`", def.name.text),
                    );
                    let d = d.note(place, "has no default");
                    self.report(d.help(match call.part {
                        Some(_) => format!("give it: `{}: {{{name}: …}}`", def.name.text),
                        None if def.kind == DefKind::Cache => {
                            format!("give it beside the policy: `{{policy: {}, {name}: …}}`", def.name.text)
                        }
                        None => format!("give it: `{}(…; {name} = …)`", def.name.text),
                    }));
                    None
                }
            };
            fits &= value.is_some();
            let binding = value.map_or(Binding::Value(Val::Poison), Binding::Known);
            self.bind(name, binding, place);
        }
        if let Some(part) = call.part {
            let names = def.settings.iter().map(|s| s.name.text.clone());
            let known: Vec<_> = names.filter_map(|n| Some((self.known_name(&n)?.0, n))).collect();
            self.settings[part] = known.into_iter().map(|(value, name)| (name, value)).collect();
        }
        fits
    }

    /// A complex argument; a real one becomes complex.
    fn bind_complex(&mut self, shape: Option<&Shape>, arg: &Argument, name: &Ident) -> Option<Val> {
        let shape = shape.map_or(&[][..], |s| &s.dims[..]);
        let [re, im] = ["re", "im"].map(|part| self.part_of(part, arg.val.clone().at(name.span), name.span));
        let of = |val| Argument { val, at: arg.at };
        let re = self.bind_dims(shape, &of(re), name, Elem::F32)?;
        let im = match im {
            known @ Val::Known(_) => known,
            im => self.bind_dims(shape, &of(im), name, Elem::F32)?,
        };
        Some(self.pair(re, im, name.span))
    }

    /// Binds the plain names of a stream's shape that are not known yet.
    fn bind_dims(&mut self, shape: &[Expr], arg: &Argument, name: &Ident, elem: Elem) -> Option<Val> {
        let at = arg.at;
        let t = match &arg.val {
            Val::Poison => return None,
            score @ Val::Score(_) if shape.is_empty() => return Some(score.clone()),
            known @ Val::Known(_) => self.lift(known, elem, name.span)?,
            val => self.tensor(val, name.span)?,
        };
        let dims = self.dims(&t);
        // What a function declares is a shape: booleans pass as they are.
        let truths = elem == Elem::F32 && self.elem(&t) == Elem::Bool && self.frame().part.is_none();
        if !truths && !self.check_elem(&t, at, name, elem) {
            return None;
        }
        if dims.len() != shape.len() {
            let found = super::dims::shown(&dims);
            let message = format!("`{}` takes {} axes, this is {found}", name.text, shape.len());
            let place = self.place(name.span);
            let d = Diagnostic::new("wrong-rank", at, message).note(place, "declared here");
            let tokens = dims.is_empty() && self.elem(&t) == Elem::I64 && self.frame().part.is_some();
            self.report(match tokens {
                true => d.help("these are the tokens: a layer above makes vectors of them, `- embed: {vocab: vocab}`"),
                false => d,
            });
            return None;
        }
        for (e, dim) in shape.iter().zip(&dims) {
            if let ExprKind::Name(size) = &e.kind
                && !self.frame().names.contains_key(size)
            {
                let place = self.place(e.span);
                let known = Known::Num(dim.size as f64);
                self.bind(size, Binding::Known(known), place);
            }
        }
        let t = if elem == Elem::F32 && !truths {
            self.cast(&t, elem)
        } else {
            t
        };
        Some(Val::Tensor(t))
    }

    /// Whether an argument has numbers of the declared kind; integers become reals.
    fn check_elem(&mut self, t: &Tensor, at: Place, name: &Ident, elem: Elem) -> bool {
        let found = self.elem(t);
        if found == elem || (elem == Elem::F32 && found == Elem::I64) {
            return true;
        }
        let what = if elem == Elem::I64 { "integers" } else { "reals" };
        let integers =
            "streams of integers are declared `int`; `position()` and sums and products of integers are integers";
        let (is, help) = match found {
            Elem::Bool => (
                "a boolean",
                "a number from a condition: `if c then 1 else 0`".to_owned(),
            ),
            _ if self.dims(t).is_empty() => {
                let help = format!(
                    "{integers}; what remembers itself is real, and is taken by `{}: []`",
                    name.text
                );
                ("a real number", help)
            }
            _ => ("a real number", integers.to_owned()),
        };
        let d = Diagnostic::new("wrong-type", at, format!("`{}` takes {what}", name.text));
        let d = d.says(format!("this is {is}")).help(help);
        let place = self.place(name.span);
        self.report(d.note(place, "declared here"));
        false
    }

    /// Compares a stream with its declared shape once all names are known.
    fn check_shape(&mut self, shape: &Shape, arg: &Argument, name: &Ident) -> bool {
        let t = match &arg.val {
            Val::Tensor(t) => t,
            Val::Complex(z) => &z.re,
            _ => return true,
        };
        let dims = self.dims(t);
        if dims.len() != shape.dims.len() {
            return true;
        }
        for (e, dim) in shape.dims.iter().zip(&dims) {
            let Some(expected) = self.size(e) else { return false };
            if expected.size != dim.size {
                let message = format!(
                    "`{}` takes {} entries along this axis, it is given {}",
                    name.text, expected.size, dim.size
                );
                let place = self.place(e.span);
                let mut d = Diagnostic::new("shape-mismatch", arg.at, message)
                    .says(format!("this is {}", super::dims::shown(&dims)))
                    .note(place, format!("{} here", expected.size));
                d = self.origins(d, e);
                self.report(d);
                return false;
            }
        }
        true
    }
}
