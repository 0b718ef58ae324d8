//! Names in the body of a cache: the token, the entry, the numbers that are remembered, and definitions above.

use super::{
    super::{
        cx::Cx,
        val::{Score, Val},
    },
    classes,
    state::{Class, Level, Making, Named, Scope, Stage, Vector},
    words,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{DefKind, Expr, ExprKind, NamedArg, Span, Stmt, Target};
use seqc_ir::{
    BinaryOp, Elem, PairExpr, UnaryOp,
    policy::{CHANNEL, CLOSED, COUNTERS, ENDED, ENTRIES, KEY, MEMORIES, RANK, READING, SHOWN, SLOT},
};

impl Cx<'_> {
    /// Whether the definition at hand is a cache, and not a function that it calls.
    pub(in super::super) fn in_cache(&self) -> bool {
        self.frames
            .last()
            .is_some_and(|f| f.definition.def.kind == DefKind::Cache)
    }

    /// The policy in the making. There is one while the body of a cache is elaborated.
    pub(super) fn making(&mut self) -> &mut Making {
        self.policy.get_or_insert_with(Making::default)
    }

    /// Names that the body of a cache may use beside settings and constants.
    pub(in super::super) fn cache_words(&self) -> Vec<String> {
        let Some(making) = self.policy.as_ref().filter(|_| self.in_cache()) else {
            return Vec::new();
        };
        let words = words::OF_ENTRIES
            .iter()
            .chain(words::OF_THE_CACHE)
            .map(|w| (*w).to_owned());
        words.chain(making.names.keys().cloned()).collect()
    }

    /// What a name stands for in the body of a cache; `None`: nothing of caches.
    pub(in super::super) fn cache_name(&mut self, name: &str, span: Span) -> Option<Val> {
        if !self.in_cache() || self.policy.is_none() {
            return None;
        }
        if self.making().scope.channel.as_deref() == Some(name) {
            return Some(integer(PairExpr::KeyStream(CHANNEL)));
        }
        if words::SOFT.contains(&name) && self.is_own_name(name) {
            let named = self.making().names.get(name).copied()?;
            return Some(self.number_of(name, named, span));
        }
        if name == words::BLOCK {
            return Some(self.number_of_block(span));
        }
        if words::OF_ENTRIES.contains(&name) {
            return Some(self.number_of_entry(name, span));
        }
        let flag = |n| truth(PairExpr::QueryStream(n));
        match name {
            "i" => return Some(integer(PairExpr::QueryPos)),
            "n" => return Some(integer(PairExpr::QueryStream(ENTRIES))),
            "head" => return Some(integer(PairExpr::Head)),
            "reading" => return Some(flag(READING)),
            "ended" => return Some(flag(ENDED)),
            words::SHOWN => return Some(self.counted(words::SHOWN, PairExpr::QueryStream(SHOWN), span)),
            words::KEY | words::VALUE | words::QUERY => return Some(self.bare_vector(name, span)),
            words::ENTRIES | words::QUERIES | words::BLOCKS => return Some(self.bare_range(name, span)),
            _ => {}
        }
        let named = self.making().names.get(name).copied()?;
        Some(self.number_of(name, named, span))
    }

    /// Whether the cache itself gives a name: to a setting, a `dim` or a definition.
    pub(super) fn is_own_name(&mut self, name: &str) -> bool {
        classes::gives(&self.frame().definition.def, name)
    }

    fn number_of_entry(&mut self, name: &str, span: Span) -> Val {
        if !self.entries_count(name, span) {
            return Val::Poison;
        }
        match name {
            "j" => integer(PairExpr::KeyPos),
            "slot" => integer(PairExpr::KeyStream(SLOT)),
            words::RANK => self.counted(words::RANK, PairExpr::KeyStream(RANK), span),
            words::CLOSED if self.making().scope.stage == Stage::See => match self.has_blocks(name, span) {
                true => truth(PairExpr::KeyStream(CLOSED)),
                false => Val::Poison,
            },
            words::CLOSED => {
                let place = self.place(span);
                let d = Diagnostic::new(
                    "cache-time",
                    place,
                    "`closed` is known where a token sees entries, and not here",
                );
                self.report(d.help("use it in the condition of `see`"))
            }
            words::WEIGHT | words::GIVEN if self.making().scope.stage == Stage::Memories => self.weight(name, span),
            words::WEIGHT | words::GIVEN => {
                let place = self.place(span);
                let message = format!("`{name}` is known where a memory is updated, and not here");
                let d = Diagnostic::new("cache-time", place, message);
                self.report(d.help(format!(
                    "remember it under a name: `last = {name}`, or `mass = prev(mass) + {name}`"
                )))
            }
            _ => integer(PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos)),
        }
    }

    /// `weight`, or `given` in memories of which each query head has its own.
    fn weight(&mut self, name: &str, span: Span) -> Val {
        if (name == words::GIVEN) == self.making().each {
            return Val::Score(Score::new(PairExpr::Score, Elem::F32));
        }
        let place = self.place(span);
        let d = Diagnostic::new(
            "wrong-operands",
            place,
            "`given` makes this a number of each query head, and `weight` is the sum of all that share the key head",
        );
        self.report(d.help("remember one of them under a name of its own"))
    }

    /// How many entries are seen, in positions of `see`.
    fn counted(&mut self, word: &'static str, expr: PairExpr, span: Span) -> Val {
        if self.making().scope.counted == Some(word) {
            return integer(expr);
        }
        let option = if word == words::RANK { "key" } else { "query" };
        let place = self.place(span);
        let d = Diagnostic::new(
            "cache-time",
            place,
            format!("`{word}` is known in `{option}` of `see` only"),
        );
        self.report(d.help("`see(…; query = shown - 1, key = rank)`: distances are those of the entries that are seen"))
    }

    /// The number of the block at hand, or of the entry's block.
    fn number_of_block(&mut self, span: Span) -> Val {
        if !self.has_blocks(words::BLOCK, span) {
            return Val::Poison;
        }
        let scope = self.making().scope.clone();
        if scope.level == Level::Block && scope.channel.is_some() {
            let place = self.place(span);
            let d = Diagnostic::new("wrong-operands", place, "a number of each channel is wanted here");
            return self.report(d.help("the number of the block stands outside of sums over channels"));
        }
        if scope.level == Level::Block {
            return integer(PairExpr::KeyStream(SLOT));
        }
        if !self.entries_count(words::BLOCK, span) {
            return Val::Poison;
        }
        let (first, size) = match &self.making().blocks {
            Some(blocks) => (blocks.first as f64, blocks.size as f64),
            None => (0.0, 1.0),
        };
        let passed = PairExpr::binary(BinaryOp::Sub, PairExpr::KeyPos, PairExpr::Const(first));
        let number = PairExpr::binary(BinaryOp::Div, passed, PairExpr::Const(size));
        integer(PairExpr::unary(UnaryOp::Floor, number))
    }

    /// Whether numbers of entries may stand here.
    fn entries_count(&mut self, name: &str, span: Span) -> bool {
        let (what, help) = match self.making().scope.level {
            Level::Entry => return true,
            Level::Cache => (
                "a number of the cache is wanted here",
                "numbers of the cache are i, n, reading, ended, head, settings, and definitions of these",
            ),
            Level::Channel => (
                "a number of each channel is wanted here",
                "`mean(entries: key[c] ** 2)` is one",
            ),
            Level::Block => (
                "a number of each block is wanted here",
                "`block` is its number; `max(block: mass)` and `mean(block: key[c])` run over its entries",
            ),
        };
        let place = self.place(span);
        let d = Diagnostic::new(
            "entry-number",
            place,
            format!("`{name}` is a number of each entry: {what}"),
        );
        self.report(d.help(help));
        false
    }

    fn bare_vector(&mut self, name: &str, span: Span) -> Val {
        let place = self.place(span);
        let d = Diagnostic::new("not-indexed", place, format!("`{name}` has a number for each channel"));
        self.report(d.help("index it: `use[c] = mean(entries: key[c] ** 2)`, `norm = sum(c: key[c] ** 2)`"))
    }

    fn bare_range(&mut self, name: &str, span: Span) -> Val {
        let place = self.place(span);
        let d = Diagnostic::new(
            "wrong-operands",
            place,
            format!("`{name}` is what a reduction runs over"),
        );
        self.report(d.help("the number of entries is `n`; `max(entries: mass)`, `mean(queries < 32: query[c] ** 2)`"))
    }

    /// The value of a definition of the body.
    fn number_of(&mut self, name: &str, named: Named, span: Span) -> Val {
        if named.at >= self.making().at {
            return self.too_early(name, span);
        }
        if matches!(named.class, Class::Channel | Class::BlockChannel) {
            return self.bare_vector(name, span);
        }
        let scope = self.making().scope.clone();
        let (stage, of_block) = (scope.stage, named.class == Class::Plain && scope.level == Level::Block);
        if named.entry && !of_block && !self.entries_count(name, span) {
            return Val::Poison;
        }
        let own = stage == Stage::Close || (stage == Stage::Memories && self.making().each);
        if named.each && !own {
            let place = self.place(span);
            let message = format!("every query head has its own `{name}`, and here is none at hand");
            let d = Diagnostic::new("wrong-operands", place, message);
            return self.report(
                d.help("`weight` is the sum over those that share the key head; `given` is for numbers of blocks"),
            );
        }
        let new = match (named.class, stage) {
            (Class::Counter(_), Stage::Counters) | (Class::Memory(_), Stage::Memories) => {
                let next = self.making().next.get(name).cloned();
                return next.map_or(Val::Poison, real);
            }
            (Class::Plain, _) => return self.plain(name, named, stage),
            _ => named.leaf(),
        };
        new.map_or(Val::Poison, real)
    }

    fn too_early(&mut self, name: &str, span: Span) -> Val {
        let place = self.place(span);
        let d = Diagnostic::new("used-before", place, format!("`{name}` is used before it is complete"));
        self.report(d.help(format!(
            "`prev({name})` is its value before this token; otherwise define it above"
        )))
    }

    /// A definition that is inlined, as it is at a stage.
    pub(super) fn plain(&mut self, name: &str, named: Named, stage: Stage) -> Val {
        let key = (name.to_owned(), stage);
        if let Some(val) = self.making().plain.get(&key) {
            return val.clone();
        }
        let definition = self.frame().definition.clone();
        let Some(Stmt::Let { value, .. }) = definition.def.body.get(named.at) else {
            return Val::Poison;
        };
        let level = match stage {
            Stage::Choose => Level::Block,
            Stage::Close => Level::Entry,
            _ if named.entry => Level::Entry,
            _ => Level::Cache,
        };
        let (at, about) = (self.making().at, self.making().about.clone());
        self.making().at = named.at;
        self.making().about = name.to_owned();
        let val = self.scoped(value, Scope::new(stage, level));
        self.making().at = at;
        self.making().about = about;
        self.making().plain.insert(key, val.clone());
        val
    }

    /// What an expression stands for in a scope.
    pub(super) fn scoped(&mut self, e: &Expr, scope: Scope) -> Val {
        let outer = std::mem::replace(&mut self.making().scope, scope);
        let val = self.expr(e);
        self.making().scope = outer;
        val
    }

    /// `prev(x; init = number)`: a counter or memory before this token.
    pub(super) fn before(&mut self, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let name = match args {
            [
                Expr {
                    kind: ExprKind::Name(name),
                    ..
                },
            ] if self.making().names.contains_key(name) => name.clone(),
            _ => {
                let place = self.place(span);
                let d = Diagnostic::new("wrong-arguments", place, "`prev` takes a definition of this cache");
                return self.report(d.help("name what is to be remembered: `last = n`, then `prev(last)`"));
            }
        };
        if !self.first_value(&name, named) {
            return Val::Poison;
        }
        let class = self.making().names[&name].class;
        match (class, self.making().scope.stage) {
            (Class::Counter(n), Stage::Counters) => real(PairExpr::QueryStream(COUNTERS + n)),
            (Class::Memory(n), Stage::Memories) => real(PairExpr::KeyStream(MEMORIES + n)),
            (Class::Channel | Class::BlockChannel, _) => self.bare_vector(&name, span),
            (Class::Memory(_), Stage::Counters) => {
                self.entries_count(&name, span);
                Val::Poison
            }
            _ => {
                let place = self.place(span);
                let message = format!("what `{name}` was before this token is not known any more here");
                let d = Diagnostic::new("cache-time", place, message);
                self.report(d.help(format!("remember it under a name of its own: `old = prev({name})`")))
            }
        }
    }

    /// Notes the first value that a `prev` states; all of one name must state the same.
    fn first_value(&mut self, name: &str, named: &[NamedArg]) -> bool {
        let mut init = 0.0;
        for option in named {
            if option.name.text != "init" {
                let place = self.place(option.name.span);
                let message = format!("`prev` has no option `{}` in a cache", option.name.text);
                self.report(
                    Diagnostic::new("unknown-setting", place, message).did_you_mean(&option.name.text, ["init"]),
                );
                return false;
            }
            match self.known(&option.value, "the first value") {
                Some(Known::Num(n)) if n.is_finite() => init = n,
                Some(_) => {
                    self.error("wrong-operands", option.value.span, "the first value is a number");
                    return false;
                }
                None => return false,
            }
        }
        let before = *self.making().init.entry(name.to_owned()).or_insert(init);
        if before != init
            && let Some(span) = named.first().map(|o| o.value.span)
        {
            let place = self.place(span);
            let message = format!("`{name}` begins as {before} elsewhere, and as {init} here");
            let d = Diagnostic::new("two-values", place, message);
            self.report(d.help(format!("state the same first value in every `prev({name}; init = …)`")));
            return false;
        }
        true
    }

    /// `key[c]`, `query[c]`, or a number of the channel; `None`: other brackets.
    pub(in super::super) fn cache_entry(&mut self, base: &Expr, indices: &[Expr], span: Span) -> Option<Val> {
        if !self.in_cache() || self.policy.is_none() {
            return None;
        }
        let ExprKind::Name(name) = &base.kind else { return None };
        let named = self.making().names.get(name).copied();
        let of_channel = named.is_some_and(|named| matches!(named.class, Class::Channel | Class::BlockChannel));
        if !of_channel && ![words::KEY, words::VALUE, words::QUERY].contains(&name.as_str()) {
            return None;
        }
        let variable = self.making().scope.channel.clone();
        let fits = matches!(indices, [Expr { kind: ExprKind::Name(index), .. }] if Some(index) == variable.as_ref());
        if !fits {
            let place = self.place(span);
            let d = Diagnostic::new(
                "bad-index",
                place,
                format!("`{name}` is indexed by the variable that runs over channels"),
            );
            return Some(self.report(d.help("`use[c] = …`, or `sum(c: key[c] * use[c])`")));
        }
        Some(match named {
            Some(named) if of_channel => self.channel_number(name, named, span),
            _ => self.vector_number(name, span),
        })
    }

    fn channel_number(&mut self, name: &str, named: Named, span: Span) -> Val {
        if named.at >= self.making().at {
            return self.too_early(name, span);
        }
        match self.making().channels.get(name).copied() {
            Some(id) if named.class == Class::BlockChannel => {
                let stage = self.making().scope.stage;
                if matches!(stage, Stage::Close | Stage::Choose) {
                    return real(id.stream());
                }
                let place = self.place(span);
                let message = format!("`{name}` is a number of blocks, which is known where queries choose, not here");
                let d = Diagnostic::new("cache-time", place, message);
                self.report(d.help("use it in the condition of `see`"))
            }
            Some(id) if self.making().scope.stage == Stage::Decide => real(id.stream()),
            Some(_) => {
                let place = self.place(span);
                let message = format!("`{name}` is known where entries are kept, and not for blocks");
                self.report(Diagnostic::new("cache-time", place, message))
            }
            None => Val::Poison,
        }
    }

    fn vector_number(&mut self, name: &str, span: Span) -> Val {
        let vector = self.making().scope.vector;
        if vector == Some(Vector::Both) && name == words::KEY {
            return real(PairExpr::KeyStream(KEY));
        }
        let fits = match vector {
            Some(Vector::Key) => name == words::KEY,
            Some(Vector::Value) => name == words::VALUE,
            Some(Vector::Query | Vector::Both) => name == words::QUERY,
            None => false,
        };
        if fits {
            return Val::Score(Score::new(PairExpr::Score, Elem::F32));
        }
        let place = self.place(span);
        let d = Diagnostic::new("wrong-operands", place, format!("whose {name} this is must be said"));
        self.report(d.help("`mean(entries: key[c] ** 2)`, `mean(queries < 32: query[c] ** 2)`; in a number of each entry `sum(c: key[c] ** 2)`"))
    }

    /// What a statement of a cache defines: its name, where it is one.
    pub(super) fn target_name(target: &Target) -> Option<&seqc_grammar::ast::Ident> {
        match target {
            Target::Name { name, .. } | Target::Indexed { name, .. } => Some(name),
            Target::Tuple(_) => None,
        }
    }
}

fn truth(expr: PairExpr) -> Val {
    let truth = PairExpr::binary(BinaryOp::Ne, expr, PairExpr::Const(0.0));
    Val::Score(Score::new(truth, Elem::Bool))
}

fn integer(expr: PairExpr) -> Val {
    Val::Score(Score::new(expr, Elem::I64))
}

fn real(expr: PairExpr) -> Val {
    Val::Score(Score::new(expr, Elem::F32))
}
