//! Folders and GGUF files to import: configurations of every family with numbers that are not what they should be, and families themselves.

use crate::{
    containers::{self, Shapes},
    ending::{Ending, put, refused},
    gguf, mutate,
};
use seqc::{
    import::{self, Request},
    model::standard,
    source::Sources,
};
use seqc_ir::random::Rng;
use serde_json::{Map, Value, json};
use std::path::Path;

/// One case.
pub(crate) fn case(rng: &mut Rng, dir: &Path) -> Ending {
    let all = standard::families();
    let (_, family) = rng.choose(&all);
    let architectures = gguf::architectures(family);
    let checkpoint = if architectures.is_empty() {
        put_files(rng, dir, family)?;
        dir.to_owned()
    } else {
        let architecture = *rng.choose(&architectures);
        gguf::file(rng, dir, family, architecture)?
    };
    let own = match rng.below(4) {
        0 => Some(put(dir, "family.yaml", mutate::text(rng, family).as_bytes())?),
        _ => None,
    };
    let request = Request {
        checkpoint: &checkpoint,
        output: &dir.join("model.yaml"),
        family: own.as_deref(),
        caches: &[],
    };
    let mut sources = Sources::default();
    match import::import(request, &mut sources) {
        Ok(imported) if imported.text.is_empty() => Err("a model file without a word".to_owned()),
        Ok(_) => Ok("imported"),
        Err(diagnostics) => refused(&diagnostics, &sources),
    }
}

/// The files of a folder.
fn put_files(rng: &mut Rng, dir: &Path, family: &str) -> Result<(), String> {
    let whole = rng.once_in(2);
    let mut config = if whole {
        whole_config(rng)
    } else {
        any_config(rng, family)
    };
    let before = match rng.below(6) {
        0 => Some("language_model."),
        1 => Some("model.language_model."),
        _ => None,
    };
    if before.is_some() {
        config = half_config(rng, config);
    }
    mutate::json(rng, &mut config);
    let mut text = config.to_string().into_bytes();
    if rng.once_in(10) {
        mutate::bytes(rng, &mut text);
    }
    put(dir, "config.json", &text)?;
    if whole || rng.once_in(4) {
        let mut weights = containers::safetensors(rng, &shapes(before), Some(0));
        if rng.once_in(10) {
            mutate::bytes(rng, &mut weights);
        }
        put(dir, "model.safetensors", &weights)?;
    }
    if rng.once_in(4) {
        let mut model = include_bytes!("../../fixtures/sentencepiece/bpe.model").to_vec();
        mutate::bytes(rng, &mut model);
        put(dir, "tokenizer.model", &model)?;
        let mut settings = json!({"added_tokens_decoder": {"610": {"content": "<end>", "special": true}}, "eos_token": "<end>", "chat_template": "x"});
        mutate::json(rng, &mut settings);
        put(dir, "tokenizer_config.json", settings.to_string().as_bytes())?;
    }
    if rng.once_in(3) {
        let mut generation = json!({"eos_token_id": [1, 2], "bos_token_id": 1});
        mutate::json(rng, &mut generation);
        put(dir, "generation_config.json", generation.to_string().as_bytes())?;
        put(dir, "tokenizer.json", b"{}")?;
    }
    Ok(())
}

/// The configuration of the checkpoint that [`shapes`] is.
fn whole_config(rng: &mut Rng) -> Value {
    let mut config = json!({
        "model_type": "llama", "hidden_size": 8, "vocab_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 12, "rms_norm_eps": 1e-6, "tie_word_embeddings": true,
        "max_position_embeddings": 64, "eos_token_id": 2,
    });
    if rng.once_in(3) {
        config["rope_scaling"] = json!({
            "rope_type": *rng.choose(&["linear", "dynamic", "llama3", "yarn", "longrope", "mrope", "default"]), "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        });
    }
    config
}

/// The configuration of a model whose text half is another one.
fn half_config(rng: &mut Rng, inner: Value) -> Value {
    let key = *rng.choose(&["text_config", "llm_config", "language_config"]);
    let mut config = json!({
        "model_type": "seeing", "vision_config": {"hidden_size": 8}, "dtype": *rng.choose(&["bfloat16", "float32", "int4"]),
    });
    config[key] = inner;
    if rng.once_in(4) {
        config["quantization_config"] = json!({
            "quant_method": *rng.choose(&["fp8", "mxfp4", "awq"]), "modules_to_not_convert": ["lm_head", "model.layers.*.self_attn"],
        });
    }
    config
}

/// The tensors of a small checkpoint; `before`: those of a text half, and one of the other.
fn shapes(before: Option<&str>) -> Shapes {
    let tensors: [(&str, &[usize]); 11] = [
        ("model.embed_tokens.weight", &[16, 8]),
        ("model.norm.weight", &[8]),
        ("model.layers.0.input_layernorm.weight", &[8]),
        ("model.layers.0.post_attention_layernorm.weight", &[8]),
        ("model.layers.0.self_attn.q_proj.weight", &[8, 8]),
        ("model.layers.0.self_attn.k_proj.weight", &[4, 8]),
        ("model.layers.0.self_attn.v_proj.weight", &[4, 8]),
        ("model.layers.0.self_attn.o_proj.weight", &[8, 8]),
        ("model.layers.0.mlp.gate_proj.weight", &[12, 8]),
        ("model.layers.0.mlp.up_proj.weight", &[12, 8]),
        ("model.layers.0.mlp.down_proj.weight", &[8, 12]),
    ];
    let named = |name: &str| match before {
        None => name.to_owned(),
        Some(before @ "language_model.") => format!("{before}{name}"),
        Some(before) => name.replacen("model.", before, 1),
    };
    let other = before.map(|_| ("vision_tower.patches.weight".to_owned(), vec![8, 4]));
    let text = tensors.iter().map(|(name, shape)| (named(name), shape.to_vec()));
    text.chain(other).collect()
}

/// A configuration with every key that a family reads.
fn any_config(rng: &mut Rng, family: &str) -> Value {
    let mut config = Map::new();
    if let Some((_, rest)) = family.split_once("match: {model_type: ") {
        let end = rest.find(['}', ',', '|']).unwrap_or(0);
        let name = rest[..end].trim_matches(['[', ']', ' ', '"', '\'']);
        config.insert("model_type".to_owned(), Value::from(name));
    }
    for (_, rest) in family
        .match_indices("get(\"")
        .map(|(at, start)| (at, &family[at + start.len()..]))
    {
        let Some((key, after)) = rest.split_once('"') else {
            continue;
        };
        // A text where the family's own default is one.
        let quoted = after.strip_prefix(", \"").and_then(|text| text.split_once('"'));
        let value = match (quoted, rng.below(12)) {
            (Some((text, _)), _) => Value::from(text),
            (_, 0) => Value::Bool(rng.once_in(2)),
            (_, 1) => Value::from(0.5),
            (_, 2) => continue,
            _ => Value::from(*rng.choose(&[1, 2, 4, 8, 8, 16, 64])),
        };
        match key.split_once('.') {
            None => drop(config.entry(key).or_insert(value)),
            Some((outer, inner)) => {
                if let Value::Object(map) = config.entry(outer).or_insert_with(|| json!({})) {
                    map.entry(inner).or_insert(value);
                }
            }
        }
    }
    Value::Object(config)
}
