//! Layer files: trees and messages.

use crate::support::{layer_texts, render};
use seqc_grammar::{FileId, parse_expr, parse_file};

#[test]
fn layers_of_the_project_are_read_without_a_word() {
    let texts = layer_texts();
    assert!(texts.len() > 30, "the layers were not found");
    for (name, text) in texts {
        let (file, problems) = parse_file(FileId(0), &text);
        assert!(problems.is_empty(), "{name}\n{}", render(&text, &problems));
        assert!(!file.items.is_empty(), "{name}");
    }
}
