//! Quantised checkpoints: refused, with the reason and the remedy.

use super::*;

#[test]
fn quantised_weights_are_refused_by_their_configuration() {
    let methods = [
        (
            r#""quantization_config": {"quant_method": "fp8", "activation_scheme": "static"}"#,
            "fp8",
        ),
        (r#""quantization_config": {"quant_method": "gptq", "bits": 4}"#, "gptq"),
        (r#""quantization_config": {"quant_method": "awq"}"#, "awq"),
        (
            r#""quantization_config": {"load_in_8bit": true}"#,
            "`quantization_config`",
        ),
        (r#""compression_config": {"format": "int-quantized"}"#, "int-quantized"),
        (r#""quantization": {"group_size": 64, "bits": 4}"#, "`quantization`"),
        (
            r#""text_config": {"quantization_config": {"quant_method": "nvfp4"}}"#,
            "nvfp4",
        ),
    ];
    for (n, (key, says)) in methods.iter().enumerate() {
        let config = CONFIG.replacen('{', &format!("{{{key},"), 1);
        let said = refused(&checkpoint(&format!("quantised-{n}"), &config, &plain()));
        holds(&said, &["quantised in an unsupported form", says, "f32, f16, bf16"]);
    }
    let eight = r#""quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}"#;
    for key in [r#""quantization_config": null"#, r#""quantization_config": {}"#, eight] {
        let config = CONFIG.replacen('{', &format!("{{{key},"), 1);
        assert_eq!(accepted(&checkpoint("not-quantised", &config, &plain())), "");
    }
}

/// The plain tensors with every matrix of the layer in another type, and what stands beside them.
fn quantised(dtype: &'static str, beside: &[&str]) -> Tensors {
    let mut all = Tensors::new();
    for (name, plain, shape) in plain() {
        if !name.contains("proj") {
            all.push((name, plain, shape));
            continue;
        }
        let module = name.trim_end_matches(".weight").to_owned();
        all.extend(beside.iter().map(|b| (format!("{module}.{b}"), "F32", vec![1])));
        all.push((name, dtype, shape));
    }
    all
}

#[test]
fn quantised_weights_are_refused_by_their_tensors() {
    let cases: [(&str, &'static str, &[&str], &[&str]); 7] = [
        (
            "int8",
            "I8",
            &["weight_scale"],
            &["quantised in an unsupported form", "weight_scale"],
        ),
        (
            "scales",
            "U8",
            &["scales", "biases"],
            &["quantised in an unsupported form", ".scales"],
        ),
        ("bnb", "I8", &["SCB"], &["quantised in an unsupported form", ".SCB"]),
        (
            "f8",
            "F8_E4M3",
            &["weight_scale_inv", "input_scale"],
            &["quantised in an unsupported form", ".input_scale", "f32, f16, bf16"],
        ),
        (
            "f8-alone",
            "F8_E8M0",
            &[],
            &["7 of 12 parameters", "f8_e8m0, which cannot be read", "q8_0"],
        ),
        (
            "int-alone",
            "I32",
            &[],
            &["7 of 12 parameters", "i32, integers, which are not weights"],
        ),
        (
            "f32-scales",
            "F32",
            &["weight_scale"],
            &["quantised in an unsupported form", "weight_scale"],
        ),
    ];
    for (name, dtype, beside, says) in cases {
        let dir = checkpoint(name, CONFIG, &plain());
        accepted(&dir);
        write(&dir.join("model.safetensors"), safetensors(&quantised(dtype, beside)));
        holds(&refused(&dir), says);
        match checked(&dir) {
            Ok(_) => panic!("{name} should be refused"),
            Err(said) => holds(&said, says),
        }
    }
}

#[test]
fn packed_weights_are_explained_once() {
    let mut all = plain();
    all.retain(|(name, ..)| !name.contains("proj"));
    for module in ["q_proj", "k_proj"] {
        for (part, dtype) in [
            ("qweight", "I32"),
            ("qzeros", "I32"),
            ("scales", "F32"),
            ("g_idx", "I32"),
        ] {
            all.push((format!("model.layers.0.self_attn.{module}.{part}"), dtype, vec![2, 2]));
        }
    }
    let said = refused(&checkpoint("packed", CONFIG, &all));
    holds(&said, &["quantised in an unsupported form", "qweight"]);
    assert!(!said.contains("missing"), "{said}");
}

/// A configuration that says so is believed: numbers of eight bits without factors are not what the model was trained with.
#[test]
fn matrices_of_eight_bits_without_their_factors_are_refused() {
    let key = r#""quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}"#;
    let config = CONFIG.replacen('{', &format!("{{{key},"), 1);
    let said = refused(&checkpoint("without-factors", &config, &quantised("F8_E4M3", &[])));
    holds(&said, &["has no factors", "_scale_inv", "fetch the checkpoint again"]);
}
