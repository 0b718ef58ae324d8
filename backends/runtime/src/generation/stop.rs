//! Texts at which an answer ends, found while it comes, wherever its tokens begin and end.

use crate::{Error, Result};

/// The texts at which an answer ends, and the end of the answer that may be the start of one.
#[derive(Clone, Debug, Default)]
pub struct StopTexts {
    texts: Vec<String>,
    held: String,
}

/// A part of an answer that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its text.
    pub text: String,
    /// Whether a stop text follows, so that nothing comes after it.
    pub stopped: bool,
}

impl StopTexts {
    /// Waits for these texts.
    ///
    /// # Errors
    ///
    /// An empty text.
    pub fn new(texts: Vec<String>) -> Result<StopTexts> {
        if texts.iter().any(String::is_empty) {
            return Err(Error::Usage("a stop text must not be empty".to_owned()));
        }
        Ok(StopTexts {
            texts,
            held: String::new(),
        })
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Takes the next characters of the answer, and gives those that may be shown: all before the stop text that is
    /// complete first, or all but an end that may become one.
    pub fn push(&mut self, piece: &str) -> Shown {
        self.held.push_str(piece);
        let found = self.texts.iter().filter_map(|text| {
            let start = self.held.find(text)?;
            Some((start + text.len(), start))
        });
        if let Some((_, start)) = found.min() {
            self.held.truncate(start);
            return Shown {
                text: std::mem::take(&mut self.held),
                stopped: true,
            };
        }
        let undecided = self.held.char_indices().map(|(at, _)| at);
        let undecided = undecided.filter(|at| self.texts.iter().any(|text| text.starts_with(&self.held[*at..])));
        let kept = self.held.split_off(undecided.min().unwrap_or(self.held.len()));
        Shown {
            text: std::mem::replace(&mut self.held, kept),
            stopped: false,
        }
    }

    /// What was held back, of an answer that is over.
    pub fn finish(self) -> String {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Mix;

    fn stops(texts: &[&str]) -> StopTexts {
        StopTexts::new(texts.iter().map(|text| (*text).to_owned()).collect()).expect("texts")
    }

    /// All that is shown of an answer in pieces, and whether it was stopped.
    fn shown(texts: &[&str], pieces: &[String]) -> Shown {
        let mut stops = stops(texts);
        let mut text = String::new();
        for piece in pieces {
            let part = stops.push(piece);
            text.push_str(&part.text);
            if part.stopped {
                return Shown { text, stopped: true };
            }
        }
        text.push_str(&stops.finish());
        Shown { text, stopped: false }
    }

    /// The same by definition: the shortest start of the answer that ends with a stop text, less the longest such.
    fn by_definition(texts: &[&str], answer: &str) -> Shown {
        for (at, character) in answer.char_indices() {
            let start = &answer[..at + character.len_utf8()];
            if let Some(text) = texts
                .iter()
                .filter(|text| start.ends_with(**text))
                .max_by_key(|text| text.len())
            {
                return Shown {
                    text: start[..start.len() - text.len()].to_owned(),
                    stopped: true,
                };
            }
        }
        Shown {
            text: answer.to_owned(),
            stopped: false,
        }
    }

    #[test]
    fn every_cut_of_an_answer_stops_at_the_same_place() {
        let mut mix = Mix(5);
        let mut below = |most: u64| (mix.next() % most) as usize;
        let sets: [&[&str]; 6] = [&["aab"], &["abcd", "bc"], &["é"], &["aéa", "éé"], &["aaa", "ab"], &[]];
        let letters = ['a', 'b', 'c', 'é', 'd'];
        for _ in 0..4000 {
            let answer: Vec<char> = (0..below(12)).map(|_| letters[below(letters.len() as u64)]).collect();
            let mut pieces = vec![String::new()];
            for letter in &answer {
                if below(2) == 0 {
                    pieces.push(String::new());
                }
                pieces.last_mut().expect("one").push(*letter);
            }
            let answer: String = answer.iter().collect();
            for texts in sets {
                assert_eq!(
                    shown(texts, &pieces),
                    by_definition(texts, &answer),
                    "{texts:?} {pieces:?}"
                );
            }
        }
    }

    #[test]
    fn only_what_may_become_a_stop_is_held_back() {
        let mut stops = stops(&["\n\nUser:"]);
        assert_eq!(stops.push("Hello.\n").text, "Hello.");
        assert_eq!(stops.push("\n").text, "");
        assert_eq!(stops.push("Bye").text, "\n\nBye");
        assert_eq!(stops.push("\n\nUse").text, "");
        assert_eq!(stops.clone().finish(), "\n\nUse");
        let last = stops.push("r: more");
        assert_eq!((last.text.as_str(), last.stopped), ("", true));
    }

    #[test]
    fn an_empty_stop_text_is_refused() {
        assert!(StopTexts::new(vec![String::new()]).is_err());
    }
}
