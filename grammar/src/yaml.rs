//! YAML as a tree with places: bounded in depth, size and repetition.

mod explain;
mod lines;

use crate::{
    ast::Span,
    diag::{Diagnostic, FileId},
};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;

/// Longest document in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// Most values of a document, with those that aliases repeat.
pub const MAX_NODES: usize = 200_000;

/// The key whose value is merged into its mapping.
const MERGE: &str = "<<";

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// Kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// A text.
    Scalar {
        /// The text, quotes and escapes resolved.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
        /// The byte where the text stands letter by letter; `None` where it has escapes or is laid out over several lines.
        at: Option<u32>,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in order.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar { .. } => "a text or number",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The entries of a mapping; none for nothing.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }

    /// The elements of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, node)| node)
    }

    fn size(&self) -> usize {
        match &self.kind {
            Kind::Null | Kind::Scalar { .. } => 1,
            Kind::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|(_, node)| node.size() + 1).sum::<usize>(),
        }
    }
}

/// Reads one YAML document. Without a tree there is at least one error. Keys that stand twice are reported, and the first one counts.
pub fn parse_yaml(file: FileId, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    if text.len() > MAX_TEXT {
        let d = Diagnostic::error("too-long", format!("this file is longer than {MAX_TEXT} bytes"));
        let d = d.label(file, Span::default(), "");
        return (
            None,
            vec![d.help("a model is a small text; weights are in a separate file")],
        );
    }
    let mut reader = Reader {
        file,
        text,
        offsets: offsets(text),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        diagnostics: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let read = match event {
            Ok((event, span)) => {
                let span = reader.span(span.start.index(), span.end.index());
                reader.event(event, span)
            }
            Err(e) => {
                let at = reader.span(e.marker().index(), e.marker().index());
                Err(explain::explain(file, text, at.start as usize, e.info()))
            }
        };
        if let Err(d) = read {
            reader.diagnostics.push(d);
            return (None, reader.diagnostics);
        }
    }
    if reader.root.is_none() && reader.diagnostics.is_empty() {
        let d = Diagnostic::error("yaml", "the file is empty");
        let d = d.label(file, Span::default(), "");
        reader
            .diagnostics
            .push(d.help("a model has at least `version`, `model` and `stack`"));
    }
    (reader.root, reader.diagnostics)
}

/// Byte offset of every character, where they differ from character numbers.
fn offsets(text: &str) -> Option<Vec<u32>> {
    let of_all = || {
        text.char_indices()
            .map(|(n, _)| n as u32)
            .chain([text.len() as u32])
            .collect()
    };
    (!text.is_ascii()).then(of_all)
}

/// A collection that is being read.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<Key>,
    /// Keys so far and where they stand.
    seen: HashMap<String, Span>,
}

struct Reader<'t> {
    file: FileId,
    text: &'t str,
    offsets: Option<Vec<u32>>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let byte = |n: usize| match &self.offsets {
            None => n.min(self.text.len()),
            Some(offsets) => offsets.get(n).or(offsets.last()).map_or(0, |b| *b as usize),
        };
        Span::new(byte(start), byte(end.max(start)))
    }

    fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("yaml", message).label(self.file, span, "")
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let kind = self.scalar(text.into_owned(), style, span);
                self.add(Node { kind, span }, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.start(Kind::List(Vec::new()), span, anchor),
            Event::MappingStart(anchor, _) => self.start(Kind::Map(Vec::new()), span, anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let mut node = open.node;
                    if let Kind::Map(entries) = &mut node.kind {
                        self.merge(entries)?;
                    }
                    node.span = node.span.to(self.trimmed(span));
                    self.add(node, open.anchor, 1)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some((_, count)) = self.anchors.get(&anchor) else {
                    let d = self.error(span, "this alias names nothing");
                    return Err(d.help(
                        "an anchor, `&name`, must precede it; an expression that starts with `*` must be quoted",
                    ));
                };
                let count = *count;
                self.count(count, span)?;
                let node = self.anchors.get(&anchor).map(|(node, _)| node.clone());
                node.map_or(Ok(()), |node| self.add(node, 0, 0))
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                let d = self.error(span, "a file contains one document");
                Err(d.help("leave out this `---` and what follows, or write a second file"))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    /// A block collection ends where the next thing begins; what is meant is where its text ends.
    fn trimmed(&self, span: Span) -> Span {
        let before = self.text.get(..span.end as usize).unwrap_or("");
        Span::new(span.start as usize, before.trim_end().len())
    }

    fn scalar(&self, text: String, style: ScalarStyle, span: Span) -> Kind {
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
            return Kind::Null;
        }
        let start = span.start as usize + usize::from(!plain);
        let as_is = self.text.get(start..start + text.len()) == Some(text.as_str());
        Kind::Scalar {
            at: as_is.then_some(start as u32),
            text,
            plain,
        }
    }

    /// `<<: *base`, or a list of such: the entries of other mappings whose keys do not stand here. Of several the first counts.
    fn merge(&mut self, entries: &mut Vec<(Key, Node)>) -> Result<(), Diagnostic> {
        let Some(at) = entries.iter().position(|(key, _)| key.text == MERGE) else {
            return Ok(());
        };
        let (key, bases) = entries.remove(at);
        let bases = match bases.kind {
            Kind::List(items) => items,
            Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => vec![bases],
        };
        let mut merged = Vec::new();
        for base in bases {
            let Kind::Map(more) = base.kind else {
                let d = self.error(key.span, "a merge key takes a mapping or a list of mappings");
                return Err(d.help("`<<: *base`, where `&base` stands before a mapping above"));
            };
            for (key, node) in more {
                let known = |list: &[(Key, Node)]| list.iter().any(|(other, _)| other.text == key.text);
                if !known(entries) && !known(&merged) {
                    merged.push((key, node));
                }
            }
        }
        entries.splice(at..at, merged);
        Ok(())
    }

    fn start(&mut self, kind: Kind, span: Span, anchor: usize) -> Result<(), Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            let d = self.error(span, format!("this is nested more than {MAX_DEPTH} deep"));
            return Err(d.help("a model needs no more than a few levels"));
        }
        self.open.push(Open {
            node: Node { kind, span },
            anchor,
            key: None,
            seen: HashMap::new(),
        });
        Ok(())
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            let d = self.error(span, format!("this document has more than {MAX_NODES} values"));
            return Err(d.help("write repeated entries once: `repeat: n` with `of: […]`"));
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), Diagnostic> {
        self.count(count, node.span)?;
        if anchor > 0 {
            // A copy costs as much as an alias to it.
            let size = node.size();
            self.count(size, node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match open.key.take() {
                Some(key) => {
                    if let Some(before) = open.seen.get(&key.text) {
                        let d = Diagnostic::error("defined-twice", format!("the key `{}` stands twice", key.text))
                            .label(self.file, key.span, "again here")
                            .also(self.file, *before, "first here");
                        self.diagnostics.push(d.help("leave one of them out"));
                    } else {
                        open.seen.insert(key.text.clone(), key.span);
                        entries.push((key, node));
                    }
                }
                None => {
                    let span = node.span;
                    let Kind::Scalar { text, .. } = node.kind else {
                        return Err(self.error(span, "a key is a single text").help("write `name: value`"));
                    };
                    open.key = Some(Key { text, span });
                }
            },
            Kind::Null | Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}
