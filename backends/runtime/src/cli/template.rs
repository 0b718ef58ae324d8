//! What chat templates are given beside the messages, from the words of the command line.

use std::path::Path;

use serde_json::Value;

use super::{args::TemplateWords, common, console::Console};
use crate::{Error, Result, chat::Given};

/// Most bytes of a list.
const MOST_LIST: u64 = 16 << 20;

impl TemplateWords {
    /// Whether there is anything.
    pub(crate) fn is_given(&self) -> bool {
        self.tools.is_some() || self.documents.is_some() || !self.template_arg.is_empty()
    }
}

/// Says that what belongs to a message is left out where none is given.
pub(crate) fn warn_without_chat(
    chat: Option<&str>,
    system: Option<&str>,
    words: &TemplateWords,
    console: &mut Console,
) {
    if chat.is_none() && (system.is_some() || words.is_given()) {
        console.warn("--system, --tools, --documents and --template-arg belong to --chat and are left out");
    }
}

/// What the words say. `reader`: what else reads standard input, if anything does.
pub(crate) fn given(words: &TemplateWords, reader: Option<&str>) -> Result<Given> {
    check_readers(words, reader)?;
    let names = words.template_arg.iter().map(|(name, _)| name);
    for (n, name) in names.enumerate() {
        if words.template_arg[..n].iter().any(|(before, _)| before == name) {
            return Err(Error::input(format!("--template-arg {name} is given twice")));
        }
    }
    let list = |path: &Option<std::path::PathBuf>| path.as_deref().map(list).transpose();
    Ok(Given {
        tools: list(&words.tools)?,
        documents: list(&words.documents)?,
        variables: words.template_arg.clone(),
    })
}

/// Refuses several readers of standard input, of which the first one would get all of it.
fn check_readers(words: &TemplateWords, reader: Option<&str>) -> Result<()> {
    let lists = [("--tools -", &words.tools), ("--documents -", &words.documents)];
    let lists = lists
        .into_iter()
        .filter(|(_, path)| path.as_deref().is_some_and(common::is_standard));
    let readers: Vec<&str> = reader.into_iter().chain(lists.map(|(name, _)| name)).collect();
    match readers[..] {
        [first, second, ..] => Err(Error::Usage(format!(
            "{first} and {second}: standard input can be read once"
        ))),
        _ => Ok(()),
    }
}

/// A list in a JSON file, or in what comes from a pipe.
fn list(path: &Path) -> Result<Value> {
    let wrong = |why: &dyn std::fmt::Display| Error::input(format!("{}: {why}", path.display()));
    if let Ok(about) = std::fs::metadata(path) {
        let kind = about.file_type();
        if kind.is_dir() {
            return Err(wrong(&"this is a folder, a JSON file is expected"));
        }
        if !kind.is_file() && !common::is_pipe(kind) {
            return Err(wrong(&"this is a device, a JSON file or a pipe is expected"));
        }
    }
    let value: Value = serde_json::from_str(&common::text_up_to(path, MOST_LIST)?)
        .map_err(|error| wrong(&format_args!("a list in JSON is expected: {error}")))?;
    match value {
        Value::Array(_) => Ok(value),
        _ => Err(wrong(&"a list is expected, in square brackets")),
    }
}
