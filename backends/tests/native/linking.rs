//! Programs and shared libraries from objects.

use crate::support::{Loaded, executable, temporary};
use seqc_abi::Family;
use seqc_backends::{
    kernel::{Func, Module, Ty},
    link::{self, Runtime},
    mlir::{Emit, Target, compile},
};
use std::{path::Path, process::Command};

#[test]
fn a_program_needs_nothing_else_to_run() {
    let text = "llvm.func @main() -> i32 {\n %0 = llvm.mlir.constant(42 : i32) : i32\n llvm.return %0 : i32\n}\n";
    let target = Target::of(Family::HERE.least());
    let object = compile(text, &target, Emit::Obj).expect("valid text");
    let path = temporary("program");
    let runtime = Runtime::of(Family::HERE).expect("it is carried");
    let bytes = link::link_exe(&[object], &runtime).expect("linked");
    executable(&path, &bytes);
    let status = Command::new(&path).status().expect("started");
    let _ = std::fs::remove_file(&path);
    assert_eq!(status.code(), Some(42));
    assert!(!bytes.windows(6).any(|w| w == b"ld.so\0"), "no dynamic loader is named");
}

#[test]
fn a_library_exports_its_functions() {
    let mut f = Func::exported("double_it", &[Ty::GLOBAL]);
    let p = f.param(0);
    let x = f.load(p, Ty::F32);
    let y = f.add(x, x);
    f.store(y, p);
    let mut module = Module::default();
    module.add(f);
    let loaded = Loaded::new(module, &Target::of(Family::HERE.least()));
    // SAFETY: the type is the one declared above.
    let double: extern "C" fn(*mut f32) = unsafe { loaded.function("double_it") };
    let mut x = 3.5;
    double(&mut x);
    assert_eq!(x, 7.0);
}

#[test]
fn linker_messages_reach_the_user() {
    let error = link::link_shared(b"not an object", Path::new("/nonexistent/out.so")).expect_err("refused");
    assert!(matches!(error, link::Error::Failed { .. }), "{error}");
}
