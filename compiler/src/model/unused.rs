//! What a model or its layers define and nothing uses.

use super::expand::{self, Instance};
use crate::{
    diag::Diagnostic,
    elaborate::{children, stream_names},
    library::{Definition, Library},
    source::FileId,
};
use seqc_grammar::{
    ast::{Def, DefKind, Expr, ExprKind, Ident, ParamDecl, Shape, Stmt, StreamTy, Target},
    model::{BlockSpec, Entry, LayerEntry, Load, ModelFile, Part, Template},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Warnings about the sizes and taps of a model, and about the definitions of the layer files that it uses.
pub(super) fn warnings(file: FileId, model: &ModelFile, library: &Library, instances: &[Instance]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let tapped: HashSet<&str> = instances
        .iter()
        .flat_map(|i| &i.taps)
        .map(|(_, d)| d.text.as_str())
        .collect();
    let defs: Vec<&Definition> = library.used().collect();
    let stacked: HashSet<&str> = instances
        .iter()
        .map(|i| i.layer.definition.def.name.text.as_str())
        .collect();
    for definition in &defs {
        let def = &definition.def;
        // What a layer that is no entry defines may be there for the taps of another model.
        let elsewhere = def.kind == DefKind::Layer && !stacked.contains(def.name.text.as_str());
        let of_def = unused_of(def, &tapped).into_iter();
        let of_def = of_def.filter(|(what, _)| !elsewhere || *what != "definition");
        found.extend(of_def.map(|(what, name)| unused(definition.file, what, name)));
    }
    found.extend(taps_and_inputs(file, model, instances));
    found.extend(shares_of_nothing(instances));
    found.extend(sizes(file, model, &defs, instances));
    found
}

fn unused(file: FileId, what: &str, name: &Ident) -> Diagnostic {
    let message = format!("nothing uses the {what} `{}`", name.text);
    Diagnostic::warning("unused", message).label(file, name.span, "")
}

/// Names that one statement defines, and what they are.
struct Defined<'a> {
    what: &'static str,
    names: Vec<&'a Ident>,
}

/// What a definition declares and does not mention. Values that a model taps are used, and of several that one statement gives
/// one is enough.
fn unused_of<'a>(def: &'a Def, tapped: &HashSet<&str>) -> Vec<(&'static str, &'a Ident)> {
    let mut uses = Uses::default();
    def.streams.iter().for_each(|s| uses.stream(&s.ty));
    def.settings
        .iter()
        .filter_map(|s| s.default.as_ref())
        .for_each(|e| uses.expr(e));
    def.result.iter().for_each(|shape| uses.shape(shape));
    let mut defined: Vec<Defined<'a>> = vec![];
    for setting in &def.settings {
        let names = vec![&setting.name];
        defined.push(Defined { what: "setting", names });
    }
    for stmt in &def.body {
        let mut own = Uses::default();
        own.statement(stmt);
        // A size that is refused where it does not fit is there for that.
        let new = if own.names.contains("fail") {
            Vec::new()
        } else {
            declared(stmt)
        };
        // A recurrence does not use itself.
        for name in new.iter().flat_map(|d| &d.names) {
            own.names.remove(name.text.as_str());
        }
        uses.names.extend(own.names);
        uses.texts.extend(own.texts);
        defined.extend(new);
    }
    let mut found = Vec::new();
    for Defined { what, names } in defined {
        let used = |name: &&Ident| uses.has(&name.text) || what == "definition" && tapped.contains(name.text.as_str());
        // Clauses of caches name what others compute.
        if def.kind != DefKind::Cache && !names.iter().any(used) {
            found.extend(names.first().map(|name| (what, *name)));
        }
    }
    found
}

fn declared(stmt: &Stmt) -> Vec<Defined<'_>> {
    let one = |what, names| vec![Defined { what, names }];
    match stmt {
        Stmt::Dim { name, .. } => one("size", vec![name]),
        Stmt::Param(decls) => decls.iter().map(parameter).collect(),
        Stmt::Let { target, .. } => match target {
            Target::Name { name, .. } | Target::Indexed { name, .. } => one("definition", vec![name]),
            Target::Tuple(names) => one("definition", names.iter().collect()),
        },
        Stmt::Trace { .. } | Stmt::Result(_) | Stmt::Clause(_) => Vec::new(),
    }
}

fn parameter(decl: &ParamDecl) -> Defined<'_> {
    Defined {
        what: "parameter",
        names: vec![&decl.name],
    }
}

