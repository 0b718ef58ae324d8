//! What differs between threads of a GPU and fibers that stand for them: how a thread learns its number, how lanes move, and where threads meet.

use super::{member::of_thread, prologue};
use crate::kernel::{Func, Global, Signature};
use seqc_abi::{device::STACK_BYTES, symbols};
use std::fmt::{self, Write as _};

/// Who runs the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// A GPU of NVIDIA.
    Ptx,
    /// Fibers of the machine at hand (`seqc_warp_run` of the runtime).
    Fibers,
}

impl Device {
    /// The functions that others call.
    pub(super) fn prologue(self) -> &'static str {
        match self {
            Device::Ptx => prologue::PTX,
            Device::Fibers => prologue::FIBERS,
        }
    }

    /// Whether a constant is in the text.
    pub(super) fn has(self, global: &Global) -> bool {
        self == Device::Fibers || is_of_device(global)
    }

    /// A function that the module calls and does not have; the barrier is one of the device.
    pub(super) fn declared(self, out: &mut String, signature: &Signature) {
        if !self.has_own(&signature.name) && self == Device::Fibers {
            super::print::declaration(out, signature);
        }
    }

    /// The name under which a function is called.
    pub(super) fn callee(self, name: &str) -> &str {
        match self {
            Device::Fibers if name == symbols::BARRIER => "seqc_warp_barrier",
            Device::Fibers if name == symbols::BLOCK_BARRIER => "seqc_warp_block_barrier",
            Device::Fibers if name == symbols::BLOCK_MEMORY => "seqc_warp_block_memory",
            Device::Ptx | Device::Fibers => name,
        }
    }

    /// Waits for all groups of a thread's copies but the last ones, a constant.
    pub(super) fn wait(self, left: &str) -> String {
        match self {
            Device::Ptx => format!("llvm.call_intrinsic \"llvm.nvvm.cp.async.wait.group\"({left}) : (i32) -> ()"),
            Device::Fibers => format!("llvm.call @seqc_warp_wait_copies({left}) : (i32) -> ()"),
        }
    }

    /// Attributes of functions.
    pub(super) fn attributes(self, inlined: bool) -> &'static str {
        match (self, inlined) {
            (Device::Ptx, true) => r#" attributes {passthrough = ["convergent"]}"#,
            (Device::Ptx, false) => r#" attributes {passthrough = ["noinline", "convergent"]}"#,
            (Device::Fibers, true) => "",
            (Device::Fibers, false) => r#" attributes {passthrough = ["noinline"]}"#,
        }
    }

    /// Whether the function stands among those of the device, whatever a module has.
    pub(super) fn has_own(self, name: &str) -> bool {
        [symbols::BARRIER, symbols::BLOCK_BARRIER, symbols::BLOCK_MEMORY].contains(&name)
    }

    /// The function that starts an entry: a kernel, or one that any thread of this process may call.
    pub(super) fn entry(self, out: &mut String, f: &Func) {
        let (name, body) = (f.name(), body_of(f.name()));
        let _ = match self {
            Device::Fibers => fibers_entry(out, f),
            Device::Ptx => write!(
                out,
                r#"llvm.func ptx_kernelcc @{name}(%frame: !llvm.ptr, %stacks: !llvm.ptr) attributes {{passthrough = ["convergent"]}} {{
  %bytes = llvm.mlir.constant({STACK_BYTES} : i64) : i64
  %five = llvm.mlir.constant(5 : i32) : i32
  %thread = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.tid.x"() : () -> i32
  %block = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.ctaid.x"() : () -> i32
  %width = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.ntid.x"() : () -> i32
  %blocks = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.nctaid.x"() : () -> i32
  %groups = llvm.lshr %width, %five : i32
  %before = llvm.mul %block, %groups : i32
  %group = llvm.lshr %thread, %five : i32
  %member = llvm.add %before, %group : i32
  %members = llvm.mul %blocks, %groups : i32
  %tid = llvm.zext %member : i32 to i64
  %threads = llvm.zext %members : i32 to i64
  %at = llvm.mul %tid, %bytes : i64
  %stack = llvm.getelementptr %stacks[%at] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  llvm.call @{body}(%frame, %tid, %threads, %stack) : (!llvm.ptr, i64, i64, !llvm.ptr) -> ()
  llvm.return
}}
"#
            ),
        };
    }
}

/// Its arguments go through memory, which all fibers read.
fn fibers_entry(out: &mut String, f: &Func) -> fmt::Result {
    let (name, body, params) = (f.name(), body_of(f.name()), f.params());
    let typed = |prefix: &str| {
        let typed = params
            .iter()
            .enumerate()
            .map(|(n, p)| format!("%{prefix}{n}: {}", of_thread(p.ty)));
        typed.collect::<Vec<_>>().join(", ")
    };
    let types: Vec<&str> = params.iter().map(|p| of_thread(p.ty)).collect();
    writeln!(
        out,
        "llvm.func internal @{body}_start(%words: !llvm.ptr, %stack: !llvm.ptr) {{"
    )?;
    for (n, ty) in types.iter().enumerate() {
        writeln!(
            out,
            "  %p{n} = llvm.getelementptr %words[{n}] : (!llvm.ptr) -> !llvm.ptr, i64"
        )?;
        writeln!(out, "  %a{n} = llvm.load %p{n} : !llvm.ptr -> {ty}")?;
    }
    let names: Vec<String> = (0..types.len()).map(|n| format!("%a{n}")).collect();
    let (names, listed) = (names.join(", "), types.join(", "));
    writeln!(
        out,
        "  llvm.call @{body}({names}, %stack) : ({listed}, !llvm.ptr) -> ()"
    )?;
    writeln!(out, "  llvm.return\n}}")?;
    writeln!(out, "llvm.func @{name}({}) {{", typed("a"))?;
    let count = types.len().max(1);
    writeln!(out, "  %count = llvm.mlir.constant({count} : i64) : i64")?;
    writeln!(out, "  %words = llvm.alloca %count x i64 : (i64) -> !llvm.ptr")?;
    for (n, ty) in types.iter().enumerate() {
        writeln!(
            out,
            "  %p{n} = llvm.getelementptr %words[{n}] : (!llvm.ptr) -> !llvm.ptr, i64"
        )?;
        writeln!(out, "  llvm.store %a{n}, %p{n} : {ty}, !llvm.ptr")?;
    }
    writeln!(out, "  %start = llvm.mlir.addressof @{body}_start : !llvm.ptr")?;
    writeln!(out, "  %stack = llvm.mlir.constant({STACK_BYTES} : i64) : i64")?;
    writeln!(
        out,
        "  llvm.call @seqc_warp_run(%start, %words, %stack) : (!llvm.ptr, !llvm.ptr, i64) -> ()\n  llvm.return\n}}"
    )
}

/// The name of what every thread of an entry runs.
pub(super) fn body_of(entry: &str) -> String {
    format!("{entry}_thread")
}

/// Whether functions of a device read a constant, and not the runtime.
pub(super) fn is_of_device(global: &Global) -> bool {
    match global {
        Global::Table { .. } | Global::Bytes { export: false, .. } => true,
        Global::Bytes { export: true, .. } | Global::Elsewhere { .. } | Global::Number { .. } | Global::Code(_) => {
            false
        }
    }
}
