//! A prefix cache: sequences that were read, found by the tokens that they begin with.
//!
//! Kept sequences are the nodes of a radix tree over tokens. A model whose states are caches that forget nothing can go on from any
//! token of a kept sequence; any other from where a sequence was kept alone, which is why prompts of such models are kept at
//! intervals. What was used least recently is forgotten first.

use seqc_abi::Descriptor;

use crate::{Result, sequence::Sequence};

/// Sequences by the tokens that they read.
#[derive(Debug)]
pub struct PrefixCache {
    most_bytes: usize,
    root: Node,
    /// Bytes of what is kept, when something was kept last.
    bytes: usize,
    /// Counts uses.
    clock: u64,
}

/// A node: what was read up to here, and how it goes on.
#[derive(Debug, Default)]
struct Node {
    kept: Option<Kept>,
    /// At least two where nothing is kept, but for the root. No two begin with the same token.
    edges: Vec<Edge>,
}

#[derive(Debug)]
struct Edge {
    /// At least one.
    tokens: Vec<i64>,
    node: Node,
}

#[derive(Debug)]
struct Kept {
    sequence: Sequence,
    /// Logits of the last token, or none.
    logits: Vec<f32>,
    used: u64,
}

/// Where to go on.
#[derive(Debug)]
pub struct Start {
    /// It has read the first tokens, as many as its position says.
    pub sequence: Sequence,
    /// Logits of the last of them, where that was the last token asked for.
    pub logits: Option<Vec<f32>>,
}

impl PrefixCache {
    /// A cache of at most about so many bytes.
    pub fn new(most_bytes: usize) -> PrefixCache {
        PrefixCache {
            most_bytes,
            root: Node::default(),
            bytes: 0,
            clock: 0,
        }
    }

    /// The sequence that has read most of these tokens, and no others: all of them only where it brings logits.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn find(&mut self, descriptor: &Descriptor, tokens: &[i64]) -> Result<Option<Start>> {
        self.clock += 1;
        let clock = self.clock;
        let (matched, node, exact) = self.root.deepest(tokens);
        let ends_here =
            |kept: &Kept| may_go_on(descriptor, &kept.sequence) || kept.sequence.prompt_end() == tokens.len() as u64;
        let known = |kept: &&mut Kept| !kept.logits.is_empty() && ends_here(kept);
        if exact && let Some(kept) = node.kept.as_mut().filter(known) {
            kept.used = clock;
            return kept.fork(descriptor, tokens.len());
        }
        if Sequence::cuts_anywhere(descriptor) {
            let Some(kept) = node.any() else { return Ok(None) };
            kept.used = clock;
            let mut sequence = kept.sequence.fork(descriptor)?;
            // The last token is read again for its logits.
            let cut = matched.min(tokens.len().saturating_sub(1)) as u64;
            sequence.truncate(descriptor, cut);
            return Ok((cut > 0).then_some(Start { sequence, logits: None }));
        }
        match self
            .root
            .last_kept(tokens, &|kept| may_go_on(descriptor, &kept.sequence))
        {
            Some(kept) => {
                kept.used = clock;
                kept.fork(descriptor, tokens.len())
            }
            None => Ok(None),
        }
    }

    /// Keeps a copy of a sequence that has read exactly these tokens, with the logits of the last one, if they are
    /// known.
    ///
    /// # Errors
    ///
    /// Too little memory for the copy; the cache is as before.
    ///
    /// # Panics
    ///
    /// If the sequence has read another number of tokens.
    pub fn keep(&mut self, descriptor: &Descriptor, tokens: &[i64], sequence: &Sequence, logits: &[f32]) -> Result<()> {
        assert_eq!(sequence.position(), tokens.len() as u64);
        let useless = logits.is_empty() && !may_go_on(descriptor, sequence);
        if tokens.is_empty() || self.most_bytes == 0 || useless {
            return Ok(());
        }
        self.clock += 1;
        let kept = Kept {
            sequence: sequence.fork(descriptor)?,
            logits: logits.to_vec(),
            used: self.clock,
        };
        self.root.node_at(tokens).kept = Some(kept);
        self.bytes = self.root.sum(&Kept::bytes);
        while self.bytes > self.most_bytes {
            let Some(oldest) = self.root.oldest() else { break };
            self.root.forget(oldest);
            self.bytes = self.root.sum(&Kept::bytes);
        }
        Ok(())
    }

    /// Bytes of what is kept, when something was kept last; what sequences share counts in parts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many sequences are kept.
    pub fn len(&self) -> usize {
        self.root.sum(&|_| 1)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.sequence.bytes() + size_of_val(&self.logits[..])
    }

    /// A copy, with logits where it has read `asked` tokens.
    fn fork(&self, descriptor: &Descriptor, asked: usize) -> Result<Option<Start>> {
        let all = self.sequence.position() == asked as u64;
        Ok(Some(Start {
            sequence: self.sequence.fork(descriptor)?,
            logits: all.then(|| self.logits.clone()),
        }))
    }
}

