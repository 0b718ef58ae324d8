//! Coding of keys and values: as they come, or when enough others have come behind them.

use super::{
    super::layout::{PAGE, numbers_at, page_at, row_at},
    Governed,
    append::NewRows,
    args::Args,
    code_layout::{CodeLayout, Coded, Side},
    entries::Numbers,
    states::Word,
};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Unary, Val};
use seqc_ir::policy::Along;

/// Numbers that are coded together, of consecutive slots and consecutive channels.
#[derive(Clone, Copy)]
struct Group {
    slots: [Val; 2],
    channels: [Val; 2],
}

/// Where entries are coded.
#[derive(Clone, Copy)]
struct Target<'a> {
    layout: &'a CodeLayout,
    /// Table of pages.
    pages: Val,
    /// Key head.
    head: Val,
}

/// An entry that moves.
#[derive(Clone, Copy)]
pub(super) struct Moves {
    pub(super) group: Val,
    /// Its slot.
    pub(super) from: Val,
    /// The slot where it goes.
    pub(super) to: Val,
}

impl Governed<'_> {
    /// Moves the codes of an entry: as they are, with the steps of their groups. Entries of a group along tokens do not move.
    pub(super) fn move_codes(&self, f: &mut Func, args: &Args, moves: Moves) {
        for Coded { layout, .. } in self.all_coded() {
            let pages = args.codes(layout.side);
            let size = f.i64(PAGE as i64);
            let places = [moves.from, moves.to].map(|slot| {
                let (page, slot) = (f.udiv(slot, size), f.urem(slot, size));
                (self.codes_of_page(f, pages, &layout, moves.group, page), slot)
            });
            let (zero, channels) = (f.i64(0), f.i64(layout.channels as i64));
            let place = |slot: Val, channel: Val| match layout.side {
                Side::Keys => (channel, slot),
                Side::Values => (slot, channel),
            };
            f.for_each(zero, channels, 1, |f, channel| {
                let [(from, slot), (to, other)] = places;
                let (row, at) = place(slot, channel);
                let (to_row, to_at) = place(other, channel);
                if layout.bits == 32 {
                    let p = layout.plain(f, from, row, at);
                    let x = f.load(p, Ty::F32);
                    let p = layout.plain(f, to, to_row, to_at);
                    return f.store(x, p);
                }
                let code = layout.load_code(f, from, row, at);
                layout.store_code(f, to, to_row, to_at, code);
                for n in 0..if layout.symmetric { 1 } else { 2 } {
                    let p = layout.parameter_at(f, from, n, row, at);
                    let x = f.load(p, Ty::F32);
                    let p = layout.parameter_at(f, to, n, to_row, to_at);
                    f.store(x, p);
                }
            });
        }
    }

    /// Codes rows that have just become entries, where entries are coded as they come.
    pub(super) fn code_new(&self, f: &mut Func, args: &Args, rows: NewRows) {
        let (low, high) = (f.add(rows.base, rows.first), f.add(rows.base, rows.end));
        for Coded { coding, layout } in self.all_coded() {
            if coding.until.is_some() {
                continue;
            }
            let target = self.target(args, &layout, rows.group);
            let (base, stride) = match layout.side {
                Side::Keys => (args.k, args.k_stride),
                Side::Values => (args.v, args.v_stride),
            };
            let base = row_at(f, base, rows.group, self.width(layout.side));
            self.code_slots(f, target, [low, high], |f, slot, channel| {
                let row = f.sub(slot, rows.base);
                let offset = f.mul(row, stride);
                let offset = f.add(offset, channel);
                let p = f.gep(base, offset, Scalar::F32);
                f.load(p, Ty::F32)
            });
        }
    }

    /// Adds `fn NAME_code(arguments…, group, row)`: codes what has come below the borders after a row.
    pub(super) fn add_coding(&self, module: &mut Module) {
        if !self.codes_later() {
            return;
        }
        let (mut function, args, own) = self.function("code", &[Ty::I64; 2]);
        let f = &mut function;
        let [group, row] = [own[0], own[1]];
        let (entries, one) = (self.load_word(f, args.words, group, Word::Entries), f.i64(1));
        let last = f.sub(entries, one);
        let numbers = Numbers::load(self, f, &args, row, group, last);
        for coded in self.coded_later() {
            self.code_later(f, &numbers, coded);
        }
        module.add(function);
    }

    /// Codes the keys or values that have come below their border.
    fn code_later(&self, f: &mut Func, numbers: &Numbers, Coded { coding, layout }: Coded<'_>) {
        let (args, group) = (&numbers.args, numbers.group);
        let (border, word) = (self.border(f, numbers, coding), Word::coded(layout.side));
        let coded = self.load_word(f, args.words, group, word);
        let more = f.cmp(Cmp::Gt, border, coded);
        f.if_then(more, |f| {
            if layout.chosen {
                self.choose_channels(f, args, group);
            }
            let target = self.target(args, &layout, group);
            let low = self.first_coded(f, args, group, coding.from, [coded, border]);
            self.code_slots(f, target, [low, border], |f, slot, place| {
                let channel = self.channel(f, args, &layout, group, place);
                let p = match layout.side {
                    Side::Keys => self.key_at(f, args, group, slot, channel),
                    Side::Values => self.value_at(f, args, group, slot, channel),
                };
                f.load(p, Ty::F32)
            });
            let p = self.word(f, args.words, group, word);
            f.store(border, p);
        });
    }

    /// The first slot from `low` on and before `high` that is coded, where entries of tokens before a position are not.
    fn first_coded(&self, f: &mut Func, args: &Args, group: Val, from: usize, [low, high]: [Val; 2]) -> Val {
        if from == 0 {
            return low;
        }
        let from = f.i64(from as i64);
        let end = f.min(from, high);
        let end = f.max(end, low);
        if !self.evicts() {
            return end;
        }
        self.exact_before(f, args, group, [low, end, from])
    }

    fn target<'l>(&self, args: &Args, layout: &'l CodeLayout, head: Val) -> Target<'l> {
        Target {
            layout,
            pages: args.codes(layout.side),
            head,
        }
    }

    /// Pointer to a number of a key that is kept as it is.
    pub(super) fn key_at(&self, f: &mut Func, args: &Args, group: Val, slot: Val, channel: Val) -> Val {
        let (size, elem) = (f.i64(PAGE as i64), self.attend.elem());
        let (page, column) = (f.udiv(slot, size), f.urem(slot, size));
        let page = self.attend.head_page(f, args.keys, page, group, self.attend.key_dim);
        let row = numbers_at(f, page, channel, PAGE, elem);
        f.gep(row, column, elem)
    }

    /// Pointer to a number of a value that is kept as it is.
    pub(super) fn value_at(&self, f: &mut Func, args: &Args, group: Val, slot: Val, channel: Val) -> Val {
        let size = f.i64(PAGE as i64);
        let (page, slot) = (f.udiv(slot, size), f.urem(slot, size));
        let page = self
            .attend
            .head_page(f, args.values, page, group, self.attend.value_width());
        let panels = self.attend.panels();
        let (number, column) = (f.udiv(channel, size), f.urem(channel, size));
        let panel = numbers_at(f, page, number, PAGE * PAGE, self.attend.elem());
        let (whole, last) = (
            f.i64(PAGE as i64),
            f.i64(panels.last().map_or(PAGE, |p| p.width) as i64),
        );
        let count = f.i64(panels.len() as i64 - 1);
        let is_last = f.cmp(Cmp::Eq, number, count);
        let width = f.select(is_last, last, whole);
        let offset = f.mul(slot, width);
        let offset = f.add(offset, column);
        f.gep(panel, offset, self.attend.elem())
    }

    /// Codes entries of consecutive slots; `number` gives the number of a slot and of a stored channel.
    fn code_slots(
        &self,
        f: &mut Func,
        target: Target<'_>,
        [low, high]: [Val; 2],
        number: impl Fn(&mut Func, Val, Val) -> Val,
    ) {
        let layout = target.layout;
        let (zero, one, channels) = (f.i64(0), f.i64(1), f.i64(layout.channels as i64));
        let (tokens, step) = match layout.along {
            Along::Tokens => (layout.group as i64, 1),
            Along::Channels => (1, layout.group as i64),
        };
        f.for_each(low, high, tokens, |f, slot| {
            f.for_each(zero, channels, step, |f, channel| {
                let (slots, width) = (f.i64(tokens), f.i64(step));
                let (last, behind) = (f.add(slot, slots), f.add(channel, width));
                let group = Group {
                    slots: [slot, last],
                    channels: [channel, f.min(behind, channels)],
                };
                self.code_group(f, target, group, one, &number);
            });
        });
    }

    fn code_group(
        &self,
        f: &mut Func,
        target: Target<'_>,
        group: Group,
        one: Val,
        number: &impl Fn(&mut Func, Val, Val) -> Val,
    ) {
        let layout = target.layout;
        let size = f.i64(PAGE as i64);
        let page_number = f.udiv(group.slots[0], size);
        let page = self.codes_of_page(f, target.pages, layout, target.head, page_number);
        let start = f.mul(page_number, size);
        let place = |f: &mut Func, slot: Val, channel: Val| {
            let slot = f.sub(slot, start);
            match layout.side {
                Side::Keys => (channel, slot),
                Side::Values => (slot, channel),
            }
        };
        if layout.bits == 32 {
            each_of(f, group, one, &[], |f, slot, channel, _| {
                let x = number(f, slot, channel);
                let (row, at) = place(f, slot, channel);
                let p = layout.plain(f, page, row, at);
                f.store(x, p);
                Vec::new()
            });
            return;
        }
        let (inf, negative) = (f.f32(f32::INFINITY), f.f32(f32::NEG_INFINITY));
        let ends = each_of(f, group, one, &[inf, negative], |f, slot, channel, ends| {
            let x = number(f, slot, channel);
            if layout.symmetric {
                let x = f.unary(Unary::Abs, x);
                return vec![ends[0], f.max(x, ends[1])];
            }
            vec![f.min(x, ends[0]), f.max(x, ends[1])]
        });
        let (row, at) = place(f, group.slots[0], group.channels[0]);
        let (low, span, codes) = if layout.symmetric {
            (f.f32(0.0), ends[1], layout.zero())
        } else {
            (ends[0], f.sub(ends[1], ends[0]), ((1_u64 << layout.bits) - 1) as f32)
        };
        let most = f.f32(codes);
        let step = f.div(span, most);
        let p = layout.parameter_at(f, page, 0, row, at);
        f.store(step, p);
        if !layout.symmetric {
            let p = layout.parameter_at(f, page, 1, row, at);
            f.store(low, p);
        }
        let none = f.f32(0.0);
        let flat = f.cmp(Cmp::Eq, step, none);
        each_of(f, group, one, &[], |f, slot, channel, _| {
            let x = number(f, slot, channel);
            let x = f.sub(x, low);
            let code = f.div(x, step);
            let code = f.unary(Unary::RoundEven, code);
            let code = f.select(flat, none, code);
            let code = if layout.symmetric {
                let zero = f.f32(layout.zero());
                f.add(code, zero)
            } else {
                code
            };
            let code = f.convert(Cast::FloatToSigned, code, Scalar::I64);
            let (row, at) = place(f, slot, channel);
            layout.store_code(f, page, row, at, code);
            Vec::new()
        });
    }

    /// One head's part of a page of codes.
    pub(super) fn codes_of_page(&self, f: &mut Func, pages: Val, layout: &CodeLayout, head: Val, page: Val) -> Val {
        let page = page_at(f, pages, page);
        let bytes = f.i64(layout.head_bytes() as i64);
        let offset = f.mul(head, bytes);
        f.gep(page, offset, Scalar::I8)
    }
}

/// Code for each number of a group, with carried values.
fn each_of(
    f: &mut Func,
    group: Group,
    one: Val,
    init: &[Val],
    body: impl FnOnce(&mut Func, Val, Val, &[Val]) -> Vec<Val>,
) -> Vec<Val> {
    f.for_loop(group.slots[0]..group.slots[1], one, init, |f, slot, carried| {
        f.for_loop(
            group.channels[0]..group.channels[1],
            one,
            carried,
            |f, channel, carried| body(f, slot, channel, carried),
        )
    })
}
