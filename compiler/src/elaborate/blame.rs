//! The location of an error: one inside a definition of the library is reported where the user's text caused it.

use super::{
    children::children,
    cx::{Binding, Cx, Frame},
    origin::expression,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::{FileId, Place},
};
use seqc_grammar::ast::{BinOp, DefKind, Expr, ExprKind, Stmt};

/// Deepest chain of definitions that a name is followed through.
const MAX_CHAIN: usize = 32;

/// Largest size whose divisors are looked for.
const MOST_DIVIDED: usize = 1 << 20;

/// A name that the user gave a value, which the library computed with.
#[derive(Clone, Debug, PartialEq)]
struct Root {
    name: String,
    value: Known,
    place: Place,
    /// A setting of a call or of an entry of the model; otherwise a size of the model.
    setting: bool,
}

/// A message, and how many of the definitions around it are still part of its chain.
pub(super) struct Told {
    pub(super) diagnostic: Diagnostic,
    pub(super) frames: usize,
}

impl Cx<'_> {
    /// The message at a place of the user; nothing where the same cause has been told.
    pub(super) fn for_the_user(&self, d: Diagnostic) -> Option<Told> {
        let all = self.frames.len();
        let moved = match d.place() {
            Some(place) if d.code != "refused" && self.is_library(place.file) => self.moved(&d, place),
            _ => None,
        };
        let (told, frames) = moved.unwrap_or((d, all));
        let same = |other: &Diagnostic| {
            let cause = other.code == told.code && other.message == told.message;
            let (Some(a), Some(b)) = (other.place(), told.place()) else {
                return false;
            };
            // What goes wrong inside a call follows from what is wrong with its arguments.
            let inside = a.file == b.file && a.span.start >= b.span.start && a.span.end <= b.span.end;
            (a == b && cause) || (inside && frames < all)
        };
        let again = told.code != "refused" && self.diagnostics.iter().any(same);
        (!again).then_some(Told {
            diagnostic: told,
            frames,
        })
    }

    /// Whether a file is one that the tool carries.
    pub(super) fn is_library(&self, file: FileId) -> bool {
        self.request.library.is_standard(file) && file != self.request.layer.place.file
    }

    fn moved(&self, d: &Diagnostic, place: Place) -> Option<(Diagnostic, usize)> {
        let called = |n: &usize| !self.is_library(self.called_at(*n).file);
        let entered = (0..self.frames.len()).rev().find(called)?;
        let definition = &self.frames[entered].definition.def;
        let last = self.frames.last()?;
        let e = self
            .sized
            .as_ref()
            .or_else(|| expression(&last.definition.def, place.span));
        let mut roots = Vec::new();
        if let Some(e) = e {
            self.roots(self.frames.len() - 1, e, 0, &mut roots);
        }
        // A setting is more likely to be wrong than a size that everything shares.
        roots.sort_by_key(|r| !r.setting);
        let missing = self.missing_size(d);
        let at = match (&missing, roots.first()) {
            (None, Some(root)) => root.place,
            _ => self.called_at(entered),
        };
        let layer = &definition.name.text;
        let message = missing
            .map(|name| format!("`sizes` has no `{name}`, which `{layer}` needs"))
            .or_else(|| self.in_words(d, e?, &roots))
            .unwrap_or_else(|| d.message.clone());
        let mut told = Diagnostic {
            labels: Vec::new(),
            help: self.remedies(d, e, layer, &roots),
            message,
            ..d.clone()
        };
        told = told.label(at.file, at.span, "");
        for root in roots.iter().filter(|r| r.place != at) {
            told = told.note(root.place, format!("`{}` is {}, from here", root.name, root.value));
        }
        let step = format!("in `{}`", last.definition.def.name.text);
        Some((told.trace(place.file, place.span, step), entered))
    }

    /// The size of the model that a message misses.
    fn missing_size(&self, d: &Diagnostic) -> Option<String> {
        let last = self.frames.last()?;
        let e = expression(&last.definition.def, d.place()?.span)?;
        match &e.kind {
            ExprKind::Name(name) if d.code == "unknown-name" && last.part.is_some() => Some(name.clone()),
            _ => None,
        }
    }

    /// What is wrong, said of what the user wrote.
    fn in_words(&self, d: &Diagnostic, e: &Expr, roots: &[Root]) -> Option<String> {
        let first = roots.first()?;
        let Root { name, value, .. } = first;
        if d.code == "bad-size" {
            if let Some((above, below)) = self.quotient(self.frames.len() - 1, e, 0) {
                let find = |name: &str| roots.iter().find(|r| r.name == name).map(|r| r.value.to_string());
                let (over, under) = (find(&above)?, find(&below)?);
                return Some(format!("`{below}` = {under} does not divide `{above}` = {over}"));
            }
            return Some(match value {
                Known::Num(n) if *n >= 1.0 && n.fract() == 0.0 && value.size().is_none() => {
                    format!("`{name}` is {value}, too large for a size")
                }
                Known::Num(n) if *n >= 1.0 && n.fract() == 0.0 => format!("`{name}` is {value}: {}", d.message),
                Known::Num(_) => format!("`{name}` is {value}, where a size is an integer from 1"),
                _ => format!(
                    "`{name}` is `{value}`, {}, where a size is an integer from 1",
                    value.kind()
                ),
            });
        }
        let kinds = ["wrong-operands", "not-a-tensor", "not-a-condition"];
        let other = first.setting && kinds.contains(&d.code);
        other.then(|| format!("`{name}` is `{value}`, {}: {}", value.kind(), d.message))
    }

    fn remedies(&self, d: &Diagnostic, e: Option<&Expr>, layer: &str, roots: &[Root]) -> Vec<String> {
        if d.code == "bad-size"
            && let Some((above, below)) = e.and_then(|e| self.quotient(self.frames.len() - 1, e, 0))
            && let Some(near) = divisors(roots, &above, &below)
        {
            return vec![near];
        }
        if let Some(root) = roots.first()
            && d.code == "bad-size"
            && root.value.size().is_none_or(|n| n == 0)
        {
            let Root { name, value, .. } = root;
            return vec![match value {
                Known::Num(n) if *n > 1.0 && n.fract() == 0.0 => format!("give `{name}` a smaller number"),
                Known::Str(word) => {
                    format!("no size is called `{word}`: add it under `sizes`, or give an integer from 1")
                }
                _ => format!("give `{name}` an integer from 1"),
            }];
        }
        if let Some(name) = self.missing_size(d) {
            return vec![format!("add it: `sizes: {{{name}: …}}`")];
        }
        let default = roots.first().filter(|r| r.setting).and_then(|root| {
            let frame = self.frames.iter().find(|f| f.definition.def.name.text == layer)?;
            let setting = frame
                .definition
                .def
                .settings
                .iter()
                .find(|s| s.name.text == root.name)?;
            setting.default.as_ref().map(|e| (root.name.clone(), written(e)))
        });
        match default {
            Some((name, Some(value))) => vec![format!("`{name}` of `{layer}` is {value} unless given")],
            _ if d.help.is_empty() => {
                let of_cache =
                    |f: &Frame| f.definition.def.kind == DefKind::Cache && f.definition.def.name.text == layer;
                let document = if self.frames.iter().any(of_cache) {
                    "caches"
                } else {
                    "layers"
                };
                vec![format!("docs/{document}.md lists what `{layer}` takes")]
            }
            _ => d.help.clone(),
        }
    }

    /// What the user gave of the names in an expression of frame `n`.
    fn roots(&self, n: usize, e: &Expr, depth: usize, out: &mut Vec<Root>) {
        if let ExprKind::Name(name) = &e.kind {
            self.root(n, name, depth, out);
        }
        for part in children(e) {
            self.roots(n, part, depth, out);
        }
    }

    fn root(&self, n: usize, name: &str, depth: usize, out: &mut Vec<Root>) {
        let Some(frame) = self.frames.get(n).filter(|_| depth < MAX_CHAIN) else {
            return;
        };
        let bound = frame.names.get(name);
        let known = match bound.map(|b| &b.binding) {
            Some(Binding::Known(known)) => Some(known.clone()),
            None if frame.part.is_some() => self.request.sizes.get(name).map(|g| g.value.clone()),
            _ => None,
        };
        let Some(value) = known else { return };
        let place = match bound {
            Some(bound) => bound.place,
            None => match self.request.sizes.get(name) {
                Some(given) => given.place,
                None => return,
            },
        };
        if !self.is_library(place.file) {
            let root = Root {
                name: name.to_owned(),
                value,
                place,
                setting: bound.is_some(),
            };
            if !out.contains(&root) {
                out.push(root);
            }
            return;
        }
        // A default or a `dim` of the definition itself, or what its caller passed on.
        if let Some(e) = self.defined(n, name) {
            self.roots(n, e, depth + 1, out);
            return;
        }
        let caller = n.checked_sub(1).and_then(|c| Some((c, self.frames.get(c)?)));
        match caller.and_then(|(c, frame)| Some((c, expression(&frame.definition.def, place.span)?))) {
            Some((c, e)) => self.roots(c, e, depth + 1, out),
            // The size of an axis: the model calls it so, too.
            None => {
                if let Some(given) = self.request.sizes.get(name).filter(|g| g.value == value) {
                    let root = Root {
                        name: name.to_owned(),
                        value,
                        place: given.place,
                        setting: false,
                    };
                    if !out.contains(&root) {
                        out.push(root);
                    }
                }
            }
        }
    }

    /// The default or the `dim` that gave a name of frame `n` its value.
    fn defined(&self, n: usize, name: &str) -> Option<&Expr> {
        let frame = &self.frames[n];
        let def = &frame.definition.def;
        let own = |at: seqc_grammar::ast::Span| {
            let place = Place::new(frame.definition.file, at);
            frame.names.get(name).is_some_and(|b| b.place == place)
        };
        let setting = def.settings.iter().find(|s| s.name.text == name && own(s.name.span));
        let default = setting.and_then(|s| s.default.as_ref());
        default.or_else(|| {
            def.body.iter().find_map(|stmt| match stmt {
                Stmt::Dim { name: dim, value } if dim.text == name && own(dim.span) => Some(value),
                _ => None,
            })
        })
    }

    /// The names above and below the line, where an expression is a quotient of two of them.
    fn quotient(&self, n: usize, e: &Expr, depth: usize) -> Option<(String, String)> {
        match &e.kind {
            ExprKind::Binary(BinOp::Div, a, b) => match (&a.kind, &b.kind) {
                (ExprKind::Name(a), ExprKind::Name(b)) => Some((a.clone(), b.clone())),
                _ => None,
            },
            ExprKind::Name(name) if depth < MAX_CHAIN => self.quotient(n, self.defined(n, name)?, depth + 1),
            _ => None,
        }
    }
}

/// The numbers nearest to one that divide another.
fn divisors(roots: &[Root], above: &str, below: &str) -> Option<String> {
    let find = |name: &str| roots.iter().find(|r| r.name == name).and_then(|r| r.value.size());
    let (over, under) = (find(above).filter(|n| *n <= MOST_DIVIDED)?, find(below)?);
    let divides = |n: &usize| over % n == 0;
    // Whatever divides a number is not above it.
    let less = (1..under.min(over + 1)).rev().find(divides);
    let more = (under + 1..=over).find(divides);
    let near: Vec<String> = less.iter().chain(&more).map(usize::to_string).collect();
    let do_ = if near.len() == 1 { "does" } else { "do" };
    (!near.is_empty()).then(|| format!("{} {do_}", near.join(" and ")))
}

/// A default that is one word.
fn written(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Number(n) => Some(n.to_string()),
        ExprKind::Str(s) => Some(format!("\"{s}\"")),
        ExprKind::Bool(b) => Some(b.to_string()),
        ExprKind::Name(name) => Some(format!("`{name}`")),
        _ => None,
    }
}
