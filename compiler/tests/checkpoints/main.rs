//! Checkpoint directories as they occur in practice: with too many tensors, quantised, cut, renamed, or without what is needed.

mod configurations;
mod damaged;
mod encoder;
mod family_files;
mod parts;
mod published;
mod quantised;
mod texts;

use seqc::{
    diag::Diagnostic,
    import::{self, Imported},
    model::{self, ReadOptions},
    reference, render,
    source::Sources,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const CONFIG: &str = r#"{
 "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
 "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 16, "rms_norm_eps": 1e-05, "tie_word_embeddings": true
}"#;

/// Names, types and shapes of a checkpoint.
type Tensors = Vec<(String, &'static str, Vec<usize>)>;

fn layer(n: usize) -> Tensors {
    let tensors: [(&str, &[usize]); 9] = [
        ("input_layernorm.weight", &[8]),
        ("post_attention_layernorm.weight", &[8]),
        ("self_attn.q_proj.weight", &[8, 8]),
        ("self_attn.k_proj.weight", &[4, 8]),
        ("self_attn.v_proj.weight", &[4, 8]),
        ("self_attn.o_proj.weight", &[8, 8]),
        ("mlp.gate_proj.weight", &[8, 8]),
        ("mlp.up_proj.weight", &[8, 8]),
        ("mlp.down_proj.weight", &[8, 8]),
    ];
    let named = tensors.map(|(name, shape)| (format!("model.layers.{n}.{name}"), "F32", shape.to_vec()));
    named.to_vec()
}

/// The tensors that `CONFIG` describes.
fn plain() -> Tensors {
    let mut all = vec![
        ("model.embed_tokens.weight".to_owned(), "F32", vec![16, 8]),
        ("model.norm.weight".to_owned(), "F32", vec![8]),
    ];
    all.extend(layer(0));
    all
}

/// A safetensors file; numbers follow from the place in the file.
fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape) in tensors {
        let (start, count) = (data.len(), shape.iter().product::<usize>());
        let value = |n: usize| ((start + 7 * n) % 23) as f32 / 23.0 - 0.4;
        match *dtype {
            "F32" | "I32" => (0..count).for_each(|n| data.extend(value(n).to_le_bytes())),
            _ => (0..count).for_each(|n| data.push(n as u8)),
        }
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkpoints").join(name);
    // Left from an earlier run, or not there.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    dir
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A folder with a configuration and weights.
fn checkpoint(name: &str, config: &str, tensors: &Tensors) -> PathBuf {
    let dir = folder(name);
    write(&dir.join("config.json"), config);
    write(&dir.join("model.safetensors"), safetensors(tensors));
    dir
}

fn text(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    for d in diagnostics {
        assert_ne!(d.code, "internal", "{}", d.message);
    }
    diagnostics.iter().map(|d| render::human(d, sources, false)).collect()
}

fn try_import(path: &Path, family: Option<&Path>) -> Result<(Imported, String), String> {
    let mut sources = Sources::default();
    let dir = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(path)
    };
    let request = import::Request {
        checkpoint: path,
        output: &dir.join("model.yaml"),
        family,
        caches: &[],
    };
    match import::import(request, &mut sources) {
        Ok(imported) => {
            let warnings = text(&imported.warnings, &sources);
            write(&dir.join("model.yaml"), &imported.text);
            Ok((imported, warnings))
        }
        Err(d) => Err(text(&d, &sources)),
    }
}

/// The warnings of an import that works.
fn accepted(path: &Path) -> String {
    try_import(path, None)
        .unwrap_or_else(|said| panic!("{}: {said}", path.display()))
        .1
}

/// The message of an import that does not.
fn refused(path: &Path) -> String {
    match try_import(path, None) {
        Ok(_) => panic!("{} should be refused", path.display()),
        Err(said) => said,
    }
}

/// What `check` and `build` say about the model that lies in a folder.
fn checked(dir: &Path) -> Result<String, String> {
    let mut sources = Sources::default();
    match model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default()) {
        Ok(built) => Ok(text(&built.warnings(), &sources)),
        Err(d) => Err(text(&d, &sources)),
    }
}

fn holds(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
}

