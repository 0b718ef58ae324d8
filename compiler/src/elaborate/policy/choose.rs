//! Functions of caches: which there are, where they may stand, and `pool` and `seen`.

use super::{
    super::{
        cx::Cx,
        val::{Score, Val},
    },
    state::{DefinitionId, Level, List, Scope, Stage},
    words,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{FUNCTIONS, Known},
};
use seqc_grammar::ast::{Expr, ExprKind, Ident, NamedArg, Span};
use seqc_ir::{
    BinaryOp, Elem, PairExpr, ReduceOp,
    policy::{Kind, MAX_QUERIES, Window},
};

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
            "fewest" => Some(self.fewest(call)),
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
        Some(self.report(
            d.help("they have prev, top, fewest, search, pool, seen, the functions of numbers, and `fn`s of numbers"),
        ))
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
    pub(super) fn inner(&mut self) -> Scope {
        let scope = self.making().scope.clone();
        match scope.stage {
            Stage::See => Scope::new(Stage::Choose, Level::Block),
            _ => Scope::new(scope.stage, scope.level),
        }
    }

    pub(super) fn define_here(&mut self, kind: Kind) -> PairExpr {
        let making = self.making();
        let list = making.scope.stage.list();
        making.define(list, kind).stream()
    }

    /// `pool(x; size = n, how = "max", among = c)`: over the entries around each one, or with `page = n` over those of its page.
    fn pool(&mut self, call: Called<'_>) -> Val {
        let (around, page) = (call.option("size"), call.option("page"));
        let ([x], Some(size), true) = (call.args, around.or(page), around.is_none() || page.is_none()) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`pool` takes a number of each entry, and how many entries around it, `pool(votes; size = 7)`, or of its page, `pool(votes; page = 16)`",
            );
        };
        let pages = page.is_some();
        if !self.decides(call, &["size", "page", "how", "among"]) || !self.where_entries_are_kept(call) {
            return Val::Poison;
        }
        let by = self.number(x, Scope::new(Stage::Decide, Level::Entry));
        let (size, how, among) = (self.size(size).map(|d| d.size), self.how(call), self.among(call));
        let (Some(by), Some(size), Some(how), Some(among)) = (by, size, how, among) else {
            return Val::Poison;
        };
        let of = self.definition_with(by);
        let window = Window { size, pages };
        let pooled = |how, of| Kind::Pool {
            of,
            window,
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
    pub(super) fn where_entries_are_kept(&mut self, call: Called<'_>) -> bool {
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

    pub(super) fn queries(&mut self, e: &Expr) -> Option<usize> {
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

    pub(super) fn among(&mut self, call: Called<'_>) -> Option<PairExpr> {
        match call.option("among") {
            Some(e) => {
                let scope = self.inner();
                self.holding(e, scope)
            }
            None => Some(always()),
        }
    }

    /// The definition with this value: itself, where it is one.
    pub(super) fn definition_with(&mut self, by: PairExpr) -> usize {
        let known = match &by {
            PairExpr::KeyStream(n) => DefinitionId::of(*n),
            _ => None,
        };
        let known = known.unwrap_or_else(|| self.making().define(List::Deciding, Kind::Entry(by)));
        known.n
    }
}

/// How numbers become one.
#[derive(Clone, Copy)]
pub(super) enum How {
    Max,
    Min,
    Sum,
    Mean,
}

impl How {
    pub(super) fn of(name: &str) -> Option<How> {
        Some(match name {
            "max" => How::Max,
            "min" => How::Min,
            "sum" => How::Sum,
            "mean" => How::Mean,
            _ => return None,
        })
    }

    /// The reduction; none for the mean, a quotient of two.
    pub(super) fn op(self) -> Option<ReduceOp> {
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

/// Whether an expression is a name.
pub(super) fn name_of(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Name(name) => Some(name),
        _ => None,
    }
}

pub(super) fn real(expr: PairExpr) -> Val {
    Val::Score(Score::new(expr, Elem::F32))
}
