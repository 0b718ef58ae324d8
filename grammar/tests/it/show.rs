//! Trees as text: every expression in brackets.

use seqc_grammar::ast::{Def, Expr, ExprKind, File, Ident, NamedArg, Setting, Shape, Stmt, StreamTy, Target, UnOp};

/// All definitions of a file.
pub(crate) fn file(file: &File) -> String {
    file.items.iter().map(def).collect::<Vec<_>>().join("\n")
}

fn def(def: &Def) -> String {
    let streams = def
        .streams
        .iter()
        .map(|s| format!("{}{}", s.name.text, stream_ty(&s.ty)));
    let result = def
        .result
        .as_ref()
        .map_or(String::new(), |r| format!(" -> {}", shape(r)));
    let settings = join(def.settings.iter().map(setting));
    let head = format!(
        "{:?} {}({}; {settings}){result}",
        def.kind,
        def.name.text,
        join(streams)
    );
    let doc = def.doc.iter().map(|line| format!("/// {line}\n")).collect::<String>();
    let body = def.body.iter().map(|s| format!("  {}\n", stmt(s))).collect::<String>();
    format!("{doc}{head}\n{body}")
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn setting(setting: &Setting) -> String {
    let default = setting
        .default
        .as_ref()
        .map_or(String::new(), |d| format!(" = {}", expr(d)));
    format!("{}{default}", setting.name.text)
}

fn stream_ty(ty: &StreamTy) -> String {
    match ty {
        StreamTy::Any => String::new(),
        StreamTy::Real(s) => format!(": {}", shape(s)),
        StreamTy::Int(s) => format!(": int{}", s.as_ref().map_or(String::new(), shape)),
        StreamTy::Complex(s) => format!(": complex{}", s.as_ref().map_or(String::new(), shape)),
        StreamTy::Layer => ": layer".to_owned(),
    }
}

fn shape(shape: &Shape) -> String {
    format!("[{}]", join(shape.dims.iter().map(expr)))
}

fn names(names: &[Ident]) -> String {
    join(names.iter().map(|n| n.text.clone()))
}

fn stmt(stmt: &Stmt) -> String {
    match stmt {
        Stmt::Dim { name, value } => format!("dim {} = {}", name.text, expr(value)),
        Stmt::Param(decls) => {
            let decls = decls.iter().map(|d| {
                let kind = if d.complex { ": complex" } else { "" };
                format!("{}{}{kind}", d.name.text, d.shape.as_ref().map_or(String::new(), shape))
            });
            format!("param {}", join(decls))
        }
        Stmt::Let { target, value } => {
            let target = match target {
                Target::Name { name, shape: None } => name.text.clone(),
                Target::Name { name, shape: Some(s) } => format!("{}: {}", name.text, shape(s)),
                Target::Indexed { name, vars } => format!("{}[{}]", name.text, names(vars)),
                Target::Tuple(vars) => format!("({})", names(vars)),
            };
            format!("let {target} = {}", expr(value))
        }
        Stmt::Trace { name, value } => format!("trace {} = {}", name.text, expr(value)),
        Stmt::Result(value) => format!("result {}", expr(value)),
        Stmt::Clause(value) => format!("clause {}", expr(value)),
    }
}

/// An expression with a bracket around every operator.
pub(crate) fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Number(n) => format!("{n}"),
        ExprKind::Str(s) => format!("{s:?}"),
        ExprKind::Bool(b) => b.to_string(),
        ExprKind::Name(n) => n.clone(),
        ExprKind::Unary(UnOp::Neg, x) => format!("(-{})", expr(x)),
        ExprKind::Unary(UnOp::Not, x) => format!("(!{})", expr(x)),
        ExprKind::Binary(op, a, b) => format!("({} {op:?} {})", expr(a), expr(b)),
        ExprKind::If(c, a, b) => format!("(if {} then {} else {})", expr(c), expr(a), expr(b)),
        ExprKind::Call { callee, args, named } => {
            let all = args.iter().map(expr).chain(named.iter().map(named_arg));
            format!("{}({})", callee.text, join(all))
        }
        ExprKind::Reduce { op, vars, body } => {
            let vars = vars.iter().map(|(v, size)| match size {
                None => v.text.clone(),
                Some(size) => format!("{} < {}", v.text, expr(size)),
            });
            format!("{}({}: {})", op.text, join(vars), expr(body))
        }
        ExprKind::Index { base, indices } => format!("{}[{}]", expr(base), join(indices.iter().map(expr))),
        ExprKind::When(x, c) => format!("({} when {})", expr(x), expr(c)),
        ExprKind::List(items) => format!("[{}]", join(items.iter().map(expr))),
        ExprKind::Tuple(parts) => format!("({})", join(parts.iter().map(expr))),
        ExprKind::Error => "<error>".to_owned(),
    }
}

fn named_arg(arg: &NamedArg) -> String {
    let params = if arg.params.is_empty() {
        String::new()
    } else {
        format!(" ({})", names(&arg.params))
    };
    format!("{}{params} = {}", arg.name.text, expr(&arg.value))
}
