//! Repeats, conditions and blocks written out: the layers of a model one by one.

use super::{
    file::{Entry, Item, ModelFile},
    values::Names,
    yaml::{Key, Kind, Node},
};
use crate::{
    diag::Diagnostic,
    elaborate::{Given, Part},
    library::{Definition, Library},
};
use seqc_grammar::ast::{DefKind, Stmt};
use std::{collections::HashMap, sync::Arc};

/// Most layers of a model.
const MAX_LAYERS: usize = 20_000;

/// One layer of a model.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Path: `layers.3.attention`.
    pub path: String,
    /// The layer.
    pub layer: Part,
    /// Blocks around it, outermost first.
    pub blocks: Vec<Part>,
    /// Tensors by parameter.
    pub load: Arc<Vec<(Key, Node)>>,
    /// Streams by argument.
    pub streams: Vec<(Key, Node)>,
    /// Definitions by stream.
    pub taps: Vec<(Key, Node)>,
    /// Values of sizes and repeat indices here.
    pub names: Arc<Names>,
}

pub(super) struct Expander<'a> {
    library: &'a Library,
    file: &'a ModelFile,
    names: Names,
    /// Iterations of outermost repeats so far.
    running: usize,
    paths: HashMap<String, usize>,
    instances: Vec<Instance>,
    pub(super) diagnostics: Vec<Diagnostic>,
    full: bool,
}

/// All layers of a model.
pub(super) fn expand(library: &Library, file: &ModelFile, names: Names) -> (Vec<Instance>, Vec<Diagnostic>) {
    let mut e = Expander {
        library,
        file,
        names,
        running: 0,
        paths: HashMap::new(),
        instances: Vec::new(),
        diagnostics: Vec::new(),
        full: false,
    };
    e.items(&file.stack, "");
    e.diagnostics.dedup();
    (e.instances, e.diagnostics)
}

