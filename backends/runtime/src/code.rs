//! The generated half of a program, as the runtime sees it.

pub use seqc_abi::Entry;
use seqc_abi::{Descriptor, Level};

use crate::{Error, Result};

/// Versions of the descriptor that this runtime reads.
pub const DESCRIPTOR_VERSION: u32 = 1;

/// A compiled model without its weights.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// JSON of a [`Descriptor`].
    pub descriptor: &'static [u8],
    /// The load-time stage.
    pub load: Entry,
    /// One chunk.
    pub step: Entry,
}

impl Code {
    /// Reads the descriptor.
    ///
    /// # Errors
    ///
    /// A descriptor that another version of the tool wrote.
    pub fn describe(&self) -> Result<Descriptor> {
        let descriptor: Descriptor = serde_json::from_slice(self.descriptor)
            .map_err(|error| Error::Failed(format!("the program's descriptor cannot be read: {error}")))?;
        if descriptor.version != DESCRIPTOR_VERSION {
            return Err(Error::Failed(format!(
                "the program's descriptor has version {}, this runtime reads {DESCRIPTOR_VERSION}",
                descriptor.version
            )));
        }
        Ok(descriptor)
    }
}

/// Which of the levels that there is code for runs here: the highest of which nothing is lacking.
///
/// # Errors
///
/// [`Error::Failed`] with what this processor lacks of the least.
#[cfg_attr(not(any(feature = "program", feature = "library")), expect(dead_code))]
fn choose(levels: &[u64], lacking: impl Fn(Level) -> Vec<&'static str>) -> Result<usize> {
    let known = |number: u64| Level::ALL.into_iter().find(|level| level.number() == number);
    let usable = levels
        .iter()
        .enumerate()
        .filter_map(|(n, number)| known(*number).map(|level| (n, level)))
        .filter(|(_, level)| lacking(*level).is_empty());
    if let Some((n, _)) = usable.max_by_key(|(_, level)| *level) {
        return Ok(n);
    }
    let Some(least) = levels.iter().filter_map(|number| known(*number)).min() else {
        return Err(Error::Failed(
            "the program carries no code that its runtime knows".to_owned(),
        ));
    };
    Err(Error::Failed(format!(
        "this processor lacks {}, which the code in this program needs: it was built for {} ({})",
        lacking(least).join(", "),
        least.name(),
        least.processors(),
    )))
}

#[cfg(all(feature = "library", not(test)))]
pub(crate) use linked::code;

// Tests, and the crate as a dependency of others, are linked with no generated object.
#[cfg(all(any(all(feature = "program", target_env = "musl"), feature = "library"), not(test)))]
mod linked {
    use super::{Code, choose};
    use crate::Result;
    use seqc_abi::{Level, Row};

    unsafe extern "C" {
        static seqc_code: Row;
        static seqc_code_len: u64;
    }

    /// The code that this program was linked with, for the processor it runs on.
    pub(crate) fn code() -> Result<Code> {
        // SAFETY: generated code defines both symbols as `seqc_abi::symbols` says.
        let rows = unsafe { std::slice::from_raw_parts(&raw const seqc_code, seqc_code_len as usize) };
        let levels: Vec<u64> = rows.iter().map(|row| row.level).collect();
        let row = &rows[choose(&levels, |level: Level| level.lacking())?];
        Ok(Code {
            // SAFETY: the row names the bytes of its descriptor, which live as long as the program.
            descriptor: unsafe { std::slice::from_raw_parts(row.descriptor, row.descriptor_len as usize) },
            load: row.load,
            step: row.step,
        })
    }

    /// What the C library calls: `main` of every emitted program.
    #[cfg(all(feature = "program", target_env = "musl"))]
    #[unsafe(no_mangle)]
    pub(crate) extern "C" fn main(argc: i32, argv: *const *const std::ffi::c_char) -> i32 {
        use std::{ffi::CStr, ffi::OsStr, os::unix::ffi::OsStrExt};
        let word = |i: usize| {
            // SAFETY: the C library passes `argc` strings that live as long as the process.
            let text = unsafe { CStr::from_ptr(*argv.add(i)) };
            OsStr::from_bytes(text.to_bytes()).to_owned()
        };
        let args = (0..usize::try_from(argc).unwrap_or(0)).map(word).collect();
        crate::cli::install_panic_hook();
        let status = match code() {
            Ok(code) => crate::cli::run(code, args),
            Err(error) => {
                eprintln!("error: {error}");
                error.status()
            }
        };
        std::process::exit(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor with AVX2 and without AVX-512.
    fn narrow(level: Level) -> Vec<&'static str> {
        if level == Level::V3 { vec![] } else { vec!["avx512f"] }
    }

    #[test]
    fn the_highest_level_that_the_processor_understands_runs() {
        assert_eq!(choose(&[3, 4], |_| vec![]).ok(), Some(1));
        assert_eq!(choose(&[3, 4], narrow).ok(), Some(0));
        assert_eq!(choose(&[3, 9], narrow).ok(), Some(0));
    }

    #[test]
    fn a_processor_below_the_least_level_is_told_what_it_lacks() {
        let error = choose(&[3, 4], |_| vec!["avx2", "fma"]).expect_err("nothing runs");
        assert_eq!(error.status(), 2);
        assert!(error.to_string().contains("lacks avx2, fma"), "{error}");
        let error = choose(&[4], narrow).expect_err("nothing runs").to_string();
        assert!(error.contains("avx512f") && error.contains("x86-64-v4"), "{error}");
    }
}
