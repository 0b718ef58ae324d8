//! Signatures of functions in Rust text, for the rules of the source tree.

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The function.
    pub function: String,
    /// The parameter as it is written: `(a, b): (u32, u32)`.
    pub text: String,
}

impl Parameter {
    /// Whether it is a tuple: by its pattern, or by its type behind a name.
    pub fn is_tuple(&self) -> bool {
        let ty = self.text.split_once(':').map_or("", |(_, ty)| ty.trim());
        let ty = ty.trim_start_matches('&').trim_start();
        let ty = ty.strip_prefix("mut ").unwrap_or(ty);
        self.text.starts_with('(') || ty.starts_with('(') && parts(ty).len() > 1
    }
}

/// The parameters of every function that the text defines, closures aside. Comments must have been taken out.
pub fn parameters(code: &str) -> Vec<Parameter> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let rest = &code[at + 3..];
        let name = rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        let (function, rest) = rest.split_at(name);
        let list = if rest.starts_with('<') {
            &rest[generics(rest)..]
        } else {
            rest
        };
        if !function.is_empty() && list.starts_with('(') {
            let parts = parts(list).into_iter().filter(|part| !part.is_empty());
            found.extend(parts.map(|text| Parameter {
                function: function.to_owned(),
                text,
            }));
        }
    }
    found
}

/// Length of a list of generic parameters that begins the text.
fn generics(text: &str) -> usize {
    let mut depth = 0;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
        before = letter;
    }
    text.len()
}

/// The parts between the commas of a list in parentheses that begins the text.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut before) = (0, ' ');
    for letter in text.chars() {
        let opens = matches!(letter, '(' | '[' | '{' | '<');
        let closes = matches!(letter, ')' | ']' | '}') || letter == '>' && before != '-';
        depth -= i32::from(closes);
        match (depth, letter) {
            (0, _) if closes => break,
            (1, ',') => parts.push(String::new()),
            (0, _) => {}
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
        depth += i32::from(opens);
        before = letter;
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn tuples_are_found_by_pattern_and_by_type() {
        let code = "
            fn plain(a: u32, b: &[(u32, u32)]) {}
            fn pattern<T: Fn(u32) -> bool>(x: T, (a, b): (u32, u32)) {}
            fn typed(&self, pair: &mut (u32, u32), f: &(dyn Fn((u32, u32)) -> u32 + Sync)) { let g = |(a, b)| a; }
        ";
        let all = parameters(code);
        let tuples = all.iter().filter(|p| p.is_tuple());
        let found: Vec<(&str, &str)> = tuples.map(|p| (p.function.as_str(), p.text.as_str())).collect();
        assert_eq!(
            found,
            [("pattern", "(a, b): (u32, u32)"), ("typed", "pair: &mut (u32, u32)")]
        );
        assert_eq!(all.len(), 7);
    }
}
