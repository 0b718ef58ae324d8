//! The files of a program: the names by which it looks for weights and tokenizer, or the files themselves inside it.

use crate::{
    model::{Built, WeightsFrom},
    paths,
    request::{Emit, Request},
};
use std::path::{Path, PathBuf};

/// What a descriptor says of files, and what is appended to the program.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The checkpoint.
    pub(crate) weights: Option<String>,
    /// The tokenizer.
    pub(crate) tokenizer: Option<String>,
    /// Names inside the program, and the files that get them.
    pub(crate) inside: Vec<(String, PathBuf)>,
    /// The same for a folder in which they stand beside the program.
    pub(crate) beside: Vec<(String, PathBuf)>,
}

impl Files {
    /// The files of a model as requested.
    pub(crate) fn of(built: &Built, request: &Request) -> Result<Files, String> {
        if request.embed {
            return inside(built);
        }
        if request.emit == Emit::Web && (built.meta.weights.is_some() || built.meta.tokenizer.is_some()) {
            let all = inside(built)?;
            return Ok(Files {
                inside: Vec::new(),
                beside: all.inside,
                ..all
            });
        }
        // Where a package is installed, nobody knows yet: files are looked for beside its library, or the program.
        let alone = matches!(request.emit, Emit::Crate | Emit::Wheel);
        let here = Path::new("");
        let home = match request.output.parent() {
            Some(folder) if request.output.as_os_str() != "-" => folder,
            _ => &built.meta.folder,
        };
        let written = built
            .document
            .weights
            .as_ref()
            .and_then(|weights| weights.file.as_ref());
        let in_model = |named: &str| paths::seen_from(home, Path::new(named), &built.meta.folder);
        let weights = match &request.read.weights {
            WeightsFrom::File(asked) => Some(paths::seen_from(home, asked, here)),
            WeightsFrom::Model => written.map(|file| in_model(&file.value)),
            WeightsFrom::Nowhere => None,
        };
        let tokenizer = built.document.tokenizer.as_ref().map(|file| in_model(&file.value));
        let placed = |path: String| match Path::new(&path).file_name() {
            Some(name) if alone => name.to_string_lossy().into_owned(),
            _ => path,
        };
        Ok(Files {
            weights: weights.map(placed),
            tokenizer: tokenizer.map(placed),
            inside: Vec::new(),
            beside: Vec::new(),
        })
    }
}

/// Everything inside: the checkpoint's files, and the tokenizer with what is read beside it.
fn inside(built: &Built) -> Result<Files, String> {
    let mut files = Files::default();
    if let Some(path) = &built.meta.weights {
        let missing = || format!("there is no checkpoint {} to embed", path.display());
        let checkpoint = built.tensors.checkpoint.as_ref().ok_or_else(missing)?;
        // An index comes first, a file that is all there is as well.
        for path in checkpoint.paths() {
            let name = files.add("weights", path);
            files.weights.get_or_insert(name);
        }
    }
    if let Some(path) = &built.meta.tokenizer {
        let path = if path.is_dir() {
            path.join("tokenizer.json")
        } else {
            path.clone()
        };
        if !path.is_file() {
            return Err(format!("there is no tokenizer {} to embed", path.display()));
        }
        files.tokenizer = Some(files.add("tokenizer", &path));
        if path.extension().is_some_and(|ending| ending == "json") {
            for beside in seqc_checkpoint::companions(path.parent().unwrap_or(Path::new(""))) {
                files.add("tokenizer", &beside);
            }
        }
    }
    if files.inside.is_empty() {
        return Err("this model has neither weights nor a tokenizer to embed".to_owned());
    }
    Ok(files)
}

impl Files {
    /// Adds a file to a folder, once; gives the name that it has.
    fn add(&mut self, folder: &str, path: &Path) -> String {
        let same = |known: &Path| known.canonicalize().ok() == path.canonicalize().ok();
        if let Some((name, _)) = self.inside.iter().find(|(_, known)| same(known)) {
            return name.clone();
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{folder}/{file}");
        self.inside.push((name.clone(), path.to_owned()));
        name
    }
}
