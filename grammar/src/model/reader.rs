//! Scalars, lists and mappings of a model file as names and texts, and reports about those that are none.

use super::types::Spanned;
use crate::{
    ast::{Ident, Span},
    diag::{Diagnostic, FileId},
    yaml::{Key, Kind, Node},
};

/// What stands where in a model, by words of the messages that ask for it.
const EXAMPLES: &[(&str, &str)] = &[
    ("a model", "version: 1"),
    ("names to values", "sizes: {d: 64, vocab: 256}"),
    ("streams to types", "inputs: {tokens: int}"),
    ("layer file", "use: [layer.seq]"),
    ("the name of the model", "model: my-model"),
    ("a name for the result", "output: y"),
    ("`random`", "weights: {file: model.safetensors}"),
    ("a seed", "random: 1"),
    ("a numeric type", "type: f32"),
    ("names of layers or numbers", "on: [attention, 2]"),
    ("`type` or `policy`", "cache: {type: f16}"),
    ("a block", "block: {pre_norm: {eps: 1e-5}}"),
    ("a list of layers", "- embed: {vocab: vocab}"),
    ("a layer with its settings", "- attention: {heads: 4}"),
    ("of settings", "attention: {heads: 4}"),
    ("arguments to streams", "in: {m: memory}"),
    ("streams to definitions", "tap: {memory: h}"),
    ("a range of rows", "rows: 0..d"),
    ("parameters to tensors", "load: {up_proj: \"layers.{i}.up\"}"),
    ("the name of a tensor", "\"layers.{i}.weight\""),
    ("a name for the layer", "name: mixer"),
    ("a file", "model.safetensors"),
    ("a value", "4 * d"),
];

/// Reads nodes of a file and collects what is wrong with them.
pub(super) struct Reader<'d> {
    pub(super) file: FileId,
    pub(super) diagnostics: &'d mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The entries of a mapping; what is none is reported as not `wanted`.
    pub(super) fn map<'n>(&mut self, node: &'n Node, wanted: &str) -> &'n [(Key, Node)] {
        node.entries().unwrap_or_else(|| {
            self.wrong(node, wanted);
            &[]
        })
    }

    /// A scalar as it stands.
    pub(super) fn text(&mut self, node: &Node, wanted: &str) -> Option<Spanned<String>> {
        match node.text() {
            Some(text) => Some(Spanned {
                value: text.to_owned(),
                span: node.span,
            }),
            None => {
                self.wrong(node, wanted);
                None
            }
        }
    }

    /// A list of texts, `each` of which is the same thing, or one text.
    pub(super) fn texts(&mut self, node: &Node, wanted: &str, each: &str) -> Vec<Spanned<String>> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| self.text(item, each)).collect(),
            Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => self.text(node, wanted).into_iter().collect(),
        }
    }

    /// A key that is a name of the language.
    pub(super) fn ident(&mut self, key: &Key) -> Option<Ident> {
        self.name(&key.text, key.span)
    }

    /// A scalar that is a name of the language.
    pub(super) fn word(&mut self, node: &Node) -> Option<Ident> {
        match node.text() {
            Some(text) => self.name(text, node.span),
            None => {
                self.wrong(node, "a name");
                None
            }
        }
    }

    fn name(&mut self, text: &str, span: Span) -> Option<Ident> {
        if is_name(text) {
            let text = text.to_owned();
            return Some(Ident { text, span });
        }
        let d = Diagnostic::error("bad-name", format!("`{}` is not a name", text.escape_debug()));
        let d = d.label(self.file, span, "");
        self.diagnostics.push(match text.split_once(':') {
            Some((name, _)) if is_name(name) => d.help(format!("a space must follow the colon: `{name}: …`")),
            _ => d.help("names are letters, digits and `_`"),
        });
        None
    }

    /// Reports a node in whose place something else is wanted.
    pub(super) fn wrong(&mut self, node: &Node, wanted: &str) {
        let d = Diagnostic::error("wrong-type", format!("{wanted} is expected here, not {}", node.what()));
        let d = d.label(self.file, node.span, "");
        self.diagnostics.push(match example(wanted) {
            Some(example) => d.help(format!("for example: `{example}`")),
            None => d.help("docs/language.md, §8 (Models), describes the keys"),
        });
    }

    /// Reports a key that none of the known ones is.
    pub(super) fn unknown_key(&mut self, key: &Key, what: &str, known: &[&str]) {
        let d = Diagnostic::error(
            "unknown-key",
            format!("{what} has no key `{}`", key.text.escape_debug()),
        );
        let d = d.label(self.file, key.span, "");
        let word = key.text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        self.diagnostics.push(match known.contains(&word) {
            true => d.help(format!("a key is followed by a colon and a space: `{word}: …`")),
            false => d.did_you_mean(&key.text, known.iter().copied()),
        });
    }
}

/// How what is wanted is written.
fn example(wanted: &str) -> Option<&'static str> {
    let (_, example) = EXAMPLES.iter().find(|(what, _)| wanted.contains(what))?;
    Some(example)
}

/// Whether a text is a name of the language.
pub(super) fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_') && letters.all(|c| c.is_alphanumeric() || c == '_')
}