impl Expander<'_> {
    fn items(&mut self, items: &[Item], prefix: &str) {
        for item in items {
            if self.full {
                return;
            }
            match item {
                Item::Layer(entry) => self.entry(entry, prefix),
                Item::Repeat { times, of, when } => self.repeat(times, of, when.as_ref(), prefix),
            }
        }
    }

    /// The value, or its problem in the list.
    fn kept<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(d) => {
                if !self.diagnostics.contains(&d) {
                    self.diagnostics.push(d);
                }
                None
            }
        }
    }

    fn repeat(&mut self, times: &Node, of: &[Item], when: Option<&Node>, prefix: &str) {
        if let Some(when) = when {
            let condition = self.names.condition(when);
            if self.kept(condition) != Some(true) {
                return;
            }
        }
        let count = self.names.count(times, MAX_LAYERS);
        let Some(count) = self.kept(count) else { return };
        for i in 0..count {
            if self.full {
                return;
            }
            let at = if prefix.is_empty() {
                format!("layers.{}.", self.running)
            } else {
                format!("{prefix}{i}.")
            };
            self.names.indices.push(i);
            self.items(of, &at);
            self.names.indices.pop();
            if prefix.is_empty() {
                self.running += 1;
            }
        }
    }

    fn entry(&mut self, entry: &Entry, prefix: &str) {
        if let Some(when) = &entry.when {
            let condition = self.names.condition(when);
            if self.kept(condition) != Some(true) {
                return;
            }
        }
        if self.instances.len() >= MAX_LAYERS {
            self.full = true;
            let message = format!("a model has up to {MAX_LAYERS} layers");
            self.diagnostics.push(Diagnostic::new("too-large", entry.layer.place, message));
            return;
        }
        let layer = self.part(&entry.layer, &entry.settings, DefKind::Layer);
        let block = entry.block.as_ref().or(self.file.block.as_ref());
        let blocks = block.map_or(Some(Vec::new()), |b| self.blocks(b));
        let (Some(layer), Some(blocks)) = (layer, blocks) else {
            return;
        };
        self.check_load(entry, &layer, &blocks);
        let base = format!("{prefix}{}", entry.name.as_deref().unwrap_or(&entry.layer.text));
        let count = self.paths.entry(base.clone()).or_insert(0);
        *count += 1;
        let path = if *count == 1 { base } else { format!("{base}_{count}") };
        self.instances.push(Instance {
            path,
            layer,
            blocks,
            load: Arc::new(entry.load.clone()),
            streams: entry.streams.clone(),
            taps: entry.taps.clone(),
            names: Arc::new(self.names.clone()),
        });
    }

    fn blocks(&mut self, node: &Node) -> Option<Vec<Part>> {
        match &node.kind {
            Kind::Null => Some(Vec::new()),
            Kind::Scalar { text, .. } if text == "none" => Some(Vec::new()),
            Kind::Scalar { text, .. } => {
                let key = Key {
                    text: text.clone(),
                    place: node.place,
                };
                Some(vec![self.part(&key, &[], DefKind::Block)?])
            }
            Kind::List(items) => {
                let parts: Vec<_> = items.iter().map(|item| self.blocks(item)).collect();
                Some(parts.into_iter().collect::<Option<Vec<_>>>()?.concat())
            }
            Kind::Map(entries) => {
                let mut parts = Vec::new();
                for (key, settings) in entries {
                    let Some(settings) = settings.entries() else {
                        let message = format!("a mapping of settings is wanted here, not {}", settings.what());
                        self.diagnostics.push(Diagnostic::new("wrong-type", settings.place, message));
                        return None;
                    };
                    parts.push(self.part(key, settings, DefKind::Block)?);
                }
                Some(parts)
            }
        }
    }

    /// A definition with its settings.
    fn part(&mut self, key: &Key, settings: &[(Key, Node)], kind: DefKind) -> Option<Part> {
        let definition = self.definition(key, kind)?;
        let mut given = Vec::new();
        let mut fits = true;
        for (name, node) in settings {
            let known: Vec<&str> = definition.def.settings.iter().map(|s| s.name.text.as_str()).collect();
            if !known.contains(&name.text.as_str()) {
                let message = format!("`{}` has no setting `{}`", key.text, name.text);
                let d = Diagnostic::new("unknown-setting", name.place, message).nearest(&name.text, known);
                self.kept::<()>(Err(d));
                continue;
            }
            let value = self.names.value(node);
            match self.kept(value) {
                Some(value) => given.push((
                    name.text.clone(),
                    Given {
                        value,
                        place: node.place,
                    },
                )),
                None => fits = false,
            }
        }
        fits.then_some(Part {
            definition,
            settings: given,
            place: key.place,
        })
    }

    fn definition(&mut self, key: &Key, kind: DefKind) -> Option<Arc<Definition>> {
        let what = if kind == DefKind::Layer { "layer" } else { "block" };
        match self.library.get(&key.text) {
            Some(d) if d.def.kind == kind => Some(d.clone()),
            Some(d) => {
                let found = match d.def.kind {
                    DefKind::Layer => "layer",
                    DefKind::Block => "block",
                    DefKind::Fn => "function",
                };
                let message = format!("`{}` is a {found}, a {what} is wanted here", key.text);
                self.kept(Err(Diagnostic::new("unknown-layer", key.place, message)))
            }
            None => {
                let message = format!("there is no {what} `{}`", key.text);
                let d = Diagnostic::new("unknown-layer", key.place, message).nearest(&key.text, self.library.names(kind));
                let d = match d.help {
                    None => d.help("layer files beside the model are named under `use:`"),
                    Some(_) => d,
                };
                self.kept(Err(d))
            }
        }
    }

    /// Parameters that are loaded must be declared somewhere, used or not.
    fn check_load(&mut self, entry: &Entry, layer: &Part, blocks: &[Part]) {
        let mut known: Vec<String> = declared(&layer.definition).collect();
        for block in blocks {
            let name = &block.definition.def.name.text;
            known.extend(declared(&block.definition).map(|p| format!("{name}.{p}")));
        }
        for (key, _) in &entry.load {
            if !known.contains(&key.text) {
                let message = format!("`{}` has no parameter `{}`", entry.layer.text, key.text);
                let d = Diagnostic::new("unknown-parameter", key.place, message);
                let d = d.nearest(&key.text, known.iter().map(String::as_str));
                self.kept::<()>(Err(d));
            }
        }
    }
}

fn declared(definition: &Definition) -> impl Iterator<Item = String> {
    definition.def.body.iter().flat_map(|stmt| match stmt {
        Stmt::Param(decls) => decls.iter().map(|d| d.name.text.clone()).collect(),
        _ => Vec::new(),
    })
}
