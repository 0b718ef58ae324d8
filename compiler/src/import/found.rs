//! The files of a checkpoint: which of a folder hold weights that can be read, and what to say about those that cannot.

use super::{
    config::Config,
    error::{bare, unread},
    sentencepiece::Converted,
    tokenizer,
};
use crate::{diag::Diagnostic, model};
use seqc_checkpoint::Checkpoint;
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// Most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// The model of SentencePiece in a folder.
const SENTENCEPIECE: &str = "tokenizer.model";
/// Names that a message shows.
const SHOWN: usize = 4;

/// What files are called that PyTorch writes.
const PYTORCH: &str = "a PyTorch file";

/// Endings of files that hold weights, and why they are not read.
const OTHER_WEIGHTS: &[(&str, &str)] = &[
    ("bin", PYTORCH),
    ("pt", PYTORCH),
    ("pth", PYTORCH),
    ("ckpt", PYTORCH),
    ("h5", "a TensorFlow file"),
    ("msgpack", "a Flax file"),
    ("onnx", "an ONNX file"),
    ("npz", "a NumPy file"),
];

/// What a checkpoint consists of.
pub(super) struct Found {
    pub(super) config: Config,
    pub(super) weights: PathBuf,
    pub(super) tokenizer: Option<PathBuf>,
    /// A model of SentencePiece, where that is the tokenizer.
    pub(super) sentencepiece: Option<PathBuf>,
    /// What that becomes.
    pub(super) converted: Option<Converted>,
    /// Remarks about these files for the user.
    pub(super) warnings: Vec<Diagnostic>,
}

/// The files of a folder, a configuration in one, or a single file.
pub(super) fn find(checkpoint: &Path) -> Result<Found, Diagnostic> {
    if checkpoint.is_dir() {
        return directory(checkpoint, &checkpoint.join("config.json"), None);
    }
    let folder = checkpoint.parent().unwrap_or(Path::new(""));
    if is_configuration(checkpoint) {
        return directory(folder, checkpoint, None);
    }
    let opened = Checkpoint::open(checkpoint).map_err(|e| unread(&e))?;
    if opened.gguf().is_some() {
        let config = Config::gguf(checkpoint, opened);
        let tokenizer = config.has("tokenizer.ggml.model").then(|| checkpoint.to_path_buf());
        return Ok(Found {
            config,
            weights: checkpoint.to_path_buf(),
            tokenizer,
            sentencepiece: None,
            converted: None,
            warnings: Vec::new(),
        });
    }
    let config = folder.join("config.json");
    if config.exists() {
        return directory(folder, &config, Some(checkpoint));
    }
    let message = format!(
        "{}: this file has no metadata, and there is no config.json in its directory",
        checkpoint.display()
    );
    Err(bare(message).help("a checkpoint is a folder with config.json and weights, or a GGUF file"))
}

/// Whether a file is a configuration by its name, and not the index of a checkpoint.
pub(super) fn is_configuration(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    ending(&name) == "json" && !name.ends_with(".index.json")
}

/// A folder in the manner of Hugging Face, with its configuration; `named` are its weights where the user says which.
fn directory(dir: &Path, path: &Path, named: Option<&Path>) -> Result<Found, Diagnostic> {
    let names = names(dir)?;
    if !path.exists() {
        return Err(no_config(dir, &names));
    }
    let text = model::text_of(path).map_err(|d| bare(d.message))?;
    let config = Config::json(path, &text)?;
    let weights = match named {
        Some(file) => file.to_path_buf(),
        None => weights(dir, &names)?,
    };
    let has = |name: &str| names.iter().any(|n| n == name);
    let tokenizer = has("tokenizer.json").then(|| dir.join("tokenizer.json"));
    if let Some(path) = &tokenizer
        && let Some(known) = foreign(path)
    {
        return Err(bare(format!("{}: {known}", path.display())));
    }
    let sentencepiece = (tokenizer.is_none() && has(SENTENCEPIECE)).then(|| dir.join(SENTENCEPIECE));
    let warnings = match (&tokenizer, &sentencepiece) {
        (Some(path), _) => tokenizer::check(path)?,
        (None, Some(_)) => Vec::new(),
        (None, None) => tokenizer_warning(dir, &has).into_iter().collect(),
    };
    Ok(Found {
        config,
        weights,
        tokenizer,
        sentencepiece,
        converted: None,
        warnings,
    })
}

/// What a file is that stands in the place of another one, by its first bytes.
fn foreign(path: &Path) -> Option<&'static str> {
    let mut head = [0; 64];
    // A pipe is never opened, which may wait for ever.
    let mut file = path.is_file().then(|| std::fs::File::open(path))?.ok()?;
    let read = file.read(&mut head).ok()?;
    seqc_checkpoint::foreign(&head[..read])
}

/// The names of a folder's files, sorted.
fn names(dir: &Path) -> Result<Vec<String>, Diagnostic> {
    let here = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let entries = std::fs::read_dir(here).map_err(|e| bare(format!("{}: {e}", here.display())))?;
    let files = entries
        .take(MAX_ENTRIES)
        .filter_map(Result::ok)
        .filter(|e| !e.path().is_dir());
    let mut names: Vec<String> = files.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn with_ending<'n>(names: &'n [String], wanted: &str) -> Vec<&'n str> {
    let fits = names.iter().filter(|n| ending(n) == wanted);
    fits.map(String::as_str).collect()
}

