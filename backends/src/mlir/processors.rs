//! Names of processors, and the target that each is.

use super::{error::Error, llvm, target::Target};
use seqc_abi::Level;

/// Every level: what programs carry unless a processor is named.
const EVERY: &str = "x86-64";

/// Processors of level 4.
const WIDE: &[&str] = &[
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

/// Processors of level 3.
const NARROW: &[&str] = &[
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
    /// [`Error::Target`] when it is below every level.
    pub fn host() -> Result<Target, Error> {
        let level = Level::here().ok_or_else(|| {
            let lacking = Level::V3.lacking().join(", ");
            Error::Target(format!(
                "this processor lacks {lacking}, which generated code needs; programs for others can be built: --target {EVERY}"
            ))
        })?;
        Ok(Target {
            tune: Some(llvm::host()?),
            ..Target::of(level)
        })
    }

    /// `native`, a level, or a processor by LLVM's name.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] with the names that are known.
    pub fn named(name: &str) -> Result<Target, Error> {
        if let Some(level) = Level::named(name) {
            return Ok(Target::of(level));
        }
        let level = match name {
            "native" => return Target::host(),
            _ if WIDE.contains(&name) => Level::V4,
            _ if NARROW.contains(&name) => Level::V3,
            _ => {
                let levels = Level::ALL.map(Level::name);
                let names = ["native", EVERY].iter().chain(&levels).chain(NARROW).chain(WIDE);
                let names: Vec<&str> = names.copied().collect();
                return Err(Error::Target(format!(
                    "unknown processor `{name}`; known are {}",
                    names.join(", ")
                )));
            }
        };
        Ok(Target {
            tune: Some(name.to_owned()),
            ..Target::of(level)
        })
    }

    /// What a program carries code for, the least level first: `x86-64`, which is every level, or names as of
    /// [`Target::named`] separated by commas.
    ///
    /// # Errors
    ///
    /// As there; also when two names are of one level, of which a program carries one code.
    pub fn list(names: &str) -> Result<Vec<Target>, Error> {
        if names == EVERY {
            return Ok(Level::ALL.map(Target::of).to_vec());
        }
        let mut targets = names
            .split(',')
            .map(|n| Target::named(n.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        targets.sort_by_key(|t| t.level);
        match targets.windows(2).find(|pair| pair[0].level == pair[1].level) {
            None => Ok(targets),
            Some(pair) => Err(Error::Target(format!(
                "`{names}` names two processors of {}: {} and {}; a program carries one code for each level",
                pair[0].level.name(),
                pair[0].name(),
                pair[1].name(),
            ))),
        }
    }
}
