//! How many entries a query sees, where what it chooses blocks by are arbitrary numbers.

use super::{
    column::Column,
    head::{Head, Space},
};
use seqc_ir::{
    PairExpr,
    eval::entries::{fewest, reduce, search, top},
    policy::{Blocks, Kind, Sight},
};

/// What a token does in a cache with a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Next {
    /// Entries of a key head that its queries see, one that several sights see counted as often.
    pub seen: f64,
    /// Share of the tokens from it on after which entries may leave.
    pub events: f64,
}

impl Next {
    /// What is between two lengths, or behind both, at this share of the way from one to the other.
    pub(super) fn towards(self, other: Next, share: f64) -> Next {
        let between = |a: f64, b: f64| a + (b - a) * share;
        Next {
            seen: between(self.seen, other.seen),
            events: between(self.events, other.events).clamp(0.0, 1.0),
        }
    }
}

impl Head<'_> {
    /// Entries that the queries of the token at hand see, on average; one that several sights see counts as often.
    pub(super) fn seen(&self) -> f64 {
        let chosen = self
            .policy
            .blocks
            .as_ref()
            .map_or_else(Vec::new, |blocks| self.choose(blocks));
        let seen = |sight: &Sight| match &sight.seen {
            None => self.positions.len(),
            Some(seen) => {
                let truths = self.column(seen, Space::Seen(&chosen)).truths(self.positions.len());
                truths.into_iter().filter(|seen| *seen).count()
            }
        };
        self.policy.sights.iter().map(seen).sum::<usize>() as f64
    }

    /// Values of [`Blocks::choosing`] of each block.
    fn choose(&self, blocks: &Blocks) -> Vec<Column> {
        let mut known: Vec<Column> = Vec::new();
        for (n, definition) in blocks.choosing.iter().enumerate() {
            let value = self.chosen_by(n, &definition.kind, &known);
            known.push(value);
        }
        known
    }

    fn chosen_by(&self, n: usize, kind: &Kind, known: &[Column]) -> Column {
        let blocks = self.count.blocks;
        let of = |e: &PairExpr| self.column(e, Space::Blocks(known));
        let of_all = |e: &PairExpr| of(e).spread(1).first().copied().unwrap_or(0.0);
        match kind {
            // Heads differ in data only.
            Kind::Entry(e) | Kind::Heads { of: e, .. } => of(e),
            Kind::Top { by, count, among, .. } => {
                let among = of(among).truths(blocks);
                Column::Each(top(&of(by).spread(blocks), of_all(count), &among))
            }
            Kind::Over { of: values, how, among } => {
                let (values, among) = (of(values), of(among).truths(blocks));
                let counted = (0..blocks).filter(|block| among[*block]);
                Column::One(reduce(*how, counted.map(|block| values.at(block))))
            }
            Kind::Fewest { of: values, sum, among } => {
                let among = of(among).truths(blocks);
                Column::One(fewest(&of(values).spread(blocks), of_all(sum), &among))
            }
            Kind::Search { by, count } => Column::Each(search(&of(by).spread(blocks), *count)),
            // Data; numbers of channels come into such sums only.
            _ => self.draw_for_blocks(self.policy.choosing_stream(n)),
        }
    }
}
