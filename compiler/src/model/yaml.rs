//! YAML as a tree with places: bounded in depth, size and repetition.

use crate::{
    diag::Diagnostic,
    known::Known,
    source::{FileId, Place},
};
use saphyr_parser::{Event, Parser, ScalarStyle};
use seqc_grammar::ast::Span;
use std::collections::HashMap;

/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// Most nodes, those of repeated anchors included.
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: Kind,
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// Kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// Text; `plain` when it stands without quotes.
    Scalar {
        /// The text.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// What the value is, for messages.
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
            _ => None,
        }
    }

    /// The entries of a mapping; none for nothing.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(k, _)| k.text == key).map(|(_, v)| v)
    }

    /// The number or truth value that a plain scalar is.
    pub fn known(&self) -> Option<Known> {
        let Kind::Scalar { text, plain: true } = &self.kind else {
            return None;
        };
        match text.as_str() {
            "true" | "True" => return Some(Known::Bool(true)),
            "false" | "False" => return Some(Known::Bool(false)),
            ".inf" | "inf" | "Infinity" | "+.inf" => return Some(Known::Num(f64::INFINITY)),
            "-.inf" | "-inf" | "-Infinity" => return Some(Known::Num(f64::NEG_INFINITY)),
            _ => {}
        }
        let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        text.replace('_', "").parse().ok().filter(|_| numeric).map(Known::Num)
    }

    /// Replaces the value under a path of keys and list positions; what is missing in mappings is made.
    pub fn set(&mut self, path: &[&str], value: Node) -> Result<(), String> {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return Ok(());
        };
        if let Kind::Null = self.kind {
            self.kind = Kind::Map(Vec::new());
        }
        match &mut self.kind {
            Kind::Map(entries) => {
                let at = match entries.iter().position(|(k, _)| k.text == *first) {
                    Some(at) => at,
                    None => {
                        let key = Key {
                            text: (*first).to_owned(),
                            place: value.place,
                        };
                        let empty = Node {
                            place: value.place,
                            kind: Kind::Null,
                        };
                        entries.push((key, empty));
                        entries.len() - 1
                    }
                };
                entries[at].1.set(rest, value)
            }
            Kind::List(items) => {
                let count = items.len();
                match first.parse::<usize>().ok().and_then(|n| items.get_mut(n)) {
                    Some(item) => item.set(rest, value),
                    None => Err(format!("`{first}` is not a position in a list of {count}")),
                }
            }
            Kind::Scalar { .. } | Kind::Null => Err(format!("there is nothing under `{first}`: the value is a single one")),
        }
    }
}

/// Reads one YAML document.
pub fn read(file: FileId, text: &str) -> Result<Node, Diagnostic> {
    let mut reader = Reader {
        file,
        offsets: offsets(text),
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                let span = reader.span(span.start.index(), span.end.index());
                reader.event(event, span)?;
            }
            Err(error) => {
                let at = reader.span(error.marker().index(), error.marker().index());
                let place = Place::new(file, at);
                return Err(Diagnostic::new("yaml", place, format!("this is not YAML: {}", error.info())));
            }
        }
    }
    Ok(reader.root.unwrap_or(Node {
        place: Place::new(file, Span::default()),
        kind: Kind::Null,
    }))
}

/// Byte offset of every character, where they differ from character numbers.
fn offsets(text: &str) -> Option<Vec<u32>> {
    if text.is_ascii() {
        return None;
    }
    Some(text.char_indices().map(|(n, _)| n as u32).chain([text.len() as u32]).collect())
}

/// A collection that is being read.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<Key>,
}

struct Reader {
    file: FileId,
    offsets: Option<Vec<u32>>,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Reader {
    fn span(&self, start: usize, end: usize) -> Span {
        let byte = |n: usize| match &self.offsets {
            None => n as u32,
            Some(offsets) => offsets.get(n).or(offsets.last()).copied().unwrap_or(0),
        };
        Span {
            start: byte(start),
            end: byte(end.max(start)),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let place = Place::new(self.file, span);
        let node = |kind| Node { place, kind };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let kind = match (plain, &*text) {
                    (true, "" | "~" | "null" | "Null" | "NULL") => Kind::Null,
                    _ => Kind::Scalar {
                        text: text.into_owned(),
                        plain,
                    },
                };
                self.add(node(kind), anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.open(node(Kind::List(Vec::new())), anchor),
            Event::MappingStart(anchor, _) => self.open(node(Kind::Map(Vec::new())), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(open) => self.add(open.node, open.anchor, 1),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((node, count)) => self.add(node, 0, count),
                None => Err(Diagnostic::new("yaml", place, "this alias names nothing")),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Diagnostic::new("yaml", place, "a file holds one document"))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("this is nested more than {MAX_DEPTH} deep");
            return Err(Diagnostic::new("yaml", node.place, message));
        }
        self.stack.push(Open {
            node,
            anchor,
            key: None,
        });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(count);
        if self.nodes > MAX_NODES {
            let message = format!("this document has more than {MAX_NODES} values");
            return Err(Diagnostic::new("yaml", node.place, message));
        }
        if anchor > 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match open.key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Kind::Scalar { text, .. } = node.kind else {
                        return Err(Diagnostic::new("yaml", node.place, "a key is a single text"));
                    };
                    if let Some((before, _)) = entries.iter().find(|(k, _)| k.text == text) {
                        return Err(Diagnostic::new("defined-twice", node.place, format!("`{text}` stands twice"))
                            .note(before.place, "first here"));
                    }
                    open.key = Some(Key {
                        text,
                        place: node.place,
                    });
                }
            },
            Kind::Null | Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Null | Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, v)| size(v) + 1).sum::<usize>(),
    }
}
