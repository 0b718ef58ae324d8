//! From a model file to a model: names resolved, sizes known, layers elaborated, parameters located.

pub mod bounds;
mod build;
pub mod expand;
pub mod file;
pub mod standard;
pub mod values;
pub mod weights;
pub mod yaml;

use crate::{
    diag::Diagnostic,
    elaborate::Given,
    library::Library,
    source::{FileId, Place, Sources},
};
use file::ModelFile;
use seqc_ir::Model;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};
use values::Names;
use weights::Tensors;
use yaml::Node;

/// Longest model or layer file.
const MAX_FILE: u64 = 16 << 20;

/// What is known about a model beside its graphs.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// The checkpoint, relative to where the command runs or absolute.
    pub weights: Option<PathBuf>,
    /// Seed of random weights.
    pub random: Option<u64>,
    /// The tokenizer.
    pub tokenizer: Option<PathBuf>,
    /// Longest sequence that the model admits.
    pub max_context: Option<usize>,
    /// For each input of integers, how many values it takes.
    pub vocabularies: Vec<Option<usize>>,
    /// All that the model and its layers say, for a hash: the same text means the same program.
    pub text: String,
}

/// A model and what belongs to it.
#[derive(Debug)]
pub struct Built {
    /// The graphs and calls.
    pub model: Model,
    /// What is known beside.
    pub meta: Meta,
    /// The checkpoint, where it is there.
    pub tensors: Tensors,
    /// The document as it was used, for `--print-effective`.
    pub document: Node,
    /// Values of the sizes, in order.
    pub sizes: Vec<(String, crate::known::Known)>,
}

/// How a model is read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// `path.to.key=value` overrides.
    pub set: Vec<(String, String)>,
    /// A checkpoint instead of the model's.
    pub weights: Option<PathBuf>,
}

/// Reads a model with all its layers. Problems of one stage hide those of the next.
pub fn read(path: &Path, sources: &mut Sources, options: &ReadOptions) -> Result<Built, Vec<Diagnostic>> {
    let text = text_of(path).map_err(|d| vec![d])?;
    read_text(path, text, sources, options)
}

/// The same for a text that stands, or will stand, at `path`.
pub fn read_text(
    path: &Path,
    text: String,
    sources: &mut Sources,
    options: &ReadOptions,
) -> Result<Built, Vec<Diagnostic>> {
    let id = sources.add(path, text.clone());
    let mut root = yaml::read(id, &text).map_err(|d| vec![d])?;
    for (key, value) in &options.set {
        set(&mut root, key, value, sources).map_err(|d| vec![d])?;
    }
    let (mut file, mut diagnostics) = file::read(root);
    if file.name.is_empty() {
        file.name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    }
    let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut library = standard::library(sources, &mut diagnostics);
    for node in &file.uses {
        use_file(&mut library, node, &dir, sources, &mut diagnostics);
    }
    let (names, sizes) = sizes(&file, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let (instances, problems) = expand::expand(&library, &file, names.clone());
    diagnostics.extend(problems);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let weights = options.weights.clone().or_else(|| file.weights.file.as_ref().map(|(name, _)| dir.join(name)));
    let tensors = Tensors::open(&file, weights.clone()).map_err(|d| vec![d])?;
    let (model, problems) = build::build(&library, &file, &names, &tensors, &instances);
    if !problems.is_empty() {
        return Err(problems);
    }
    let violations = seqc_ir::verify::verify_model(&model);
    if let Some(v) = violations.first() {
        return Err(vec![Diagnostic::bare("internal", format!("this is a bug in seqc: {v}"))]);
    }
    let meta = Meta {
        name: file.name.clone(),
        weights,
        random: file.weights.random.filter(|_| options.weights.is_none()),
        tokenizer: file.tokenizer.as_ref().map(|(name, _)| dir.join(name)),
        max_context: bounds::max_context(&model),
        vocabularies: bounds::vocabularies(&model),
        text: seqc_text(&model),
    };
    Ok(Built {
        model,
        meta,
        tensors,
        document: file.root,
        sizes,
    })
}

fn seqc_text(model: &Model) -> String {
    model.to_string()
}

/// The text of a file of bounded length; `-` is standard input.
pub fn text_of(path: &Path) -> Result<String, Diagnostic> {
    use std::io::Read;
    let shown = path.display();
    let fail = |e: std::io::Error| Diagnostic::bare("no-file", format!("{shown}: {e}"));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(fail)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)
    };
    read.map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Diagnostic::bare("no-file", format!("{shown} is longer than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Diagnostic::bare("no-file", format!("{shown} is not UTF-8 text")))
}

/// Adds the definitions of a layer file beside the model.
fn use_file(library: &mut Library, node: &Node, dir: &Path, sources: &mut Sources, out: &mut Vec<Diagnostic>) {
    let Some(name) = node.text() else {
        let message = format!("the path of a layer file is wanted here, not {}", node.what());
        out.push(Diagnostic::new("wrong-type", node.place, message));
        return;
    };
    match text_of(&dir.join(name)) {
        Ok(text) => {
            let id = sources.add(&dir.join(name), text.clone());
            add_definitions(library, id, &text, out);
        }
        Err(d) => out.push(Diagnostic::new("no-file", node.place, d.message).help("paths are relative to the model file")),
    }
}

/// Parses a layer file and adds its definitions.
pub fn add_definitions(library: &mut Library, id: FileId, text: &str, out: &mut Vec<Diagnostic>) {
    let (file, problems) = crate::syntax::file(id, text);
    out.extend(problems);
    let mut seen: HashMap<String, Place> = HashMap::new();
    for def in file.items {
        let place = Place::new(id, def.name.span);
        if let Some(before) = seen.insert(def.name.text.clone(), place) {
            let message = format!("`{}` is defined twice", def.name.text);
            out.push(Diagnostic::new("defined-twice", place, message).note(before, "first here"));
        }
        library.insert(id, def);
    }
}

/// The model's sizes, each an expression over those above it.
fn sizes(file: &ModelFile, out: &mut Vec<Diagnostic>) -> (Names, Vec<(String, crate::known::Known)>) {
    let mut names = Names::default();
    let mut order = Vec::new();
    for (key, node) in &file.sizes {
        match names.value(node) {
            Ok(value) => {
                order.push((key.text.clone(), value.clone()));
                names.sizes.insert(
                    key.text.clone(),
                    Given {
                        value,
                        place: node.place,
                    },
                );
            }
            Err(d) => out.push(d),
        }
    }
    (names, order)
}

/// Applies one `--set path.to.key=value`.
fn set(root: &mut Node, key: &str, value: &str, sources: &mut Sources) -> Result<(), Diagnostic> {
    let id = sources.add(Path::new("--set"), format!("{key}={value}"));
    let mut node = yaml::read(id, value)?;
    node.place.span.start += key.len() as u32 + 1;
    node.place.span.end += key.len() as u32 + 1;
    let path: Vec<&str> = key.split('.').collect();
    let place = node.place;
    root.set(&path, node)
        .map_err(|message| Diagnostic::new("bad-set", place, format!("--set {key}: {message}")))
}
