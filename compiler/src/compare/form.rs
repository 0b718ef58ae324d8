//! Bytes of state as one closed form in the context length, added up from the entries of the state manifest.

use seqc_passes::{attention::clock_rate::ClockRate, attention::span::AttentionSpan, kept::Kept};

/// A constant, and terms that grow with the context length `T`, most of them up to a bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    constant: usize,
    terms: Vec<Term>,
}

/// So many bytes for every token that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Term {
    bytes: usize,
    rate: ClockRate,
    span: AttentionSpan,
}

impl Form {
    /// The sum over entries.
    pub fn of(entries: impl IntoIterator<Item = Kept>) -> Form {
        let mut form = Form::default();
        for kept in entries {
            match kept {
                Kept::Bytes(bytes) => form.constant += bytes,
                Kept::Tokens { bytes, rate, span } => form.add(Term { bytes, rate, span }),
                Kept::Elsewhere => {}
            }
        }
        form
    }

    fn add(&mut self, term: Term) {
        if term.bytes == 0 || term.rate.ticks == 0 || term.span.limit() == Some(0) {
            return;
        }
        let alike = |t: &&mut Term| t.rate == term.rate && t.span.limit() == term.span.limit();
        match self.terms.iter_mut().find(alike) {
            Some(known) => known.bytes += term.bytes,
            None => self.terms.push(term),
        }
    }

    /// Bytes after `context` tokens.
    pub fn at(&self, context: f64) -> f64 {
        let grown = |t: &Term| t.bytes as f64 * t.rate.kept(&t.span, context);
        self.constant as f64 + self.terms.iter().map(grown).sum::<f64>()
    }

    /// The text form: `16384 + 2048 min(T, 100) + 64 T / 8`.
    pub fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.constant > 0 || self.terms.is_empty() {
            words.push(self.constant.to_string());
        }
        let term = |t: &Term| {
            // A bound is one number here: the first tokens and the last.
            let span = AttentionSpan {
                distance: t.span.limit(),
                first: 0,
            };
            format!("{} {}", t.bytes, t.rate.bound(&span))
        };
        words.extend(self.terms.iter().map(term));
        words.join(" + ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_add_up_and_terms_alike_are_one() {
        let span = |distance, first| AttentionSpan { distance, first };
        let tokens = |bytes, span| Kept::Tokens {
            bytes,
            rate: ClockRate::ALL,
            span,
        };
        let form = Form::of([
            Kept::Bytes(16),
            tokens(8, span(Some(96), 4)),
            tokens(8, span(Some(100), 0)),
            tokens(2, AttentionSpan::ALL),
            Kept::last(4, ClockRate { ticks: 1, period: 8 }, 9),
            Kept::Elsewhere,
            Kept::Bytes(4),
        ]);
        assert_eq!(form.words(), "20 + 16 min(T, 100) + 2 T + 4 min(T / 8, 9)");
        assert_eq!(form.at(1000.0), 20.0 + 1600.0 + 2000.0 + 36.0);
        assert_eq!(Form::default().words(), "0");
    }
}
