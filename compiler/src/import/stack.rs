//! The expressions of the stack of a family, and what can be said of them without a configuration: layers, settings and parameters that do not
//! exist, and names that nothing defines.

use super::references::{references, unknown};
use crate::{
    diag::Diagnostic,
    kinds::{self, Setting},
    known::Kind,
    library::{Definition, Library},
    model::{INDICES, missing_parts},
    source::{FileId, Place},
};
use seqc_grammar::{
    ast::{DefKind, Expr, ExprKind, Ident},
    model::{BlockSpec, Entry, LayerEntry, Load, ModelFile, Part, Template, When},
};

/// An expression of a stack.
pub(super) struct Seen<'e, 's> {
    pub(super) expr: &'e Expr,
    /// The kind that its value should have, where something says so.
    pub(super) kind: Option<Kind>,
    /// The setting whose value it is.
    pub(super) setting: Option<Setting<'e>>,
    /// Names that it may use.
    pub(super) names: &'s [&'e str],
}

/// Everything that is wrong with the stack of a model; `sizes` are the names of the family's sizes.
pub(super) fn problems(file: FileId, model: &ModelFile, library: &Library, sizes: &[&str]) -> Vec<Diagnostic> {
    let mut found = missing_parts(library, file, model);
    visit(model, library, sizes, &mut |seen| {
        let names = seen.names;
        match (&seen.expr.kind, &seen.setting) {
            // A word that nothing defines is a string, where that may be one.
            (ExprKind::Name(word), Some(setting)) => {
                let is_wrong = seen.kind == Some(Kind::Number) && !names.contains(&word.as_str());
                let place = Place::new(file, seen.expr.span);
                found.extend(is_wrong.then(|| kinds::word_for_number(place, word, *setting, names)));
            }
            _ => found.extend(references(file, seen.expr).iter().filter_map(|r| unknown(r, names))),
        }
    });
    found
}

/// Shows every expression of the stack of a model, and of its encoder.
pub(super) fn visit<'e>(
    model: &'e ModelFile,
    library: &'e Library,
    sizes: &[&'e str],
    see: &mut dyn FnMut(Seen<'e, '_>),
) {
    let mut scope = Scope {
        library,
        names: sizes.to_vec(),
        see,
    };
    scope.block_of_entries(model.block.as_ref());
    if let Some(encoder) = &model.encoder {
        scope.block_of_entries(encoder.block.as_ref());
        scope.entries(&encoder.stack, 0);
    }
    scope.entries(&model.stack, 0);
}

/// The layers and blocks of a model and of its encoder, as often as they are named.
pub(super) fn definitions<'e>(model: &'e ModelFile, library: &'e Library) -> Vec<&'e Definition> {
    let mut names: Vec<(&Ident, DefKind)> = Vec::new();
    let mut add = |block: Option<&'e BlockSpec>| {
        names.extend(
            block
                .iter()
                .flat_map(|b| &b.blocks)
                .map(|block| (&block.name, DefKind::Block)),
        );
    };
    let encoder = model.encoder.as_ref();
    add(model.block.as_ref());
    add(encoder.and_then(|encoder| encoder.block.as_ref()));
    let mut entries: Vec<&Entry> = model
        .stack
        .iter()
        .chain(encoder.iter().flat_map(|e| &e.stack))
        .collect();
    let mut layers = Vec::new();
    while let Some(entry) = entries.pop() {
        match entry {
            Entry::Layer(entry) => {
                layers.push((&entry.layer, DefKind::Layer));
                add(entry.block.as_ref());
            }
            Entry::Repeat(repeat) => entries.extend(&repeat.of),
        }
    }
    let all = names.into_iter().chain(layers);
    all.filter_map(|(name, kind)| library.named(&name.text, kind))
        .map(|definition| &**definition)
        .collect()
}

