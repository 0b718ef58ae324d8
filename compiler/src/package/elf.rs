//! What a shared library needs of the system, as installers of Python packages name it.

use seqc_abi::Family;

/// What all symbol versions of glibc begin with.
const GLIBC: &[u8] = b"GLIBC_2.";
/// The oldest version that a tag can name.
const OLDEST: u32 = 17;

/// The platform tag of a library: that of the newest version of glibc which it needs, and of its processors.
pub(super) fn platform(library: &[u8], family: Family) -> String {
    // Versions are names in the table of dynamic strings, each with a zero behind it.
    let newest = library
        .windows(GLIBC.len())
        .enumerate()
        .filter(|(_, window)| *window == GLIBC)
        .filter_map(|(at, _)| version(&library[at + GLIBC.len()..]))
        .max();
    let newest = newest.unwrap_or(OLDEST).max(OLDEST);
    format!("manylinux_2_{newest}_{}", family.architecture())
}

/// The number of a version, with or without one of its own behind it.
fn version(rest: &[u8]) -> Option<u32> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&rest[..end.min(8)]).ok()?;
    name.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_is_needed_counts() {
        let three = b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.29\0";
        assert_eq!(platform(three, Family::X86_64), "manylinux_2_34_x86_64");
        let none = b"\0GLIBC_2.2.5\0GLIBC_PRIVATE\0";
        assert_eq!(platform(none, Family::Aarch64), "manylinux_2_17_aarch64");
    }
}
