//! From a checkpoint's configuration to a model file: by the families of `specs/families`.

pub(crate) mod caches;
mod check;
mod clauses;
mod config;
mod error;
mod expected;
mod family;
mod found;
mod half;
mod origins;
mod places;
mod reading;
mod references;
mod sentencepiece;
mod stack;
mod text;
mod tokenizer;

pub use check::{family as check_family, is_family};
pub use sentencepiece::Converted;

use crate::{
    diag::{Diagnostic, Placed},
    effective,
    library::Library,
    model::{self, Built, ReadOptions, WeightsFrom, standard},
    paths,
    source::{Place, Sources},
};
use config::Config;
use error::{bare, unread};
use expected::Expected;
use family::Family;
use found::Found;
use half::Half;
use origins::Origins;
use reading::Reading;
use seqc_checkpoint::{Checkpoint, unquantised};
use seqc_grammar::model::ModelFile;
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

/// The size that families call the number of tokens of their vocabulary.
const VOCABULARY: &str = "vocab";

/// What is imported.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// A folder with `config.json`, or a GGUF file.
    pub checkpoint: &'a Path,
    /// Where the model file will stand.
    pub output: &'a Path,
    /// A family of the user's own.
    pub family: Option<&'a Path>,
    /// Cache policies, `NAME:setting=value,…`.
    pub caches: &'a [String],
}

/// A model file for a checkpoint.
#[derive(Debug)]
pub struct Imported {
    /// Its text.
    pub text: String,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The tokenizer, where that is not read as it lies.
    pub tokenizer: Option<Converted>,
}

/// The model file for a checkpoint. The model is read once before it is given.
pub fn import(request: Request<'_>, sources: &mut Sources) -> Result<Imported, Vec<Diagnostic>> {
    let converts = request.output != Path::new("-");
    let (mut found, written) = write(request, converts, sources).map_err(|d| vec![d])?;
    let tokenizer = found.converted.take();
    let options = ReadOptions {
        weights: WeightsFrom::File(found.weights),
        ..ReadOptions::default()
    };
    let shown = request.output.display().to_string();
    let read = |written: &Origins, sources: &mut Sources| {
        model::read_text(request.output, written.text.clone(), sources, &options).map_err(|mut problems| {
            written.translate(&mut problems, &shown, sources, false);
            problems
        })
    };
    let (mut written, mut built) = (written, None);
    let first = read(&written, sources)?;
    let unused: Vec<usize> = first.warnings().iter().filter_map(|d| size_of(d, &first)).collect();
    if !unused.is_empty() {
        written = written.without(&unused);
        built = Some(read(&written, sources)?);
    }
    let mut warnings = built.unwrap_or(first).warnings();
    written.translate(&mut warnings, &shown, sources, true);
    Ok(Imported {
        text: written.text,
        warnings: found.warnings.into_iter().chain(warnings).collect(),
        tokenizer,
    })
}

/// Reads a model from its file, or from a checkpoint without one: a folder with `config.json`, that file itself, or a GGUF file.
pub fn read(path: &Path, sources: &mut Sources, options: &ReadOptions) -> Result<Built, Vec<Diagnostic>> {
    let is_gguf = path.extension().is_some_and(|e| e == "gguf");
    let folder = if path.join("config.json").is_file() {
        path
    } else if path.is_file() && (is_gguf || found::is_configuration(path)) {
        path.parent().unwrap_or(Path::new(""))
    } else {
        return model::read(path, sources, options);
    };
    let output = folder.join("model.yaml");
    let request = Request {
        checkpoint: path,
        output: &output,

        family: None,
        caches: &[],
    };
    let (found, written) = write(request, false, sources).map_err(|d| vec![d])?;
    let shown = output.display().to_string();
    let expected = if found.weights.exists() {
        None
    } else {
        found.config.expected()
    };
    let options = &ReadOptions {
        expected,
        ..options.clone()
    };
    let built = model::read_text(&output, written.text.clone(), sources, options);
    let mut built = built.map_err(|mut problems| {
        written.translate(&mut problems, &shown, sources, false);
        problems
    })?;
    let mut remarks = std::mem::take(&mut built.remarks);
    remarks.retain(|d| size_of(d, &built).is_none());
    written.translate(&mut remarks, &shown, sources, false);
    built.remarks = found.warnings.into_iter().chain(remarks).collect();
    Ok(built)
}

/// Where the size stands that a warning is about because nothing uses it: families have more sizes than each of their models needs.
fn size_of(warning: &Diagnostic, built: &Built) -> Option<usize> {
    let mut sizes = built.document.sizes.iter();
    let place = warning.place().filter(|_| warning.code == "unused")?;
    let is_size = sizes.any(|(name, _)| place == Place::new(built.file, name.span));
    is_size.then_some(place.span.start as usize)
}

