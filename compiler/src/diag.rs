//! Messages at places: short forms of what the grammar's [`Diagnostic`] offers.

use crate::source::Place;
pub use seqc_grammar::{Diagnostic, nearest};

/// Short forms for messages about places.
pub trait Placed: Sized {
    /// An error at a place.
    fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self;
    /// An error that has no place in a text.
    fn bare(code: &'static str, message: impl Into<String>) -> Self;
    /// Says something at the main place.
    fn says(self, text: impl Into<String>) -> Self;
    /// Adds another place that takes part.
    fn note(self, place: Place, text: impl Into<String>) -> Self;
    /// The main place.
    fn place(&self) -> Option<Place>;
}

impl Placed for Diagnostic {
    fn new(code: &'static str, place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).label(place.file, place.span, "")
    }

    fn bare(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message)
    }

    fn says(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(label) = self.labels.iter_mut().find(|l| l.primary) {
            label.text = text.into();
        }
        self
    }

    fn note(self, place: Place, text: impl Into<String>) -> Diagnostic {
        self.also(place.file, place.span, text)
    }

    fn place(&self) -> Option<Place> {
        self.primary().map(|l| Place::new(l.file, l.span))
    }
}