/// Taps that no layer reads, or not before another entry's tap has their name, and inputs but the first one that no layer reads.
fn taps_and_inputs(file: FileId, model: &ModelFile, instances: &[Instance]) -> Vec<Diagnostic> {
    let mut named: HashMap<&str, u32> = HashMap::new();
    let mut read: HashSet<u32> = HashSet::new();
    let inputs = [model.encoder.as_ref().map_or(&[][..], |e| &e.inputs), &model.inputs[..]];
    for (name, _) in inputs.into_iter().flatten() {
        named.insert(&name.text, name.span.start);
    }
    for instance in instances {
        let own = stream_names(&instance.layer.definition, &instance.blocks);
        let given = instance.streams.iter().map(|(_, stream)| stream.text.clone());
        let clocks = instance.clocks.iter().filter_map(|clock| clock.stream());
        let all = own
            .into_iter()
            .chain(given)
            .chain(clocks.map(|stream| stream.text.clone()));
        read.extend(all.filter_map(|name| named.get(name.as_str())));
        for (stream, _) in &instance.taps {
            named.insert(&stream.text, stream.span.start);
        }
    }
    read.extend(model.output.iter().filter_map(|o| named.get(o.value.as_str())));
    let taps = instances
        .iter()
        .flat_map(|i| &i.taps)
        .map(|(stream, _)| ("tap", stream));
    let inputs = inputs.into_iter().flat_map(|all| all.iter().skip(1));
    let all = taps.chain(inputs.map(|(name, _)| ("input", name)));
    let unread = all.filter(|(_, stream)| !read.contains(&stream.span.start));
    let once: BTreeMap<u32, (&str, &Ident)> = unread.map(|found| (found.1.span.start, found)).collect();
    once.into_values()
        .map(|(what, stream)| unused(file, what, stream))
        .collect()
}

/// Entries that share the path of their parameters with others, and none of the parameters.
fn shares_of_nothing(instances: &[Instance]) -> Vec<Diagnostic> {
    let mut groups: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in instances {
        let path = instance.params.as_ref().unwrap_or(&instance.path);
        groups.entry(path).or_default().push(instance);
    }
    let mut found = BTreeMap::new();
    for (path, group) in groups.into_iter().filter(|(_, group)| group.len() > 1) {
        let declared: Vec<HashSet<String>> = group
            .iter()
            .map(|i| expand::declared(&i.layer.definition).collect())
            .collect();
        for (n, instance) in group.iter().enumerate() {
            let mut others = declared.iter().enumerate().filter(|(m, _)| *m != n);
            if declared[n].is_empty() || others.any(|(_, names)| !names.is_disjoint(&declared[n])) {
                continue;
            }
            let place = instance.layer.place;
            let message = format!("no other entry with the parameters of `{path}` has one of these");
            let warning = Diagnostic::warning("unused", message).label(place.file, place.span, "");
            let help = "name the path of an entry of the same layer, or leave `params` out";
            found.insert(place.span.start, warning.help(help));
        }
    }
    found.into_values().collect()
}

/// Sizes that neither the model nor its layers mention.
fn sizes(file: FileId, model: &ModelFile, defs: &[&Definition], instances: &[Instance]) -> Vec<Diagnostic> {
    let mut uses = Uses::default();
    for (name, value) in &model.sizes {
        let mut own = Uses::default();
        own.expr(value);
        own.names.remove(name.text.as_str());
        uses.names.extend(own.names);
    }
    let inputs = model.encoder.iter().flat_map(|e| &e.inputs).chain(&model.inputs);
    let shapes = inputs.filter_map(|(_, ty)| ty.shape.as_ref());
    shapes.for_each(|shape| uses.shape(shape));
    let start = model.encoder.iter().flat_map(|e| &e.start);
    let values = model.end.iter().chain(&model.trained_length).chain(start);
    values.for_each(|e| uses.expr(e));
    for cache in &model.caches {
        cache.settings.iter().for_each(|(_, e)| uses.expr(e));
        cache
            .on
            .iter()
            .flatten()
            .for_each(|on| uses.texts.push(on.value.clone()));
    }
    model.block.iter().for_each(|block| uses.blocks(block));
    if let Some(encoder) = &model.encoder {
        encoder.block.iter().for_each(|block| uses.blocks(block));
        uses.stack(&encoder.stack);
    }
    uses.stack(&model.stack);
    // Layers and blocks see all sizes.
    let parts = instances.iter().flat_map(|i| [&i.layer].into_iter().chain(&i.blocks));
    let seen: BTreeMap<&str, &Def> = parts
        .map(|p| (p.definition.def.name.text.as_str(), &p.definition.def))
        .collect();
    for def in seen.into_values().chain(defs.iter().map(|d| &d.def)) {
        uses.definition(def);
    }
    let lost = model.sizes.iter().filter(|(name, _)| !uses.has(&name.text));
    lost.map(|(name, _)| unused(file, "size", name)).collect()
}

