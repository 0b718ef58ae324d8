//! Keys of GGUF files that list values for each layer.

use super::{Key, attention_file, check, gguf, refused};

/// Lists say for each layer what numbers say for all. A layer with every head of keys twice computes the same.
#[test]
fn heads_of_keys_may_differ_between_layers() {
    let (mut keys, mut tensors) = attention_file();
    let place = |keys: &[(&str, Key)], name: &str| {
        keys.iter()
            .position(|(key, _)| *key == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    let (queries, heads) = (
        place(&keys, "llama.attention.head_count"),
        place(&keys, "llama.attention.head_count_kv"),
    );
    keys[queries].1 = Key::Ints(&[4, 4, 4]);
    keys[heads].1 = Key::Ints(&[2, 2, 2]);
    check("llama", &gguf(&keys, &tensors));
    for name in ["blk.1.attn_k.weight", "blk.1.attn_v.weight"] {
        let (shape, data) = tensors.get_mut(name).unwrap_or_else(|| panic!("{name}"));
        *data = data.chunks(16 * 64).flat_map(|head| [head, head].concat()).collect();
        shape[0] *= 2;
    }
    keys[heads].1 = Key::Ints(&[2, 4, 2]);
    check("llama", &gguf(&keys, &tensors));
    keys[heads].1 = Key::Ints(&[2, 0, 2]);
    let text = refused("no-heads", &gguf(&keys, &tensors));
    assert!(text.contains("layers without attention are not supported"), "{text}");
    keys[queries].1 = Key::Ints(&[4, 2, 4]);
    let text = refused("queries", &gguf(&keys, &tensors));
    assert!(text.contains("heads of queries that differ between layers"), "{text}");
}
