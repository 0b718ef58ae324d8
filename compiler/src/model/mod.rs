//! From a model file to a model: names resolved, sizes known, layers elaborated, parameters located.

mod activations;
pub mod bounds;
mod build;
mod cache;
mod cache_type;
mod clock;
pub mod expand;
mod expected;
mod set;
pub mod standard;
mod texts;
mod unread;
mod unused;
pub mod values;
pub mod weights;

use crate::{
    diag::{Diagnostic, Placed},
    elaborate::{self, Given, children},
    known::Known,
    library::{Definition, Library},
    source::{FileId, Place, Sources},
};
pub use build::CallSettings;
pub use cache::CacheEntry;
pub use expand::{ENCODER, missing_parts};
pub use expected::{Expected, Other};
use seqc_grammar::{
    ast::{Def, DefKind, Expr, ExprKind, Ident, StreamParam, StreamTy},
    model::{ModelFile, Spanned, read_model},
    yaml::parse_yaml,
};
use seqc_ir::Model;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};
pub use values::INDICES;
use values::Names;
use weights::Tensors;

/// Longest model or layer file.
const MAX_FILE: u64 = 16 << 20;

/// What is known about a model beside its graphs.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// The folder of the model file, from which it names others.
    pub folder: PathBuf,
    /// The checkpoint, relative to where the command runs or absolute.
    pub weights: Option<PathBuf>,
    /// Seed of random weights.
    pub random: Option<u64>,
    /// The tokenizer.
    pub tokenizer: Option<PathBuf>,
    /// Ids of tokens that end a text.
    pub ends: Vec<i64>,
    /// Longest sequence that the model admits.
    pub max_context: Option<usize>,
    /// Tokens of the longest sequences that it was trained on.
    pub trained_length: Option<usize>,
    /// Ids that the tokens of a model with an encoder begin with.
    pub start: Vec<i64>,
    /// Longest sequence that the encoder admits.
    pub longest_memory: Option<usize>,
    /// For each input of integers, how many values it takes.
    pub vocabularies: Vec<Option<usize>>,
    /// The same for each input of the encoder.
    pub memory_vocabularies: Vec<Option<usize>>,
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
    /// The model file.
    pub file: FileId,
    /// All files that were read, or are named: outputs must not be one of them.
    pub inputs: Vec<PathBuf>,
    /// Its syntax.
    pub document: ModelFile,
    /// Values of the sizes, in order.
    pub sizes: Vec<(String, Known)>,
    /// The layers one by one, those of the encoder first.
    pub instances: Vec<expand::Instance>,
    /// The number of each of them among the model's calls.
    pub calls: Vec<usize>,
    /// Values of all settings of each of them.
    pub settings: Vec<CallSettings>,
    /// How its attentions keep keys and values.
    pub caches: Vec<CacheEntry>,
    /// What is probably not meant in its layers.
    pub remarks: Vec<Diagnostic>,
}

impl Built {
    /// What is probably not meant: in its layers, a checkpoint that is not there yet, tensors of one that nothing reads.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let missing = self.meta.weights.as_ref().filter(|_| self.tensors.checkpoint.is_none());
        let missing = missing.map(|path| {
            let message = format!("there is no file {} yet: its tensors were not checked", path.display());
            let d = Diagnostic::warning("no-weights", message);
            match self.document.weights.as_ref().and_then(|w| w.file.as_ref()) {
                Some(file) => d.label(self.file, file.span, ""),
                None => d,
            }
        });
        let unread = unread::warning(&self.tensors, &self.model, self.file, &self.document);
        self.remarks.iter().cloned().chain(missing).chain(unread).collect()
    }
}

/// How a model is read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// `path.to.key=value` overrides.
    pub set: Vec<(String, String)>,
    /// The checkpoint.
    pub weights: WeightsFrom,
    /// How weights that are not there yet will be stored.
    pub expected: Option<Expected>,
}

/// Which checkpoint a model is read with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WeightsFrom {
    /// The one that the model names.
    #[default]
    Model,
    /// Another one.
    File(PathBuf),
    /// None, as if the model named no file.
    Nowhere,
}

