//! Families of processors that code is generated for: a program is for one of them, and has code for some of its levels.

use super::Level;

/// Processors that share an instruction set, under Linux; or what runs WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// 64-bit processors of Intel and AMD.
    X86_64,
    /// 64-bit processors of Arm.
    Aarch64,
    /// WebAssembly with pointers of 32 bits, under WASI or in a browser.
    Wasm,
    /// GPUs of NVIDIA, in a machine with a processor of x86-64.
    Cuda,
    /// The same code run by processors of x86-64, a fiber for each thread: for tests.
    CudaEmulated,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] = [
        Family::X86_64,
        Family::Aarch64,
        Family::Wasm,
        Family::Cuda,
        Family::CudaEmulated,
    ];

    /// That of the machine that this runs on, for which code is generated unless another one is named.
    pub const HERE: Family = if cfg!(target_arch = "aarch64") {
        Family::Aarch64
    } else if cfg!(target_arch = "wasm32") {
        Family::Wasm
    } else {
        Family::X86_64
    };

    /// Its name, as `--target` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Family::X86_64 => "x86-64",
            Family::Aarch64 => "aarch64-linux",
            Family::Wasm => "wasm",
            Family::Cuda => "cuda",
            Family::CudaEmulated => "cuda-emulated",
        }
    }

    /// The family of a name that [`Family::name`] gives.
    pub fn named(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Its name in target triples, and what the system calls such a machine.
    pub fn architecture(self) -> &'static str {
        match self {
            Family::X86_64 | Family::Cuda | Family::CudaEmulated => "x86_64",
            Family::Aarch64 => "aarch64",
            Family::Wasm => "wasm32",
        }
    }

    /// The family of the processors that run what is not generated: the runtime.
    pub fn host(self) -> Family {
        match self {
            Family::X86_64 | Family::Aarch64 | Family::Wasm => self,
            Family::Cuda | Family::CudaEmulated => Family::X86_64,
        }
    }

    /// Whether its programs have the runtime of the machine that this runs on.
    pub fn shares_runtime(self) -> bool {
        self != Family::Cuda && self.host() == Family::HERE
    }

    /// What names of programs end with.
    pub fn extension(self) -> &'static str {
        match self {
            Family::X86_64 | Family::Aarch64 | Family::Cuda | Family::CudaEmulated => "",
            Family::Wasm => "wasm",
        }
    }

    /// Its levels, the least first.
    pub fn levels(self) -> impl DoubleEndedIterator<Item = Level> + Clone {
        Level::ALL.into_iter().filter(move |level| level.family() == self)
    }

    /// Its least level.
    pub fn least(self) -> Level {
        match self {
            Family::X86_64 => Level::V3,
            Family::Aarch64 => Level::Neon,
            Family::Wasm => Level::Simd128,
            Family::Cuda => Level::Sm80,
            Family::CudaEmulated => Level::Fibers,
        }
    }

    /// Its highest level.
    pub fn highest(self) -> Level {
        self.levels().next_back().unwrap_or(self.least())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_name_of_its_own_and_levels() {
        for family in Family::ALL {
            assert_eq!(Family::named(family.name()), Some(family));
            assert_eq!(family.levels().next(), Some(family.least()));
        }
        assert_eq!(Family::named("x86"), None);
    }

    #[test]
    fn no_level_of_another_family_is_found_here() {
        for level in Family::ALL.into_iter().flat_map(Family::levels) {
            assert!(
                level.family().host() == Family::HERE || !level.lacking().is_empty(),
                "{level:?}"
            );
        }
    }
}
