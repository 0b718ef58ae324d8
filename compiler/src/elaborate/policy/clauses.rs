//! Clauses of a cache: `see`, `keep`, `keys` and `values`.

use super::{
    super::{cx::Cx, val::Val},
    choose::{Called, always, name_of},
    state::{Class, Level, Scope, Stage},
    words,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, ExprKind, NamedArg};
use seqc_ir::{
    PairExpr,
    policy::{Along, Blocks, Channels, Coding, Eviction, Sight},
};

/// Most tokens of a group, which every other group divides.
const MOST_TOKENS: usize = 64;

/// Most tokens that choose together: those of a chunk.
const MOST_TOGETHER: usize = 512;

/// Bits of stored numbers.
const BITS: &[usize] = &[2, 4, 8, 32];

impl Cx<'_> {
    /// A statement that is a call.
    pub(super) fn clause(&mut self, e: &Expr) {
        let ExprKind::Call { callee, args, named } = &e.kind else {
            return;
        };
        let call = Called {
            name: &callee.text,
            args,
            named,
            span: e.span,
        };
        self.making().about = callee.text.clone();
        match call.name {
            "blocks" => self.blocks(call),
            "see" => self.see(call),
            "keep" => self.keep(call),
            "keys" => self.stored(call, true),
            "values" => self.stored(call, false),
            name => {
                let place = self.place(callee.span);
                let d = Diagnostic::new("unknown-name", place, format!("there is no clause `{name}`"));
                self.report(d.did_you_mean(name, super::words::CLAUSES.iter().copied()));
            }
        }
    }

    /// `blocks(size = n, first = 0, behind = 0, together = 1, refresh = 1, key = a, query = b)`: consecutive entries among which queries choose.
    fn blocks(&mut self, call: Called<'_>) {
        if self.making().blocks.is_some() {
            let place = self.place(call.span);
            let d = Diagnostic::new("defined-twice", place, "a cache has one `blocks`");
            self.report(d.help("leave one of them out: all numbers of blocks are of the same blocks"));
            return;
        }
        // What is wrong is said here, and not once more wherever blocks are used.
        let blocks = self.blocks_of(call).unwrap_or(Blocks {
            size: 1,
            first: 0,
            behind: 0,
            together: 1,
            refresh: 1,
            key: None,
            query: None,
            closing: Vec::new(),
            choosing: Vec::new(),
        });
        self.making().blocks = Some(blocks);
    }

    fn blocks_of(&mut self, call: Called<'_>) -> Option<Blocks> {
        let size = match (call.args, call.option("size")) {
            ([], Some(size)) => size,
            _ => {
                let place = self.place(call.span);
                let d = Diagnostic::new("wrong-arguments", place, "`blocks` takes how many entries a block has");
                self.report(d.help("write `blocks(size = 16)`"));
                return None;
            }
        };
        if !self.options_of(
            call,
            &["size", "first", "behind", "together", "refresh", "key", "query"],
        ) {
            return None;
        }
        let size = self.size(size).map(|d| d.size);
        let [first, behind] = ["first", "behind"].map(|option| match call.option(option) {
            Some(e) => self.number_of_tokens(e, option),
            None => Some(0),
        });
        let [together, refresh] = ["together", "refresh"].map(|option| match call.option(option) {
            Some(e) => self.tokens_that_choose(e, option),
            None => Some(1),
        });
        let key = call.option("key").map(|e| {
            let scope = Scope::new(Stage::Close, Level::Entry);
            self.number(e, scope).filter(|key| {
                self.follows_from_entry(key, e) && self.follows_from_place(key, e) && self.is_exact(key, e)
            })
        });
        let query = call.option("query").map(|e| {
            let query = self.number(e, Scope::new(Stage::See, Level::Cache));
            query.filter(|query| self.is_exact(query, e))
        });
        let (Some(size), Some(first), Some(behind)) = (size, first, behind) else {
            return None;
        };
        let (Some(together), Some(refresh)) = (together, refresh) else {
            return None;
        };
        if key == Some(None) || query == Some(None) {
            return None;
        }
        Some(Blocks {
            size,
            first,
            behind,
            together,
            refresh,
            key: key.flatten(),
            query: query.flatten(),
            closing: Vec::new(),
            choosing: Vec::new(),
        })
    }

    /// A number of tokens, one after another of which one or all choose.
    fn tokens_that_choose(&mut self, e: &Expr, what: &str) -> Option<usize> {
        let n = self.number_of_tokens(e, what)?;
        if (1..=MOST_TOGETHER).contains(&n) {
            return Some(n);
        }
        let place = self.place(e.span);
        let message = format!("`{what}` is a number of tokens from 1 to {MOST_TOGETHER}, not {n}");
        self.report(Diagnostic::new("bad-size", place, message).help("without it every token chooses by itself"));
        None
    }

    /// A number of tokens, which may be 0.
    fn number_of_tokens(&mut self, e: &Expr, what: &str) -> Option<usize> {
        let found = self.known(e, &format!("`{what}`"))?;
        let most = (1_u64 << 31) as f64;
        match found {
            Known::Num(n) if n >= 0.0 && n.fract() == 0.0 && n < most => Some(n as usize),
            other => {
                let place = self.place(e.span);
                let message = format!("`{what}` is a number of tokens, not {other}");
                self.report(Diagnostic::new("bad-size", place, message).help("give an integer from 0 on"));
                None
            }
        }
    }

    /// `see(c; query = a, key = b)`: entries for which c holds are seen, where the query stands at a and the key at b.
    fn see(&mut self, call: Called<'_>) {
        self.making().sees = true;
        if call.args.len() > 1 {
            self.error(
                "wrong-arguments",
                call.span,
                "`see` takes a condition on entries: `see(age < 64)`",
            );
            return;
        }
        if !self.options_of(call, &["query", "key"]) {
            return;
        }
        let entry = || Scope::new(Stage::See, Level::Entry);
        let seen = match call.args.first().map(|e| (self.scoped(e, entry()), e)) {
            None | Some((Val::Known(Known::Bool(true)), _)) => None,
            Some((Val::Known(Known::Bool(false)), _)) => return,
            Some((val, e)) => match self.truth(val, e) {
                Some(seen) => Some(seen),
                None => return,
            },
        };
        let counted = |word, scope| Scope {
            counted: Some(word),
            ..scope
        };
        let query = match call.option("query") {
            Some(e) => self
                .number(e, counted(words::SHOWN, Scope::new(Stage::See, Level::Cache)))
                .filter(|query| self.is_exact(query, e)),
            None => Some(PairExpr::QueryPos),
        };
        let key = match call.option("key") {
            Some(e) => self
                .number(e, counted(words::RANK, entry()))
                .filter(|key| self.follows_from_entry(key, e) && self.is_exact(key, e)),
            None => Some(PairExpr::KeyPos),
        };
        if let (Some(query), Some(key)) = (query, key) {
            self.making().sights.push(Sight { seen, query, key });
        }
    }

    /// `keep(c; at = d)`: entries for which c holds stay, after tokens at which d holds.
    fn keep(&mut self, call: Called<'_>) {
        if self.making().kept.is_some() {
            return self.said_twice(call);
        }
        self.making().kept = Some(None);
        let [kept] = call.args else {
            self.error(
                "wrong-arguments",
                call.span,
                "`keep` takes a condition on entries: `keep(age < 64)`",
            );
            return;
        };
        if !self.options_of(call, &["at"]) {
            return;
        }
        let cache = Scope::new(Stage::Decide, Level::Cache);
        let at = match call.option("at") {
            Some(e) => match self.scoped(e, cache) {
                Val::Known(Known::Bool(false)) => return,
                val => self.truth(val, e),
            },
            None => Some(always()),
        };
        let entry = Scope::new(Stage::Decide, Level::Entry);
        let keep = match self.scoped(kept, entry) {
            Val::Known(Known::Bool(true)) => return,
            val => self.truth(val, kept),
        };
        if let (Some(at), Some(keep)) = (at, keep) {
            self.making().kept = Some(Some(Eviction { at, keep }));
        }
    }

    /// `keys(bits = n, group = n, along = "channels", symmetric = false, until = n, from = n, channels = x, count = n)`, `values(…)`.
    fn stored(&mut self, call: Called<'_>, keys: bool) {
        let said = if keys {
            self.making().keys.is_some()
        } else {
            self.making().values.is_some()
        };
        if said {
            return self.said_twice(call);
        }
        let coding = self.coding(call, keys);
        // Numbers as they are, of all channels: nothing changes.
        let coding = coding.filter(|coding| coding.bits != 32 || coding.channels.is_some());
        match keys {
            true => self.making().keys = Some(coding),
            false => self.making().values = Some(coding),
        }
    }

    fn coding(&mut self, call: Called<'_>, keys: bool) -> Option<Coding> {
        let all = [
            "bits",
            "group",
            "along",
            "symmetric",
            "until",
            "from",
            "channels",
            "count",
        ];
        let known = if keys { &all[..] } else { &all[..6] };
        if let Some(arg) = call.args.first() {
            let message = format!("`{}` is told by names: `{}(bits = 8)`", call.name, call.name);
            self.error("wrong-arguments", arg.span, message);
            return None;
        }
        if !self.options_of(call, known) {
            return None;
        }
        let widths = self.making().widths;
        let width = if keys { widths.key } else { widths.value };
        let bits = match call.option("bits") {
            Some(e) => self.one_of(e, BITS)?,
            None => 32,
        };
        let along = self.along(call)?;
        let group = match call.option("group") {
            Some(e) => self.size(e)?.size,
            None => width,
        };
        self.check_group(call, along, group, width)?;
        let symmetric = match call.option("symmetric") {
            Some(e) => self.yes_or_no(e)?,
            None => false,
        };
        let until = match call.option("until") {
            Some(e) => Some(self.number(e, Scope::new(Stage::Decide, Level::Cache))?),
            None => None,
        };
        let channels = self.channels(call, width)?;
        let tokens = along == Along::Tokens && bits != 32;
        if until.is_none() && (tokens || channels.is_some()) {
            let what = if tokens {
                "groups along tokens are"
            } else {
                "channels are chosen, and keys"
            };
            let place = self.place(call.span);
            let d = Diagnostic::new(
                "wrong-arguments",
                place,
                format!("{what} coded when there are several: `until` is missing"),
            );
            self.report(d.help("`until` is the slot below which entries are coded: `until = n - 32`"));
            return None;
        }
        let whole = if along == Along::Tokens { group } else { 1 };
        let from = self.first_coded(call, until.is_some(), whole)?;
        Some(Coding {
            until,
            from,
            bits,
            group,
            along,
            symmetric,
            channels,
        })
    }

    /// `from = n`: the position of the first token whose entry is coded, a multiple of `whole`.
    fn first_coded(&mut self, call: Called<'_>, later: bool, whole: usize) -> Option<usize> {
        let Some(e) = call.option("from") else {
            return Some(0);
        };
        let from = self.number_of_tokens(e, "from")?;
        let place = self.place(e.span);
        if from > 0 && !later {
            let d = Diagnostic::new("wrong-arguments", place, "`from` needs `until`");
            self.report(d.help("`until = n` codes each entry after its token has read it"));
            return None;
        }
        if !from.is_multiple_of(whole) {
            let message = format!("groups of {whole} tokens do not begin at token {from}");
            self.report(Diagnostic::new("bad-size", place, message).help(format!("`from` is a multiple of {whole}")));
            return None;
        }
        Some(from)
    }

    fn one_of(&mut self, e: &Expr, allowed: &[usize]) -> Option<usize> {
        let known = self.known(e, "the number of bits")?;
        match known.size().filter(|n| allowed.contains(n)) {
            Some(n) => Some(n),
            None => {
                self.error(
                    "bad-size",
                    e.span,
                    format!("numbers are stored in 2, 4, 8 or 32 bits, not in {known}"),
                );
                None
            }
        }
    }

    fn yes_or_no(&mut self, e: &Expr) -> Option<bool> {
        match self.known(e, "`symmetric`")? {
            Known::Bool(b) => Some(b),
            _ => {
                self.error("wrong-operands", e.span, "`symmetric` is `true` or `false`");
                None
            }
        }
    }

    fn along(&mut self, call: Called<'_>) -> Option<Along> {
        let Some(e) = call.option("along") else {
            return Some(Along::Channels);
        };
        let known = self.known(e, "`along`")?;
        let along = match &known {
            Known::Str(name) => Along::from_name(name),
            _ => None,
        };
        if along.is_none() {
            let place = self.place(e.span);
            let d = Diagnostic::new("unknown-name", place, format!("groups do not run along {known}"));
            self.report(d.help("`along` is \"channels\" or \"tokens\""));
        }
        along
    }

    /// Groups along channels divide the vector, those along tokens a page.
    fn check_group(&mut self, call: Called<'_>, along: Along, group: usize, width: usize) -> Option<()> {
        let span = call.option("group").map_or(call.span, |e| e.span);
        if group == 0 {
            self.error("bad-size", span, "a group has at least one number");
            return None;
        }
        if along == Along::Channels && !width.is_multiple_of(group) {
            let place = self.place(span);
            let message = format!("{width} numbers of `{}` are not groups of {group}", call.name);
            let d = Diagnostic::new("bad-size", place, message);
            self.report(d.help(format!("a group is a divisor of {width}")));
            return None;
        }
        if along == Along::Tokens && !MOST_TOKENS.is_multiple_of(group) {
            let place = self.place(span);
            let d = Diagnostic::new("bad-size", place, format!("{group} tokens are no group"));
            self.report(d.help(format!("a group along tokens is a divisor of {MOST_TOKENS}")));
            return None;
        }
        Some(())
    }

    /// `channels = x, count = n`
    fn channels(&mut self, call: Called<'_>, width: usize) -> Option<Option<Channels>> {
        let (by, count) = match (call.option("channels"), call.option("count")) {
            (None, None) => return Some(None),
            (Some(by), Some(count)) => (by, count),
            _ => {
                self.error(
                    "wrong-arguments",
                    call.span,
                    "`channels` and `count` go together: `keys(channels = use, count = width / 2)`",
                );
                return None;
            }
        };
        let named = name_of(by).and_then(|name| Some((name, self.making().names.get(name).copied()?)));
        let found = match named {
            Some((name, named)) if named.class == Class::Channel => self.making().channels.get(name).map(|id| id.n),
            _ => {
                let place = self.place(by.span);
                let d = Diagnostic::new("wrong-operands", place, "channels are chosen by a number that each has");
                self.report(d.help("`use[c] = mean(entries: key[c] ** 2)`, then `channels = use`"));
                None
            }
        };
        let count_size = self.size(count)?.size;
        if count_size > width {
            self.error(
                "bad-size",
                count.span,
                format!("a key has {width} channels, not {count_size}"),
            );
            return None;
        }
        let by = found?;
        Some((count_size < width).then_some(Channels { by, count: count_size }))
    }

    fn options_of(&mut self, call: Called<'_>, known: &[&str]) -> bool {
        let unknown = |o: &&NamedArg| !known.contains(&o.name.text.as_str());
        let Some(option) = call.named.iter().find(unknown) else {
            return true;
        };
        let place = self.place(option.name.span);
        let message = format!("`{}` has no option `{}`", call.name, option.name.text);
        let d = Diagnostic::new("unknown-setting", place, message);
        self.report(d.did_you_mean(&option.name.text, known.iter().copied()));
        false
    }

    fn said_twice(&mut self, call: Called<'_>) {
        let place = self.place(call.span);
        let d = Diagnostic::new("defined-twice", place, format!("a cache has one `{}`", call.name));
        self.report(d.help("join both conditions or options"));
    }
}
