//! Where families of the user's own are looked for: beside the checkpoint, and in a folder of the configuration.

use super::error::bare;
use crate::diag::Diagnostic;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The family that a checkpoint brings along.
const BESIDE: &str = "family.yaml";
/// Most families of a folder.
const MAX_FAMILIES: usize = 1000;

/// The family file in the folder of a checkpoint, if there is one.
pub(super) fn beside(checkpoint: &Path) -> Option<PathBuf> {
    let folder = match checkpoint.is_dir() {
        true => checkpoint,
        false => checkpoint.parent().unwrap_or(Path::new("")),
    };
    Some(folder.join(BESIDE)).filter(|path| path.is_file())
}

/// The folder of the user's families: `$XDG_CONFIG_HOME/seqc/families`, or below `~/.config`.
fn folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("seqc").join("families"))
}

/// The family files of that folder, in order of their names.
pub(super) fn own() -> Result<Vec<PathBuf>, Diagnostic> {
    let Some(folder) = folder().filter(|folder| folder.is_dir()) else {
        return Ok(Vec::new());
    };
    let entries = fs::read_dir(&folder).map_err(|e| bare(format!("{}: {e}", folder.display())))?;
    let paths = entries.take(MAX_FAMILIES).filter_map(Result::ok).map(|e| e.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    Ok(files)
}
