//! Reductions of caches over channels: of the keys or values of entries, of queries for each block.

use super::{
    super::{children::children, cx::Cx, val::Val},
    choose::{Called, name_of, real},
    state::{Class, Level, Named, Scope, Stage, Vector},
    words,
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, Ident};
use seqc_ir::{BinaryOp, PairExpr, ReduceOp, policy::Kind};

impl Cx<'_> {
    /// `sum(c: …)` over the channels of each entry's key, or of the query for each block.
    pub(super) fn over_channels(&mut self, call: Called<'_>, variable: &Ident, body: &Expr) -> Val {
        if !self.decides(call, &[]) {
            return Val::Poison;
        }
        let widths = self.making().widths;
        let share = match call.name {
            "sum" => None,
            "mean" => Some(()),
            name => {
                let place = self.place(call.span);
                let d = Diagnostic::new("unknown-name", place, format!("`{name}` does not run over channels"));
                return self.report(d.help("sum and mean do"));
            }
        };
        let inner = self.inner();
        let over = self.making().scope.over;
        if inner.stage == Stage::Choose && !self.says_whose_query(body) {
            return Val::Poison;
        }
        let values =
            inner.stage != Stage::Choose && mentions_name(body, words::VALUE) && !self.is_own_name(words::VALUE);
        if values && !self.sums_values(call, body, inner.stage) {
            return Val::Poison;
        }
        let (level, vector) = match inner.stage {
            Stage::Choose => (Level::Block, Vector::Query),
            _ if values => (Level::Entry, Vector::Value),
            _ => (Level::Entry, Vector::Key),
        };
        let scope = Scope {
            channel: Some(variable.text.clone()),
            vector: Some(vector),
            ..Scope::new(inner.stage, level)
        };
        let Some(of) = self.number(body, scope) else {
            return Val::Poison;
        };
        let sum = self.define_here(match inner.stage {
            Stage::Choose => Kind::QuerySum {
                of,
                over: over.unwrap_or(ReduceOp::Max),
            },
            _ => Kind::VectorSum { of, values },
        });
        let width = if values { widths.value } else { widths.key };
        let width = PairExpr::Const(width as f64);
        real(match share {
            Some(()) => PairExpr::binary(BinaryOp::Div, sum, width),
            None => sum,
        })
    }

    /// Whether a sum over channels may read values: keys, or what has a number for each of their channels, may be of another width.
    fn sums_values(&mut self, call: Called<'_>, body: &Expr, stage: Stage) -> bool {
        let both = mentions_name(body, words::KEY);
        if both {
            let place = self.place(body.span);
            let d = Diagnostic::new(
                "wrong-operands",
                place,
                "a sum over channels reads keys or values, not both",
            );
            self.report(d.help("add up each by itself: `sum(c: key[c] ** 2) * sum(c: abs(value[c]))`"));
            return false;
        }
        let channels = stage == Stage::Close || self.mentions_channels(body);
        !channels || self.has_values_as_wide(call)
    }

    /// Whether an expression reads a definition with a number for each channel.
    fn mentions_channels(&mut self, e: &Expr) -> bool {
        let is_of_channels = |named: &Named| matches!(named.class, Class::Channel | Class::BlockChannel);
        let names: Vec<String> = {
            let all = self.making().names.iter();
            all.filter(|(_, named)| is_of_channels(named))
                .map(|(name, _)| name.clone())
                .collect()
        };
        names.iter().any(|name| mentions_name(e, name))
    }
}

/// Whether an expression or a part of it is a name.
pub(super) fn mentions_name(e: &Expr, name: &str) -> bool {
    name_of(e) == Some(name) || children(e).into_iter().any(|part| mentions_name(part, name))
}

/// Whether an expression reads a key or a query.
pub(super) fn mentions_vector(e: &Expr) -> bool {
    mentions_name(e, words::KEY) || mentions_name(e, words::QUERY)
}
