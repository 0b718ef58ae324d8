//! What differs between threads of a GPU and fibers that stand for them: how a thread learns its number, how lanes move, and where threads meet.

use super::member::of_thread;
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

/// The functions of a device. A member is a warp: shuffles and meetings are of all its threads. `barrier.sync` holds the threads of a block; then one of them counts for it, until all blocks of the grid have come.
/// The counter is never set back: it has come when it reaches the next multiple of the number of blocks.
const PTX: &str = r#"
llvm.func internal @lane() -> i32 attributes {passthrough = ["alwaysinline", "convergent"]} {
  %0 = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.laneid"() : () -> i32
  llvm.return %0 : i32
}
llvm.func internal @shuffle(%v: i32, %from: i32) -> i32 attributes {passthrough = ["alwaysinline", "convergent"]} {
  %all = llvm.mlir.constant(-1 : i32) : i32
  %segments = llvm.mlir.constant(31 : i32) : i32
  %0 = llvm.call_intrinsic "llvm.nvvm.shfl.sync.idx.i32"(%all, %v, %from, %segments) : (i32, i32, i32, i32) -> i32
  llvm.return %0 : i32
}
llvm.func internal @meet() attributes {passthrough = ["alwaysinline", "convergent"]} {
  %all = llvm.mlir.constant(-1 : i32) : i32
  llvm.call_intrinsic "llvm.nvvm.bar.warp.sync"(%all) : (i32) -> ()
  llvm.return
}
llvm.func internal @pairs(%a: f32, %b: f32) -> i32 attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.call_intrinsic "llvm.nvvm.ff2bf16x2.rn"(%b, %a) : (f32, f32) -> vector<2xbf16>
  %1 = llvm.bitcast %0 : vector<2xbf16> to i32
  llvm.return %1 : i32
}
llvm.func internal @matrix(%a0: i32, %a1: i32, %a2: i32, %a3: i32, %b0: i32, %b1: i32, %c0: f32, %c1: f32, %c2: f32, %c3: f32) -> !llvm.struct<(f32, f32, f32, f32)> attributes {passthrough = ["alwaysinline", "convergent"]} {
  %0 = llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"(%a0, %a1, %a2, %a3, %b0, %b1, %c0, %c1, %c2, %c3) : (i32, i32, i32, i32, i32, i32, f32, f32, f32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
  llvm.return %0 : !llvm.struct<(f32, f32, f32, f32)>
}
llvm.func internal @seqc_barrier(%counter: !llvm.ptr, %tid: i64, %threads: i64) attributes {passthrough = ["noinline", "convergent"]} {
  %zero = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i64) : i64
  llvm.call_intrinsic "llvm.nvvm.membar.gl"() : () -> ()
  llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.all"(%zero) : (i32) -> ()
  %thread = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.tid.x"() : () -> i32
  %first = llvm.icmp "eq" %thread, %zero : i32
  llvm.cond_br %first, ^count, ^done
^count:
  %n32 = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.nctaid.x"() : () -> i32
  %n = llvm.zext %n32 : i32 to i64
  %old = llvm.atomicrmw add %counter, %one syncscope("device") monotonic : !llvm.ptr, i64
  %round = llvm.udiv %old, %n : i64
  %next = llvm.add %round, %one : i64
  %end = llvm.mul %next, %n : i64
  llvm.br ^wait
^wait:
  %seen = llvm.load volatile %counter : !llvm.ptr -> i64
  %early = llvm.icmp "ult" %seen, %end : i64
  llvm.cond_br %early, ^wait, ^done
^done:
  llvm.call_intrinsic "llvm.nvvm.membar.gl"() : () -> ()
  llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.all"(%zero) : (i32) -> ()
  llvm.return
}
"#;

