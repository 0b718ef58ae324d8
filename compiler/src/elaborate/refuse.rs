//! `fail("…")`: a definition refuses the settings that it was given.

use super::{
    cx::{Branch, Cx, Frame},
    origin::expression,
    val::Val,
};
use crate::{
    diag::{Diagnostic, Placed},
    source::Place,
};
use seqc_grammar::ast::{Expr, ExprKind, Span};

impl Cx<'_> {
    /// `fail("message")`: an error where the settings that the message names were given, else where the definition was called.
    pub(super) fn fail(&mut self, args: &[Expr], span: Span) -> Val {
        let [
            Expr {
                kind: ExprKind::Str(message),
                span: at,
            },
        ] = args
        else {
            return self.error("wrong-arguments", span, "`fail` takes a message in double quotes");
        };
        match self.branch {
            Branch::Taken => {}
            Branch::Tokens => {
                let place = self.place(span);
                let message = "whether this fails is not known when the model is built";
                let d = Diagnostic::new("not-known", place, message);
                return self.report(d.help("`fail` must be in a branch decided by settings and sizes"));
            }
            Branch::Wrong => return Val::Poison,
        }
        let (text, names) = self.filled_in(message, *at);
        let given: Vec<(String, Place)> = names
            .into_iter()
            .filter_map(|name| self.given_at(&name).map(|place| (name, place)))
            .collect();
        let innermost = self.frames.len().saturating_sub(1);
        let place = given.first().map_or(self.called_at(innermost), |(_, place)| *place);
        let known = |d: &Diagnostic| d.code == "refused" && d.message == text && d.place() == Some(place);
        if self.diagnostics.iter().any(known) {
            return Val::Poison;
        }
        if self.quiet == 0 {
            self.frame().refused = true;
        }
        let here = self.place(span);
        let mut d = Diagnostic::new("refused", place, text).trace(here.file, here.span, "refused here");
        for (name, other) in given.iter().skip(1).filter(|(_, other)| *other != place) {
            d = d.note(*other, format!("`{name}` is set here"));
        }
        self.report(d)
    }

    /// A message with the values of the names in braces, and these names.
    fn filled_in(&mut self, message: &str, at: Span) -> (String, Vec<String>) {
        let (mut text, mut names) = (String::new(), Vec::new());
        let mut rest = message;
        while let Some((before, name, after)) = braces(rest) {
            text.push_str(before);
            match self.known_name(name) {
                Some((value, _)) => {
                    text.push_str(&value.to_string());
                    names.push(name.to_owned());
                }
                None => {
                    text.push_str(&format!("{{{name}}}"));
                    let place = self.place(at);
                    let d = Diagnostic::new(
                        "unknown-name",
                        place,
                        format!("`{name}` in this message is not defined here"),
                    );
                    let known = self.visible();
                    self.report(d.did_you_mean(name, known.iter().map(String::as_str)));
                }
            }
            rest = after;
        }
        text.push_str(rest);
        (text, names)
    }

    /// Where a setting of the innermost definition was given: through calls that pass a setting on, to the first that gave it, or that
    /// left it at its default.
    fn given_at(&self, name: &str) -> Option<Place> {
        let mut name = name.to_owned();
        let mut found = None;
        for (n, frame) in self.frames.iter().enumerate().rev() {
            match setting_of(frame, &name) {
                Some(Some(place)) => found = Some(place),
                Some(None) => return Some(self.called_at(n)),
                None => break,
            }
            let caller = n.checked_sub(1).map(|n| &self.frames[n]);
            let value = caller.zip(found).and_then(|(caller, place)| {
                let same = caller.definition.file == place.file;
                same.then(|| expression(&caller.definition.def, place.span))?
            });
            match value.map(|e| &e.kind) {
                Some(ExprKind::Name(passed)) => name.clone_from(passed),
                _ => break,
            }
        }
        found
    }

    /// Where the definition of frame `n` was called; the model's place for its layer and blocks.
    pub(super) fn called_at(&self, n: usize) -> Place {
        let layer = &self.request.layer;
        let frame = self.frames.get(n);
        match frame.and_then(|f| f.part) {
            Some(n) => self.request.blocks.get(n).unwrap_or(layer).place,
            None => frame.and_then(|f| f.called_at).unwrap_or(layer.place),
        }
    }
}

/// Where a call gave a setting, if the name is one; `Some(None)`: it has its default.
fn setting_of(frame: &Frame, name: &str) -> Option<Option<Place>> {
    let setting = frame.definition.def.settings.iter().find(|s| s.name.text == name)?;
    let bound = frame.names.get(name)?;
    let default = Place::new(frame.definition.file, setting.name.span);
    Some((bound.place != default).then_some(bound.place))
}

/// The text before the first `{name}`, the name, and the text behind.
fn braces(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name.trim(), after))
}
