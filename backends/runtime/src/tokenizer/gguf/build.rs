//! Vocabularies to tokenizers of the `tokenizers` crate, which cuts texts and finds special tokens.

use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    TokenizerImpl,
    normalizers::{Prepend, Replace, Sequence as Normalizers},
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::{
    merge::{Merging, Order},
    texts::{Index, Texts},
    vocabulary::{CONTROL, Spelling, USER_DEFINED, Vocabulary},
};
use crate::tokenizer::{bytes::SPACE, kinds::Kind};

/// A tokenizer over a vocabulary as it lies in a file.
pub(super) type Encoder =
    TokenizerImpl<Merging, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// What turns text to tokens; errors are messages.
pub(super) fn encoder(vocabulary: &Vocabulary) -> Result<Encoder, String> {
    let mut encoder = match vocabulary.spelling {
        Spelling::ByteLevel(kind) => byte_level(vocabulary, kind)?,
        Spelling::Pieces => pieces(vocabulary)?,
    };
    let specials = vocabulary.texts.iter().filter_map(|(id, text)| {
        let special = vocabulary.is(id as usize, &[CONTROL]);
        let matched = special || vocabulary.is(id as usize, &[USER_DEFINED]);
        matched.then(|| AddedToken::from(text, special).normalized(false))
    });
    encoder.add_tokens(specials).map_err(|error| error.to_string())?;
    Ok(encoder)
}

fn byte_level(vocabulary: &Vocabulary, kind: Kind) -> Result<Encoder, String> {
    let list = vocabulary
        .metadata()
        .and_then(|metadata| metadata.array("tokenizer.ggml.merges"));
    let merges = list.and_then(|list| Texts::of(&list));
    let merges = merges.ok_or("`tokenizer.ggml.merges` is no list of texts")?;
    let mut encoder = Encoder::new(Merging {
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

fn pieces(vocabulary: &Vocabulary) -> Result<Encoder, String> {
    let tokens = vocabulary.texts.len();
    let scores = vocabulary
        .metadata()
        .and_then(|metadata| metadata.array("tokenizer.ggml.scores"));
    let scores = scores.ok_or("there is no list `tokenizer.ggml.scores`")?;
    if scores.len() != tokens {
        return Err(format!("{} scores for {tokens} tokens", scores.len()));
    }
    let score = |value: seqc_checkpoint::Value| value.as_float().filter(|score| !score.is_nan());
    let scores = scores
        .iter()
        .map(|value| score(value).unwrap_or(f64::NEG_INFINITY) as f32);
    let index = Index::of(&vocabulary.texts);
    let find = |text: &str| index.get(&vocabulary.texts, text.as_bytes());
    let mut encoder = Encoder::new(Merging {
        order: Order::Scores(scores.collect()),
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
    let spaces = Replace::new(" ", SPACE.to_string()).map_err(|error| error.to_string())?;
    steps.push(spaces.into());
    let normalizers = Normalizers::new(steps);
    encoder
        .with_normalizer(Some(normalizers))
        .map_err(|error| error.to_string())?;
    Ok(encoder)
}
