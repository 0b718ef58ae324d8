//! What runs over heads: query heads where blocks are chosen, key heads where entries are kept.

use super::{
    super::{cx::Cx, val::Val},
    choose::Called,
    state::{DefinitionId, Level, List, Scope, Stage},
    words,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::Expr;
use seqc_ir::{PairExpr, policy::Kind};

impl Cx<'_> {
    /// Over query heads, a number of each block; where entries are kept over key heads, a number of each entry.
    pub(super) fn over_heads(&mut self, call: Called<'_>, body: &Expr, members: bool) -> Val {
        let scope = &self.making().scope;
        if (scope.stage, scope.level) == (Stage::Decide, Level::Entry) {
            return match members {
                false => self.over_key_heads(call, body),
                true => {
                    let place = self.place(call.span);
                    let d = Diagnostic::new(
                        "wrong-operands",
                        place,
                        "query heads that share a key head keep the same entries: there is nothing to run over",
                    );
                    self.report(d.help("`weight` is the sum over them; `sum(heads: x)` runs over key heads"))
                }
            };
        }
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

    /// Over the key heads' entries in the same slot.
    fn over_key_heads(&mut self, call: Called<'_>, body: &Expr) -> Val {
        let Some((of, how)) = self.reduced(call, body, Scope::new(Stage::Decide, Level::Entry)) else {
            return Val::Poison;
        };
        let list = List::Deciding;
        let mut over = |of: PairExpr| {
            let n = self.definition_with(of);
            let of = DefinitionId { list, n }.stream();
            let members = false;
            self.define_here(Kind::Heads { of, how, members })
        };
        let found = over(of);
        let count = match call.name {
            // Heads may have kept different numbers of entries.
            "mean" => over(PairExpr::Const(1.0)),
            _ => PairExpr::Const(1.0),
        };
        self.found(call, found, count)
    }

    /// Whether entries of all key heads compete: `over = "heads"`.
    pub(super) fn over_all_heads(&mut self, call: Called<'_>) -> Option<bool> {
        let Some(e) = call.option("over") else {
            return Some(false);
        };
        match self.known(e, "`over`")? {
            Known::Str(name) if name == words::HEADS => self.where_entries_are_kept(call).then_some(true),
            other => {
                let place = self.place(e.span);
                let d = Diagnostic::new("unknown-name", place, format!("`top` does not run over `{other}`"));
                self.report(d.help("`over` is \"heads\"; without it every key head has its own `k`"));
                None
            }
        }
    }
}