struct Scope<'e, 'f> {
    library: &'e Library,
    /// Sizes, then the indices of the repeats around.
    names: Vec<&'e str>,
    see: &'f mut dyn FnMut(Seen<'e, '_>),
}

impl<'e> Scope<'e, '_> {
    /// The block of entries without one of their own, which may stand in a repeat.
    fn block_of_entries(&mut self, block: Option<&'e BlockSpec>) {
        self.names.push(INDICES[0]);
        self.block(block);
        self.names.pop();
    }

    fn entries(&mut self, entries: &'e [Entry], depth: usize) {
        for entry in entries {
            match entry {
                Entry::Layer(entry) => self.layer(entry),
                Entry::Repeat(repeat) => {
                    repeat
                        .count
                        .iter()
                        .for_each(|count| self.expr(count, Some(Kind::Number)));
                    self.when(repeat.when.as_ref());
                    repeat.cond.iter().for_each(|cond| self.expr(cond, Some(Kind::Boolean)));
                    let index = repeat.count.as_ref().and_then(|_| INDICES.get(depth).copied());
                    self.names.extend(index);
                    self.entries(&repeat.of, depth + usize::from(index.is_some()));
                    self.names.truncate(self.names.len() - usize::from(index.is_some()));
                }
            }
        }
    }

    fn layer(&mut self, entry: &'e LayerEntry) {
        self.settings(&entry.layer, DefKind::Layer, &entry.settings);
        self.block(entry.block.as_ref());
        entry.cond.iter().for_each(|cond| self.expr(cond, Some(Kind::Boolean)));
        self.when(entry.when.as_ref());
        for (_, load) in &entry.load {
            let templates = match load {
                Load::One(one) => std::slice::from_ref(one),
                Load::Stack(several, _) => several,
            };
            templates.iter().for_each(|template| self.template(template));
        }
        entry.params.iter().for_each(|template| self.template(template));
    }

    /// The number of `every(n)`; other clocks are streams.
    fn when(&mut self, when: Option<&'e When>) {
        if let Some(ExprKind::Call { args, .. }) = when.map(|when| &when.condition.kind) {
            args.iter().for_each(|arg| self.expr(arg, Some(Kind::Number)));
        }
    }

    fn template(&mut self, template: &'e Template) {
        for part in &template.parts {
            match part {
                Part::Text(_) => {}
                Part::Expr(expr) => self.expr(expr, None),
                Part::Range(from, to) | Part::Rows(from, to) => {
                    self.expr(from, Some(Kind::Number));
                    self.expr(to, Some(Kind::Number));
                }
            }
        }
    }

    fn block(&mut self, block: Option<&'e BlockSpec>) {
        for block in block.iter().flat_map(|b| &b.blocks) {
            block.cond.iter().for_each(|cond| self.expr(cond, Some(Kind::Boolean)));
            self.settings(&block.name, DefKind::Block, &block.settings);
        }
    }

    fn settings(&mut self, name: &'e Ident, kind: DefKind, settings: &'e [(Ident, Expr)]) {
        let definition = self.library.named(&name.text, kind);
        for (setting, value) in settings {
            let kind = definition.and_then(|d| kinds::of_setting(self.library, d, &setting.text));
            let setting = Setting {
                of: &name.text,
                name: &setting.text,
            };
            self.value(value, kind, setting);
        }
    }

    fn value(&mut self, value: &'e Expr, kind: Option<Kind>, setting: Setting<'e>) {
        match &value.kind {
            ExprKind::List(items) => items.iter().for_each(|item| self.value(item, None, setting)),
            _ => self.see(value, kind, Some(setting)),
        }
    }

    fn expr(&mut self, expr: &'e Expr, kind: Option<Kind>) {
        self.see(expr, kind, None);
    }

    fn see(&mut self, expr: &'e Expr, kind: Option<Kind>, setting: Option<Setting<'e>>) {
        let names = &self.names[..];
        (self.see)(Seen {
            expr,
            kind,
            setting,
            names,
        });
    }
}
