//! What moves between lanes, and so between threads.

use super::{
    member::{THREADS, held, of_thread, parts},
    printer::{LANE, Printer},
};
use crate::kernel::{Inst, Intrinsic, Reduction, Scalar, Ty, Val};

/// Where the lanes of a part of a shuffle come from: a part of one operand.
#[derive(Clone, Copy, PartialEq, Eq)]
struct From {
    value: Val,
    part: usize,
}

impl Printer<'_> {
    pub(super) fn lanes(&mut self, inst: &Inst) {
        match inst {
            Inst::Splat { out, a } => {
                let names = vec![self.part(*a, 0); parts(out.ty)];
                self.set(*out, names);
            }
            Inst::Extract { out, a, at } => self.extract(*out, *a, *at),
            Inst::Insert { out, a, at, scalar } => {
                let (ty, at, scalar) = (of_thread(a.ty), self.part(*at, 0), self.part(*scalar, 0));
                self.each(*out, |p, n| {
                    let (lane, old) = (p.lane(a.ty.lanes(), n), p.part(*a, n));
                    let here = p.emit(format_args!("llvm.icmp \"eq\" {lane}, {at} : i64"));
                    p.emit(format_args!("arith.select {here}, {scalar}, {old} : {ty}"))
                });
            }
            Inst::Shuffle { out, a, b, lanes } => self.shuffle(*out, [*a, *b], lanes),
            Inst::Reduce { op, out, a } => self.reduce(*op, *out, *a),
            Inst::Intrinsic { op, out, args } => self.intrinsic(*op, *out, args),
            _ => {}
        }
    }

    fn intrinsic(&mut self, op: Intrinsic, out: Val, args: &[Val]) {
        match op {
            Intrinsic::RoundPairs => self.each(out, |p, n| {
                let (a, b) = (p.part(args[0], n), p.part(args[1], n));
                p.emit(format_args!("llvm.call @pairs({a}, {b}) : (f32, f32) -> i32"))
            }),
            Intrinsic::MatrixBf16 => {
                let names: Vec<String> = [args[1], args[2], args[0]]
                    .iter()
                    .flat_map(|v| self.names(*v))
                    .collect();
                let (words, sums) = (["i32"; 6].join(", "), ["f32"; 4].join(", "));
                let result = self.emit(format_args!(
                    "llvm.call @matrix({}) : ({words}, {sums}) -> !llvm.struct<({sums})>",
                    names.join(", ")
                ));
                self.each(out, |p, n| {
                    p.emit(format_args!("llvm.extractvalue {result}[{n}] : !llvm.struct<({sums})>"))
                });
            }
            // Instructions of other processors.
            _ => debug_assert!(false, "{op:?} has no meaning here"),
        }
    }

    fn extract(&mut self, out: Val, a: Val, at: Val) {
        let number = self.part(at, 0);
        let threads = self.int(i64::from(THREADS), "i64");
        let within = self.emit(format_args!("llvm.urem {number}, {threads} : i64"));
        let from = self.emit(format_args!("llvm.trunc {within} : i64 to i32"));
        if let Some(known) = self.constants.get(&at).copied() {
            let part = self.part(a, known as usize / THREADS as usize);
            let name = self.moved(&part, &from, a.ty);
            return self.set(out, vec![name]);
        }
        let which = self.emit(format_args!("llvm.udiv {number}, {threads} : i64"));
        let (ty, mut found) = (of_thread(a.ty), String::new());
        for (n, part) in self.names(a).into_iter().enumerate() {
            let name = self.moved(&part, &from, a.ty);
            if n == 0 {
                found = name;
                continue;
            }
            let n = self.int(n as i64, "i64");
            let here = self.emit(format_args!("llvm.icmp \"eq\" {which}, {n} : i64"));
            found = self.emit(format_args!("arith.select {here}, {name}, {found} : {ty}"));
        }
        self.set(out, vec![found]);
    }

    /// What thread `from` holds, in every thread.
    fn moved(&mut self, name: &str, from: &str, ty: Ty) -> String {
        let own = of_thread(ty);
        let word =
            |p: &mut Self, bits: &str| p.emit(format_args!("llvm.call @shuffle({bits}, {from}) : (i32, i32) -> i32"));
        if own == "!llvm.ptr" || ty.scalar() == Scalar::I64 {
            let wide = match own {
                "!llvm.ptr" => self.emit(format_args!("llvm.ptrtoint {name} : !llvm.ptr to i64")),
                _ => name.to_owned(),
            };
            let half = self.int(32, "i64");
            let low = self.emit(format_args!("llvm.trunc {wide} : i64 to i32"));
            let high = self.emit(format_args!("llvm.lshr {wide}, {half} : i64"));
            let high = self.emit(format_args!("llvm.trunc {high} : i64 to i32"));
            let [low, high] = [low, high].map(|bits| {
                let moved = word(self, &bits);
                self.emit(format_args!("llvm.zext {moved} : i32 to i64"))
            });
            let high = self.emit(format_args!("llvm.shl {high}, {half} : i64"));
            let wide = self.emit(format_args!("llvm.or {low}, {high} : i64"));
            return match own {
                "!llvm.ptr" => self.emit(format_args!("llvm.inttoptr {wide} : i64 to !llvm.ptr")),
                _ => wide,
            };
        }
        let integer = match ty.scalar() {
            Scalar::I1 => "i1",
            Scalar::I8 => "i8",
            Scalar::I16 | Scalar::F16 | Scalar::Bf16 => "i16",
            Scalar::I32 | Scalar::F32 | Scalar::I64 => "i32",
        };
        let bits = match own == integer {
            true => name.to_owned(),
            false => self.emit(format_args!("llvm.bitcast {name} : {own} to {integer}")),
        };
        let bits = match integer {
            "i32" => bits,
            _ => self.emit(format_args!("llvm.zext {bits} : {integer} to i32")),
        };
        let moved = word(self, &bits);
        let moved = match integer {
            "i32" => moved,
            _ => self.emit(format_args!("llvm.trunc {moved} : i32 to {integer}")),
        };
        match own == integer {
            true => moved,
            false => self.emit(format_args!("llvm.bitcast {moved} : {integer} to {own}")),
        }
    }

    /// Lanes of two vectors by number. Threads that hold a lane already keep it; others get it from the thread that does, one shuffle for each part
    /// that lanes come from.
    fn shuffle(&mut self, out: Val, operands: [Val; 2], numbers: &[u32]) {
        let (each, count) = (operands[0].ty.lanes(), numbers.len() as u32);
        let ty = of_thread(out.ty);
        let mut names = Vec::new();
        for n in 0..parts(out.ty) {
            let wanted = |t: u32| numbers[held(count, n, t) as usize];
            let source = |t: u32| {
                let (value, lane) = (operands[(wanted(t) / each) as usize], wanted(t) % each);
                let part = if each < THREADS { 0 } else { (lane / THREADS) as usize };
                (From { value, part }, lane)
            };
            let mut found: Option<String> = None;
            let mut seen: Vec<From> = Vec::new();
            for t in 0..THREADS {
                let (from, _) = source(t);
                if seen.contains(&from) {
                    continue;
                }
                seen.push(from);
                let members: Vec<u32> = (0..THREADS).filter(|t| source(*t).0 == from).collect();
                let name = self.part(from.value, from.part);
                let stays = members.iter().all(|t| held(each, from.part, *t) == source(*t).1);
                let name = if stays {
                    name
                } else {
                    let givers: Vec<i64> = (0..THREADS).map(|t| i64::from(source(t).1 % THREADS)).collect();
                    let giver = self.by_thread(&givers);
                    let giver = self.emit(format_args!("llvm.trunc {giver} : i64 to i32"));
                    self.moved(&name, &giver, from.value.ty)
                };
                found = Some(match found {
                    None => name,
                    Some(others) => {
                        let bits = members.iter().fold(0_u32, |bits, t| bits | 1 << t);
                        let bits = self.int(i64::from(bits as i32), "i32");
                        let own = self.emit(format_args!("llvm.lshr {bits}, {LANE} : i32"));
                        let here = self.emit(format_args!("llvm.trunc {own} : i32 to i1"));
                        self.emit(format_args!("arith.select {here}, {name}, {others} : {ty}"))
                    }
                });
            }
            names.push(found.unwrap_or_default());
        }
        self.set(out, names);
    }

    /// Parts first, then pairs of threads: a butterfly, after which all have the result.
    fn reduce(&mut self, op: Reduction, out: Val, a: Val) {
        let (ty, float) = (of_thread(a.ty), a.ty.scalar().is_float());
        debug_assert!(a.ty.lanes().is_power_of_two(), "{} lanes", a.ty.lanes());
        let name = match (op, float) {
            (Reduction::Add, true) => "arith.addf",
            (Reduction::Add, false) => "arith.addi",
            (Reduction::Mul, true) => "arith.mulf",
            (Reduction::Mul, false) => "arith.muli",
            (Reduction::MaxNumber, _) => "arith.maxnumf",
            (Reduction::MinNumber, _) => "arith.minnumf",
        };
        let mut of_parts = self.names(a).into_iter();
        let mut all = of_parts.next().unwrap_or_default();
        for part in of_parts {
            all = self.emit(format_args!("{name} {all}, {part} : {ty}"));
        }
        let mut distance = a.ty.lanes().min(THREADS) / 2;
        while distance > 0 {
            let by = self.int(i64::from(distance), "i32");
            let other = self.emit(format_args!("llvm.xor {LANE}, {by} : i32"));
            let theirs = self.moved(&all, &other, a.ty);
            all = self.emit(format_args!("{name} {all}, {theirs} : {ty}"));
            distance /= 2;
        }
        self.set(out, vec![all]);
    }
}
