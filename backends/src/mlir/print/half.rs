//! Conversions between IEEE halves and `f32` in integer arithmetic, as MLIR text: for processors that have no instruction for them, where
//! LLVM would call a function for each lane.

use super::types::Type;
use crate::kernel::{Scalar, Ty, Val};
use std::fmt::{self, Write};

/// Lines of one conversion, whose values are named after its result.
struct Lines<'a> {
    o: &'a mut String,
    out: Val,
    next: u32,
}

impl Lines<'_> {
    /// A line `%name = text`; gives the name.
    fn line(&mut self, text: fmt::Arguments<'_>) -> Result<String, fmt::Error> {
        let name = format!("%h{}_{}", self.out.to_string().trim_start_matches('%'), self.next);
        self.next += 1;
        writeln!(self.o, "{name} = {text}")?;
        Ok(name)
    }

    fn of(&self, scalar: Scalar) -> Type {
        Type(self.out.ty.with(scalar))
    }

    /// An integer of 32 bits, in all lanes.
    fn int(&mut self, value: u32) -> Result<String, fmt::Error> {
        let (ty, value) = (self.of(Scalar::I32), value as i32);
        match self.out.ty {
            Ty::V(..) => self.line(format_args!("arith.constant dense<{value}> : {ty}")),
            _ => self.line(format_args!("arith.constant {value} : {ty}")),
        }
    }

    /// `a op value` of integers of 32 bits.
    fn with(&mut self, op: &str, a: &str, value: u32) -> Result<String, fmt::Error> {
        let (value, ty) = (self.int(value)?, self.of(Scalar::I32));
        self.line(format_args!("arith.{op} {a}, {value} : {ty}"))
    }

    fn both(&mut self, op: &str, a: &str, b: &str) -> Result<String, fmt::Error> {
        let ty = self.of(Scalar::I32);
        self.line(format_args!("arith.{op} {a}, {b} : {ty}"))
    }

    fn cast(&mut self, op: &str, a: &str, from: Scalar, to: Scalar) -> Result<String, fmt::Error> {
        let (from, to) = (self.of(from), self.of(to));
        self.line(format_args!("{op} {a} : {from} to {to}"))
    }

    /// The bits of `a op value` of reals that are given by their bits.
    fn with_real(&mut self, op: &str, a: &str, value: u32) -> Result<String, fmt::Error> {
        let a = self.cast("llvm.bitcast", a, Scalar::I32, Scalar::F32)?;
        let value = self.int(value)?;
        let value = self.cast("llvm.bitcast", &value, Scalar::I32, Scalar::F32)?;
        let ty = self.of(Scalar::F32);
        let found = self.line(format_args!("arith.{op} {a}, {value} : {ty}"))?;
        self.cast("llvm.bitcast", &found, Scalar::F32, Scalar::I32)
    }

    /// `a` where `cond` holds, else `b`.
    fn select(&mut self, cond: &str, a: &str, b: &str) -> Result<String, fmt::Error> {
        let (mask, ty) = (self.of(Scalar::I1), self.of(Scalar::I32));
        match self.out.ty {
            Ty::V(..) => self.line(format_args!("arith.select {cond}, {a}, {b} : {mask}, {ty}")),
            _ => self.line(format_args!("arith.select {cond}, {a}, {b} : {ty}")),
        }
    }
}

/// The `f32` of a half, or of each lane: its bits in place are the number times 2^-112.
pub(super) fn extend(o: &mut String, out: Val, a: Val) -> fmt::Result {
    let mut l = Lines { o, out, next: 0 };
    let bits = l.cast("llvm.bitcast", &a.to_string(), Scalar::F16, Scalar::I16)?;
    let bits = l.cast("arith.extui", &bits, Scalar::I16, Scalar::I32)?;
    let size = l.with("andi", &bits, 0x7fff)?;
    let sign = l.both("xori", &bits, &size)?;
    let sign = l.with("shli", &sign, 16)?;
    let placed = l.with("shli", &size, 13)?;
    let value = l.with_real("mulf", &placed, 0x7780_0000)?;
    // Infinity and what is no number keep the highest exponent.
    let odd = l.with("cmpi ugt,", &size, 0x7bff)?;
    let (highest, none) = (l.int(0x7f80_0000)?, l.int(0)?);
    let exponent = l.select(&odd, &highest, &none)?;
    let value = l.both("ori", &value, &exponent)?;
    let value = l.both("ori", &value, &sign)?;
    let (from, to) = (l.of(Scalar::I32), l.of(Scalar::F32));
    write!(o, "{out} = llvm.bitcast {value} : {from} to {to}")
}

/// The half nearest to an `f32`, ties to even, or to each lane.
pub(super) fn truncate(o: &mut String, out: Val, a: Val) -> fmt::Result {
    let mut l = Lines { o, out, next: 0 };
    let bits = l.cast("llvm.bitcast", &a.to_string(), Scalar::F32, Scalar::I32)?;
    let size = l.with("andi", &bits, 0x7fff_ffff)?;
    let sign = l.both("xori", &bits, &size)?;
    let sign = l.with("shrui", &sign, 16)?;
    // Normal halves: another bias, and a carry where the bits that are cut off say so.
    let odd = l.with("shrui", &size, 13)?;
    let odd = l.with("andi", &odd, 1)?;
    let normal = l.with("addi", &size, 0xc800_0fff)?;
    let normal = l.both("addi", &normal, &odd)?;
    let normal = l.with("shrui", &normal, 13)?;
    // Smaller ones: the sum with one half is rounded at the last bit of a half.
    let small = l.with_real("addf", &size, 0x3f00_0000)?;
    let small = l.with("subi", &small, 0x3f00_0000)?;
    let is_small = l.with("cmpi ult,", &size, 0x3880_0000)?;
    let found = l.select(&is_small, &small, &normal)?;
    let (infinity, none) = (l.int(0x7c00)?, l.int(0x7e00)?);
    let is_nan = l.with("cmpi ugt,", &size, 0x7f80_0000)?;
    let large = l.select(&is_nan, &none, &infinity)?;
    let is_large = l.with("cmpi ugt,", &size, 0x477f_ffff)?;
    let found = l.select(&is_large, &large, &found)?;
    let found = l.both("ori", &found, &sign)?;
    let found = l.cast("arith.trunci", &found, Scalar::I32, Scalar::I16)?;
    let (from, to) = (l.of(Scalar::I16), l.of(Scalar::F16));
    write!(o, "{out} = llvm.bitcast {found} : {from} to {to}")
}
