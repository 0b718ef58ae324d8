//! The entries of a stack, and the blocks around them.

use super::{
    keys::{ENTRY_KEYS, REPEAT_KEYS},
    reader::{Reader, is_name},
    types::{BlockRef, BlockSpec, Entry, LayerEntry, Load, RepeatEntry, When},
};
use crate::{
    ast::Ident,
    diag::{Diagnostic, nearest},
    yaml::{Key, Kind, Node},
};

impl Reader<'_> {
    pub(super) fn stack(&mut self, node: &Node) -> Vec<Entry> {
        match node.items() {
            Some(items) => items.iter().filter_map(|item| self.entry(item)).collect(),
            None => {
                self.wrong(node, "a list of layers");
                Vec::new()
            }
        }
    }

    fn entry(&mut self, node: &Node) -> Option<Entry> {
        match &node.kind {
            Kind::Scalar { .. } => {
                let layer = self.word(node)?;
                Some(Entry::Layer(Box::new(bare(layer, node))))
            }
            Kind::Map(_) if node.get("repeat").is_some() || node.get("of").is_some() => {
                self.repeat(node).map(|repeat| Entry::Repeat(Box::new(repeat)))
            }
            Kind::Map(entries) if !entries.is_empty() => self.layer(node, entries).map(|l| Entry::Layer(Box::new(l))),
            Kind::Null | Kind::List(_) | Kind::Map(_) => {
                self.wrong(node, "a layer with its settings, `layer: {setting: value}`,");
                None
            }
        }
    }

    fn repeat(&mut self, node: &Node) -> Option<RepeatEntry> {
        for (key, _) in node.entries().unwrap_or(&[]) {
            if !REPEAT_KEYS.contains(&key.text.as_str()) {
                self.unknown_key(key, "a repeat", REPEAT_KEYS);
            }
        }
        let (count, when) = (node.get("repeat"), self.when(node));
        let Some(of) = node.get("of").filter(|_| count.is_some() || when.is_some()) else {
            let d = Diagnostic::error("missing-key", "`repeat: n` and `of: […]` go together");
            let d = d.label(self.file, node.span, "");
            self.diagnostics.push(d.help(
                "`repeat: n` gives the number of repetitions, `of:` the entries; with `when:`, `of:` stands without `repeat:` too",
            ));
            return None;
        };
        Some(RepeatEntry {
            count: count.map(|count| self.expr(count)),
            when,
            of: self.stack(of),
            cond: node.get("if").map(|cond| self.expr(cond)),
            span: node.span,
        })
    }

    /// At which tokens an entry, or several, run.
    fn when(&mut self, node: &Node) -> Option<When> {
        let otherwise = node.get("otherwise");
        let Some(condition) = node.get("when") else {
            if let Some(otherwise) = otherwise {
                let d = Diagnostic::error("missing-key", "`otherwise` is for entries with `when`");
                let d = d.label(self.file, otherwise.span, "");
                self.diagnostics.push(
                    d.help("`when: every(4)` says at which tokens they run, `otherwise` what they give at others"),
                );
            }
            return None;
        };
        Some(When {
            condition: self.expr(condition),
            otherwise: otherwise.and_then(|node| self.text(node, "`hold`, `zero` or `pass`")),
        })
    }

    fn layer(&mut self, node: &Node, entries: &[(Key, Node)]) -> Option<LayerEntry> {
        let is_layer = |(key, _): &&(Key, Node)| !ENTRY_KEYS.contains(&key.text.as_str());
        let named: Vec<_> = entries.iter().filter(is_layer).collect();
        let Some((key, settings)) = self.the_layer(&named) else {
            let d = Diagnostic::error("missing-key", "this entry names no layer");
            self.diagnostics.push(
                d.label(self.file, node.span, "")
                    .help("an entry is `layer: {setting: value}`"),
            );
            return None;
        };
        let layer = self.ident(key)?;
        let mut entry = bare(layer, node);
        entry.when = self.when(node);
        entry.settings = self.values(settings, "a mapping of settings");
        for (key, value) in entries {
            match key.text.as_str() {
                "name" => entry.label = self.text(value, "a name for the layer"),
                "block" => entry.block = self.block(value),
                "load" => entry.load = self.load(value),
                "params" => entry.params = self.template(value),
                "if" => entry.cond = Some(self.expr(value)),
                "in" => entry.inputs = self.names(value, "a mapping of arguments to streams"),
                "tap" => entry.taps = self.names(value, "a mapping of streams to definitions"),
                _ => {}
            }
        }
        Some(entry)
    }

    /// The key of an entry that is its layer: of several, the one that is least like a mistyped key.
    fn the_layer<'n>(&mut self, named: &[&'n (Key, Node)]) -> Option<&'n (Key, Node)> {
        let is_typo = |entry: &(Key, Node)| nearest(&entry.0.text, ENTRY_KEYS.iter().copied()).is_some();
        let layer = named.iter().find(|e| !is_typo(e)).or(named.first())?;
        for entry in named.iter().filter(|(key, _)| key.span != layer.0.span) {
            let key = &entry.0;
            let message = format!(
                "`{}` is not a key of an entry, and its layer is `{}`",
                key.text.escape_debug(),
                layer.0.text
            );
            let d = Diagnostic::error("unknown-key", message)
                .label(self.file, key.span, "")
                .also(self.file, layer.0.span, "the layer");
            let (name, text) = (&layer.0.text, key.text.escape_debug());
            let d = match layer.1.kind {
                Kind::Null if !is_typo(entry) => d.help(format!(
                    "a setting is indented below its layer, or in braces: `{name}: {{{text}: …}}`"
                )),
                _ if !is_typo(entry) && matches!(entry.1.kind, Kind::Map(_)) => {
                    d.help(format!("another layer is an entry of its own: `- {text}: {{…}}`"))
                }
                _ => d.did_you_mean(&key.text, ENTRY_KEYS.iter().copied()),
            };
            self.diagnostics.push(d);
        }
        Some(layer)
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
                cond: None,
            }),
            Kind::Map(entries) => {
                let cond = node.get("if").map(|cond| self.expr(cond));
                let named: Vec<&(Key, Node)> = entries.iter().filter(|(key, _)| key.text != "if").collect();
                if let [_, (second, _), ..] = &named[..] {
                    let d = Diagnostic::error(
                        "wrong-type",
                        "several blocks are written as a list, from the outermost to the innermost",
                    )
                    .label(self.file, second.span, "a second block")
                    .help("`block: [outer, {inner: {eps: 1e-5}}]`");
                    self.diagnostics.push(d);
                }
                let Some((name, settings)) = named.first() else {
                    self.wrong(node, "a block, a list of blocks or `none`");
                    return None;
                };
                Some(BlockRef {
                    name: self.ident(name)?,
                    settings: self.values(settings, "a mapping of settings"),
                    cond,
                })
            }
            Kind::Null | Kind::List(_) => {
                self.wrong(node, "a block, a list of blocks or `none`");
                None
            }
        }
    }

    fn names(&mut self, node: &Node, wanted: &str) -> Vec<(Ident, Ident)> {
        let entries = self.map(node, wanted);
        let read = entries
            .iter()
            .filter_map(|(key, value)| Some((self.ident(key)?, self.word(value)?)));
        read.collect()
    }

    fn load(&mut self, node: &Node) -> Vec<(Ident, Load)> {
        let mut loads = Vec::new();
        for (key, value) in self.map(node, "a mapping of parameters to tensors") {
            if !key.text.split('.').all(is_name) {
                let d = Diagnostic::error("bad-name", format!("`{}` is not a parameter", key.text.escape_debug()));
                self.diagnostics.push(
                    d.label(self.file, key.span, "")
                        .help("write `param`, or `block.param` for one of a block"),
                );
                continue;
            }
            let path = Ident {
                text: key.text.clone(),
                span: key.span,
            };
            let load = match &value.kind {
                Kind::List(items) => {
                    let templates = items.iter().filter_map(|item| self.tensor(item)).collect();
                    Some(Load::Stack(templates, value.span))
                }
                Kind::Null | Kind::Scalar { .. } | Kind::Map(_) => self.tensor(value).map(Load::One),
            };
            loads.extend(load.map(|load| (path, load)));
        }
        loads
    }
}

fn bare(layer: Ident, node: &Node) -> LayerEntry {
    LayerEntry {
        layer,
        settings: Vec::new(),
        label: None,
        block: None,
        load: Vec::new(),
        params: None,
        cond: None,
        when: None,
        inputs: Vec::new(),
        taps: Vec::new(),
        span: node.span,
    }
}
