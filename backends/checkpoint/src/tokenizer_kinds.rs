//! How GGUF files call the kinds of tokenizers (`tokenizer.ggml.model`): after the first models that had them.

/// Characters for bytes, which are merged in the order of a list.
pub const BYTE_LEVEL: &str = "gpt2";
/// SentencePiece's merges, the best score first.
pub const MERGED: &str = "llama";
/// SentencePiece's likeliest pieces.
pub const LIKELIEST: &str = "t5";
