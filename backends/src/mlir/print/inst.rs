//! Instructions as MLIR text, one line each.

use super::{
    half,
    reals::Reals,
    types::{List, Type},
};
use crate::{
    kernel::{Cache, Cast, Const, Inst, Intrinsic, Reduction, Scalar, Ty, Val},
    mlir::words::{binary, cast, predicate, unary},
};
use std::fmt::{self, Write};

/// Appends an instruction other than loops and branches, without its line's end.
pub(super) fn print(o: &mut String, inst: &Inst, reals: Reals) -> fmt::Result {
    match inst {
        Inst::Const { out, value } => constant(o, *out, value),
        Inst::Unary { op, out, a } => write!(o, "{out} = {} {a} : {}", unary(*op), Type(a.ty)),
        Inst::Binary { op, out, a, b } => write!(o, "{out} = {} {a}, {b} : {}", binary(*op, a.ty), Type(a.ty)),
        Inst::Fma { out, a, b, c, exact } => match reals {
            Reals::Complete => write!(o, "{out} = math.fma {a}, {b}, {c} : {}", Type(a.ty)),
            Reals::Plain if *exact => write!(o, "{out} = math.fma {a}, {b}, {c} : {}", Type(a.ty)),
            Reals::Plain => {
                let (product, ty) = (format!("%p{}", out.to_string().trim_start_matches('%')), Type(a.ty));
                write!(
                    o,
                    "{product} = arith.mulf {a}, {b} : {ty}\n{out} = arith.addf {product}, {c} : {ty}"
                )
            }
        },
        Inst::Compare { cmp, out, a, b } => {
            let predicate = predicate(*cmp, a.ty.scalar().is_float());
            write!(o, "{out} = {predicate}, {a}, {b} : {}", Type(a.ty))
        }
        Inst::Select { out, cond, a, b } => {
            write!(o, "{out} = arith.select {cond}, {a}, {b} : ")?;
            if matches!(cond.ty, Ty::V(..)) {
                write!(o, "{}, ", Type(cond.ty))?;
            }
            write!(o, "{}", Type(a.ty))
        }
        Inst::Cast { op, out, a } if is_half(*op, *out, *a) && matches!(reals, Reals::Plain) => match op {
            Cast::FloatExtend => half::extend(o, *out, *a),
            _ => half::truncate(o, *out, *a),
        },
        Inst::Cast { op, out, a } => write!(o, "{out} = {} {a} : {} to {}", cast(*op), Type(a.ty), Type(out.ty)),
        Inst::Bitcast { out, a } => write!(o, "{out} = llvm.bitcast {a} : {} to {}", Type(a.ty), Type(out.ty)),
        Inst::Splat { .. }
        | Inst::Extract { .. }
        | Inst::Insert { .. }
        | Inst::Shuffle { .. }
        | Inst::Reduce { .. }
        | Inst::Intrinsic { .. } => lanes(o, inst),
        Inst::Offset { .. }
        | Inst::Address { .. }
        | Inst::Stack { .. }
        | Inst::Load { .. }
        | Inst::Store { .. }
        | Inst::MaskedLoad { .. }
        | Inst::MaskedStore { .. }
        | Inst::Gather { .. }
        | Inst::Scatter { .. }
        | Inst::Prefetch { .. } => memory(o, inst),
        // Of devices, which have a printer of their own.
        Inst::LoadMatrices { .. } | Inst::CopyAsync { .. } | Inst::CommitCopies | Inst::WaitCopies { .. } => {
            debug_assert!(false, "{inst:?} has no meaning here");
            Ok(())
        }
        Inst::Call { out, callee, args } => call(o, *out, callee, args),
        Inst::CallPointer { callee, args } => {
            let types = List(args.iter().map(|a| Type(a.ty)));
            write!(
                o,
                "llvm.call {callee}({}) : !llvm.ptr, ({types}) -> ()",
                List(args.iter())
            )
        }
        Inst::Return(value) => write!(o, "llvm.return {value} : {}", Type(value.ty)),
        Inst::For(_) | Inst::If(_) => Ok(()),
    }
}

/// Whether it is a conversion between halves and `f32`.
fn is_half(op: Cast, out: Val, a: Val) -> bool {
    let ends = match op {
        Cast::FloatExtend => (a.ty.scalar(), out.ty.scalar()),
        Cast::FloatTruncate => (out.ty.scalar(), a.ty.scalar()),
        _ => return false,
    };
    ends == (Scalar::F16, Scalar::F32)
}

