//! Entries that run at some tokens only.

use super::Expander;
use crate::{
    diag::{Diagnostic, Placed},
    model::clock::{Clock, Condition, Otherwise},
};
use seqc_grammar::{
    ast::{ExprKind, Ident},
    model::When,
};
use std::sync::Arc;

/// Longest period of `every`.
const MAX_PERIOD: usize = 1 << 24;

impl Expander<'_> {
    /// Begins entries that run at some tokens only. Nothing after an error.
    pub(super) fn begin(&mut self, when: &When, prefix: &str) -> Option<()> {
        let place = self.place(when.condition.span);
        if !self.root.is_empty() {
            let d = Diagnostic::new("clock-mismatch", place, "layers of an encoder run at all of its rows");
            return self.kept(Err(d.help("`when` is for entries of the model\'s own `stack`")));
        }
        let condition = match &when.condition.kind {
            ExprKind::Name(text) => Condition::Stream(Ident {
                text: text.clone(),
                span: when.condition.span,
            }),
            ExprKind::Call { callee, args, .. } if callee.text == "every" && args.len() == 1 => {
                let period = self.names.count(&args[0], MAX_PERIOD);
                match self.kept(period)? {
                    0 => {
                        let d = Diagnostic::new("bad-size", place, "a segment has at least one token");
                        return self.kept(Err(d.help("`every(4)`: the last of every four tokens")));
                    }
                    period => Condition::Every(period),
                }
            }
            _ => {
                let d = Diagnostic::new("clock-mismatch", place, "`when` is a stream or `every(n)`");
                return self.kept(Err(d.help(
                    "a layer says where by a definition that is tapped: `tap: {boundary: on}` and `when: boundary`",
                )));
            }
        };
        let otherwise = match when.otherwise.as_ref().map(|word| word.value.as_str()) {
            None | Some("hold") => Otherwise::Hold,
            Some("zero") => Otherwise::Zero,
            Some("pass") => Otherwise::Pass,
            Some(word) => {
                let span = when.otherwise.as_ref().map_or(when.condition.span, |word| word.span);
                let message = format!("`otherwise` is `hold`, `zero` or `pass`, not `{word}`");
                let d = Diagnostic::new("clock-mismatch", self.place(span), message);
                return self.kept(Err(d.did_you_mean(word, ["hold", "zero", "pass"])));
            }
        };
        let path = self.fresh_path(format!("{prefix}clock"));
        self.clocks.push(Arc::new(Clock {
            path,
            condition,
            otherwise,
            place,
        }));
        Some(())
    }
}