fn list(names: &[&str]) -> String {
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn no_config(dir: &Path, names: &[String]) -> Diagnostic {
    let path = dir.join("config.json");
    let message = format!("{}: no such file", path.display());
    match &with_ending(names, "gguf")[..] {
        [] => bare(message).help("a checkpoint is a folder with config.json and weights, or a GGUF file"),
        [first, ..] => {
            let first = dir.join(first);
            let d = bare(format!(
                "{message}; the directory contains {}",
                list(&with_ending(names, "gguf"))
            ));
            d.help(format!("name the GGUF file: `seqc import {}`", first.display()))
        }
    }
}

/// The weights of a folder. One that holds only a configuration has none yet.
fn weights(dir: &Path, names: &[String]) -> Result<PathBuf, Diagnostic> {
    for usual in ["model.safetensors", "model.safetensors.index.json"] {
        if names.iter().any(|n| n == usual) {
            return Ok(dir.join(usual));
        }
    }
    let safe = with_ending(names, "safetensors");
    // Shards of one checkpoint without their index: the first one opens them all.
    let first = safe.iter().filter(|n| n.contains("-00001-of-")).copied();
    if let [first] = first.collect::<Vec<_>>()[..] {
        return Ok(dir.join(first));
    }
    let gguf = with_ending(names, "gguf");
    let other: Vec<(&str, &str)> = names
        .iter()
        .filter_map(|n| Some((n.as_str(), unreadable(n)?)))
        .collect();
    if safe.is_empty() && gguf.is_empty() && other.is_empty() {
        return Ok(dir.join("model.safetensors"));
    }
    Err(unusual(dir, &safe, &gguf, &other))
}

/// Why a file of weights is not read, by its ending; `None` for other files.
fn unreadable(name: &str) -> Option<&'static str> {
    let ending = ending(name);
    OTHER_WEIGHTS.iter().find(|(e, _)| *e == ending).map(|(_, why)| *why)
}

/// Weights are there, but not under the names that a folder's weights have.
fn unusual(dir: &Path, safe: &[&str], gguf: &[&str], other: &[(&str, &str)]) -> Diagnostic {
    let readable: Vec<&str> = safe.iter().chain(gguf).copied().collect();
    let others: Vec<&str> = other.iter().map(|(name, _)| *name).collect();
    let mut message = format!(
        "{}: there is neither model.safetensors nor model.safetensors.index.json",
        dir.display()
    );
    if !readable.is_empty() {
        message += &format!("; weights that can be read: {}", list(&readable));
    }
    if let Some((_, why)) = other.first() {
        message += &format!("; weights that cannot: {} ({why})", list(&others));
    }
    match readable.first() {
        Some(first) => bare(message).help(format!(
            "name the file: `seqc import {}`; a single file is read with the config.json in its directory",
            dir.join(first).display()
        )),
        None => bare(message).help(conversion(dir, &others)),
    }
}

/// How to write weights as safetensors: those of PyTorch as they are, others through a model.
fn conversion(dir: &Path, files: &[&str]) -> String {
    let (dir, first) = (dir.display(), files.first().copied().unwrap_or_default());
    if unreadable(first) == Some(PYTORCH) {
        return format!(
            "write them as safetensors, all tensors as they are: python3 -c \"import glob, torch; from safetensors.torch import save_file; \
             save_file({{k: v.clone() for f in sorted(glob.glob('{dir}/*.{}')) for k, v in torch.load(f, weights_only=True).items()}}, \
             '{dir}/model.safetensors')\"",
            ending(first)
        );
    }
    format!(
        "write them as safetensors: python3 -c \"from transformers import AutoModelForCausalLM as M; \
         M.from_pretrained('{dir}').save_pretrained('{dir}')\""
    )
}

/// Tokenizers that are there and not read.
fn tokenizer_warning(dir: &Path, has: &impl Fn(&str) -> bool) -> Option<Diagnostic> {
    let kinds = [
        "spiece.model",
        "sentencepiece.bpe.model",
        "vocab.json",
        "vocab.txt",
        "tekken.json",
    ];
    let found = kinds.into_iter().find(|name| has(name))?;
    let why = "this tokenizer is not supported and there is no tokenizer.json";
    Some(no_tokenizer(&dir.join(found), why))
}

/// A warning that a tokenizer is not read, and how there will be one.
pub(super) fn no_tokenizer(path: &Path, why: &str) -> Diagnostic {
    let message = format!("{}: {why}: the model reads and writes token ids only", path.display());
    let dir = path.parent().unwrap_or(Path::new("")).display();
    Diagnostic::warning("no-tokenizer", message).help(format!(
        "make tokenizer.json: pip install transformers sentencepiece protobuf; python3 -c \"from transformers import AutoTokenizer as T; T.from_pretrained('{dir}').save_pretrained('{dir}')\", then \
         import again"
    ))
}
