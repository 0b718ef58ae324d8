//! GGUF files: three recorded checkpoints written again as GGUF, imported and evaluated; and files with wrong keys.

mod layers;

use seqc::{
    import,
    model::{self, ReadOptions},
    reference, render,
    source::Sources,
};
use seqc_checkpoint::Checkpoint;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A value of a key, as it is written.
#[derive(Clone)]
enum Key {
    Text(&'static str),
    Int(u32),
    Real(f32),
    Ints(&'static [u32]),
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A GGUF file of version 3.
fn gguf(keys: &[(&str, Key)], tensors: &Tensors) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((keys.len() as u64).to_le_bytes());
    for (name, value) in keys {
        out.extend(text(name));
        match value {
            Key::Text(t) => out.extend([&8_u32.to_le_bytes()[..], &text(t)].concat()),
            Key::Int(n) => out.extend([4_u32.to_le_bytes(), n.to_le_bytes()].concat()),
            Key::Real(n) => out.extend([6_u32.to_le_bytes(), n.to_le_bytes()].concat()),
            Key::Ints(all) => {
                out.extend([9_u32.to_le_bytes(), 4_u32.to_le_bytes()].concat());
                out.extend((all.len() as u64).to_le_bytes());
                all.iter().for_each(|n| out.extend(n.to_le_bytes()));
            }
        }
    }
    let mut data: Vec<u8> = Vec::new();
    for (name, (shape, numbers)) in tensors {
        out.extend(text(name));
        out.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|n| out.extend((*n as u64).to_le_bytes()));
        out.extend(0_u32.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        data.extend(numbers.iter().flat_map(|v| v.to_le_bytes()));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/hf")
        .join(name)
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn numbers(file: &Checkpoint, name: &str) -> Vec<f32> {
    let tensor = file.get(name).unwrap_or_else(|| panic!("no {name}"));
    tensor.to_f32().unwrap_or_else(|e| panic!("{e}"))
}

/// The tensors of a checkpoint under other names, which `rename` finds by the end of theirs; axes of size 1 are dropped.
fn renamed(dir: &Path, rename: &[(&str, &str)]) -> Tensors {
    let file = open(&dir.join("model.safetensors"));
    let mut out = Tensors::new();
    for name in file.names() {
        let shape: Vec<usize> = file.get(name).map_or(Vec::new(), |t| t.shape.clone());
        let shape = shape.into_iter().filter(|n| *n != 1).collect();
        let layer = name.split('.').find(|part| part.parse::<usize>().is_ok());
        let (_, to) = rename
            .iter()
            .find(|(from, _)| name.ends_with(from))
            .unwrap_or_else(|| panic!("{name}"));
        let to = to.replace("{i}", layer.unwrap_or(""));
        out.insert(to, (shape, numbers(&file, name)));
    }
    out
}

/// Rows of queries or keys in the order of GGUF: the halves of a head as neighbours.
fn neighbours(shape: &[usize], data: &mut [f32], hd: usize) {
    let (rows, row) = (shape[0], shape[1]);
    let before = data.to_vec();
    for n in 0..rows {
        let (head, at) = (n / hd, n % hd);
        let from = head * hd + at / 2 + (at % 2) * (hd / 2);
        data[n * row..(n + 1) * row].copy_from_slice(&before[from * row..(from + 1) * row]);
    }
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gguf").join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    dir
}

/// The logits of an imported file on the recorded tokens of a fixture.
fn logits(name: &str, bytes: &[u8]) -> Vec<f64> {
    let path = scratch(name).join("model.gguf");
    fs::write(&path, bytes).unwrap_or_else(|e| panic!("{e}"));
    logits_of(&path, name.split('-').next().unwrap_or(name))
}

/// The logits of an imported checkpoint on the recorded tokens of a fixture.
fn logits_of(path: &Path, tokens_of: &str) -> Vec<f64> {
    let mut sources = Sources::default();
    let output = path.with_extension("yaml");
    let shown = |sources: &Sources, d: Vec<seqc::diag::Diagnostic>| -> String {
        d.iter().map(|d| render::human(d, sources, false)).collect()
    };
    let imported = imported(path, &mut sources).unwrap_or_else(|d| panic!("{}", shown(&sources, d)));
    assert!(imported.warnings.is_empty(), "{}", shown(&sources, imported.warnings));
    let built = model::read_text(&output, imported.text, &mut sources, &ReadOptions::default())
        .unwrap_or_else(|d| panic!("{}", shown(&sources, d)));
    let expected = open(&fixture(tokens_of).join("expected.safetensors"));
    let tokens: Vec<i64> = numbers(&expected, "input_ids").into_iter().map(|t| t as i64).collect();
    let rows = reference::token_rows(&built.model, &tokens).unwrap_or_else(|e| panic!("{e}"));
    let outputs = reference::run(&built, &rows).unwrap_or_else(|e| panic!("{e}"));
    outputs[0].data.clone()
}

fn imported(path: &Path, sources: &mut Sources) -> Result<import::Imported, Vec<seqc::diag::Diagnostic>> {
    let request = import::Request {
        checkpoint: path,
        output: &path.with_extension("yaml"),
        family: None,
        caches: &[],
    };
    import::import(request, sources)
}

/// Compares the logits of an imported file with the recorded ones of a fixture.
fn check(name: &str, bytes: &[u8]) {
    let found = logits(name, bytes);
    let wanted = numbers(&open(&fixture(name).join("expected.safetensors")), "logits");
    assert_eq!(found.len(), wanted.len());
    let wanted: Vec<f64> = wanted.into_iter().map(f64::from).collect();
    let off = off(&found, &wanted);
    assert!(off < 2e-5, "{name}: {off:e}");
}

/// Keys and tensors of the first fixture.
fn attention_file() -> (Vec<(&'static str, Key)>, Tensors) {
    let names = [
        ("embed_tokens.weight", "token_embd.weight"),
        ("model.norm.weight", "output_norm.weight"),
        ("input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        ("post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        ("q_proj.weight", "blk.{i}.attn_q.weight"),
        ("k_proj.weight", "blk.{i}.attn_k.weight"),
        ("v_proj.weight", "blk.{i}.attn_v.weight"),
        ("o_proj.weight", "blk.{i}.attn_output.weight"),
        ("gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        ("up_proj.weight", "blk.{i}.ffn_up.weight"),
        ("down_proj.weight", "blk.{i}.ffn_down.weight"),
    ];
    let mut tensors = renamed(&fixture("llama"), &names);
    for (name, tensor) in &mut tensors {
        if name.contains("attn_q.") || name.contains("attn_k.") {
            neighbours(&tensor.0, &mut tensor.1, 16);
        }
    }
    let keys = vec![
        ("general.architecture", Key::Text("llama")),
        ("llama.embedding_length", Key::Int(64)),
        ("llama.block_count", Key::Int(3)),
        ("llama.attention.head_count", Key::Int(4)),
        ("llama.attention.head_count_kv", Key::Int(2)),
        ("llama.rope.dimension_count", Key::Int(16)),
        ("llama.feed_forward_length", Key::Int(160)),
        ("llama.attention.layer_norm_rms_epsilon", Key::Real(1e-6)),
        ("llama.rope.freq_base", Key::Real(10_000.0)),
    ];
    (keys, tensors)
}

#[test]
fn an_attention_model_gives_the_recorded_results() {
    let (keys, tensors) = attention_file();
    check("llama", &gguf(&keys, &tensors));
}

#[test]
fn a_state_space_model_gives_the_recorded_results() {
    let names = [
        ("embeddings.weight", "token_embd.weight"),
        ("norm_f.weight", "output_norm.weight"),
        ("norm.weight", "blk.{i}.attn_norm.weight"),
        ("in_proj.weight", "blk.{i}.ssm_in.weight"),
        ("conv1d.weight", "blk.{i}.ssm_conv1d.weight"),
        ("conv1d.bias", "blk.{i}.ssm_conv1d.bias"),
        ("x_proj.weight", "blk.{i}.ssm_x.weight"),
        ("dt_proj.weight", "blk.{i}.ssm_dt.weight"),
        ("dt_proj.bias", "blk.{i}.ssm_dt.bias"),
        ("A_log", "blk.{i}.ssm_a"),
        (".D", "blk.{i}.ssm_d"),
        ("out_proj.weight", "blk.{i}.ssm_out.weight"),
    ];
    let mut tensors = renamed(&fixture("mamba"), &names);
    for (name, (_, data)) in &mut tensors {
        if name.ends_with("ssm_a") {
            data.iter_mut().for_each(|v| *v = -v.exp());
        }
    }
    let keys = [
        ("general.architecture", Key::Text("mamba")),
        ("mamba.embedding_length", Key::Int(64)),
        ("mamba.block_count", Key::Int(3)),
        ("mamba.ssm.state_size", Key::Int(16)),
        ("mamba.ssm.inner_size", Key::Int(160)),
        ("mamba.ssm.conv_kernel", Key::Int(4)),
        ("mamba.ssm.time_step_rank", Key::Int(8)),
        ("mamba.attention.layer_norm_rms_epsilon", Key::Real(1e-5)),
    ];
    check("mamba", &gguf(&keys, &tensors));
}

#[test]
fn a_model_of_windows_and_four_norms_gives_the_recorded_results() {
    let names = [
        ("embed_tokens.weight", "token_embd.weight"),
        ("model.norm.weight", "output_norm.weight"),
        ("input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        ("post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        ("pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight"),
        ("post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        ("q_proj.weight", "blk.{i}.attn_q.weight"),
        ("k_proj.weight", "blk.{i}.attn_k.weight"),
        ("v_proj.weight", "blk.{i}.attn_v.weight"),
        ("o_proj.weight", "blk.{i}.attn_output.weight"),
        ("q_norm.weight", "blk.{i}.attn_q_norm.weight"),
        ("k_norm.weight", "blk.{i}.attn_k_norm.weight"),
        ("gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        ("up_proj.weight", "blk.{i}.ffn_up.weight"),
        ("down_proj.weight", "blk.{i}.ffn_down.weight"),
    ];
    let mut tensors = renamed(&fixture("gemma3"), &names);
    for (name, (_, data)) in &mut tensors {
        if name.contains("norm") {
            data.iter_mut().for_each(|v| *v += 1.0);
        }
    }
    let keys = [
        ("general.architecture", Key::Text("gemma3")),
        ("gemma3.embedding_length", Key::Int(64)),
        ("gemma3.block_count", Key::Int(6)),
        ("gemma3.attention.head_count", Key::Int(4)),
        ("gemma3.attention.head_count_kv", Key::Int(2)),
        ("gemma3.attention.key_length", Key::Int(16)),
        ("gemma3.attention.value_length", Key::Int(16)),
        ("gemma3.attention.sliding_window", Key::Int(16)),
        ("gemma3.feed_forward_length", Key::Int(160)),
        ("gemma3.attention.layer_norm_rms_epsilon", Key::Real(1e-6)),
        ("gemma3.rope.freq_base", Key::Real(10_000.0)),
    ];
    check("gemma3", &gguf(&keys, &tensors));
}

#[test]
fn positions_are_stretched_as_other_tools_read_the_keys() {
    let (keys, tensors) = attention_file();
    let with = |more: &[(&'static str, Key)]| gguf(&[&keys[..], more].concat(), &tensors);
    let factor = ("llama.rope.scaling.factor", Key::Real(4.0));
    let typed = |name: &'static str| ("llama.rope.scaling.type", Key::Text(name));
    let plain = logits("llama-plain", &with(&[]));
    let linear = logits("llama-linear", &with(&[typed("linear"), factor.clone()]));
    assert_ne!(plain, linear);
    for (name, keys) in [
        ("factor", vec![factor.clone()]),
        ("old", vec![("llama.rope.scale_linear", Key::Real(4.0))]),
        (
            "both",
            vec![factor.clone(), ("llama.rope.scale_linear", Key::Real(8.0))],
        ),
    ] {
        assert_eq!(logits(&format!("llama-{name}"), &with(&keys)), linear, "{name}");
    }
    for (name, keys) in [
        ("nothing", vec![("llama.rope.scaling.factor", Key::Real(0.0))]),
        ("one", vec![("llama.rope.scale_linear", Key::Real(1.0))]),
        ("none", vec![typed("none"), factor.clone()]),
    ] {
        assert_eq!(logits(&format!("llama-{name}"), &with(&keys)), plain, "{name}");
    }
    let text = refused("longrope", &with(&[typed("longrope"), factor]));
    assert!(text.contains("rope scaling longrope is not supported"), "{text}");
    let text = refused("negative", &with(&[("llama.rope.scaling.factor", Key::Real(-2.0))]));
    assert!(text.contains("a factor above 0, not -2"), "{text}");
    let mut more = tensors.clone();
    more.insert("rope_freqs.weight".to_owned(), (vec![4], vec![1.0; 4]));
    let text = refused("freqs", &gguf(&keys, &more));
    assert!(text.contains("rope_freqs.weight"), "{text}");
}

/// The logits of the first fixture with other rotary positions in its `config.json`.
fn published(name: &str, positions: &str) -> Vec<f64> {
    let dir = scratch(name);
    let config = fs::read_to_string(fixture("llama").join("config.json")).unwrap_or_else(|e| panic!("{e}"));
    let plain = "\"rope_theta\": 10000.0,\n    \"rope_type\": \"default\"";
    assert!(config.contains(plain), "{config}");
    let changed = config.replace(plain, &format!("\"rope_theta\": 10000.0, {positions}"));
    fs::write(dir.join("config.json"), changed).unwrap_or_else(|e| panic!("{e}"));
    fs::copy(
        fixture("llama").join("model.safetensors"),
        dir.join("model.safetensors"),
    )
    .unwrap_or_else(|e| panic!("{e}"));
    logits_of(&dir, "llama")
}

/// max |difference| / max |value|
fn off(a: &[f64], b: &[f64]) -> f64 {
    let largest = b.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn frequencies_are_divided_by_the_factors_of_the_file() {
    let (keys, mut tensors) = attention_file();
    let plain = logits("llama-without", &gguf(&keys, &tensors));
    // As converters write them for Llama 3.1: 8 above the longest wave that turns once in 64 tokens, 1 below a quarter of it.
    let (factor, context, low, high) = (8.0_f64, 64.0, 1.0, 4.0);
    let of_pair = |pair: i32| {
        let wave = std::f64::consts::TAU * 1e4_f64.powf(f64::from(pair) / 8.0);
        let kept = (context / wave - low) / (high - low);
        if wave < context / high {
            1.0
        } else if wave > context / low {
            factor
        } else {
            1.0 / ((1.0 - kept) / factor + kept)
        }
    };
    let factors = (0..8).map(|pair| of_pair(pair) as f32).collect();
    tensors.insert("rope_freqs.weight".to_owned(), (vec![8], factors));
    let found = logits("llama-with", &gguf(&keys, &tensors));
    let positions = r#""rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64"#;
    let wanted = published("published-llama3", positions);
    assert!(off(&plain, &wanted) > 1e-3);
    assert!(off(&found, &wanted) < 1e-5, "{:e}", off(&found, &wanted));
}

#[test]
fn yarn_is_that_of_published_configurations() {
    let (keys, tensors) = attention_file();
    let more = [
        ("llama.rope.scaling.type", Key::Text("yarn")),
        ("llama.rope.scaling.factor", Key::Real(4.0)),
        ("llama.rope.scaling.original_context_length", Key::Int(128)),
    ];
    let found = logits("llama-yarn", &gguf(&[&keys[..], &more].concat(), &tensors));
    let positions = r#""rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128"#;
    let wanted = published("published-yarn", positions);
    assert!(off(&found, &wanted) < 1e-9, "{:e}", off(&found, &wanted));
}

/// What an import says about a file.
fn refused(name: &str, bytes: &[u8]) -> String {
    let path = scratch(name).join("model.gguf");
    fs::write(&path, bytes).unwrap_or_else(|e| panic!("{e}"));
    let mut sources = Sources::default();
    match imported(&path, &mut sources) {
        Ok(_) => panic!("{name} should be refused"),
        Err(d) => d.iter().map(|d| render::human(d, &sources, false)).collect(),
    }
}

#[test]
fn wrong_keys_are_explained() {
    let (keys, tensors) = attention_file();
    let with = |key: &'static str, value: Key| {
        let mut keys = keys.clone();
        keys.retain(|(k, _)| *k != key);
        keys.push((key, value));
        gguf(&keys, &tensors)
    };
    for (name, key, value, says) in [
        (
            "kind",
            "general.architecture",
            Key::Text("lama"),
            "which no family describes",
        ),
        ("zero", "llama.attention.head_count", Key::Int(0), "at least one head"),
        ("three", "llama.attention.head_count_kv", Key::Int(3), "heads of keys"),
        ("huge", "llama.block_count", Key::Int(u32::MAX), "up to"),
        ("wide", "llama.embedding_length", Key::Int(u32::MAX), "too large"),
        ("more", "llama.block_count", Key::Int(4), "blk.3.attn_q.weight"),
        ("word", "llama.embedding_length", Key::Text("many"), "string"),
        (
            "base",
            "llama.rope.freq_base",
            Key::Real(-1.0),
            "a number above 0, not -1",
        ),
        (
            "eps",
            "llama.attention.layer_norm_rms_epsilon",
            Key::Real(f32::INFINITY),
            "not inf",
        ),
        (
            "infinite",
            "llama.attention.head_count",
            Key::Real(f32::INFINITY),
            "inf heads",
        ),
    ] {
        let text = refused(name, &with(key, value));
        assert!(text.contains(says), "{name}: {text}");
        assert!(!text.contains("bug in seqc"), "{name}: {text}");
    }
    let text = refused("nothing", &gguf(&[], &Tensors::new()));
    assert!(text.contains("general.architecture"), "{text}");
}

#[test]
fn changed_files_are_answered() {
    let (keys, tensors) = attention_file();
    let whole = gguf(&keys, &tensors);
    let path = scratch("changed").join("model.gguf");
    let mut state = 12_345_u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % n
    };
    for round in 0..120 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(below(4000)),
            1 => (0..4).for_each(|_| bytes[below(1200)] = below(256) as u8),
            _ => bytes[below(600)] ^= 1 << below(8),
        }
        fs::write(&path, &bytes).unwrap_or_else(|e| panic!("{e}"));
        let mut sources = Sources::default();
        if let Err(diagnostics) = imported(&path, &mut sources) {
            for d in &diagnostics {
                assert_ne!(d.code, "internal", "{}", render::human(d, &sources, false));
            }
        }
    }
}
