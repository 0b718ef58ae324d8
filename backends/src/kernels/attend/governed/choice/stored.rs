//! Keys and values of a page as they are read entry by entry: where they lie, or from a copy of codes in scratch.

use super::super::{
    super::layout::{PAGE, float_at},
    Governed,
    args::Args,
    code_layout::Side,
    entries::Lanes,
};
use crate::{
    kernel::{Cmp, Func, Scalar, Val},
    kernels::layout::Plain,
};

/// A head's part of a page.
#[derive(Clone, Copy)]
pub(in super::super) struct HeadPage {
    pub(in super::super) base: Val,
    /// What a number is loaded as.
    pub(in super::super) elem: Scalar,
    pub(in super::super) stored: Plain,
}

impl Governed<'_> {
    /// Keys `[E][PAGE]`, or values in panels, of a page; those that are coded have been copied ([`Governed::copy_codes`]).
    pub(in super::super) fn stored(&self, f: &mut Func, args: &Args, [group, page]: [Val; 2], side: Side) -> HeadPage {
        let (attend, extra) = (self.attend, self.extra());
        let (pages, width, copy) = match side {
            Side::Keys => (args.keys, attend.key_dim, extra.keys),
            Side::Values => (args.values, attend.value_width(), extra.values),
        };
        if self.coding(side).is_some() {
            return HeadPage {
                base: float_at(f, args.scratch, copy),
                elem: Scalar::F32,
                stored: Plain::F32,
            };
        }
        HeadPage {
            base: attend.head_page(f, pages, page, group, width),
            elem: attend.elem(),
            stored: attend.stored(),
        }
    }

    /// Copies what is coded of a page, unless that is the page that was copied last; gives the page.
    pub(super) fn copy_codes(&self, f: &mut Func, args: &Args, [group, page]: [Val; 2], copied: Val) -> Val {
        let [keys, values] = [Side::Keys, Side::Values].map(|side| self.coding(side).is_some());
        if !keys && !values {
            return copied;
        }
        let other = f.cmp(Cmp::Ne, page, copied);
        f.if_then(other, |f| {
            if keys {
                self.read_keys(f, args, group, page);
            }
            if values {
                self.read_values(f, args, group, page);
            }
        });
        page
    }

    /// The entries of a vector whose slots are from `low` on and below `high`, `start` being the slot of the first.
    pub(super) fn between(&self, f: &mut Func, start: Val, [low, high]: [Val; 2]) -> Val {
        let (lanes, zero) = (self.attend.lanes(), f.i64(0));
        let (before, left) = (f.sub(low, start), f.sub(high, start));
        let before = f.max(before, zero);
        let (before, inside) = (f.tail_mask(before, lanes), f.tail_mask(left, lanes));
        let before = f.not(before);
        f.and(before, inside)
    }

    /// Code for each vector that has entries with slots from `low` on and below `high`, with a value that is carried from one to the next:
    /// the slot of its first entry, its place, and the value.
    pub(super) fn each_vector_between(
        &self,
        f: &mut Func,
        [low, high]: [Val; 2],
        first: Val,
        body: impl FnOnce(&mut Func, Val, Lanes, Val) -> Val,
    ) -> Val {
        let (size, step) = (f.i64(PAGE as i64), f.i64(i64::from(self.attend.lanes())));
        let rest = f.urem(low, step);
        let start = f.sub(low, rest);
        let last = f.for_loop(start..high, step, &[first], |f, start, carried| {
            let at = Lanes {
                page: f.udiv(start, size),
                start: f.urem(start, size),
            };
            vec![body(f, start, at, carried[0])]
        });
        last[0]
    }
}
