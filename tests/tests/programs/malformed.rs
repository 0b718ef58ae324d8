//! Broken files: each gets a message and exit status 1, never a panic, a crash or an allocation of a claimed size.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{
    command::{self, Answer},
    fixture::Fixture,
    program::{Program, fresh_file},
};

/// Runs a process that may use two gigabytes of address space and ten seconds.
fn bounded(program: &Path, args: &[&str]) -> Answer {
    let mut line = vec!["-c", "ulimit -v 2000000; ulimit -t 10; exec \"$0\" \"$@\""];
    let program = program.display().to_string();
    line.push(&program);
    line.extend(args);
    command::run(Path::new("/bin/sh"), &line)
}

fn seqc(args: &[&str]) -> Answer {
    bounded(command::seqc_binary(), args)
}

fn with_weights(program: &Program, bytes: &[u8], name: &str) -> Answer {
    let file = file(name, bytes);
    bounded(
        &program.path,
        &["logits", "--tokens", "1,2,3", "--weights", &file, "--output", "-"],
    )
}

fn file(name: &str, bytes: &[u8]) -> String {
    let path = fresh_file(name);
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path.display().to_string()
}

fn llama() -> (Program, Vec<u8>) {
    let fixture = Fixture::open("llama");
    let weights = fixture.dir.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap_or_else(|error| panic!("{}: {error}", weights.display()));
    (fixture.program(), bytes)
}

fn header_length(bytes: &[u8]) -> usize {
    bytes[..8]
        .iter()
        .rev()
        .fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// The file with its header's text replaced.
fn with_header(bytes: &[u8], edit: impl Fn(&str) -> String) -> Vec<u8> {
    let length = header_length(bytes);
    let header = edit(&String::from_utf8_lossy(&bytes[8..8 + length]));
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&bytes[8 + length..]);
    out
}

#[test]
fn truncated_weights_are_refused() {
    let (program, bytes) = llama();
    let header = header_length(&bytes);
    for length in [0, 7, 8, 40, 8 + header, 8 + header + 1000, bytes.len() - 1] {
        with_weights(&program, &bytes[..length], "short.safetensors").refused();
    }
}

#[test]
fn lying_lengths_are_refused() {
    let (program, bytes) = llama();
    for claim in [u64::MAX, 1 << 40, bytes.len() as u64, 0] {
        let mut lying = bytes.clone();
        lying[..8].copy_from_slice(&claim.to_le_bytes());
        with_weights(&program, &lying, "lying.safetensors").refused();
    }
    let end = "\"data_offsets\":[0,";
    let far = with_header(&bytes, |header| {
        header.replace(end, "\"data_offsets\":[0,18446744073709551615")
    });
    with_weights(&program, &far, "far.safetensors").refused();
}

#[test]
fn a_missing_tensor_is_named() {
    let (program, bytes) = llama();
    let renamed = with_header(&bytes, |header| {
        header.replace("model.norm.weight", "model.gone.weight")
    });
    let said = with_weights(&program, &renamed, "missing.safetensors").refused();
    assert!(said.contains("model.norm.weight"), "{said}");
}

#[test]
fn a_misshapen_tensor_is_named_with_what_was_expected() {
    let (program, bytes) = llama();
    let at = "\"model.norm.weight\":{";
    let bent = with_header(&bytes, |header| {
        let (before, after) = header.split_once(at).unwrap_or_else(|| panic!("{header}"));
        format!(
            "{before}{at}{}",
            after.replacen("\"shape\":[64]", "\"shape\":[32,2]", 1)
        )
    });
    let said = with_weights(&program, &bent, "bent.safetensors").refused();
    assert!(said.contains("model.norm.weight") && said.contains("64"), "{said}");
}

/// The file with the matrices of the first layer in another type; their shapes become what their bytes allow.
fn with_type(bytes: &[u8], dtype: &str, width: usize) -> Vec<u8> {
    with_header(bytes, |header| {
        let mut tensors: serde_json::Value =
            serde_json::from_str(header).unwrap_or_else(|error| panic!("{header}: {error}"));
        for (name, tensor) in tensors.as_object_mut().into_iter().flatten() {
            if name.contains("layers.0.mlp") {
                tensor["dtype"] = dtype.into();
                let rows = tensor["shape"][0].as_u64().unwrap_or(1);
                tensor["shape"][0] = (rows * 4 / width as u64).into();
            }
        }
        tensors.to_string()
    })
}

