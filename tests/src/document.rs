//! Fenced snippets of Markdown documents, and the models that try them.

use std::{fs, path::Path};

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Snippet {
    /// What stands after the opening fence: `seq`, `yaml`, `sh`.
    pub language: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
    /// The text between the fences.
    pub text: String,
}

/// The fenced blocks of a document, in order.
pub fn snippets(path: &Path) -> Vec<Snippet> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut open: Option<Snippet> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Snippet {
                    language: language.trim().to_owned(),
                    line: index + 1,
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(snippet), None) => {
                snippet.text.push_str(line);
                snippet.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", path.display());
    found
}

/// The first definition of a layer file, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// `layer`, `block` or `fn`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Input streams after the first: name and shape.
    pub inputs: Vec<(String, String)>,
    /// Settings without a default.
    pub required: Vec<String>,
}

/// Reads the head of the first definition in `.seq` text.
pub fn head(text: &str) -> Option<Head> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let (kind, rest) = code.trim_start().split_once(char::is_whitespace)?;
    let (name, rest) = rest.split_once('(')?;
    let parts = split_top(closing(rest)?, ';');
    let streams = parts.first().map_or("", String::as_str);
    let settings = parts.get(1).map_or("", String::as_str);
    let inputs = split_top(streams, ',').into_iter().skip(1).filter_map(|stream| {
        let (name, shape) = stream.split_once(':')?;
        Some((name.trim().to_owned(), shape.trim().to_owned()))
    });
    let inputs = inputs.collect();
    let required = split_top(settings, ',').into_iter().map(|s| s.trim().to_owned());
    let required = required.filter(|s| !s.is_empty() && !s.contains('=')).collect();
    Some(Head {
        kind: kind.to_owned(),
        name: name.trim().to_owned(),
        inputs,
        required,
    })
}

/// A small model that stacks the layer or wraps the block that `head` describes, with the layer file `file`.
pub fn trial(head: &Head, file: &str) -> String {
    let settings: Vec<String> = head
        .required
        .iter()
        .map(|name| format!("{name}: {}", typical(name)))
        .collect();
    let settings = settings.join(", ");
    let streams: Vec<String> = head
        .inputs
        .iter()
        .map(|(name, shape)| format!(", {name}: {shape:?}"))
        .collect();
    let (inputs, wires) = (streams.concat(), wires(head));
    let entry = match head.kind.as_str() {
        "block" => format!(
            "  - swiglu: {{hidden: 32}}\n    block: {{{}: {{{settings}}}}}\n",
            head.name
        ),
        _ => format!("  - {}: {{{settings}}}\n{wires}", head.name),
    };
    format!(
        "version: 1\nmodel: trial\nsizes: {{d: 32, vocab: 64}}\nuse: [{file}]\nweights: {{random: 7}}\n\
         inputs: {{tokens: int{inputs}}}\nblock: {{pre_norm: {{eps: 1e-5}}}}\nstack:\n  - embed: {{vocab: vocab}}\n    block: none\n\
         {entry}  - head: {{vocab: vocab}}\n    block: final_norm\n"
    )
}

fn wires(head: &Head) -> String {
    let pairs: Vec<String> = head.inputs.iter().map(|(name, _)| format!("{name}: {name}")).collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("    in: {{{}}}\n", pairs.join(", "))
    }
}

fn typical(setting: &str) -> usize {
    match setting {
        "heads" => 4,
        "depth" => 1,
        _ => 48,
    }
}

/// Text up to the bracket that closes the one just opened.
fn closing(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if depth == 0 {
            return Some(&text[..at]);
        }
    }
    None
}

/// Splits at a separator that stands outside brackets.
fn split_top(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in text.chars() {
        depth += i32::from("([".contains(letter)) - i32::from(")]".contains(letter));
        if letter == separator && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts
}
