//! The keys of a model file. Everything that is wrong with them is reported at once.

use super::{BlockRef, BlockSpec, InputTy, ModelFile, Spanned, Weights};
use crate::{
    ast::{Expr, ExprKind, Ident, Shape, Span},
    diag::{Diagnostic, FileId, nearest},
    yaml::{Key, Kind, Node, parse_yaml},
};

/// Keys of a model.
pub const MODEL_KEYS: &[&str] = &[
    "version",
    "model",
    "sizes",
    "inputs",
    "use",
    "weights",
    "tokenizer",
    "end",
    "trained_length",
    "block",
    "stack",
    "output",
];

/// Keys of `weights`.
pub const WEIGHTS_KEYS: &[&str] = &["file", "type", "random", "unused"];

/// Version of model files.
const VERSION: u32 = 1;

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
    ("a block", "block: {pre_norm: {eps: 1e-5}}"),
    ("a list of layers", "- embed: {vocab: vocab}"),
    ("a layer with its settings", "- attention: {heads: 4}"),
    ("of settings", "attention: {heads: 4}"),
    ("arguments to streams", "in: {m: memory}"),
    ("streams to definitions", "tap: {memory: h}"),
    ("parameters to tensors", "load: {up_proj: \"layers.{i}.up\"}"),
    ("the name of a tensor", "\"layers.{i}.weight\""),
    ("a name for the layer", "name: mixer"),
    ("a file", "model.safetensors"),
    ("a value", "4 * d"),
];

pub(super) struct Reader<'d> {
    pub(super) file: FileId,
    pub(super) diagnostics: &'d mut Vec<Diagnostic>,
}

/// Reads a model file. There is no model if the text is no YAML mapping; otherwise what cannot be read is left out and reported.
pub fn parse_model(file: FileId, text: &str) -> (Option<ModelFile>, Vec<Diagnostic>) {
    let (root, mut diagnostics) = parse_yaml(file, text);
    let model = root.and_then(|root| read_model(file, &root, &mut diagnostics));
    diagnostics.sort_by_key(|d| d.span().start);
    (model, diagnostics)
}

