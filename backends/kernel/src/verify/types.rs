//! Laws on types and names, one function for each family of instructions.

use super::checker::Checker;
use crate::{Binary, Cast, Const, For, If, Inst, Intrinsic, Reduction, Scalar, Space, Ty, Val};

/// Bits of a scalar.
fn bits(scalar: Scalar) -> i64 {
    if scalar == Scalar::I1 { 1 } else { 8 * scalar.bytes() }
}

fn is_vector(ty: Ty) -> bool {
    matches!(ty, Ty::V(..) | Ty::PtrV(..))
}

fn is_pointer(ty: Ty) -> bool {
    ty.space().is_some()
}

fn is_one_pointer(ty: Ty) -> bool {
    matches!(ty, Ty::Ptr(_))
}

fn is_float(ty: Ty) -> bool {
    !is_pointer(ty) && ty.scalar().is_float()
}

fn is_integer(ty: Ty) -> bool {
    !is_pointer(ty) && !ty.scalar().is_float()
}

/// Whether two types have as many lanes, and are both scalars or both vectors.
fn same_shape(a: Ty, b: Ty) -> bool {
    is_vector(a) == is_vector(b) && a.lanes() == b.lanes()
}

/// Whether a type is one truth value for each lane of another.
fn is_mask_of(mask: Ty, ty: Ty) -> bool {
    mask.scalar() == Scalar::I1 && !is_pointer(mask) && same_shape(mask, ty)
}