/// The files of a checkpoint, and the model that is made for them; a tokenizer may be converted to a file beside it.
fn write(request: Request<'_>, converts: bool, sources: &mut Sources) -> Result<(Found, Origins), Diagnostic> {
    let (checkpoint, output) = (request.checkpoint, request.output);
    if !checkpoint.exists() {
        let shown = checkpoint.display();
        return Err(bare(format!("{shown}: no such file or directory")));
    }
    let mut found = found::find(checkpoint)?;
    if let Some(method) = found.config.quantised() {
        let message = format!(
            "{}: the weights are quantised in an unsupported form ({method})",
            found.config.shown()
        );
        return Err(bare(message).help(unquantised()));
    }
    let opened = if found.weights.exists() {
        Some(Checkpoint::open(&found.weights).map_err(|e| unread(&e))?)
    } else {
        None
    };
    if let Some(name) = opened.iter().flat_map(Checkpoint::without_factors).next()
        && found.config.says_eight_bits()
    {
        let message = format!(
            "{}: `{name}` has no factors (`{name}_scale_inv`), or too few, and {} says that weights of eight bits have them",
            found.weights.display(),
            found.config.shown()
        );
        return Err(
            bare(message).help("fetch the checkpoint again; factors of blocks are those of 128 rows and columns")
        );
    }
    let own = match request.family {
        Some(path) => Some(path.to_owned()),
        None => places::beside(checkpoint),
    };
    let half = Half::of(&found.config);
    let Chosen { family, home, of_half } = match own {
        Some(path) => given(&path, &found.config, half.as_ref(), sources)?,
        None => choose(&found.config, half.as_ref(), sources)?,
    };
    let mut place = half::Place::default();
    if let Some(half) = half.filter(|_| of_half) {
        place = half.place(opened.as_ref());
        found.warnings.push(half.warning(&place));
        found.config = half.config;
    } else if let Some(checkpoint) = &opened {
        place.names = half::of_body(checkpoint, sources.text(family.file));
    }
    let config = &found.config;
    let name = checkpoint
        .canonicalize()
        .ok()
        .and_then(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned()))
        .unwrap_or_else(|| family.name.clone());
    let (library, model) = described(&family, home.as_deref(), sources);
    let expected = Expected::new(&family.clauses, model.as_ref(), &library);
    let (sizes, length) = family.sizes(Reading::new(config, opened.as_ref(), &place.names, &expected))?;
    let base = output.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut written = Origins::default();
    let head = format!("# {}\nversion: 1\nmodel: {}\nsizes:\n", family.title, plain_name(&name));
    written.push_named(&head, checkpoint.display().to_string());
    for (computed, size) in sizes.iter().zip(&family.clauses.sizes) {
        let line = format!("  {}: {}\n", computed.name, family::spelled(&computed.value, &sizes));
        written.push_computed(&line, Place::new(size.file, size.value.span), computed);
    }
    let file = effective::text(&paths::relative(&found.weights, &base));
    let unused = family
        .unused()
        .iter()
        .map(|u| place.names.in_file(u))
        .chain(place.others.iter().map(Cow::from));
    let unused: Vec<String> = unused.map(|u| effective::text(&u)).collect();
    let unused = match &unused[..] {
        [] => String::new(),
        names => format!(", unused: [{}]", names.join(", ")),
    };
    let pair = |(model, file)| format!("{}: {}", effective::text(model), effective::text(file));
    let names: Vec<String> = place.names.pairs().map(pair).collect();
    let names = match &names[..] {
        [] => String::new(),
        pairs => format!(", names: {{{}}}", pairs.join(", ")),
    };
    let line = format!("weights: {{file: {file}{names}{unused}}}\n");
    written.push_named(&line, found.weights.display().to_string());
    if let Some(tokenizer) = &found.tokenizer {
        let line = format!("tokenizer: {}\n", effective::text(&paths::relative(tokenizer, &base)));
        written.push_named(&line, tokenizer.display().to_string());
    }
    if let Some(from) = found.sentencepiece.take() {
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        let to = output.with_file_name(format!("{stem}.tokenizer.gguf"));
        let made = match converts {
            true => sentencepiece::converted(&from, to),
            false => Err("`seqc import` converts it to a file beside the model".to_owned()),
        };
        match made {
            Ok(converted) => {
                let line = format!(
                    "tokenizer: {}\n",
                    effective::text(&paths::relative(&converted.path, &base))
                );
                written.push_named(&line, from.display().to_string());
                found.converted = Some(converted);
            }
            Err(why) => {
                let why = format!("this tokenizer is not read: {why}");
                found.warnings.push(found::no_tokenizer(&from, &why));
            }
        }
    }
    if !family.uses.is_empty() {
        let home = home.unwrap_or_default();
        let seen = |file: &String| effective::text(&paths::relative(&home.join(file), &base));
        let files: Vec<String> = family.uses.iter().map(seen).collect();
        let line = format!("use: [{}]\n", files.join(", "));
        written.push_named(&line, format!("{}: `use`", sources.path(family.file)));
    }
    written.push_named(&caches::line(request.caches)?, "--cache");
    let vocabulary = sizes.iter().find(|size| size.name == VOCABULARY);
    let given = text::Given {
        dir: found.weights.parent().unwrap_or(Path::new("")),
        length: length.as_ref(),
        vocabulary: vocabulary.and_then(|size| size.value.size()),
    };
    let texts = text::texts(config, given)?;
    if let Some((ends, of)) = &texts.ends {
        written.push_named(&format!("end: {ends:?}\n"), of.clone());
    }
    if let Some(length) = texts.trained_length {
        written.push_named(&format!("trained_length: {length}\n"), config.shown());
    }
    found.warnings.extend(texts.warnings);
    family.rest.iter().for_each(|part| written.push_copied(part));
    Ok((found, written))
}

