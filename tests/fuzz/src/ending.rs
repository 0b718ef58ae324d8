//! How a case ends, and the files that it is made of.

use seqc::{diag::Diagnostic, render, source::Sources};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How a case ended: one word of a few, which is counted; or what is wrong.
pub(crate) type Ending = Result<&'static str, String>;

/// Writes a file of a case.
pub(crate) fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
    let path = dir.join(name);
    fs::write(&path, bytes).map_err(|e| format!("{name}: {e}"))?;
    Ok(path)
}

/// Every message has a text that can be shown, and none says that the fault is ours.
pub(crate) fn refused(diagnostics: &[Diagnostic], sources: &Sources) -> Ending {
    if diagnostics.is_empty() {
        return Err("refused without a word".to_owned());
    }
    for d in diagnostics {
        let text = render::human(d, sources, false);
        render::machine(d, sources);
        if d.code == "internal" {
            return Err(text);
        }
    }
    Ok("refused")
}
