//! The text of a sequence, saved with its state so that another run can continue it.

use serde::{Deserialize, Serialize};

use crate::chat::Message;

/// Tokens that are kept of a text: as far as a decoder looks back.
const RECENT: usize = 16;

/// The text so far, as far as what follows depends on it. It is saved with the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct History {
    /// The last tokens read, in order: what they say may end inside a character.
    pub(crate) recent: Vec<i64>,
    /// Bytes of a text that ends inside a character, which no token stands for yet.
    pub(crate) bytes: Vec<u8>,
    /// The conversation that was read last.
    pub(crate) conversation: Option<Conversation>,
}

/// A conversation by a chat template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversation {
    /// What was said before the answer.
    pub(crate) messages: Vec<Message>,
    /// These messages as the template wrote them, up to where the answer begins.
    pub(crate) rendered: String,
    /// Tokens read since: the answer, and what was added to it.
    pub(crate) answer: Vec<i64>,
    /// Whether the sequence begins with the conversation.
    pub(crate) whole: bool,
}

impl History {
    /// Takes tokens that were read.
    pub(crate) fn read(&mut self, tokens: &[i64]) {
        self.recent.extend(&tokens[tokens.len().saturating_sub(RECENT)..]);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        if let Some(conversation) = &mut self.conversation {
            conversation.answer.extend(tokens);
        }
    }

    /// As it is saved.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Serialising plain data to memory does not fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From what was saved; `None` where that is damaged.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<History> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_tokens_are_kept() {
        let mut history = History::default();
        history.read(&(0..40).collect::<Vec<_>>());
        history.read(&[40, 41]);
        assert_eq!(history.recent, (26..42).collect::<Vec<_>>());
        assert_eq!(History::from_bytes(&history.to_bytes()), Some(history));
    }
}
