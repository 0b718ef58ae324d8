//! IEEE binary16 numbers, to f32 and from it.

/// IEEE binary16 to binary32, exactly.
pub(crate) fn from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half) & 0x3ff;
    match exponent {
        // Subnormal: fraction * 2^-24.
        0 => {
            let value = fraction as f32 * f32::from_bits(0x3380_0000);
            f32::from_bits(value.to_bits() | sign)
        }
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The IEEE half nearest to a number, ties to even; infinity from 65520 on.
pub fn nearest_f16(value: f32) -> u16 {
    let (bits, magnitude) = (value.to_bits(), value.abs());
    let sign = (bits >> 16 & 0x8000) as u16;
    if value.is_nan() {
        return sign | 0x7e00;
    }
    if magnitude >= 65520.0 {
        return sign | 0x7c00;
    }
    // Subnormal halves are multiples of 2^-24.
    if magnitude < 6.103_515_6e-5 {
        return sign | (magnitude * 16_777_216.0).round_ties_even() as u16;
    }
    let bits = magnitude.to_bits();
    let rounded = bits + 0xfff + (bits >> 13 & 1);
    sign | ((rounded >> 13) - (112 << 10)) as u16
}

/// Writes a half and gives what it says.
pub(crate) fn put_half(bytes: &mut [u8], at: usize, value: f32) -> f32 {
    // What is beyond f16 is the largest of it: infinite scales would make weights infinite or no numbers at all.
    const LARGEST: f32 = 65504.0;
    let half = nearest_f16(value.clamp(-LARGEST, LARGEST));
    bytes[at..at + 2].copy_from_slice(&half.to_le_bytes());
    from_f16(half)
}

/// The IEEE half nearest below in magnitude; for values of ordinary size, as random weights are.
pub fn to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xff) as i32 - 112;
    match exponent {
        ..=0 => sign,
        31.. => sign | 0x7bff,
        _ => sign | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::{from_f16, nearest_f16};

    #[test]
    fn every_half_is_the_nearest_to_itself_and_to_what_lies_around_it() {
        for half in (0..0x7c00_u16).chain(0x8000..0xfc00) {
            assert_eq!(nearest_f16(from_f16(half)), half, "{half:#x}");
        }
        for half in 0..0x7bff_u16 {
            let (low, high) = (f64::from(from_f16(half)), f64::from(from_f16(half + 1)));
            let even = half + (half & 1);
            assert_eq!(nearest_f16(((low + high) / 2.0) as f32), even, "{half:#x}");
            assert_eq!(nearest_f16((low * 0.51 + high * 0.49) as f32), half, "{half:#x}");
        }
        for (value, half) in [
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (f32::NEG_INFINITY, 0xfc00),
            (1e-9, 0),
        ] {
            assert_eq!(nearest_f16(value), half, "{value}");
        }
        assert!(from_f16(nearest_f16(f32::NAN)).is_nan());
    }

    #[test]
    fn halves_convert_exactly() {
        let cases: [(u16, f32); 8] = [
            (0, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (1, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
            (0x3555, 0.333_251_95),
        ];
        for (half, value) in cases {
            assert_eq!(from_f16(half), value, "{half:#x}");
        }
        assert!(from_f16(0x7e00).is_nan());
    }

    #[test]
    fn every_finite_half_is_its_fraction_times_a_power_of_two() {
        for bits in (0..=u16::MAX).filter(|bits| bits >> 10 & 31 != 31) {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
            let magnitude = match exponent {
                0 => fraction * 2_f32.powi(-24),
                exponent => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
            };
            let value = if bits >> 15 == 1 { -magnitude } else { magnitude };
            assert_eq!(from_f16(bits).to_bits(), value.to_bits(), "{bits:#x}");
        }
    }
}
