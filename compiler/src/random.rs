//! Random parameters, the same as those that programs make (see `Descriptor::random` of `seqc-abi`).

/// A small generator of well mixed bits (splitmix64).
pub(crate) struct Mix(u64);

impl Mix {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Mix {
        Mix(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `count`, which is small.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Uniform in -1..1.
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}

/// Elements of the parameter that is loaded from the tensor `name`, held as f32.
pub(crate) fn parameter(name: &str, shape: &[usize], seed: u64) -> Vec<f64> {
    let start = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mix = Mix(start);
    let fan_in = shape.last().copied().unwrap_or(1).max(1);
    let reach = (3.0 / fan_in as f32).sqrt().min(1.0);
    (0..shape.iter().product())
        .map(|_| f64::from(reach * mix.signed()))
        .collect()
}