/// The same as functions of the runtime.
const FIBERS: &str = r#"
llvm.func @seqc_warp_lane() -> i32
llvm.func @seqc_warp_shuffle(i32, i32) -> i32
llvm.func @seqc_warp_meet()
llvm.func @seqc_warp_pairs(f32, f32) -> i32
llvm.func @seqc_warp_matrix(!llvm.ptr)
llvm.func @seqc_warp_barrier(!llvm.ptr, i64, i64)
llvm.func @seqc_warp_run(!llvm.ptr, !llvm.ptr, i64)
llvm.func internal @lane() -> i32 attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.call @seqc_warp_lane() : () -> i32
  llvm.return %0 : i32
}
llvm.func internal @shuffle(%v: i32, %from: i32) -> i32 attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.call @seqc_warp_shuffle(%v, %from) : (i32, i32) -> i32
  llvm.return %0 : i32
}
llvm.func internal @pairs(%a: f32, %b: f32) -> i32 attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.call @seqc_warp_pairs(%a, %b) : (f32, f32) -> i32
  llvm.return %0 : i32
}
llvm.func internal @matrix(%a0: i32, %a1: i32, %a2: i32, %a3: i32, %b0: i32, %b1: i32, %c0: f32, %c1: f32, %c2: f32, %c3: f32) -> !llvm.struct<(f32, f32, f32, f32)> attributes {passthrough = ["noinline"]} {
  %ten = llvm.mlir.constant(10 : i64) : i64
  %words = llvm.alloca %ten x i32 : (i64) -> !llvm.ptr
  %p0 = llvm.getelementptr %words[0] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %a0, %p0 : i32, !llvm.ptr
  %p1 = llvm.getelementptr %words[1] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %a1, %p1 : i32, !llvm.ptr
  %p2 = llvm.getelementptr %words[2] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %a2, %p2 : i32, !llvm.ptr
  %p3 = llvm.getelementptr %words[3] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %a3, %p3 : i32, !llvm.ptr
  %p4 = llvm.getelementptr %words[4] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %b0, %p4 : i32, !llvm.ptr
  %p5 = llvm.getelementptr %words[5] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %b1, %p5 : i32, !llvm.ptr
  %p6 = llvm.getelementptr %words[6] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %c0, %p6 : f32, !llvm.ptr
  %p7 = llvm.getelementptr %words[7] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %c1, %p7 : f32, !llvm.ptr
  %p8 = llvm.getelementptr %words[8] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %c2, %p8 : f32, !llvm.ptr
  %p9 = llvm.getelementptr %words[9] : (!llvm.ptr) -> !llvm.ptr, i32
  llvm.store %c3, %p9 : f32, !llvm.ptr
  llvm.call @seqc_warp_matrix(%words) : (!llvm.ptr) -> ()
  %r0 = llvm.load %p6 : !llvm.ptr -> f32
  %r1 = llvm.load %p7 : !llvm.ptr -> f32
  %r2 = llvm.load %p8 : !llvm.ptr -> f32
  %r3 = llvm.load %p9 : !llvm.ptr -> f32
  %s0 = llvm.mlir.undef : !llvm.struct<(f32, f32, f32, f32)>
  %s1 = llvm.insertvalue %r0, %s0[0] : !llvm.struct<(f32, f32, f32, f32)>
  %s2 = llvm.insertvalue %r1, %s1[1] : !llvm.struct<(f32, f32, f32, f32)>
  %s3 = llvm.insertvalue %r2, %s2[2] : !llvm.struct<(f32, f32, f32, f32)>
  %all = llvm.insertvalue %r3, %s3[3] : !llvm.struct<(f32, f32, f32, f32)>
  llvm.return %all : !llvm.struct<(f32, f32, f32, f32)>
}
llvm.func internal @meet() attributes {passthrough = ["alwaysinline"]} {
  llvm.call @seqc_warp_meet() : () -> ()
  llvm.return
}
"#;

impl Device {
    /// The functions that others call.
    pub(super) fn prologue(self) -> &'static str {
        match self {
            Device::Ptx => PTX,
            Device::Fibers => FIBERS,
        }
    }

    /// Whether a constant is in the text.
    pub(super) fn has(self, global: &Global) -> bool {
        self == Device::Fibers || is_of_device(global)
    }

    /// A function that the module calls and does not have; the barrier is one of the device.
    pub(super) fn declared(self, out: &mut String, signature: &Signature) {
        if signature.name != symbols::BARRIER && self == Device::Fibers {
            super::print::declaration(out, signature);
        }
    }

    /// The name under which a function is called.
    pub(super) fn callee(self, name: &str) -> &str {
        match self {
            Device::Fibers if name == symbols::BARRIER => "seqc_warp_barrier",
            Device::Ptx | Device::Fibers => name,
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
        name == symbols::BARRIER
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