/// Reads a model from a YAML tree.
pub fn read_model(file: FileId, root: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<ModelFile> {
    let mut reader = Reader { file, diagnostics };
    let Kind::Map(entries) = &root.kind else {
        reader.wrong(root, "a model, a mapping with `version`, `model` and `stack`,");
        return None;
    };
    let mut model = empty(root.span);
    for (key, node) in entries {
        reader.model_key(&mut model, key, node);
    }
    for (key, example) in [
        ("version", "version: 1"),
        ("model", "model: my-model"),
        ("stack", "stack: […]"),
    ] {
        let is_meant = |(k, _): &(Key, Node)| {
            !MODEL_KEYS.contains(&k.text.as_str()) && nearest(&k.text, MODEL_KEYS.iter().copied()) == Some(key)
        };
        if root.get(key).is_none() && !entries.iter().any(is_meant) {
            let d = Diagnostic::error("missing-key", format!("the model has no `{key}`"));
            let start = Span::new(root.span.start as usize, root.span.start as usize);
            reader
                .diagnostics
                .push(d.label(file, start, "").help(format!("add `{example}`")));
        }
    }
    Some(model)
}

fn empty(span: Span) -> ModelFile {
    ModelFile {
        version: Spanned { value: VERSION, span },
        name: Spanned {
            value: String::new(),
            span,
        },
        sizes: Vec::new(),
        inputs: Vec::new(),
        uses: Vec::new(),
        weights: None,
        tokenizer: None,
        end: None,
        trained_length: None,
        block: None,
        stack: Vec::new(),
        output: None,
    }
}

impl Reader<'_> {
    fn model_key(&mut self, model: &mut ModelFile, key: &Key, node: &Node) {
        match key.text.as_str() {
            "version" => self.version(model, node),
            "model" => {
                if let Some(name) = self.text(node, "the name of the model") {
                    model.name = name;
                }
            }
            "sizes" => model.sizes = self.values(node, "a mapping of names to values"),
            "inputs" => {
                for (name, node) in self.map(node, "a mapping of streams to types") {
                    if let (Some(name), Some(ty)) = (self.ident(name), self.input_ty(node)) {
                        model.inputs.push((name, ty));
                    }
                }
            }
            "use" => model.uses = self.texts(node, "a list of layer files", "a layer file"),
            "weights" => model.weights = Some(self.weights(node)),
            "tokenizer" => model.tokenizer = self.text(node, "a file"),
            "end" => model.end = Some(self.value(node)),
            "trained_length" => model.trained_length = Some(self.value(node)),
            "block" => model.block = self.block(node),
            "stack" => {
                model.stack = self.stack(node);
                if node.items().is_some_and(<[Node]>::is_empty) {
                    let d = Diagnostic::error("missing-key", "the stack is empty");
                    self.diagnostics.push(
                        d.label(self.file, node.span, "")
                            .help("list its layers: `- embed: {vocab: vocab}`"),
                    );
                }
            }
            "output" => model.output = self.text(node, "a name for the result"),
            _ => self.unknown_key(key, "a model", MODEL_KEYS),
        }
    }

    fn version(&mut self, model: &mut ModelFile, node: &Node) {
        let span = node.span;
        if node.text().and_then(|t| t.parse().ok()) == Some(VERSION) {
            model.version = Spanned { value: VERSION, span };
            return;
        }
        let d = Diagnostic::error("bad-version", "this version of model files is not known");
        self.diagnostics
            .push(d.label(self.file, span, "").help("the only version is 1"));
    }

    fn weights(&mut self, node: &Node) -> Weights {
        let mut weights = Weights {
            file: None,
            ty: None,
            random: None,
            unused: Vec::new(),
            span: node.span,
        };
        for (key, value) in self.map(node, "a mapping with `file`, `type`, `random` or `unused`") {
            match key.text.as_str() {
                "file" => weights.file = self.text(value, "a file"),
                "type" => weights.ty = self.text(value, "a numeric type"),
                "random" => match value.text().and_then(|t| t.parse().ok()) {
                    Some(seed) => {
                        weights.random = Some(Spanned {
                            value: seed,
                            span: value.span,
                        });
                    }
                    None => self.wrong(value, "a seed, an integer from 0,"),
                },
                "unused" => weights.unused = self.texts(value, "a list of names of tensors", "the name of a tensor"),
                _ => self.unknown_key(key, "`weights`", WEIGHTS_KEYS),
            }
        }
        if let (Some(file), Some(random)) = (&weights.file, &weights.random) {
            let d = Diagnostic::error("wrong-type", "weights come from a file or are random, not both")
                .label(self.file, random.span, "random")
                .also(self.file, file.span, "a file");
            self.diagnostics.push(d.help("leave one of them out"));
        }
        weights
    }

    fn input_ty(&mut self, node: &Node) -> Option<InputTy> {
        let shape = |dims: Vec<Expr>| Some(Shape { dims, span: node.span });
        let expr = self.value(node);
        let (int, shape) = match expr.kind {
            ExprKind::List(dims) => (false, shape(dims)),
            ExprKind::Name(name) if name == "int" => (true, None),
            ExprKind::Index { base, indices } if base.kind == ExprKind::Name("int".to_owned()) => {
                (true, shape(indices))
            }
            ExprKind::Error => return None,
            _ => {
                let d = Diagnostic::error("wrong-type", "a type of streams is expected here")
                    .label(self.file, node.span, "");
                self.diagnostics
                    .push(d.help("`int` for tokens, `int[n]`, or a shape per token: `\"[d]\"`"));
                return None;
            }
        };
        Some(InputTy {
            int,
            shape,
            span: node.span,
        })
    }

    /// `none`, a block, or a list from the outside in.
    pub(super) fn block(&mut self, node: &Node) -> Option<BlockSpec> {
        let blocks = match &node.kind {
            Kind::Scalar { text, .. } if text == "none" => Vec::new(),
            Kind::List(items) => items.iter().filter_map(|item| self.block_ref(item)).collect(),
            Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => vec![self.block_ref(node)?],
        };
        Some(BlockSpec {
            blocks,
            span: node.span,
        })
    }

    fn block_ref(&mut self, node: &Node) -> Option<BlockRef> {
        match &node.kind {
            Kind::Scalar { .. } => Some(BlockRef {
                name: self.word(node)?,
                settings: Vec::new(),
            }),
            Kind::Map(entries) => {
                if let [_, (second, _), ..] = &entries[..] {
                    let d = Diagnostic::error(
                        "wrong-type",
                        "several blocks are written as a list, from the outermost to the innermost",
                    )
                    .label(self.file, second.span, "a second block")
                    .help("`block: [outer, {inner: {eps: 1e-5}}]`");
                    self.diagnostics.push(d);
                }
                let (name, settings) = entries.first()?;
                Some(BlockRef {
                    name: self.ident(name)?,
                    settings: self.values(settings, "a mapping of settings"),
                })
            }
            Kind::Null | Kind::List(_) => {
                self.wrong(node, "a block, a list of blocks or `none`");
                None
            }
        }
    }

    /// A mapping of names to values.
    pub(super) fn values(&mut self, node: &Node, wanted: &str) -> Vec<(Ident, Expr)> {
        let entries = self.map(node, wanted);
        let read = entries
            .iter()
            .filter_map(|(key, value)| Some((self.ident(key)?, self.value(value))));
        read.collect()
    }

    pub(super) fn map<'n>(&mut self, node: &'n Node, wanted: &str) -> &'n [(Key, Node)] {
        node.entries().unwrap_or_else(|| {
            self.wrong(node, wanted);
            &[]
        })
    }

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
    fn texts(&mut self, node: &Node, wanted: &str, each: &str) -> Vec<Spanned<String>> {
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

    pub(super) fn wrong(&mut self, node: &Node, wanted: &str) {
        let d = Diagnostic::error("wrong-type", format!("{wanted} is expected here, not {}", node.what()));
        let d = d.label(self.file, node.span, "");
        self.diagnostics.push(match example(wanted) {
            Some(example) => d.help(format!("for example: `{example}`")),
            None => d.help("docs/language.md, §8 (Models), describes the keys"),
        });
    }

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
