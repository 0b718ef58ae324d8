//! `f8_e5m2`: the upper half of a binary16: a sign, five bits of exponent, two of mantissa (Micikevicius et al. 2022, arXiv:2209.05433, section 3).

use crate::{
    Encoding,
    facts::Facts,
    float8::{self, Float8},
    half::from_f16,
};

pub(crate) const FACTS: Facts = float8::alone("f8_e5m2", "F8_E5M2", Encoding::F8_E5M2_32, |bytes, out| {
    out.extend(bytes.iter().map(|byte| number(*byte)));
});

/// Of blocks.
pub(crate) const BLOCKS: Facts = float8::blocks("f8_e5m2_32", Float8::E5m2);

pub(crate) fn number(byte: u8) -> f32 {
    from_f16(u16::from(byte) << 8)
}

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