/// The layers of a family, and the model that it describes; what is wrong with either is said when the model is read.
fn described(family: &Family, home: Option<&Path>, sources: &mut Sources) -> (Library, Option<ModelFile>) {
    let mut problems = Vec::new();
    let mut library = standard::library(sources, &mut problems);
    let model = family.model(&mut problems);
    if let (Some(model), Some(home)) = (&model, home) {
        model::use_layers(&mut library, family.file, model, home, sources);
    }
    (library, model)
}

/// The family of a configuration.
struct Chosen {
    family: Family,
    /// The folder of a user's own, in which its layer files are.
    home: Option<PathBuf>,
    /// Whether it describes the text half of the configuration.
    of_half: bool,
}

/// A family of the user's own, which must describe the configuration.
fn given(path: &Path, config: &Config, half: Option<&Half>, sources: &mut Sources) -> Result<Chosen, Diagnostic> {
    let shown = path.display().to_string();
    let family = Family::read(&shown, &model::text_of(path)?, sources)?;
    let misfit = family.misfit(config);
    let of_half = misfit.is_some() && half.is_some_and(|half| family.fits(&half.config));
    match misfit.filter(|_| !of_half) {
        None => Ok(Chosen {
            family,
            home: path.parent().map(Path::to_owned),
            of_half,
        }),
        Some(why) => Err(
            bare(format!("{}: {shown} does not describe this: {why}", config.shown()))
                .help("`match` of a family names the keys of the configuration and the values that it describes"),
        ),
    }
}

/// The family that fits a configuration, or else its text half: of the user's folder, or of the library.
fn choose(config: &Config, half: Option<&Half>, sources: &mut Sources) -> Result<Chosen, Diagnostic> {
    let mut of_half = None;
    let mut known: Vec<String> = Vec::new();
    for written in all()? {
        let Written { name, text, home } = written?;
        let family = Family::read(&name, &text, sources)?;
        if family.fits(config) {
            let of_half = false;
            return Ok(Chosen { family, home, of_half });
        }
        if home.is_none() {
            known.extend(family.kinds(config.kind_key()));
        }
        if of_half.is_none() && half.is_some_and(|half| family.fits(&half.config)) {
            of_half = Some((family, home));
        }
    }
    if let Some((family, home)) = of_half {
        let of_half = true;
        return Ok(Chosen { family, home, of_half });
    }
    let key = config.kind_key();
    let Some(found) = config.text(key) else {
        return Err(bare(format!("{}: there is no `{key}`", config.shown())));
    };
    let inner = half.and_then(|half| Some((half.key, half.config.text(key)?)));
    let inner = inner.map(|(under, kind)| format!(", nor the `{kind}` under `{under}`"));
    let message = format!(
        "{}: `{key}` is `{found}`, which no family describes{}",
        config.shown(),
        inner.unwrap_or_default()
    );
    Err(bare(message).help(format!("known are {}", known.join(", "))).help(
        "for another architecture write a family file, most easily from that of a similar one (docs/families.md), and check it with \
         `seqc check FAMILY.yaml`; then pass it with `--family FAMILY.yaml`, put it beside the checkpoint as family.yaml, or into \
         $XDG_CONFIG_HOME/seqc/families",
    ))
}

/// A family as it is written.
struct Written {
    name: String,
    text: Cow<'static, str>,
    /// The folder of a user's own.
    home: Option<PathBuf>,
}

/// All families in the order in which they are tried: those of the user's folder, then those of the library. Each is read when its turn comes.
fn all() -> Result<impl Iterator<Item = Result<Written, Diagnostic>>, Diagnostic> {
    let own = places::own()?.into_iter().map(|path| {
        Ok(Written {
            name: path.display().to_string(),
            text: model::text_of(&path)?.into(),
            home: path.parent().map(Path::to_owned),
        })
    });
    let library = standard::families().into_iter().map(|(name, text)| {
        Ok(Written {
            name,
            text: text.into(),
            home: None,
        })
    });
    Ok(own.chain(library))
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