#[test]
fn tensors_that_nothing_reads_are_named() {
    assert_eq!(accepted(&checkpoint("plain", CONFIG, &plain())), "");
    let mut more = plain();
    more.extend(layer(1));
    for bias in ["q_proj.bias", "k_proj.bias", "v_proj.bias"] {
        more.push((format!("model.layers.0.self_attn.{bias}"), "F32", vec![8]));
    }
    let dir = checkpoint("extra", CONFIG, &more);
    let said = accepted(&dir);
    holds(
        &said,
        &[
            "12 of 23 tensors",
            "`model.layers.0.self_attn.k_proj.bias`",
            "and 9 more",
            "unused",
        ],
    );
    assert_eq!(checked(&dir), Ok(said));
    let yaml = fs::read_to_string(dir.join("model.yaml")).unwrap_or_default();
    let listed = yaml.replace("unused: [", "unused: [\"model.layers.1.*\", \"*_proj.bias\", ");
    write(&dir.join("model.yaml"), listed);
    assert_eq!(checked(&dir), Ok(String::new()));
}

#[test]
fn known_buffers_are_no_reason_to_warn() {
    let mut more = plain();
    more.push(("lm_head.weight".to_owned(), "F32", vec![16, 8]));
    more.push((
        "model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(),
        "F32",
        vec![2],
    ));
    assert_eq!(accepted(&checkpoint("buffers", CONFIG, &more)), "");
}

#[test]
fn a_common_prefix_of_missing_names_is_found() {
    let renamed = |from: &str, to: &str| -> Tensors {
        let all = plain().into_iter();
        all.map(|(name, ty, shape)| (name.replacen(from, to, 1), ty, shape))
            .collect()
    };
    let said = refused(&checkpoint("longer", CONFIG, &renamed("model.", "language.model.")));
    holds(
        &said,
        &[
            "12 of 12 parameters are missing",
            "the checkpoint has them under `language.`",
        ],
    );
}

/// As `save_pretrained` of a model without its head writes them.
#[test]
fn names_without_what_the_head_stands_beside_are_found() {
    let all = plain().into_iter();
    let body: Tensors = all
        .map(|(name, ty, shape)| (name.replacen("model.", "", 1), ty, shape))
        .collect();
    let (imported, said) = try_import(&checkpoint("body", CONFIG, &body), None).unwrap_or_else(|said| panic!("{said}"));
    holds(&imported.text, &["names: {model.: \"\"}"]);
    assert_eq!(said, "");
}

/// Configurations that change numbers in a way that a family does not have are refused by name.
#[test]
fn decoders_that_see_both_sides_are_refused() {
    let config = CONFIG.replacen('{', "{\"is_causal\": false,", 1);
    holds(
        &refused(&checkpoint("both-sides", &config, &plain())),
        &["is_causal: false"],
    );
}

#[test]
fn misspelt_kinds_of_layers_are_refused() {
    for (fixture, from, to) in [
        ("gemma3", "\"full_attention\"\n", "\"ful_attention\"\n"),
        ("recurrent-gemma", "\"attention\"", "\"atention\""),
        ("gpt-neo-local", "\"local\"\n  ],", "\"locl\"\n  ],"),
    ] {
        let from_dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fixtures/hf")
            .join(fixture);
        let config = fs::read_to_string(from_dir.join("config.json")).unwrap_or_else(|e| panic!("{e}"));
        let changed = config.replace(from, to);
        assert_ne!(config, changed, "{fixture}");
        let dir = folder(&format!("misspelt-{fixture}"));
        write(&dir.join("config.json"), changed);
        holds(&refused(&dir), &["lists"]);
    }
}