/// Reads a model with all its layers. Problems of one stage hide those of the next.
pub fn read(path: &Path, sources: &mut Sources, options: &ReadOptions) -> Result<Built, Vec<Diagnostic>> {
    if path.extension().is_some_and(|ending| ending == "seq") {
        let message = format!("{} is a layer file, a model is expected", path.display());
        let d = Diagnostic::bare("layer-file", message);
        return Err(vec![d.help("a model is a YAML file that names it under `use:`")]);
    }
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
    let shown = set::with_overrides(&text, &options.set);
    let id = sources.add(path.display().to_string(), shown.clone());
    let (root, mut diagnostics) = parse_yaml(id, &text);
    let Some(mut root) = root else {
        return Err(diagnostics);
    };
    set::apply(&mut root, id, &shown, &options.set).map_err(|d| vec![d])?;
    let Some(mut file) = read_model(id, &root, &mut diagnostics) else {
        return Err(diagnostics);
    };
    if file.name.value.is_empty() {
        file.name.value = path
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
    }
    let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut library = standard::library(sources, &mut diagnostics);
    diagnostics.extend(use_layers(&mut library, id, &file, &dir, sources));
    let (names, sizes) = sizes(id, &file.sizes, &mut diagnostics);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let (mut instances, problems) = expand::expand(&library, &file, names.clone());
    diagnostics.extend(problems);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let named = file.weights.as_ref().and_then(|w| w.file.as_ref());
    let weights = match &options.weights {
        WeightsFrom::Model => named.map(|f| dir.join(&f.value)),
        WeightsFrom::File(path) => Some(path.clone()),
        WeightsFrom::Nowhere => None,
    };
    let tensors =
        Tensors::open(id, file.weights.as_ref(), weights.clone(), options.expected.clone()).map_err(|d| vec![d])?;
    let mut caches = caches(&library, &file, &names, &tensors, &mut instances)?;
    let outcome = build::build(&library, &file, &names, &tensors, &instances);
    if !outcome.problems.is_empty() {
        return Err(outcome.problems);
    }
    let (mut model, settings, mut remarks) = (outcome.model, outcome.settings, outcome.warnings);
    let rounded = file.activations.as_ref();
    model.activations = activations::read(&names, rounded).map_err(|d| vec![d])?;
    remarks.extend(activations::without_effect(&model, &names, rounded));
    cache::fill_in(&mut caches, &outcome.policies);
    remarks.extend(unused::warnings(id, &file, &library, &instances));
    remarks.extend(cache::unused_type(&model, &names, &file.caches));
    if let Some(v) = seqc_ir::verify::verify_model(&model).first() {
        let message = format!("this is a bug in seqc: {v}");
        return Err(vec![Diagnostic::bare("internal", message)]);
    }
    let vocabularies = bounds::vocabularies(&model, &model.inputs);
    let texts::TextSettings {
        ends,
        start,
        trained_length,
    } = texts::text_settings(&file, &names, vocabularies.iter().flatten().next().copied()).map_err(|d| vec![d])?;
    let random = file.weights.as_ref().and_then(|w| w.random.as_ref()).map(|r| r.value);
    let meta = Meta {
        name: file.name.value.clone(),
        folder: dir.clone(),
        weights,
        random: random.filter(|_| !matches!(options.weights, WeightsFrom::File(_))),
        tokenizer: file.tokenizer.as_ref().map(|t| dir.join(&t.value)),
        ends,
        start,
        max_context: bounds::max_context(&model, model.token_calls()),
        longest_memory: bounds::max_context(&model, model.memory_calls()),
        trained_length,
        vocabularies,
        memory_vocabularies: bounds::vocabularies(&model, &model.memory.inputs),
    };
    let mut inputs = vec![path.to_owned()];
    inputs.extend(file.uses.iter().map(|used| dir.join(&used.value)));
    inputs.extend(meta.tokenizer.clone());
    inputs.extend(meta.weights.clone());
    inputs.extend(named.map(|f| dir.join(&f.value)));
    inputs.extend(tensors.checkpoint.iter().flat_map(|c| c.paths().to_vec()));
    // The command itself: nothing is written over what runs.
    inputs.extend(std::env::current_exe());
    Ok(Built {
        model,
        meta,
        tensors,
        file: id,
        inputs,
        document: file,
        sizes,
        instances,
        calls: outcome.calls,
        settings,
        caches,
        remarks,
    })
}

