//! Where the lines of an imported model come from: messages about the model, which is not written, point into its family.

use super::family::Copied;
use crate::{
    diag::Diagnostic,
    source::{FileId, Place, Sources},
};
use seqc_grammar::{Label, ast::Span};
use std::ops::Range;

/// Bytes of a model that come from a family.
struct Origin {
    bytes: Range<usize>,
    place: Place,
    /// Whether they stand there letter by letter; otherwise all of them come from all of the place.
    is_copied: bool,
}

/// The text of a model with the places that it comes from.
#[derive(Default)]
pub(super) struct Origins {
    pub(super) text: String,
    origins: Vec<Origin>,
}

impl Origins {
    /// Adds text that is computed from a place.
    pub(super) fn push_computed(&mut self, text: &str, place: Place) {
        self.push(text, place, false);
    }

    /// Adds what a family says.
    pub(super) fn push_copied(&mut self, part: &Copied) {
        let span = Span::new(part.start, part.start + part.text.len());
        self.push(&part.text, Place::new(part.file, span), true);
    }

    fn push(&mut self, text: &str, place: Place, is_copied: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        self.origins.push(Origin {
            bytes: start..self.text.len(),
            place,
            is_copied,
        });
    }

    /// The same without what has these bytes in it, which is computed.
    pub(super) fn without(self, bytes: &[usize]) -> Origins {
        let (mut kept, mut at) = (Origins::default(), 0);
        for origin in &self.origins {
            kept.text.push_str(&self.text[at..origin.bytes.start]);
            at = origin.bytes.end;
            if !bytes.iter().any(|byte| origin.bytes.contains(byte)) {
                kept.push(&self.text[origin.bytes.clone()], origin.place, origin.is_copied);
            }
        }
        kept.text.push_str(&self.text[at..]);
        kept
    }

    /// Messages about the model, called `shown`, as messages about the family.
    pub(super) fn translate(&self, diagnostics: &mut [Diagnostic], shown: &str, sources: &Sources) {
        for label in diagnostics
            .iter_mut()
            .flat_map(|d| d.labels.iter_mut().chain(&mut d.trace))
        {
            if sources.path(label.file) == shown {
                self.place(label);
            }
        }
    }

    fn place(&self, label: &mut Label) {
        let at = label.span.start as usize;
        let Some(origin) = self.origins.iter().find(|o| o.bytes.contains(&at)) else {
            return;
        };
        let moved = |byte: u32| (byte as usize).saturating_sub(origin.bytes.start) + origin.place.span.start as usize;
        let file: FileId = origin.place.file;
        label.file = file;
        label.span = match origin.is_copied {
            true => Span::new(moved(label.span.start), moved(label.span.end)),
            false => origin.place.span,
        };
    }
}