#[test]
fn a_program_refuses_weights_of_types_that_are_none() {
    let (program, bytes) = llama();
    for (dtype, width, says) in [
        ("I32", 4, "i32, integers, which are not weights"),
        ("I8", 1, "i8, integers, which are not weights"),
        ("F8_E8M0", 1, "f8_e8m0, which cannot be read"),
    ] {
        let said = with_weights(&program, &with_type(&bytes, dtype, width), "typed.safetensors").refused();
        assert!(said.contains(says) && said.contains("q8_0"), "{said}");
        assert!(!said.contains("another file"), "{said}");
    }
    let scaled = with_header(&bytes, |header| {
        header.replace(
            "model.layers.0.input_layernorm.weight",
            "model.layers.0.mlp.up_proj.weight_scale",
        )
    });
    let said = with_weights(&program, &scaled, "scaled.safetensors").refused();
    assert!(said.contains("quantised in an unsupported form"), "{said}");
}

#[test]
fn pointers_pipes_and_devices_are_no_weights() {
    let (program, _) = llama();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    let said = with_weights(&program, pointer, "pointer.safetensors").refused();
    assert!(said.contains("git lfs pull"), "{said}");
    let pipe = fresh_file("pipe").display().to_string();
    command::run(Path::new("mkfifo"), &[&pipe]).ok();
    for path in [pipe.as_str(), "/dev/zero"] {
        let args = ["logits", "--tokens", "1,2,3", "--weights", path, "--output", "-"];
        let said = bounded(&program.path, &args).refused();
        assert!(said.contains("not a plain file"), "{said}");
    }
}

#[test]
fn pipes_and_devices_are_no_models() {
    let pipe = fresh_file("pipe").display().to_string();
    command::run(Path::new("mkfifo"), &[&pipe]).ok();
    for path in [pipe.as_str(), "/dev/zero"] {
        for verb in ["check", "build", "explain", "inspect"] {
            let said = seqc(&[verb, path]).refused();
            assert!(said.contains("not a plain file"), "{said}");
        }
        let said = seqc(&["import", path, "-o", "-"]).refused();
        assert!(said.contains("not a plain file"), "{said}");
    }
}

#[test]
fn flipped_bytes_in_a_header_never_crash_a_program() {
    let (program, bytes) = llama();
    let header = header_length(&bytes);
    for case in 0..60_usize {
        let mut flipped = bytes.clone();
        flipped[case * 2_654_435_761 % (header + 8)] ^= 1 << (case % 8);
        let answer = with_weights(&program, &flipped, "flipped.safetensors");
        assert!(
            matches!(answer.code, Some(0 | 1)),
            "case {case}: {:?}\n{}",
            answer.code,
            answer.stderr
        );
    }
}

#[test]
fn broken_gguf_files_are_refused() {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let head = |version: u32, tensors: u64, keys: u64| {
        [
            &b"GGUF"[..],
            &version.to_le_bytes(),
            &tensors.to_le_bytes(),
            &keys.to_le_bytes(),
        ]
        .concat()
    };
    let arch = [
        string("general.architecture"),
        8_u32.to_le_bytes().to_vec(),
        string("llama"),
    ]
    .concat();
    let huge = u64::MAX.to_le_bytes().to_vec();
    let nested = [&[9, 0, 0, 0][..], &1_u64.to_le_bytes()].concat().repeat(100_000);
    let cases: Vec<Vec<u8>> = vec![
        b"GGUF".to_vec(),
        head(99, 0, 0),
        head(3, u64::MAX, 0),
        head(3, 0, u64::MAX),
        [head(3, 0, 1), huge.clone()].concat(),
        [head(3, 0, 1), string("a"), 8_u32.to_le_bytes().to_vec(), huge.clone()].concat(),
        [
            head(3, 0, 1),
            string("a"),
            9_u32.to_le_bytes().to_vec(),
            4_u32.to_le_bytes().to_vec(),
            huge.clone(),
        ]
        .concat(),
        [head(3, 0, 1), string("a"), 77_u32.to_le_bytes().to_vec()].concat(),
        [head(3, 0, 1), string("a"), 9_u32.to_le_bytes().to_vec(), nested].concat(),
        [head(3, 0, 1), arch.clone()].concat(),
        [
            head(3, 1, 1),
            arch,
            string("token_embd.weight"),
            u32::MAX.to_le_bytes().to_vec(),
            huge,
        ]
        .concat(),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        let path = file(&format!("broken{number}.gguf"), bytes);
        let model = fresh_file("broken.yaml").display().to_string();
        seqc(&["import", &path, "-o", &model]).refused();
    }
}

