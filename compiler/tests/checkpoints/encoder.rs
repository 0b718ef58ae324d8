//! Checkpoints of encoders, under all names that they had.

use super::*;

const BERT: &str = r#"{"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "num_hidden_layers": 1,
    "vocab_size": 16, "max_position_embeddings": 8, "type_vocab_size": 2}"#;

/// The tensors of an encoder, under a prefix and with other names for the parts of norms.
fn encoder(root: &str, gain: &str, shift: &str) -> Tensors {
    let mut all = Tensors::new();
    let mut add = |name: String, shape: &[usize]| all.push((format!("{root}{name}"), "F32", shape.to_vec()));
    add("embeddings.word_embeddings.weight".to_owned(), &[16, 8]);
    add("embeddings.position_embeddings.weight".to_owned(), &[8, 8]);
    add("embeddings.token_type_embeddings.weight".to_owned(), &[2, 8]);
    for norm in [
        "embeddings",
        "encoder.layer.0.attention.output",
        "encoder.layer.0.output",
    ] {
        add(format!("{norm}.LayerNorm.{gain}"), &[8]);
        add(format!("{norm}.LayerNorm.{shift}"), &[8]);
    }
    for dense in [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ] {
        add(format!("encoder.layer.0.{dense}.weight"), &[8, 8]);
        add(format!("encoder.layer.0.{dense}.bias"), &[8]);
    }
    all
}

fn hidden(dir: &Path) -> Vec<f64> {
    let mut sources = Sources::default();
    let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
    let built = built.unwrap_or_else(|d| panic!("{}", text(&d, &sources)));
    let rows = reference::token_rows(&built.model, &[1, 5, 3]).unwrap_or_else(|e| panic!("{e}"));
    let outputs = reference::run(&built, &rows).unwrap_or_else(|e| panic!("{e}"));
    outputs[0].data.clone()
}

#[test]
fn an_encoder_imports_under_all_names_that_it_had() {
    let plain = checkpoint("encoder", BERT, &encoder("", "weight", "bias"));
    assert_eq!(accepted(&plain), "");
    for (name, root, gain, shift) in [
        ("encoder-old", "bert.", "gamma", "beta"),
        ("encoder-prefix", "bert.", "weight", "bias"),
        ("encoder-gamma", "", "gamma", "beta"),
    ] {
        let mut tensors = encoder(root, gain, shift);
        tensors.push(("cls.predictions.bias".to_owned(), "F32", vec![16]));
        tensors.push((format!("{root}pooler.dense.weight"), "F32", vec![8, 8]));
        let dir = checkpoint(name, BERT, &tensors);
        assert_eq!(accepted(&dir), "", "{name}");
        assert_eq!(hidden(&dir), hidden(&plain), "{name}");
    }
}