/// Says of each layer how its attentions keep keys and values. Gives the entries of the model that do.
fn caches(
    library: &Library,
    file: &ModelFile,
    names: &Names,
    tensors: &Tensors,
    instances: &mut [expand::Instance],
) -> Result<Vec<CacheEntry>, Vec<Diagnostic>> {
    if file.caches.is_empty() {
        return Ok(Vec::new());
    }
    // Which layers have attentions is known once they are elaborated.
    let for_all = file.caches.iter().all(|c| c.policy.is_none() && c.on.is_none());
    let attentions = match for_all {
        true => vec![true; instances.len()],
        false => {
            let outcome = build::build(library, file, names, tensors, instances);
            if !outcome.problems.is_empty() {
                return Err(outcome.problems);
            }
            cache::attentions(&outcome.model, &outcome.calls)
        }
    };
    let site = cache::Site {
        library,
        names,
        attentions: &attentions,
    };
    site.assign(&file.caches, instances)
}

/// The text of a file of bounded length; `-` is standard input.
pub fn text_of(path: &Path) -> Result<String, Diagnostic> {
    use std::io::Read;
    let shown = path.display();
    let fail = |e: std::io::Error| {
        let what = match e.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            std::io::ErrorKind::IsADirectory => "this is a folder, not a file".to_owned(),
            _ => e.to_string(),
        };
        Diagnostic::bare("no-file", format!("{shown}: {what}"))
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)
    } else {
        // Pipes are refused before they are opened, which may wait for ever.
        if !std::fs::metadata(path).map_err(fail)?.is_file() {
            let message = format!("{shown} is not a plain file");
            return Err(Diagnostic::bare("no-file", message).help("`-` reads standard input"));
        }
        let file = std::fs::File::open(path).map_err(fail)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)
    };
    read.map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Diagnostic::bare(
            "no-file",
            format!("{shown} is longer than {MAX_FILE} bytes"),
        ));
    }
    String::from_utf8(bytes).map_err(|_| Diagnostic::bare("no-file", format!("{shown} is not UTF-8 text")))
}

/// Adds the definitions of the layer files that a model in file `id` and folder `dir` uses.
pub fn use_layers(
    library: &mut Library,
    id: FileId,
    model: &ModelFile,
    dir: &Path,
    sources: &mut Sources,
) -> Vec<Diagnostic> {
    let (uses, mut problems) = (&model.uses, Vec::new());
    for (n, used) in uses.iter().enumerate() {
        if uses[..n].iter().any(|u| u.value == used.value) {
            continue;
        }
        let path = dir.join(&used.value);
        match layer_text(&path, used, id) {
            Ok(text) => {
                let file = sources.add(path.display().to_string(), text.clone());
                add_definitions(library, file, &text, &mut problems);
            }
            Err(d) => problems.push(d),
        }
    }
    problems
}

/// The text of a layer file that the model in file `id` uses.
fn layer_text(path: &Path, used: &Spanned<String>, id: FileId) -> Result<String, Diagnostic> {
    let place = Place::new(id, used.span);
    // No line of another file is read, nor shown in a message, because a model names it; a link is what it leads to.
    let is_layer = |path: &Path| path.extension().is_some_and(|ending| ending == "seq");
    let leads = path.canonicalize();
    if !is_layer(path) || leads.is_ok_and(|path| !is_layer(&path) || !path.is_file()) {
        let message = format!("`{}` is not a layer file", used.value);
        let d = Diagnostic::new("bad-use", place, message);
        return Err(d.help("`use` names files whose names end in `.seq`"));
    }
    text_of(path).map_err(|d| {
        Diagnostic::new("no-file", place, d.message).help("paths are relative to the file that names them")
    })
}

