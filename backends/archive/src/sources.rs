//! What the runtime is made from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Folders of `backends` that the runtime is made from.
pub const SOURCES: &[&str] = &["runtime", "abi", "checkpoint", "formats"];

/// A number in hexadecimal that is another one when a source of the runtime changes: what was built for another machine is compared by it.
/// The folder is that of the crate `seqc-backends`.
///
/// # Errors
///
/// A file that cannot be read.
pub fn fingerprint(backends: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        list(&backends.join(source), &mut files)?;
    }
    files.sort();
    let mut hash = Fnv::new();
    for file in files {
        let name = file.strip_prefix(backends).unwrap_or(&file);
        hash.write(name.as_os_str().as_encoded_bytes());
        hash.write(&fs::read(&file)?);
    }
    Ok(format!("{:016x}", hash.0))
}

/// All files in a folder and those below.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The hash function FNV-1a of 64 bits.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes and their number.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&bytes.len().to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
