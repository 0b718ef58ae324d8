//! Positions at which queries and keys meet: what they may depend on, and how far they reach.

use super::{super::cx::Cx, state::DefinitionId};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::Expr;
use seqc_ir::{
    PairExpr,
    policy::{CLOSED, MEMORIES},
};

/// Positions up to which programs turn queries and keys by exact angles.
const MOST_EXACT: f64 = 4_000_000.0;

impl Cx<'_> {
    /// Whether a position that is the same for all tokens is one by which programs turn exactly.
    pub(super) fn is_exact(&mut self, position: &PairExpr, e: &Expr) -> bool {
        let Some(n) = position.constant().filter(|n| n.abs() > MOST_EXACT) else {
            return true;
        };
        let place = self.place(e.span);
        let message =
            format!("positions reach from -{MOST_EXACT} to {MOST_EXACT}, where programs are exact, and this is {n}");
        let help = "give a smaller number: only the difference of `query` and `key` counts";
        self.report(Diagnostic::new("bad-size", place, message).help(help));
        false
    }

    /// Whether a position of keys is the same for all tokens that see the entry.
    pub(super) fn follows_from_entry(&mut self, key: &PairExpr, e: &Expr) -> bool {
        let of_query = |e: &PairExpr| match e {
            PairExpr::QueryPos | PairExpr::QueryStream(_) | PairExpr::KeyStream(CLOSED) => true,
            PairExpr::KeyStream(n) => DefinitionId::of(*n).is_some(),
            _ => false,
        };
        if !key.any(&of_query) {
            return true;
        }
        let place = self.place(e.span);
        let d = Diagnostic::new(
            "wrong-operands",
            place,
            "the position of a key depends on its entry only, and this on the token",
        );
        self.report(d.help("move what depends on the token to `query`: distances are `query - key`"));
        false
    }

    /// Whether a position of keys of blocks follows from where the entry is, and not from what is remembered of it.
    pub(super) fn follows_from_place(&mut self, key: &PairExpr, e: &Expr) -> bool {
        if !key.any(&|e| matches!(e, PairExpr::KeyStream(n) if *n >= MEMORIES)) {
            return true;
        }
        let place = self.place(e.span);
        let d = Diagnostic::new(
            "wrong-operands",
            place,
            "the position of a key in blocks depends on `j` and `slot` only",
        );
        self.report(d.help("`key = j % size` is the place in the block"));
        false
    }
}
