//! How coded keys and values of a page lie in memory.

use super::{super::layout::PAGE, Governed};
use crate::kernel::{Cast, Func, Scalar, Ty, Val};
use seqc_ir::policy::{Along, Coding};

/// Keys or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Rows are channels, their numbers those of entries.
    Keys,
    /// Rows are entries, their numbers those of channels.
    Values,
}

/// Coded numbers of one head and page: rows of codes, then the steps of groups, then their least values.
///
/// A row of less than 8 bits a number has `row_bytes` bytes: number `x` is in byte `x % row_bytes`, in bits `x / row_bytes * bits` and up.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeLayout {
    pub(super) side: Side,
    /// Channels that are stored.
    pub(super) channels: usize,
    /// They are some of all, a list for each head.
    pub(super) chosen: bool,
    pub(super) bits: usize,
    pub(super) group: usize,
    pub(super) along: Along,
    pub(super) symmetric: bool,
}

/// Keys or values that are coded.
#[derive(Clone, Copy)]
pub(super) struct Coded<'a> {
    pub(super) coding: &'a Coding,
    pub(super) layout: CodeLayout,
}

/// Consecutive numbers of a row.
#[derive(Clone, Copy)]
pub(super) struct Vector {
    pub(super) page: Val,
    pub(super) row: Val,
    pub(super) start: usize,
    pub(super) width: u32,
}

impl Governed<'_> {
    pub(super) fn coding(&self, side: Side) -> Option<&Coding> {
        match side {
            Side::Keys => self.policy.keys.as_ref(),
            Side::Values => self.policy.values.as_ref(),
        }
    }

    /// Whether some entries are kept as they are.
    pub(super) fn kept(&self, side: Side) -> bool {
        self.coding(side).is_none_or(|coding| coding.until.is_some())
    }

    /// Channels of a key or value.
    pub(super) fn width(&self, side: Side) -> usize {
        match side {
            Side::Keys => self.attend.key_dim,
            Side::Values => self.attend.value_dim,
        }
    }

    /// How one side is coded, where it is.
    pub(super) fn coded(&self, side: Side) -> Option<Coded<'_>> {
        let coding = self.coding(side)?;
        let layout = CodeLayout::new(side, coding, self.width(side));
        Some(Coded { coding, layout })
    }

    /// How keys and values are coded, as far as they are.
    pub(super) fn all_coded(&self) -> impl Iterator<Item = Coded<'_>> {
        [Side::Keys, Side::Values]
            .into_iter()
            .filter_map(|side| self.coded(side))
    }

    /// Those whose entries are coded some time after they came.
    pub(super) fn coded_later(&self) -> impl Iterator<Item = Coded<'_>> {
        self.all_coded().filter(|coded| coded.coding.until.is_some())
    }
}

impl CodeLayout {
    fn new(side: Side, coding: &Coding, width: usize) -> CodeLayout {
        CodeLayout {
            side,
            channels: coding.channels.as_ref().map_or(width, |c| c.count),
            chosen: coding.channels.is_some(),
            bits: coding.bits,
            group: coding.group,
            along: coding.along,
            symmetric: coding.symmetric,
        }
    }

    /// Numbers of a row, with padding.
    fn row(&self) -> usize {
        match self.side {
            Side::Keys => PAGE,
            Side::Values => self.channels.next_multiple_of(16),
        }
    }

    fn rows(&self) -> usize {
        match self.side {
            Side::Keys => self.channels,
            Side::Values => PAGE,
        }
    }

    fn row_bytes(&self) -> usize {
        self.row() * self.bits / 8
    }

    /// Whether the numbers of a group lie in one row.
    fn in_rows(&self) -> bool {
        (self.side == Side::Keys) == (self.along == Along::Tokens)
    }

    /// Groups of the page; none where numbers are stored as they are.
    fn groups(&self) -> usize {
        match (self.bits, self.in_rows()) {
            (32, _) => 0,
            (_, true) => self.rows() * self.row().div_ceil(self.group),
            (_, false) => self.rows().div_ceil(self.group) * self.row(),
        }
    }

    fn steps(&self) -> usize {
        (self.rows() * self.row_bytes()).next_multiple_of(4)
    }

    /// Bytes of one head's part of a page.
    pub(super) fn head_bytes(&self) -> usize {
        self.steps() + self.groups() * if self.symmetric { 4 } else { 8 }
    }

    /// Lanes of a vector that is read at once.
    pub(super) fn vector(&self, lanes: u32) -> u32 {
        let mut width = lanes as usize;
        let fits = |width: usize| {
            (self.bits >= 8 || self.row_bytes().is_multiple_of(width))
                && (self.bits == 32 || !self.in_rows() || self.group.is_multiple_of(width))
        };
        while width > 1 && !fits(width) {
            width /= 2;
        }
        width as u32
    }

