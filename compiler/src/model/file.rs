//! The keys of a model file.

use super::yaml::{Key, Kind, Node};
use crate::{diag::Diagnostic, source::Place};

/// Keys of a model.
pub const MODEL_KEYS: &[&str] = &[
    "version", "model", "sizes", "inputs", "use", "weights", "tokenizer", "block", "stack", "output",
];

/// Keys beside the layer of an entry.
pub const ENTRY_KEYS: &[&str] = &["name", "block", "load", "if", "in", "tap"];

/// A model as it was written.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The whole document.
    pub root: Node,
    /// Its name.
    pub name: String,
    /// Names and values, in order.
    pub sizes: Vec<(Key, Node)>,
    /// Input streams.
    pub inputs: Vec<(Key, Node)>,
    /// Layer files.
    pub uses: Vec<Node>,
    /// What wraps every entry that does not say otherwise.
    pub block: Option<Node>,
    /// Layers and repeats.
    pub stack: Vec<Item>,
    /// Name of the result.
    pub output: Option<String>,
    /// Where the tokenizer is.
    pub tokenizer: Option<(String, Place)>,
    /// Where the weights are.
    pub weights: Weights,
}

/// The `weights` of a model.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// A checkpoint.
    pub file: Option<(String, Place)>,
    /// How weights are held.
    pub store: Option<(String, Place)>,
    /// Seed of random weights.
    pub random: Option<u64>,
}

/// An element of the stack.
#[derive(Clone, Debug)]
pub enum Item {
    /// One layer.
    Layer(Box<Entry>),
    /// Elements that are repeated.
    Repeat {
        /// How often.
        times: Node,
        /// Elements.
        of: Vec<Item>,
        /// Condition.
        when: Option<Node>,
    },
}

/// A layer of the stack.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The definition's name.
    pub layer: Key,
    /// Settings.
    pub settings: Vec<(Key, Node)>,
    /// Name for messages and paths.
    pub name: Option<String>,
    /// Blocks around it.
    pub block: Option<Node>,
    /// Tensors by parameter.
    pub load: Vec<(Key, Node)>,
    /// Condition.
    pub when: Option<Node>,
    /// Streams by argument.
    pub streams: Vec<(Key, Node)>,
    /// Definitions by the name of the stream they become.
    pub taps: Vec<(Key, Node)>,
}

struct Reader {
    diagnostics: Vec<Diagnostic>,
}

/// The model of a document, with everything that is wrong with its keys.
pub fn read(root: Node) -> (ModelFile, Vec<Diagnostic>) {
    let mut r = Reader {
        diagnostics: Vec::new(),
    };
    let model = r.model(root);
    (model, r.diagnostics)
}

impl Reader {
    fn wrong(&mut self, node: &Node, wants: &str) {
        let message = format!("{wants} is wanted here, not {}", node.what());
        self.diagnostics.push(Diagnostic::new("wrong-type", node.place, message));
    }