/// Parses a layer file and adds its definitions.
pub fn add_definitions(library: &mut Library, id: FileId, text: &str, out: &mut Vec<Diagnostic>) {
    let (file, problems) = seqc_grammar::parse_file(id, text);
    out.extend(problems);
    let mut seen: HashMap<String, Place> = HashMap::new();
    for def in file.items {
        let place = Place::new(id, def.name.span);
        if let Some(before) = seen.insert(def.name.text.clone(), place) {
            let message = format!("`{}` is defined twice", def.name.text);
            out.push(Diagnostic::new("defined-twice", place, message).note(before, "first here"));
        }
        if def.kind == DefKind::Fn && elaborate::is_built_in(&def.name.text) {
            let message = format!("`{}` is built in", def.name.text);
            out.push(Diagnostic::new("defined-twice", place, message).help("give this function another name"));
        }
        out.extend(wrapped(id, &def));
        let (name, kind) = (def.name.text.clone(), def.kind);
        if let Some(other) = library.insert(id, def) {
            out.push(ambiguous(&name, kind, place, &other));
        }
    }
}

/// What is wrong with the `layer` arguments of a definition: a block has one, behind its stream, others have none.
fn wrapped(file: FileId, def: &Def) -> Option<Diagnostic> {
    let inner: Vec<&StreamParam> = def.streams.iter().filter(|s| s.ty == StreamTy::Layer).collect();
    let (name, place) = (&def.name.text, |s: &StreamParam| Place::new(file, s.name.span));
    let wrong = |at, message: String| Diagnostic::new("block-argument", at, message);
    let form = format!("`block {name}(x: [d], inner: layer) -> [d]`");
    match (def.kind, &inner[..]) {
        (DefKind::Block, [one]) if def.streams.first() != Some(*one) => None,
        (DefKind::Block, [one]) => {
            let d = wrong(place(one), format!("the first argument of `{name}` is a layer"));
            Some(d.help(format!(
                "a block takes a stream first, then the layer that it wraps: {form}"
            )))
        }
        (DefKind::Block, [first, second, ..]) => {
            let message = format!(
                "`{name}` has {} arguments that are layers: a block wraps one",
                inner.len()
            );
            let d = wrong(place(second), message).note(place(first), "the layer that it wraps");
            Some(d.help(
                "models put several blocks around a layer, `block: [outer, inner]`, and layers one after another",
            ))
        }
        (DefKind::Block, []) => {
            let d = wrong(Place::new(file, def.name.span), format!("`{name}` wraps no layer"));
            Some(d.help(format!(
                "a block has an argument for the layer that it wraps, {form}; without one it is a `layer`"
            )))
        }
        (_, [first, ..]) => {
            let d = wrong(
                place(first),
                format!("`{name}` is not a block: it has no argument that is a layer"),
            );
            Some(d.help(format!("what wraps a layer is written {form}")))
        }
        (_, []) => None,
    }
}

/// Two files that a model uses define the same layer or block.
fn ambiguous(name: &str, kind: DefKind, place: Place, other: &Definition) -> Diagnostic {
    let what = match kind {
        DefKind::Block => "block",
        DefKind::Layer => "layer",
        DefKind::Fn => "function",
        DefKind::Cache => "cache",
    };
    let message = format!("the {what} `{name}` is defined in two files that the model uses");
    let before = Place::new(other.file, other.def.name.span);
    Diagnostic::new("defined-twice", place, message)
        .note(before, "and here")
        .help("rename one of them, or use one of the files")
}

/// The model's sizes, each an expression over those above it.
fn sizes(file: FileId, sizes: &[(Ident, Expr)], out: &mut Vec<Diagnostic>) -> (Names, Vec<(String, Known)>) {
    let mut names = Names {
        file,
        ..Names::default()
    };
    let mut order = Vec::new();
    let mut wrong: Vec<&str> = Vec::new();
    for (name, expr) in sizes {
        if follows_from(expr, &wrong) {
            wrong.push(&name.text);
            continue;
        }
        match names.value(expr) {
            Ok(value) => {
                order.push((name.text.clone(), value.clone()));
                let place = Place::new(file, expr.span);
                names.sizes.insert(name.text.clone(), Given { value, place });
            }
            Err(d) => {
                wrong.push(&name.text);
                out.push(d);
            }
        }
    }
    (names, order)
}

/// Whether an expression could not be read, or uses a size that is wrong itself: both have been reported.
fn follows_from(expr: &Expr, wrong: &[&str]) -> bool {
    match &expr.kind {
        ExprKind::Error => true,
        ExprKind::Name(name) => wrong.contains(&name.as_str()),
        _ => children(expr).into_iter().any(|part| follows_from(part, wrong)),
    }
}