fn constant(o: &mut String, out: Val, value: &Const) -> fmt::Result {
    write!(o, "{out} = arith.constant ")?;
    let vector = matches!(out.ty, Ty::V(..));
    if vector {
        o.push_str("dense<");
    }
    match value {
        Const::Int(n) if out.ty.scalar() == crate::kernel::Scalar::I1 => write!(o, "{}", *n != 0),
        Const::Int(n) => write!(o, "{n}"),
        Const::Float(bits) => write!(o, "0x{bits:08X}"),
        Const::Zero => write!(o, "0.0"),
        Const::Ints(list) => write!(o, "[{}]", List(list.iter())),
        Const::Floats(list) => write!(o, "[{}]", List(list.iter().map(|bits| format!("0x{bits:08X}")))),
    }?;
    if vector {
        o.push('>');
    }
    // A lone truth value is written without its type.
    if out.ty == Ty::I1 {
        return Ok(());
    }
    write!(o, " : {}", Type(out.ty))
}

fn lanes(o: &mut String, inst: &Inst) -> fmt::Result {
    match inst {
        Inst::Splat { out, a } => write!(o, "{out} = vector.broadcast {a} : {} to {}", Type(a.ty), Type(out.ty)),
        Inst::Extract { out, a, at } => write!(o, "{out} = llvm.extractelement {a}[{at} : i64] : {}", Type(a.ty)),
        Inst::Insert { out, a, at, scalar } => {
            let ty = Type(a.ty);
            write!(o, "{out} = llvm.insertelement {scalar}, {a}[{at} : i64] : {ty}")
        }
        Inst::Shuffle { out, a, b, lanes } => {
            let (list, ty) = (List(lanes.iter()), Type(a.ty));
            write!(o, "{out} = llvm.shufflevector {a}, {b} [{list}] : {ty}")
        }
        Inst::Reduce { op, out, a } => {
            let (kind, reassociates) = match op {
                Reduction::Add => ("add", a.ty.scalar().is_float()),
                Reduction::Mul => ("mul", a.ty.scalar().is_float()),
                Reduction::MaxNumber => ("maxnumf", false),
                Reduction::MinNumber => ("minnumf", false),
            };
            let fast = if reassociates { " fastmath<reassoc>" } else { "" };
            let (from, to) = (Type(a.ty), Type(out.ty));
            write!(o, "{out} = vector.reduction <{kind}>, {a}{fast} : {from} into {to}")
        }
        Inst::Intrinsic { op, out, args } => {
            let name = match op {
                Intrinsic::Permute => "llvm.x86.avx512.permvar.sf.512",
                Intrinsic::PermuteBytes if out.ty.lanes() == 16 => "llvm.aarch64.neon.tbl1.v16i8",
                Intrinsic::PermuteBytes => "llvm.x86.avx2.pshuf.b",
                Intrinsic::SwizzleBytes => "llvm.wasm.swizzle",
                Intrinsic::ScaleByPower => "llvm.x86.avx512.mask.scalef.ps.512",
                Intrinsic::DotBytes => "llvm.aarch64.neon.sdot.v4i32.v16i8",
                Intrinsic::DotUnsignedBytes if out.ty.lanes() == 8 => "llvm.x86.avx512.vpdpbusd.256",
                Intrinsic::DotUnsignedBytes => "llvm.x86.avx512.vpdpbusd.512",
                Intrinsic::DotBf16 => "llvm.x86.avx512bf16.dpbf16ps.512",
                Intrinsic::TakeSign => "llvm.x86.avx2.psign.b",
                // Of devices, which have a printer of their own.
                Intrinsic::RoundPairs => "llvm.nvvm.ff2bf16x2.rn",
                Intrinsic::MatrixBf16 => "llvm.nvvm.mma.m16n8k16.row.col.bf16",
                // Products alone: they are added by themselves.
                Intrinsic::DotUnsignedPairs | Intrinsic::DotWords => return added(o, *op, *out, args),
            };
            let (list, types) = (List(args.iter()), List(args.iter().map(|a| Type(a.ty))));
            let ty = Type(out.ty);
            write!(o, "{out} = llvm.call_intrinsic \"{name}\"({list}) : ({types}) -> {ty}")
        }
        _ => Ok(()),
    }
}

