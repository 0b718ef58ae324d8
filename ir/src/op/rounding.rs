//! How the vector of a product is rounded before it is multiplied: activations as processors multiply them several times as fast.

use seqc_formats::nearest_bf16;

/// A rounding of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Every number to the nearest bfloat16, ties to even.
    Bf16,
    /// Blocks of [`Rounding::BLOCK`] numbers: with `d` the largest magnitude of a block divided by 127, each number to the nearest
    /// multiple of `d`, ties to even. NaN where a number of the block is not finite. The scheme of Q8_0 of GGUF, with `d` in f32.
    Int8,
}

impl Rounding {
    /// All of them.
    pub const ALL: [Rounding; 2] = [Rounding::Bf16, Rounding::Int8];
    /// Numbers of a block of [`Rounding::Int8`].
    pub const BLOCK: usize = 32;
    /// The largest integer of [`Rounding::Int8`].
    pub const LARGEST: f64 = 127.0;

    /// Its name in models and in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Rounding::Bf16 => "bf16",
            Rounding::Int8 => "int8",
        }
    }

    /// The rounding of a name.
    pub fn named(name: &str) -> Option<Rounding> {
        Rounding::ALL.into_iter().find(|rounding| rounding.name() == name)
    }

    /// A row whose length is a multiple of this can be rounded.
    pub fn multiple(self) -> usize {
        match self {
            Rounding::Bf16 => 1,
            Rounding::Int8 => Rounding::BLOCK,
        }
    }

    /// The rounded row.
    pub(crate) fn apply(self, row: &[f64]) -> Vec<f64> {
        match self {
            Rounding::Bf16 => row.iter().map(|x| bf16(*x)).collect(),
            Rounding::Int8 => row.chunks(Rounding::BLOCK).flat_map(int8).collect(),
        }
    }
}

/// The bfloat16 nearest to the f32 that is nearest to `x`.
fn bf16(x: f64) -> f64 {
    f64::from(f32::from_bits(u32::from(nearest_bf16(x as f32)) << 16))
}

fn int8(block: &[f64]) -> Vec<f64> {
    if block.iter().any(|x| !x.is_finite()) {
        return vec![f64::NAN; block.len()];
    }
    let largest = block.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let scale = largest / Rounding::LARGEST;
    let nearest = |x: &f64| {
        if scale > 0.0 {
            (x / scale).round_ties_even() * scale
        } else {
            0.0
        }
    };
    block.iter().map(nearest).collect()
}

/// Which activations of a model are rounded before products with stored weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activations {
    /// None.
    #[default]
    F32,
    /// Those that meet weights of bfloat16.
    Bf16,
    /// Those that meet weights in blocks.
    Int8,
    /// All of these.
    Auto,
}

impl Activations {
    /// All of them.
    pub const ALL: [Activations; 4] = [
        Activations::F32,
        Activations::Bf16,
        Activations::Int8,
        Activations::Auto,
    ];

    /// Its name in models and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Activations::F32 => "f32",
            Activations::Bf16 => "bf16",
            Activations::Int8 => "int8",
            Activations::Auto => "auto",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Activations> {
        Activations::ALL
            .into_iter()
            .find(|activations| activations.name() == name)
    }

    /// Whether a rounding is among them.
    pub fn has(self, rounding: Rounding) -> bool {
        match self {
            Activations::F32 => false,
            Activations::Bf16 => rounding == Rounding::Bf16,
            Activations::Int8 => rounding == Rounding::Int8,
            Activations::Auto => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Activations, Rounding};

    #[test]
    fn names_are_those_of_roundings() {
        for rounding in Rounding::ALL {
            assert_eq!(Rounding::named(rounding.name()), Some(rounding));
        }
        for activations in Activations::ALL {
            assert_eq!(Activations::named(activations.name()), Some(activations));
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        assert_eq!(
            Rounding::Bf16.apply(&[1.0, 1.003_906_25, 1.012, -0.5]),
            [1.0, 1.0, 1.015_625, -0.5]
        );
        let row: Vec<f64> = (0..32)
            .map(|i| if i == 0 { 127.0 } else { f64::from(i) + 0.5 })
            .collect();
        let rounded = Rounding::Int8.apply(&row);
        assert_eq!(rounded[..4], [127.0, 2.0, 2.0, 4.0]);
        assert_eq!(Rounding::Int8.apply(&[0.0; 32]), [0.0; 32]);
        let lost = Rounding::Int8.apply(&[&[f64::INFINITY][..], &[1.0; 63]].concat());
        assert!(lost[..32].iter().all(|x| x.is_nan()) && lost[32..] == [1.0; 32]);
    }
}
