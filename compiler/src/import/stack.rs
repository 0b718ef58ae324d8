//! What can be said of the stack of a family without a configuration: layers, settings and parameters that do not exist, and names that
//! nothing defines.

use super::references::{references, unknown};
use crate::{
    diag::Diagnostic,
    library::Library,
    model::{INDICES, missing_parts},
    source::FileId,
};
use seqc_grammar::{
    ast::{Expr, ExprKind, Ident},
    model::{BlockSpec, Entry, LayerEntry, Load, ModelFile, Part, Template, When},
};

/// Everything of that kind; `sizes` are the names of the family's sizes.
pub(super) fn problems(file: FileId, model: &ModelFile, library: &Library, sizes: &[&str]) -> Vec<Diagnostic> {
    let mut found = missing_parts(library, file, model);
    let mut scope = Scope {
        file,
        names: sizes.to_vec(),
        found: Vec::new(),
    };
    scope.block_of_entries(model.block.as_ref());
    if let Some(encoder) = &model.encoder {
        scope.block_of_entries(encoder.block.as_ref());
        scope.entries(&encoder.stack, 0);
    }
    scope.entries(&model.stack, 0);
    found.extend(scope.found);
    found
}

struct Scope<'a> {
    file: FileId,
    /// Sizes, then the indices of the repeats around.
    names: Vec<&'a str>,
    found: Vec<Diagnostic>,
}

impl Scope<'_> {
    /// The block of entries without one of their own, which may stand in a repeat.
    fn block_of_entries(&mut self, block: Option<&BlockSpec>) {
        self.names.push(INDICES[0]);
        self.block(block);
        self.names.pop();
    }

    fn entries(&mut self, entries: &[Entry], depth: usize) {
        for entry in entries {
            match entry {
                Entry::Layer(entry) => self.layer(entry),
                Entry::Repeat(repeat) => {
                    repeat.count.iter().for_each(|count| self.expr(count));
                    self.when(repeat.when.as_ref());
                    repeat.cond.iter().for_each(|cond| self.expr(cond));
                    let index = repeat.count.as_ref().and_then(|_| INDICES.get(depth).copied());
                    self.names.extend(index);
                    self.entries(&repeat.of, depth + usize::from(index.is_some()));
                    self.names.truncate(self.names.len() - usize::from(index.is_some()));
                }
            }
        }
    }

    fn layer(&mut self, entry: &LayerEntry) {
        self.settings(&entry.settings);
        self.block(entry.block.as_ref());
        entry.cond.iter().for_each(|cond| self.expr(cond));
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
    fn when(&mut self, when: Option<&When>) {
        if let Some(ExprKind::Call { args, .. }) = when.map(|when| &when.condition.kind) {
            args.iter().for_each(|arg| self.expr(arg));
        }
    }

    fn template(&mut self, template: &Template) {
        for part in &template.parts {
            match part {
                Part::Text(_) => {}
                Part::Expr(expr) => self.expr(expr),
                Part::Range(from, to) | Part::Rows(from, to) => {
                    self.expr(from);
                    self.expr(to);
                }
            }
        }
    }

    fn block(&mut self, block: Option<&BlockSpec>) {
        for block in block.iter().flat_map(|b| &b.blocks) {
            block.cond.iter().for_each(|cond| self.expr(cond));
            self.settings(&block.settings);
        }
    }

    fn settings(&mut self, settings: &[(Ident, Expr)]) {
        settings.iter().for_each(|(_, value)| self.value(value));
    }

    /// The value of a setting: a word that nothing defines is a string.
    fn value(&mut self, value: &Expr) {
        match &value.kind {
            ExprKind::Name(_) => {}
            ExprKind::List(items) => items.iter().for_each(|item| self.value(item)),
            _ => self.expr(value),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let found = references(self.file, expr);
        self.found.extend(found.iter().filter_map(|r| unknown(r, &self.names)));
    }
}
