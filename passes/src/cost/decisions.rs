//! What a cache policy computes to decide which entries leave, and by which queries choose blocks.

use seqc_ir::{
    AttendSpec, PairExpr,
    policy::{Blocks, Kind, Policy},
};

/// Additions of [`Kind::Top`] and [`Kind::Fewest`] for each number: the range of values is halved 32 times, and every time those above the middle are
/// counted or added up.
const TOP: f64 = 32.0 * 3.0;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Query heads.
    pub(super) heads: usize,
    /// Key heads.
    pub(super) groups: usize,
    /// Channels of a key.
    pub(super) keys: usize,
    /// Additions for a query and a key that it sees.
    pub(super) pair: f64,
}

/// Work of decisions, in additions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// For each entry of a key head, where entries may leave.
    pub entry: f64,
    /// For each closed block and all query heads, where queries choose.
    pub block: f64,
    /// Closed blocks that a choice looks at, where it does not look at all.
    pub searched: Option<usize>,
    /// Tokens for which a choice holds, behind a prompt and in one.
    pub holds: [f64; 2],
}

/// Those of an attention.
pub(super) fn decisions(spec: &AttendSpec, sizes: Sizes) -> Decisions {
    let Some(policy) = &spec.policy else {
        return Decisions::default();
    };
    let keep = policy.evict.as_ref().map_or(0.0, |evict| operations(&evict.keep));
    let definitions = policy.definitions.iter().map(|d| of_entry(policy, &d.kind, sizes));
    let blocks = policy.blocks.as_ref();
    let choosing = blocks
        .into_iter()
        .flat_map(|b| b.choosing.iter().map(|d| of_block(b, &d.kind, sizes)));
    Decisions {
        entry: keep + definitions.sum::<f64>(),
        block: sizes.heads as f64 * choosing.sum::<f64>(),
        searched: blocks.and_then(searched),
        holds: blocks.map_or([1.0; 2], |b| [b.refresh as f64, b.together as f64]),
    }
}

fn operations(e: &PairExpr) -> f64 {
    e.operations() as f64
}

/// Additions of a definition for one entry of a key head.
fn of_entry(policy: &Policy, kind: &Kind, sizes: Sizes) -> f64 {
    let width = sizes.keys as f64;
    let members = (sizes.heads / sizes.groups.max(1)) as f64;
    match kind {
        Kind::Entry(e) => operations(e),
        Kind::Pool { window, among, .. } => operations(among) + window.size as f64,
        Kind::Top { by, among, heads, .. } => {
            let competing = if *heads { sizes.groups as f64 } else { 1.0 };
            operations(by) + operations(among) + TOP * competing
        }
        Kind::Over { of, among, .. } => operations(of) + operations(among) + 1.0,
        Kind::Fewest { of, among, .. } => operations(of) + operations(among) + TOP,
        Kind::Seen { queries } => *queries as f64 * members * sizes.pair * policy.sights.len() as f64,
        Kind::VectorSum { of: e, .. } | Kind::KeyMean(e) => width * (operations(e) + 1.0),
        Kind::Heads { .. } => sizes.groups as f64,
        // Of channels, however many entries there are; and of blocks.
        _ => 0.0,
    }
}

/// Additions of a definition for a closed block and a query head.
fn of_block(blocks: &Blocks, kind: &Kind, sizes: Sizes) -> f64 {
    let width = sizes.keys as f64;
    match kind {
        Kind::Entry(e) => operations(e),
        Kind::Top { by, among, .. } => operations(by) + operations(among) + TOP,
        Kind::Over { of, among, .. } => operations(of) + operations(among) + 1.0,
        Kind::Fewest { of, among, .. } => operations(of) + operations(among) + TOP,
        Kind::QuerySum { of, .. } => width * (operations(of) + 1.0),
        Kind::EntrySum { of, .. } => blocks.size as f64 * width * (operations(of) + 1.0),
        Kind::Heads { of, .. } => operations(of) + sizes.heads as f64,
        _ => 0.0,
    }
}

/// Blocks that a search looks at in each of its steps.
fn searched(blocks: &Blocks) -> Option<usize> {
    let count = |kind: &Kind| match kind {
        Kind::Search { count, .. } => Some(2 * count),
        _ => None,
    };
    blocks.choosing.iter().find_map(|d| count(&d.kind))
}

impl Decisions {
    /// Additions of a choice among so many closed blocks.
    pub(super) fn choice(&self, blocks: f64) -> f64 {
        let looked_at = match self.searched {
            // Each step halves the groups of blocks.
            Some(each) => blocks.min(each as f64 * (2.0 * blocks / each as f64).max(1.0).log2().ceil()),
            None => blocks,
        };
        self.block * looked_at
    }
}
