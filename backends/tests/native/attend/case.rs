//! What distinguishes the attentions that are tried.

use seqc_backends::{
    kernels::{Attend, PageCopy},
    mlir::Target,
};
use seqc_formats::Encoding;
use seqc_ir::{AttendSpec, Clock, Normaliser, PairExpr};
use seqc_passes::attention::{named::Named, span::AttentionSpan};

/// A kernel and how long its sequences are.
pub(super) struct Case {
    pub(super) attend: Attend,
    pub(super) tokens: usize,
}

/// Plain causal softmax attention of `H` query heads, `G` key heads, `E` and `F` entries.
pub(super) fn case(name: &str, target: &Target, [heads, groups, key_dim, value_dim]: [usize; 4]) -> Case {
    let spec = AttendSpec {
        scale: (key_dim as f64).powf(-0.5),
        ..AttendSpec::default()
    };
    let mut machine = *target.machine();
    // Queries go over what they name wherever that is less.
    machine.attention.gathered_row = 0;
    let attend = Attend {
        name: format!("a_{name}"),
        spec,
        heads,
        groups,
        key_dim,
        value_dim,
        query_widths: Vec::new(),
        query_lists: Vec::new(),
        key_widths: Vec::new(),
        tables: Vec::new(),
        span: AttentionSpan::ALL,
        named: None,
        max_chunk: 40,
        machine,
        exhaustive: false,
        copy: PageCopy::None,
        values_in_keys: None,
        sight: None,
    };
    Case { attend, tokens: 230 }
}

impl Case {
    pub(super) fn predicate(mut self, predicate: PairExpr) -> Case {
        self.attend.spec.predicate = Some(predicate);
        self.attend.span = AttentionSpan::new(&self.attend.spec, self.attend.heads);
        self.with_names()
    }

    /// Which keys queries name follows from the predicate and the normaliser.
    fn with_names(mut self) -> Case {
        self.attend.named = Named::new(&self.attend.spec, self.attend.heads, &self.attend.query_lists);
        self
    }

    pub(super) fn score(mut self, score: PairExpr) -> Case {
        self.attend.spec.score = Some(score);
        self
    }

    pub(super) fn normaliser(mut self, normaliser: Normaliser) -> Case {
        self.attend.spec.normaliser = normaliser;
        if !self.attend.spec.has_values() {
            self.attend.value_dim = 0;
            self.attend.spec.scale = 0.25;
        }
        self.with_names()
    }

    /// Widths of the query streams and of the key streams.
    pub(super) fn streams(mut self, widths: &[usize], keys: &[usize]) -> Case {
        self.attend.query_widths = widths.to_vec();
        self.attend.query_lists = vec![1; widths.len()];
        self.attend.key_widths = keys.to_vec();
        self.attend.spec.query_streams = widths.len();
        self.attend.spec.key_streams = keys.len();
        self
    }

    /// Lists of so many entries at the query, for each head where `of_heads`.
    pub(super) fn lists(mut self, lists: &[(usize, bool)]) -> Case {
        let width = |(entries, of_heads): &(usize, bool)| match of_heads {
            true => self.attend.heads * entries,
            false => *entries,
        };
        self.attend.query_widths = lists.iter().map(width).collect();
        self.attend.query_lists = lists.iter().map(|(entries, _)| *entries).collect();
        self.attend.spec.query_streams = lists.len();
        self
    }

    /// Sizes of the tables.
    pub(super) fn tables(mut self, sizes: &[&[usize]]) -> Case {
        self.attend.tables = sizes.iter().map(|sizes| sizes.to_vec()).collect();
        self.attend.spec.tables = sizes.len();
        self
    }

    pub(super) fn clock(mut self, clock: Clock) -> Case {
        self.attend.spec.clock = clock;
        self
    }

    /// So many query heads choose together.
    pub(super) fn together(mut self, heads: usize) -> Case {
        self.attend.spec.together = heads;
        self
    }

    pub(super) fn log_sum(mut self) -> Case {
        self.attend.spec.log_sum = true;
        self
    }

    pub(super) fn stored(mut self, encoding: Encoding) -> Case {
        self.attend.spec.stored = encoding;
        self
    }

    pub(super) fn whole(mut self) -> Case {
        self.attend.spec.causal = false;
        self.attend.span = AttentionSpan::ALL;
        self.attend.max_chunk = self.tokens;
        self
    }

    /// Values are the entries of keys from `first` on.
    pub(super) fn values_in_keys(mut self, first: usize) -> Case {
        self.attend.values_in_keys = Some(first);
        self
    }

    pub(super) fn tokens(mut self, tokens: usize) -> Case {
        self.tokens = tokens;
        self
    }
}
