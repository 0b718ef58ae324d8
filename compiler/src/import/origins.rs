//! Where the lines of an imported model come from: messages about the model, which is not written, point into its family, or name the file or
//! the option that a line follows from.

use super::{family::Copied, reading::Computed};
use crate::{
    diag::Diagnostic,
    source::{Place, Sources},
};
use seqc_grammar::{Label, ast::Span};
use std::ops::Range;

/// Most sizes of which a message says where they come from.
const MOST_SIZES: usize = 2;

/// Bytes of a model, and where they come from.
#[derive(Clone)]
struct Origin {
    bytes: Range<usize>,
    from: From,
}

/// Where a part of a model comes from.
#[derive(Clone)]
enum From {
    /// It stands in a family letter by letter, from this place on.
    Copied(Place),
    /// It is computed from a place of a family. Of a size that the configuration says something of: its name, and what is said.
    Computed(Place, Option<(String, String)>),
    /// It follows from what no text shows: a file and a key in it, or an option of the command.
    Named(String),
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
        let says = size.says.clone().map(|says| (size.name.clone(), says));
        self.push(text, From::Computed(place, says));
    }

    /// Adds what a family says.
    pub(super) fn push_copied(&mut self, part: &Copied) {
        let span = Span::new(part.start, part.start + part.text.len());
        self.push(&part.text, From::Copied(Place::new(part.file, span)));
    }

    /// Adds what follows from a file and a key in it, or from an option: `name` says so in messages.
    pub(super) fn push_named(&mut self, text: &str, name: impl Into<String>) {
        self.push(text, From::Named(name.into()));
    }

    fn push(&mut self, text: &str, from: From) {
        let bytes = self.text.len()..self.text.len() + text.len();
        self.text.push_str(text);
        self.origins.push(Origin { bytes, from });
    }

    /// The same without what has these bytes in it, which is computed.
    pub(super) fn without(self, bytes: &[usize]) -> Origins {
        let (mut kept, mut at) = (Origins::default(), 0);
        for origin in self.origins {
            kept.text.push_str(&self.text[at..origin.bytes.start]);
            at = origin.bytes.end;
            if !bytes.iter().any(|byte| origin.bytes.contains(byte)) {
                kept.push(&self.text[origin.bytes], origin.from);
            }
        }
        kept.text.push_str(&self.text[at..]);
        kept
    }

    /// Messages about the model, called `shown`, as messages about the family, the checkpoint or an option. Where it is written in the
    /// end, they may point into it, too.
    pub(super) fn translate(&self, diagnostics: &mut [Diagnostic], shown: &str, sources: &Sources, is_written: bool) {
        for d in diagnostics {
            if d.is_error() {
                self.explain(&mut d.labels, shown, sources);
            }
            let is_here = |label: &Label| sources.path(label.file) == shown;
            let main = d.primary().filter(|label| is_here(label));
            let named = main.and_then(|label| self.from(label)).filter(|_| !is_written);
            if let Some(From::Named(name)) = named
                && !d.message.contains(name)
            {
                d.message = format!("{name}: {}", d.message);
            }
            if d.help.is_empty() && d.code == "missing-tensor" && !is_written {
                d.help.push(
                    "the family takes the tensor by this name: is the checkpoint whole, and of this family? \
                     `--family FAMILY.yaml` describes one with other names"
                        .to_owned(),
                );
            }
            // Nobody can open a model that is not written.
            let is_lost = |label: &Label| is_here(label) && matches!(self.from(label), Some(From::Named(_)));
            d.labels.retain(|label| is_written || !is_lost(label));
            let labels = d.labels.iter_mut().chain(&mut d.trace);
            labels
                .filter(|label| is_here(label))
                .for_each(|label| self.place(label));
        }
    }

    /// Where the text of a label comes from.
    fn from(&self, label: &Label) -> Option<&From> {
        self.origin(label).map(|origin| &origin.from)
    }

    fn origin(&self, label: &Label) -> Option<&Origin> {
        let at = label.span.start as usize;
        self.origins.iter().find(|origin| origin.bytes.contains(&at))
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
            let From::Computed(_, Some((name, says))) = &origin.from else {
                return None;
            };
            (is_meant(&origin) || words.contains(&name.as_str())).then_some(says.as_str())
        });
        let said: Vec<&str> = sizes.take(MOST_SIZES).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    fn place(&self, label: &mut Label) {
        let Some(origin) = self.origin(label) else { return };
        let (place, span) = match &origin.from {
            From::Copied(place) => {
                let moved = |byte: u32| (byte as usize).saturating_sub(origin.bytes.start) + place.span.start as usize;
                (place, Span::new(moved(label.span.start), moved(label.span.end)))
            }
            From::Computed(place, _) => (place, place.span),
            From::Named(_) => return,
        };
        (label.file, label.span) = (place.file, span);
    }
}
