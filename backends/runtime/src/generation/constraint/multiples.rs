//! How much work the `multipleOf` of a schema makes, which `llguidance` does for every remainder before its limits hold.

/// Remainders that a schema may have: some seconds, and some hundred megabytes.
const MOST: u128 = 1_000_000;
/// The smallest unit that numbers are counted in, as a power of ten.
const DIGITS: u32 = 12;

/// Whether the numbers after `multipleOf` in this text, all of which one value may have to fulfil, are too much.
pub(super) fn too_many(text: &str) -> bool {
    let numbers: Vec<f64> = text.split("\"multipleOf\"").skip(1).filter_map(number).collect();
    let count = numbers.len() as u128;
    remainders(&numbers).is_none_or(|remainders| remainders.saturating_mul(count) > MOST)
}

/// The number behind a name and its colon.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_start().strip_prefix(':')?.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c));
    let number: f64 = text[..end.unwrap_or(text.len())].parse().ok()?;
    (number > 0.0).then_some(number)
}

/// Remainders of the least common multiple of decimal numbers, in the unit of the finest; none where that is beyond all
/// reason.
fn remainders(numbers: &[f64]) -> Option<u128> {
    let (mut multiple, mut finest) = (1u128, DIGITS);
    for number in numbers {
        let scaled = number * 10f64.powi(DIGITS as i32);
        if scaled >= 1e30 {
            return None;
        }
        let units = (scaled.round() as u128).max(1);
        let zeros = (0..DIGITS)
            .take_while(|zeros| units.is_multiple_of(10u128.pow(zeros + 1)))
            .count();
        finest = finest.min(zeros as u32);
        multiple = (multiple / common_divisor(multiple, units)).checked_mul(units)?;
    }
    Some(multiple / 10u128.pow(finest).min(multiple))
}

fn common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::too_many;

    #[test]
    fn multiples_of_ordinary_numbers_are_few() {
        for schema in [
            r#"{"type": "integer"}"#,
            r#"{"multipleOf": 1000}"#,
            r#"{"multipleOf": 0.01}"#,
            r#"{"a": {"multipleOf": 0.25}, "b": {"multipleOf" : 60}, "c": {"multipleOf": 5.0}}"#,
            r#"{"properties": {"multipleOf": {"type": "string"}}}"#,
        ] {
            assert!(!too_many(schema), "{schema}");
        }
    }

    #[test]
    fn multiples_of_large_numbers_and_of_many_primes_together_are_too_many() {
        for schema in [
            r#"{"multipleOf": 7436429}"#,
            r#"{"multipleOf":1e40}"#,
            r#"{"allOf": [{"multipleOf": 101}, {"multipleOf": 103}, {"multipleOf": 107}]}"#,
        ] {
            assert!(too_many(schema), "{schema}");
        }
        assert!(too_many(&r#"{"multipleOf": 9973}"#.repeat(200)));
    }
}
