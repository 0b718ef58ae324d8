//! Compiling a module of text and loading it into the test process.

use seqc_backends::{
    link,
    mlir::{Emit, Target, compile},
    text::Module,
};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// A path in the temporary directory that no other test uses.
pub(crate) fn temporary(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("seqc-test-{}-{n}-{name}", std::process::id()))
}

/// Targets that this machine can run: itself, and AVX2.
pub(crate) fn targets() -> Vec<Target> {
    let host = Target::host().expect("tests run on a supported processor");
    let mut list = vec![Target::named("x86-64-v3").expect("a known name")];
    if host.vector_bits == 512 {
        list.push(host);
    }
    list
}

/// A compiled and loaded module.
pub(crate) struct Loaded(libloading::Library);

impl Loaded {
    pub(crate) fn new(module: Module, target: &Target) -> Loaded {
        let text = module.finish();
        let object = compile(&text, target, Emit::Obj).unwrap_or_else(|error| panic!("{error}"));
        let path = temporary("kernels.so");
        link::link_shared(&object, &path).expect("linked");
        // SAFETY: the library has no initialisers.
        let library = unsafe { libloading::Library::new(&path) }.expect("loaded");
        let _ = std::fs::remove_file(&path);
        Loaded(library)
    }

    /// The function `name`, of the type the caller says.
    ///
    /// # Safety
    ///
    /// `F` must be the function's true type, and must not outlive `self`.
    pub(crate) unsafe fn function<F: Copy>(&self, name: &str) -> F {
        // SAFETY: the caller's promise.
        *unsafe { self.0.get::<F>(name.as_bytes()) }.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Deterministic numbers, roughly normal in scale.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In `-1..1`.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}
