//! What verbs share: loading, sessions, lists of numbers, standard input.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use seqc_checkpoint::{output, read_at_most, take_at_most};

use seqc_abi::Descriptor;

use super::{
    args::{Loading, Reading},
    console::Console,
};
use crate::{
    Error, Result,
    code::Code,
    inputs::Values,
    model::{Model, Options},
    session::{Cut, Session},
};

/// Loads the model that the words ask for.
pub(crate) fn load(code: Code, loading: &Loading, console: &mut Console) -> Result<Model> {
    load_as(code, &loading.options(), console)
}

/// Loads a model with these options.
pub(crate) fn load_as(code: Code, options: &Options, console: &mut Console) -> Result<Model> {
    let from = Instant::now();
    let model = Model::load(code, options)?;
    console.note(format_args!(
        "{}: ready with {} threads after {:.1} ms",
        model.descriptor().model,
        model.threads(),
        milliseconds(from)
    ));
    Ok(model)
}

/// Bytes that are read from standard input where ids or a text are expected.
const MOST_TEXT: u64 = 256 << 20;

/// Files that a run reads, to none of which it may write: those of the model, and those that the words name.
pub(crate) fn inputs(model: &Model, named: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    model.files().into_iter().chain(named).collect()
}

/// A session as the words ask for: fresh, or from a saved state. The state that it will leave goes into none of
/// `inputs`; the one that it begins with may be replaced.
pub(crate) fn open<'m>(
    model: &'m Model,
    reading: &Reading,
    source: Option<&[Values]>,
    inputs: &[PathBuf],
    console: &mut Console,
) -> Result<Session<'m>> {
    if let Some(path) = &reading.save_state {
        output::check(path, inputs)?;
    }
    let session = begin(model, reading, source)?;
    if let Some(path) = &reading.load_state {
        console.note(format_args!(
            "{}: continuing after {} tokens",
            path.display(),
            session.position()
        ));
    }
    Ok(session)
}

/// The session where the words begin; its encoder has read the source, if there is one.
pub(crate) fn begin<'m>(model: &'m Model, reading: &Reading, source: Option<&[Values]>) -> Result<Session<'m>> {
    let mut session = Session::new(model)?;
    if let Some(path) = &reading.load_state {
        session.load(path)?;
    }
    if let Some(tokens) = reading.truncate {
        session.truncate(tokens)?;
    }
    if let Some(source) = source {
        session.remember(source)?;
    }
    if session.model().descriptor().memory.is_some() && session.rows() == 0 {
        return Err(Error::input(format!(
            "the model {} has an encoder: give what it reads with --source, --source-tokens or --source-input",
            session.model().descriptor().model
        )));
    }
    Ok(session)
}

/// The cut that the words ask for.
pub(crate) fn cut(chunk: &[usize]) -> Cut {
    Cut::new(chunk.to_vec())
}

/// Leaves the state where the words say.
pub(crate) fn save(session: &Session, reading: &Reading, inputs: &[PathBuf], console: &mut Console) -> Result<()> {
    if let Some(path) = &reading.save_state {
        session.save_file(path, inputs)?;
        console.note(format_args!(
            "{}: the state after {} tokens",
            path.display(),
            session.position()
        ));
    }
    Ok(())
}

/// Tells a user whose sequence becomes longer than what the model was trained for.
pub(crate) fn warn_of_length(descriptor: &Descriptor, before: u64, after: u64, console: &mut Console) {
    let Some(trained) = descriptor.trained_length.map(|length| length as u64) else {
        return;
    };
    if before <= trained && after > trained {
        console.warn(format_args!(
            "the sequence is now longer than the {trained} tokens that the model {} was trained for: what it says from here on may make no sense",
            descriptor.model
        ));
    }
}

pub(crate) fn milliseconds(from: Instant) -> f64 {
    from.elapsed().as_secs_f64() * 1e3
}

/// Token ids from the command line, or from standard input for `-`.
pub(crate) fn ids(words: &str, flag: &str) -> Result<Vec<i64>> {
    let read;
    let text = match words {
        "-" => {
            read = standard_input_text()?;
            &read
        }
        text => text,
    };
    // A list as JSON and Python print it.
    let bare = text.trim();
    let bare = bare.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    let id = |word: &str| {
        word.parse()
            .map_err(|_| Error::input(format!("{flag}: `{word}` is not a token id; ids look like 1,2,3")))
    };
    let bare = bare.unwrap_or(text);
    // A comma may stand behind the last one too.
    let last = bare.trim_end().strip_suffix(',');
    let bare = last.filter(|ids| !ids.trim().is_empty()).unwrap_or(bare);
    let parts: Vec<&str> = bare.split(',').collect();
    if parts.len() > 1 && parts.iter().any(|part| part.trim().is_empty()) {
        return Err(Error::input(format!(
            "{flag}: an id is missing before or after a comma; ids look like 1,2,3"
        )));
    }
    parts.into_iter().flat_map(str::split_whitespace).map(id).collect()
}

/// Refuses to read standard input for several arguments of that name, of which the first one would get all of it.
pub(crate) fn check_standard_input<'w>(words: impl IntoIterator<Item = &'w Path>, flag: &str) -> Result<()> {
    match words.into_iter().filter(|word| is_standard(word)).count() {
        0 | 1 => Ok(()),
        times => Err(Error::Usage(format!(
            "{flag} - is given {times} times, and standard input can be read once"
        ))),
    }
}

/// All of standard input where ids or a text are expected.
pub(crate) fn standard_input() -> Result<Vec<u8>> {
    let bytes = take_at_most(std::io::stdin().lock(), MOST_TEXT);
    bytes.map_err(|error| Error::input(format!("standard input: {error}")))
}

/// The same as text.
pub(crate) fn standard_input_text() -> Result<String> {
    String::from_utf8(standard_input()?).map_err(|_| Error::input("standard input is not UTF-8 text"))
}

/// The text of a file, or of standard input.
pub(crate) fn text(path: &Path) -> Result<String> {
    text_up_to(path, MOST_TEXT)
}

/// The same of up to so many bytes.
pub(crate) fn text_up_to(path: &Path, most: u64) -> Result<String> {
    if is_standard(path) {
        return standard_input_text();
    }
    let bytes = read_at_most(path, most).map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
    String::from_utf8(bytes).map_err(|_| Error::input(format!("{} is not UTF-8 text", path.display())))
}

/// Whether what is read comes from another program.
#[cfg(unix)]
pub(crate) fn is_pipe(kind: std::fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    kind.is_fifo() || kind.is_socket()
}

/// The same where the system has no pipes with names.
#[cfg(not(unix))]
pub(crate) fn is_pipe(_: std::fs::FileType) -> bool {
    false
}

/// A text of the command line, or that of standard input for `-`.
pub(crate) fn text_of(word: &str) -> Result<String> {
    match is_standard(Path::new(word)) {
        true => standard_input_text(),
        false => Ok(word.to_owned()),
    }
}

/// Whether a path stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Token ids as the input of a model that reads nothing else.
pub(crate) fn tokens(ids: Vec<i64>) -> [Values; 1] {
    [Values::I64(ids)]
}
