//! Families that include parts of `specs/families/parts`, and models that load parts of tensors.

use super::{CONFIG, checkpoint, holds, plain, try_import, write};

const FAMILY: &str = "family: mine\nmatch: {model_type: llama}\ninclude: [decoder]\nsizes:\n  hidden: 2 * width\n  width: get(\"intermediate_size\") / 2\nstack:\n  \
- embed: {vocab: vocab}\n    load: {weight: model.embed_tokens.weight}\n  \
- swiglu: {hidden: hidden, act: act}\n    load: {gate_proj: model.layers.0.mlp.gate_proj.weight, up_proj: model.layers.0.mlp.up_proj.weight, \
down_proj: model.layers.0.mlp.down_proj.weight}\n  \
- head: {vocab: vocab}\n    load: {weight: \"{output}\"}\n";

#[test]
fn a_size_of_the_family_takes_the_place_of_the_same_in_a_part() {
    let dir = checkpoint("parts", CONFIG, &plain());
    let path = dir.join("mine.yaml");
    write(&path, FAMILY);
    let (imported, _) = try_import(&dir, Some(&path)).unwrap_or_else(|said| panic!("{said}"));
    holds(&imported.text, &["hidden: 8", "model.embed_tokens.weight"]);
    assert!(
        !imported.text.contains("width: "),
        "nothing in the stack uses it: {}",
        imported.text
    );
    assert_eq!(imported.text.matches("hidden: ").count(), 2, "{}", imported.text);
}

#[test]
fn a_part_that_is_not_there_is_named() {
    let dir = checkpoint("no-part", CONFIG, &plain());
    let path = dir.join("mine.yaml");
    write(&path, FAMILY.replace("[decoder]", "[decoders]"));
    match try_import(&dir, Some(&path)) {
        Ok(_) => panic!("there is no such part"),
        Err(said) => holds(
            &said,
            &[
                "there is no part `decoders` of families; there are activation, causal, decoder, gguf-attention, gguf-causal, gguf-experts, gguf-rope, gguf-states, gguf-uniform, gguf, rope",
                "mine.yaml:3:11",
            ],
        ),
    }
}

#[test]
fn requirements_of_parts_hold() {
    let dir = checkpoint(
        "requirements",
        &CONFIG.replace("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 0"),
        &plain(),
    );
    let path = dir.join("mine.yaml");
    write(&path, FAMILY);
    match try_import(&dir, Some(&path)) {
        Ok(_) => panic!("a norm adds a number"),
        Err(said) => holds(&said, &["the norms add a small number above 0, not 0"]),
    }
}

#[test]
fn rows_that_a_tensor_has_not_are_named() {
    let dir = checkpoint("rows", CONFIG, &plain());
    let path = dir.join("mine.yaml");
    for (rows, says) in [
        (
            "0..9",
            "gate_proj.weight|rows 0..9` is no part of a tensor of shape [8, 8]",
        ),
        ("2..6", "has shape [4, 8]"),
    ] {
        let part = format!("gate_proj: {{tensor: model.layers.0.mlp.gate_proj.weight, rows: {rows}}}");
        write(
            &path,
            FAMILY.replace("gate_proj: model.layers.0.mlp.gate_proj.weight", &part),
        );
        match try_import(&dir, Some(&path)) {
            Ok(_) => panic!("there are no such rows"),
            Err(said) => holds(&said, &[says]),
        }
    }
}
