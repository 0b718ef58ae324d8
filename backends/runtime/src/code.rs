//! The generated half of a program, as the runtime sees it.

use seqc_abi::Descriptor;
pub use seqc_abi::Entry;

use crate::{Error, Result};

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
        if descriptor.version != Descriptor::VERSION {
            return Err(Error::Failed(format!(
                "the program's descriptor has version {}, this runtime reads {}",
                descriptor.version,
                Descriptor::VERSION
            )));
        }
        Ok(descriptor)
    }
}

#[cfg(any(
    test,
    all(feature = "program", any(target_env = "musl", target_os = "wasi", feature = "cuda")),
    feature = "library"
))]
mod choice;

#[cfg(all(
    any(
        all(feature = "program", any(target_env = "musl", target_os = "wasi", feature = "cuda")),
        feature = "library"
    ),
    not(test)
))]
pub(crate) use linked::code;

// Tests, and the crate as a dependency of others, are linked with no generated object.
#[cfg(all(
    any(
        all(feature = "program", any(target_env = "musl", target_os = "wasi", feature = "cuda")),
        feature = "library"
    ),
    not(test)
))]
mod linked {
    use super::{Code, choice::choose};
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
}
