//! Bytes of state as one closed form in the context length, added up from the entries of the state manifest.

use seqc_passes::{
    attention::{
        clock_rate::ClockRate,
        policy_entries::{PolicyEntries, Share},
        span::AttentionSpan,
    },
    kept::Kept,
};

/// A constant, and terms that grow with the context length `T`, most of them up to a bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    constant: usize,
    terms: Vec<Term>,
    governed: Vec<Governed>,
}

/// So many bytes for every token that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Term {
    bytes: f64,
    rate: ClockRate,
    span: AttentionSpan,
}

/// So many bytes for every entry that a cache policy keeps, where their number is no such term.
#[derive(Clone, Debug, PartialEq)]
struct Governed {
    bytes: f64,
    entries: PolicyEntries,
    share: Share,
}

impl Form {
    /// The sum over entries.
    pub fn of(entries: impl IntoIterator<Item = Kept>) -> Form {
        let mut form = Form::default();
        for kept in entries {
            match kept {
                Kept::Bytes(bytes) => form.constant += bytes,
                Kept::Tokens { bytes, rate, span } => form.add(Term {
                    bytes: bytes as f64,
                    rate,
                    span,
                }),
                // A memory has as many rows as the context has tokens.
                Kept::Rows { bytes } => form.add(Term {
                    bytes: bytes as f64,
                    rate: ClockRate::ALL,
                    span: AttentionSpan::ALL,
                }),
                Kept::Entries { bytes, entries, share } => form.govern(Governed { bytes, entries, share }),
                Kept::Beside(_) | Kept::Elsewhere => {}
            }
        }
        form
    }

    fn govern(&mut self, governed: Governed) {
        if governed.bytes == 0.0 {
            return;
        }
        if let Some((heads, limit)) = governed.entries.growth_at_end(governed.share) {
            return self.add(Term {
                bytes: governed.bytes * heads as f64,
                rate: ClockRate::ALL,
                span: AttentionSpan {
                    distance: limit.map(|limit| limit as u64),
                    first: 0,
                },
            });
        }
        let alike = |g: &&mut Governed| g.share == governed.share && g.entries == governed.entries;
        match self.governed.iter_mut().find(alike) {
            Some(known) => known.bytes += governed.bytes,
            None => self.governed.push(governed),
        }
    }

    fn add(&mut self, term: Term) {
        if term.bytes == 0.0 || term.rate.ticks == 0 || term.span.limit() == Some(0) {
            return;
        }
        let alike = |t: &&mut Term| t.rate == term.rate && t.span.limit() == term.span.limit();
        match self.terms.iter_mut().find(alike) {
            Some(known) => known.bytes += term.bytes,
            None => self.terms.push(term),
        }
    }

    /// Bytes after `context` tokens, which are a prompt that has ended.
    pub fn at(&self, context: f64) -> f64 {
        let grown = |t: &Term| t.bytes * t.rate.kept(&t.span, context);
        let kept = |g: &Governed| g.bytes * g.entries.at_end(g.share, context as usize);
        let governed: f64 = self.governed.iter().map(kept).sum();
        self.constant as f64 + self.terms.iter().map(grown).sum::<f64>() + governed
    }

    /// The text form: `16384 + 2048 min(T, 100) + 64 T / 8`.
    pub fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.constant > 0 || self.terms.is_empty() && self.governed.is_empty() {
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
        words.extend(self.governed.iter().map(Governed::words));
        words.join(" + ")
    }
}

impl Governed {
    /// Bytes of all key heads for each entry of one; `P` is `T` here.
    fn words(&self) -> String {
        let heads = self.entries.heads() as f64;
        format!(
            "{} ({})",
            heads * self.bytes,
            self.entries.words(self.share).replace('P', "T")
        )
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
