//! The tokens that a kernel computes: all of a chunk, or one.

use super::cx::Cx;
use crate::kernel::{Cmp, Func, Val};
use std::ops::Range;

/// Which tokens a kernel is for.
#[derive(Clone, Copy)]
pub(super) enum Tokens {
    /// All of the chunk.
    All,
    /// The one in this row.
    One(Val),
}

impl Tokens {
    /// The row of the one token, as the numbers of [`Cx::in_parts`].
    pub(super) fn numbers(self) -> Vec<Val> {
        match self {
            Tokens::All => Vec::new(),
            Tokens::One(t) => vec![t],
        }
    }

    /// The rows of the tokens.
    pub(super) fn range(self, cx: &Cx<'_>, f: &mut Func) -> Range<Val> {
        match self {
            Tokens::All => cx.args.first..f.add(cx.args.first, cx.args.count),
            Tokens::One(t) => {
                let one = f.i64(1);
                t..f.add(t, one)
            }
        }
    }

    /// The same tokens in a part with these numbers.
    pub(super) fn of(numbers: &[Val]) -> Tokens {
        numbers.first().map_or(Tokens::All, |t| Tokens::One(*t))
    }
}

/// Writes code that one thread runs.
pub(super) fn on_first_thread(cx: &Cx<'_>, f: &mut Func, body: impl FnOnce(&mut Func)) {
    let zero = f.i64(0);
    let first = f.cmp(Cmp::Eq, cx.args.tid, zero);
    f.if_then(first, body);
}
