//! How the kinds of byte-level tokenizers that GGUF files name cut a text before they merge.

/// GPT-2's own pattern.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Every digit alone.
const DIGIT: &str = r"\p{N}";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const FALCON_PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|`]+";
const THREE_DIGITS: &str = r"[0-9][0-9][0-9]";
const DEEPSEEK_DIGITS: &str = r"\p{N}{1,3}";
const DEEPSEEK_CJK: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// How a kind cuts, and what its merges do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Patterns, each applied to the pieces that the ones before left.
    pub(super) patterns: &'static [&'static str],
    /// A piece that is a token is taken without merging.
    pub(super) whole_tokens: bool,
    /// Whether a text begins with BOS, where the file does not say.
    pub(super) adds_bos: bool,
}

impl Kind {
    const fn of(patterns: &'static [&'static str]) -> Kind {
        Kind {
            patterns,
            whole_tokens: false,
            adds_bos: false,
        }
    }

    /// The default for unknown kinds.
    pub(super) const PLAIN: Kind = Kind::of(&[GPT2]);
}

/// The kind of that name in `tokenizer.ggml.pre`; the names are those that converters write.
pub(super) fn by_name(name: &str) -> Option<Kind> {
    Some(match name {
        "gpt-2" | "gpt2" | "mpt" | "olmo" | "jais" | "phi-2" | "roberta-bpe" | "gigachat" | "jina-v2-es"
        | "jina-v2-de" | "jina-v1-en" | "trillion" => Kind::PLAIN,
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
            Kind::of(&[DIGIT, GPT2])
        }
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => Kind {
            patterns: &[LLAMA3],
            whole_tokens: true,
            adds_bos: true,
        },
        "dbrx" | "smaug-bpe" | "chatglm-bpe" => Kind::of(&[LLAMA3]),
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "hunyuan" => Kind::of(&[QWEN2]),
        "tekken" => Kind {
            patterns: &[TEKKEN],
            whole_tokens: true,
            adds_bos: true,
        },
        "gpt-4o" | "llama4" => Kind::of(&[GPT4O]),
        "falcon" => Kind::of(&[FALCON_PUNCTUATION, GPT2, THREE_DIGITS]),
        "deepseek-v3" => Kind::of(&[DEEPSEEK_DIGITS, DEEPSEEK_CJK, DEEPSEEK3]),
        _ => return None,
    })
}
