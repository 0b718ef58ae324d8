//! Operations of the kernel level by their names in MLIR's dialects.

use crate::kernel::{Binary, Cast, Cmp, Ty, Unary};

/// An operation on one value.
pub(super) fn unary(op: Unary) -> &'static str {
    match op {
        Unary::Neg => "arith.negf",
        Unary::Abs => "math.absf",
        Unary::Sqrt => "math.sqrt",
        Unary::Floor => "math.floor",
        Unary::Ceil => "math.ceil",
        Unary::RoundEven => "math.roundeven",
    }
}

/// An operation on two values of a type.
pub(super) fn binary(op: Binary, ty: Ty) -> &'static str {
    let float = ty.scalar().is_float();
    let either = |of_floats, of_integers| if float { of_floats } else { of_integers };
    match op {
        Binary::Add => either("arith.addf", "arith.addi"),
        Binary::Sub => either("arith.subf", "arith.subi"),
        Binary::Mul => either("arith.mulf", "arith.muli"),
        Binary::Div => either("arith.divf", "arith.divsi"),
        Binary::Rem => "arith.remsi",
        Binary::UnsignedDiv => "arith.divui",
        Binary::UnsignedRem => "arith.remui",
        Binary::MaxNumber => "arith.maxnumf",
        Binary::MinNumber => "arith.minnumf",
        Binary::CopySign => "math.copysign",
        Binary::And => "arith.andi",
        Binary::Or => "arith.ori",
        Binary::Xor => "arith.xori",
        Binary::Shl => "arith.shli",
        Binary::Shr => "arith.shrui",
        Binary::ShrSigned => "arith.shrsi",
    }
}

/// A conversion.
pub(super) fn cast(op: Cast) -> &'static str {
    match op {
        Cast::SignExtend => "arith.extsi",
        Cast::ZeroExtend => "arith.extui",
        Cast::Truncate => "arith.trunci",
        Cast::SignedToFloat => "arith.sitofp",
        Cast::UnsignedToFloat => "arith.uitofp",
        Cast::FloatToSigned => "arith.fptosi",
        Cast::FloatExtend => "arith.extf",
        Cast::FloatTruncate => "arith.truncf",
    }
}

/// A comparison, of floats or of integers, with its predicate.
pub(super) fn predicate(cmp: Cmp, float: bool) -> &'static str {
    match (cmp, float) {
        (Cmp::Lt, true) => "arith.cmpf olt",
        (Cmp::Le, true) => "arith.cmpf ole",
        (Cmp::Gt, true) => "arith.cmpf ogt",
        (Cmp::Ge, true) => "arith.cmpf oge",
        (Cmp::Eq, true) => "arith.cmpf oeq",
        (Cmp::Ne, true) => "arith.cmpf une",
        (Cmp::Lt, false) => "arith.cmpi slt",
        (Cmp::Le, false) => "arith.cmpi sle",
        (Cmp::Gt, false) => "arith.cmpi sgt",
        (Cmp::Ge, false) => "arith.cmpi sge",
        (Cmp::Eq, false) => "arith.cmpi eq",
        (Cmp::Ne, false) => "arith.cmpi ne",
    }
}
