//! What is said of family files: everything that is wrong with one without a checkpoint, and where an imported model is wrong.

use super::{CONFIG, checkpoint, folder, holds, plain, text, try_import, write};
use seqc::{import, source::Sources};
use std::fs;

const FAMILY: &str = r#"family: mine
match: {model_type: llama}
include: [decoder]
use: [own.seq]
sizes:
  width: get("intermediate_size")
require:
  - {if: width > 0, say: "a width above 0, not {width}"}
stack:
  - embed: {vocab: vocab}
    load: {weight: model.embed_tokens.weight}
  - repeat: layers
    of:
      - twice: {by: 2 * i + 1}
  - head: {vocab: vocab}
    load: {weight: "{output}"}
"#;

const LAYER: &str = "layer twice(x: [d]; by = 2) -> [d] {\n  by * x\n}\n";

/// What `seqc check` says of the family with a part exchanged.
fn said(from: &str, to: &str) -> Result<String, String> {
    let dir = folder(&format!(
        "family-{}",
        to.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    ));
    write(&dir.join("own.seq"), LAYER);
    let path = dir.join("mine.yaml");
    assert!(FAMILY.contains(from), "{from}");
    write(&path, FAMILY.replace(from, to));
    let mut sources = Sources::default();
    import::check_family(&path, &mut sources).map_err(|d| text(&d, &sources))
}

#[test]
fn names_of_families_are_checked_without_a_checkpoint() {
    assert_eq!(said("mine", "mine"), Ok("mine".to_owned()));
    // The block of all entries may count the layers.
    let block = "block: {pre_norm: {scale: 1 + i}}\nstack:";
    assert_eq!(said("stack:", block), Ok("mine".to_owned()));
    for (from, to, parts) in [
        (
            "stack:",
            "end: 2\nstack:",
            &["a family has no key `end`, which an import writes", "mine.yaml:9:1"][..],
        ),
        (
            "get(\"inter",
            "gett(\"inter",
            &[
                "there is no function `gett` here",
                "did you mean `get`?",
                "mine.yaml:6:10",
            ],
        ),
        (
            "get(\"intermediate_size\")",
            "2 * hiden",
            &["`hiden` is not defined here", "did you mean `hidden`?"],
        ),
        (
            "get(\"intermediate_size\")",
            "get(\"{hiden}_size\")",
            &["`hiden` is not defined here", "mine.yaml:6:16"],
        ),
        (
            "get(\"intermediate_size\")",
            "2 * width",
            &["the size `width` is computed from itself", "mine.yaml:6:14"],
        ),
        (
            "if: width",
            "if: wide",
            &["`wide` is not defined here", "mine.yaml:8:10"],
        ),
        (
            "not {width}",
            "not {wdth}",
            &["`wdth` is not defined here", "did you mean `width`?"],
        ),
        (
            "[own.seq]",
            "[other.seq]",
            &["other.seq: no such file", "mine.yaml:4:7"],
        ),
        (
            "twice: {by",
            "twicee: {by",
            &["there is no layer `twicee`", "did you mean `twice`?", "mine.yaml:14:9"],
        ),
        (
            "by: 2 * i + 1",
            "by: hiden",
            &[
                "no size is called `hiden`, and `by` of `twice` is a number",
                "did you mean `hidden`?",
                "mine.yaml:14:21",
            ],
        ),
        ("by: 2 * i", "bye: 2 * i", &["`twice` has no setting `bye`"]),
        (
            "by: 2 * i",
            "by: 2 * j",
            &["`j` is not defined here", "mine.yaml:14:25"],
        ),
        ("by: 2 * i", "by: 2 * half(i)", &["there is no function `half` here"]),
        (
            "repeat: layers",
            "repeat: layer",
            &["`layer` is not defined here", "did you mean `layers`?"],
        ),
        (
            "load: {weight: \"{output}\"}",
            "load: {weights: \"{output}\"}",
            &["`head` has no parameter `weights`"],
        ),
        ("{output}", "{outputs}", &["`outputs` is not defined here"]),
    ] {
        match said(from, to) {
            Ok(_) => panic!("{to}"),
            Err(message) => holds(&message, parts),
        }
    }
}

#[test]
fn mistakes_of_a_stack_are_shown_in_the_family() {
    let dir = checkpoint("family-places", CONFIG, &plain());
    let path = dir.join("mine.yaml");
    write(&dir.join("own.seq"), LAYER);
    for (from, to, parts) in [
        ("by: 2 * i + 1", "by: i + (i == 0)", &["mine.yaml:14:"][..]),
        (
            "by: 2 * i + 1",
            "by: hiden",
            &["no size is called `hiden`", "did you mean `hidden`?", "mine.yaml:14:21"],
        ),
        (
            "model.embed_tokens.weight",
            "model.embed.weight",
            &["model.embed.weight", "mine.yaml:11:"],
        ),
        (
            "weight: model.embed_tokens.weight",
            "weight: {tensor: model.embed_tokens.weight, rows: -1..16}",
            &["an integer up to", "is expected, not -1", "mine.yaml:11:"],
        ),
        (
            "weight: model.embed_tokens.weight",
            "weight: {tensor: model.embed_tokens.weight, rows: 4..4}",
            &["rows 4..4 are none", "mine.yaml:11:"],
        ),
        (
            "get(\"intermediate_size\")",
            "get(\"intermediate_size\") / 0\n  d: 9.5",
            &["mine.yaml:7:6"],
        ),
    ] {
        assert!(FAMILY.contains(from), "{from}");
        write(&path, FAMILY.replace(from, to));
        match try_import(&dir, Some(&path)) {
            Ok((imported, _)) => panic!("{to}: {}", imported.text),
            Err(said) => {
                holds(&said, parts);
                assert!(!said.contains("model.yaml"), "{said}");
            }
        }
    }
}

#[test]
fn families_of_the_library_have_no_problems() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../specs/families");
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let paths = files.flatten().map(|file| file.path());
    let mut checked = 0;
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")) {
        let mut sources = Sources::default();
        let found = import::check_family(&path, &mut sources).map_err(|d| text(&d, &sources));
        assert!(found.is_ok(), "{found:?}");
        checked += 1;
    }
    assert!(checked > 80, "{checked} families");
}
