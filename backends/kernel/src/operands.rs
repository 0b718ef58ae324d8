//! What an instruction reads and defines.

use super::{Inst, Val};

impl Inst {
    /// The values that it defines: several or none for loops and branches.
    pub fn results(&self) -> &[Val] {
        match self {
            Inst::Const { out, .. }
            | Inst::Unary { out, .. }
            | Inst::Binary { out, .. }
            | Inst::Fma { out, .. }
            | Inst::Compare { out, .. }
            | Inst::Select { out, .. }
            | Inst::Cast { out, .. }
            | Inst::Bitcast { out, .. }
            | Inst::Splat { out, .. }
            | Inst::Extract { out, .. }
            | Inst::Insert { out, .. }
            | Inst::Shuffle { out, .. }
            | Inst::Reduce { out, .. }
            | Inst::Intrinsic { out, .. }
            | Inst::Offset { out, .. }
            | Inst::Address { out, .. }
            | Inst::Stack { out, .. }
            | Inst::Load { out, .. }
            | Inst::LoadMatrices { out, .. }
            | Inst::MaskedLoad { out, .. }
            | Inst::Gather { out, .. } => std::slice::from_ref(out),
            Inst::Call { out, .. } => out.as_slice(),
            Inst::For(l) => &l.out,
            Inst::If(i) => &i.out,
            Inst::Store { .. }
            | Inst::MaskedStore { .. }
            | Inst::Scatter { .. }
            | Inst::CopyAsync { .. }
            | Inst::CommitCopies
            | Inst::WaitCopies { .. }
            | Inst::Prefetch { .. }
            | Inst::CallPointer { .. }
            | Inst::Return(_) => &[],
        }
    }

    /// The values that it reads itself, not those of its blocks.
    pub fn operands(&self) -> Vec<Val> {
        match self {
            Inst::Const { .. } | Inst::Address { .. } | Inst::CommitCopies | Inst::WaitCopies { .. } => Vec::new(),
            Inst::Unary { a, .. }
            | Inst::Cast { a, .. }
            | Inst::Bitcast { a, .. }
            | Inst::Splat { a, .. }
            | Inst::Reduce { a, .. }
            | Inst::Stack { count: a, .. }
            | Inst::Load { ptr: a, .. }
            | Inst::LoadMatrices { rows: a, .. }
            | Inst::Prefetch { ptr: a, .. }
            | Inst::Return(a) => vec![*a],
            Inst::Binary { a, b, .. }
            | Inst::Compare { a, b, .. }
            | Inst::Shuffle { a, b, .. }
            | Inst::Extract { a, at: b, .. }
            | Inst::Offset { base: a, index: b, .. }
            | Inst::Store { value: a, ptr: b, .. } => vec![*a, *b],
            Inst::Fma { a, b, c, .. }
            | Inst::Select {
                cond: a, a: b, b: c, ..
            }
            | Inst::Insert {
                a, at: b, scalar: c, ..
            }
            | Inst::MaskedLoad {
                ptr: a,
                mask: b,
                otherwise: c,
                ..
            }
            | Inst::MaskedStore {
                value: a,
                ptr: b,
                mask: c,
            }
            | Inst::Gather {
                ptrs: a,
                mask: b,
                otherwise: c,
                ..
            }
            | Inst::Scatter {
                value: a,
                ptrs: b,
                mask: c,
            }
            | Inst::CopyAsync {
                to: a,
                from: b,
                counts: c,
                ..
            } => vec![*a, *b, *c],
            Inst::Intrinsic { args, .. } | Inst::Call { args, .. } => args.clone(),
            Inst::CallPointer { callee, args } => [&[*callee], &args[..]].concat(),
            Inst::For(l) => [&[l.low, l.high, l.step], &l.init[..]].concat(),
            Inst::If(i) => vec![i.cond],
        }
    }
}
