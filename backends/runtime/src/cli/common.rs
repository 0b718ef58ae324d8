//! What verbs share: loading, sessions, lists of numbers, standard input.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use seqc_checkpoint::{output, take_at_most};

use super::{Console, args::Loading, args::Reading};
use crate::{
    Error, Result,
    code::Code,
    model::{Model, Options},
    session::{Cut, Session, Values},
};

/// Loads the model that the words ask for.
pub(crate) fn load(code: Code, loading: &Loading, console: &mut Console) -> Result<Model> {
    let from = Instant::now();
    let options = Options {
        weights: loading.weights.clone(),
        threads: loading.threads,
    };
    let model = Model::load(code, &options)?;
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
pub(crate) fn inputs<'a>(model: &Model, named: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let named = named.into_iter().map(Path::to_owned);
    model.files().into_iter().chain(named).collect()
}

/// A session as the words ask for: fresh, or from a saved state. The state that it will leave goes into none of
/// `inputs`; the one that it begins with may be replaced.
pub(crate) fn open<'m>(
    model: &'m Model,
    reading: &Reading,
    inputs: &[PathBuf],
    console: &mut Console,
) -> Result<Session<'m>> {
    if let Some(path) = &reading.save_state {
        output::check(path, inputs)?;
    }
    let mut session = Session::new(model)?;
    if let Some(path) = &reading.load_state {
        session.load(path)?;
        console.note(format_args!(
            "{}: continuing after {} tokens",
            path.display(),
            session.position()
        ));
    }
    Ok(session)
}

/// The cut that the words ask for.
pub(crate) fn cut(chunk: &[usize]) -> Cut {
    Cut::new(chunk.to_vec())
}

/// Leaves the state where the words say. `pending` are tokens of the text that were not fed.
pub(crate) fn save(
    session: &Session,
    reading: &Reading,
    inputs: &[PathBuf],
    pending: &[i64],
    console: &mut Console,
) -> Result<()> {
    if let Some(path) = &reading.save_state {
        session.save(path, inputs, pending)?;
        console.note(format_args!(
            "{}: the state after {} tokens",
            path.display(),
            session.position()
        ));
    }
    Ok(())
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
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(|word| {
            word.parse()
                .map_err(|_| Error::input(format!("{flag}: `{word}` is not a token id; ids look like 1,2,3")))
        })
        .collect()
}

/// A text from the command line, or from standard input for `-`.
pub(crate) fn text(word: &str) -> Result<String> {
    match word {
        "-" => standard_input_text(),
        text => Ok(text.to_owned()),
    }
}

fn standard_input_text() -> Result<String> {
    let bytes = take_at_most(std::io::stdin().lock(), MOST_TEXT);
    let bytes = bytes.map_err(|error| Error::input(format!("standard input: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Error::input("standard input is not UTF-8"))
}

/// Whether a path stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Token ids as the input of a model that reads nothing else.
pub(crate) fn tokens(ids: Vec<i64>) -> [Values; 1] {
    [Values::I64(ids)]
}
