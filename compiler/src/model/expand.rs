//! Repeats, conditions and blocks written out: the layers of a model one by one.

mod clocks;

use super::{clock::Clock, values::Names};
use crate::{
    diag::{Diagnostic, Placed},
    elaborate::{CacheUse, Given, Part, block_prefix},
    library::{Definition, Library},
    source::{FileId, Place},
};
use seqc_grammar::{
    ast::{DefKind, Expr, Ident, Span, Stmt},
    model::{BlockRef, BlockSpec, Encoder, Entry, LayerEntry, Load, ModelFile, RepeatEntry, Template},
};
use std::{collections::HashMap, sync::Arc};

/// Most messages about a stack.
const MAX_MESSAGES: usize = 200;

/// What stands before the paths of an encoder's layers.
pub const ENCODER: &str = "encoder.";

/// Most layers of a model.
const MAX_LAYERS: usize = 20_000;

/// One layer of a model.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Path: `layers.3.attention`, `encoder.layers.3.attention`.
    pub path: String,
    /// Whether it is a layer of the encoder: it runs over the rows of the memory.
    pub of_encoder: bool,
    /// The name that its entry gives it.
    pub label: Option<String>,
    /// The layer.
    pub layer: Part,
    /// Blocks around it, outermost first.
    pub blocks: Vec<Part>,
    /// How its attentions keep keys and values, where the model says it.
    pub cache: Option<Arc<CacheUse>>,
    /// The path under which parameters without a tensor of their own are found, where that is not its own.
    pub params: Option<String>,
    /// Tensors by parameter.
    pub load: Arc<Vec<(Ident, Load)>>,
    /// The parts around it that run at some tokens only, outermost first.
    pub clocks: Vec<Arc<Clock>>,
    /// Streams by argument.
    pub streams: Vec<(Ident, Ident)>,
    /// Definitions by stream.
    pub taps: Vec<(Ident, Ident)>,
    /// Values of sizes and repeat indices here.
    pub names: Arc<Names>,
}

pub(super) struct Expander<'a> {
    library: &'a Library,
    /// What wraps entries that do not say otherwise.
    block: Option<&'a BlockSpec>,
    /// What stands before all paths: that of the encoder.
    pub(super) root: &'static str,
    pub(super) names: Names,
    /// Iterations of outermost repeats so far.
    running: usize,
    paths: HashMap<String, usize>,
    /// Parts around what comes next that run at some tokens only.
    pub(super) clocks: Vec<Arc<Clock>>,
    instances: Vec<Instance>,
    pub(super) diagnostics: Vec<Diagnostic>,
    full: bool,
}

/// All layers of a model.
pub(super) fn expand(library: &Library, file: &ModelFile, names: Names) -> (Vec<Instance>, Vec<Diagnostic>) {
    let mut e = Expander::new(library, file, names);
    if let Some(encoder) = &file.encoder {
        e.enter(file, Some(encoder));
        e.items(&encoder.stack, "");
        e.enter(file, None);
    }
    e.items(&file.stack, "");
    e.diagnostics.dedup();
    (e.instances, e.diagnostics)
}

/// Layers, blocks, settings and parameters of a stack that do not exist, whatever the sizes are.
pub fn missing_parts(library: &Library, id: FileId, file: &ModelFile) -> Vec<Diagnostic> {
    let names = Names {
        file: id,
        ..Names::default()
    };
    let mut e = Expander::new(library, file, names);
    if let Some(encoder) = &file.encoder {
        e.enter(file, Some(encoder));
        e.look_at(&encoder.stack);
        e.enter(file, None);
    }
    e.look_at(&file.stack);
    e.diagnostics.dedup();
    e.diagnostics
}

impl<'a> Expander<'a> {
    fn new(library: &'a Library, file: &'a ModelFile, names: Names) -> Expander<'a> {
        Expander {
            library,
            block: file.block.as_ref(),
            root: "",
            names,
            running: 0,
            paths: HashMap::new(),
            clocks: Vec::new(),
            instances: Vec::new(),
            diagnostics: Vec::new(),
            full: false,
        }
    }
}

impl<'a> Expander<'a> {
    /// Goes on with the stack of the encoder, or with that of the model.
    fn enter(&mut self, file: &'a ModelFile, encoder: Option<&'a Encoder>) {
        let block = encoder.and_then(|encoder| encoder.block.as_ref());
        self.block = block.or(file.block.as_ref());
        self.root = if encoder.is_some() { ENCODER } else { "" };
        self.running = 0;
    }
}

