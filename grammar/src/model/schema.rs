//! The JSON Schema of model files, for editors.

use super::keys::{ENCODER_KEYS, ENTRY_KEYS, MODEL_KEYS};
use serde_json::{Value, json};

/// JSON Schema (2020-12) of model files. What expressions mean is not in it. Whoever knows layers and blocks adds their settings
/// to the properties of `$defs/layer` and `$defs/named`.
pub fn schema() -> Value {
    let properties: serde_json::Map<String, Value> = MODEL_KEYS
        .iter()
        .map(|key| ((*key).to_owned(), model_key(key)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "seqc model",
        "type": "object",
        "properties": properties,
        "required": ["version", "model", "stack"],
        "additionalProperties": false,
        "$defs": definitions(),
    })
}

fn described(description: &str, mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(description));
    }
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn map_of(values: Value) -> Value {
    json!({"type": ["object", "null"], "additionalProperties": values})
}

fn model_key(key: &str) -> Value {
    let text = json!({"type": "string"});
    match key {
        "version" => described("version of the format", json!({"const": 1})),
        "model" => described("name of the model", text),
        "sizes" => described(
            "names for numbers, booleans, strings and lists, used in settings and layers",
            map_of(reference("value")),
        ),
        "inputs" => described(
            "streams the model reads: `int`, `int[n]`, or a shape per token such as \"[d]\"",
            map_of(json!({"type": ["string", "array"]})),
        ),
        "use" => described(
            "layer files, relative to this file",
            json!({"anyOf": [text, {"type": "array", "items": {"type": "string"}}]}),
        ),
        "weights" => described("where the weights are", weights()),
        "activations" => described(
            "what is rounded before products with stored weights; f32: nothing",
            text,
        ),
        "cache" => described("how attention keeps keys and values", cache()),
        "tokenizer" => described("a tokenizer.json or a GGUF file", text),
        "end" => described("ids of tokens that end a text, one or a list", reference("value")),
        "trained_length" => described(
            "tokens of the longest sequences that the model was trained on",
            reference("value"),
        ),
        "block" => described("wraps every entry that does not say otherwise", reference("block")),
        "encoder" => described(
            "layers that read another sequence before, which the model attends to",
            encoder(),
        ),
        "stack" => described(
            "the layers in order",
            json!({"type": "array", "items": reference("entry"), "minItems": 1}),
        ),
        "output" => described("another name for the result than `logits` or `y`", text),
        _ => json!({}),
    }
}

fn encoder() -> Value {
    let properties: serde_json::Map<String, Value> = ENCODER_KEYS
        .iter()
        .map(|key| {
            let schema = match *key {
                "output" => described("another name for the result than `memory`", json!({"type": "string"})),
                "start" => described(
                    "ids that the model's own tokens begin with, one or a list",
                    reference("value"),
                ),
                key => model_key(key),
            };
            ((*key).to_owned(), schema)
        })
        .collect();
    json!({"type": "object", "properties": properties, "required": ["stack"], "additionalProperties": false})
}

fn cache() -> Value {
    json!({"anyOf": [reference("cache"), {"type": "array", "items": reference("cache")}]})
}

/// Settings of a policy stand beside these keys.
fn cache_entry() -> Value {
    let one = json!({"type": ["string", "integer"]});
    json!({
        "type": "object",
        "properties": {
            "on": described(
                "layers by name, or attentions by number from 0, or a list of these; all unless given",
                json!({"anyOf": [one, {"type": "array", "items": one}]}),
            ),
            "policy": {"type": "string", "description": "a cache of specs/caches or of a file under `use`"},
            "type": {"type": "string", "description": "the type of their numbers; f32 unless given"},
        },
        "additionalProperties": reference("value"),
    })
}

