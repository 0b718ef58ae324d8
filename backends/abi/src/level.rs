//! Levels of processors that code is generated for, and the table by which the runtime finds the code of each.

use super::Family;

/// What a processor must understand to run code of this level. Levels of a family contain each other, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// x86-64 with AVX2, FMA, F16C, BMI1 and BMI2, LZCNT, MOVBE, POPCNT: level 3 of the System V ABI, section 3.1.1.
    #[default]
    V3,
    /// Also AVX-512 F, BW, CD, DQ and VL: level 4 there.
    V4,
    /// Also products of bytes that are added up at once: AVX-512 VNNI.
    V4Vnni,
    /// Also such products of bfloat16: AVX-512 BF16.
    V4Bf16,
    /// AArch64 with floating point and Advanced SIMD, which all processors that run Linux have (Armv8-A).
    Neon,
    /// Also dot products of bytes, which are part of Armv8.2-A at choice and of Armv8.4-A.
    Dot,
    /// WebAssembly with vectors of 128 bits, which all browsers have since 2023.
    Simd128,
    /// GPUs of NVIDIA of compute capability 8.0: Ampere and later.
    Sm80,
    /// The same code for processors of [`Level::V3`], for tests.
    Fibers,
}

/// Products that processors add up at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// Of bytes.
    Bytes,
    /// Of bfloat16.
    Bf16,
}

impl Level {
    /// All of them, those of a family together, its least first.
    pub const ALL: [Level; 9] = [
        Level::V3,
        Level::V4,
        Level::V4Vnni,
        Level::V4Bf16,
        Level::Neon,
        Level::Dot,
        Level::Simd128,
        Level::Sm80,
        Level::Fibers,
    ];

    /// The processors that it is a level of.
    pub fn family(self) -> Family {
        match self {
            Level::V3 | Level::V4 | Level::V4Vnni | Level::V4Bf16 => Family::X86_64,
            Level::Neon | Level::Dot => Family::Aarch64,
            Level::Simd128 => Family::Wasm,
            Level::Sm80 => Family::Cuda,
            Level::Fibers => Family::CudaEmulated,
        }
    }

    /// Its name, as compilers of C take it for `-march`.
    pub fn name(self) -> &'static str {
        match self {
            Level::V3 => "x86-64-v3",
            Level::V4 => "x86-64-v4",
            Level::V4Vnni => "x86-64-v4+vnni",
            Level::V4Bf16 => "x86-64-v4+vnni+bf16",
            Level::Neon => "armv8-a",
            Level::Dot => "armv8.2-a+dotprod",
            Level::Simd128 => "wasm-simd128",
            Level::Sm80 => "sm_80",
            Level::Fibers => "sm_80-emulated",
        }
    }

    /// The level of a name that [`Level::name`] gives.
    pub fn named(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The level's number in [`Row::level`].
    pub fn number(self) -> u64 {
        match self {
            Level::V3 => 3,
            Level::V4 => 4,
            Level::V4Vnni => 5,
            Level::V4Bf16 => 6,
            Level::Neon => 80,
            Level::Dot => 82,
            Level::Simd128 => 128,
            Level::Sm80 => 800,
            Level::Fibers => 32,
        }
    }

    /// The processors that have it, for messages.
    pub fn processors(self) -> &'static str {
        match self {
            Level::V3 => "Intel from Haswell, AMD from Excavator",
            Level::V4 => "Intel from Skylake-SP, AMD from Zen 4",
            Level::V4Vnni => "Intel from Cascade Lake, AMD from Zen 4",
            Level::V4Bf16 => "Intel from Sapphire Rapids, AMD from Zen 4",
            Level::Neon => "all of AArch64 with Advanced SIMD",
            Level::Dot => "Arm from Cortex-A75 and Neoverse N1, Apple from M1",
            Level::Simd128 => "Chromium from 91, Firefox from 89, Safari from 16.4, Node.js from 16.4, wasmtime",
            Level::Sm80 => "NVIDIA from Ampere (A100, RTX 30), with their driver",
            Level::Fibers => "Intel from Haswell, AMD from Excavator",
        }
    }

    /// The products that it only adds to the level below, of which it has the code where a model has none of them; `None` where all code differs.
    pub fn adds(self) -> Option<Products> {
        match self {
            Level::V4Vnni => Some(Products::Bytes),
            Level::V4Bf16 => Some(Products::Bf16),
            Level::V3 | Level::V4 | Level::Neon | Level::Dot => None,
            Level::Simd128 | Level::Sm80 | Level::Fibers => None,
        }
    }

    /// Extensions of this level that this processor and its system lack, by the names of `/proc/cpuinfo`; none: code of this
    /// level runs here.
    pub fn lacking(self) -> Vec<&'static str> {
        let ours = self.family().levels().filter(|level| *level <= self);
        ours.flat_map(Level::own_lacking).collect()
    }

    /// The highest level that this processor understands.
    pub fn here() -> Option<Level> {
        Family::HERE.levels().rfind(|level| level.lacking().is_empty())
    }

    /// What this processor lacks of the extensions that this level adds to the one below.
    fn own_lacking(self) -> Vec<&'static str> {
        if self.family().host() != Family::HERE {
            return vec![self.family().name()];
        }
        let probed = probe::extensions(self);
        let lacking = probed.into_iter().filter(|(_, there)| !there);
        lacking.map(|(name, _)| name).collect()
    }
}

