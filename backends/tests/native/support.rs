//! Compiling a module of text and loading it into the test process.

use libloading::os::unix;
use seqc_abi::{Family, Level};
use seqc_backends::{
    kernel::{Func, Module, Ty},
    link,
    mlir::{Emit, Target, compile},
};
use seqc_formats::{Encoding, Float8, Native, Unit, to_bf16};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A path in cargo's folder for tests that no other test uses.
pub(crate) fn temporary(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{}-{n}-{name}", std::process::id()))
}

/// A program that others may run.
///
/// A process of its own writes it: whatever another thread starts meanwhile inherits the files that this process has
/// open, and a file that is open for writing anywhere cannot be run.
pub(crate) fn executable(path: &Path, bytes: &[u8]) {
    let linked = path.with_extension("linked");
    std::fs::write(&linked, bytes).expect("written");
    let copied = Command::new("install")
        .args(["-m", "700"])
        .args([&linked, path])
        .status();
    assert!(copied.expect("install is there").success());
    std::fs::remove_file(&linked).expect("removed");
}

/// Targets of this machine: its least level, and itself.
pub(crate) fn targets() -> Vec<Target> {
    let host = Target::host().expect("tests run on a supported processor");
    let mut list = vec![Target::of(Family::HERE.least())];
    if host.level != list[0].level {
        list.push(host);
    }
    list
}

/// The one of them with the widest vectors.
pub(crate) fn widest() -> Target {
    targets().into_iter().last().unwrap_or_else(|| panic!("no target"))
}

/// Threads of a GPU, emulated.
pub(crate) fn fibers() -> Target {
    Target::of(Level::Fibers)
}

/// All targets that this machine can run.
pub(crate) fn all_targets() -> Vec<Target> {
    let mut list = targets();
    list.push(fibers());
    list
}

/// A compiled and loaded module.
pub(crate) struct Loaded(libloading::Library);

impl Loaded {
    pub(crate) fn new(module: Module, target: &Target) -> Loaded {
        Loaded::printed(&(target.info().print)(&module), target)
    }

    /// A module whose text was printed already.
    pub(crate) fn printed(text: &str, target: &Target) -> Loaded {
        if target.level == Level::Fibers {
            load_fibers();
        }
        let object = compile(text, target, Emit::Obj).unwrap_or_else(|error| panic!("{error}"));
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

/// Loads what runs the fibers of emulated kernels, for all libraries that are loaded later.
fn load_fibers() {
    static LOADED: OnceLock<unix::Library> = OnceLock::new();
    LOADED.get_or_init(|| {
        let (source, path) = ("tests/native/warp_library.rs", temporary("fibers.so"));
        let mut rustc = Command::new("rustc");
        rustc.current_dir(env!("CARGO_MANIFEST_DIR"));
        rustc.args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=2", "-o"]);
        let output = rustc.arg(&path).arg(source).output().expect("rustc starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // SAFETY: the library has no initialisers of its own.
        let library = unsafe { unix::Library::open(Some(&path), unix::RTLD_NOW | unix::RTLD_GLOBAL) };
        let _ = std::fs::remove_file(&path);
        library.expect("loaded")
    });
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

/// Bytes of `rows * k` weights in an encoding, and the values they stand for.
pub(crate) fn weights(encoding: Encoding, rows: usize, k: usize, random: &mut Random) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for _ in 0..rows * k / encoding.block() {
        match encoding {
            Encoding::F32 => bytes.extend(random.float().to_le_bytes()),
            Encoding::F16 => bytes.extend(random.half().to_le_bytes()),
            Encoding::Bf16 => bytes.extend(to_bf16(random.float()).to_le_bytes()),
            _ => block(encoding, random, &mut bytes),
        }
    }
    assert!(encoding.decode(&bytes, &mut values), "{encoding}");
    (bytes, values)
}

/// A block of random integers and factors under random scales of ordinary size.
fn block(encoding: Encoding, random: &mut Random, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend((0..encoding.block_bytes()).map(|_| random.bits() as u8));
    let block = match encoding.native() {
        Some(Native::Block(block)) => block,
        Some(Native::Float8(kind)) => {
            let scale = random.float() / kind.largest();
            bytes[start..][..Float8::SCALE_BYTES].copy_from_slice(&scale.to_le_bytes());
            let numbers = &mut bytes[start + Float8::SCALE_BYTES..];
            let missing = numbers.iter_mut().filter(|byte| !kind.number(**byte).is_finite());
            missing.for_each(|byte| *byte = 0);
            return;
        }
        _ => panic!("{encoding} has no blocks"),
    };
    for at in [Some(block.scale), block.minimum].into_iter().flatten() {
        match block.unit {
            Unit::Half => bytes[start + at..][..2].copy_from_slice(&random.half().to_le_bytes()),
            Unit::Power => bytes[start + at] = 120 + (random.bits() % 8) as u8,
        }
    }
}
