//! How much work the `multipleOf` of a schema makes, which `llguidance` does for every remainder before its limits hold.

use serde_json::Value;

/// Remainders that a schema may have: some seconds, and some hundred megabytes.
const MOST: u128 = 1_000_000;
/// The smallest unit that numbers are counted in, as a power of ten.
const DIGITS: u32 = 12;

/// Whether the numbers of `multipleOf` in these schemas, all of which one value may have to fulfil, are too much.
pub(super) fn too_many<'v>(schemas: impl IntoIterator<Item = &'v Value>) -> bool {
    let mut numbers = Vec::new();
    schemas.into_iter().for_each(|schema| collect(schema, &mut numbers));
    let count = numbers.len() as u128;
    remainders(&numbers).is_none_or(|remainders| remainders.saturating_mul(count) > MOST)
}

/// The schemas in a grammar in the syntax of Lark: what follows `%json`. What is no JSON there is refused by the parser of grammars.
pub(super) fn schemas_of(grammar: &str) -> Vec<Value> {
    // A schema may have the word in a string, so that each place is followed by all of the rest.
    let places = grammar.match_indices("%json").map(|(place, word)| place + word.len());
    let schema = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        values.next().and_then(Result::ok)
    };
    places.filter_map(|place| schema(&grammar[place..])).collect()
}

/// The numbers of `multipleOf` in a schema.
fn collect(schema: &Value, numbers: &mut Vec<f64>) {
    match schema {
        Value::Object(object) => {
            let number = object.get("multipleOf").and_then(Value::as_f64);
            numbers.extend(number.filter(|number| *number > 0.0));
            object.values().for_each(|value| collect(value, numbers));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, numbers)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
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
    use super::*;

    fn too_many_in(schema: &str) -> bool {
        too_many(&[serde_json::from_str(schema).expect("JSON")])
    }

    #[test]
    fn multiples_of_ordinary_numbers_are_few() {
        for schema in [
            r#"{"type": "integer"}"#,
            r#"{"multipleOf": 1000}"#,
            r#"{"multipleOf": 0.01}"#,
            r#"{"a": {"multipleOf": 0.25}, "b": {"multipleOf" : 60}, "c": {"multipleOf": 5.0}}"#,
            r#"{"properties": {"multipleOf": {"type": "string"}}}"#,
            r#"{"const": "\"multipleOf\": 7436429"}"#,
        ] {
            assert!(!too_many_in(schema), "{schema}");
        }
    }

    #[test]
    fn multiples_of_large_numbers_and_of_many_primes_together_are_too_many() {
        for schema in [
            r#"{"multipleOf": 7436429}"#,
            r#"{"multiple\u004ff": 7436429}"#,
            r#"{"multipleOf":1e40}"#,
            r#"{"allOf": [{"multipleOf": 101}, {"multipleOf": 103}, {"multipleOf": 107}]}"#,
        ] {
            assert!(too_many_in(schema), "{schema}");
        }
        let many = vec![serde_json::json!({"multipleOf": 9973}); 200];
        assert!(too_many(&many));
    }

    #[test]
    fn schemas_of_a_grammar_are_what_follows_its_keyword() {
        let grammar = r#"start: "%json" a b
a: %json {"multipleOf": 2, "x": "%json [3]"}
b: %json
  {"multiple\u004ff": 4}"#;
        let found = schemas_of(grammar);
        let expected = [
            serde_json::json!({"multipleOf": 2, "x": "%json [3]"}),
            serde_json::json!([3]),
            serde_json::json!({"multipleOf": 4}),
        ];
        assert_eq!(found, expected);
    }
}
