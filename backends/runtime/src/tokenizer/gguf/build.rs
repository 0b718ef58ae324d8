//! Vocabularies to tokenizers of the `tokenizers` crate, which cuts texts and finds special tokens.

use tokenizers::{
    AddedToken, DecoderWrapper, Encoding, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    SplitDelimiterBehavior, TokenizerImpl,
    models::unigram::Unigram,
    normalizers::{Precompiled, Prepend, Replace, Sequence as Normalizers, replace::ReplacePattern},
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::{
    merge::{Merging, Order},
    texts::{Index, Texts},
    vocabulary::{BYTE, CONTROL, Cut, Spelling, UNKNOWN, USER_DEFINED, Vocabulary},
};
use crate::tokenizer::{bytes::SPACE, kinds::Kind};

/// A tokenizer with that model.
type Over<M> = TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// What turns text to tokens.
pub(super) enum Encoder {
    /// Over a vocabulary as it lies in a file.
    Merging(Box<Over<Merging>>),
    Likeliest(Box<Over<Unigram>>),
}

impl Encoder {
    /// The tokens of a text.
    pub(super) fn encode(&self, text: &str) -> tokenizers::Result<Encoding> {
        match self {
            Encoder::Merging(encoder) => encoder.encode_fast(text, false),
            Encoder::Likeliest(encoder) => encoder.encode_fast(text, false),
        }
    }
}

/// What turns text to tokens; errors are messages.
pub(super) fn encoder(vocabulary: &Vocabulary) -> Result<Encoder, String> {
    let merging = |encoder| Ok(Encoder::Merging(Box::new(with_specials(encoder, vocabulary)?)));
    match vocabulary.spelling {
        Spelling::ByteLevel(kind) => merging(byte_level(vocabulary, kind)?),
        Spelling::Pieces(Cut::Merged) => merging(merged(vocabulary)?),
        Spelling::Pieces(Cut::Likeliest) => {
            let encoder = with_specials(likeliest(vocabulary)?, vocabulary)?;
            Ok(Encoder::Likeliest(Box::new(encoder)))
        }
    }
}

/// An encoder that finds special tokens in a text.
fn with_specials<M: Model>(mut encoder: Over<M>, vocabulary: &Vocabulary) -> Result<Over<M>, String> {
    let specials = vocabulary.texts.iter().filter_map(|(id, text)| {
        let special = vocabulary.is(id as usize, &[CONTROL]);
        let matched = special || vocabulary.is(id as usize, &[USER_DEFINED]);
        matched.then(|| AddedToken::from(text, special).normalized(false))
    });
    encoder.add_tokens(specials).map_err(|error| error.to_string())?;
    Ok(encoder)
}

fn byte_level(vocabulary: &Vocabulary, kind: Kind) -> Result<Over<Merging>, String> {
    let list = vocabulary
        .metadata()
        .and_then(|metadata| metadata.array("tokenizer.ggml.merges"));
    let merges = list.and_then(|list| Texts::of(&list));
    let merges = merges.ok_or("`tokenizer.ggml.merges` is no list of texts")?;
    let mut encoder = Over::new(Merging {
        texts: vocabulary.texts.clone(),
        index: Index::of(&vocabulary.texts),
        order: Order::List {
            index: Index::of(&merges),
            merges,
        },
        whole_tokens: kind.whole_tokens,
        bytes: None,
        unknown: None,
    });
    encoder.with_pre_tokenizer(Some(cuts(kind)?));
    Ok(encoder)
}

/// The patterns in turn, then bytes to characters.
fn cuts(kind: Kind) -> Result<PreTokenizerWrapper, String> {
    let split = |pattern: &&str| {
        let pattern = SplitPattern::Regex((*pattern).to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        split.map(PreTokenizerWrapper::from).map_err(|error| error.to_string())
    };
    let mut steps = kind.patterns.iter().map(split).collect::<Result<Vec<_>, _>>()?;
    steps.push(ByteLevel::new(false, false, false).into());
    Ok(Sequence::new(steps).into())
}

/// The scores of all tokens.
fn scores(vocabulary: &Vocabulary) -> Result<impl Iterator<Item = f32>, String> {
    let tokens = vocabulary.texts.len();
    let scores = vocabulary
        .metadata()
        .and_then(|metadata| metadata.array("tokenizer.ggml.scores"));
    let scores = scores.ok_or("there is no list `tokenizer.ggml.scores`")?;
    if scores.len() != tokens {
        return Err(format!(
            "{} scores (`tokenizer.ggml.scores`) for {tokens} tokens",
            scores.len()
        ));
    }
    let score = |value: seqc_checkpoint::Value| value.as_float().filter(|score| !score.is_nan());
    Ok(scores
        .iter()
        .map(move |value| score(value).unwrap_or(f64::NEG_INFINITY) as f32))
}

fn merged(vocabulary: &Vocabulary) -> Result<Over<Merging>, String> {
    let index = Index::of(&vocabulary.texts);
    let find = |text: &str| index.get(&vocabulary.texts, text.as_bytes());
    let mut encoder = Over::new(Merging {
        order: Order::Scores(scores(vocabulary)?.collect()),
        whole_tokens: false,
        bytes: Some(Box::new(std::array::from_fn(|byte| find(&format!("<0x{byte:02X}>"))))),
        unknown: vocabulary.specials().get("unk").and_then(find),
        texts: vocabulary.texts.clone(),
        index,
    });
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if vocabulary.adds.space {
        steps.push(Prepend::new(SPACE.to_string()).into());
    }
    steps.push(spaces()?);
    normalize(&mut encoder, steps)?;
    Ok(encoder)
}

/// SentencePiece's unigram models: characters as the file's map has them, runs of spaces as one, then the likeliest pieces.
fn likeliest(vocabulary: &Vocabulary) -> Result<Over<Unigram>, String> {
    let metadata = vocabulary.metadata();
    let ids = || 0..vocabulary.texts.len();
    let unknown = metadata.and_then(|metadata| metadata.uint("tokenizer.ggml.unknown_token_id"));
    let unknown = unknown.and_then(|id| usize::try_from(id).ok());
    let unknown = unknown.or_else(|| ids().find(|id| vocabulary.is(*id, &[UNKNOWN])));
    let single_bytes = ids().any(|id| vocabulary.is(id, &[BYTE]));
    let texts = vocabulary.texts.iter().map(|(_, text)| text.to_owned());
    let pieces = texts.zip(scores(vocabulary)?.map(f64::from)).collect();
    let model = Unigram::from(pieces, unknown, single_bytes).map_err(|error| error.to_string())?;
    let mut encoder = Over::new(model);
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if let Some(map) = metadata.and_then(|metadata| metadata.array("tokenizer.ggml.precompiled_charsmap")) {
        steps.push(characters(&map)?.into());
    }
    let trimmed = metadata.and_then(|metadata| metadata.bool("tokenizer.ggml.remove_extra_whitespaces"));
    if trimmed.unwrap_or(true) {
        // Spaces alone: other characters of this kind are what the map leaves them.
        for (pattern, by) in [("^ +| +$", ""), (" {2,}", " ")] {
            let replaced = Replace::new(ReplacePattern::Regex(pattern.to_owned()), by);
            steps.push(replaced.map_err(|error| error.to_string())?.into());
        }
    }
    if vocabulary.adds.space {
        steps.push(Prepend::new(SPACE.to_string()).into());
    }
    steps.push(spaces()?);
    normalize(&mut encoder, steps)?;
    Ok(encoder)
}

/// SentencePiece's map of characters: a trie, whose length in bytes comes first, and what its entries become.
fn characters(map: &seqc_checkpoint::Array) -> Result<Precompiled, String> {
    let wrong = || "`tokenizer.ggml.precompiled_charsmap` is no map of characters".to_owned();
    // Converters write bytes with a sign or without.
    let byte = |value: seqc_checkpoint::Value| match value {
        seqc_checkpoint::Value::Uint(byte) => u8::try_from(byte).ok(),
        seqc_checkpoint::Value::Int(byte) if byte < 0 => i8::try_from(byte).ok().map(i8::cast_unsigned),
        seqc_checkpoint::Value::Int(byte) => u8::try_from(byte).ok(),
        _ => None,
    };
    let bytes: Vec<u8> = map.iter().map(byte).collect::<Option<_>>().ok_or_else(wrong)?;
    let trie = bytes.first_chunk().map(|length| u32::from_le_bytes(*length));
    // The crate that reads it reserves as much as this says.
    trie.filter(|length| *length as usize <= bytes.len())
        .ok_or_else(wrong)?;
    Precompiled::from(&bytes).map_err(|_| wrong())
}

fn spaces() -> Result<NormalizerWrapper, String> {
    let replaced = Replace::new(" ", SPACE.to_string());
    Ok(replaced.map_err(|error| error.to_string())?.into())
}

fn normalize<M: Model>(encoder: &mut Over<M>, steps: Vec<NormalizerWrapper>) -> Result<(), String> {
    let set = encoder.with_normalizer(Some(Normalizers::new(steps)));
    set.map(drop).map_err(|error| error.to_string())
}
