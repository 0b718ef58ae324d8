//! What single tokens say inside a text, as bytes: a token may be a part of a character.

use tokenizers::decoders::DecoderWrapper;

use super::{bytes, calls::narrow};

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBytes {
    /// The bytes that it adds to a text; of a special token, its name.
    pub bytes: Vec<u8>,
    /// Whether it marks something instead of saying it.
    pub special: bool,
}

/// How the decoder of a `tokenizer.json` makes text of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// A character stands for each byte.
    ByteLevel,
    /// Plain text with a sign for spaces; `<0x0A>` may stand for a single byte.
    Pieces { space: char, single_bytes: bool },
    /// Anything else.
    Other,
}

impl Spelling {
    fn of(decoder: Option<&DecoderWrapper>) -> Spelling {
        let parts = match decoder {
            Some(DecoderWrapper::Sequence(sequence)) => sequence.get_decoders(),
            Some(one) => std::slice::from_ref(one),
            None => return Spelling::Other,
        };
        let first = parts.iter().find_map(|part| match part {
            DecoderWrapper::ByteLevel(_) => Some(Spelling::ByteLevel),
            DecoderWrapper::Metaspace(metaspace) => Some(Spelling::Pieces {
                space: metaspace.get_replacement(),
                single_bytes: false,
            }),
            DecoderWrapper::ByteFallback(_) => Some(Spelling::Pieces {
                space: bytes::SPACE,
                single_bytes: true,
            }),
            _ => None,
        });
        first.unwrap_or(Spelling::Other)
    }
}

/// What each of these tokens says inside a text; unknown ones say nothing.
pub(super) fn of_file(tokenizer: &tokenizers::Tokenizer, ids: &[i64]) -> Vec<TokenBytes> {
    let spelling = Spelling::of(tokenizer.get_decoder());
    let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    let one = |id: &i64| {
        let id = narrow(*id)?;
        if let Some(token) = added.get(&id) {
            return Some(TokenBytes {
                bytes: token.content.clone().into_bytes(),
                special: token.special,
            });
        }
        let text = tokenizer.id_to_token(id)?;
        let bytes = match spelling {
            Spelling::ByteLevel => bytes::of_characters(&text),
            Spelling::Pieces { space, single_bytes } => match bytes::single(&text).filter(|_| single_bytes) {
                Some(byte) => vec![byte],
                None => text.replace(space, " ").into_bytes(),
            },
            Spelling::Other => after_itself(tokenizer, id).unwrap_or_default().into_bytes(),
        };
        Some(TokenBytes { bytes, special: false })
    };
    ids.iter().map(|id| one(id).unwrap_or_default()).collect()
}

/// What a token adds to a text that ends with the same token.
fn after_itself(tokenizer: &tokenizers::Tokenizer, id: u32) -> Option<String> {
    let once = tokenizer.decode(&[id], false).ok()?;
    let twice = tokenizer.decode(&[id, id], false).ok()?;
    twice.strip_prefix(&once).map(str::to_owned)
}
