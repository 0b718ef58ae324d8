//! Special tokens by what they are for, such as the one with which a text ends.

/// Special tokens by what they are for, as `transformers` names them without `_token`.
const SPECIALS: [&str; 7] = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

/// The texts of the special tokens that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Specials(Vec<(&'static str, String)>);

impl Specials {
    /// Those for which `text` knows one.
    pub(super) fn of(text: impl Fn(&str) -> Option<String>) -> Specials {
        let known = SPECIALS.iter().filter_map(|name| Some((*name, text(name)?)));
        Specials(known.collect())
    }

    /// The text of the special token `bos`, `eos`, …
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, text)| text)
    }

    /// Names and texts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }
}
