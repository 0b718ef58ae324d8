//! Copies of pages in scratch: what is coded is read back, keys are turned to where they are seen.

use super::{
    super::layout::{PAGE, float_at, number_at, numbers_at, row_at, store, vectors},
    Governed,
    args::Args,
    code_layout::{CodeLayout, Coded, Side, Vector},
    states::Word,
};
use crate::{
    kernel::{Cache, Cast, Cmp, Func, Module, Scalar, Ty, Val},
    kernels::dequant::plain_vector,
};

/// What of a page is read.
#[derive(Clone, Copy)]
struct PageOf {
    group: Val,
    page: Val,
    /// How many of its first entries are coded.
    coded: Val,
    /// How many of these are not, the first ones of all.
    exact: Option<Val>,
}

impl Governed<'_> {
    /// Adds `fn NAME_readN(arguments…, group, page)` for every sight.
    pub(super) fn add_read(&self, module: &mut Module) {
        if !self.copies() {
            return;
        }
        let count = if self.policy.turn.is_some() {
            self.sights.len()
        } else {
            1
        };
        // Where queries choose, entries are read one vector after another.
        let plain = (0..count).filter(|n| self.policy.turn.is_none() || !self.policy.gathers(&self.policy.sights[*n]));
        for n in plain {
            let (mut f, args, own) = self.function(&format!("read{n}"), &[Ty::I64; 2]);
            let [group, page] = [own[0], own[1]];
            self.ask_for_next(&mut f, &args, group, page);
            if self.copies_keys() {
                self.read_keys(&mut f, &args, group, page);
                self.turn_keys(&mut f, &args, group, page, n);
            }
            if self.copies_values() {
                self.read_values(&mut f, &args, group, page);
            }
            module.add(f);
        }
    }

    /// Asks for the codes of the page behind a page, or of the last one: they are read once, and no page lies behind another.
    fn ask_for_next(&self, f: &mut Func, args: &Args, group: Val, page: Val) {
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let entries = self.load_word(f, args.words, group, Word::Entries);
        let last = f.sub(entries, one);
        let last = f.max(last, zero);
        let last = f.udiv(last, size);
        let next = f.add(page, one);
        let next = f.min(next, last);
        let next = f.max(next, page);
        for Coded { layout, .. } in self.all_coded() {
            let from = self.codes_of_page(f, args.codes(layout.side), &layout, group, next);
            let bytes = f.i64(layout.head_bytes() as i64);
            f.for_each(zero, bytes, self.attend.machine.memory.line as i64, |f, at| {
                let p = f.gep(from, at, Scalar::I8);
                f.prefetch(p, Cache::Second);
            });
        }
    }

    /// Keys of a page as they were stored.
    pub(super) fn read_keys(&self, f: &mut Func, args: &Args, group: Val, page: Val) {
        let of = self.page_of(f, args, [group, page], Side::Keys);
        let to = float_at(f, args.scratch, self.extra().keys);
        if let Some(Coded { layout, .. }) = self.coded(Side::Keys) {
            self.when_coded(f, of, |f| self.unpack_keys(f, args, &layout, of, to));
        }
        if self.kept(Side::Keys) {
            self.when_kept(f, of, |f, range| {
                let from = self
                    .attend
                    .head_page(f, args.keys, of.page, of.group, self.attend.key_dim);
                self.copy_columns(f, from, to, range);
            });
        }
    }

    pub(super) fn read_values(&self, f: &mut Func, args: &Args, group: Val, page: Val) {
        let of = self.page_of(f, args, [group, page], Side::Values);
        let to = float_at(f, args.scratch, self.extra().values);
        if let Some(Coded { layout, .. }) = self.coded(Side::Values) {
            self.when_coded(f, of, |f| self.unpack_values(f, args, &layout, of, to));
        }
        if self.kept(Side::Values) {
            self.when_kept(f, of, |f, range| {
                let from = self
                    .attend
                    .head_page(f, args.values, of.page, of.group, self.attend.value_width());
                self.copy_rows(f, from, to, range);
            });
        }
    }

    /// A page, and how many of its first entries are coded.
    fn page_of(&self, f: &mut Func, args: &Args, [group, page]: [Val; 2], side: Side) -> PageOf {
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        let coded = match self.coding(side) {
            None => zero,
            Some(coding) if coding.until.is_none() => size,
            Some(_) => {
                let coded = self.load_word(f, args.words, group, Word::coded(side));
                let before = f.mul(page, size);
                let coded = f.sub(coded, before);
                let coded = f.max(coded, zero);
                f.min(coded, size)
            }
        };
        let exact = self.exact_of_page(f, args, [group, page], side);
        PageOf {
            group,
            page,
            coded,
            exact,
        }
    }

    fn when_coded(&self, f: &mut Func, of: PageOf, body: impl FnOnce(&mut Func)) {
        let zero = f.i64(0);
        let some = f.cmp(Cmp::Gt, of.coded, zero);
        f.if_then(some, body);
    }

    /// Code for the entries of a page that are kept as they are, from one on and before another.
    fn when_kept(&self, f: &mut Func, of: PageOf, body: impl Fn(&mut Func, [Val; 2])) {
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        if let Some(exact) = of.exact {
            let exact = f.min(exact, of.coded);
            let some = f.cmp(Cmp::Gt, exact, zero);
            f.if_then(some, |f| body(f, [zero, exact]));
        }
        let some = f.cmp(Cmp::Lt, of.coded, size);
        f.if_then(some, |f| body(f, [of.coded, size]));
    }

    /// How many of the first entries of a page are of tokens that are never coded; `None` where there are no such tokens.
    fn exact_of_page(&self, f: &mut Func, args: &Args, [group, page]: [Val; 2], side: Side) -> Option<Val> {
        let from = self.coding(side).map_or(0, |coding| coding.from);
        if from == 0 {
            return None;
        }
        let (zero, from, size) = (f.i64(0), f.i64(from as i64), f.i64(PAGE as i64));
        let first = f.mul(page, size);
        let left = f.sub(from, first);
        let left = f.max(left, zero);
        let most = f.min(left, size);
        if !self.evicts() {
            return Some(most);
        }
        let entries = self.load_word(f, args.words, group, Word::Entries);
        let entries = f.sub(entries, first);
        let most = f.min(most, entries);
        let end = f.add(first, most);
        let exact = self.exact_before(f, args, group, [first, end, from]);
        Some(f.sub(exact, first))
    }

    /// The first slot, from `first` on and before `end`, whose entry is of a token at `from` or behind it; else `end`. Entries are in order.
    pub(super) fn exact_before(&self, f: &mut Func, args: &Args, group: Val, [first, end, from]: [Val; 3]) -> Val {
        let one = f.i64(1);
        let from = f.convert(Cast::SignedToFloat, from, Scalar::F32);
        let found = f.for_loop(first..end, one, &[first], |f, slot, found| {
            let p = self.number_of(f, args, 0, group, slot);
            let position = f.load(p, Ty::F32);
            let before = f.cmp(Cmp::Lt, position, from);
            let before = f.convert(Cast::ZeroExtend, before, Scalar::I64);
            vec![f.add(found[0], before)]
        });
        found[0]
    }

    /// Columns of keys from `low` on and before `high`.
    fn copy_columns(&self, f: &mut Func, from: Val, to: Val, [low, high]: [Val; 2]) {
        let attend = self.attend;
        let (zero, e) = (f.i64(0), f.i64(attend.key_dim as i64));
        let lanes = attend.lanes();
        let step = f.i64(i64::from(lanes));
        // What is before `low` and behind `high` in a vector has been read back already, or is read next.
        let rest = f.urem(low, step);
        let first = f.sub(low, rest);
        f.for_each(zero, e, 1, |f, c| {
            let (from, to) = (numbers_at(f, from, c, PAGE, attend.elem()), row_at(f, to, c, PAGE));
            f.for_each(first, high, i64::from(lanes), |f, start| {
                let p = f.gep(from, start, attend.elem());
                let x = plain_vector(f, attend.stored(), p, lanes, None);
                let p = f.gep(to, start, Scalar::F32);
                let passed = f.sub(low, start);
                let passed = f.max(passed, zero);
                let before = f.tail_mask(passed, lanes);
                let old = f.load(p, self.vector());
                let x = f.select(before, old, x);
                let left = f.sub(high, start);
                let inside = f.tail_mask(left, lanes);
                let x = f.select(inside, x, old);
                f.store(x, p);
            });
        });
    }

    /// Rows of values from `low` on and before `high`, in panels.
    fn copy_rows(&self, f: &mut Func, from: Val, to: Val, [low, high]: [Val; 2]) {
        let attend = self.attend;
        for panel in attend.panels() {
            let (from, to) = (
                number_at(f, from, PAGE * panel.start, attend.elem()),
                float_at(f, to, PAGE * panel.start),
            );
            f.for_each(low, high, 1, |f, slot| {
                let (from, to) = (
                    numbers_at(f, from, slot, panel.width, attend.elem()),
                    row_at(f, to, slot, panel.width),
                );
                vectors(f, attend.lanes(), panel.width, |f, start, mask| {
                    let p = number_at(f, from, start, attend.elem());
                    let x = plain_vector(f, attend.stored(), p, attend.lanes(), mask);
                    let p = float_at(f, to, start);
                    store(f, x, p, mask);
                });
            });
        }
    }

    /// Reads back the keys of a page.
    fn unpack_keys(&self, f: &mut Func, args: &Args, layout: &CodeLayout, of: PageOf, to: Val) {
        let zero = f.i64(0);
        let from = self.codes_of_page(f, args.key_codes, layout, of.group, of.page);
        if layout.chosen {
            let none = f.zero(self.vector());
            let all = f.i64((self.attend.key_dim * PAGE) as i64);
            f.for_each(zero, all, i64::from(self.attend.lanes()), |f, n| {
                let p = f.gep(to, n, Scalar::F32);
                f.store(none, p);
            });
        }
        let channels = f.i64(layout.channels as i64);
        let width = layout.vector(self.attend.lanes());
        f.for_each(zero, channels, 1, |f, c| {
            let channel = self.channel(f, args, layout, of.group, c);
            let to = row_at(f, to, channel, PAGE);
            for start in (0..PAGE).step_by(width as usize) {
                let at = Vector {
                    page: from,
                    row: c,
                    start,
                    width,
                };
                let x = layout.read(f, at);
                let p = float_at(f, to, start);
                f.store(x, p);
            }
        });
    }

    /// Reads back the values of a page.
    fn unpack_values(&self, f: &mut Func, args: &Args, layout: &CodeLayout, of: PageOf, to: Val) {
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        let from = self.codes_of_page(f, args.value_codes, layout, of.group, of.page);
        let width = layout.vector(self.attend.lanes());
        f.for_each(zero, size, 1, |f, slot| {
            for panel in self.attend.panels() {
                let to = float_at(f, to, PAGE * panel.start);
                let to = row_at(f, to, slot, panel.width);
                for start in (0..panel.columns).step_by(width as usize) {
                    let at = Vector {
                        page: from,
                        row: slot,
                        start: panel.start + start,
                        width,
                    };
                    let x = layout.read(f, at);
                    let p = float_at(f, to, start);
                    f.store(x, p);
                }
            }
        });
    }

    /// The channel that is stored in place `n`.
    pub(super) fn channel(&self, f: &mut Func, args: &Args, layout: &CodeLayout, group: Val, n: Val) -> Val {
        if !layout.chosen {
            return n;
        }
        let channels = f.i64(layout.channels as i64);
        let first = f.mul(group, channels);
        let at = f.add(first, n);
        let p = f.gep(args.channels, at, Scalar::I64);
        f.load(p, Ty::I64)
    }
}