fn weights() -> Value {
    json!({
        "type": "object",
        "properties": {
            "file": {"type": "string", "description": "safetensors or GGUF, relative to this file"},
            "type": {"type": "string", "description": "how weights are held; as the file has them unless given"},
            "random": {"type": "integer", "minimum": 0, "description": "seed of random weights"},
            "names": described(
                "beginnings of the names in `load`, and what stands in their place in the file",
                map_of(json!({"type": "string"})),
            ),
            "unused": described(
                "tensors that the file may contain and the model does not read; `*` matches any characters",
                json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
            ),
        },
        "not": {"required": ["file", "random"]},
        "additionalProperties": false,
    })
}

fn definitions() -> Value {
    let entry_keys: serde_json::Map<String, Value> = ENTRY_KEYS
        .iter()
        .map(|key| ((*key).to_owned(), entry_key(key)))
        .collect();
    let settings = map_of(reference("value"));
    json!({
        "cache": cache_entry(),
        "expression": {"type": ["string", "number", "boolean"], "description": "a number, or an expression over sizes and the indices of repeats"},
        "value": {"anyOf": [reference("expression"), {"type": "array", "items": reference("value")}]},
        "settings": described("settings by name", settings),
        "block": {"anyOf": [
            {"type": "string", "description": "the name of a block, or `none`"},
            reference("named"),
            {"type": "array", "description": "from the outside in", "items": {"anyOf": [{"type": "string"}, reference("named")]}},
        ]},
        "named": {
            "type": "object",
            "properties": {"if": entry_key("if")},
            "minProperties": 1,
            "maxProperties": 2,
            "additionalProperties": reference("settings"),
        },
        "entry": {"anyOf": [
            {"type": "string", "description": "a layer without settings"},
            reference("repeat"),
            reference("layer"),
        ]},
        "repeat": {
            "type": "object",
            "properties": {
                "repeat": described("how often", reference("expression")),
                "of": described("what is repeated; `i` counts from 0", json!({"type": "array", "items": reference("entry")})),
                "if": entry_key("if"),
                "when": entry_key("when"),
                "otherwise": entry_key("otherwise"),
            },
            "required": ["of"],
            "anyOf": [{"required": ["repeat"]}, {"required": ["when"]}],
            "additionalProperties": false,
        },
        "layer": {
            "type": "object",
            "not": {"anyOf": [{"required": ["repeat"]}, {"required": ["of"]}]},
            "properties": entry_keys,
            "additionalProperties": reference("settings"),
            "minProperties": 1,
        },
    })
}

/// The name of a tensor, or a part of one.
fn tensor() -> Value {
    json!({"anyOf": [{"type": "string"}, {
        "type": "object",
        "properties": {"tensor": {"type": "string"}, "rows": {"type": "string"}, "transpose": {"type": ["boolean", "string"]}},
        "required": ["tensor"],
        "additionalProperties": false,
    }]})
}

fn entry_key(key: &str) -> Value {
    let names = map_of(json!({"type": "string"}));
    match key {
        "name" => described(
            "for messages, the state manifest and parameter paths",
            json!({"type": "string"}),
        ),
        "block" => described("what wraps this layer", reference("block")),
        "load" => described(
            "parameter to checkpoint tensor; braces hold expressions, a list or a range stacks tensors",
            map_of(json!({"anyOf": [tensor(), {"type": "array", "items": tensor()}]})),
        ),
        "params" => described(
            "the path of another entry, whose parameters this one shares; braces hold expressions",
            json!({"type": "string"}),
        ),
        "if" => described("it is there only if this holds", reference("expression")),
        "in" => described("streams by argument name", names),
        "when" => described(
            "the tokens at which it runs: a stream that is not 0 there, or `every(n)`",
            json!({"type": "string"}),
        ),
        "otherwise" => described(
            "what it gives at other tokens: its last value, 0, or what it reads",
            json!({"enum": ["hold", "zero", "pass"]}),
        ),
        "tap" => described(
            "definitions of this layer, or `result`, by the name of the stream they become",
            names,
        ),
        _ => json!({}),
    }
}