/// Adds the products that an intrinsic computes.
fn added(o: &mut String, op: Intrinsic, out: Val, args: &[Val]) -> fmt::Result {
    let name = match (op, out.ty.lanes()) {
        (Intrinsic::DotWords, 4) => "llvm.wasm.dot",
        (Intrinsic::DotWords, 8) => "llvm.x86.avx2.pmadd.wd",
        (Intrinsic::DotWords, _) => "llvm.x86.avx512.pmaddw.d.512",
        (_, 16) => "llvm.x86.avx2.pmadd.ub.sw",
        _ => "llvm.x86.avx512.pmaddubs.w.512",
    };
    let (sums, a, b) = (args[0], args[1], args[2]);
    let (products, factors, ty) = (
        format!("%p{}", out.to_string().trim_start_matches('%')),
        Type(a.ty),
        Type(out.ty),
    );
    writeln!(
        o,
        "{products} = llvm.call_intrinsic \"{name}\"({a}, {b}) : ({factors}, {factors}) -> {ty}"
    )?;
    write!(o, "{out} = arith.addi {sums}, {products} : {ty}")
}

fn memory(o: &mut String, inst: &Inst) -> fmt::Result {
    match inst {
        Inst::Offset { out, base, index, elem } => {
            let (from, to, elem) = (Type(index.ty), Type(out.ty), Type(Ty::S(*elem)));
            write!(
                o,
                "{out} = llvm.getelementptr {base}[{index}] : (!llvm.ptr, {from}) -> {to}, {elem}"
            )
        }
        Inst::Address { out, global } => write!(o, "{out} = llvm.mlir.addressof @{global} : !llvm.ptr"),
        Inst::Stack { out, count, elem } => {
            let elem = Type(Ty::S(*elem));
            write!(o, "{out} = llvm.alloca {count} x {elem} : (i64) -> !llvm.ptr")
        }
        Inst::Load {
            out,
            ptr,
            align,
            volatile,
        } => {
            let (volatile, ty) = (if *volatile { "volatile " } else { "" }, Type(out.ty));
            write!(
                o,
                "{out} = llvm.load {volatile}{ptr} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"
            )
        }
        Inst::Store { value, ptr, align } => {
            let ty = Type(value.ty);
            write!(
                o,
                "llvm.store {value}, {ptr} {{alignment = {align} : i64}} : {ty}, !llvm.ptr"
            )
        }
        Inst::Prefetch { ptr, into } => {
            let hint = match into {
                Cache::First => 3,
                Cache::Second => 2,
            };
            write!(
                o,
                "\"llvm.intr.prefetch\"({ptr}) <{{cache = 1 : i32, hint = {hint} : i32, rw = 0 : i32}}> : (!llvm.ptr) -> ()"
            )
        }
        _ => masked(o, inst),
    }
}

fn masked(o: &mut String, inst: &Inst) -> fmt::Result {
    let align = |ty: Ty| format!("{{alignment = {} : i32}}", ty.scalar().bytes());
    match inst {
        Inst::MaskedLoad {
            out,
            ptr,
            mask,
            otherwise,
        } => {
            let (align, m, ty) = (align(out.ty), Type(mask.ty), Type(out.ty));
            write!(
                o,
                "{out} = llvm.intr.masked.load {ptr}, {mask}, {otherwise} {align} : (!llvm.ptr, {m}, {ty}) -> {ty}"
            )
        }
        Inst::MaskedStore { value, ptr, mask } => {
            let (align, m, ty) = (align(value.ty), Type(mask.ty), Type(value.ty));
            write!(
                o,
                "llvm.intr.masked.store {value}, {ptr}, {mask} {align} : {ty}, {m} into !llvm.ptr"
            )
        }
        Inst::Gather {
            out,
            ptrs,
            mask,
            otherwise,
        } => {
            let (align, p, m, ty) = (align(out.ty), Type(ptrs.ty), Type(mask.ty), Type(out.ty));
            write!(
                o,
                "{out} = llvm.intr.masked.gather {ptrs}, {mask}, {otherwise} {align} : ({p}, {m}, {ty}) -> {ty}"
            )
        }
        Inst::Scatter { value, ptrs, mask } => {
            let (align, p, m, ty) = (align(value.ty), Type(ptrs.ty), Type(mask.ty), Type(value.ty));
            write!(
                o,
                "llvm.intr.masked.scatter {value}, {ptrs}, {mask} {align} : {ty}, {m} into {p}"
            )
        }
        _ => Ok(()),
    }
}

fn call(o: &mut String, out: Option<Val>, callee: &str, args: &[Val]) -> fmt::Result {
    if let Some(out) = out {
        write!(o, "{out} = ")?;
    }
    let (list, types) = (List(args.iter()), List(args.iter().map(|a| Type(a.ty))));
    write!(o, "llvm.call @{callee}({list}) : ({types}) -> ")?;
    match out {
        Some(out) => write!(o, "{}", Type(out.ty)),
        None => write!(o, "()"),
    }
}
