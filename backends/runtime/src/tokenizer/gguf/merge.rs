//! Pieces of text to tokens: neighbours are joined, the best pair first, until no pair can be joined.
//!
//! Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) ranks pairs by a list; SentencePiece ranks them by the
//! score of the token that they become. Nothing is prepared for pairs that never meet, so that starting is quick.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokenizers::{Model, Result, Token, models::bpe::BpeTrainer};

use super::texts::{Index, Texts};

/// What decides which pair comes first.
#[derive(Debug)]
pub(super) enum Order {
    /// A list of `left right`, the best first.
    List { merges: Texts, index: Index },
    /// The scores of all tokens.
    Scores(Vec<f32>),
}

/// A model of the `tokenizers` crate over a file's vocabulary.
#[derive(Debug)]
pub(super) struct Merging {
    pub(super) texts: Arc<Texts>,
    pub(super) index: Index,
    pub(super) order: Order,
    /// A piece that is a token is taken without merging.
    pub(super) whole_tokens: bool,
    /// Tokens of single bytes, for characters that are no token.
    pub(super) bytes: Option<Box<[Option<u32>; 256]>>,
    /// For what cannot be said at all; without it, that is left out.
    pub(super) unknown: Option<u32>,
}

/// A token in a row of them; `next` is the place of the one after it.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    id: u32,
    start: usize,
    end: usize,
    before: Option<usize>,
    next: Option<usize>,
    gone: bool,
}

/// Two neighbours that can be joined: smaller is better, then what stands further left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    rank: u32,
    at: usize,
    left: u32,
    right: u32,
    joined: u32,
}

impl Merging {
    /// Rank and token of a pair that can be joined. `buffer` is scratch.
    fn pair(&self, left: u32, right: u32, buffer: &mut Vec<u8>) -> Option<(u32, u32)> {
        let (l, r) = (self.texts.get(left as usize)?, self.texts.get(right as usize)?);
        buffer.clear();
        buffer.extend(l.as_bytes());
        match &self.order {
            Order::List { merges, index } => {
                buffer.push(b' ');
                buffer.extend(r.as_bytes());
                let rank = index.get(merges, buffer)?;
                buffer.remove(l.len());
                Some((rank, self.index.get(&self.texts, buffer)?))
            }
            Order::Scores(scores) => {
                buffer.extend(r.as_bytes());
                let joined = self.index.get(&self.texts, buffer)?;
                Some((descending(*scores.get(joined as usize)?), joined))
            }
        }
    }

    /// One token for each character, or several for its bytes.
    fn characters(&self, text: &str) -> Vec<Symbol> {
        let mut symbols = Vec::with_capacity(text.len());
        let mut unknown_before = false;
        for (start, character) in text.char_indices() {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            let end = start + bytes.len();
            if let Some(id) = self.index.get(&self.texts, bytes) {
                symbols.push((id, start, end));
                unknown_before = false;
                continue;
            }
            let single = |byte: &u8| self.bytes.as_ref().and_then(|ids| ids[usize::from(*byte)]);
            if let Some(ids) = bytes.iter().map(single).collect::<Option<Vec<u32>>>() {
                symbols.extend(ids.into_iter().map(|id| (id, start, end)));
                unknown_before = false;
            } else if let Some(id) = self.unknown {
                // What is unknown in a row is one unknown.
                match symbols.last_mut().filter(|_| unknown_before) {
                    Some(last) => last.2 = end,
                    None => symbols.push((id, start, end)),
                }
                unknown_before = true;
            }
        }
        let count = symbols.len();
        let linked = symbols.into_iter().enumerate().map(|(at, (id, start, end))| Symbol {
            id,
            start,
            end,
            before: at.checked_sub(1),
            next: Some(at + 1).filter(|next| *next < count),
            gone: false,
        });
        linked.collect()
    }

    fn join(&self, symbols: &mut [Symbol]) {
        let mut buffer = Vec::new();
        let mut queue = BinaryHeap::new();
        let mut offer = |queue: &mut BinaryHeap<_>, symbols: &[Symbol], at: usize| {
            let Some(next) = symbols[at].next else { return };
            let (left, right) = (symbols[at].id, symbols[next].id);
            if let Some((rank, joined)) = self.pair(left, right, &mut buffer) {
                let pair = Pair {
                    rank,
                    at,
                    left,
                    right,
                    joined,
                };
                queue.push(Reverse(pair));
            }
        };
        for at in 0..symbols.len() {
            offer(&mut queue, symbols, at);
        }
        while let Some(Reverse(pair)) = queue.pop() {
            let Some(next) = symbols[pair.at].next.filter(|_| !symbols[pair.at].gone) else {
                continue;
            };
            // Either neighbour may have been joined with another one since.
            if (symbols[pair.at].id, symbols[next].id) != (pair.left, pair.right) {
                continue;
            }
            let right = symbols[next];
            symbols[next].gone = true;
            let left = &mut symbols[pair.at];
            (left.id, left.end, left.next) = (pair.joined, right.end, right.next);
            let before = left.before;
            if let Some(after) = right.next {
                symbols[after].before = Some(pair.at);
            }
            for at in before.into_iter().chain([pair.at]) {
                offer(&mut queue, symbols, at);
            }
        }
    }
}

