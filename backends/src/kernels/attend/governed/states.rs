//! What a governed cache carries from chunk to chunk, and the scratch of a thread.

use super::{
    super::layout::{PAGE, Scratch},
    Governed,
    code_layout::{Coded, Side},
};
use crate::kernel::{Func, Module, Scalar, Ty, Val};
use seqc_abi::{Evictions, StateKind};
use seqc_formats::Encoding;
use seqc_passes::attention::policy_entries::Share;

/// A part of a governed cache, in the order of its state entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// 64-bit words: three for the whole cache, then those of each key head.
    Words,
    /// Keys as they are.
    Keys,
    /// Values as they are.
    Values,
    /// A number of each entry and key head.
    Numbers(usize),
    /// Coded keys.
    KeyCodes,
    /// Coded values.
    ValueCodes,
    /// The channels that coded keys have.
    Channels,
    /// Queries of the last tokens.
    Queries,
    /// A number of each closed block and query head.
    BlockNumbers(usize),
    /// A vector of each block, for each key head or query head.
    BlockVectors(usize),
    /// The weight that each query head gives each entry at a token.
    Given,
}

/// A state entry of a governed cache.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What it is.
    pub part: Part,
    /// Name inside the cache.
    pub name: String,
    /// Shape of what each entry has, or of all.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub encoding: Encoding,
    /// Layout and growth.
    pub kind: StateKind,
    /// What it needs, without padding.
    pub needs: Needs,
}

/// Bytes that a state entry of a governed cache needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Needs {
    /// So many.
    Bytes(usize),
    /// So many, for decisions alone.
    Beside(usize),
    /// So many for each of some entries of a key head.
    Each {
        /// Bytes of one.
        bytes: f64,
        /// Which entries.
        share: Share,
    },
}

/// Words of the whole cache: the largest number of entries of a key head; entries from the first on of which nothing reads keys as they
/// are any more; the same of values; blocks that are closed.
pub(super) const SHARED_WORDS: usize = 4;
/// The last one of these.
const BLOCKS_WORD: usize = 3;

/// A word of a key head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Number of entries.
    Entries,
    /// How many of the first ones have coded keys.
    CodedKeys,
    /// How many of the first ones have coded values.
    CodedValues,
    /// 1 once the channels are chosen.
    Chosen,
    /// Rows in the buffer of queries.
    Queries,
    /// 1 once the counters have their first values.
    Begun,
    /// Blocks that are closed.
    Closed,
    /// Those that were closed before the token whose queries chose last.
    Known,
    /// A counter, an f32.
    Counter(usize),
}

impl Word {
    /// How many of the first entries are coded.
    pub(super) fn coded(side: Side) -> Word {
        match side {
            Side::Keys => Word::CodedKeys,
            Side::Values => Word::CodedValues,
        }
    }

    fn number(self) -> usize {
        match self {
            Word::Entries => 0,
            Word::CodedKeys => 1,
            Word::CodedValues => 2,
            Word::Chosen => 3,
            Word::Queries => 4,
            Word::Begun => 5,
            Word::Closed => 6,
            Word::Known => 7,
            Word::Counter(n) => 8 + n,
        }
    }
}

/// Offsets in a thread's scratch, in floats, behind those of the sights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extra {
    /// The first row that has not been run, a 64-bit word.
    pub(super) first: usize,
    /// Numbers of the cache `[rows][numbers]`.
    pub(super) numbers: usize,
    /// The same for the rows of earlier queries.
    pub(super) earlier: usize,
    /// Keys of a page `[E][PAGE]`.
    pub(super) keys: usize,
    /// Values of a page, in panels.
    pub(super) values: usize,
    /// Positions by which the keys of a page are turned `[PAGE]`.
    pub(super) positions: usize,
    /// Weights of a page `[tokens of a block][PAGE]`.
    pub(super) weights: usize,
    /// One over the sum of weights of each row of a block.
    pub(super) inverse: usize,
    /// Numbers of channels `[definitions][E]`.
    pub(super) channels: usize,
    /// Cosines `[pairs][PAGE]` of the turns by the slots of the first page, their sines, then cosines and sines `[pairs]` of the turn by
    /// a page's first slot; where keys are turned by their slots.
    pub(super) turns: usize,
    /// What is found for a query head, and what a block is closed by ([`super::choice`]).
    pub(super) choice: ChoiceScratch,
    /// Size of all in bytes.
    pub(super) bytes: usize,
}