/// Names that are mentioned.
#[derive(Default)]
struct Uses<'a> {
    names: HashSet<&'a str>,
    /// Texts in which names stand in braces.
    texts: Vec<String>,
}

impl<'a> Uses<'a> {
    fn has(&self, name: &str) -> bool {
        let braced = |text: &String| text.match_indices(name).any(|(at, _)| is_word(text, at, name.len()));
        self.names.contains(name) || self.texts.iter().any(braced)
    }

    fn expr(&mut self, e: &'a Expr) {
        match &e.kind {
            ExprKind::Name(name) => {
                self.names.insert(name);
            }
            ExprKind::Str(text) => self.texts.push(text.clone()),
            ExprKind::Call { callee, .. } => {
                self.names.insert(&callee.text);
            }
            // An index variable has the size of its name.
            ExprKind::Reduce { vars, .. } => self.names.extend(vars.iter().map(|(name, _)| name.text.as_str())),
            ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Unary(..) | ExprKind::Binary(..) => {}
            ExprKind::If(..) | ExprKind::When(..) | ExprKind::Index { .. } | ExprKind::List(_) => {}
            ExprKind::Tuple(_) | ExprKind::Error => {}
        }
        children(e).into_iter().for_each(|part| self.expr(part));
    }

    fn shape(&mut self, shape: &'a Shape) {
        shape.dims.iter().for_each(|e| self.expr(e));
    }

    fn stream(&mut self, ty: &'a StreamTy) {
        match ty {
            StreamTy::Real(shape) | StreamTy::Int(Some(shape)) | StreamTy::Complex(Some(shape)) => self.shape(shape),
            StreamTy::Any | StreamTy::Int(None) | StreamTy::Complex(None) | StreamTy::Layer => {}
        }
    }

    fn statement(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Dim { value, .. } | Stmt::Trace { value, .. } | Stmt::Result(value) | Stmt::Clause(value) => {
                self.expr(value);
            }
            Stmt::Param(decls) => decls
                .iter()
                .filter_map(|d| d.shape.as_ref())
                .for_each(|shape| self.shape(shape)),
            Stmt::Let { target, value } => {
                match target {
                    Target::Name { shape, .. } => shape.iter().for_each(|shape| self.shape(shape)),
                    Target::Indexed { vars, .. } => self.names.extend(vars.iter().map(|v| v.text.as_str())),
                    Target::Tuple(_) => {}
                }
                self.expr(value);
            }
        }
    }

    fn definition(&mut self, def: &'a Def) {
        def.streams.iter().for_each(|s| self.stream(&s.ty));
        def.settings
            .iter()
            .filter_map(|s| s.default.as_ref())
            .for_each(|e| self.expr(e));
        def.result.iter().for_each(|shape| self.shape(shape));
        def.body.iter().for_each(|stmt| self.statement(stmt));
    }

    fn blocks(&mut self, spec: &'a BlockSpec) {
        for block in &spec.blocks {
            block.settings.iter().for_each(|(_, e)| self.expr(e));
            block.cond.iter().for_each(|e| self.expr(e));
        }
    }

    fn stack(&mut self, entries: &'a [Entry]) {
        for entry in entries {
            match entry {
                Entry::Repeat(repeat) => {
                    repeat.count.iter().for_each(|e| self.expr(e));
                    repeat.when.iter().for_each(|when| self.expr(&when.condition));
                    repeat.cond.iter().for_each(|e| self.expr(e));
                    self.stack(&repeat.of);
                }
                Entry::Layer(layer) => self.layer(layer),
            }
        }
    }

    fn layer(&mut self, entry: &'a LayerEntry) {
        entry.settings.iter().for_each(|(_, e)| self.expr(e));
        entry.cond.iter().for_each(|e| self.expr(e));
        entry.when.iter().for_each(|when| self.expr(&when.condition));
        entry.block.iter().for_each(|block| self.blocks(block));
        entry.params.iter().for_each(|template| self.template(template));
        for (_, load) in &entry.load {
            match load {
                Load::One(template) => self.template(template),
                Load::Stack(templates, _) => templates.iter().for_each(|t| self.template(t)),
            }
        }
    }

    fn template(&mut self, template: &'a Template) {
        for part in &template.parts {
            match part {
                Part::Text(_) => {}
                Part::Expr(e) => self.expr(e),
                Part::Range(from, to) | Part::Rows(from, to) => {
                    self.expr(from);
                    self.expr(to);
                }
            }
        }
    }
}

/// Whether no letters stand beside a part of a text.
fn is_word(text: &str, at: usize, len: usize) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !letter(text[..at].chars().next_back()) && !letter(text[at + len..].chars().next())
}
