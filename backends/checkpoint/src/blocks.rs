//! Blocks of numbers of four bits, put together of numbers and exponents that lie apart.

/// Bytes of the numbers of a block.
pub(crate) const NUMBERS: usize = 16;

/// Whole blocks as `mxfp4` has them: the exponent, then a byte for the numbers n and n + 16 each. `numbers` holds 2 n and 2 n + 1 in a byte.
pub(crate) fn joined(numbers: &[u8], exponents: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(numbers.len() + exponents.len());
    for (numbers, exponent) in numbers.as_chunks::<NUMBERS>().0.iter().zip(exponents) {
        let number = |n: usize| numbers[n / 2] >> (4 * (n % 2)) & 15;
        out.push(*exponent);
        out.extend((0..NUMBERS).map(|n| number(n) | number(n + NUMBERS) << 4));
    }
    out
}
