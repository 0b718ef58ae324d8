//! What is wrong with an input: every place that takes part in it, the chain that led there, and a remedy.

use crate::source::Place;

/// One message about an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Short fixed name of the kind of message, for tests and documents.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The place, with what stands there; `None` for problems that are in no text.
    pub place: Option<Place>,
    /// What the message says at its place.
    pub label: String,
    /// Other places that take part, each with what it contributes.
    pub notes: Vec<(Place, String)>,
    /// How the place was reached: calls and inferences, innermost first.
    pub trace: Vec<(Place, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message at a place.
    pub fn new(code: &'static str, place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            place: Some(place),
            ..Diagnostic::bare(code, message)
        }
    }

    /// A message that has no place in a text.
    pub fn bare(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            message: message.into(),
            place: None,
            label: String::new(),
            notes: Vec::new(),
            trace: Vec::new(),
            help: None,
        }
    }

    /// Says something at the place itself.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// Adds another place.
    pub fn note(mut self, place: Place, note: impl Into<String>) -> Diagnostic {
        self.notes.push((place, note.into()));
        self
    }

    /// Adds what to do.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Adds the nearest of some names as the remedy, if one is near, else all of them.
    pub fn nearest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        let mut known: Vec<&str> = known.into_iter().collect();
        known.sort_unstable();
        known.dedup();
        match (nearest(name, &known), known.len()) {
            (Some(near), _) => self.help(format!("did you mean `{near}`?")),
            (None, 0) => self,
            (None, 1..=24) => self.help(format!("known here: {}", known.join(", "))),
            (None, _) => self,
        }
    }
}

/// The known name that is nearest to a mistyped one, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let reach = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .filter(|k| k.len() < 200)
        .map(|k| (distance(name, k), *k))
        .filter(|(d, k)| *d <= reach && *d < k.chars().count())
        .min()
        .map(|(_, k)| k)
}

/// Number of insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.chars().take(200).flat_map(char::to_lowercase).collect(),
        b.chars().flat_map(char::to_lowercase).collect(),
    );
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_meant() {
        let known = ["heads", "hidden", "window", "kv_heads"];
        assert_eq!(nearest("haeds", &known), Some("heads"));
        assert_eq!(nearest("windw", &known), Some("window"));
        assert_eq!(nearest("xyz", &known), None);
    }
}