    /// The numbers of a vector.
    pub(super) fn read(&self, f: &mut Func, at: Vector) -> Val {
        let Vector {
            page,
            row,
            start,
            width,
        } = at;
        let codes = self.row_at(f, page, row);
        let ty = Ty::V(width, Scalar::F32);
        if self.bits == 32 {
            let start = f.i64(start as i64);
            let p = f.gep(codes, start, Scalar::F32);
            return f.load(p, ty);
        }
        let units = self.row_bytes();
        let (byte, shift) = if self.bits == 8 {
            (start, 0)
        } else {
            (start % units, start / units * self.bits)
        };
        let byte = f.i64(byte as i64);
        let p = f.gep(codes, byte, Scalar::I8);
        let codes = f.load(p, Ty::V(width, Scalar::I8));
        let codes = f.convert(Cast::ZeroExtend, codes, Scalar::I32);
        let (shift, mask) = (f.int(codes.ty, shift as i64), f.int(codes.ty, (1 << self.bits) - 1));
        let codes = f.shr(codes, shift);
        let codes = f.and(codes, mask);
        let codes = f.convert(Cast::SignedToFloat, codes, Scalar::F32);
        let step = self.parameter(f, at, 0);
        if self.symmetric {
            let zero = f.float(ty, self.zero());
            let codes = f.sub(codes, zero);
            return f.mul(codes, step);
        }
        let low = self.parameter(f, at, 1);
        f.fma(codes, step, low)
    }

    /// The code of 0 where codes are signed.
    pub(super) fn zero(&self) -> f32 {
        ((1_u64 << (self.bits - 1)) - 1) as f32
    }

    /// Steps (0) or least values (1) of the numbers of a vector.
    fn parameter(&self, f: &mut Func, at: Vector, n: usize) -> Val {
        let start = f.i64(at.start as i64);
        let p = self.parameter_at(f, at.page, n, at.row, start);
        if self.in_rows() {
            let one = f.load(p, Ty::F32);
            return f.splat(one, at.width);
        }
        f.load(p, Ty::V(at.width, Scalar::F32))
    }

    /// Pointer to the step (0) or least value (1) of the group of a number.
    pub(super) fn parameter_at(&self, f: &mut Func, page: Val, n: usize, row: Val, number: Val) -> Val {
        let first = f.i64((self.steps() + 4 * n * self.groups()) as i64);
        let base = f.gep(page, first, Scalar::I8);
        let group = f.i64(self.group as i64);
        let index = if self.in_rows() {
            let (count, at) = (f.i64(self.row().div_ceil(self.group) as i64), f.udiv(number, group));
            let index = f.mul(row, count);
            f.add(index, at)
        } else {
            let (width, at) = (f.i64(self.row() as i64), f.udiv(row, group));
            let index = f.mul(at, width);
            f.add(index, number)
        };
        f.gep(base, index, Scalar::F32)
    }

    /// Pointer to the codes of a row.
    fn row_at(&self, f: &mut Func, page: Val, row: Val) -> Val {
        let bytes = f.i64(self.row_bytes() as i64);
        let offset = f.mul(row, bytes);
        f.gep(page, offset, Scalar::I8)
    }

    /// The code of a number, an i64.
    pub(super) fn load_code(&self, f: &mut Func, page: Val, row: Val, number: Val) -> Val {
        let (p, shift) = self.place(f, page, row, number);
        let byte = f.load(p, Ty::S(Scalar::I8));
        let byte = f.convert(Cast::ZeroExtend, byte, Scalar::I64);
        let code = f.shr(byte, shift);
        let mask = f.i64((1 << self.bits) - 1);
        f.and(code, mask)
    }

    /// Stores the code of a number, an i64.
    pub(super) fn store_code(&self, f: &mut Func, page: Val, row: Val, number: Val, code: Val) {
        let (p, shift) = self.place(f, page, row, number);
        let code = if self.bits == 8 {
            code
        } else {
            let byte = f.load(p, Ty::S(Scalar::I8));
            let byte = f.convert(Cast::ZeroExtend, byte, Scalar::I64);
            let (mask, all) = (f.i64((1 << self.bits) - 1), f.i64(-1));
            let mask = f.shl(mask, shift);
            let others = f.xor(mask, all);
            let byte = f.and(byte, others);
            let code = f.shl(code, shift);
            f.or(byte, code)
        };
        let code = f.convert(Cast::Truncate, code, Scalar::I8);
        f.store(code, p);
    }

    /// Pointer to a number that is stored as it is.
    pub(super) fn plain(&self, f: &mut Func, page: Val, row: Val, number: Val) -> Val {
        let row = self.row_at(f, page, row);
        f.gep(row, number, Scalar::F32)
    }

    /// The byte of a number's code, and the place of its lowest bit.
    fn place(&self, f: &mut Func, page: Val, row: Val, number: Val) -> (Val, Val) {
        let row = self.row_at(f, page, row);
        if self.bits == 8 {
            let zero = f.i64(0);
            return (f.gep(row, number, Scalar::I8), zero);
        }
        let (units, bits) = (f.i64(self.row_bytes() as i64), f.i64(self.bits as i64));
        let (byte, part) = (f.urem(number, units), f.udiv(number, units));
        (f.gep(row, byte, Scalar::I8), f.mul(part, bits))
    }
}
