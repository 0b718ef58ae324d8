//! How a long convolution is cut into blocks, and what that costs. Says nothing about memory or vectors.
//!
//! Tokens of a block of the smallest size are summed one by one. What a block of `S` tokens adds to the next `S` is found
//! by transforms when it ends; `S` doubles up to the top size. Of the top size the spectra of a few blocks are kept.

use crate::{attention::clock_rate::ClockRate, kept::Kept, plan::Settings};
use seqc_ir::{Graph, Value};

/// Operations of two transforms, there and back, for an element and a halving of the size.
const TRANSFORM: f64 = 8.5;
/// Operations of a product of two complex numbers, and of adding it.
const PRODUCT: f64 = 8.0;

/// The blocks of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvPartition {
    /// Taps of the filter.
    pub taps: usize,
    /// Tokens of the smallest block: a power of two from 16.
    pub smallest: usize,
    /// Most blocks of the top size that the filter reaches over.
    pub most: usize,
}

impl ConvPartition {
    /// The partition of a filter of so many taps.
    pub fn new(taps: usize, settings: &Settings) -> ConvPartition {
        ConvPartition {
            taps,
            smallest: settings.conv_block,
            most: settings.machine.memory.spectra,
        }
    }

    /// The partition of a `LongConv` node.
    pub fn of(graph: &Graph, v: Value, settings: &Settings) -> ConvPartition {
        let filter = graph.operands(v)[1];
        ConvPartition::new(graph.ty(filter).len() / graph.ty(v).len().max(1), settings)
    }

    /// Tokens of a block of the top size.
    pub fn top(&self) -> usize {
        let mut size = self.smallest;
        while self.reach(size) > self.most {
            size *= 2;
        }
        size
    }

    /// Blocks of the top size whose spectra are kept.
    pub fn ring(&self) -> usize {
        self.reach(self.top())
    }

    /// Sizes of blocks below the top, ascending.
    pub fn sizes(&self) -> Vec<usize> {
        let double = std::iter::successors(Some(self.smallest), |size| Some(2 * size));
        double.take_while(|size| *size < self.top()).collect()
    }

    /// How many blocks of a size before a block the filter reaches into.
    fn reach(&self, size: usize) -> usize {
        self.taps.saturating_sub(2) / size + 1
    }

    /// Operations of the plain sum, for a channel of a token at position `context`.
    pub fn plain_operations(&self, context: f64) -> f64 {
        2.0 * context.min(self.taps as f64)
    }

    /// Operations for a channel of a token, on average over `context` tokens.
    pub fn operations(&self, context: f64) -> f64 {
        let inside = (self.smallest as f64 / 2.0).min(self.taps as f64).min(context / 2.0);
        // ConvPartition of a size below the top matter every other time; none of a size that the sequence does not reach.
        let transform = |size: f64| TRANSFORM * size.log2();
        let sizes = self.sizes().into_iter().map(|size| size as f64);
        let below = sizes
            .filter(|size| *size < context)
            .map(|size| (transform(size) + PRODUCT) / 2.0);
        let top = self.top() as f64;
        let blocks = context / top;
        // The first block of the top size needs no other.
        let above = if blocks > 1.0 {
            let kept = (self.ring() as f64).min(blocks / 2.0).max(1.0);
            (transform(top) + PRODUCT * kept) * (blocks - 1.0) / blocks
        } else {
            0.0
        };
        2.0 * inside + below.sum::<f64>() + above
    }

    /// What is kept of `channels` channels: the past, sums for tokens to come, spectra, and up to where results are NaN.
    pub fn kept(&self, channels: usize) -> [Kept; 4] {
        let (top, ring) = (self.top(), self.ring());
        // A block of sums ends no later than twice as far from the start as its first token.
        let twice = ClockRate { ticks: 2, period: 1 };
        [
            Kept::last(4 * channels, ClockRate::ALL, top),
            Kept::last(4 * channels, twice, top),
            Kept::last(8 * channels, ClockRate::ALL, ring * top),
            Kept::Bytes(4 * channels),
        ]
    }

    /// Numbers made of a channel's filter when weights are loaded.
    pub fn prepared(&self) -> usize {
        let (top, ring) = (self.top(), self.ring());
        self.smallest + 2 * (top - self.smallest) + 2 * ring * top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn partition(taps: usize) -> ConvPartition {
        ConvPartition::new(taps, &Settings::of(&Machine::PORTABLE))
    }

    #[test]
    fn every_pair_of_tokens_meets_once() {
        for (taps, smallest) in [(1, 16), (2, 16), (70, 16), (300, 16), (5000, 256), (65536, 256)] {
            let blocks = ConvPartition {
                smallest,
                ..partition(taps)
            };
            let top = blocks.top();
            assert!(blocks.ring() <= blocks.most);
            for token in (0..3 * top).step_by(97) {
                for lag in (0..taps.min(token + 1)).step_by(31) {
                    let past = token - lag;
                    let same = usize::from(token / smallest == past / smallest);
                    let meet = |size: &&usize| (token / **size) % 2 == 1 && token / **size == past / **size + 1;
                    let below = blocks.sizes().iter().filter(meet).count();
                    let distance = token / top - past / top;
                    let above = usize::from(distance >= 1 && distance <= blocks.ring());
                    assert_eq!(same + below + above, 1, "{taps} taps, {token} and {past}");
                }
            }
        }
    }

    #[test]
    fn long_filters_cost_little_more_than_short_ones() {
        let operations = |taps| partition(taps).operations(taps as f64);
        assert!(operations(1 << 16) < 2.0 * operations(1 << 13));
        assert!(operations(1 << 16) < partition(1 << 16).plain_operations(65536.0) / 100.0);
        // The number of blocks of a prompt changes nothing but the average.
        let blocks = partition(1 << 12);
        assert!(blocks.operations(1e6) < 1.5 * blocks.operations(16384.0));
        let bytes = |context: f64| blocks.kept(3).iter().map(|kept| kept.at(context)).sum::<f64>();
        assert_eq!(bytes(1e6), bytes(1e9));
        assert!(bytes(100.0) <= 4.0 * 3.0 * (5.0 * 100.0 + 1.0));
    }
}
