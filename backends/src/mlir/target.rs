//! Which processor to generate code for.

use super::{Error, llvm};

/// A processor in LLVM's terms. Generated code needs at least AVX2 and FMA.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// LLVM target triple.
    pub triple: String,
    /// LLVM's name of the processor: `znver5`, `x86-64-v3`, …
    pub cpu: String,
    /// LLVM feature string, `+avx2,-avx512f,…`; may be empty when the name says it all.
    pub features: String,
    /// Width of the vectors to use: 512 or 256.
    pub vector_bits: u32,
}

const TRIPLE: &str = "x86_64-unknown-linux-musl";

/// Processors with AVX-512 F, BW, DQ and VL.
const WIDE: &[&str] = &[
    "x86-64-v4",
    "skylake-avx512",
    "cascadelake",
    "cooperlake",
    "cannonlake",
    "icelake-client",
    "icelake-server",
    "tigerlake",
    "rocketlake",
    "sapphirerapids",
    "emeraldrapids",
    "graniterapids",
    "znver4",
    "znver5",
];

/// Processors with AVX2 and FMA.
const NARROW: &[&str] = &[
    "x86-64-v3",
    "haswell",
    "broadwell",
    "skylake",
    "alderlake",
    "raptorlake",
    "meteorlake",
    "arrowlake",
    "lunarlake",
    "sierraforest",
    "gracemont",
    "znver1",
    "znver2",
    "znver3",
];

impl Target {
    /// The processor this runs on.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] when it has no AVX2 or no FMA.
    pub fn host() -> Result<Target, Error> {
        let (cpu, features) = llvm::host()?;
        let has = |name: &str| features.split(',').any(|f| f.strip_prefix('+') == Some(name));
        let vector_bits = if ["avx512f", "avx512bw", "avx512dq", "avx512vl"].into_iter().all(has) {
            512
        } else if has("avx2") && has("fma") && has("f16c") {
            256
        } else {
            return Err(Error::Target(format!(
                "this processor ({cpu}) lacks AVX2, FMA or F16C, which generated code needs"
            )));
        };
        Ok(Target {
            triple: TRIPLE.to_string(),
            cpu,
            features,
            vector_bits,
        })
    }

    /// `native`, or a processor by LLVM's name.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] with the names that are known.
    pub fn named(name: &str) -> Result<Target, Error> {
        let vector_bits = match name {
            "native" => return Target::host(),
            _ if WIDE.contains(&name) => 512,
            _ if NARROW.contains(&name) => 256,
            _ => {
                let names: Vec<&str> = ["native"].iter().chain(NARROW).chain(WIDE).copied().collect();
                return Err(Error::Target(format!(
                    "unknown processor `{name}`; known are {}",
                    names.join(", ")
                )));
            }
        };
        Ok(Target {
            triple: TRIPLE.to_string(),
            cpu: name.to_string(),
            features: String::new(),
            vector_bits,
        })
    }

    /// `f32` lanes of a vector: 16 or 8.
    pub fn width(&self) -> u32 {
        self.vector_bits / 32
    }
}