#[test]
fn broken_configurations_are_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        "",
        "{",
        "[1, 2]",
        "null",
        "{\"model_type\": 3}",
        "{\"model_type\": \"nothing-we-know\"}",
        "{\"model_type\": \"llama\", \"hidden_size\": \"sixty\"}",
        "{\"model_type\": \"llama\", \"hidden_size\": -1, \"num_hidden_layers\": 1e300}",
        &deep,
    ];
    for (number, text) in cases.iter().enumerate() {
        let dir = seqc_tests::scratch(&format!("broken-config-{number}"));
        fs::write(dir.join("config.json"), text).unwrap_or_else(|error| panic!("{error}"));
        let model = dir.join("model.yaml").display().to_string();
        seqc(&["import", &dir.display().to_string(), "-o", &model]).refused();
    }
    let nowhere = fresh_file("nowhere").display().to_string();
    seqc(&["import", &nowhere, "-o", &format!("{nowhere}.yaml")]).refused();
}

/// Directory with a model that uses one layer file, both as given.
fn model_of(name: &str, layer: &[u8], model: &str) -> PathBuf {
    let dir = seqc_tests::scratch(name);
    fs::write(dir.join("layer.seq"), layer).unwrap_or_else(|error| panic!("{error}"));
    let path = dir.join("model.yaml");
    fs::write(&path, model).unwrap_or_else(|error| panic!("{error}"));
    path
}

const MODEL: &str = "version: 1\nmodel: m\nsizes: {d: 8, vocab: 16}\nuse: [layer.seq]\nweights: {random: 1}\nstack:\n  - embed: {vocab: vocab}\n  \
                     - thing: {}\n  - head: {vocab: vocab}\n";

