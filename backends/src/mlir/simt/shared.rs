//! The memory of a block: matrices, and copies that go on while threads compute.

use super::{member::parts, printer::Printer};
use crate::kernel::{Inst, Val};

impl Printer<'_> {
    pub(super) fn shared(&mut self, inst: &Inst) {
        match inst {
            Inst::LoadMatrices { out, rows } => {
                self.access(self.effects.of_inst(inst));
                self.load_matrices(*out, *rows);
            }
            Inst::CopyAsync {
                to,
                from,
                counts,
                bytes,
            } => {
                self.before(self.effects.of_inst(inst));
                for n in 0..parts(to.ty) {
                    let [to, from, counts] = [*to, *from, *counts].map(|v| self.part(v, n));
                    self.line(format_args!(
                        "llvm.call @copy{bytes}({to}, {from}, {counts}) : (!llvm.ptr, !llvm.ptr, i32) -> ()"
                    ));
                }
            }
            Inst::CommitCopies => self.line(format_args!("llvm.call @commit_copies() : () -> ()")),
            Inst::WaitCopies { left } => {
                let left = self.int(i64::from(*left), "i32");
                self.line(format_args!("{}", self.device.wait(&left)));
                // Each thread waited for its own.
                self.meet();
            }
            _ => {}
        }
    }

    /// Threads have the words of as many matrices as values have parts; what more threads point to is not read.
    fn load_matrices(&mut self, out: Val, rows: Val) {
        let (row, count) = (self.part(rows, 0), parts(out.ty));
        let words = vec!["i32"; count].join(", ");
        let ty = match count {
            1 => words,
            _ => format!("!llvm.struct<({words})>"),
        };
        let result = self.emit(format_args!("llvm.call @matrices{count}({row}) : (!llvm.ptr) -> {ty}"));
        if count == 1 {
            return self.set(out, vec![result]);
        }
        self.each(out, |p, n| {
            p.emit(format_args!("llvm.extractvalue {result}[{n}] : {ty}"))
        });
    }
}
