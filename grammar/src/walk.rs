//! Every place of a tree, to move or forget them.

use crate::ast::{Def, Expr, ExprKind, File, Ident, Shape, Span, Stmt, StreamTy, Target};

impl File {
    /// Replaces every place.
    pub fn map_spans(&mut self, f: &mut dyn FnMut(Span) -> Span) {
        for def in &mut self.items {
            map_def(def, f);
        }
    }
}

impl Expr {
    /// Replaces every place.
    pub fn map_spans(&mut self, f: &mut dyn FnMut(Span) -> Span) {
        self.span = f(self.span);
        match &mut self.kind {
            ExprKind::Number(_) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Name(_) | ExprKind::Error => {}
            ExprKind::Unary(_, x) => x.map_spans(f),
            ExprKind::Binary(_, a, b) => {
                a.map_spans(f);
                b.map_spans(f);
            }
            ExprKind::If(c, a, b) => {
                c.map_spans(f);
                a.map_spans(f);
                b.map_spans(f);
            }
            ExprKind::Call { callee, args, named } => {
                map_ident(callee, f);
                map_all(args, f);
                for arg in named {
                    map_ident(&mut arg.name, f);
                    map_idents(&mut arg.params, f);
                    arg.value.map_spans(f);
                }
            }
            ExprKind::Reduce { op, vars, body } => {
                map_ident(op, f);
                for (name, size) in vars {
                    map_ident(name, f);
                    map_all(size.as_mut_slice(), f);
                }
                body.map_spans(f);
            }
            ExprKind::Index { base, indices } => {
                base.map_spans(f);
                map_all(indices, f);
            }
            ExprKind::List(items) | ExprKind::Tuple(items) => map_all(items, f),
            ExprKind::When(value, condition) => {
                value.map_spans(f);
                condition.map_spans(f);
            }
        }
    }
}

type Change<'a> = &'a mut dyn FnMut(Span) -> Span;

fn map_all(exprs: &mut [Expr], f: Change<'_>) {
    for expr in exprs {
        expr.map_spans(f);
    }
}

fn map_ident(name: &mut Ident, f: Change<'_>) {
    name.span = f(name.span);
}

fn map_idents(names: &mut [Ident], f: Change<'_>) {
    for name in names {
        map_ident(name, f);
    }
}

fn map_shape(shape: &mut Shape, f: Change<'_>) {
    shape.span = f(shape.span);
    map_all(&mut shape.dims, f);
}

fn map_def(def: &mut Def, f: Change<'_>) {
    def.span = f(def.span);
    map_ident(&mut def.name, f);
    for stream in &mut def.streams {
        map_ident(&mut stream.name, f);
        match &mut stream.ty {
            StreamTy::Real(shape) | StreamTy::Int(Some(shape)) | StreamTy::Complex(Some(shape)) => map_shape(shape, f),
            StreamTy::Any | StreamTy::Int(None) | StreamTy::Complex(None) | StreamTy::Layer => {}
        }
    }
    for setting in &mut def.settings {
        map_ident(&mut setting.name, f);
        map_all(setting.default.as_mut_slice(), f);
    }
    if let Some(shape) = &mut def.result {
        map_shape(shape, f);
    }
    for stmt in &mut def.body {
        map_stmt(stmt, f);
    }
}

fn map_stmt(stmt: &mut Stmt, f: Change<'_>) {
    match stmt {
        Stmt::Dim { name, value } | Stmt::Trace { name, value } => {
            map_ident(name, f);
            value.map_spans(f);
        }
        Stmt::Param(decls) => {
            for decl in decls {
                map_ident(&mut decl.name, f);
                if let Some(shape) = &mut decl.shape {
                    map_shape(shape, f);
                }
            }
        }
        Stmt::Let { target, value } => {
            match target {
                Target::Name { name, shape } => {
                    map_ident(name, f);
                    if let Some(shape) = shape {
                        map_shape(shape, f);
                    }
                }
                Target::Indexed { name, vars } => {
                    map_ident(name, f);
                    map_idents(vars, f);
                }
                Target::Tuple(names) => map_idents(names, f),
            }
            value.map_spans(f);
        }
        Stmt::Result(value) | Stmt::Clause(value) => value.map_spans(f),
    }
}