/// Larger scores first, as numbers that sort upwards.
fn descending(score: f32) -> u32 {
    let bits = score.to_bits();
    // The usual order-preserving map of floats to integers, upside down.
    !(if bits >> 31 == 1 { !bits } else { bits | 1 << 31 })
}

impl Model for Merging {
    type Trainer = BpeTrainer;

    fn tokenize(&self, text: &str) -> Result<Vec<Token>> {
        if self.whole_tokens
            && let Some(id) = self.index.get(&self.texts, text.as_bytes())
        {
            return Ok(vec![Token::new(id, text.to_owned(), (0, text.len()))]);
        }
        let mut symbols = self.characters(text);
        self.join(&mut symbols);
        let left = symbols.into_iter().filter(|symbol| !symbol.gone);
        let token = |symbol: Symbol| {
            let value = self.id_to_token(symbol.id).unwrap_or_default();
            Token::new(symbol.id, value, (symbol.start, symbol.end))
        };
        Ok(left.map(token).collect())
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.index.get(&self.texts, token.as_bytes())
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.texts.get(id as usize).map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.texts.iter().map(|(id, text)| (text.to_owned(), id)).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.texts.len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> Result<Vec<PathBuf>> {
        Err("a tokenizer of a GGUF file is not saved".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Mix;

    fn texts(all: &[String]) -> Texts {
        let mut texts = Texts::default();
        all.iter().for_each(|text| assert!(texts.push(text)));
        texts
    }

    /// A word over three letters.
    fn word(mix: &mut Mix, longest: u64) -> String {
        let length = 1 + mix.next() % longest;
        (0..length)
            .map(|_| ['a', 'b', 'c'][(mix.next() % 3) as usize])
            .collect()
    }

    /// A vocabulary of random words, ordered by random scores or by a random list of pairs.
    fn random(mix: &mut Mix, by_list: bool) -> Merging {
        let mut words: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        words.extend((0..60).map(|_| word(mix, 6)));
        words.sort();
        words.dedup();
        let order = if by_list {
            let merges: Vec<String> = (0..300).map(|_| format!("{} {}", word(mix, 3), word(mix, 3))).collect();
            let merges = texts(&merges);
            Order::List {
                index: Index::of(&merges),
                merges,
            }
        } else {
            Order::Scores(words.iter().map(|_| mix.signed()).collect())
        };
        let texts = texts(&words);
        Merging {
            index: Index::of(&texts),
            texts: Arc::new(texts),
            order,
            whole_tokens: false,
            bytes: None,
            unknown: None,
        }
    }

    /// The definition: join the best pair, the leftmost of equals, until there is none.
    fn by_definition(merging: &Merging, text: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = text
            .chars()
            .filter_map(|c| merging.token_to_id(&c.to_string()))
            .collect();
        loop {
            let pairs = ids.windows(2).enumerate();
            let ranked = pairs.filter_map(|(at, pair)| {
                let (rank, joined) = merging.pair(pair[0], pair[1], &mut Vec::new())?;
                Some((rank, at, joined))
            });
            let Some((_, at, joined)) = ranked.min() else {
                return ids;
            };
            ids.splice(at..at + 2, [joined]);
        }
    }

    #[test]
    fn the_queue_does_what_the_definition_says() {
        let mut mix = Mix(5);
        for case in 0..200 {
            let merging = random(&mut mix, case % 2 == 0);
            let text = word(&mut mix, 40);
            let found: Vec<u32> = merging
                .tokenize(&text)
                .expect("tokens")
                .iter()
                .map(|token| token.id)
                .collect();
            assert_eq!(found, by_definition(&merging, &text), "case {case}: {text}");
        }
    }

    #[test]
    fn better_scores_sort_first() {
        let sorted = [f32::INFINITY, 2.0, 1.5, 0.0, -1.0, -2.0, f32::NEG_INFINITY].map(descending);
        assert!(sorted.is_sorted(), "{sorted:?}");
    }
}
