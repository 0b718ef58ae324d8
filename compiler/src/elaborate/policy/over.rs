//! Reductions of caches: over entries, the entries of a block, blocks, query heads, queries and channels.

use super::{
    super::{
        children::children,
        cx::Cx,
        val::{Score, Val},
    },
    choose::{Called, How, always, name_of, real},
    over_channels::{mentions_name, mentions_vector},
    state::{Level, List, Scope, Stage, Vector},
    words,
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, ExprKind, Ident, Span};
use seqc_ir::{
    BinaryOp, Elem, PairExpr, ReduceOp,
    policy::{ENTRIES, Kind},
};

impl Cx<'_> {
    /// A reduction in the body of a cache; `None`: of a function that it calls.
    pub(in super::super) fn cache_reduction(
        &mut self,
        op: &Ident,
        bound: &[(Ident, Option<Expr>)],
        body: &Expr,
        span: Span,
    ) -> Option<Val> {
        if self.policy.is_none() || !self.in_cache() {
            return None;
        }
        let [(variable, size)] = bound else {
            return Some(self.error("wrong-arguments", span, "a reduction of a cache runs over one thing"));
        };
        let call = Called {
            name: &op.text,
            args: &[],
            named: &[],
            span,
        };
        // In a number of each entry, what runs over entries is of each channel where it reads one.
        let scope = &self.making().scope;
        let level = scope.level;
        let over_channels = scope.channel.is_some()
            && scope.stage == Stage::Decide
            && (level == Level::Channel || mentions_vector(body));
        Some(match (variable.text.as_str(), size) {
            (words::BLOCK, None) => self.over_block(call, body),
            (words::BLOCKS, None) => self.over_blocks(call, body),
            (words::HEADS, None) => self.over_heads(call, body, false),
            (words::MEMBERS, None) => self.over_heads(call, body, true),
            (words::QUERIES, None) if matches!(self.making().scope.stage, Stage::Choose | Stage::See) => {
                self.over_queries(call, body)
            }
            (words::ENTRIES, None) if over_channels => self.mean_of(call, body, Vector::Key, None),
            (words::QUERIES, Some(size)) if over_channels => match self.queries(size) {
                Some(queries) => self.mean_of(call, body, Vector::Query, Some(queries)),
                None => Val::Poison,
            },
            (words::ENTRIES, None) => self.over_entries(call, body),
            (words::ENTRIES, Some(_)) | (words::QUERIES, _) => self.no_range(variable),
            (_, None) => self.over_channels(call, variable, body),
            (_, Some(_)) => self.no_range(variable),
        })
    }

    fn no_range(&mut self, variable: &Ident) -> Val {
        let place = self.place(variable.span);
        let d = Diagnostic::new(
            "wrong-arguments",
            place,
            "this is not what a reduction of a cache runs over",
        );
        self.report(d.help(
            "`max(entries: x)` runs over entries, `max(block: x)` over the entries of a block, `sum(c: key[c] ** 2)` over the channels of a key, and in a number of each channel `mean(queries < 32: query[c] ** 2)` over the last queries",
        ))
    }

    /// In a number of each channel: over all keys, or over the last queries.
    fn mean_of(&mut self, call: Called<'_>, body: &Expr, vector: Vector, queries: Option<usize>) -> Val {
        let total = match call.name {
            "mean" => false,
            "sum" if queries.is_none() => true,
            _ => {
                let place = self.place(call.span);
                let d = Diagnostic::new(
                    "wrong-operands",
                    place,
                    format!("`{}` does not run over keys and queries", call.name),
                );
                return self.report(d.help("mean does, and sum over entries"));
            }
        };
        let scope = Scope {
            vector: Some(vector),
            level: match queries {
                Some(_) => Level::Channel,
                None => Level::Entry,
            },
            ..self.making().scope.clone()
        };
        if scope.stage != Stage::Decide {
            return Val::Poison;
        }
        let Some(of) = self.number(body, scope) else {
            return Val::Poison;
        };
        let kind = match queries {
            Some(queries) => Kind::QueryMean { of, queries },
            None => Kind::KeyMean(of),
        };
        let mean = self.define_here(kind);
        real(match total {
            true => PairExpr::binary(BinaryOp::Mul, mean, PairExpr::QueryStream(ENTRIES)),
            false => mean,
        })
    }

    /// What a reduction with truth values as well as numbers runs over, as a number, and how.
    pub(super) fn reduced(&mut self, call: Called<'_>, body: &Expr, scope: Scope) -> Option<(PairExpr, ReduceOp)> {
        let how = match call.name {
            "sum" | "mean" => ReduceOp::Sum,
            "max" | "any" => ReduceOp::Max,
            "min" | "all" => ReduceOp::Min,
            name => {
                let place = self.place(call.span);
                let d = Diagnostic::new("unknown-name", place, format!("`{name}` does not run over entries"));
                self.report(d.help("sum, mean, max, min, any and all do"));
                return None;
            }
        };
        let truth = matches!(call.name, "any" | "all");
        let of = match truth {
            true => self.holding(body, scope),
            false => self.number(body, scope),
        }?;
        let of = match truth {
            true => PairExpr::select(of, PairExpr::Const(1.0), PairExpr::Const(0.0)),
            false => of,
        };
        Some((of, how))
    }

    /// The value of a reduction from what was found; a mean is that of `count` numbers.
    pub(super) fn found(&mut self, call: Called<'_>, found: PairExpr, count: PairExpr) -> Val {
        match call.name {
            "mean" => real(PairExpr::binary(BinaryOp::Div, found, count)),
            "any" | "all" => {
                let truth = PairExpr::binary(BinaryOp::Ne, found, PairExpr::Const(0.0));
                Val::Score(Score::new(truth, Elem::Bool))
            }
            _ => real(found),
        }
    }

    /// Over all entries, the same number for each.
    fn over_entries(&mut self, call: Called<'_>, body: &Expr) -> Val {
        if !self.decides(call, &[]) || !self.where_entries_are_kept(call) {
            return Val::Poison;
        }
        let Some((of, how)) = self.reduced(call, body, Scope::new(Stage::Decide, Level::Entry)) else {
            return Val::Poison;
        };
        let found = self.define_here(Kind::Over {
            of,
            how,
            among: always(),
        });
        self.found(call, found, PairExpr::QueryStream(ENTRIES))
    }

    /// Over the entries of a block: a number of the block, or of each of its channels.
    fn over_block(&mut self, call: Called<'_>, body: &Expr) -> Val {
        if !self.has_blocks(call.name, call.span) {
            return Val::Poison;
        }
        let scope = self.making().scope.clone();
        let count = PairExpr::Const(self.making().blocks.as_ref().map_or(1.0, |b| b.size as f64));
        match (scope.stage, scope.level) {
            (Stage::Close, Level::Channel) => {
                let mentions = |name: &str| mentions_name(body, name);
                if mentions(words::KEY) && mentions(words::VALUE) {
                    let place = self.place(body.span);
                    let d = Diagnostic::new(
                        "wrong-operands",
                        place,
                        "a reduction over a block reads keys or values, not both",
                    );
                    return self.report(
                        d.help("reduce each by itself: `a[c] = mean(block: key[c])`, `b[c] = mean(block: value[c])`"),
                    );
                }
                let values = mentions(words::VALUE);
                if values && !self.has_values_as_wide(call) {
                    return Val::Poison;
                }
                let inner = Scope {
                    channel: scope.channel,
                    vector: Some(if values { Vector::Value } else { Vector::Key }),
                    ..Scope::new(Stage::Close, Level::Entry)
                };
                let Some((of, how)) = self.reduced(call, body, inner) else {
                    return Val::Poison;
                };
                let fold = Kind::Fold {
                    of,
                    how,
                    among: always(),
                    values,
                };
                let found = self.making().define(List::Closing, fold).stream();
                self.found(call, found, count)
            }
            (Stage::Choose | Stage::See, _) if is_sum_over_channels(body) && mentions_name(body, words::QUERY) => {
                self.over_products(call, body)
            }
            (Stage::Close, Level::Entry | Level::Block) | (Stage::Choose | Stage::See, _) => {
                let Some((of, how)) = self.reduced(call, body, Scope::new(Stage::Close, Level::Entry)) else {
                    return Val::Poison;
                };
                let over = Kind::Over {
                    of,
                    how,
                    among: always(),
                };
                let found = self.making().define(List::Closing, over).stream();
                let found = match scope.stage {
                    // What a token sees by is a number that is chosen by.
                    Stage::See => self.making().define(List::Choosing, Kind::Entry(found)).stream(),
                    _ => found,
                };
                self.found(call, found, count)
            }
            _ => {
                let place = self.place(call.span);
                let d = Diagnostic::new(
                    "cache-time",
                    place,
                    "numbers of blocks are known where queries choose, not here",
                );
                self.report(d.help("use them in the condition of `see`"))
            }
        }
    }

    /// `max(block: sum(c: query[c] * key[c]))`: over the entries of a block, where queries meet their keys.
    fn over_products(&mut self, call: Called<'_>, body: &Expr) -> Val {
        let ExprKind::Reduce { op, vars, body: inner } = &body.kind else {
            return Val::Poison;
        };
        let Some(how) = How::of(call.name).and_then(How::op) else {
            let name = call.name;
            let message = format!("`{name}` does not run over products with keys: sum, max and min do");
            return self.error("unknown-name", call.span, message);
        };
        if op.text != "sum" {
            return self.error(
                "unknown-name",
                body.span,
                "products of a query and a key are added up: `sum(c: query[c] * key[c])`",
            );
        }
        let over = self.making().scope.over;
        if !self.says_whose_query(body) {
            return Val::Poison;
        }
        let scope = Scope {
            channel: vars.first().map(|(variable, _)| variable.text.clone()),
            vector: Some(Vector::Both),
            ..Scope::new(Stage::Choose, Level::Block)
        };
        let Some(of) = self.number(inner, scope) else {
            return Val::Poison;
        };
        let sum = Kind::EntrySum {
            of,
            entries: how,
            over: over.unwrap_or(ReduceOp::Max),
        };
        real(self.making().define(List::Choosing, sum).stream())
    }

    /// Whether it is said whose query is read, where several choose together.
    pub(super) fn says_whose_query(&mut self, e: &Expr) -> bool {
        let over = self.making().scope.over;
        let together = self.making().blocks.as_ref().map_or(1, |b| b.together);
        if over.is_some() || together == 1 || !mentions_own_query(e) {
            return true;
        }
        let place = self.place(e.span);
        let d = Diagnostic::new(
            "wrong-operands",
            place,
            format!("{together} queries choose together: whose `query` this is must be said"),
        );
        self.report(
            d.help("`sum(c: mean(queries: query[c]) * mean[c])` or `max(queries: sum(c: query[c] * mean[c]))`"),
        );
        false
    }

    pub(super) fn has_values_as_wide(&mut self, call: Called<'_>) -> bool {
        let widths = self.making().widths;
        if widths.key == widths.value {
            return true;
        }
        let message = format!(
            "keys have {} channels and values {}: what has a number for each is not the same",
            widths.key, widths.value
        );
        self.error("wrong-operands", call.span, message);
        false
    }

    /// Over all blocks that are closed, the same number for each.
    fn over_blocks(&mut self, call: Called<'_>, body: &Expr) -> Val {
        if !self.chooses(call) {
            return Val::Poison;
        }
        if call.name == "mean" {
            let place = self.place(call.span);
            let d = Diagnostic::new("unknown-name", place, "`mean` does not run over blocks");
            return self.report(d.help("sum, max, min, any and all do"));
        }
        let Some((of, how)) = self.reduced(call, body, Scope::new(Stage::Choose, Level::Block)) else {
            return Val::Poison;
        };
        let over = Kind::Over {
            of,
            how,
            among: always(),
        };
        let found = self.making().define(List::Choosing, over).stream();
        self.found(call, found, PairExpr::Const(1.0))
    }

    /// Over the queries that choose together: a number of each channel, or of each block.
    fn over_queries(&mut self, call: Called<'_>, body: &Expr) -> Val {
        if !self.has_blocks(call.name, call.span) {
            return Val::Poison;
        }
        let Some(how) = How::of(call.name) else {
            let name = call.name;
            let message = format!("`{name}` does not run over queries: sum, mean, max and min do");
            return self.error("unknown-name", call.span, message);
        };
        // A mean is the sum, divided by how many there are.
        let over = how.op().unwrap_or(ReduceOp::Sum);

        let scope = self.making().scope.clone();
        if scope.channel.is_some() {
            let inner = Scope {
                over: Some(over),
                ..scope
            };
            let Some(of) = self.number(body, inner) else {
                return Val::Poison;
            };
            let mean = how.op().is_none();
            let fold = Kind::QueryFold { of, over, mean };
            return real(self.making().define(List::Choosing, fold).stream());
        }
        if how.op().is_none() || !is_reduced_over_queries(body) {
            let place = self.place(call.span);
            let d = Diagnostic::new(
                "wrong-operands",
                place,
                "what is reduced over queries is a sum over channels, or a number of each channel",
            );
            return self.report(
                d.help("`max(queries: sum(c: query[c] * mean[c]))`, `sum(c: mean(queries: query[c]) * mean[c])`"),
            );
        }
        let inner = Scope {
            over: Some(over),
            ..scope
        };
        self.scoped(body, inner)
    }

    /// Whether this is where queries choose blocks.
    pub(super) fn chooses(&mut self, call: Called<'_>) -> bool {
        let scope = self.making().scope.clone();
        if matches!(
            (scope.stage, scope.level),
            (Stage::Choose, Level::Block) | (Stage::See, Level::Entry)
        ) {
            return self.has_blocks(call.name, call.span);
        }
        let place = self.place(call.span);
        let d = Diagnostic::new(
            "cache-time",
            place,
            "this runs where queries choose blocks, and not here",
        );
        self.report(d.help("use it in the condition of `see`, and in definitions that this uses"));
        false
    }
}

/// Whether an expression is a sum over channels.
fn is_sum_over_channels(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Reduce { vars, .. } => match &vars[..] {
            [(variable, None)] => !words::RANGES.contains(&variable.text.as_str()),
            _ => false,
        },
        _ => false,
    }
}

/// Whether an expression is what can be reduced over queries: a sum over channels, or over the entries of a block of such sums.
fn is_reduced_over_queries(e: &Expr) -> bool {
    let over_block =
        |vars: &[(Ident, Option<Expr>)]| matches!(vars, [(variable, None)] if variable.text == words::BLOCK);
    match &e.kind {
        ExprKind::Reduce { vars, body, .. } if over_block(vars) => is_sum_over_channels(body),
        _ => is_sum_over_channels(e),
    }
}

/// Whether an expression reads a query that no reduction over queries is about.
fn mentions_own_query(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Reduce { vars, .. } if vars.iter().any(|(variable, _)| variable.text == words::QUERIES) => false,
        _ => name_of(e) == Some(words::QUERY) || children(e).into_iter().any(mentions_own_query),
    }
}
