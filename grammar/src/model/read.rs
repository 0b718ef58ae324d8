//! The keys of a model file. Everything that is wrong with them is reported at once.

use super::{
    keys::{CACHE_KEYS, ENCODER_KEYS, MODEL_KEYS, WEIGHTS_KEYS},
    reader::Reader,
    types::{Cache, Encoder, Entry, InputTy, ModelFile, Spanned, Weights},
};
use crate::{
    ast::{Expr, ExprKind, Ident, Shape, Span},
    diag::{Diagnostic, FileId, nearest},
    yaml::{Key, Kind, Node, parse_yaml},
};

/// Version of model files.
const VERSION: u32 = 1;

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
        activations: None,
        caches: Vec::new(),
        tokenizer: None,
        end: None,
        trained_length: None,
        block: None,
        encoder: None,
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
            "inputs" => model.inputs = self.inputs(node),
            "use" => model.uses = self.texts(node, "a list of layer files", "a layer file"),
            "weights" => model.weights = Some(self.weights(node)),
            "activations" => model.activations = self.text(node, "a type of activations"),
            "cache" => model.caches = self.caches(node),
            "tokenizer" => model.tokenizer = self.text(node, "a file"),
            "end" => model.end = Some(self.value(node)),
            "trained_length" => model.trained_length = Some(self.value(node)),
            "block" => model.block = self.block(node),
            "encoder" => model.encoder = Some(self.encoder(node)),
            "stack" => model.stack = self.layers(node),
            "output" => model.output = self.text(node, "a name for the result"),
            _ => self.unknown_key(key, "a model", MODEL_KEYS),
        }
    }

    fn inputs(&mut self, node: &Node) -> Vec<(Ident, InputTy)> {
        let inputs = self.map(node, "a mapping of streams to types").iter();
        inputs
            .filter_map(|(name, node)| self.ident(name).zip(self.input_ty(node)))
            .collect()
    }

    /// A stack that is not empty.
    fn layers(&mut self, node: &Node) -> Vec<Entry> {
        let stack = self.stack(node);
        if node.items().is_some_and(<[Node]>::is_empty) {
            let d = Diagnostic::error("missing-key", "the stack is empty");
            self.diagnostics.push(
                d.label(self.file, node.span, "")
                    .help("list its layers: `- embed: {vocab: vocab}`"),
            );
        }
        stack
    }

    fn encoder(&mut self, node: &Node) -> Encoder {
        let mut encoder = Encoder {
            inputs: Vec::new(),
            block: None,
            stack: Vec::new(),
            output: None,
            start: None,
            span: node.span,
        };
        for (key, value) in self.map(node, "a mapping with `stack`, `inputs`, `block`, `output` or `start`") {
            match key.text.as_str() {
                "inputs" => encoder.inputs = self.inputs(value),
                "block" => encoder.block = self.block(value),
                "stack" => encoder.stack = self.layers(value),
                "output" => encoder.output = self.text(value, "a name for the memory"),
                "start" => encoder.start = Some(self.value(value)),
                _ => self.unknown_key(key, "`encoder`", ENCODER_KEYS),
            }
        }
        if node.get("stack").is_none() && matches!(node.kind, Kind::Map(_)) {
            let d = Diagnostic::error("missing-key", "the encoder has no `stack`");
            self.diagnostics
                .push(d.label(self.file, node.span, "").help("write `stack: […]`"));
        }
        encoder
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
            names: Vec::new(),
            unused: Vec::new(),
            span: node.span,
        };
        for (key, value) in self.map(node, "a mapping with `file`, `type`, `random`, `names` or `unused`") {
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
                "names" => weights.names = self.beginnings(value),
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

    /// Beginnings of the names of tensors, and what they are in the file.
    fn beginnings(&mut self, node: &Node) -> Vec<(Spanned<String>, Spanned<String>)> {
        let entries = self.map(node, "a mapping of beginnings of names to those in the file");
        let mut pairs = Vec::new();
        for (key, node) in entries {
            if let Some(file) = self.text(node, "the beginning of a name") {
                let (value, span) = (key.text.clone(), key.span);
                pairs.push((Spanned { value, span }, file));
            }
        }
        pairs
    }

    /// One entry for all attentions, or a list of entries.
    fn caches(&mut self, node: &Node) -> Vec<Cache> {
        match node.items() {
            Some(items) => items.iter().map(|item| self.cache(item)).collect(),
            None => vec![self.cache(node)],
        }
    }

    fn cache(&mut self, node: &Node) -> Cache {
        let mut cache = Cache {
            on: None,
            policy: None,
            ty: None,
            settings: Vec::new(),
            span: node.span,
        };
        let mut others = Vec::new();
        for (key, value) in self.map(node, "a mapping with `type` or `policy`, or a list of these,") {
            match key.text.as_str() {
                "on" => cache.on = Some(self.texts(value, "names of layers or numbers of attentions", "a layer")),
                "policy" => cache.policy = self.word(value),
                "type" => cache.ty = self.text(value, "a numeric type"),
                _ => others.push((key, value)),
            }
        }
        for (key, value) in others {
            if cache.policy.is_none() {
                self.unknown_key(key, "`cache` without a policy", CACHE_KEYS);
            } else if let Some(name) = self.ident(key) {
                let value = self.value(value);
                cache.settings.push((name, value));
            }
        }
        cache
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
}
