//! What lies beside the weights and says something of texts: tokenizers that are none, ids that no token has.

use super::{CONFIG, accepted, checkpoint, holds, plain, refused, write};
use seqc::{import, source::Sources};

#[test]
fn damaged_tokenizers_are_told_at_the_import() {
    let bpe = r#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}"#;
    let dir = checkpoint("damaged-tokenizer", CONFIG, &plain());
    write(&dir.join("tokenizer.json"), bpe);
    assert_eq!(accepted(&dir), "");
    for (from, to, says) in [
        (bpe, "", "this is not JSON"),
        ("}}", "}", "this is not JSON"),
        ("model", "models", "there is no mapping `model`"),
        (
            "BPE",
            "BPF",
            "`model.type` is \"BPF\"; BPE, WordPiece, WordLevel, Unigram are known",
        ),
        ("a b", "a c", "`model.merges[0]`, \"a c\": `c` is not in `model.vocab`"),
        ("a b", "ab", "`model.merges[0]` is \"ab\", which is no pair of tokens"),
    ] {
        write(&dir.join("tokenizer.json"), bpe.replace(from, to));
        holds(
            &refused(&dir),
            &["damaged-tokenizer/tokenizer.json: ", says, "fetch the file again"],
        );
    }
    write(&dir.join("tokenizer.json"), bpe.replace("\"b\": 1", "\"b\": 0"));
    holds(&accepted(&dir), &["`a` and `b` of `model.vocab` have the same id 0"]);
}

#[test]
fn ids_that_no_token_has_are_left_out_with_a_warning() {
    let config = CONFIG.replace("\"vocab_size\"", "\"eos_token_id\": [3, 16], \"vocab_size\"");
    let dir = checkpoint("ends", &config, &plain());
    let read = |dir: &std::path::Path| std::fs::read_to_string(dir.join("model.yaml")).unwrap_or_default();
    holds(
        &accepted(&dir),
        &["ends/config.json: `eos_token_id` names 16, the vocabulary has the ids from 0 to 15"],
    );
    assert!(read(&dir).contains("end: [3]\n"), "{}", read(&dir));
    write(&dir.join("generation_config.json"), br#"{"eos_token_id": 99}"#);
    holds(
        &accepted(&dir),
        &["ends/generation_config.json: `eos_token_id` names 99"],
    );
    assert!(!read(&dir).contains("end:"), "{}", read(&dir));
}

/// Lines of the model that follow from no line of a family have no place that anybody could open.
#[test]
fn messages_about_a_model_that_is_not_written_name_what_they_are_about() {
    let dir = checkpoint("unwritten", CONFIG, &plain());
    let request = import::Request {
        checkpoint: &dir,
        output: &dir.join("unwritten.yaml"),
        family: None,
        caches: &["window:size=many".to_owned()],
    };
    let mut sources = Sources::default();
    let problems = import::import(request, &mut sources).err().unwrap_or_default();
    let said = super::text(&problems, &sources);
    assert!(said.contains("--cache: ") && !said.contains("unwritten.yaml"), "{said}");
}
