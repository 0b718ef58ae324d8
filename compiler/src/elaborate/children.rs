//! Parts of expressions.

use seqc_grammar::ast::{Expr, ExprKind};

/// Parts of an expression, in the order of the text.
pub(crate) fn children(e: &Expr) -> Vec<&Expr> {
    match &e.kind {
        ExprKind::Number(_) | ExprKind::Str(_) | ExprKind::Bool(_) | ExprKind::Name(_) | ExprKind::Error => Vec::new(),
        ExprKind::Unary(_, x) => vec![x],
        ExprKind::Binary(_, a, b) | ExprKind::When(a, b) => vec![a, b],
        ExprKind::If(c, a, b) => vec![c, a, b],
        ExprKind::Call { args, named, .. } => args.iter().chain(named.iter().map(|n| &n.value)).collect(),
        ExprKind::Reduce { vars, body, .. } => vars
            .iter()
            .filter_map(|(_, size)| size.as_ref())
            .chain([&**body])
            .collect(),
        ExprKind::Index { base, indices } => [&**base].into_iter().chain(indices).collect(),
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().collect(),
    }
}
