//! The file that this code is part of: a program, or a library; and the files inside it.

use std::path::PathBuf;

use seqc_checkpoint::{Bundle, Error};

#[cfg(all(feature = "library", unix))]
use mapped::Mapped;

/// The file of this program, or of the library that this code is part of.
pub(crate) fn own_file() -> Option<PathBuf> {
    library().or_else(program)
}

#[cfg(not(target_os = "wasi"))]
fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// WASI knows no more of it than the name by which it was started, which may be that of a file.
#[cfg(target_os = "wasi")]
fn program() -> Option<PathBuf> {
    std::env::args_os()
        .next()
        .map(PathBuf::from)
        .filter(|path| path.is_file())
}

#[cfg(not(all(feature = "library", unix)))]
fn library() -> Option<PathBuf> {
    None
}

#[cfg(all(feature = "library", unix))]
fn library() -> Option<PathBuf> {
    Mapped::containing(library as *const () as usize)?.file()
}

/// The files that were built into this one.
pub(super) fn bundle(path: &std::path::Path) -> Result<Option<Bundle>, Error> {
    match section() {
        Some(part) => Bundle::open_part(path, part),
        None => Bundle::open(path),
    }
}

/// The part of the own file that contains them, if the linker placed it.
#[cfg(any(not(all(feature = "library", unix)), test))]
fn section() -> Option<std::ops::Range<u64>> {
    None
}

/// See above.
#[cfg(all(feature = "library", unix, not(test)))]
fn section() -> Option<std::ops::Range<u64>> {
    unsafe extern "C" {
        static seqc_inside: u8;
        static seqc_inside_end: u8;
    }
    let (start, end) = (&raw const seqc_inside as usize, &raw const seqc_inside_end as usize);
    let first = Mapped::containing(start)?.offset_of(start);
    (start < end).then(|| first..first + (end - start) as u64)
}

#[cfg(all(any(feature = "library", test), unix))]
mod mapped {
    use std::{
        ffi::{CStr, OsStr, c_int, c_void},
        os::unix::ffi::OsStrExt,
        path::PathBuf,
    };

    /// A part of a program or library, as it was loaded.
    #[derive(Debug, Default)]
    pub(super) struct Mapped {
        /// What is looked for.
        address: usize,
        /// Where the part is in memory, and in its file.
        start: usize,
        offset: u64,
        /// The library's file; empty: the program.
        name: Vec<u8>,
        found: bool,
    }

    impl Mapped {
        /// The part that contains an address.
        pub(super) fn containing(address: usize) -> Option<Mapped> {
            let mut mapped = Mapped {
                address,
                ..Mapped::default()
            };
            // SAFETY: the callback gets what it expects, and nobody else uses it meanwhile.
            unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut mapped).cast()) };
            mapped.found.then_some(mapped)
        }

        /// The file. Names of programs are what they were started by, which may lead elsewhere.
        pub(super) fn file(&self) -> Option<PathBuf> {
            match self.name.is_empty() {
                true => std::env::current_exe().ok(),
                false => std::fs::canonicalize(OsStr::from_bytes(&self.name)).ok(),
            }
        }

        /// Where an address of this part is in the file.
        #[cfg_attr(test, allow(dead_code))]
        pub(super) fn offset_of(&self, address: usize) -> u64 {
            self.offset + (address - self.start) as u64
        }
    }

    unsafe extern "C" fn look(about: *mut libc::dl_phdr_info, _: usize, mapped: *mut c_void) -> c_int {
        // SAFETY: the system gives a description of what it loaded, and `containing` its place for the result.
        unsafe {
            let (about, mapped) = (&*about, &mut *mapped.cast::<Mapped>());
            let parts = std::slice::from_raw_parts(about.dlpi_phdr, usize::from(about.dlpi_phnum));
            for part in parts.iter().filter(|part| part.p_type == libc::PT_LOAD) {
                let start = (about.dlpi_addr + part.p_vaddr) as usize;
                if (start..start + part.p_memsz as usize).contains(&mapped.address) {
                    let name = about.dlpi_name;
                    mapped.name = if name.is_null() {
                        Vec::new()
                    } else {
                        CStr::from_ptr(name).to_bytes().to_vec()
                    };
                    (mapped.start, mapped.offset, mapped.found) = (start, part.p_offset, true);
                    return 1;
                }
            }
            0
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        static TEXT: &[u8; 24] = b"a text of this test file";

        #[test]
        fn an_address_leads_to_its_place_in_the_file() {
            let address = TEXT.as_ptr() as usize;
            let mapped = Mapped::containing(address).expect("loaded");
            let file = std::fs::read(mapped.file().expect("a file")).expect("readable");
            let at = mapped.offset_of(address) as usize;
            assert_eq!(&file[at..at + TEXT.len()], TEXT);
            assert!(Mapped::containing(8).is_none());
        }
    }
}
