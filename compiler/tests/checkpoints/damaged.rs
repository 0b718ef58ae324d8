//! Files that were cut, changed or replaced by others: each message names the file, the place in it and what to do.

use super::{CONFIG, checkpoint, holds, plain, refused, safetensors, write};

/// A file with a text of its header replaced by one that is as long, once.
fn edited(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|part| part == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("no {from}"));
    [&file[..at], to.as_bytes(), &file[at + from.len()..]].concat()
}

#[test]
fn broken_downloads_are_told_apart() {
    let dir = checkpoint("broken", CONFIG, &plain());
    let whole = safetensors(&plain());
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 538090408\n".to_vec();
    for (bytes, says) in [
        (pointer, "git lfs pull"),
        (whole[..whole.len() - 100].to_vec(), "100 bytes short"),
        (whole[..60].to_vec(), "bytes short of what its header says"),
        (b"<html>404</html>".to_vec(), "a web page"),
        (whole.iter().copied().chain(*b"more").collect(), "4 bytes follow after"),
        (
            edited(&whole, "[16, 8]", "[15, 8]"),
            "of shape [15, 8] and type F32 takes 480 bytes, its `data_offsets` give it 512",
        ),
        (
            edited(&whole, "[0,512]", "[0,513]"),
            "takes 512 bytes, its `data_offsets` give it 513",
        ),
        (
            edited(&whole, "[0,512]", "[0,-12]"),
            "`data_offsets` of tensor `model.embed_tokens.weight` is [0,-12]",
        ),
        (
            edited(&whole, "\"F32\"", "\"F33\""),
            "is stored as F33, which cannot be read",
        ),
        (edited(&whole, "\"dtype\"", "\"dtypo\""), "has no `dtype`"),
        (vec![255; 64], "its header is longer than 100 MB"),
    ] {
        write(&dir.join("model.safetensors"), bytes);
        holds(
            &refused(&dir),
            &["[bad-checkpoint]", "broken/model.safetensors: ", says],
        );
    }
    for name in ["tokenizer.json", "config.json"] {
        let dir = checkpoint("pointers", CONFIG, &plain());
        write(&dir.join(name), b"version https://git-lfs.github.com/spec/v1\n");
        holds(&refused(&dir), &[name, "git lfs pull"]);
    }
}
