//! Values of a model that the command line overrides.

use crate::{
    diag::{Diagnostic, Placed},
    source::{FileId, Place},
};
use seqc_grammar::{
    ast::Span,
    yaml::{Key, Kind, Node, parse_yaml},
};

/// The text of a model with the overrides below it, so that messages can show them.
pub(super) fn with_overrides(text: &str, set: &[(String, String)]) -> String {
    let mut out = text.to_owned();
    for (key, value) in set {
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&format!("# --set {key}={value}\n"));
    }
    out
}

/// Applies all overrides; `shown` is the text that [`with_overrides`] gave.
pub(super) fn apply(root: &mut Node, file: FileId, shown: &str, set: &[(String, String)]) -> Result<(), Diagnostic> {
    let mut from = shown.len();
    for (key, value) in set.iter().rev() {
        from = shown[..from].rfind(&format!("# --set {key}={value}\n")).unwrap_or(0);
    }
    for (key, value) in set {
        let start = shown[from..].find("# --set ").map_or(from, |n| from + n) + "# --set ".len() + key.len() + 1;
        from = start + value.len();
        let (node, problems) = parse_yaml(file, value);
        let place = Place::new(file, Span::new(start, from));
        if value.trim().is_empty() {
            return Err(Diagnostic::new(
                "bad-set",
                place,
                format!("--set {key}: no value after `=`"),
            ));
        }
        if let Some(problem) = problems.into_iter().next() {
            return Err(Diagnostic::new(
                "bad-set",
                place,
                format!("--set {key}: {}", problem.message),
            ));
        }
        let mut node = node.unwrap_or(Node {
            kind: Kind::Null,
            span: place.span,
        });
        shift(&mut node, start as u32);
        let path: Vec<&str> = key.split('.').collect();
        if let ["sizes", size] = path[..] {
            known_size(root, size).map_err(|names| {
                let d = Diagnostic::new("bad-set", place, format!("--set {key}: the model has no size `{size}`"));
                d.did_you_mean(size, names.iter().map(String::as_str))
            })?;
        }
        put(root, &path, node).map_err(|wrong| {
            let d = Diagnostic::new("bad-set", place, format!("--set {key}: {}", wrong.message));
            match wrong.instead {
                Some(rest) => {
                    let list = path[..path.len() - rest.len() + 1].join(".");
                    d.help(format!(
                        "write `--set {list}.{}=…`: entries are counted from 0",
                        rest.join(".")
                    ))
                }
                None => d,
            }
        })?;
    }
    Ok(())
}

/// Whether the model has a size of this name; otherwise the names that it has.
fn known_size(root: &Node, name: &str) -> Result<(), Vec<String>> {
    let under = |node: &Node, key: &str| match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, value)| value.clone()),
        _ => None,
    };
    match under(root, "sizes").map(|sizes| sizes.kind) {
        Some(Kind::Map(sizes)) if sizes.iter().all(|(k, _)| k.text != name) => {
            Err(sizes.into_iter().map(|(k, _)| k.text).collect())
        }
        Some(Kind::Map(_)) => Ok(()),
        _ => Err(Vec::new()),
    }
}

/// Moves a tree to where its text stands.
fn shift(node: &mut Node, by: u32) {
    let moved = |s: Span| Span {
        start: s.start + by,
        end: s.end + by,
    };
    node.span = moved(node.span);
    match &mut node.kind {
        Kind::Null => {}
        Kind::Scalar { at, .. } => *at = at.map(|n| n + by),
        Kind::List(items) => items.iter_mut().for_each(|i| shift(i, by)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                key.span = moved(key.span);
                shift(value, by);
            }
        }
    }
}

/// Why there is nothing under a path.
struct Nowhere<'p> {
    message: String,
    /// What was meant behind the keys so far.
    instead: Option<Vec<&'p str>>,
}

impl Nowhere<'_> {
    fn of(message: String) -> Self {
        Nowhere { message, instead: None }
    }
}

/// Replaces the value under a path of keys and list positions; what is missing in mappings is made.
fn put<'p>(node: &mut Node, path: &[&'p str], value: Node) -> Result<(), Nowhere<'p>> {
    let Some((first, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    if node.kind == Kind::Null {
        node.kind = Kind::Map(Vec::new());
    }
    match &mut node.kind {
        Kind::Map(entries) => {
            let at = match entries.iter().position(|(k, _)| k.text == *first) {
                Some(at) => at,
                None => {
                    let key = Key {
                        text: (*first).to_owned(),
                        span: value.span,
                    };
                    let empty = Node {
                        kind: Kind::Null,
                        span: value.span,
                    };
                    entries.push((key, empty));
                    entries.len() - 1
                }
            };
            put(&mut entries[at].1, rest, value)
        }
        Kind::List(items) => {
            let count = items.len();
            match first.parse::<usize>().ok().and_then(|n| items.get_mut(n)) {
                Some(item) => put(item, rest, value),
                None => Err(Nowhere {
                    message: format!("`{first}` is not a position in a list of {count}"),
                    instead: (count > 0 && first.parse::<usize>().is_err()).then(|| [&["0"], path].concat()),
                }),
            }
        }
        Kind::Scalar { .. } | Kind::Null => Err(Nowhere::of(format!(
            "there is nothing under `{first}`: the value is a single one"
        ))),
    }
}
