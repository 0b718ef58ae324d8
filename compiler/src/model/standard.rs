//! The layers and families that the tool carries: the files of `specs/`.

use super::add_definitions;
use crate::{diag::Diagnostic, library::Library, source::Sources};
use include_dir::{Dir, include_dir};
use std::path::Path;

static LAYERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../specs/layers");
static FAMILIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../specs/families");

/// All layers of `specs/layers`.
pub fn library(sources: &mut Sources, out: &mut Vec<Diagnostic>) -> Library {
    let mut library = Library::default();
    for (name, text) in texts(&LAYERS) {
        let id = sources.add(&Path::new("specs/layers").join(name), text.to_owned());
        add_definitions(&mut library, id, text, out);
    }
    library
}

/// Names and texts of the files of `specs/families`.
pub fn families() -> Vec<(String, &'static str)> {
    texts(&FAMILIES)
        .into_iter()
        .map(|(name, text)| (format!("specs/families/{name}"), text))
        .collect()
}

fn texts(dir: &'static Dir<'_>) -> Vec<(&'static str, &'static str)> {
    let mut files: Vec<_> = dir
        .files()
        .filter_map(|f| Some((f.path().file_name()?.to_str()?, f.contents_utf8()?)))
        .collect();
    files.sort_unstable();
    files
}
