//! From a checkpoint's configuration to a model file: the families of `specs/families` say how.

mod config;
mod family;
mod paths;

use crate::{
    diag::{self, Diagnostic, Placed},
    effective,
    model::{self, ReadOptions, standard},
    source::Sources,
};
use config::Config;
use family::Family;
use seqc_checkpoint::Checkpoint;
use std::path::{Path, PathBuf};

/// The text of a model file for a checkpoint, as it should stand at `output`. The model is read once before it is given.
pub fn import(checkpoint: &Path, output: &Path, sources: &mut Sources) -> Result<String, Vec<Diagnostic>> {
    let (text, weights) = write(checkpoint, output, sources).map_err(|d| vec![d])?;
    let options = ReadOptions {
        weights: Some(weights),
        ..ReadOptions::default()
    };
    model::read_text(output, text.clone(), sources, &options)?;
    Ok(text)
}

fn bare(message: impl Into<String>) -> Diagnostic {
    Diagnostic::bare("import", message)
}

fn write(checkpoint: &Path, output: &Path, sources: &mut Sources) -> Result<(String, PathBuf), Diagnostic> {
    let shown = checkpoint.display();
    if !checkpoint.exists() {
        return Err(bare(format!("{shown}: there is no such file or directory")));
    }
    let (config, weights, tokenizer) = if checkpoint.is_dir() {
        directory(checkpoint)?
    } else {
        single(checkpoint)?
    };
    let opened = if weights.exists() {
        Some(Checkpoint::open(&weights).map_err(|e| bare(e.to_string()))?)
    } else {
        None
    };
    let family = choose(&config, sources)?;
    let name = checkpoint
        .canonicalize()
        .ok()
        .and_then(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned()))
        .unwrap_or_else(|| family.name.clone());
    let sizes = family.sizes(&config, opened.as_ref())?;
    let base = output.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut text = format!("# {}\nversion: 1\nmodel: {}\nsizes:\n", family.title, plain_name(&name));
    for (key, value) in &sizes {
        text.push_str(&format!("  {key}: {}\n", family::spelled(value, &sizes)));
    }
    text.push_str(&format!(
        "weights: {{file: {}}}\n",
        effective::text(&paths::relative(&weights, &base))
    ));
    if let Some(tokenizer) = tokenizer {
        text.push_str(&format!(
            "tokenizer: {}\n",
            effective::text(&paths::relative(&tokenizer, &base))
        ));
    }
    text.push_str(&family.rest);
    Ok((text, weights))
}

/// Configuration, weights and tokenizer of a directory in the manner of Hugging Face.
fn directory(dir: &Path) -> Result<(Config, PathBuf, Option<PathBuf>), Diagnostic> {
    let path = dir.join("config.json");
    let text = model::text_of(&path).map_err(|d| bare(d.message))?;
    let config = Config::json(&path, &text)?;
    let index = dir.join("model.safetensors.index.json");
    let weights = if index.exists() && !dir.join("model.safetensors").exists() {
        index
    } else {
        dir.join("model.safetensors")
    };
    let tokenizer = Some(dir.join("tokenizer.json")).filter(|p| p.exists());
    Ok((config, weights, tokenizer))
}

/// The same of a GGUF file, or of the directory of a configuration file.
fn single(path: &Path) -> Result<(Config, PathBuf, Option<PathBuf>), Diagnostic> {
    if path.file_name().is_some_and(|n| n == "config.json") {
        return directory(path.parent().unwrap_or(Path::new("")));
    }
    let opened = Checkpoint::open(path).map_err(|e| bare(e.to_string()))?;
    if opened.gguf().is_none() {
        let message = format!(
            "{}: this file has no metadata; give the directory with its config.json",
            path.display()
        );
        return Err(bare(message));
    }
    let config = Config::gguf(path, opened);
    let tokenizer = config.has("tokenizer.ggml.model").then(|| path.to_path_buf());
    Ok((config, path.to_path_buf(), tokenizer))
}

/// The family that fits a configuration.
fn choose(config: &Config, sources: &mut Sources) -> Result<Family, Diagnostic> {
    let mut known: Vec<String> = Vec::new();
    for (name, text) in standard::families() {
        let family = Family::read(&name, text, sources)?;
        if family.fits(config) {
            return Ok(family);
        }
        known.extend(family.kinds(config.kind_key()));
    }
    let key = config.kind_key();
    let Some(found) = config.text(key) else {
        return Err(bare(format!("{}: there is no `{key}`", config.shown())));
    };
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = diag::nearest(&found, names.iter().copied()).map_or(String::new(), |n| format!("did you mean `{n}`? "));
    Err(bare(format!(
        "{}: `{key}` is `{found}`, which no family describes",
        config.shown()
    ))
    .help(format!(
        "{near}known are {}; a family is a file, docs/families.md says how it is written",
        names.join(", ")
    )))
}

fn plain_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    effective::text(&clean)
}
