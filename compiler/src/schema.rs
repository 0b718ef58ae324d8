//! The JSON Schema of model files, with the layers and blocks of the standard library.

use crate::library::Library;
use seqc_grammar::ast::{Def, DefKind};
use serde_json::{Map, Value, json};

/// The schema. Layers of a model's own files are admitted too, with any settings.
pub fn schema(library: &Library) -> Value {
    let text = json!({"type": "string"});
    let expression = json!({"type": ["number", "boolean", "string", "array"]});
    let map = |of: Value| json!({"type": "object", "additionalProperties": of});
    let mut entry = Map::new();
    for (key, value) in [
        ("name", text.clone()),
        ("block", json!({"$ref": "#/$defs/block"})),
        ("load", map(json!({"type": ["string", "array"]}))),
        ("if", expression.clone()),
        ("in", map(text.clone())),
        ("tap", map(text.clone())),
    ] {
        entry.insert(key.to_owned(), value);
    }
    let mut blocks = Map::new();
    for definition in library.iter() {
        let target = match definition.def.kind {
            DefKind::Layer => &mut entry,
            DefKind::Block => &mut blocks,
            DefKind::Fn => continue,
        };
        target.insert(definition.def.name.text.clone(), settings(&definition.def, &expression));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "seqc model",
        "type": "object",
        "required": ["version", "model", "stack"],
        "additionalProperties": false,
        "properties": {
            "version": {"const": 1},
            "model": text,
            "sizes": map(expression.clone()),
            "inputs": map(json!({"type": ["string", "array"]})),
            "use": {"type": "array", "items": {"type": "string"}},
            "weights": {"oneOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": false, "properties": {
                    "file": {"type": "string"},
                    "type": {"enum": crate::model::weights::STORES.map(|s| s.name())},
                    "random": {"type": "integer", "minimum": 0},
                }},
            ]},
            "tokenizer": {"type": "string"},
            "block": {"$ref": "#/$defs/block"},
            "stack": {"$ref": "#/$defs/stack"},
            "output": {"type": "string"},
        },
        "$defs": {
            "stack": {"type": "array", "items": {"oneOf": [{"$ref": "#/$defs/repeat"}, {"$ref": "#/$defs/entry"}]}},
            "repeat": {
                "type": "object",
                "required": ["repeat", "of"],
                "additionalProperties": false,
                "properties": {"repeat": expression, "of": {"$ref": "#/$defs/stack"}, "if": expression},
            },
            "entry": {"type": "object", "not": {"required": ["repeat"]}, "properties": entry},
            "block": {"oneOf": [
                {"type": ["string", "null"]},
                {"type": "array", "items": {"$ref": "#/$defs/block"}},
                {"type": "object", "properties": blocks},
            ]},
        },
    })
}

fn settings(def: &Def, expression: &Value) -> Value {
    let properties: Map<String, Value> = def
        .settings
        .iter()
        .map(|s| (s.name.text.clone(), expression.clone()))
        .collect();
    let required: Vec<&str> = def
        .settings
        .iter()
        .filter(|s| s.default.is_none())
        .map(|s| s.name.text.as_str())
        .collect();
    json!({
        "description": def.doc.join(" ").trim(),
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}
