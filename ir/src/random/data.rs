//! Random numbers, and tensors within ranges.

use crate::eval::Tensor;

/// A small deterministic source of numbers (splitmix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A source; equal seeds give equal numbers.
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.bits() % n as u64) as usize }
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number in `[0, 1)` that is exact in single precision.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// One of the items, which must not be empty.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What an input or parameter may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Reals, each exactly representable in single precision.
    Real {
        /// Smallest.
        low: f64,
        /// Bound above.
        high: f64,
    },
    /// Integers from 0 to below this.
    Below(usize),
    /// Integers that grow by one now and then along the sequence.
    Rising {
        /// Tokens between two steps, on average.
        every: usize,
    },
}

impl Range {
    /// A tensor within the range; `before` is that of the token before.
    pub fn tensor(self, rng: &mut Rng, shape: &[usize], before: Option<&Tensor>) -> Tensor {
        match self {
            Range::Real { low, high } => Tensor::fill(shape, |_| f64::from((low + (high - low) * rng.unit()) as f32)),
            Range::Below(n) => Tensor::fill(shape, |_| rng.below(n) as f64),
            Range::Rising { every } => Tensor::fill(shape, |n| {
                let before = before.and_then(|t| t.data.get(n)).copied().unwrap_or(0.0);
                before + f64::from(u8::from(rng.once_in(every)))
            }),
        }
    }
}

/// Ranges of the inputs `x`, `token`, one of `ids`, and `document`.
pub(super) fn ranges(ids: usize) -> [Range; 3] {
    [
        Range::Real { low: -2.0, high: 2.0 },
        Range::Below(ids),
        Range::Rising { every: 5 },
    ]
}

/// Shape and range of an input.
pub(super) struct Fed {
    pub(super) sizes: Vec<usize>,
    pub(super) range: Range,
}

/// Inputs of `tokens` tokens: `[token][input]`.
pub(super) fn inputs(ports: &[Fed], seed: u64, tokens: usize) -> Vec<Vec<Tensor>> {
    let mut rng = Rng::new(seed);
    let mut sequence: Vec<Vec<Tensor>> = Vec::with_capacity(tokens);
    for _ in 0..tokens {
        let before = sequence.last();
        let value = |(n, port): (usize, &Fed)| {
            let before = before.and_then(|b| b.get(n));
            port.range.tensor(&mut rng, &port.sizes, before)
        };
        let token = ports.iter().enumerate().map(value).collect();
        sequence.push(token);
    }
    sequence
}
