//! The MLIR driver: what it emits at each stage, and what it says about text it refuses.

use seqc_backends::mlir::{Emit, Error, Target, compile};

const SAXPY: &str = "module {
llvm.func @saxpy(%a: f32, %x: !llvm.ptr, %y: !llvm.ptr, %n: i64) {
  %0 = arith.constant 0 : i64
  %w = arith.constant 8 : i64
  %v = vector.broadcast %a : f32 to vector<8xf32>
  scf.for %i = %0 to %n step %w : i64 {
    %p = llvm.getelementptr %x[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %q = llvm.getelementptr %y[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %r = llvm.load %p {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
    %s = llvm.load %q {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
    %t = math.fma %v, %r, %s : vector<8xf32>
    llvm.store %t, %q {alignment = 4 : i64} : vector<8xf32>, !llvm.ptr
  }
  llvm.return
}
}
";

fn emitted(emit: Emit) -> String {
    let target = Target::named("x86-64-v3").expect("a known name");
    String::from_utf8(compile(SAXPY, &target, emit).expect("valid text")).expect("text")
}

#[test]
fn every_stage_can_be_read() {
    assert!(emitted(Emit::Mlir).contains("scf.for"));
    let lowered = emitted(Emit::LlvmDialect);
    assert!(lowered.contains("llvm.intr.fma") && !lowered.contains("scf."));
    assert!(emitted(Emit::LlvmIr).contains("call <8 x float> @llvm.fma.v8f32"));
    assert!(emitted(Emit::Asm).contains("vfmadd"));
}

#[test]
fn objects_are_elf_and_the_same_every_time() {
    let target = Target::host().expect("tests run on a supported processor");
    let first = compile(SAXPY, &target, Emit::Obj).expect("valid text");
    assert_eq!(&first[..4], b"\x7fELF");
    assert_eq!(first, compile(SAXPY, &target, Emit::Obj).expect("valid text"));
}

#[test]
fn refusals_show_the_line() {
    let target = Target::named("x86-64-v3").expect("a known name");
    let text = SAXPY.replace("math.fma %v, %r, %s", "math.fma %v, %r, %a");
    let error = compile(&text, &target, Emit::Obj).expect_err("types disagree");
    let message = error.to_string();
    assert!(message.contains("line 11: `%t = math.fma"), "{message}");
    let error = compile("nonsense", &target, Emit::Mlir).expect_err("not MLIR");
    assert!(matches!(error, Error::Mlir { stage: "parse", .. }), "{error}");
    let unlowered = SAXPY.replace("math.fma %v, %r, %s", "math.erf %s");
    assert!(compile(&unlowered, &target, Emit::Obj).is_err());
    assert!(Target::named("pentium3").is_err());
}