/// Whether a prompt may go on from a sequence that has read its first tokens: not where the end of another prompt decided what it
/// keeps of them.
fn may_go_on(descriptor: &Descriptor, sequence: &Sequence) -> bool {
    let whole = sequence.position().is_multiple_of(descriptor.together.max(1) as u64);
    whole && (!descriptor.prompt_matters || sequence.prompt_end() > sequence.position())
}

/// How many tokens two lists have in common at their beginning.
fn common(a: &[i64], b: &[i64]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Node {
    /// The edge that some tokens follow, and how many of both are the same, at least one.
    fn follow(&self, tokens: &[i64]) -> Option<(usize, usize)> {
        let shared = |(n, edge): (usize, &Edge)| (n, common(&edge.tokens, tokens));
        self.edges
            .iter()
            .enumerate()
            .map(shared)
            .find(|(_, shared)| *shared > 0)
    }

    /// How many tokens are in the tree, the node at which, or before which, they end, and whether they are all and end at it.
    fn deepest(&mut self, tokens: &[i64]) -> (usize, &mut Node, bool) {
        let Some((n, shared)) = self.follow(tokens) else {
            return (0, self, tokens.is_empty());
        };
        let edge = &mut self.edges[n];
        if shared < edge.tokens.len() {
            return (shared, &mut edge.node, false);
        }
        let (matched, node, exact) = edge.node.deepest(&tokens[shared..]);
        (shared + matched, node, exact)
    }

    /// What is kept at the deepest node whose tokens are the first ones of these, but not all of them, of what may be used.
    fn last_kept(&mut self, tokens: &[i64], usable: &dyn Fn(&Kept) -> bool) -> Option<&mut Kept> {
        let mut path = Vec::new();
        let (mut node, mut rest, mut last) = (&*self, tokens, None);
        while let Some((n, shared)) = node.follow(rest)
            && shared == node.edges[n].tokens.len()
            && shared < rest.len()
        {
            path.push(n);
            (node, rest) = (&node.edges[n].node, &rest[shared..]);
            if node.kept.as_ref().is_some_and(usable) {
                last = Some(path.len());
            }
        }
        let node = path
            .into_iter()
            .take(last?)
            .fold(self, |node, n| &mut node.edges[n].node);
        node.kept.as_mut()
    }

    /// One of what is kept here or below.
    fn any(&mut self) -> Option<&mut Kept> {
        match &mut self.kept {
            Some(kept) => Some(kept),
            None => self.edges.iter_mut().find_map(|edge| edge.node.any()),
        }
    }

    /// The node of these tokens, made where there is none.
    fn node_at(&mut self, tokens: &[i64]) -> &mut Node {
        if tokens.is_empty() {
            return self;
        }
        let Some((n, shared)) = self.follow(tokens) else {
            self.edges.push(Edge {
                tokens: tokens.to_vec(),
                node: Node::default(),
            });
            let last = self.edges.len() - 1;
            return &mut self.edges[last].node;
        };
        let edge = &mut self.edges[n];
        if shared < edge.tokens.len() {
            let rest = Edge {
                tokens: edge.tokens.split_off(shared),
                node: std::mem::take(&mut edge.node),
            };
            edge.node.edges.push(rest);
        }
        edge.node.node_at(&tokens[shared..])
    }

    /// The least recent use.
    fn oldest(&self) -> Option<u64> {
        let below = self.edges.iter().filter_map(|edge| edge.node.oldest());
        below.chain(self.kept.iter().map(|kept| kept.used)).min()
    }

    /// Forgets what was last used then.
    fn forget(&mut self, used: u64) {
        if self.kept.as_ref().is_some_and(|kept| kept.used == used) {
            self.kept = None;
        }
        for edge in &mut self.edges {
            edge.node.forget(used);
            // A node with nothing kept and one way on is no node any more.
            if edge.node.kept.is_none() && edge.node.edges.len() == 1 {
                let mut node = std::mem::take(&mut edge.node);
                if let Some(on) = node.edges.pop() {
                    edge.tokens.extend(on.tokens);
                    edge.node = on.node;
                }
            }
        }
        self.edges
            .retain(|edge| edge.node.kept.is_some() || !edge.node.edges.is_empty());
    }

    fn sum(&self, of: &dyn Fn(&Kept) -> usize) -> usize {
        let below: usize = self.edges.iter().map(|edge| edge.node.sum(of)).sum();
        below + self.kept.as_ref().map_or(0, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        executor::{Executor, Segment},
        inputs::Values,
        model::{Model, Options},
        state::State,
        testing,
    };
    use seqc_abi::{StateKind, StateOf, StateSlot};
    use seqc_formats::Encoding;

    /// A few tokens that depend on a number.
    fn tokens(seed: u64) -> Vec<i64> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        let length = 1 + next(8);
        (0..length).map(|_| 1 + next(2) as i64).collect()
    }

    fn read(executor: &mut Executor, sequence: &mut Sequence, tokens: &[i64]) -> Vec<f32> {
        let inputs = [Values::I64(tokens.to_vec())];
        let segment = Segment {
            sequence,
            inputs: &inputs,
            at: 0,
            tokens: tokens.len(),
            wanted_from: tokens.len() - 1,
        };
        let outputs = executor.step(&mut [segment]).expect("memory");
        outputs.floats(0).collect()
    }

    #[test]
    fn what_is_found_goes_on_as_if_everything_had_been_read() {
        let model = Model::load(testing::adder("adder"), &Options::default()).expect("a model");
        let descriptor = model.descriptor();
        let mut executor = Executor::new(&model).expect("memory");
        // The model has a counter, so that it goes on only from where it was kept.
        assert!(!Sequence::cuts_anywhere(descriptor));
        for most_bytes in [40_000, 1 << 30] {
            let mut cache = PrefixCache::new(most_bytes);
            let mut hits = 0;
            for seed in 0..300 {
                let tokens = tokens(seed);
                let mut alone = Sequence::new(&model).expect("memory");
                let expected = read(&mut executor, &mut alone, &tokens);
                let found = cache.find(descriptor, &tokens).expect("memory");
                hits += usize::from(found.is_some());
                let (mut sequence, logits) = match found {
                    Some(found) => (found.sequence, found.logits),
                    None => (Sequence::new(&model).expect("memory"), None),
                };
                let at = sequence.position() as usize;
                let got = match logits {
                    Some(logits) => logits,
                    None => read(&mut executor, &mut sequence, &tokens[at..]),
                };
                assert_eq!(got, expected, "{tokens:?} from {at}");
                cache.keep(descriptor, &tokens, &sequence, &got).expect("memory");
                let again = cache.find(descriptor, &tokens).expect("memory");
                assert!(again.is_some_and(|found| found.logits.is_some()), "{tokens:?}");
                assert!(cache.bytes() <= most_bytes);
            }
            assert!(hits > 100, "{hits} hits");
        }
    }

    /// A model that carries one cache that forgets nothing.
    fn only_pages() -> Descriptor {
        let slot = StateSlot {
            name: "k".to_owned(),
            layer: "layers.0".to_owned(),
            shape: Vec::new(),
            encoding: Encoding::F32,
            of: StateOf::Tokens,
            kind: StateKind::Pages {
                page_bytes: 256,
                pinned: 0,
                pages: None,
                count: None,
                rewritten: false,
                dropped: None,
            },
            bound: "T".to_owned(),
        };
        Descriptor {
            states: vec![slot],
            ..testing::descriptor("pages")
        }
    }

    fn of_length(descriptor: &Descriptor, tokens: u64) -> Sequence {
        let mut sequence = Sequence::of(State::new(descriptor, None).expect("memory"));
        sequence.state.reserve(descriptor, 0, tokens).expect("memory");
        sequence.position = tokens;
        sequence
    }

    #[test]
    fn caches_are_cut_where_texts_part() {
        let descriptor = only_pages();
        let mut cache = PrefixCache::new(1 << 20);
        let first: Vec<i64> = (0..200).collect();
        cache
            .keep(&descriptor, &first, &of_length(&descriptor, 200), &[1.0])
            .expect("memory");
        let mut other = first.clone();
        other[130] = -1;
        let mut position = |tokens: &[i64]| {
            let found = cache.find(&descriptor, tokens).expect("memory");
            found.map(|found| (found.sequence.position(), found.logits.is_some()))
        };
        assert_eq!(position(&other), Some((130, false)));
        assert_eq!(position(&first), Some((200, true)));
        assert_eq!(position(&first[..100]), Some((99, false)));
        assert_eq!(position(&[7, 8]), None);
        assert_eq!(position(&[0]), None);
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let descriptor = only_pages();
        // A page each, and a logit.
        let mut cache = PrefixCache::new(3 * 260);
        let keep = |cache: &mut PrefixCache, tokens: &[i64]| {
            let sequence = of_length(&descriptor, tokens.len() as u64);
            cache.keep(&descriptor, tokens, &sequence, &[0.0]).expect("memory");
        };
        for tokens in [[1, 1], [1, 2], [2, 1]] {
            keep(&mut cache, &tokens);
        }
        assert_eq!(cache.len(), 3);
        assert!(cache.find(&descriptor, &[1, 1]).expect("memory").is_some());
        keep(&mut cache, &[3, 1]);
        let mut exact = |tokens: &[i64]| {
            let found = cache.find(&descriptor, tokens).expect("memory");
            found.is_some_and(|found| found.logits.is_some())
        };
        assert_eq!([exact(&[1, 1]), exact(&[1, 2]), exact(&[2, 1])], [true, false, true]);
    }
}
