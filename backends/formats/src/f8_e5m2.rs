//! `f8_e5m2`: the upper half of a binary16: a sign, five bits of exponent, two of mantissa (Micikevicius et al. 2022, arXiv:2209.05433, section 3).

use crate::{facts::Facts, float8::Float8, unpack::each_block};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| out.extend(bytes.iter().map(|byte| Float8::E5m2.number(*byte)))),
    ..Facts::float8("f8_e5m2", "F8_E5M2", Float8::E5m2)
};

/// Of blocks.
pub(crate) const BLOCKS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, |block| Float8::E5m2.weights(block))),
    ..Facts::float8_blocks("f8_e5m2_32", Float8::E5m2)
};

#[cfg(test)]
mod tests {
    use crate::Encoding;

    #[test]
    fn numbers_are_those_of_the_paper() {
        let mut found = Vec::new();
        Encoding::F8_E5M2.decode(&[0x00, 0x01, 0x04, 0x3c, 0x3d, 0x7b, 0x7c, 0xbc, 0xfc], &mut found);
        let (small, infinite) = (2.0_f32.powi(-16), f32::INFINITY);
        assert_eq!(
            found,
            [0.0, small, 4.0 * small, 1.0, 1.25, 57344.0, infinite, -1.0, -infinite]
        );
    }
}
