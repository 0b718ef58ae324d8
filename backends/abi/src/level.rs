//! Levels of x86-64 that code is generated for, and the table by which the runtime finds the code of each.

/// A micro-architecture level: what a processor must understand to run code of it (System V ABI for x86-64, section 3.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// AVX2, FMA, F16C, BMI1 and BMI2, LZCNT, MOVBE, POPCNT.
    #[default]
    V3,
    /// Also AVX-512 F, BW, CD, DQ and VL.
    V4,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Level; 2] = [Level::V3, Level::V4];

    /// Its name, which LLVM and compilers of C know too.
    pub fn name(self) -> &'static str {
        match self {
            Level::V3 => "x86-64-v3",
            Level::V4 => "x86-64-v4",
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
        }
    }

    /// The processors that have it, for messages.
    pub fn processors(self) -> &'static str {
        match self {
            Level::V3 => "Intel from Haswell, AMD from Excavator",
            Level::V4 => "Intel from Skylake-SP, AMD from Zen 4",
        }
    }

    /// Extensions of this level that this processor and its system lack, by the names of `/proc/cpuinfo`; none: code of this
    /// level runs here.
    pub fn lacking(self) -> Vec<&'static str> {
        let ours = Level::ALL.into_iter().filter(|level| *level <= self);
        ours.flat_map(Level::own_lacking).collect()
    }

    /// The highest level that this processor understands.
    pub fn here() -> Option<Level> {
        Level::ALL.into_iter().rfind(|level| level.lacking().is_empty())
    }

    /// What this processor lacks of the extensions that this level adds to the one below.
    #[cfg(target_arch = "x86_64")]
    fn own_lacking(self) -> Vec<&'static str> {
        macro_rules! lacking {
            ($($name:tt),*) => {{
                let probed = [$(($name, std::arch::is_x86_feature_detected!($name))),*];
                probed.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
            }};
        }
        match self {
            Level::V3 => lacking!("avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "movbe", "popcnt"),
            Level::V4 => lacking!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn own_lacking(self) -> Vec<&'static str> {
        vec![self.name()]
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