impl Checker<'_> {
    fn require(&mut self, holds: bool, law: u8, inst: &Inst, message: &str) {
        if !holds {
            self.report(law, Some(inst), message.to_owned());
        }
    }

    /// Laws 4 to 10, 13 and 14.
    pub(super) fn types(&mut self, inst: &Inst) {
        match inst {
            Inst::Const { out, value } => self.constant(inst, out.ty, value),
            Inst::Unary { out, a, .. } => {
                let fits = is_float(a.ty) && out.ty == a.ty;
                self.require(
                    fits,
                    5,
                    inst,
                    "the operand and the result are not of one type of floats",
                );
            }
            Inst::Binary { op, out, a, b } => {
                let one = a.ty == b.ty && out.ty == a.ty;
                self.require(one, 5, inst, "operands and result are not of one type");
                self.require(has(*op, a.ty), 5, inst, "the type has no such operation");
            }
            Inst::Fma { out, a, b, c, .. } => {
                let one = [b, c, out].iter().all(|v| v.ty == a.ty);
                self.require(
                    one && is_float(a.ty),
                    5,
                    inst,
                    "operands and result are not of one type of floats",
                );
            }
            Inst::Compare { out, a, b, .. } => {
                let one = a.ty == b.ty && !is_pointer(a.ty);
                self.require(one, 5, inst, "operands are not of one type of numbers");
                self.require(
                    is_mask_of(out.ty, a.ty),
                    6,
                    inst,
                    "the result is not a truth value for each lane",
                );
            }
            Inst::Select { out, cond, a, b } => {
                self.require(
                    a.ty == b.ty && out.ty == a.ty,
                    5,
                    inst,
                    "operands and result are not of one type",
                );
                let fits = cond.ty == Ty::I1 || is_mask_of(cond.ty, a.ty);
                self.require(
                    fits,
                    6,
                    inst,
                    "the condition is neither one truth value nor one for each lane",
                );
            }
            Inst::Cast { op, out, a } => {
                self.require(
                    casts(*op, a.ty, out.ty),
                    7,
                    inst,
                    "the conversion is not between these types",
                );
            }
            Inst::Bitcast { out, a } => {
                let size = |ty: Ty| bits(ty.scalar()) * i64::from(ty.lanes());
                let fits = size(a.ty) == size(out.ty) && is_pointer(a.ty) == is_pointer(out.ty);
                self.require(fits, 7, inst, "the types differ in size");
            }
            Inst::Splat { .. }
            | Inst::Extract { .. }
            | Inst::Insert { .. }
            | Inst::Shuffle { .. }
            | Inst::Reduce { .. }
            | Inst::Intrinsic { .. } => self.lanes(inst),
            Inst::MaskedLoad { .. } | Inst::MaskedStore { .. } | Inst::Gather { .. } | Inst::Scatter { .. } => {
                self.masked(inst);
            }
            Inst::Call { out, callee, args } => self.call(inst, *out, callee, args),
            Inst::Offset { .. }
            | Inst::Address { .. }
            | Inst::Stack { .. }
            | Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::Prefetch { .. }
            | Inst::CallPointer { .. } => self.memory(inst),
            Inst::LoadMatrices { .. } | Inst::CopyAsync { .. } => self.shared(inst),
            // They name nothing.
            Inst::CommitCopies | Inst::WaitCopies { .. } => {}
            // Laws 11, 12 and 15 are about blocks.
            Inst::For(_) | Inst::If(_) | Inst::Return(_) => {}
        }
    }

    /// Law 4.
    fn constant(&mut self, inst: &Inst, ty: Ty, value: &Const) {
        let scalar = ty.scalar();
        let low = -1_i128 << (bits(scalar) - 1);
        let range = if scalar == Scalar::I1 {
            0..=1
        } else {
            low..=(-2 * low - 1)
        };
        let inside = |n: &i64| range.contains(&i128::from(*n));
        let of_lanes = |n: usize| is_vector(ty) && n == ty.lanes() as usize;
        let fits = match value {
            Const::Int(n) => is_integer(ty) && inside(n),
            Const::Float(_) => is_float(ty) && scalar == Scalar::F32,
            Const::Zero => is_float(ty) && scalar != Scalar::F32,
            Const::Ints(list) => is_integer(ty) && of_lanes(list.len()) && list.iter().all(inside),
            Const::Floats(list) => scalar == Scalar::F32 && of_lanes(list.len()),
        };
        self.require(fits, 4, inst, "the constant is not of its type");
    }

    /// Law 8.
    fn lanes(&mut self, inst: &Inst) {
        let one = |scalar: Ty, vector: Ty| matches!((scalar, vector), (Ty::S(a), Ty::V(_, b)) if a == b);
        let fits = match inst {
            Inst::Splat { out, a } => one(a.ty, out.ty),
            Inst::Extract { out, a, at } => one(out.ty, a.ty) && at.ty == Ty::I64,
            Inst::Insert { out, a, at, scalar } => one(scalar.ty, a.ty) && out.ty == a.ty && at.ty == Ty::I64,
            Inst::Shuffle { out, a, b, lanes } => {
                let exist = lanes.iter().all(|lane| *lane < a.ty.lanes() + b.ty.lanes());
                let scalar = out.ty.scalar() == a.ty.scalar();
                exist && scalar && a.ty == b.ty && is_vector(a.ty) && out.ty.lanes() as usize == lanes.len()
            }
            Inst::Reduce { op, out, a } => {
                let counts = matches!(op, Reduction::Add | Reduction::Mul);
                one(out.ty, a.ty) && (counts || is_float(a.ty))
            }
            Inst::Intrinsic { op, out, args } => {
                let (floats, ints) = (Ty::V(16, Scalar::F32), Ty::V(16, Scalar::I32));
                let (sums, bytes) = (Ty::V(4, Scalar::I32), Ty::V(16, Scalar::I8));
                let wide = Ty::V(32, Scalar::I8);
                let types: Vec<Ty> = args.iter().map(|a| a.ty).collect();
                let wanted = match op {
                    Intrinsic::Permute => vec![floats, ints],
                    Intrinsic::ScaleByPower => {
                        vec![floats, floats, floats, Ty::S(Scalar::I16), Ty::S(Scalar::I32)]
                    }
                    Intrinsic::DotBytes => vec![sums, bytes, bytes],
                    Intrinsic::DotWords => {
                        let lanes = if out.ty == sums || out.ty == ints {
                            out.ty.lanes()
                        } else {
                            8
                        };
                        let words = Ty::V(2 * lanes, Scalar::I16);
                        vec![Ty::V(lanes, Scalar::I32), words, words]
                    }
                    Intrinsic::DotUnsignedPairs => {
                        let lanes = if out.ty.lanes() == 32 { 32 } else { 16 };
                        let bytes = Ty::V(2 * lanes, Scalar::I8);
                        vec![Ty::V(lanes, Scalar::I16), bytes, bytes]
                    }
                    Intrinsic::PermuteBytes if out.ty == bytes => vec![bytes, bytes],
                    Intrinsic::SwizzleBytes => vec![bytes, bytes],
                    Intrinsic::PermuteBytes | Intrinsic::TakeSign => vec![wide, wide],
                    Intrinsic::DotUnsignedBytes => {
                        let lanes = if out.ty == ints { 16 } else { 8 };
                        let bytes = Ty::V(4 * lanes, Scalar::I8);
                        vec![Ty::V(lanes, Scalar::I32), bytes, bytes]
                    }
                    Intrinsic::DotBf16 => vec![floats, Ty::V(32, Scalar::Bf16), Ty::V(32, Scalar::Bf16)],
                    Intrinsic::RoundPairs => vec![out.ty.with(Scalar::F32); 2],
                    Intrinsic::MatrixBf16 => {
                        let words = |lanes: u32| Ty::V(lanes, Scalar::I32);
                        vec![Ty::V(128, Scalar::F32), words(128), words(64)]
                    }
                };
                let result = match op {
                    Intrinsic::RoundPairs => out.ty.with(Scalar::I32),
                    _ => wanted[0],
                };
                types == wanted && out.ty == result
            }
            _ => true,
        };
        self.require(fits, 8, inst, "lanes, vectors and scalars do not agree");
    }

    /// Laws 9 and 14.
    fn memory(&mut self, inst: &Inst) {
        let aligned = |align: u8, ty: Ty| {
            let fits = align.is_power_of_two() && i64::from(align) <= ty.scalar().bytes();
            fits && ty.scalar() != Scalar::I1
        };
        let fits = match inst {
            Inst::Offset { out, base, index, .. } => {
                let index_fits = is_integer(index.ty) && out.ty.lanes() == index.ty.lanes();
                index_fits && is_one_pointer(base.ty) && is_pointer(out.ty) && is_vector(out.ty) == is_vector(index.ty)
            }
            Inst::Address { out, global } => {
                let known = self.names.constants.contains(global);
                self.require(known, 14, inst, "the module has no such constant");
                is_one_pointer(out.ty)
            }
            Inst::Stack { out, count, .. } => is_one_pointer(out.ty) && count.ty == Ty::I64,
            Inst::Load { out, ptr, align, .. } => is_one_pointer(ptr.ty) && aligned(*align, out.ty),
            Inst::Store { value, ptr, align } => is_one_pointer(ptr.ty) && aligned(*align, value.ty),
            Inst::Prefetch { ptr, .. } => is_one_pointer(ptr.ty),
            Inst::CallPointer { callee, .. } => is_one_pointer(callee.ty),
            _ => true,
        };
        self.require(
            fits,
            9,
            inst,
            "pointers, indices, counts or the alignment are not of their types",
        );
    }

    /// Law 21.
    fn shared(&mut self, inst: &Inst) {
        let fits = match inst {
            Inst::LoadMatrices { out, rows } => {
                let lanes = rows.ty.lanes();
                rows.ty == Ty::PtrV(lanes, Space::Shared)
                    && matches!(lanes, 8 | 16 | 32)
                    && out.ty == Ty::V(4 * lanes, Scalar::I32)
            }
            Inst::CopyAsync {
                to,
                from,
                counts,
                bytes,
            } => {
                let lanes = to.ty.lanes();
                to.ty == Ty::PtrV(lanes, Space::Shared)
                    && matches!(from.ty, Ty::PtrV(n, _) if n == lanes)
                    && counts.ty == Ty::V(lanes, Scalar::I32)
                    && matches!(bytes, 4 | 16)
            }
            _ => true,
        };
        self.require(
            fits,
            21,
            inst,
            "pointers, counts or words are not those of matrices or copies",
        );
    }

    /// Laws 9 and 10.
    fn masked(&mut self, inst: &Inst) {
        let (ptr, mask, ty, otherwise) = match inst {
            Inst::MaskedLoad {
                out,
                ptr,
                mask,
                otherwise,
            } => (ptr.ty, mask.ty, out.ty, otherwise.ty),
            Inst::MaskedStore { value, ptr, mask } => (ptr.ty, mask.ty, value.ty, value.ty),
            Inst::Gather {
                out,
                ptrs,
                mask,
                otherwise,
            } => (ptrs.ty, mask.ty, out.ty, otherwise.ty),
            Inst::Scatter { value, ptrs, mask } => (ptrs.ty, mask.ty, value.ty, value.ty),
            _ => return,
        };
        let each = matches!(inst, Inst::Gather { .. } | Inst::Scatter { .. });
        let pointers = match ptr {
            Ty::PtrV(lanes, _) => each && lanes == ty.lanes(),
            _ => !each && is_one_pointer(ptr),
        };
        self.require(pointers, 9, inst, "there is not a pointer for what is read or written");
        let fits = matches!(ty, Ty::V(..)) && is_mask_of(mask, ty);
        self.require(fits, 10, inst, "the mask has not a truth value for each lane");
        self.require(otherwise == ty, 10, inst, "what stands in is of another type");
    }

    /// Law 13.
    fn call(&mut self, inst: &Inst, out: Option<Val>, callee: &str, args: &[Val]) {
        let Some(signature) = self.names.functions.get(callee) else {
            return self.report(13, Some(inst), "the module has no such function".to_owned());
        };
        let types: Vec<Ty> = args.iter().map(|a| a.ty).collect();
        let fits = pass_for(&types, &signature.params) && out.map(|v| v.ty) == signature.result;
        let message = format!("the function is `{signature}`");
        self.require(fits, 13, inst, &message);
    }

    /// Law 11.
    pub(super) fn loop_types(&mut self, inst: &Inst, l: &For) {
        let counts = [l.iv, l.low, l.high, l.step].iter().all(|v| v.ty == Ty::I64);
        self.require(counts, 11, inst, "bounds and index are not 64-bit integers");
        let init = types_of(&l.init);
        let agree = [&l.carried, &l.body.yields, &l.out].iter().all(|v| types_of(v) == init);
        self.require(agree, 11, inst, "what is carried changes its types");
    }

    /// Laws 6 and 12.
    pub(super) fn branch_types(&mut self, inst: &Inst, i: &If) {
        self.require(i.cond.ty == Ty::I1, 6, inst, "the condition is not one truth value");
        let out = types_of(&i.out);
        let agree = [&i.then, &i.otherwise]
            .iter()
            .all(|block| pass_for(&types_of(&block.yields), &out));
        self.require(agree, 12, inst, "the branches give values of other types");
    }
}