#[test]
fn absurd_numbers_are_refused_at_the_configuration_and_in_the_model() {
    let dir = checkpoint("absurd", CONFIG, &plain());
    for (key, value, says) in [
        ("rope_theta", "-1", "a number above 0, not -1"),
        ("rope_theta", "0", "a number above 0, not 0"),
        ("rope_theta", "Infinity", "not inf"),
        ("rope_theta", "NaN", "`rope_theta` is not a number"),
        ("rms_norm_eps", "-1e-5", "above 0, not -0.00001"),
        ("rms_norm_eps", "0", "above 0, not 0"),
        ("num_attention_heads", "0", "at least one head"),
        ("num_key_value_heads", "0", "at least one head"),
        ("rope_scaling", r#"{"factor": 2.0}"#, "a factor and no type"),
        (
            "rope_scaling",
            r#"{"type": "mrope", "mrope_section": [1, 1, 0]}"#,
            "rope type mrope is not supported",
        ),
        (
            "rope_scaling",
            r#"{"type": "linear", "factor": -2.0}"#,
            "a factor above 0",
        ),
    ] {
        let rest: Vec<&str> = CONFIG
            .trim_matches(['{', '}'])
            .split(',')
            .filter(|e| !e.contains(key))
            .collect();
        write(
            &dir.join("config.json"),
            format!("{{\"{key}\": {value},{}}}", rest.join(",")),
        );
        let said = refused(&dir);
        assert!(said.contains(says), "{key}: {said}");
    }
    write(&dir.join("config.json"), CONFIG);
    accepted(&dir);
    let yaml = fs::read_to_string(dir.join("model.yaml")).unwrap_or_default();
    for (from, to, says) in [
        (
            "theta: 10000",
            "theta: -1",
            "the base of rotary positions is a number above 0, not -1",
        ),
        ("eps: 0.00001", "eps: -0.00001", "a norm adds a small number above 0"),
        ("factor: 1", "factor: .inf", "a factor above 0"),
        ("magnitude: 1", "magnitude: 0", "a scale is a number above 0, not 0"),
    ] {
        let changed = yaml.replacen(from, to, 1);
        assert_ne!(changed, yaml, "{from}");
        write(&dir.join("model.yaml"), changed);
        match checked(&dir) {
            Ok(_) => panic!("{to} should be refused"),
            Err(said) => holds(&said, &[says, "model.yaml:"]),
        }
    }
}

#[test]
fn folders_say_which_weights_they_have() {
    let weights = safetensors(&plain());
    let cases: [(&str, &[&str], &[&str]); 5] = [
        (
            "pickle",
            &["pytorch_model.bin"],
            &["pytorch_model.bin (a PyTorch file)", "save_file"],
        ),
        (
            "consolidated",
            &["consolidated.00.pth", "params.json"],
            &["consolidated.00.pth", "weights_only=True"],
        ),
        (
            "half",
            &["model.fp16.safetensors"],
            &["model.fp16.safetensors", "seqc import"],
        ),
        (
            "holes",
            &["model-00002-of-00003.safetensors"],
            &["model-00002-of-00003.safetensors"],
        ),
        (
            "mixed",
            &["model.fp16.safetensors", "tf_model.h5"],
            &["that can be read: model.fp16", "tf_model.h5"],
        ),
    ];
    for (name, files, says) in cases {
        let dir = folder(name);
        write(&dir.join("config.json"), CONFIG);
        files.iter().for_each(|file| write(&dir.join(file), &weights));
        holds(&refused(&dir), says);
    }
    let half = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkpoints/half/model.fp16.safetensors");
    let (imported, warnings) = try_import(&half, None).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(warnings, "");
    holds(&imported.text, &["file: model.fp16.safetensors"]);
    let dir = folder("nothing");
    write(&dir.join("config.json"), CONFIG);
    holds(&accepted(&dir), &["there is no file", "model.safetensors yet"]);
    let dir = folder("only-gguf");
    write(&dir.join("small.gguf"), b"GGUF");
    holds(
        &refused(&dir),
        &["the directory contains small.gguf", "name the GGUF file"],
    );
}

#[test]
fn shards_are_read_without_their_index() {
    let dir = folder("shards");
    write(&dir.join("config.json"), CONFIG);
    let all = plain();
    let (one, two) = all.split_at(5);
    write(
        &dir.join("model-00001-of-00002.safetensors"),
        safetensors(&one.to_vec()),
    );
    let said = refused(&dir);
    holds(&said, &["part 1 of 2", "model-00002-of-00002.safetensors is not there"]);
    write(
        &dir.join("model-00002-of-00002.safetensors"),
        safetensors(&two.to_vec()),
    );
    assert_eq!(accepted(&dir), "");
}

#[test]
fn a_tokenizer_that_is_not_read_is_mentioned() {
    for (file, says) in [("tokenizer.model", "tokenizer.model"), ("vocab.txt", "vocab.txt")] {
        let dir = checkpoint("tokenizer", CONFIG, &plain());
        write(&dir.join(file), b"x");
        holds(&accepted(&dir), &[says, "token ids only", "save_pretrained"]);
        write(&dir.join("tokenizer.json"), br#"{"model": {}}"#);
        assert_eq!(accepted(&dir), "");
    }
    let dir = checkpoint("tokenizer-words", CONFIG, &plain());
    let model = include_bytes!("../../../tests/fixtures/sentencepiece/bpe.model");
    write(&dir.join("tokenizer.model"), model);
    assert_eq!(accepted(&dir), "");
    write(
        &dir.join("tokenizer_config.json"),
        br#"{"added_tokens_decoder": {"-1": {"content": "x"}}}"#,
    );
    holds(&accepted(&dir), &["`-1` is no id of a token", "token ids only"]);
    // The field after the pieces says that they are words.
    let words = [&model[..], &[0x12, 2, 0x18, 3]].concat();
    write(&dir.join("tokenizer_config.json"), b"{}");
    write(&dir.join("tokenizer.model"), words);
    holds(&accepted(&dir), &["its pieces are words or characters"]);
}

#[test]
fn a_family_of_ones_own_is_given() {
    let config = CONFIG.replace("\"llama\"", "\"mine\"");
    let dir = checkpoint("family", &config, &plain());
    let said = refused(&dir);
    holds(&said, &["`model_type` is `mine`", "--family FAMILY.yaml"]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/families/llama.yaml");
    let family = fs::read_to_string(shipped).unwrap_or_else(|e| panic!("{e}"));
    let path = dir.join("mine.yaml");
    write(&path, family.replace("model_type: llama", "model_type: mine"));
    let (imported, warnings) = try_import(&dir, Some(&path)).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(warnings, "");
    holds(&imported.text, &["embed_tokens"]);
    write(
        &path,
        family.replace("model_type: llama", "model_type: [other, another]"),
    );
    match try_import(&dir, Some(&path)) {
        Ok(_) => panic!("the family does not fit"),
        Err(said) => holds(&said, &["`model_type` is `mine`, not other or another"]),
    }
}

#[test]
fn one_tensor_in_two_shapes_is_found_without_a_file() {
    let model = |weights: &str, load: &str| {
        format!(
            "version: 1\nmodel: m\nsizes: {{d: 8}}\nuse: [layer.seq]\ninputs: {{x: \"[d]\"}}\nweights: {weights}\nstack:\n  - thing: {{}}\n    load: {load}\n"
        )
    };
    let dir = folder("shapes");
    let layer = "layer thing(x: [d]) -> [d] {\n  param a[d], b[d, 1], s[2, d], w[d, d]\n  y[d] = sum(i: w[d, i] * x[i]) * a[d] + b[d, 0] * s[0, d] + s[1, d]\n  y\n}\n";
    write(&dir.join("layer.seq"), layer);
    for (weights, load, says) in [
        ("{random: 1}", "{a: t, w: t}", Some("two shapes, [8] and [8, 8]")),
        (
            "{file: later.safetensors}",
            "{a: t, w: t}",
            Some("two shapes, [8] and [8, 8]"),
        ),
        ("{random: 1}", "{a: t, b: t}", Some("two shapes, [8] and [8, 1]")),
        ("{file: later.safetensors}", "{a: t, b: t}", None),
        (
            "{random: 1}",
            "{a: t1, s: [t0, t1]}",
            Some("in two stacks, or alone and in one"),
        ),
        ("{random: 1}", "{a: t, s: [u, v]}", None),
    ] {
        write(&dir.join("model.yaml"), model(weights, load));
        match (checked(&dir), says) {
            (Err(said), Some(says)) => holds(&said, &[says, "for `thing.a`"]),
            (Ok(_), None) => {}
            (found, _) => panic!("{weights} {load}: {found:?}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_at_once() {
    let dir = checkpoint("pipes", CONFIG, &plain());
    accepted(&dir);
    let pipe = dir.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    for source in [pipe.as_path(), Path::new("/dev/zero")] {
        assert!(refused(source).contains("not a plain file"), "{}", source.display());
        for name in ["config.json", "model.safetensors", "model.yaml"] {
            let whole = fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{e}"));
            fs::remove_file(dir.join(name)).unwrap_or_else(|e| panic!("{e}"));
            std::os::unix::fs::symlink(source, dir.join(name)).unwrap_or_else(|e| panic!("{e}"));
            let said = match name {
                "model.yaml" => checked(&dir).expect_err("a pipe"),
                _ => refused(&dir),
            };
            assert!(said.contains("not a plain file"), "{name}: {said}");
            fs::remove_file(dir.join(name)).unwrap_or_else(|e| panic!("{e}"));
            write(&dir.join(name), whole);
        }
    }
}
