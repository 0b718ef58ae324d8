//! Names of processors, and the target that each is.

use super::{error::Error, llvm, target::Target};
use crate::targets;
use seqc_abi::{Family, Level};

impl Target {
    /// The processor this runs on.
    ///
    /// # Errors
    ///
    /// [`Error::Target`] when it is below every level.
    pub fn host() -> Result<Target, Error> {
        let level = Level::here().ok_or_else(|| {
            let lacking = Family::HERE.least().lacking().join(", ");
            let every = Family::HERE.name();
            Error::Target(format!(
                "this processor lacks {lacking}, which generated code needs; programs for others can be built: --target {every}"
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
        if name == "native" {
            return Target::host();
        }
        let mut processors = Family::ALL.into_iter().flat_map(|f| targets::family(f).processors);
        let Some(processors) = processors.find(|processors| processors.names.contains(&name)) else {
            return Err(Error::Target(format!(
                "unknown processor `{name}`; known are {}",
                known().join(", ")
            )));
        };
        Ok(Target {
            tune: Some(name.to_owned()),
            ..Target::of(processors.level)
        })
    }

    /// What a program carries code for, the least level first: the name of a family, which is every level of it, or names as of
    /// [`Target::named`] separated by commas; the family may stand before one of its levels, `cuda:sm_80`.
    ///
    /// # Errors
    ///
    /// As there; also when two names are of one level, of which a program carries one code, or of two families.
    pub fn list(names: &str) -> Result<Vec<Target>, Error> {
        // One of the levels of a family: `cuda:sm_80`.
        let names = match names
            .split_once(':')
            .map(|(family, levels)| (Family::named(family), levels))
        {
            Some((Some(family), levels)) if family.levels().any(|level| level.name() == levels) => levels,
            _ => names,
        };
        if let Some(family) = Family::named(names) {
            return Ok(family.levels().map(Target::of).collect());
        }
        let mut targets = names
            .split(',')
            .map(|n| Target::named(n.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        targets.sort_by_key(|t| t.level);
        let mut pairs = targets.windows(2);
        if let Some(pair) = pairs.clone().find(|pair| pair[0].level == pair[1].level) {
            return Err(Error::Target(format!(
                "`{names}` names two processors of {}: {} and {}; a program carries one code for each level",
                pair[0].level.name(),
                pair[0].name(),
                pair[1].name(),
            )));
        }
        if let Some(pair) = pairs.find(|pair| pair[0].family() != pair[1].family()) {
            return Err(Error::Target(format!(
                "`{names}` names processors of {} and of {}; a program is for one of them",
                pair[0].family().name(),
                pair[1].family().name(),
            )));
        }
        Ok(targets)
    }
}

/// All names.
fn known() -> Vec<&'static str> {
    let families = Family::ALL.into_iter();
    let names = families.clone().flat_map(|family| {
        let processors = targets::family(family).processors.iter();
        let levels = family.levels().map(Level::name);
        levels.chain(processors.flat_map(|processors| processors.names.iter().copied()))
    });
    ["native"]
        .into_iter()
        .chain(families.map(Family::name))
        .chain(names)
        .collect()
}
