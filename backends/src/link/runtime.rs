//! What programs and libraries are linked with, besides generated code: the runtime, and the C library that rustc ships.
//!
//! That of the family of processors that this compiler runs on is carried inside it. Those of others are folders, which the command
//! `seqc-archive` of the source makes.

use super::tools::{Error, file};
use crate::scratch::Folder;
use seqc_abi::Family;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

macro_rules! part {
    ($name:literal) => {
        ($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name)) as &[u8])
    };
}

/// What is carried: file names and contents.
const CARRIED: &[(&str, &[u8])] = &[
    part!("crt1.o"),
    part!("crti.o"),
    part!("libseqc_runtime.a"),
    part!("libseqc_library.a"),
    part!("libunwind.a"),
    part!("libc.a"),
    part!("crtn.o"),
];
/// Variable that names the folder in which those of other families are.
const VARIABLE: &str = "SEQC_RUNTIMES";
/// The same folder, seen from that of this program.
const BESIDE: &str = "../lib/seqc";
/// The file that says what sources a runtime was built from.
const SOURCES: &str = "sources";

/// What code for a family of processors is linked with.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The family.
    pub(super) family: Family,
    /// Where its files are; `None`: they are carried.
    folder: Option<PathBuf>,
}

impl Runtime {
    /// That of a family: the one carried, or the one that `SEQC_RUNTIMES` or a folder beside this program has.
    ///
    /// # Errors
    ///
    /// [`Error::NoRuntime`] with the places, [`Error::OtherRuntime`] for one that was built from other sources.
    pub fn of(family: Family) -> Result<Runtime, Error> {
        if family.shares_runtime() {
            return Ok(Runtime { family, folder: None });
        }
        let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(BESIDE)));
        let beside = beside.map(|folder| fs::canonicalize(&folder).unwrap_or(folder));
        let places: Vec<PathBuf> = env::var_os(VARIABLE)
            .map(PathBuf::from)
            .into_iter()
            .chain(beside)
            .collect();
        let folders: Vec<PathBuf> = places.iter().map(|place| place.join(family.name())).collect();
        match folders.iter().find(|folder| folder.join(SOURCES).is_file()) {
            Some(folder) => Runtime::in_folder(family, folder),
            None => Err(Error::NoRuntime { family, folders }),
        }
    }

    /// That in a folder.
    ///
    /// # Errors
    ///
    /// [`Error::OtherRuntime`].
    pub fn in_folder(family: Family, folder: &Path) -> Result<Runtime, Error> {
        let stamp = fs::read_to_string(folder.join(SOURCES)).unwrap_or_default();
        let folder = folder.to_owned();
        match stamp == env!("SEQC_RUNTIME_SOURCES") {
            true => Ok(Runtime {
                family,
                folder: Some(folder),
            }),
            false => Err(Error::OtherRuntime { family, folder }),
        }
    }

    /// The path of a file of it, which is written to `scratch` if it is carried.
    pub(super) fn part(&self, scratch: &Folder, name: &str) -> Result<PathBuf, Error> {
        let carried = CARRIED.iter().find(|(carried, _)| *carried == name);
        match (&self.folder, carried) {
            (None, Some((name, bytes))) => file(scratch, name, bytes),
            (None, None) => Ok(scratch.file(name)),
            (Some(folder), _) => Ok(folder.join(name)),
        }
    }
}
