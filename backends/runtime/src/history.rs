//! The text of a sequence, saved with its state so that another run can continue it.

use serde::{Deserialize, Serialize};

use crate::chat::Message;

/// What is known of the text that was read, beside its tokens. It is saved with the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct History {
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
    /// The position where the answer begins: all tokens from there on are the answer, and what was added to it.
    pub(crate) answer_from: usize,
    /// Whether the sequence begins with the conversation.
    pub(crate) whole: bool,
}

impl History {
    /// The position where the answer of the conversation begins, where there is one.
    pub(crate) fn answer_from(&self) -> Option<usize> {
        self.conversation.as_ref().map(|conversation| conversation.answer_from)
    }

    /// The same of a sequence that was cut at this position.
    pub(crate) fn truncate(&mut self, position: u64) {
        self.bytes.clear();
        if self.answer_from().is_some_and(|from| from as u64 > position) {
            self.conversation = None;
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
    fn a_conversation_is_known_from_the_start_of_its_answer_on() {
        let mut history = History {
            bytes: vec![0xc3],
            conversation: Some(Conversation {
                messages: vec![Message::new("user", "Hi")],
                rendered: "[user]Hi".to_owned(),
                answer_from: 8,
                whole: true,
            }),
        };
        assert_eq!(History::from_bytes(&history.to_bytes()), Some(history.clone()));
        history.truncate(8);
        assert!(history.bytes.is_empty() && history.conversation.is_some());
        history.truncate(7);
        assert_eq!(history, History::default());
    }
}
