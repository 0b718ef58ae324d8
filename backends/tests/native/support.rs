//! Compiling a module of text and loading it into the test process.

use seqc_abi::{Encoding, Level};
use seqc_backends::{
    kernel::{Func, Module, Ty},
    link,
    mlir::{Emit, Target, compile, print},
};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

/// A path in cargo's folder for tests that no other test uses.
pub(crate) fn temporary(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{}-{n}-{name}", std::process::id()))
}

/// Targets that this machine can run: itself, and AVX2.
pub(crate) fn targets() -> Vec<Target> {
    let host = Target::host().expect("tests run on a supported processor");
    let mut list = vec![Target::named("x86-64-v3").expect("a known name")];
    if host.level == Level::V4 {
        list.push(host);
    }
    list
}

/// A compiled and loaded module.
pub(crate) struct Loaded(libloading::Library);

impl Loaded {
    pub(crate) fn new(module: Module, target: &Target) -> Loaded {
        let text = print(&module);
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

    /// A finite half of size below 1, sometimes subnormal.
    pub(crate) fn half(&mut self) -> u16 {
        let bits = self.bits();
        let e = (bits >> 20) as u16 % 16;
        (bits as u16 & 0x83ff) | (if e < 2 { 0 } else { e.max(8) } << 10)
    }

    pub(crate) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

/// Adds an exported `t_NAME` that calls the internal kernel `name`.
pub(crate) fn export(module: &mut Module, name: &str, params: &[Ty]) {
    let mut f = Func::exported(format!("t_{name}"), params);
    let args = f.params();
    f.call(name, &args, None);
    module.add(f);
}

/// Bytes of `rows * k` weights in `store`, and the values they stand for.
pub(crate) fn weights(encoding: Encoding, rows: usize, k: usize, random: &mut Random) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for _ in 0..rows * k / encoding.block() {
        match encoding {
            Encoding::F32 => {
                let x = random.float();
                bytes.extend(x.to_le_bytes());
                values.push(x);
            }
            Encoding::F16 => {
                let h = random.half();
                bytes.extend(h.to_le_bytes());
                values.push(half(h));
            }
            Encoding::Bf16 => {
                let h = (random.float().to_bits() >> 16) as u16;
                bytes.extend(h.to_le_bytes());
                values.push(f32::from_bits(u32::from(h) << 16));
            }
            Encoding::Q4_0 | Encoding::Q4_1 | Encoding::Q8_0 => block(encoding, random, &mut bytes, &mut values),
        }
    }
    (bytes, values)
}

fn block(encoding: Encoding, random: &mut Random, bytes: &mut Vec<u8>, values: &mut Vec<f32>) {
    let (d, m) = (random.half(), random.half());
    bytes.extend(d.to_le_bytes());
    if encoding == Encoding::Q4_1 {
        bytes.extend(m.to_le_bytes());
    }
    let quants: Vec<u8> = (0..32).map(|_| random.bits() as u8).collect();
    if encoding == Encoding::Q8_0 {
        bytes.extend(&quants);
        values.extend(quants.iter().map(|q| half(d) * f32::from(*q as i8)));
        return;
    }
    bytes.extend(&quants[..16]);
    let nibbles = quants[..16]
        .iter()
        .map(|q| q & 15)
        .chain(quants[..16].iter().map(|q| q >> 4));
    values.extend(nibbles.map(|q| match encoding {
        Encoding::Q4_0 => half(d) * (f32::from(q) - 8.0),
        _ => half(d) * f32::from(q) + half(m),
    }));
}

/// The value of a half, in the plain way.
fn half(bits: u16) -> f32 {
    let (sign, e, m) = (bits >> 15, i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = if e == 0 {
        m * 2f32.powi(-24)
    } else {
        (1024.0 + m) * 2f32.powi(e - 25)
    };
    if sign == 1 { -magnitude } else { magnitude }
}
