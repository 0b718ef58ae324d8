//! `f8_e4m3`: a sign, four bits of exponent, three of mantissa; no infinities, and NaN where all other bits are 1 (Micikevicius et al. 2022,
//! arXiv:2209.05433, section 3). Checkpoints that are stored so mostly have scales of blocks in tensors of their own.

use crate::{facts::Facts, float8::Float8, unpack::each_block};

pub(crate) const FACTS: Facts = Facts {
    decode: Some(|bytes, out| out.extend(bytes.iter().map(|byte| Float8::E4m3.number(*byte)))),
    ..Facts::float8("f8_e4m3", "F8_E4M3", Float8::E4m3)
};

/// Of blocks.
pub(crate) const BLOCKS: Facts = Facts {
    decode: Some(|bytes, out| each_block(bytes, out, |block| Float8::E4m3.weights(block))),
    ..Facts::float8_blocks("f8_e4m3_32", Float8::E4m3)
};

#[cfg(test)]
mod tests {
    use crate::Float8;

    #[test]
    fn numbers_are_those_of_the_paper() {
        let number = |byte| Float8::E4m3.number(byte);
        for (byte, value) in [
            (0x00, 0.0),
            (0x01, 2.0_f32.powi(-9)),
            (0x07, 0.875 * 2.0_f32.powi(-6)),
            (0x08, 2.0_f32.powi(-6)),
            (0x38, 1.0),
            (0x39, 1.125),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(number(byte), value, "{byte:#x}");
        }
        assert!(number(0x7f).is_nan() && number(0xff).is_nan() && number(0x80).is_sign_negative());
        // They rise with their bits, and no two are the same.
        assert!((0..0x7e).all(|byte| number(byte) < number(byte + 1)));
    }
}
