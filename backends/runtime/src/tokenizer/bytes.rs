//! Bytes and spaces as the characters of vocabularies, and bytes that become characters one by one.

use std::sync::OnceLock;

/// SentencePiece's sign for a space.
pub(super) const SPACE: char = '▁';

/// The printable character that stands for each byte in byte-level vocabularies (GPT-2; Radford et al. 2019): the byte's
/// own where it is printable in Latin-1, else one of those from U+0100 on.
fn characters() -> [char; 256] {
    let mut next = 0x100_u32;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                let found = char::from_u32(next).unwrap_or_default();
                next += 1;
                found
            }
        }
    })
}

/// The byte that a character of a byte-level vocabulary stands for.
pub(super) fn of_character(character: char) -> Option<u8> {
    /// Characters reach up to U+0143.
    static TABLE: OnceLock<[Option<u8>; 0x144]> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = [None; 0x144];
        for (byte, character) in (0..=u8::MAX).zip(characters()) {
            table[character as usize] = Some(byte);
        }
        table
    });
    *table.get(character as usize)?
}

/// The bytes that a token of a byte-level vocabulary says; characters that stand for none say themselves.
pub(super) fn of_characters(token: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(token.len());
    for character in token.chars() {
        match of_character(character) {
            Some(byte) => out.push(byte),
            None => out.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// The byte of a token `<0x0A>`.
pub(super) fn single(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

/// Takes all whole characters from the front; a beginning that can still become one stays.
pub(super) fn take_whole(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                bytes.clear();
                return text;
            }
            Err(error) => {
                let valid = error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(&bytes[..valid]));
                bytes.drain(..valid + error.error_len().unwrap_or(0));
                if error.error_len().is_none() {
                    return text;
                }
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_character() {
        for (byte, character) in (0..=u8::MAX).zip(characters()) {
            assert_eq!(of_character(character), Some(byte));
        }
        assert_eq!(characters()[usize::from(b' ')], 'Ġ');
        assert_eq!(characters()[usize::from(b'\n')], 'Ċ');
        assert_eq!(of_character('語'), None);
    }

    #[test]
    fn only_whole_characters_are_taken() {
        let mut bytes = "aé".as_bytes().to_vec();
        bytes.extend(&"語".as_bytes()[..2]);
        assert_eq!(take_whole(&mut bytes), "aé");
        assert_eq!(bytes.len(), 2);
        bytes.extend(&"語".as_bytes()[2..]);
        assert_eq!(take_whole(&mut bytes), "語");
        bytes.extend([0xff, b'x', 0xe8, b'y', 0xf0]);
        assert_eq!(take_whole(&mut bytes), "\u{fffd}x\u{fffd}y");
        assert_eq!(bytes, [0xf0]);
    }
}
