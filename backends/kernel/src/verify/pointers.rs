//! Laws 18 to 20: which memory pointers point into, what may be stored there, and the elements that addresses count.

use super::checker::Checker;
use crate::{Inst, Scalar, Space, Ty, Val};

impl Checker<'_> {
    /// Laws 18 to 20 for one instruction.
    pub(super) fn pointer_laws(&mut self, inst: &Inst) {
        match inst {
            Inst::Offset { out, base, elem, .. } => {
                self.made(inst, *out, base.ty.space());
                self.elements.insert(out.id, *elem);
            }
            Inst::Address { out, .. } => self.made(inst, *out, Some(Space::Constant)),
            Inst::Stack { out, .. } => self.made(inst, *out, Some(Space::Private)),
            Inst::Load { out, ptr, .. } | Inst::MaskedLoad { out, ptr, .. } | Inst::Gather { out, ptrs: ptr, .. } => {
                self.accessed(inst, *ptr, out.ty);
            }
            Inst::Store { value, ptr, .. }
            | Inst::MaskedStore { value, ptr, .. }
            | Inst::Scatter { value, ptrs: ptr, .. } => {
                self.accessed(inst, *ptr, value.ty);
                self.stored(inst, value.ty, ptr.ty);
            }
            _ => {}
        }
    }

    /// Law 18 for a pointer into memory of space `from`. What is not a pointer violates law 9.
    fn made(&mut self, inst: &Inst, out: Val, from: Option<Space>) {
        if let (Some(space), Some(from)) = (out.ty.space(), from)
            && space != from
        {
            self.report(18, Some(inst), format!("points into {from} memory, not {space}"));
        }
    }

    /// Law 19.
    fn stored(&mut self, inst: &Inst, value: Ty, ptr: Ty) {
        if ptr.space() == Some(Space::Constant) {
            self.report(19, Some(inst), "writes constant memory".to_owned());
        }
        let own = matches!(value.space(), Some(Space::Private | Space::Scratch | Space::Shared));
        if own && ptr.space() != Some(Space::Private) {
            let message = "puts a pointer to memory of one member or block where others see it";
            self.report(19, Some(inst), message.to_owned());
        }
    }

    /// Law 20.
    fn accessed(&mut self, inst: &Inst, ptr: Val, ty: Ty) {
        let Some(elem) = self.elements.get(&ptr.id).copied() else {
            return;
        };
        let fits = match elem {
            Scalar::I8 => true,
            Scalar::I64 if ty.lanes() == 1 => true,
            _ => ty.space().is_none() && ty.scalar() == elem,
        };
        if !fits {
            self.report(
                20,
                Some(inst),
                format!("accesses {ty} behind an offset that counts {elem}"),
            );
        }
    }
}