/// Whether values of some types are accepted where others are expected.
fn pass_for(types: &[Ty], wanted: &[Ty]) -> bool {
    types.len() == wanted.len() && types.iter().zip(wanted).all(|(ty, wanted)| ty.passes_for(*wanted))
}

fn types_of(values: &[Val]) -> Vec<Ty> {
    values.iter().map(|v| v.ty).collect()
}

/// Whether a type has an operation.
fn has(op: Binary, ty: Ty) -> bool {
    match op {
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div => !is_pointer(ty),
        Binary::MaxNumber | Binary::MinNumber | Binary::CopySign => is_float(ty),
        Binary::Rem
        | Binary::UnsignedDiv
        | Binary::UnsignedRem
        | Binary::And
        | Binary::Or
        | Binary::Xor
        | Binary::Shl
        | Binary::Shr
        | Binary::ShrSigned => is_integer(ty),
    }
}

/// Whether a conversion from one type to another is valid.
fn casts(op: Cast, from: Ty, to: Ty) -> bool {
    let widens = bits(from.scalar()) < bits(to.scalar());
    let (a, b) = (is_integer(from), is_integer(to));
    let (x, y) = (is_float(from), is_float(to));
    same_shape(from, to)
        && match op {
            Cast::SignExtend | Cast::ZeroExtend => a && b && widens,
            Cast::Truncate => a && b && bits(from.scalar()) > bits(to.scalar()),
            Cast::SignedToFloat | Cast::UnsignedToFloat => a && y,
            Cast::FloatToSigned => x && b,
            Cast::FloatExtend => x && y && widens,
            Cast::FloatTruncate => x && y && bits(from.scalar()) > bits(to.scalar()),
        }
}
