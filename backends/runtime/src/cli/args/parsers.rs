//! Words of the command line as numbers and what else they stand for, and what is said of wrong ones.

use std::str::FromStr;

use crate::chat::TAKEN;

/// What is added to the logit of a token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BiasWord {
    /// The token's id or text.
    pub(crate) token: String,
    pub(crate) bias: f32,
}

/// The seed of the sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// This number.
    Fixed(u64),
    /// A number that differs from run to run.
    Any,
}

pub(super) fn number_or_all(word: &str) -> Result<usize, String> {
    match word {
        "-1" => Ok(usize::MAX),
        word => word
            .parse()
            .map_err(|_| "must be a whole number, or -1 for no limit".to_owned()),
    }
}

pub(super) fn bias(word: &str) -> Result<BiasWord, String> {
    let parts = word.rsplit_once('=').filter(|(token, _)| !token.is_empty());
    let Some((token, value)) = parts else {
        return Err("looks like ID=VALUE or TEXT=VALUE".to_owned());
    };
    let bias = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    Ok(BiasWord {
        token: token.to_owned(),
        bias,
    })
}

/// A variable of a chat template, and its value: JSON, or else a text.
pub(super) fn variable(word: &str) -> Result<(String, serde_json::Value), String> {
    let parts = word.split_once('=').filter(|(name, _)| !name.is_empty());
    let Some((name, value)) = parts else {
        return Err("looks like NAME=VALUE".to_owned());
    };
    if TAKEN.contains(&name) {
        return Err(format!("`{name}` is given otherwise"));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// Tokens of a draft where the user does not say how many: with the one before them, rows that kernels compute together.
const DRAFT: usize = 7;

/// The most tokens of a draft by prompt lookup.
pub(super) fn lookup(word: &str) -> Result<usize, String> {
    match word.split_once(':') {
        None if word == "lookup" => Ok(DRAFT),
        Some(("lookup", most)) => at_least_one(most),
        _ => Err("looks like lookup or lookup:8".to_owned()),
    }
}

pub(super) fn seed(word: &str) -> Result<Seed, String> {
    match word {
        "-1" => Ok(Seed::Any),
        word => word
            .parse()
            .map(Seed::Fixed)
            .map_err(|_| "must be a whole number, or -1 for a random seed".to_owned()),
    }
}

/// At least one, and at most so many.
pub(super) fn up_to<const MOST: usize>(word: &str) -> Result<usize, String> {
    match at_least_one(word)? {
        number if number > MOST => Err(format!("must be at most {MOST}")),
        number => Ok(number),
    }
}

pub(super) fn at_least_one(word: &str) -> Result<usize, String> {
    match whole(word)? {
        0 => Err("must be at least 1".to_owned()),
        number => Ok(number),
    }
}

/// A number of a type that has no negative ones.
pub(super) fn whole<T: FromStr>(word: &str) -> Result<T, String> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().map_err(|_| match digits {
        true => "it is too large".to_owned(),
        false => "must be a whole number from 0".to_owned(),
    })
}

/// A number of bytes, such as `512M` or `2G`: K, M, G and T are powers of 1024.
pub(super) fn bytes(word: &str) -> Result<usize, String> {
    let word = word.trim_end_matches("iB").trim_end_matches('B');
    let (digits, shift) = match word.char_indices().last() {
        Some((at, unit)) if !unit.is_ascii_digit() => {
            let shift = "KMGT".find(unit.to_ascii_uppercase()).map(|n| 10 * (n + 1));
            (&word[..at], shift.ok_or("looks like 512M or 2G")?)
        }
        _ => (word, 0),
    };
    let number: usize = whole(digits).map_err(|why| match digits.contains('.') {
        true => "must be a whole number with a unit, such as 1536M".to_owned(),
        false => why,
    })?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "it is too large".to_owned())
}

/// Any number, whose bounds are checked elsewhere.
pub(super) fn number(word: &str) -> Result<f32, String> {
    word.parse().map_err(|_| "must be a number, such as 0.7".to_owned())
}
