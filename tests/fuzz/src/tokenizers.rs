//! Tokenizers and chat templates: files that are not what they should be are refused, or turn any text to tokens and back.

use crate::{
    containers::{self, Key},
    ending::{Ending, put},
    mutate,
};
use seqc_ir::random::Rng;
use seqc_runtime::{
    Error,
    chat::{self, Given, Message},
    tokenizer::Tokenizer,
};
use serde_json::{Value, json};
use std::path::Path;

/// Texts that are read.
const TEXTS: &[&str] = &[
    "",
    "ab ba",
    "  héllo\n\n",
    "<s>a</s>\u{0}",
    "😀😀 123,456",
    "\u{200d}\u{301}\r\n\t",
];

/// Templates in the manner of published ones.
const TEMPLATES: &[&str] = &[
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "{%- if messages[0]['role'] == 'system' -%}{%- set system = messages[0]['content'] | trim -%}{%- set messages = messages[1:] -%}{%- endif -%}{%- for m in messages -%}{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('Roles must alternate') }}{%- endif -%}{{ m.content.split('x')[-1].strip() ~ m | tojson ~ strftime_now('%Y') }}{%- endfor -%}",
    "{% macro say(a, b=1) %}{{ a * b }}{% endmacro %}{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ say('ab', ns.n) }}{{ messages | map(attribute='role') | join(', ') }}",
];

/// One case.
pub(crate) fn case(rng: &mut Rng, dir: &Path) -> Ending {
    let template = rng.choose(TEMPLATES);
    let template = mutate::text(rng, template);
    let path = if rng.once_in(3) {
        let keys = gguf_keys(rng, template);
        let mut bytes = containers::gguf(rng, &keys, &Vec::new());
        if rng.once_in(2) {
            mutate::bytes(rng, &mut bytes);
        }
        put(dir, "model.gguf", &bytes)?
    } else {
        let mut config = json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": template});
        if rng.once_in(4) {
            mutate::json(rng, &mut config);
        }
        put(dir, "tokenizer_config.json", config.to_string().as_bytes())?;
        let mut file = file(rng);
        mutate::json(rng, &mut file);
        put(dir, "tokenizer.json", file.to_string().as_bytes())?
    };
    match Tokenizer::open(&path).and_then(|tokenizer| read(&tokenizer)) {
        Ok(()) => Ok("read"),
        Err(Error::Input(_) | Error::Checkpoint(_)) => Ok("refused"),
        Err(error) => Err(format!("not said to be wrong input: {error}")),
    }
}

/// Texts to tokens and back, and a conversation.
fn read(tokenizer: &Tokenizer) -> Result<(), Error> {
    let messages = [
        ("system", "be x"),
        ("user", "  hi "),
        ("assistant", "é{{ 1 }}"),
        ("user", ""),
    ];
    let messages = messages.map(|(role, content)| Message::new(role, content));
    let given = Given {
        tools: Some(json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])),
        documents: Some(json!([{"text": "é"}])),
        variables: vec![("enable_thinking".to_owned(), json!(false))],
    };
    let rendered = chat::render(tokenizer, &messages, &given);
    for text in TEXTS {
        let ids = tokenizer.encode(text, true)?;
        tokenizer.decode(&ids)?;
        let mut stream = tokenizer.stream(&[]);
        for id in ids.into_iter().chain([-1, 3, i64::MAX]) {
            stream.push(id)?;
        }
        stream.finish();
    }
    tokenizer.encode_rendered(&rendered?, true).map(drop)
}

/// A `tokenizer.json` of each kind.
fn file(rng: &mut Rng) -> Value {
    let pieces = [
        "<unk>", "<s>", "</s>", "a", "b", "ab", "Ġ", "▁", "é", "h", "##b", "<0x0A>",
    ];
    let vocab: serde_json::Map<String, Value> = pieces
        .iter()
        .enumerate()
        .map(|(n, piece)| ((*piece).to_owned(), Value::from(n)))
        .collect();
    let scores: Vec<Value> = pieces.iter().map(|piece| json!([piece, -1.5])).collect();
    let model = match rng.below(4) {
        0 => json!({"type": "BPE", "vocab": vocab, "merges": ["a b"], "unk_token": "<unk>", "byte_fallback": true}),
        1 => json!({"type": "WordPiece", "vocab": vocab, "unk_token": "<unk>", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100}),
        2 => json!({"type": "Unigram", "unk_id": 0, "vocab": scores, "byte_fallback": false}),
        _ => json!({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}),
    };
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let split = json!({"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|(?i:'s)|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": false});
    let added = |id: u32, text: &str| json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(1, "<s>"), added(2, "</s>")],
        "normalizer": *rng.choose(&[&Value::Null, &json!({"type": "NFC"}), &json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})]),
        "pre_tokenizer": *rng.choose(&[&byte_level, &metaspace, &split]),
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": *rng.choose(&[&byte_level, &metaspace, &json!({"type": "ByteFallback"})]),
        "model": model,
    })
}

/// The keys of a tokenizer in a GGUF file.
fn gguf_keys(rng: &mut Rng, template: String) -> Vec<(String, Key)> {
    let text = |text: &str| Key::Text(text.to_owned());
    let tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "a", "b", "ab", "▁", "Ġ", "Ċ", "é"];
    let kinds: Vec<i32> = tokens
        .iter()
        .enumerate()
        .map(|(n, _)| *[2, 3, 3, 6, 1].get(n).unwrap_or(&1))
        .collect();
    let model = *rng.choose(&["gpt2", "llama", "gpt2", "llama", "bert"]);
    let pre = *rng.choose(&["default", "llama-bpe", "qwen2", "tekken", "nobody"]);
    let keys = [
        ("general.architecture", text("llama")),
        ("tokenizer.ggml.model", text(model)),
        ("tokenizer.ggml.pre", text(pre)),
        (
            "tokenizer.ggml.scores",
            Key::Floats((0..tokens.len()).map(|n| -(n as f32)).collect()),
        ),
        ("tokenizer.ggml.token_type", Key::Ints(kinds)),
        ("tokenizer.ggml.tokens", Key::Texts(tokens.map(str::to_owned).to_vec())),
        ("tokenizer.ggml.merges", Key::Texts(vec![mutate::text(rng, "a b")])),
        (
            "tokenizer.ggml.bos_token_id",
            Key::Int(if rng.once_in(8) { u32::MAX } else { 1 }),
        ),
        ("tokenizer.ggml.eos_token_id", Key::Int(2)),
        ("tokenizer.ggml.add_bos_token", Key::Bool(true)),
        ("tokenizer.chat_template", Key::Text(template)),
    ];
    keys.map(|(name, key)| (name.to_owned(), key)).to_vec()
}
