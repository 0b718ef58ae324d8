//! The functions of a device that generated code calls, as text.

/// The functions of a device. A member is a warp: shuffles and meetings are of all its threads. `barrier.sync` holds the threads of a block; then one of them counts for it, until all blocks of the grid have come.
/// The counter is never set back: it has come when it reaches the next multiple of the number of blocks.
pub(super) const PTX: &str = r#"
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
llvm.mlir.global external @seqc_shared() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<0 x i8>
llvm.func internal @seqc_block_memory(%counter: !llvm.ptr, %tid: i64, %threads: i64) -> !llvm.ptr attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.mlir.addressof @seqc_shared : !llvm.ptr<3>
  %1 = llvm.addrspacecast %0 : !llvm.ptr<3> to !llvm.ptr
  llvm.return %1 : !llvm.ptr
}
llvm.func internal @seqc_block_barrier(%counter: !llvm.ptr, %tid: i64, %threads: i64) attributes {passthrough = ["alwaysinline", "convergent"]} {
  %zero = llvm.mlir.constant(0 : i32) : i32
  llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.all"(%zero) : (i32) -> ()
  llvm.return
}
llvm.func internal @matrices1(%row: !llvm.ptr) -> i32 attributes {passthrough = ["alwaysinline", "convergent"]} {
  %0 = llvm.addrspacecast %row : !llvm.ptr to !llvm.ptr<3>
  %1 = llvm.call_intrinsic "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16"(%0) : (!llvm.ptr<3>) -> i32
  llvm.return %1 : i32
}
llvm.func internal @matrices2(%row: !llvm.ptr) -> !llvm.struct<(i32, i32)> attributes {passthrough = ["alwaysinline", "convergent"]} {
  %0 = llvm.addrspacecast %row : !llvm.ptr to !llvm.ptr<3>
  %1 = llvm.call_intrinsic "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16"(%0) : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
  llvm.return %1 : !llvm.struct<(i32, i32)>
}
llvm.func internal @matrices4(%row: !llvm.ptr) -> !llvm.struct<(i32, i32, i32, i32)> attributes {passthrough = ["alwaysinline", "convergent"]} {
  %0 = llvm.addrspacecast %row : !llvm.ptr to !llvm.ptr<3>
  %1 = llvm.call_intrinsic "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16"(%0) : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
  llvm.return %1 : !llvm.struct<(i32, i32, i32, i32)>
}
llvm.func internal @copy4(%to: !llvm.ptr, %from: !llvm.ptr, %count: i32) attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.addrspacecast %to : !llvm.ptr to !llvm.ptr<3>
  %1 = llvm.addrspacecast %from : !llvm.ptr to !llvm.ptr<1>
  llvm.call_intrinsic "llvm.nvvm.cp.async.ca.shared.global.4.s"(%0, %1, %count) : (!llvm.ptr<3>, !llvm.ptr<1>, i32) -> ()
  llvm.return
}
llvm.func internal @copy16(%to: !llvm.ptr, %from: !llvm.ptr, %count: i32) attributes {passthrough = ["alwaysinline"]} {
  %0 = llvm.addrspacecast %to : !llvm.ptr to !llvm.ptr<3>
  %1 = llvm.addrspacecast %from : !llvm.ptr to !llvm.ptr<1>
  llvm.call_intrinsic "llvm.nvvm.cp.async.cg.shared.global.16.s"(%0, %1, %count) : (!llvm.ptr<3>, !llvm.ptr<1>, i32) -> ()
  llvm.return
}
llvm.func internal @commit_copies() attributes {passthrough = ["alwaysinline"]} {
  llvm.call_intrinsic "llvm.nvvm.cp.async.commit.group"() : () -> ()
  llvm.return
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
pub(super) const FIBERS: &str = r#"
llvm.func @seqc_warp_lane() -> i32
llvm.func @seqc_warp_shuffle(i32, i32) -> i32
llvm.func @seqc_warp_meet()
llvm.func @seqc_warp_pairs(f32, f32) -> i32
llvm.func @seqc_warp_matrix(!llvm.ptr)
llvm.func @seqc_warp_barrier(!llvm.ptr, i64, i64)
llvm.func @seqc_warp_block_barrier(!llvm.ptr, i64, i64)
llvm.func @seqc_warp_block_memory(!llvm.ptr, i64, i64) -> !llvm.ptr
llvm.func @seqc_warp_load_matrices(!llvm.ptr, !llvm.ptr, i64)
llvm.func @seqc_warp_copy(!llvm.ptr, !llvm.ptr, i64, i64)
llvm.func @seqc_warp_commit_copies()
llvm.func @seqc_warp_wait_copies(i32)
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
llvm.func internal @matrices1(%row: !llvm.ptr) -> i32 attributes {passthrough = ["noinline"]} {
  %count = llvm.mlir.constant(1 : i64) : i64
  %words = llvm.alloca %count x i32 : (i64) -> !llvm.ptr
  llvm.call @seqc_warp_load_matrices(%row, %words, %count) : (!llvm.ptr, !llvm.ptr, i64) -> ()
  %all = llvm.load %words : !llvm.ptr -> i32
  llvm.return %all : i32
}
llvm.func internal @matrices2(%row: !llvm.ptr) -> !llvm.struct<(i32, i32)> attributes {passthrough = ["noinline"]} {
  %count = llvm.mlir.constant(2 : i64) : i64
  %words = llvm.alloca %count x i32 : (i64) -> !llvm.ptr
  llvm.call @seqc_warp_load_matrices(%row, %words, %count) : (!llvm.ptr, !llvm.ptr, i64) -> ()
  %all = llvm.load %words {alignment = 4 : i64} : !llvm.ptr -> !llvm.struct<(i32, i32)>
  llvm.return %all : !llvm.struct<(i32, i32)>
}
llvm.func internal @matrices4(%row: !llvm.ptr) -> !llvm.struct<(i32, i32, i32, i32)> attributes {passthrough = ["noinline"]} {
  %count = llvm.mlir.constant(4 : i64) : i64
  %words = llvm.alloca %count x i32 : (i64) -> !llvm.ptr
  llvm.call @seqc_warp_load_matrices(%row, %words, %count) : (!llvm.ptr, !llvm.ptr, i64) -> ()
  %all = llvm.load %words {alignment = 4 : i64} : !llvm.ptr -> !llvm.struct<(i32, i32, i32, i32)>
  llvm.return %all : !llvm.struct<(i32, i32, i32, i32)>
}
llvm.func internal @copy4(%to: !llvm.ptr, %from: !llvm.ptr, %count: i32) attributes {passthrough = ["alwaysinline"]} {
  %bytes = llvm.mlir.constant(4 : i64) : i64
  %0 = llvm.zext %count : i32 to i64
  llvm.call @seqc_warp_copy(%to, %from, %0, %bytes) : (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
  llvm.return
}
llvm.func internal @copy16(%to: !llvm.ptr, %from: !llvm.ptr, %count: i32) attributes {passthrough = ["alwaysinline"]} {
  %bytes = llvm.mlir.constant(16 : i64) : i64
  %0 = llvm.zext %count : i32 to i64
  llvm.call @seqc_warp_copy(%to, %from, %0, %bytes) : (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
  llvm.return
}
llvm.func internal @commit_copies() attributes {passthrough = ["alwaysinline"]} {
  llvm.call @seqc_warp_commit_copies() : () -> ()
  llvm.return
}
llvm.func internal @meet() attributes {passthrough = ["alwaysinline"]} {
  llvm.call @seqc_warp_meet() : () -> ()
  llvm.return
}
"#;
