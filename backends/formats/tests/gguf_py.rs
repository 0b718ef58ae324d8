//! Blocks are decoded as by gguf-py, bit by bit.

use seqc_formats::{Encoding, Native};
use std::collections::HashSet;

/// Written by `gguf_py.py`, which says what it holds.
const KNOWN: &str = include_str!("gguf_py.txt");

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = |n: usize| u8::from_str_radix(&hexadecimal[n..n + 2], 16).expect("two digits");
    (0..hexadecimal.len()).step_by(2).map(digits).collect()
}

#[test]
fn blocks_are_decoded_as_by_gguf_py() {
    let mut seen = HashSet::new();
    for line in KNOWN.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let encoding = Encoding::named(fields[0]).expect("an encoding");
        let mut numbers = Vec::new();
        assert!(encoding.decode(&bytes(fields[1]), &mut numbers), "{encoding}");
        let found: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(found, bytes(fields[2]), "{encoding}");
        seen.insert(encoding);
    }
    for encoding in Encoding::all_native() {
        let in_blocks = matches!(encoding.native(), Some(Native::Block(_)));
        assert!(!in_blocks || seen.contains(&encoding), "no known numbers of {encoding}");
    }
}
