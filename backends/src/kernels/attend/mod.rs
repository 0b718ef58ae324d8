//! Attention over a paged cache: blocks of query rows against pages of 64 keys, without a matrix of scores.
//!
//! A *row* is one query token and one query head; the rows of a key head are counted token by token, the heads that
//! share it side by side. A block of rows walks the pages it can see: products with a page of keys, scores and weights
//! in place, products with the page of values (Dao et al. 2022, arXiv:2205.14135). Predicates become bounds of that
//! walk (`span`), and masks (`score`) only where a page is seen in part.

mod append;
mod block;
mod layout;
mod lookup;
mod page;
mod score;
mod span;
mod split;
mod table;
mod term;
mod tile;

use crate::text::Module;
use seqc_abi::StateKind;
use seqc_ir::AttendSpec;
use seqc_passes::keep::Keep;

/// Everything that distinguishes one attention kernel from another.
#[derive(Clone, Debug)]
pub struct Attend {
    /// Unique prefix of the names of its functions.
    pub name: String,
    /// Predicate, score, normaliser.
    pub spec: AttendSpec,
    /// Query heads `H`.
    pub heads: usize,
    /// Key and value heads `G`.
    pub groups: usize,
    /// Entries of a query or key, `E`.
    pub key_dim: usize,
    /// Entries of a value, `F`.
    pub value_dim: usize,
    /// Entries of each query stream: 1, or `H`.
    pub query_widths: Vec<usize>,
    /// Entries of each key stream: 1, or `H`.
    pub key_widths: Vec<usize>,
    /// Sizes of each table.
    pub tables: Vec<Vec<usize>>,
    /// Longest chunk.
    pub max_chunk: usize,
    /// `f32` lanes of a vector: 16 or 8.
    pub lanes: u32,
}

impl Attend {
    /// What the cache must keep.
    pub fn keep(&self) -> Keep {
        Keep::new(&self.spec, self.heads)
    }

    /// Kinds of the state entries: keys, values, then one per key stream.
    pub fn states(&self) -> Vec<StateKind> {
        let ring = self.ring();
        let entry = |page_bytes| StateKind::Pages {
            page_bytes,
            pinned: ring.pinned,
            pages: ring.pages,
        };
        let streams = self.key_widths.iter().map(|width| entry(4 * layout::PAGE * width));
        [entry(self.key_page_bytes()), entry(self.value_page_bytes())]
            .into_iter()
            .chain(streams)
            .collect()
    }

    /// Bytes of scratch for each thread, a multiple of 64.
    pub fn scratch_bytes(&self) -> usize {
        layout::Scratch::new(self).bytes
    }

    /// Adds `fn(k, k_stride, v, v_stride, k_pages, v_pages, position, count, tid, threads)`; returns its name.
    ///
    /// Writes rows of `k [G*E]` and `v [G*F]` (row strides in floats) for the tokens `position..position + count` into
    /// the pages. All threads call it; the heads are split between them.
    pub fn append(&self, module: &mut Module) -> String {
        append::rows(self, module)
    }

    /// Adds `fn(s, s_stride, pages, position, count, width)`, the same for one key stream of `width` entries, called by one
    /// thread; returns its name.
    pub fn append_stream(&self, module: &mut Module) -> String {
        append::stream(self, module)
    }

    /// Adds `fn(q, q_stride, out, out_stride, k_pages, v_pages, table, position, count, scratch, tid, threads)`; returns
    /// its name.
    ///
    /// Rows of `q` are `[H*E]`, of `out` [`Attend::result_width`] for each head, strides in floats. `table` is an array
    /// of 64-bit slots: the pages of each key stream, then for each query stream its row pointer and its row stride in
    /// floats, then pointers to the tables. Thread `t` owns the
    /// [`Attend::scratch_bytes`] bytes at `scratch + t * scratch_bytes`, 64-byte aligned. All threads call it; the
    /// caller puts barriers before and after.
    pub fn attend(&self, module: &mut Module) -> String {
        block::attend(self, module, false)
    }

    /// The same with one more parameter, `barrier`, behind `threads`: where heads are too few to go round, the threads
    /// share the pages of every head and meet once at `seqc_barrier(barrier, tid, threads)`. Instead of
    /// [`Attend::attend`], not beside it.
    pub fn attend_split(&self, module: &mut Module) -> String {
        block::attend(self, module, true)
    }

    /// Entries of a head's result.
    pub fn result_width(&self) -> usize {
        self.spec.result(self.heads, self.value_dim)[1..].iter().product()
    }

    /// Query heads per key head.
    fn ratio(&self) -> usize {
        self.heads / self.groups
    }
}
