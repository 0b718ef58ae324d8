//! What a state entry takes, as a closed form in the context length.

use crate::attention::{
    clock_rate::ClockRate,
    policy_entries::{PolicyEntries, Share},
    span::AttentionSpan,
};

/// Bytes of one entry of a state.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// So many, however long the context is.
    Bytes(usize),
    /// For every token that is kept.
    Tokens {
        /// Bytes of one.
        bytes: usize,
        /// Which tokens are appended.
        rate: ClockRate,
        /// How many of these are kept.
        span: AttentionSpan,
    },
    /// For every row of the memory.
    Rows {
        /// Bytes of one.
        bytes: usize,
    },
    /// For every entry that a cache policy keeps.
    Entries {
        /// Bytes of one of a single key head.
        bytes: f64,
        /// How many there are.
        entries: PolicyEntries,
        /// Which of them.
        share: Share,
    },
    /// So many that are needed to decide what is kept, and are not counted.
    Beside(usize),
    /// None: the memory belongs to another entry.
    Elsewhere,
}

impl Kept {
    /// The last `most` tokens of those that `rate` counts.
    pub fn last(bytes: usize, rate: ClockRate, most: usize) -> Kept {
        let span = AttentionSpan {
            distance: Some(most as u64),
            first: 0,
        };
        Kept::Tokens { bytes, rate, span }
    }

    /// Bytes after `context` tokens, where a prompt of as many has ended.
    pub fn at(&self, context: f64) -> f64 {
        self.behind(context, context)
    }

    /// Bytes after `context` tokens (and of a memory with as many rows), of which the first `prompt` are a prompt.
    pub fn behind(&self, context: f64, prompt: f64) -> f64 {
        match self {
            Kept::Bytes(bytes) => *bytes as f64,
            Kept::Tokens { bytes, rate, span } => *bytes as f64 * rate.kept(span, context),
            Kept::Rows { bytes } => *bytes as f64 * context,
            Kept::Entries { bytes, entries, share } => {
                bytes * entries.count(*share, context as usize, Some(prompt as usize))
            }
            Kept::Beside(_) | Kept::Elsewhere => 0.0,
        }
    }

    /// Most entries of a key head, or tokens, while `prompt` tokens are read, `chunk` at a time: what a cache policy lets go is there until its
    /// chunk has been read. `None` where what is kept does not depend on the context.
    pub fn most(&self, prompt: usize, chunk: usize) -> Option<f64> {
        match self {
            Kept::Tokens { rate, span, .. } => Some(rate.kept(span, prompt as f64)),
            Kept::Entries { entries, share, .. } => {
                let heads = entries.heads() as f64;
                let before = |tokens: usize| {
                    let appended = if share.is_appended() {
                        chunk.min(prompt - tokens)
                    } else {
                        0
                    };
                    entries.count(*share, tokens, None) / heads + appended as f64
                };
                let chunks = (0..prompt).step_by(chunk.max(1)).map(before);
                Some(chunks.fold(entries.at_end(*share, prompt) / heads, f64::max))
            }
            Kept::Bytes(_) | Kept::Rows { .. } | Kept::Beside(_) | Kept::Elsewhere => None,
        }
    }

    /// The number of kept tokens, or of bytes, as text.
    pub fn bound(&self) -> String {
        match self {
            Kept::Bytes(bytes) | Kept::Beside(bytes) => format!("{bytes} bytes"),
            Kept::Tokens { rate, span, .. } => format!("{} tokens", rate.bound(span)),
            Kept::Rows { .. } => "S rows".to_owned(),
            Kept::Entries { entries, share, .. } => format!("{} tokens", entries.words(*share)),
            Kept::Elsewhere => "0 bytes".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_ir::{
        BinaryOp, PairExpr,
        policy::{Eviction, Policy},
    };

    #[test]
    fn forms_and_numbers_agree() {
        let twice = Kept::last(8, ClockRate { ticks: 2, period: 1 }, 100);
        assert_eq!(twice.bound(), "min(2 T, 100) tokens");
        assert_eq!((twice.at(10.0), twice.at(1000.0)), (160.0, 800.0));
        let slow = Kept::Tokens {
            bytes: 4,
            rate: ClockRate { ticks: 1, period: 8 },
            span: AttentionSpan::ALL,
        };
        assert_eq!((slow.bound().as_str(), slow.at(80.0)), ("T / 8 tokens", 40.0));
        assert_eq!(Kept::Bytes(12).at(0.0), 12.0);
        assert_eq!(Kept::Elsewhere.at(1e6), 0.0);
    }

    #[test]
    fn entries_are_there_until_their_chunk_has_been_read() {
        let newest = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
        let policy = Policy {
            evict: Some(Eviction {
                at: PairExpr::Const(1.0),
                keep: PairExpr::binary(BinaryOp::Lt, newest, PairExpr::Const(100.0)),
            }),
            ..Policy::default()
        };
        let kept = Kept::Entries {
            bytes: 8.0,
            entries: PolicyEntries::new(&policy, 2),
            share: Share::All,
        };
        assert_eq!(kept.at(1000.0), 1600.0);
        assert_eq!(kept.most(1000, 50), Some(150.0));
        assert_eq!(kept.most(60, 50), Some(60.0));
    }
}
