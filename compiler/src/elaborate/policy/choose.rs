//! Functions and reductions of caches: `top`, `pool`, `seen`, and what runs over entries, queries and channels.

use super::{
    super::{
        children::children,
        cx::Cx,
        val::{Score, Val},
    },
    state::{DefinitionId, Level, List, Scope, Stage, Vector},
    words,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{FUNCTIONS, Known},
};
use seqc_grammar::ast::{Expr, ExprKind, Ident, NamedArg, Span};
use seqc_ir::{
    BinaryOp, Elem, PairExpr, ReduceOp,
    policy::{ENTRIES, Kind},
};

/// Most tokens whose queries are kept.
const MAX_QUERIES: usize = 1024;

/// Most blocks that a search finds.
const MOST_SEARCHED: usize = 4096;

/// A call in the body of a cache.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    pub(super) name: &'a str,
    pub(super) args: &'a [Expr],
    pub(super) named: &'a [NamedArg],
    pub(super) span: Span,
}

impl<'a> Called<'a> {
    /// A named argument.
    pub(super) fn option(self, name: &str) -> Option<&'a Expr> {
        self.named.iter().find(|o| o.name.text == name).map(|o| &o.value)
    }
}

impl Cx<'_> {
    /// A call in the body of a cache; `None`: one that means the same elsewhere.
    pub(in super::super) fn cache_call(
        &mut self,
        callee: &Ident,
        args: &[Expr],
        named: &[NamedArg],
        span: Span,
    ) -> Option<Val> {
        self.policy.as_ref()?;
        let name = callee.text.as_str();
        if !self.in_cache() {
            return (name == words::PREV).then(|| {
                let place = self.place(span);
                let d = Diagnostic::new("cache-time", place, "a function that a cache calls remembers nothing");
                self.report(d.help("write the recurrence in the cache"))
            });
        }
        let call = Called {
            name,
            args,
            named,
            span,
        };
        match name {
            words::PREV => Some(self.before(args, named, span)),
            "top" => Some(self.top(call)),
            "search" => Some(self.search(call)),
            "pool" => Some(self.pool(call)),
            "seen" => Some(self.seen(call)),
            _ if words::CLAUSES.contains(&name) => {
                let place = self.place(span);
                let d = Diagnostic::new("wrong-operands", place, format!("`{name}` is a statement, not a value"));
                Some(self.report(d.help(format!("write `{name}(…)` on a line of its own"))))
            }
            _ => self.not_of_numbers(callee),
        }
    }

    /// Refuses built-in functions that are none of numbers.
    fn not_of_numbers(&mut self, callee: &Ident) -> Option<Val> {
        let name = callee.text.as_str();
        let of_numbers = words::OF_NUMBERS.contains(&name) || FUNCTIONS.iter().any(|(f, _)| *f == name);
        if of_numbers || !super::super::is_built_in(name) {
            return None;
        }
        let place = self.place(callee.span);
        let d = Diagnostic::new("unknown-name", place, format!("caches have no function `{name}`"));
        Some(
            self.report(
                d.help("they have prev, top, search, pool, seen, the functions of numbers, and `fn`s of numbers"),
            ),
        )
    }

    /// Whether what is computed where entries are kept may stand here, with these options.
    pub(super) fn decides(&mut self, call: Called<'_>, options: &[&str]) -> bool {
        for option in call.named {
            if !options.contains(&option.name.text.as_str()) {
                let place = self.place(option.name.span);
                let message = format!("`{}` has no option `{}`", call.name, option.name.text);
                let d = Diagnostic::new("unknown-setting", place, message);
                self.report(d.did_you_mean(&option.name.text, options.iter().copied()));
                return false;
            }
        }
        let scope = self.making().scope.clone();
        match (scope.stage, scope.level) {
            (Stage::Decide | Stage::Close, Level::Entry) | (Stage::Choose, Level::Block) => true,
            (Stage::See, Level::Entry) => self.has_blocks(call.name, call.span),
            _ => {
                let place = self.place(call.span);
                let message = format!(
                    "`{}` is computed where entries are kept, and is a number of each entry",
                    call.name
                );
                let d = Diagnostic::new("cache-time", place, message);
                self.report(d.help(
                    "use it in the condition of `keep`, and in definitions that this uses; of blocks in the condition of `see`",
                ));
                false
            }
        }
    }

    /// Whether something is computed where a token sees entries: for blocks, of which there must be some.
    pub(super) fn has_blocks(&mut self, name: &str, span: Span) -> bool {
        if self.making().blocks.is_some() {
            return true;
        }
        let place = self.place(span);
        let d = Diagnostic::new(
            "no-blocks",
            place,
            format!("`{name}` is about blocks here, and this cache has none above"),
        );
        self.report(d.help(
            "write `blocks(size = 16)` on a line above: a token chooses among blocks of entries; single entries are chosen where they are kept",
        ));
        false
    }

    /// Where the parts of what is computed here stand: numbers of blocks where a token sees entries.
    fn inner(&mut self) -> Scope {
        let scope = self.making().scope.clone();
        match scope.stage {
            Stage::See => Scope::new(Stage::Choose, Level::Block),
            _ => Scope::new(scope.stage, scope.level),
        }
    }

    fn define_here(&mut self, kind: Kind) -> PairExpr {
        let making = self.making();
        let list = making.scope.stage.list();
        making.define(list, kind).stream()
    }

    /// `top(x; k = n, among = c)`: whether the entry is among the n that have the largest values of those for which c holds.
    fn top(&mut self, call: Called<'_>) -> Val {
        let ([x], Some(k)) = (call.args, call.option("k")) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`top` takes a number of each entry, and how many: `top(mass; k = 40)`",
            );
        };
        if !self.decides(call, &["k", "among"]) {
            return Val::Poison;
        }
        let each = self.inner();
        let by = self.number(x, each.clone());
        let count = self.number(k, Scope::new(each.stage, Level::Cache));
        let among = self.among(call);
        let (Some(by), Some(count), Some(among)) = (by, count, among) else {
            return Val::Poison;
        };
        let found = self.define_here(Kind::Top { by, count, among });
        let truth = PairExpr::binary(BinaryOp::Ne, found, PairExpr::Const(0.0));
        Val::Score(Score::new(truth, Elem::Bool))
    }

    /// `search(x; k = n)`: n blocks that have large values, found by halving.
    fn search(&mut self, call: Called<'_>) -> Val {
        let ([x], Some(k)) = (call.args, call.option("k")) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`search` takes a number of each block, and how many: `search(suits; k = 16)`",
            );
        };
        if !self.decides(call, &["k"]) || !self.chooses(call) {
            return Val::Poison;
        }
        let each = self.inner();
        let (by, count) = (self.number(x, each), self.size(k).map(|d| d.size));
        let (Some(by), Some(count)) = (by, count) else {
            return Val::Poison;
        };
        if !(1..=MOST_SEARCHED).contains(&count) {
            let message = format!("`search` finds from 1 to {MOST_SEARCHED} blocks, not {count}");
            return self.error("bad-size", k.span, message);
        }
        let found = self.define_here(Kind::Search { by, count });
        let truth = PairExpr::binary(BinaryOp::Ne, found, PairExpr::Const(0.0));
        Val::Score(Score::new(truth, Elem::Bool))
    }

    /// `pool(x; size = n, how = "max", among = c)`: over the entries around each one.
    fn pool(&mut self, call: Called<'_>) -> Val {
        let ([x], Some(size)) = (call.args, call.option("size")) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`pool` takes a number of each entry, and how many entries: `pool(votes; size = 7)`",
            );
        };
        if !self.decides(call, &["size", "how", "among"]) || !self.where_entries_are_kept(call) {
            return Val::Poison;
        }
        let by = self.number(x, Scope::new(Stage::Decide, Level::Entry));
        let (size, how, among) = (self.size(size).map(|d| d.size), self.how(call), self.among(call));
        let (Some(by), Some(size), Some(how), Some(among)) = (by, size, how, among) else {
            return Val::Poison;
        };
        let of = self.definition_with(by);
        let pooled = |how, of| Kind::Pool {
            of,
            size,
            how,
            among: among.clone(),
        };
        let Some(op) = how.op() else {
            // The mean of none is 0, as are the other reductions of none.
            let ones = self.definition_with(PairExpr::Const(1.0));
            let (sum, count) = (pooled(ReduceOp::Sum, of), pooled(ReduceOp::Sum, ones));
            let (sum, count) = (self.define_here(sum), self.define_here(count));
            let count = PairExpr::binary(BinaryOp::Max, count, PairExpr::Const(1.0));
            return real(PairExpr::binary(BinaryOp::Div, sum, count));
        };
        real(self.define_here(pooled(op, of)))
    }

    /// Whether this is where all entries are at hand.
    fn where_entries_are_kept(&mut self, call: Called<'_>) -> bool {
        if self.making().scope.stage == Stage::Decide {
            return true;
        }
        let place = self.place(call.span);
        let message = format!("`{}` is computed where entries are kept, and not for blocks", call.name);
        let d = Diagnostic::new("cache-time", place, message);
        self.report(d.help("of blocks there are `top` and reductions: `max(block: mass)`, `seen(block)`"));
        false
    }

    fn how(&mut self, call: Called<'_>) -> Option<How> {
        let Some(e) = call.option("how") else {
            return Some(How::Max);
        };
        match self.known(e, "`how`")? {
            Known::Str(name) if How::of(&name).is_some() => How::of(&name),
            other => {
                let place = self.place(e.span);
                let d = Diagnostic::new("unknown-name", place, format!("entries are not pooled by `{other}`"));
                self.report(d.help("`how` is \"max\", \"sum\", \"min\" or \"mean\""));
                None
            }
        }
    }

    /// `seen(queries = n)`: the weights that the last n tokens give each entry.
    fn seen(&mut self, call: Called<'_>) -> Val {
        if let [of] = call.args
            && name_of(of) == Some(words::BLOCK)
        {
            return self.seen_within(call);
        }
        let ([], Some(queries)) = (call.args, call.option(words::QUERIES)) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`seen` takes how many tokens look: `seen(queries = 16)`; or where a block is closed, `seen(block)`",
            );
        };
        if !self.decides(call, &[words::QUERIES]) || !self.where_entries_are_kept(call) {
            return Val::Poison;
        }
        let Some(queries) = self.queries(queries) else {
            return Val::Poison;
        };
        real(self.define_here(Kind::Seen { queries }))
    }

    /// `seen(block)`: the weights that the queries of a block's tokens give its entries.
    fn seen_within(&mut self, call: Called<'_>) -> Val {
        let scope = self.making().scope.clone();
        if (scope.stage, scope.level) == (Stage::Close, Level::Entry) {
            return real(self.define_here(Kind::Within));
        }
        let place = self.place(call.span);
        let d = Diagnostic::new(
            "cache-time",
            place,
            "`seen(block)` is a number of each entry of a block",
        );
        self.report(d.help("reduce it over the block: `inner[c] = sum(block: seen(block) * value[c])`"))
    }

    fn queries(&mut self, e: &Expr) -> Option<usize> {
        let n = self.size(e)?.size;
        if (1..=MAX_QUERIES).contains(&n) {
            return Some(n);
        }
        self.error(
            "bad-size",
            e.span,
            format!("the queries of 1 to {MAX_QUERIES} tokens can be kept, not of {n}"),
        );
        None
    }

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
        let over_channels = self.making().scope.level == Level::Channel;
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
            ..self.making().scope.clone()
        };
        if scope.stage != Stage::Decide {
            return Val::Poison;
        }
        let Some(of) = self.number(body, scope) else {
            return Val::Poison;
        };
        if of.any(&|e| matches!(e, PairExpr::KeyStream(_) | PairExpr::KeyPos)) {
            return self.error(
                "wrong-operands",
                body.span,
                "a mean of keys or queries is one of a function of `key[c]` or `query[c]` alone",
            );
        }
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
    fn reduced(&mut self, call: Called<'_>, body: &Expr, scope: Scope) -> Option<(PairExpr, ReduceOp)> {
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
    fn found(&mut self, call: Called<'_>, found: PairExpr, count: PairExpr) -> Val {
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
                    return self.error(
                        "wrong-operands",
                        body.span,
                        "a reduction over a block reads keys or values, not both",
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
        let how = match call.name {
            "sum" => ReduceOp::Sum,
            "max" => ReduceOp::Max,
            "min" => ReduceOp::Min,
            name => {
                let message = format!("`{name}` does not run over products with keys: sum, max and min do");
                return self.error("unknown-name", call.span, message);
            }
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
    fn says_whose_query(&mut self, e: &Expr) -> bool {
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

    fn has_values_as_wide(&mut self, call: Called<'_>) -> bool {
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
            return self.error(
                "unknown-name",
                call.span,
                "`mean` does not run over blocks: sum, max, min, any and all do",
            );
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

    /// Over query heads, a number of each block.
    fn over_heads(&mut self, call: Called<'_>, body: &Expr, members: bool) -> Val {
        if !self.chooses(call) {
            return Val::Poison;
        }
        let heads = self.making().heads[usize::from(members)];
        let Some((of, how)) = self.reduced(call, body, Scope::new(Stage::Choose, Level::Block)) else {
            return Val::Poison;
        };
        let over = Kind::Heads { of, how, members };
        let found = self.making().define(List::Choosing, over).stream();
        self.found(call, found, PairExpr::Const(heads as f64))
    }

    /// Over the queries that choose together: a number of each channel, or of each block.
    fn over_queries(&mut self, call: Called<'_>, body: &Expr) -> Val {
        if !self.has_blocks(call.name, call.span) {
            return Val::Poison;
        }
        let over = match call.name {
            "sum" | "mean" => ReduceOp::Sum,
            "max" => ReduceOp::Max,
            "min" => ReduceOp::Min,
            name => {
                let message = format!("`{name}` does not run over queries: sum, mean, max and min do");
                return self.error("unknown-name", call.span, message);
            }
        };
        let scope = self.making().scope.clone();
        if scope.channel.is_some() {
            let inner = Scope {
                over: Some(over),
                ..scope
            };
            let Some(of) = self.number(body, inner) else {
                return Val::Poison;
            };
            let mean = call.name == "mean";
            let fold = Kind::QueryFold { of, over, mean };
            return real(self.making().define(List::Choosing, fold).stream());
        }
        if call.name == "mean" || !is_reduced_over_queries(body) {
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
    fn chooses(&mut self, call: Called<'_>) -> bool {
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

    /// `sum(c: …)` over the channels of each entry's key, or of the query for each block.
    fn over_channels(&mut self, call: Called<'_>, variable: &Ident, body: &Expr) -> Val {
        if !self.decides(call, &[]) {
            return Val::Poison;
        }
        let width = self.making().widths.key;
        let share = match call.name {
            "sum" => None,
            "mean" => Some(PairExpr::Const(width as f64)),
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
        let (level, vector) = match inner.stage {
            Stage::Choose => (Level::Block, Vector::Query),
            Stage::Close => (Level::Entry, Vector::Key),
            _ => (Level::Channel, Vector::Key),
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
            _ => Kind::KeySum(of),
        });
        real(share.map_or(sum.clone(), |share| PairExpr::binary(BinaryOp::Div, sum, share)))
    }

    /// A number in a scope.
    pub(super) fn number(&mut self, e: &Expr, scope: Scope) -> Option<PairExpr> {
        let val = self.scoped(e, scope);
        let score = self.as_pair(&val.at(e.span))?;
        if score.elem == Elem::Bool {
            let place = self.place(e.span);
            let d = Diagnostic::new("wrong-operands", place, "a number is wanted here").says("this is a condition");
            self.report(d.help("a number from a condition: `if c then 1 else 0`"));
            return None;
        }
        Some(score.expr)
    }

    /// A condition in a scope.
    pub(super) fn holding(&mut self, e: &Expr, scope: Scope) -> Option<PairExpr> {
        let val = self.scoped(e, scope);
        self.truth(val, e)
    }

    /// The value of an expression as a condition.
    pub(super) fn truth(&mut self, val: Val, e: &Expr) -> Option<PairExpr> {
        let score = self.as_pair(&val.at(e.span))?;
        if score.elem != Elem::Bool {
            let place = self.place(e.span);
            let d = Diagnostic::new("not-a-condition", place, "a condition is wanted here").says("this is a number");
            self.report(d.help("compare it: `age < 64`"));
            return None;
        }
        Some(score.expr)
    }

    fn among(&mut self, call: Called<'_>) -> Option<PairExpr> {
        match call.option("among") {
            Some(e) => {
                let scope = self.inner();
                self.holding(e, scope)
            }
            None => Some(always()),
        }
    }

    /// The definition with this value: itself, where it is one.
    fn definition_with(&mut self, by: PairExpr) -> usize {
        let known = match &by {
            PairExpr::KeyStream(n) => DefinitionId::of(*n),
            _ => None,
        };
        let known = known.unwrap_or_else(|| self.making().define(List::Deciding, Kind::Entry(by)));
        known.n
    }
}

/// How neighbours are pooled.
#[derive(Clone, Copy)]
enum How {
    Max,
    Min,
    Sum,
    Mean,
}

impl How {
    fn of(name: &str) -> Option<How> {
        Some(match name {
            "max" => How::Max,
            "min" => How::Min,
            "sum" => How::Sum,
            "mean" => How::Mean,
            _ => return None,
        })
    }

    /// The reduction; none for the mean, a quotient of two.
    fn op(self) -> Option<ReduceOp> {
        match self {
            How::Max => Some(ReduceOp::Max),
            How::Min => Some(ReduceOp::Min),
            How::Sum => Some(ReduceOp::Sum),
            How::Mean => None,
        }
    }
}

/// A condition that always holds: positions are never negative.
pub(super) fn always() -> PairExpr {
    PairExpr::binary(BinaryOp::Ge, PairExpr::QueryPos, PairExpr::Const(0.0))
}

/// Whether an expression or a part of it is a name.
fn mentions_name(e: &Expr, name: &str) -> bool {
    name_of(e) == Some(name) || children(e).into_iter().any(|part| mentions_name(part, name))
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

/// Whether an expression is a name.
pub(super) fn name_of(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Name(name) => Some(name),
        _ => None,
    }
}

fn real(expr: PairExpr) -> Val {
    Val::Score(Score::new(expr, Elem::F32))
}