#[test]
fn broken_layers_are_refused() {
    let deep = format!(
        "layer thing(x: [d]) -> [d] {{ {}x{} }}",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    let minus = format!("layer thing(x: [d]) -> [d] {{ {}x }}", "-".repeat(100_000));
    let sum = format!("layer thing(x: [d]) -> [d] {{ x{} }}", " + x".repeat(100_000));
    let cases: &[&[u8]] = &[
        b"",
        b"\xff\xfe\x00layer",
        b"layer thing(x: [d]",
        b"layer thing(x: [d]) -> [d] { y }",
        b"layer thing(x: [d]) -> [d] { thing(x) }",
        b"layer thing(x: [d]) -> [d] { param w[d, 1e300]\n w @ x }",
        b"layer thing(x: [d]) -> [d] { param w[d, d / 0]\n w @ x }",
        b"layer thing(x: [d]) -> [d] { param w[99999999, 99999999, 99999999, d]\n sum(i, j, k: w[i, j, k, 0]) * x }",
        b"layer thing(x: [d]) -> [d] { h = h + x\n h }",
        b"fn f(x) { f(x) }\nlayer thing(x: [d]) -> [d] { f(x) }",
        b"layer thing(x: [d]) -> [d] { y[i] = x[i + 1]\n y }",
        "layer thing(x: [d]) -> [d] { \u{1F600} }".as_bytes(),
        deep.as_bytes(),
        minus.as_bytes(),
    ];
    for (number, layer) in cases.iter().enumerate() {
        let path = model_of(&format!("broken-layer-{number}"), layer, MODEL);
        seqc(&["check", &path.display().to_string()]).refused();
    }
    let path = model_of("long-layer", sum.as_bytes(), MODEL);
    let long = seqc(&["check", &path.display().to_string()]);
    assert!(
        matches!(long.code, Some(0 | 1)),
        "a very long sum: {:?}\n{}",
        long.code,
        long.stderr
    );
}

#[test]
fn broken_models_are_refused() {
    let layer = b"layer thing(x: [d]) -> [d] { x }";
    let deep = format!("version: 1\nmodel: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n\
                d: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\n";
    let cases = [
        String::new(),
        "stack".to_owned(),
        "version: 7\nmodel: m\nstack: []\n".to_owned(),
        MODEL.replace("thing", "thong"),
        MODEL.replace("vocab: 16", "vocab: -16"),
        MODEL.replace("vocab: 16", "vocab: many"),
        MODEL.replace("d: 8", "d: 99999999999999999999"),
        MODEL.replace("- thing: {}", "- repeat: 1e18\n    of: [{thing: {}}]"),
        MODEL.replace("layer.seq", "../no/such.seq"),
        MODEL.replace("stack:", "stick:"),
        MODEL.replace("{random: 1}", "{file: nowhere.safetensors, type: f7}"),
        format!("{bomb}{MODEL}"),
        deep,
    ];
    for (number, text) in cases.iter().enumerate() {
        let path = model_of(&format!("broken-model-{number}"), layer, text);
        seqc(&["check", &path.display().to_string()]).refused();
    }
}

/// A tokenizer with other parts between its braces.
fn tokenizer(parts: &str) -> String {
    let model = r#""model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}"#;
    let text = format!(r#"{{"version": "1.0", "added_tokens": [], {parts}, {model}}}"#);
    file("tokenizer.json", text.as_bytes())
}

/// A step that makes a hundred letters of one, four times over.
fn growing() -> String {
    let step = format!(
        r#"{{"type": "Replace", "pattern": {{"String": "a"}}, "content": "{}"}}"#,
        "a".repeat(100)
    );
    vec![step; 4].join(", ")
}

#[test]
fn tokenizers_that_take_too_much_are_refused() {
    let (program, _) = llama();
    let encoding = tokenizer(&format!(
        r#""normalizer": {{"type": "Sequence", "normalizers": [{}]}}"#,
        growing()
    ));
    let decoding = tokenizer(&format!(
        r#""decoder": {{"type": "Sequence", "decoders": [{}]}}"#,
        growing()
    ));
    for (path, prompt) in [(&encoding, "--prompt=ab"), (&decoding, "--prompt-tokens=0,1")] {
        let args = ["generate", prompt, "-n", "64", "--ignore-eos", "--tokenizer", path];
        let said = bounded(&program.path, &args).refused();
        assert!(
            said.contains("tokenizer.json") && said.contains("too much memory"),
            "{prompt}: {said}"
        );
    }
    let fine = tokenizer(r#""normalizer": null"#);
    bounded(
        &program.path,
        &["generate", "--prompt=ab", "-n", "4", "--tokenizer", &fine],
    )
    .ok();
}

#[test]
fn devices_and_pipes_that_never_end_are_refused() {
    let (program, _) = llama();
    let path = program.path.display();
    for line in [
        "logits --tokens - -o - < /dev/zero",
        "generate --prompt-tokens - -n 1 < /dev/zero",
        "generate --prompt x -n 1 --tokenizer /dev/zero",
        "logits --tokens 1 -o - --load-state /dev/zero",
        "logits --tokens 1 -o - --weights /dev/zero",
        "run -i - -o - < /dev/zero",
        "run -i /dev/zero -o -",
        r#"run -i - -o - --format json < <(printf '\100\0\0\0\0\0\0\0{"tokens":{"dtype":"I64","shape":[2],"data_offsets":[0,99999999999999]}} '; cat /dev/zero)"#,
        "run -i - -o - < <(yes)",
    ] {
        let said = bounded(Path::new("/bin/bash"), &["-c", &format!("{path} {line}")]).refused();
        assert!(said.starts_with("error: "), "{line}: {said}");
    }
}

#[test]
fn wrong_prompts_and_states_are_refused() {
    let (program, _) = llama();
    let state = file("garbage.state", &[b'x'; 4096]);
    for args in [
        &["logits", "--tokens", "1,2,320", "--output", "-"][..],
        &["logits", "--tokens", "1,-2", "--output", "-"],
        &["logits", "--tokens", "1,2", "--load-state", &state, "--output", "-"],
        &[
            "logits",
            "--tokens",
            "1,2",
            "--load-state",
            "/nowhere/at/all",
            "--output",
            "-",
        ],
        &[
            "logits",
            "--tokens",
            "1,2",
            "--weights",
            "/nowhere/at/all",
            "--output",
            "-",
        ],
        &["generate", "--prompt", "no tokenizer here", "--max-tokens", "1"],
    ] {
        let answer = bounded(&program.path, args);
        assert!(
            matches!(answer.code, Some(1 | 2)),
            "{}: {:?}\n{}",
            answer.line,
            answer.code,
            answer.stderr
        );
        assert!(
            !answer.stderr.trim().is_empty() && !answer.stderr.contains("panicked"),
            "{}: {}",
            answer.line,
            answer.stderr
        );
    }
}
