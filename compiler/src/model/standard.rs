//! The layers, caches and families that the tool carries: the files of `specs/`.

use crate::{
    diag::Diagnostic,
    library::Library,
    source::{FileId, Sources},
};
use include_dir::{Dir, include_dir};
use seqc_grammar::ast::File;
use std::sync::OnceLock;

static LAYERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../specs/layers");
static CACHES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../specs/caches");
static FAMILIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../specs/families");

/// All layers of `specs/layers` and caches of `specs/caches`.
pub fn library(sources: &mut Sources, out: &mut Vec<Diagnostic>) -> Library {
    static PARSED: OnceLock<Vec<File>> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| {
        let files = files();
        files
            .iter()
            .map(|(_, text)| seqc_grammar::parse_file(FileId(0), text).0)
            .collect()
    });
    let mut library = Library::default();
    for ((name, text), file) in files().into_iter().zip(parsed) {
        let id = sources.add(name, text);
        // Files that are right, which a test says of these, are read once.
        if file.items.is_empty() {
            out.extend(seqc_grammar::parse_file(id, text).1);
        }
        for def in &file.items {
            library.insert_standard(id, def.clone());
        }
    }
    library
}

/// Paths and texts of the files of `specs/layers` and `specs/caches`.
fn files() -> Vec<(String, &'static str)> {
    let named = |folder: &'static str, dir| {
        let files = texts(dir).into_iter();
        files.map(move |(name, text)| (format!("specs/{folder}/{name}"), text))
    };
    named("layers", &LAYERS).chain(named("caches", &CACHES)).collect()
}

/// Names and texts of the files of `specs/families`.
pub fn families() -> Vec<(String, &'static str)> {
    texts(&FAMILIES)
        .into_iter()
        .map(|(name, text)| (format!("specs/families/{name}"), text))
        .collect()
}

/// Parts that families include: the path, the name and the text of each file of `specs/families/parts`.
pub fn family_parts() -> Vec<(String, String, &'static str)> {
    let parts = FAMILIES.get_dir("parts").map(texts).unwrap_or_default();
    parts
        .into_iter()
        .map(|(name, text)| {
            let stem = name.trim_end_matches(".yaml").to_owned();
            (format!("specs/families/parts/{name}"), stem, text)
        })
        .collect()
}

/// Texts of the files of `specs/layers` and `specs/caches`, by name.
pub fn seq_texts() -> Vec<(&'static str, &'static str)> {
    [texts(&LAYERS), texts(&CACHES)].concat()
}

fn texts(dir: &'static Dir<'_>) -> Vec<(&'static str, &'static str)> {
    let mut files: Vec<_> = dir
        .files()
        .filter_map(|f| Some((f.path().file_name()?.to_str()?, f.contents_utf8()?)))
        .collect();
    files.sort_unstable();
    files
}