    fn unknown(&mut self, key: &Key, what: &str, known: &[&str]) {
        let message = format!("{what} has no key `{}`", key.text);
        let d = Diagnostic::new("unknown-key", key.place, message).nearest(&key.text, known.iter().copied());
        self.diagnostics.push(d);
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong(node, "a text");
                None
            }
        }
    }

    fn map(&mut self, node: &Node, wants: &str) -> Vec<(Key, Node)> {
        match node.entries() {
            Some(entries) => entries.to_vec(),
            None => {
                self.wrong(node, wants);
                Vec::new()
            }
        }
    }

    fn model(&mut self, root: Node) -> ModelFile {
        let mut model = ModelFile {
            root: root.clone(),
            name: String::new(),
            sizes: Vec::new(),
            inputs: Vec::new(),
            uses: Vec::new(),
            block: None,
            stack: Vec::new(),
            output: None,
            tokenizer: None,
            weights: Weights::default(),
        };
        if root.entries().is_none() || root.kind == Kind::Null {
            let d = Diagnostic::new("wrong-type", root.place, "a model is a mapping with `version`, `model` and `stack`");
            self.diagnostics.push(d);
            return model;
        }
        for (key, node) in self.map(&root, "a mapping") {
            match key.text.as_str() {
                "version" => self.version(&node),
                "model" => model.name = self.text(&node).unwrap_or_default(),
                "sizes" => model.sizes = self.map(&node, "a mapping of names to values"),
                "inputs" => model.inputs = self.map(&node, "a mapping of streams to types"),
                "use" => match node.items() {
                    Some(items) => model.uses = items.to_vec(),
                    None if node.text().is_some() => model.uses = vec![node],
                    None => self.wrong(&node, "a list of layer files"),
                },
                "weights" => model.weights = self.weights(&node),
                "tokenizer" => model.tokenizer = self.text(&node).map(|t| (t, node.place)),
                "block" => model.block = Some(node),
                "stack" => model.stack = self.stack(&node),
                "output" => model.output = self.text(&node),
                _ => self.unknown(&key, "a model", MODEL_KEYS),
            }
        }
        for (key, example) in [("version", "version: 1"), ("model", "model: my-model"), ("stack", "stack: […]")] {
            if root.get(key).is_none() {
                let place = Place::new(root.place.file, Default::default());
                let d = Diagnostic::new("missing-key", place, format!("the model has no `{key}`"));
                self.diagnostics.push(d.help(format!("add `{example}`")));
            }
        }
        if root.get("stack").is_some() && model.stack.is_empty() && self.diagnostics.is_empty() {
            let place = root.get("stack").map_or(root.place, |n| n.place);
            self.diagnostics.push(Diagnostic::new("missing-key", place, "the stack is empty"));
        }
        model
    }

    fn version(&mut self, node: &Node) {
        if node.text() != Some("1") {
            let d = Diagnostic::new("bad-version", node.place, "this version of model files is not known");
            self.diagnostics.push(d.help("the only version is 1"));
        }
    }

    fn weights(&mut self, node: &Node) -> Weights {
        let mut weights = Weights::default();
        if let Some(text) = node.text() {
            weights.file = Some((text.to_owned(), node.place));
            return weights;
        }
        for (key, value) in self.map(node, "a file, or a mapping with `file`, `type` or `random`") {
            match key.text.as_str() {
                "file" => weights.file = self.text(&value).map(|t| (t, value.place)),
                "type" => weights.store = self.text(&value).map(|t| (t, value.place)),
                "random" => match value.known().and_then(|k| k.size()) {
                    Some(seed) => weights.random = Some(seed as u64),
                    None => self.wrong(&value, "a seed, a whole number,"),
                },
                _ => self.unknown(&key, "`weights`", &["file", "type", "random"]),
            }
        }
        if let (Some((_, place)), Some(_)) = (&weights.file, weights.random) {
            let d = Diagnostic::new("wrong-type", *place, "weights come from a file or are random, not both");
            self.diagnostics.push(d);
        }
        weights
    }

    fn stack(&mut self, node: &Node) -> Vec<Item> {
        let Some(items) = node.items() else {
            self.wrong(node, "a list of layers");
            return Vec::new();
        };
        items.iter().filter_map(|item| self.item(item)).collect()
    }

    fn item(&mut self, node: &Node) -> Option<Item> {
        if node.get("repeat").is_some() || node.get("of").is_some() {
            return self.repeat(node);
        }
        if let Some(text) = node.text() {
            let layer = Key {
                text: text.to_owned(),
                place: node.place,
            };
            return Some(Item::Layer(Box::new(Entry::new(layer))));
        }
        let entries = match node.entries() {
            Some(entries) if !entries.is_empty() => entries.to_vec(),
            _ => {
                self.wrong(node, "a layer with its settings");
                return None;
            }
        };
        let mut named = entries.iter().filter(|(k, _)| !ENTRY_KEYS.contains(&k.text.as_str()));
        let Some((layer, settings)) = named.next() else {
            let d = Diagnostic::new("missing-key", entries[0].0.place, "this entry names no layer");
            self.diagnostics.push(d.help("an entry is `layer: {setting: value}`"));
            return None;
        };
        for (other, _) in named {
            let known: Vec<&str> = ENTRY_KEYS.to_vec();
            let message = format!("this entry names two layers, `{}` and `{}`, or `{}` is no key", layer.text, other.text, other.text);
            let d = Diagnostic::new("unknown-key", other.place, message).note(layer.place, "the first");
            self.diagnostics.push(d.nearest(&other.text, known));
        }
        let mut entry = Entry::new(layer.clone());
        entry.settings = self.map(settings, "a mapping of settings");
        for (key, value) in &entries {
            match key.text.as_str() {
                "name" => entry.name = self.text(value),
                "block" => entry.block = Some(value.clone()),
                "load" => entry.load = self.map(value, "a mapping of parameters to tensors"),
                "if" => entry.when = Some(value.clone()),
                "in" => entry.streams = self.map(value, "a mapping of arguments to streams"),
                "tap" => entry.taps = self.map(value, "a mapping of streams to definitions"),
                _ => {}
            }
        }
        Some(Item::Layer(Box::new(entry)))
    }

    fn repeat(&mut self, node: &Node) -> Option<Item> {
        for (key, _) in node.entries().unwrap_or(&[]) {
            if !matches!(key.text.as_str(), "repeat" | "of" | "if") {
                self.unknown(key, "a repeat", &["repeat", "of", "if"]);
            }
        }
        let (Some(times), Some(of)) = (node.get("repeat"), node.get("of")) else {
            let d = Diagnostic::new("missing-key", node.place, "`repeat: n` and `of: […]` go together");
            self.diagnostics.push(d);
            return None;
        };
        let of = self.stack(of);
        Some(Item::Repeat {
            times: times.clone(),
            of,
            when: node.get("if").cloned(),
        })
    }
}

impl Entry {
    fn new(layer: Key) -> Entry {
        Entry {
            layer,
            settings: Vec::new(),
            name: None,
            block: None,
            load: Vec::new(),
            when: None,
            streams: Vec::new(),
            taps: Vec::new(),
        }
    }
}
