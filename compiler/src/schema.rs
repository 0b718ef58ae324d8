//! The JSON Schema of model files, with the layers and blocks of the standard library.

use crate::library::Library;
use seqc_formats::Encoding;
use seqc_grammar::{
    ast::{Def, DefKind},
    model::CACHE_KEYS,
};
use seqc_ir::Activations;
use serde_json::{Map, Value, json};

/// The schema. Layers of a model's own files are admitted too, with any settings.
pub fn schema(library: &Library) -> Value {
    let mut schema = seqc_grammar::schema();
    for definition in library.standard() {
        let path = match definition.def.kind {
            DefKind::Layer => "/$defs/layer/properties",
            DefKind::Block => "/$defs/named/properties",
            DefKind::Fn | DefKind::Cache => continue,
        };
        if let Some(Value::Object(known)) = schema.pointer_mut(path) {
            known.insert(definition.def.name.text.clone(), settings(&definition.def));
        }
    }
    if let Some(Value::Object(ty)) = schema.pointer_mut("/properties/weights/properties/type") {
        ty.insert(
            "enum".to_owned(),
            json!(Encoding::all_native().map(Encoding::name).collect::<Vec<_>>()),
        );
    }
    if let Some(Value::Object(activations)) = schema.pointer_mut("/properties/activations") {
        let names = Activations::ALL.map(Activations::name);
        activations.insert("enum".to_owned(), json!(names));
    }
    if let Some(Value::Object(ty)) = schema.pointer_mut("/$defs/cache/properties/type") {
        let names = Encoding::ALL.iter().filter(|e| e.nearest().is_some()).map(|e| e.name());
        ty.insert("enum".to_owned(), json!(names.collect::<Vec<_>>()));
    }
    if let Some(Value::Object(entry)) = schema.pointer_mut("/$defs/cache") {
        let caches = library.standard().filter(|d| d.def.kind == DefKind::Cache);
        entry.insert(
            "allOf".to_owned(),
            Value::Array(caches.map(|d| policy(&d.def)).collect()),
        );
    }
    schema
}

/// An entry with a policy of the standard library has its settings.
fn policy(def: &Def) -> Value {
    let Value::Object(mut entry) = settings(def) else {
        return Value::Null;
    };
    if let Some(Value::Object(properties)) = entry.get_mut("properties") {
        properties.extend(CACHE_KEYS.iter().map(|key| ((*key).to_owned(), json!(true))));
    }
    let named = json!({"properties": {"policy": {"const": def.name.text}}, "required": ["policy"]});
    json!({"if": named, "then": entry})
}

/// The settings of a layer or block.
fn settings(def: &Def) -> Value {
    let properties: Map<String, Value> = def
        .settings
        .iter()
        .map(|s| (s.name.text.clone(), json!({"$ref": "#/$defs/value"})))
        .collect();
    let required: Vec<&str> = def
        .settings
        .iter()
        .filter(|s| s.default.is_none())
        .map(|s| s.name.text.as_str())
        .collect();
    let ty = if required.is_empty() {
        json!(["object", "null"])
    } else {
        json!("object")
    };
    json!({
        "description": def.doc.join(" ").trim(),
        "type": ty,
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}
