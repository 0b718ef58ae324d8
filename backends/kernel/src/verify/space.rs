//! Laws 18 and 19: which memory pointers point into, and what may be stored there.

use super::Checker;
use crate::{Inst, Space, Ty, Val};

impl Checker<'_> {
    /// Laws 18 and 19 for one instruction.
    pub(super) fn space_laws(&mut self, inst: &Inst) {
        let (out, from) = match inst {
            Inst::Offset { out, base, .. } => (out, base.ty.space()),
            Inst::Address { out, .. } => (out, Some(Space::Constant)),
            Inst::Stack { out, .. } => (out, Some(Space::Private)),
            Inst::Store { value, ptr, .. }
            | Inst::MaskedStore { value, ptr, .. }
            | Inst::Scatter { value, ptrs: ptr, .. } => return self.stored(inst, *value, ptr.ty),
            _ => return,
        };
        // What is no pointer breaks law 9.
        if let (Some(space), Some(from)) = (out.ty.space(), from)
            && space != from
        {
            self.report(18, Some(inst), format!("points into {from} memory, not {space}"));
        }
    }

    /// Law 19.
    fn stored(&mut self, inst: &Inst, value: Val, ptr: Ty) {
        if ptr.space() == Some(Space::Constant) {
            self.report(19, Some(inst), "writes constant memory".to_owned());
        }
        let own = matches!(value.ty.space(), Some(Space::Private | Space::Scratch));
        if own && ptr.space() != Some(Space::Private) {
            let message = "puts a pointer to memory of one member where others see it";
            self.report(19, Some(inst), message.to_owned());
        }
    }
}