impl Expander<'_> {
    /// Every entry once, without the values of its settings.
    fn look_at(&mut self, items: &[Entry]) {
        for item in items {
            let entry = match item {
                Entry::Layer(entry) => entry,
                Entry::Repeat(repeat) => {
                    self.look_at(&repeat.of);
                    continue;
                }
            };
            let block = entry.block.as_ref().or(self.block);
            let named = block.map_or(&[][..], |b| &b.blocks);
            let layer = self.unset(&entry.layer, &entry.settings, DefKind::Layer);
            let blocks: Vec<_> = named
                .iter()
                .map(|b| self.unset(&b.name, &b.settings, DefKind::Block))
                .collect();
            if let Some(layer) = layer.filter(|_| blocks.iter().all(Option::is_some)) {
                self.check_load(entry, &layer);
            }
        }
    }

    /// A definition whose settings exist, without their values.
    fn unset(&mut self, name: &Ident, settings: &[(Ident, Expr)], kind: DefKind) -> Option<Part> {
        let definition = self.definition(name, kind)?;
        for (setting, _) in settings {
            self.is_setting(&definition, name, setting);
        }
        Some(Part {
            definition,
            settings: Vec::new(),
            place: self.place(name.span),
        })
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place::new(self.names.file, span)
    }

    fn items(&mut self, items: &[Entry], prefix: &str) {
        for item in items {
            if self.full {
                return;
            }
            match item {
                Entry::Layer(entry) => self.entry(entry, prefix),
                Entry::Repeat(repeat) => self.repeat(repeat, prefix),
            }
        }
    }

    /// The value, or its problem in the list.
    pub(super) fn kept<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(d) => {
                if !self.diagnostics.contains(&d) {
                    self.diagnostics.push(d);
                }
                self.full |= self.diagnostics.len() >= MAX_MESSAGES;
                None
            }
        }
    }

    /// Whether a condition holds, if there is one.
    fn holds(&mut self, condition: Option<&Expr>) -> bool {
        let Some(condition) = condition else { return true };
        let value = self.names.condition(condition);
        self.kept(value) == Some(true)
    }

    fn repeat(&mut self, repeat: &RepeatEntry, prefix: &str) {
        if !self.holds(repeat.cond.as_ref()) {
            return;
        }
        let clocked = repeat.when.as_ref().map(|when| self.begin(when, prefix));
        match (&repeat.count, clocked) {
            (_, Some(None)) => {}
            (Some(count), _) => self.repeated(repeat, count, prefix),
            (None, _) => self.items(&repeat.of, prefix),
        }
        if clocked.flatten().is_some() {
            self.clocks.pop();
        }
    }

    fn repeated(&mut self, repeat: &RepeatEntry, count: &Expr, prefix: &str) {
        let count = self.names.count(count, MAX_LAYERS);
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
            self.items(&repeat.of, &at);
            self.names.indices.pop();
            if prefix.is_empty() {
                self.running += 1;
            }
        }
    }

    fn entry(&mut self, entry: &LayerEntry, prefix: &str) {
        if !self.holds(entry.cond.as_ref()) {
            return;
        }
        let clocked = entry.when.as_ref().map(|when| self.begin(when, prefix));
        if clocked != Some(None) {
            self.layer(entry, prefix);
        }
        if clocked.flatten().is_some() {
            self.clocks.pop();
        }
    }

    fn layer(&mut self, entry: &LayerEntry, prefix: &str) {
        if self.instances.len() >= MAX_LAYERS {
            self.full = true;
            let message = format!("a model has up to {MAX_LAYERS} layers");
            let place = self.place(entry.layer.span);
            self.diagnostics.push(Diagnostic::new("too-large", place, message));
            return;
        }
        let layer = self.part(&entry.layer, &entry.settings, DefKind::Layer);
        let block = entry.block.as_ref().or(self.block);
        let blocks = block.map_or(Some(Vec::new()), |b| self.blocks(b));
        let (Some(layer), Some(blocks)) = (layer, blocks) else {
            return;
        };
        self.check_load(entry, &layer);
        let base = format!(
            "{}{prefix}{}",
            self.root,
            entry.label.as_ref().map_or(&entry.layer.text, |l| &l.value)
        );
        let shared = entry.params.as_ref().map(|template| self.shared_path(template));
        if shared == Some(None) {
            return;
        }
        let path = self.fresh_path(base);
        self.instances.push(Instance {
            path,
            of_encoder: !self.root.is_empty(),
            label: entry.label.as_ref().map(|l| l.value.clone()),
            layer,
            blocks,
            cache: None,
            load: Arc::new(entry.load.clone()),
            params: shared.flatten(),
            clocks: self.clocks.clone(),
            streams: entry.inputs.clone(),
            taps: entry.taps.clone(),
            names: Arc::new(self.names.clone()),
        });
    }

    /// A path that no other entry of the stack has.
    pub(super) fn fresh_path(&mut self, base: String) -> String {
        let count = self.paths.entry(base.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { base } else { format!("{base}_{count}") }
    }

    /// The one path that a template names.
    fn shared_path(&mut self, template: &Template) -> Option<String> {
        let paths = self.names.template(template);
        match &self.kept(paths)?[..] {
            [path] => Some(path.clone()),
            _ => {
                let place = self.place(template.span);
                let d = Diagnostic::new("bad-template", place, "`params` is one path, without a range");
                self.kept(Err(d.help(
                    "write the path of the entry whose parameters are shared: `params: layers.0.attention`",
                )))
            }
        }
    }

    fn blocks(&mut self, spec: &BlockSpec) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for block in &spec.blocks {
            if self.holds(block.cond.as_ref()) {
                parts.push(self.part(&block.name, &block.settings, DefKind::Block));
            }
        }
        parts.into_iter().collect()
    }

    /// A definition with its settings.
    fn part(&mut self, name: &Ident, settings: &[(Ident, Expr)], kind: DefKind) -> Option<Part> {
        let definition = self.definition(name, kind)?;
        let mut given: Vec<(String, Given)> = Vec::new();
        let mut fits = true;
        for (setting, expr) in settings {
            if !self.is_setting(&definition, name, setting) {
                continue;
            }
            let value = self.names.setting(expr, setting, &definition, self.library);
            let place = self.place(expr.span);
            match self.kept(value) {
                Some(value) => given.push((setting.text.clone(), Given { value, place })),
                None => fits = false,
            }
        }
        fits.then_some(Part {
            definition,
            settings: given,
            place: self.place(name.span),
        })
    }

    /// Whether a definition has a setting; what it has not is reported.
    fn is_setting(&mut self, definition: &Definition, name: &Ident, setting: &Ident) -> bool {
        let known: Vec<&str> = definition.def.settings.iter().map(|s| s.name.text.as_str()).collect();
        let is_known = known.contains(&setting.text.as_str());
        if !is_known {
            let message = format!("`{}` has no setting `{}`", name.text, setting.text);
            let d = Diagnostic::new("unknown-setting", self.place(setting.span), message);
            self.kept::<()>(Err(d.did_you_mean(&setting.text, known)));
        }
        is_known
    }

    fn definition(&mut self, name: &Ident, kind: DefKind) -> Option<Arc<Definition>> {
        let what = |kind: DefKind| match kind {
            DefKind::Layer => "layer",
            DefKind::Block => "block",
            DefKind::Fn => "function",
            DefKind::Cache => "cache",
        };
        let place = self.place(name.span);
        match self.library.named(&name.text, kind) {
            Some(d) if d.def.kind == kind => Some(d.clone()),
            Some(d) => {
                let message = format!(
                    "`{}` is a {}, a {} is expected here",
                    name.text,
                    what(d.def.kind),
                    what(kind)
                );
                let help = match d.def.kind {
                    DefKind::Layer => "layers are entries of the `stack`, one layer in each entry",
                    DefKind::Block => "blocks wrap layers: `block: {pre_norm: {eps: 1e-5}}`",
                    DefKind::Fn => "functions are called by layers, not by models",
                    DefKind::Cache => "caches are policies of attentions: `cache: [{policy: …}]`",
                };
                self.kept(Err(Diagnostic::new("unknown-layer", place, message).help(help)))
            }
            None => {
                let message = format!("there is no {} `{}`", what(kind), name.text);
                let d = Diagnostic::new("unknown-layer", place, message);
                let d = d.did_you_mean(&name.text, self.library.names(kind));
                let d = if d.help.is_empty() {
                    d.help("layer files are listed under `use:`")
                } else {
                    d
                };
                self.kept(Err(d))
            }
        }
    }

    /// Parameters that are loaded must be declared somewhere, used or not; in a block, whether its condition holds or not.
    fn check_load(&mut self, entry: &LayerEntry, layer: &Part) {
        let written = entry
            .block
            .as_ref()
            .or(self.block)
            .into_iter()
            .flat_map(|spec| &spec.blocks);
        let block = |block: &BlockRef| {
            let definition = self.library.named(&block.name.text, DefKind::Block)?;
            (definition.def.kind == DefKind::Block).then(|| Part {
                definition: definition.clone(),
                settings: Vec::new(),
                place: self.place(block.name.span),
            })
        };
        let blocks: Vec<Part> = written.filter_map(block).collect();
        let mut known: Vec<String> = declared(&layer.definition).collect();
        for (n, block) in blocks.iter().enumerate() {
            let prefix = block_prefix(&blocks, n);
            known.extend(declared(&block.definition).map(|p| format!("{prefix}{p}")));
        }
        for (key, _) in &entry.load {
            if !known.contains(&key.text) {
                let message = format!("`{}` has no parameter `{}`", entry.layer.text, key.text);
                let d = Diagnostic::new("unknown-parameter", self.place(key.span), message);
                let d = d.did_you_mean(&key.text, known.iter().map(String::as_str));
                self.kept::<()>(Err(d));
            }
        }
    }
}

/// Names of the parameters of a definition.
pub(super) fn declared(definition: &Definition) -> impl Iterator<Item = String> {
    definition.def.body.iter().flat_map(|stmt| match stmt {
        Stmt::Param(decls) => decls.iter().map(|d| d.name.text.clone()).collect(),
        _ => Vec::new(),
    })
}