/// Extensions that a level adds to the one below, by the names of `/proc/cpuinfo`, and whether this processor and its system have them.
#[cfg(target_arch = "x86_64")]
mod probe {
    use super::Level;
    use std::arch::is_x86_feature_detected;

    macro_rules! probed {
        ($($name:tt),*) => { vec![$(($name, is_x86_feature_detected!($name))),*] };
    }

    pub(super) fn extensions(level: Level) -> Vec<(&'static str, bool)> {
        match level {
            Level::V3 | Level::Fibers => {
                probed!("avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "movbe", "popcnt")
            }
            Level::V4 => probed!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
            Level::V4Vnni => probed!("avx512vnni"),
            Level::V4Bf16 => probed!("avx512bf16"),
            Level::Neon | Level::Dot | Level::Simd128 | Level::Sm80 => Vec::new(),
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod probe {
    use super::Level;
    use std::arch::is_aarch64_feature_detected;

    pub(super) fn extensions(level: Level) -> Vec<(&'static str, bool)> {
        match level {
            Level::Neon => vec![("asimd", is_aarch64_feature_detected!("neon"))],
            Level::Dot => vec![("asimddp", is_aarch64_feature_detected!("dotprod"))],
            Level::V3 | Level::V4 | Level::V4Vnni | Level::V4Bf16 => Vec::new(),
            Level::Simd128 | Level::Sm80 | Level::Fibers => Vec::new(),
        }
    }
}

/// A module that needs vectors is refused before it runs.
#[cfg(target_arch = "wasm32")]
mod probe {
    use super::Level;

    pub(super) fn extensions(_level: Level) -> Vec<(&'static str, bool)> {
        Vec::new()
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32")))]
mod probe {
    use super::Level;

    pub(super) fn extensions(level: Level) -> Vec<(&'static str, bool)> {
        vec![(level.name(), false)]
    }
}

/// A generated function: all threads call it with the same frame (see [`frame`](super::frame)), their number and how many
/// they are.
pub type Entry = unsafe extern "C" fn(frame: *const u64, tid: i64, threads: i64);

/// One row of the table [`symbols::CODE`](super::symbols::CODE): the code of a model for one level.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Row {
    /// [`Level::number`].
    pub level: u64,
    /// JSON bytes of the [`Descriptor`](super::Descriptor) of this code.
    pub descriptor: *const u8,
    /// How many they are.
    pub descriptor_len: u64,
    /// The load-time stage, once per weights.
    pub load: Entry,
    /// One chunk; the frame says how long it is.
    pub step: Entry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_by_name_and_contain_each_other() {
        for level in Level::ALL {
            assert_eq!(Level::named(level.name()), Some(level));
        }
        assert_eq!(Level::named("x86-64-v2"), None);
        assert!(Level::V3.lacking().len() <= Level::V4.lacking().len());
    }
}
