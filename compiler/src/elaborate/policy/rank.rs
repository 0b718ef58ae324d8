//! Functions of caches that rank entries or blocks: `top`, `fewest`, `search`.

use super::{
    super::{
        cx::Cx,
        val::{Score, Val},
    },
    choose::{Called, real},
    state::{DefinitionId, Level, List, Scope, Stage},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::Expr;
use seqc_ir::{
    BinaryOp, Elem, PairExpr,
    policy::{Kind, Policy},
};

/// Most blocks that a search finds.
const MOST_SEARCHED: usize = 4096;

impl Cx<'_> {
    /// `top(x; k = n, among = c, over = "heads")`: whether the entry is among the n that have the largest values of those for which c holds.
    pub(super) fn top(&mut self, call: Called<'_>) -> Val {
        let ([x], Some(k)) = (call.args, call.option("k")) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`top` takes a number of each entry, and how many: `top(mass; k = 40)`",
            );
        };
        if !self.decides(call, &["k", "among", "over"]) {
            return Val::Poison;
        }
        let each = self.inner();
        let by = self.number(x, each.clone());
        let heads = self.over_all_heads(call);
        let count = self.count_of_entries(k, each, heads == Some(true));
        let among = self.among(call);
        let (Some(by), Some(count), Some(among), Some(heads)) = (by, count, among, heads) else {
            return Val::Poison;
        };
        let found = self.define_here(Kind::Top {
            by,
            count,
            among,
            heads,
        });
        let truth = PairExpr::binary(BinaryOp::Ne, found, PairExpr::Const(0.0));
        Val::Score(Score::new(truth, Elem::Bool))
    }

    /// `fewest(x; sum = s, among = c)`: how many of the largest numbers for which c holds add up to s.
    pub(super) fn fewest(&mut self, call: Called<'_>) -> Val {
        let ([x], Some(sum)) = (call.args, call.option("sum")) else {
            return self.error(
                "wrong-arguments",
                call.span,
                "`fewest` takes a number of each entry, and what the largest add up to: `fewest(mass; sum = 0.9 * sum(entries: mass))`",
            );
        };
        if !self.decides(call, &["sum", "among"]) {
            return Val::Poison;
        }
        let each = self.inner();
        if each.stage == Stage::Close {
            self.where_entries_are_kept(call);
            return Val::Poison;
        }
        let of = self.number(x, each.clone());
        let sum = self.number_of_all(
            sum,
            each,
            "`sum` is a number of each entry, and says what the largest add up to",
        );
        let among = self.among(call);
        let (Some(of), Some(sum), Some(among)) = (of, sum, among) else {
            return Val::Poison;
        };
        real(self.define_here(Kind::Fewest { of, sum, among }))
    }

    /// A number of the cache or of all entries together, or all blocks; `else_is` says what is wrong with another one.
    fn number_of_all(&mut self, e: &Expr, each: Scope, else_is: &str) -> Option<PairExpr> {
        let range = match each.stage {
            Stage::Decide => "entries",
            Stage::Choose => "blocks",
            stage => return self.number(e, Scope::new(stage, Level::Cache)),
        };
        let number = self.number(e, each)?;
        let own = number.any(&|e| match e {
            PairExpr::KeyPos => true,
            PairExpr::KeyStream(n) => !self.is_of_all(*n),
            _ => false,
        });
        if own {
            let place = self.place(e.span);
            let d = Diagnostic::new("entry-number", place, else_is);
            self.report(d.help(format!("numbers of the cache are i, n, reading, ended, head, settings, and reductions over all {range}: `sum({range}: x)`")));
            return None;
        }
        Some(number)
    }

    /// How many entries `top` chooses; where heads choose together, a number that is the same for all.
    fn count_of_entries(&mut self, k: &Expr, each: Scope, heads: bool) -> Option<PairExpr> {
        let count = self.number_of_all(
            k,
            each,
            "`k` is a number of each entry, and says how many entries are chosen",
        )?;
        let place = self.place(k.span);
        if let Some(known) = count.simplified().constant().filter(|count| *count < 0.0) {
            let d = Diagnostic::new("bad-size", place, format!("`top` cannot choose {known} entries"));
            self.report(d.help("check the settings, such as a budget smaller than its window; `max(k, 0)` says that none may be chosen"));
            return None;
        }
        if heads && !Policy::is_of_token(&count) {
            let d = Diagnostic::new(
                "wrong-operands",
                place,
                "`k` differs from head to head, and says how many entries all of them keep together",
            );
            self.report(d.help("it may read `i`, `reading`, `ended`, settings and constants: `k = heads * budget`"));
            return None;
        }
        Some(count)
    }

    /// Whether a stream is the same number for all entries, or all blocks.
    fn is_of_all(&self, stream: usize) -> bool {
        let Some((making, id)) = self.policy.as_ref().zip(DefinitionId::of(stream)) else {
            return false;
        };
        let definition = making.definitions[id.list as usize].get(id.n);
        id.list != List::Closing && definition.is_some_and(|d| d.kind.of_all())
    }

    /// `search(x; k = n)`: n blocks that have large values, found by halving.
    pub(super) fn search(&mut self, call: Called<'_>) -> Val {
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
}