/// Offsets in a thread's scratch, in floats, for what queries choose ([`super::choice`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct ChoiceScratch {
    /// The query at hand `[E]`.
    pub(super) query: usize,
    /// The same, turned: the channels of its pairs `[2][pairs]`.
    pub(super) turned: usize,
    /// What a query head has found: see `Found` there.
    pub(super) found: usize,
    /// Sums of values, in panels.
    pub(super) sums: usize,
    /// Weights of a vector of entries.
    pub(super) weights: usize,
    /// Keys of a block `[size][E]`.
    pub(super) keys: usize,
    /// Values of a block `[size][E]`.
    pub(super) values: usize,
    /// Keys of a block, turned by their places in it `[size][E]`.
    pub(super) placed: usize,
    /// Numbers of the block's entries `[closing][size]`, one more row for what is being computed.
    pub(super) entries: usize,
    /// Numbers of channels `[closing][E]`.
    pub(super) channels: usize,
    /// Numbers of the block `[closing]`.
    pub(super) numbers: usize,
    /// Numbers of channels of the queries that choose `[choosing][E]`.
    pub(super) folds: usize,
    /// Groups of blocks of a search.
    pub(super) lists: usize,
}

impl Governed<'_> {
    pub(super) fn extra(&self) -> Extra {
        let attend = self.attend;
        let sights = self.sights.iter().chain(&self.observed);
        let first = sights
            .map(|s| Scratch::new(s).bytes / 4)
            .max()
            .unwrap_or(0)
            .next_multiple_of(16);
        let mut next = first;
        let mut take = |floats: usize| {
            let at = next;
            next += floats.next_multiple_of(16);
            at
        };
        let block = attend.block_rows();
        let width = attend.key_dim.next_multiple_of(16);
        Extra {
            first: take(16),
            numbers: take(attend.max_chunk * self.numbers()),
            earlier: take(self.policy.queries() * self.numbers()),
            keys: take(attend.key_dim * PAGE),
            values: take(attend.value_width() * PAGE),
            positions: take(PAGE),
            weights: take(block * PAGE),
            inverse: take(block),
            channels: take(self.policy.definitions.len() * width),
            turns: take(2 * self.turned_pairs() * (PAGE + 1)),
            choice: self.choice_scratch(&mut take),
            bytes: 4 * take(0),
        }
    }

    /// Bytes of scratch for each thread, a multiple of 64.
    pub fn scratch_bytes(&self) -> usize {
        self.extra().bytes
    }

    /// Whether what a part holds follows from the tokens whose entries there are, and from no query: layers that share a cache share it.
    pub fn is_kept_of_tokens(&self, part: Part) -> bool {
        match part {
            Part::Words | Part::Keys | Part::Values | Part::Numbers(_) => true,
            Part::KeyCodes | Part::ValueCodes | Part::BlockVectors(_) => true,
            Part::BlockNumbers(n) => self.is_of_closed(n),
            Part::Channels | Part::Queries | Part::Given => false,
        }
    }

    /// Number of the state entry of a part.
    pub fn entry(&self, part: Part) -> Option<usize> {
        self.slots().iter().position(|slot| slot.part == part)
    }

    fn words(&self) -> usize {
        Word::Counter(self.policy.counters.len()).number()
    }

    /// Where it is noted which entries are there, in its own state entries; `None` where none leaves.
    pub fn evictions(&self) -> Option<Evictions> {
        Some(Evictions {
            name: String::new(),
            heads: self.attend.groups,
            positions: self.entry(Part::Numbers(0)).filter(|_| self.evicts())?,
            count: seqc_abi::Word {
                entry: 0,
                word: SHARED_WORDS + Word::Entries.number(),
            },
            stride: self.words(),
        })
    }

    /// Where it is noted how many blocks queries could choose from last.
    pub(super) fn known_word(&self) -> seqc_abi::Word {
        seqc_abi::Word {
            entry: 0,
            word: SHARED_WORDS + Word::Known.number(),
        }
    }

    /// All state entries.
    pub fn slots(&self) -> Vec<Slot> {
        let (attend, policy) = (self.attend, self.policy);
        let [g, e, v] = [attend.groups, attend.key_dim, attend.value_dim];
        let words = 8 * (SHARED_WORDS + g * self.words());
        let mut slots = vec![fixed(Part::Words, "entries", Vec::new(), words, Needs::Beside(words))];
        let each = |share, bytes: f64| Needs::Each { bytes, share };
        let size = attend.elem().bytes() as usize;
        if self.kept(Side::Keys) {
            let needs = each(Share::PlainKeys, (e * size) as f64);
            slots.push(self.paged(Part::Keys, "k", vec![g, e], attend.key_page_bytes(), needs));
        }
        if self.kept(Side::Values) {
            let needs = each(Share::PlainValues, (v * size) as f64);
            slots.push(self.paged(Part::Values, "v", vec![g, v], attend.value_page_bytes(), needs));
        }
        for n in 0..self.streams() {
            // Positions, and what is computed anew where entries leave, are not part of what is remembered.
            let memory = n.checked_sub(self.first_memory()).and_then(|m| policy.memories.get(m));
            let brought = (self.first_brought()..self.first_memory()).contains(&n);
            let name = match memory {
                Some(memory) => memory.name.clone(),
                None if brought => format!("stream{}", n - self.first_brought()),
                None => format!("entry{n}"),
            };
            let rows = if self.each_head_has(n) { attend.heads } else { g };
            // What closed blocks alone read is not needed behind them.
            let share = if memory.is_some_and(|_| self.is_for_blocks(n)) {
                Share::Open
            } else {
                Share::All
            };
            let kept = memory.is_some() || brought;
            let needs = each(share, if kept { 4.0 * (rows / g) as f64 } else { 0.0 });
            slots.push(self.paged(Part::Numbers(n), &name, vec![rows], 4 * PAGE * rows, needs));
        }
        slots.extend(self.block_slots());
        slots.extend(self.coded_parts());
        if let Some(channels) = policy.keys.as_ref().and_then(|k| k.channels.as_ref()) {
            // A bit for each channel says whether it is stored.
            let (shape, needs) = (vec![g, channels.count], Needs::Bytes(g * e.div_ceil(8)));
            slots.push(fixed(Part::Channels, "channels", shape, 8 * g * channels.count, needs));
        }
        if policy.queries() > 0 {
            // Query streams that are kept beside them are numbers of each head, too.
            let shape = vec![2 * policy.queries(), attend.heads, self.queries_stride() / attend.heads];
            let bytes = 4 * shape.iter().product::<usize>();
            let of_blocks = policy.blocks.as_ref().is_some_and(|b| b.reads_queries());
            let needs = match of_blocks {
                true => each(Share::Open, (4 * attend.ratio() * e) as f64),
                false => Needs::Beside(bytes),
            };
            slots.push(fixed(Part::Queries, "queries", shape, bytes, needs));
        }
        slots
    }

    /// The state entries of coded keys and values.
    fn coded_parts(&self) -> impl Iterator<Item = Slot> {
        self.all_coded().map(|Coded { coding, layout }| {
            let (part, name, share) = match layout.side {
                Side::Keys => (Part::KeyCodes, "k.codes", Share::CodedKeys),
                Side::Values => (Part::ValueCodes, "v.codes", Share::CodedValues),
            };
            let width = self.width(layout.side);
            let bytes = coding.entry_bytes(width);
            let groups = self.attend.groups;
            let needs = Needs::Each { bytes, share };
            self.paged(part, name, vec![groups, width], groups * layout.head_bytes(), needs)
        })
    }

    pub(super) fn paged(&self, part: Part, name: &str, shape: Vec<usize>, page_bytes: usize, needs: Needs) -> Slot {
        Slot {
            part,
            name: name.to_owned(),
            shape,
            encoding: match part {
                Part::Keys | Part::Values => self.attend.spec.stored,
                Part::Words | Part::Numbers(_) | Part::KeyCodes | Part::ValueCodes => Encoding::F32,
                Part::Channels | Part::Queries => Encoding::F32,
                Part::BlockNumbers(_) | Part::BlockVectors(_) | Part::Given => Encoding::F32,
            },
            kind: self.pages(page_bytes.next_multiple_of(64), part),
            needs,
        }
    }

    /// Entries of the first tokens that stay as they are.
    fn never_coded(&self, part: Part) -> usize {
        let coding = match part {
            Part::Keys => self.policy.keys.as_ref(),
            Part::Values => self.policy.values.as_ref(),
            _ => None,
        };
        coding.map_or(0, |coding| coding.from)
    }

    fn pages(&self, page_bytes: usize, part: Part) -> StateKind {
        let word = |word| seqc_abi::Word { entry: 0, word };
        // Where entries leave, what is below a border may come above it again.
        let dropped = match part {
            Part::Keys if self.policy.keys.is_some() => Some(word(1)),
            Part::Values if self.policy.values.is_some() => Some(word(2)),
            _ => None,
        };
        let appended = matches!(part, Part::Keys | Part::Values);
        StateKind::Pages {
            page_bytes,
            pinned: self.never_coded(part).div_ceil(PAGE),
            pages: None,
            count: Some(word(match part {
                Part::BlockNumbers(_) | Part::BlockVectors(_) => BLOCKS_WORD,
                _ => 0,
            })),
            rewritten: self.evicts() || !appended,
            dropped: dropped.filter(|_| !self.evicts()),
        }
    }

    /// Pointer to a word of a key head.
    pub(super) fn word(&self, f: &mut Func, words: Val, group: Val, word: Word) -> Val {
        let (width, first) = (f.i64(self.words() as i64), f.i64((SHARED_WORDS + word.number()) as i64));
        let n = f.mul(group, width);
        let n = f.add(n, first);
        f.gep(words, n, Scalar::I64)
    }

    pub(super) fn load_word(&self, f: &mut Func, words: Val, group: Val, word: Word) -> Val {
        let p = self.word(f, words, group, word);
        f.load(p, Ty::I64)
    }

    /// Adds `fn NAME_settle(words)`: the words of the whole cache from those of the key heads.
    pub(super) fn add_settle(&self, module: &mut Module) {
        let mut f = Func::new(self.name("settle"), &[Ty::GLOBAL], None);
        let words = f.param(0);
        let (zero, one, groups) = (f.i64(0), f.i64(1), f.i64(self.attend.groups as i64));
        let first = [Word::Entries, Word::CodedKeys, Word::CodedValues].map(|w| self.load_word(&mut f, words, zero, w));
        let found = f.for_loop(one..groups, one, &first, |f, group, found| {
            let entries = self.load_word(f, words, group, Word::Entries);
            let keys = self.load_word(f, words, group, Word::CodedKeys);
            let values = self.load_word(f, words, group, Word::CodedValues);
            vec![f.max(found[0], entries), f.min(found[1], keys), f.min(found[2], values)]
        });
        let blocks = self.blocks_after(&mut f, found[0]);
        for (n, value) in found.into_iter().chain([blocks]).enumerate() {
            let n = f.i64(n as i64);
            let p = f.gep(words, n, Scalar::I64);
            f.store(value, p);
        }
        module.add(f);
    }
}

fn fixed(part: Part, name: &str, shape: Vec<usize>, bytes: usize, needs: Needs) -> Slot {
    Slot {
        part,
        name: name.to_owned(),
        shape,
        encoding: Encoding::F32,
        kind: StateKind::Fixed { bytes },
        needs,
    }
}
