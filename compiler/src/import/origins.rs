//! Where the lines of an imported model come from: messages about the model, which is not written, point into its family.

use super::{family::Copied, reading::Computed};
use crate::{
    diag::Diagnostic,
    source::{FileId, Place, Sources},
};
use seqc_grammar::{Label, ast::Span};
use std::ops::Range;

/// Most sizes of which a message says where they come from.
const MOST_SIZES: usize = 2;

/// Bytes of a model that come from a family.
#[derive(Clone)]
struct Origin {
    bytes: Range<usize>,
    place: Place,
    /// Whether they stand there letter by letter; otherwise all of them come from all of the place.
    is_copied: bool,
    /// The size that is computed, and what the configuration says of it.
    size: Option<(String, String)>,
}

/// The text of a model with the places that it comes from.
#[derive(Default)]
pub(super) struct Origins {
    pub(super) text: String,
    origins: Vec<Origin>,
}

impl Origins {
    /// Adds the text of a size that is computed from a place.
    pub(super) fn push_computed(&mut self, text: &str, place: Place, size: &Computed) {
        let says = size.says.clone();
        self.push(
            Origin {
                bytes: self.next(text),
                place,
                is_copied: false,
                size: says.map(|says| (size.name.clone(), says)),
            },
            text,
        );
    }

    /// Adds what a family says.
    pub(super) fn push_copied(&mut self, part: &Copied) {
        let span = Span::new(part.start, part.start + part.text.len());
        self.push(
            Origin {
                bytes: self.next(&part.text),
                place: Place::new(part.file, span),
                is_copied: true,
                size: None,
            },
            &part.text,
        );
    }

    /// The bytes that a text has when it is added.
    fn next(&self, text: &str) -> Range<usize> {
        self.text.len()..self.text.len() + text.len()
    }

    fn push(&mut self, origin: Origin, text: &str) {
        self.text.push_str(text);
        self.origins.push(origin);
    }

    /// The same without what has these bytes in it, which is computed.
    pub(super) fn without(self, bytes: &[usize]) -> Origins {
        let (mut kept, mut at) = (Origins::default(), 0);
        for origin in &self.origins {
            kept.text.push_str(&self.text[at..origin.bytes.start]);
            at = origin.bytes.end;
            if !bytes.iter().any(|byte| origin.bytes.contains(byte)) {
                let text = &self.text[origin.bytes.clone()];
                let bytes = kept.next(text);
                kept.push(
                    Origin {
                        bytes,
                        ..origin.clone()
                    },
                    text,
                );
            }
        }
        kept.text.push_str(&self.text[at..]);
        kept
    }

    /// Messages about the model, called `shown`, as messages about the family.
    pub(super) fn translate(&self, diagnostics: &mut [Diagnostic], shown: &str, sources: &Sources) {
        for d in diagnostics {
            if d.is_error() {
                self.explain(&mut d.labels, shown, sources);
            }
            let labels = d.labels.iter_mut().chain(&mut d.trace);
            labels
                .filter(|label| sources.path(label.file) == shown)
                .for_each(|label| self.place(label));
        }
    }

    /// Adds what the configuration says to labels of an error.
    fn explain(&self, labels: &mut [Label], shown: &str, sources: &Sources) {
        for label in labels.iter_mut().filter(|label| sources.path(label.file) == shown) {
            if let Some(says) = self.says(label) {
                label.text = match label.text.is_empty() {
                    true => says,
                    false => format!("{}; {says}", label.text),
                };
            }
        }
    }

    /// What the configuration says of the sizes at a place of the model.
    fn says(&self, label: &Label) -> Option<String> {
        let bytes = label.span.start as usize..label.span.end as usize;
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let words: Vec<&str> = self.text.get(bytes.clone())?.split(|c| !is_part(c)).collect();
        let is_meant = |origin: &&Origin| origin.bytes.contains(&bytes.start);
        let sizes = self.origins.iter().filter_map(|origin| {
            let (name, says) = origin.size.as_ref()?;
            (is_meant(&origin) || words.contains(&name.as_str())).then_some(says.as_str())
        });
        let said: Vec<&str> = sizes.take(MOST_SIZES).collect();
        (!said.is_empty()).then(|| said.join("; "))
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
