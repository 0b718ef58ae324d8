//! Name resolution in bodies.

use super::{
    compact::Declared,
    cx::{Binding, Bound, Cx},
    val::{Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::Place,
};
use seqc_grammar::ast::{DefKind, ParamDecl, Span, Stmt};
use seqc_ir::{Dim, Elem, Ty};

/// In the place of a statement's number: a parameter whose shape is being read.
const OWN_SHAPE: usize = usize::MAX;

impl Cx<'_> {
    /// The index variable of a name, if it is one.
    pub(super) fn var(&self, name: &str) -> Option<Var> {
        let frame = self.frames.last()?;
        frame.vars.iter().rev().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    pub(super) fn sees_sizes(&self) -> bool {
        let kind = self.frames.last().map(|f| f.definition.def.kind);
        matches!(kind, Some(DefKind::Layer | DefKind::Block))
    }

    /// The size, setting or `dim` of a name and where it comes from. Index variables are not looked at.
    pub(super) fn known_name(&self, name: &str) -> Option<(Known, Place)> {
        let frame = self.frames.last()?;
        match frame.names.get(name) {
            Some(Bound {
                binding: Binding::Known(known),
                place,
            }) => Some((known.clone(), *place)),
            Some(Bound {
                binding: Binding::Value(Val::Known(known)),
                place,
            }) => Some((known.clone(), *place)),
            Some(_) => None,
            None if self.sees_sizes() => {
                let given = self.request.sizes.get(name)?;
                Some((given.value.clone(), given.place))
            }
            None => None,
        }
    }

    /// What a name stands for in an expression.
    pub(super) fn name(&mut self, name: &str, span: Span) -> Val {
        if let Some(frame) = self.frames.last()
            && let Some((_, score)) = frame.lambda.iter().rev().find(|(n, _)| n == name)
        {
            return Val::Score(score.clone());
        }
        if let Some(var) = self.var(name) {
            self.doubt_variable(name, span);
            let dims = vec![self.var_dim(var)];
            return Val::Tensor(Tensor::over(self.graph.iota(dims, 0), vec![var]));
        }
        if let Some(val) = self.cache_name(name, span) {
            return val;
        }
        if let Some((known, _)) = self.known_name(name) {
            return Val::Known(known);
        }
        match self.frame().names.get(name).cloned() {
            Some(bound) => self.bound(name, bound, span),
            None => self.unknown_name(name, span),
        }
    }

    fn bound(&mut self, name: &str, bound: Bound, span: Span) -> Val {
        match bound.binding {
            Binding::Known(known) => Val::Known(known),
            Binding::Value(val) => val,
            Binding::Param(_, Some(t)) => Val::Tensor(t),
            Binding::Param(decl, None) => self.param(&decl),
            Binding::Pending(OWN_SHAPE) => {
                let place = self.place(span);
                let message = format!("the shape of the parameter `{name}` names the parameter itself");
                let d = Diagnostic::new("used-before", place, message);
                self.report(d.note(bound.place, "declared here").help(
                    "an axis is a number, a setting, a `dim` or a size of an input: give the parameter or the size another name",
                ))
            }
            Binding::Pending(n) => {
                let place = self.place(span);
                let dim = matches!(self.frame().definition.def.body.get(n), Some(Stmt::Dim { .. }));
                let help = if dim {
                    "a `dim` must be defined before its use".to_owned()
                } else {
                    format!(
                        "`prev({name})` is its value one token ago, `delay(prev({name}), 2)` three tokens ago; otherwise define it above"
                    )
                };
                self.report(
                    Diagnostic::new("used-before", place, format!("`{name}` is used before it is complete"))
                        .note(bound.place, format!("`{name}` is defined here"))
                        .help(help),
                )
            }
            Binding::Inner => {
                let place = self.place(span);
                self.report(
                    Diagnostic::new("layer-as-value", place, format!("`{name}` is a layer, not a stream"))
                        .help(format!("call it: `{name}(x)`")),
                )
            }
        }
    }

    /// Declares a parameter in the graph when it is first used.
    fn param(&mut self, decl: &ParamDecl) -> Val {
        let name = &decl.name.text;
        // While its shape is read the parameter is not there yet: a shape may name it by mistake.
        let place = self.place(decl.name.span);
        self.bind(name, Binding::Pending(OWN_SHAPE), place);
        let shape = self.param_shape(decl).map(|mut dims| {
            dims.extend(decl.complex.then(|| Dim::new("", 2)));
            dims
        });
        self.bind(name, Binding::Param(decl.clone(), None), place);
        let val = match shape {
            Some(dims) if self.check_dims(&dims, decl.name.span) => {
                let frame = self.frame();
                let (part, start) = (frame.part.unwrap_or(usize::MAX), decl.name.span.start);
                let full = format!("{}{name}", frame.prefix);
                let v = self.graph.add_param(full, Ty::new(Elem::F32, dims));
                let param = self.graph.params.len() - 1;
                self.declared.push(Declared { part, start, param });
                match decl.complex {
                    true => self.complex_of_pairs(&Tensor::plain(v)),
                    false => Val::Tensor(Tensor::plain(v)),
                }
            }
            _ => Val::Poison,
        };
        // What is only tried is not remembered: the next use reports what is wrong with it.
        let remembered = self.quiet == 0 || !matches!(val, Val::Poison);
        if let Some(bound) = self.frame().names.get_mut(name).filter(|_| remembered) {
            bound.binding = match &val {
                Val::Tensor(t) => Binding::Param(decl.clone(), Some(t.clone())),
                other => Binding::Value(other.clone()),
            };
        }
        val
    }

    /// The declared shape of a parameter. Index variables do not hide sizes in it.
    pub(super) fn param_shape(&mut self, decl: &ParamDecl) -> Option<Vec<Dim>> {
        let exprs = decl.shape.as_ref().map_or(&[][..], |s| &s.dims[..]).to_vec();
        let vars = std::mem::take(&mut self.frame().vars);
        let lambda = std::mem::take(&mut self.frame().lambda);
        let whole = std::mem::replace(&mut self.whole, false);
        let dims: Vec<Option<Dim>> = exprs.iter().map(|e| self.size(e)).collect();
        self.whole = whole;
        self.frame().vars = vars;
        self.frame().lambda = lambda;
        dims.into_iter().collect()
    }

    /// All names that an expression may use here.
    pub(super) fn visible(&self) -> Vec<String> {
        let Some(frame) = self.frames.last() else {
            return Vec::new();
        };
        let mut names: Vec<String> = frame.names.keys().cloned().collect();
        names.extend(frame.vars.iter().map(|(n, _)| n.clone()));
        names.extend(frame.lambda.iter().map(|(n, _)| n.clone()));
        names.extend(self.cache_words());
        if self.sees_sizes() {
            names.extend(self.request.sizes.keys().cloned());
        }
        names
    }

    /// Gives a name its meaning in the innermost definition.
    pub(super) fn bind(&mut self, name: &str, binding: Binding, place: Place) {
        self.frame().names.insert(name.to_owned(), Bound { binding, place });
    }
}
