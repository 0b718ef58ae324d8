//! Sizes of index variables: by name, else from the first axis that the variable alone indexes.

use super::{
    children::children,
    cx::{Binding, Cx, VarInfo},
    val::Val,
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, ExprKind, Ident};
use seqc_ir::Dim;

impl Cx<'_> {
    /// Name, size and origin of an index variable that is used in `body`.
    pub(super) fn var_info(&mut self, name: &Ident, body: &Expr) -> Option<VarInfo> {
        if !self.is_foreign(&name.text)
            && let Some((known, place)) = self.known_name(&name.text)
            && let Some(size) = known.size().filter(|s| *s > 0)
        {
            return Some(VarInfo {
                name: name.text.clone(),
                size,
                place,
                inferred: false,
            });
        }
        match self.first_use(&name.text, body) {
            Some((size, e)) => Some(VarInfo {
                name: name.text.clone(),
                size,
                place: self.place(e.span),
                inferred: true,
            }),
            None if self.is_no_size(name) => None,
            None if self.is_wrong(&name.text) || self.uses_something_wrong(body) => None,
            None if self.reports_rank(&name.text, body) => None,
            None => {
                let place = self.place(name.span);
                let text = &name.text;
                let d = Diagnostic::new("no-size", place, format!("how far `{text}` runs is not known"))
                    .says("no `dim`, size or setting has this name, and it indexes no axis alone")
                    .help(format!("state it: `dim {text} = …`, or in a sum `sum({text} < 4: …)`"));
                self.report(super::unknown::doubt_token(d, text));
                None
            }
        }
    }

    /// Reports a name whose value is not a size, where an index variable runs over it.
    fn is_no_size(&mut self, name: &Ident) -> bool {
        let Some((known, _)) = self.known_name(&name.text).filter(|_| !self.is_foreign(&name.text)) else {
            return false;
        };
        let e = Expr {
            kind: ExprKind::Name(name.text.clone()),
            span: name.span,
        };
        self.bad_size(&e, format!("a size is an integer from 1, not {known}"));
        true
    }

    /// Whether a name is none of a layer of the standard library: that a model has a size of this name is chance.
    pub(super) fn is_foreign(&self, name: &str) -> bool {
        let own = self.frames.last().is_some_and(|f| f.names.contains_key(name));
        !own && self.request.library.is_standard(self.file())
    }

    /// Whether a name in an expression stands for something that has been reported.
    fn uses_something_wrong(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Name(name) => self.is_wrong(name),
            _ => children(e).into_iter().any(|part| self.uses_something_wrong(part)),
        }
    }

    fn is_wrong(&self, name: &str) -> bool {
        let bound = self.frames.last().and_then(|f| f.names.get(name));
        matches!(bound.map(|b| &b.binding), Some(Binding::Value(Val::Poison)))
    }

    /// Reports a place where the variable is one of too few or too many indices: why its size is not found.
    fn reports_rank(&mut self, name: &str, body: &Expr) -> bool {
        let mut work = vec![body];
        while let Some(e) = work.pop() {
            if let ExprKind::Index { base, indices } = &e.kind
                && indices
                    .iter()
                    .any(|i| matches!(&i.kind, ExprKind::Name(n) if n == name))
                && let Some(dims) = self.shape_of(base)
                && dims.len() != indices.len()
            {
                self.wrong_rank(base, &dims, indices.len(), e.span);
                return true;
            }
            work.extend(children(e).into_iter().rev());
        }
        false
    }

    /// The first axis that the variable alone indexes: its size, and the index.
    fn first_use<'e>(&mut self, name: &str, body: &'e Expr) -> Option<(usize, &'e Expr)> {
        let mut work = vec![body];
        while let Some(e) = work.pop() {
            if let ExprKind::Reduce { vars, .. } = &e.kind
                && vars.iter().any(|(v, _)| v.text == name)
            {
                continue;
            }
            if let ExprKind::Index { base, indices } = &e.kind {
                let alone = |i: &Expr| matches!(&i.kind, ExprKind::Name(n) if n == name);
                if let Some(n) = indices.iter().position(alone)
                    && let Some(dims) = self.shape_of(base)
                    && dims.len() == indices.len()
                {
                    return Some((dims[n].size, &indices[n]));
                }
            }
            let mut parts = children(e);
            parts.reverse();
            work.extend(parts);
        }
        None
    }

    /// The shape of what stands before index brackets, if it can be told without the indices.
    fn shape_of(&mut self, base: &Expr) -> Option<Vec<Dim>> {
        if let ExprKind::Name(name) = &base.kind {
            if self.var(name).is_some() {
                return None;
            }
            let bound = self.frame().names.get(name).cloned()?;
            return match bound.binding {
                Binding::Value(Val::Tensor(t)) if !t.unknown => Some(self.dims(&t)),
                Binding::Value(Val::Complex(z)) if !z.re.unknown => Some(self.dims(&z.re)),
                Binding::Param(decl, _) => {
                    self.quiet += 1;
                    let dims = self.param_shape(&decl);
                    self.quiet -= 1;
                    dims
                }
                _ => None,
            };
        }
        // Nested sums ask for the same shapes again: without the answers kept, each level would double the work.
        let frame = self.frame();
        let scope: Vec<String> = frame.vars.iter().map(|(name, _)| name.clone()).collect();
        let key = (frame.path, base.span, scope);
        if let Some(found) = self.shapes.get(&key) {
            return found.clone();
        }
        self.quiet += 1;
        let val = self.expr(base);
        self.quiet -= 1;
        let dims = match val {
            Val::Tensor(t) if !t.unknown => Some(self.dims(&t)),
            Val::Complex(z) if !z.re.unknown => Some(self.dims(&z.re)),
            _ => None,
        };
        self.shapes.insert(key, dims.clone());
        dims
    }
}
