//! Values as model files spell them.

use crate::known::Known;

/// A value as a model file spells it.
pub(crate) fn quoted(value: &Known) -> String {
    match value {
        Known::Num(n) if n.is_infinite() => if *n > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        Known::List(items) => {
            let items: Vec<String> = items.iter().map(quoted).collect();
            format!("[{}]", items.join(", "))
        }
        Known::Str(s) => {
            let word = s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && s.starts_with(|c: char| c.is_ascii_alphabetic())
                && !matches!(
                    s.as_str(),
                    "true"
                        | "false"
                        | "null"
                        | "inf"
                        | "if"
                        | "then"
                        | "else"
                        | "Infinity"
                        | "True"
                        | "False"
                        | "Null"
                        | "NULL"
                );
            if word {
                s.clone()
            } else {
                format!("'\"{}\"'", s.replace('\'', "''"))
            }
        }
        other => other.to_string(),
    }
}
