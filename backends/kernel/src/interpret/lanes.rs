//! Instructions that only compute: arithmetic, conversions, and moving lanes.

use super::{
    run::Run,
    scalar::{self, float, word},
};
use crate::{Binary, Inst, Intrinsic, Reduction, Val};
use seqc_formats::nearest_bf16;

impl Run<'_, '_, '_> {
    /// Sets each lane to a function of the same lane of another value.
    fn each(&mut self, out: Val, a: Val, lane: impl Fn(u64) -> u64) {
        let (to, from) = (self.place(out), self.place(a));
        for l in 0..out.ty.lanes() as usize {
            self.words[to + l] = lane(self.words[from + l]);
        }
    }

    /// An instruction without blocks.
    pub(super) fn plain(&mut self, inst: &Inst) -> Result<(), String> {
        match inst {
            Inst::Unary { op, out, a } => self.each(*out, *a, |a| scalar::unary(*op, a)),
            Inst::Binary { op, out, a, b } => return self.binary(*op, *out, *a, *b),
            Inst::Fma { out, a, b, c, .. } => self.fma(*out, *a, *b, *c),
            Inst::Compare { cmp, out, a, b } => {
                let (scalar, to, from, other) = (a.ty.scalar(), self.place(*out), self.place(*a), self.place(*b));
                for l in 0..out.ty.lanes() as usize {
                    self.words[to + l] = scalar::compare(*cmp, scalar, self.words[from + l], self.words[other + l]);
                }
            }
            Inst::Select { out, cond, a, b } => {
                let each = cond.ty.lanes() > 1;
                self.set(*out, |r, l| {
                    let holds = r.lane(*cond, if each { l } else { 0 }) & 1 == 1;
                    r.lane(if holds { *a } else { *b }, l)
                });
            }
            Inst::Cast { op, out, a } => {
                let (from, to) = (a.ty.scalar(), out.ty.scalar());
                self.each(*out, *a, |a| scalar::cast(*op, from, to, a));
            }
            Inst::Bitcast { out, a } => self.bitcast(*out, *a),
            Inst::Splat { out, a } => {
                let word = self.scalar(*a);
                self.set(*out, |_, _| word);
            }
            Inst::Extract { out, a, at } => {
                let at = self.picked(*a, *at)?;
                self.set(*out, |r, _| r.lane(*a, at));
            }
            Inst::Insert { out, a, at, scalar } => {
                let at = self.picked(*a, *at)?;
                self.set(*out, |r, l| if l == at { r.scalar(*scalar) } else { r.lane(*a, l) });
            }
            Inst::Shuffle { out, a, b, lanes } => {
                let n = a.ty.lanes() as usize;
                self.set(*out, |r, l| match lanes[l] as usize {
                    from if from < n => r.lane(*a, from),
                    from => r.lane(*b, from - n),
                });
            }
            Inst::Reduce { op, out, a } => {
                let sum = self.reduce(*op, *a)?;
                self.set(*out, |_, _| sum);
            }
            Inst::Intrinsic { op, out, args } => self.intrinsic(*op, *out, args),
            Inst::Offset { .. }
            | Inst::Address { .. }
            | Inst::Stack { .. }
            | Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::MaskedLoad { .. }
            | Inst::MaskedStore { .. }
            | Inst::Gather { .. }
            | Inst::Scatter { .. }
            | Inst::Prefetch { .. } => return self.access(inst),
            Inst::LoadMatrices { .. } | Inst::CopyAsync { .. } | Inst::CommitCopies | Inst::WaitCopies { .. } => {
                return self.shared(inst);
            }
            Inst::Const { .. }
            | Inst::For(_)
            | Inst::If(_)
            | Inst::Call { .. }
            | Inst::CallPointer { .. }
            | Inst::Return(_) => return Err("is not computed here".to_owned()),
        }
        Ok(())
    }

    fn binary(&mut self, op: Binary, out: Val, a: Val, b: Val) -> Result<(), String> {
        let (scalar, to, from, other) = (a.ty.scalar(), self.place(out), self.place(a), self.place(b));
        for l in 0..out.ty.lanes() as usize {
            self.words[to + l] = scalar::binary(op, scalar, self.words[from + l], self.words[other + l])?;
        }
        Ok(())
    }

    fn fma(&mut self, out: Val, a: Val, b: Val, c: Val) {
        let (to, a, b, c) = (self.place(out), self.place(a), self.place(b), self.place(c));
        for l in 0..out.ty.lanes() as usize {
            let (x, y, z) = (self.words[a + l], self.words[b + l], self.words[c + l]);
            self.words[to + l] = word(float(x).mul_add(float(y), float(z)));
        }
    }

    /// A lane by its number.
    fn picked(&self, a: Val, at: Val) -> Result<usize, String> {
        let (at, lanes) = (self.integer(at, 0), a.ty.lanes());
        let lane = usize::try_from(at).ok().filter(|l| *l < lanes as usize);
        lane.ok_or_else(|| format!("lane {at} of {lanes}"))
    }

    /// Bits of all lanes, the first lowest, cut into lanes of another size.
    fn bitcast(&mut self, out: Val, a: Val) {
        let (from, to) = (a.ty.scalar().bytes() as usize, out.ty.scalar().bytes() as usize);
        if from == to {
            return self.each(out, a, |word| word);
        }
        let words = self.lanes(a).iter();
        let bytes: Vec<u8> = words.flat_map(|w| w.to_le_bytes().into_iter().take(from)).collect();
        self.set(out, |_, l| {
            let lane = &bytes[l * to..(l + 1) * to];
            lane.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
        });
    }

    /// Halves are combined until one lane is left.
    fn reduce(&self, op: Reduction, a: Val) -> Result<u64, String> {
        let op = match op {
            Reduction::Add => Binary::Add,
            Reduction::Mul => Binary::Mul,
            Reduction::MaxNumber => Binary::MaxNumber,
            Reduction::MinNumber => Binary::MinNumber,
        };
        let (scalar, mut words) = (a.ty.scalar(), self.lanes(a).to_vec());
        while words.len() > 1 {
            let upper = words.split_off(words.len().div_ceil(2));
            for (low, high) in words.iter_mut().zip(upper) {
                *low = scalar::binary(op, scalar, *low, high)?;
            }
        }
        Ok(words[0])
    }

    fn intrinsic(&mut self, op: Intrinsic, out: Val, args: &[Val]) {
        match op {
            Intrinsic::Permute => self.set(out, |r, l| r.lane(args[0], r.lane(args[1], l) as usize & 15)),
            Intrinsic::SwizzleBytes => self.set(out, |r, l| match r.lane(args[1], l) as usize {
                place @ 0..16 => r.lane(args[0], place),
                _ => 0,
            }),
            Intrinsic::PermuteBytes => {
                self.set(out, |r, l| r.lane(args[0], l & !15 | r.lane(args[1], l) as usize & 15))
            }
            Intrinsic::ScaleByPower => {
                let mask = self.scalar(args[3]);
                self.set(out, |r, l| match mask >> l & 1 {
                    1 => word(scalar::scale_by_power(
                        float(r.lane(args[0], l)),
                        float(r.lane(args[1], l)),
                    )),
                    _ => r.lane(args[2], l),
                });
            }
            Intrinsic::DotBytes => self.set(out, |r, l| {
                let byte = |v: Val, at: usize| i32::from(r.lane(v, at) as u8 as i8);
                let products = (4 * l..4 * l + 4).map(|at| byte(args[1], at) * byte(args[2], at));
                let sum = products.fold(r.lane(args[0], l) as u32 as i32, i32::wrapping_add);
                u64::from(sum as u32)
            }),
            Intrinsic::DotUnsignedBytes => self.set(out, |r, l| {
                let products = (4 * l..4 * l + 4).map(|at| {
                    let (a, b) = (r.lane(args[1], at) as u8, r.lane(args[2], at) as u8 as i8);
                    i32::from(a) * i32::from(b)
                });
                let sum = products.fold(r.lane(args[0], l) as u32 as i32, i32::wrapping_add);
                u64::from(sum as u32)
            }),
            Intrinsic::DotUnsignedPairs => self.set(out, |r, l| {
                let products = (2 * l..2 * l + 2).map(|at| {
                    let (a, b) = (r.lane(args[1], at) as u8, r.lane(args[2], at) as u8 as i8);
                    i32::from(a) * i32::from(b)
                });
                let pair: i32 = products.sum();
                let pair = pair.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                let sum = (r.lane(args[0], l) as u16 as i16).wrapping_add(pair);
                u64::from(sum as u16)
            }),
            Intrinsic::TakeSign => self.set(out, |r, l| {
                let [a, b] = [args[0], args[1]].map(|v| r.lane(v, l) as u8 as i8);
                let signed = match b.signum() {
                    -1 => a.wrapping_neg(),
                    0 => 0,
                    _ => a,
                };
                u64::from(signed as u8)
            }),
            Intrinsic::DotBf16 => self.set(out, |r, l| {
                let number = |v: Val, at: usize| f32::from_bits((r.lane(v, at) as u32) << 16);
                let products = (2 * l..2 * l + 2).map(|at| number(args[1], at) * number(args[2], at));
                word(products.fold(float(r.lane(args[0], l)), |sum, product| sum + product))
            }),
            Intrinsic::RoundPairs => self.set(out, |r, l| {
                let half = |v: Val| u64::from(nearest_bf16(float(r.lane(v, l))));
                half(args[0]) | half(args[1]) << 16
            }),
            Intrinsic::MatrixBf16 => self.set(out, |r, l| {
                // As the instruction says which lanes have an entry.
                let lane = |n: usize, i: usize, j: usize| 32 * n + 4 * i + j;
                let entry =
                    |v: Val, lane: usize, k: usize| f32::from_bits((r.lane(v, lane) as u32 >> (16 * (k % 2))) << 16);
                let (n, i, j) = (l / 32, l % 32 / 4, l % 4);
                let (row, column) = (i + 8 * (n / 2), 2 * j + n % 2);
                let products = (0..16).map(|k| {
                    let a = lane(row / 8 + 2 * (k / 8), row % 8, k % 8 / 2);
                    let b = lane(k / 8, column, k % 8 / 2);
                    entry(args[1], a, k) * entry(args[2], b, k)
                });
                word(products.fold(float(r.lane(args[0], l)), |sum, product| sum + product))
            }),
            Intrinsic::DotWords => self.set(out, |r, l| {
                let word = |v: Val, at: usize| i32::from(r.lane(v, at) as u16 as i16);
                let products = (2 * l..2 * l + 2).map(|at| word(args[1], at) * word(args[2], at));
                let sum = products.fold(r.lane(args[0], l) as u32 as i32, i32::wrapping_add);
                u64::from(sum as u32)
            }),
        }
    }
}
