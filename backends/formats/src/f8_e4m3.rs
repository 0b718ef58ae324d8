//! `f8_e4m3`: a sign, four bits of exponent, three of mantissa; no infinities, and NaN where all other bits are 1 (Micikevicius et al. 2022,
//! arXiv:2209.05433, section 3). Checkpoints that are stored so mostly have scales of blocks in tensors of their own.

use crate::{
    Encoding,
    facts::Facts,
    float8::{self, Float8},
};

pub(crate) const FACTS: Facts = float8::alone("f8_e4m3", "F8_E4M3", Encoding::F8_E4M3_32, |bytes, out| {
    out.extend(bytes.iter().map(|byte| number(*byte)));
});

/// Of blocks.
pub(crate) const BLOCKS: Facts = float8::blocks("f8_e4m3_32", Float8::E4m3);

pub(crate) fn number(byte: u8) -> f32 {
    let (exponent, mantissa) = (byte >> 3 & 15, f32::from(byte & 7));
    let size = match exponent {
        _ if byte & 0x7f == 0x7f => f32::NAN,
        0 => mantissa * power(-9),
        exponent => (8.0 + mantissa) * power(i32::from(exponent) - 10),
    };
    if byte < 0x80 { size } else { -size }
}

/// 2 ** n, exactly.
fn power(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_those_of_the_paper() {
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
