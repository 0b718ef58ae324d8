//! Folders as results, which replace nothing that people wrote.

use crate::request::{Failure, Request};
use std::{fs, path::Path};

/// Whether the folder of a request may be written: it is empty, or such a result, which `mark` is a file of.
///
/// # Errors
///
/// A file, or a folder with other contents.
pub(super) fn check(request: &Request, what: &str, mark: &Path) -> Result<(), Failure> {
    let folder = &request.output;
    let failed = |why: String| Err(Failure::Write(format!("{}: {why}", folder.display())));
    if folder.exists() && !folder.is_dir() {
        return failed(format!("this is a file; name a folder for the {what}"));
    }
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !empty && !mark.exists() && !request.force {
        return failed(format!(
            "this folder has other contents; --force writes the {what} into it"
        ));
    }
    Ok(())
}
