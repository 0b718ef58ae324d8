//! Attention over a paged cache: blocks of query rows against pages of 64 keys, without a matrix of scores.
//!
//! A *row* is one query token and one query head; the rows of a key head are counted token by token, for each
//! token the query heads that share it. A block of rows iterates over its visible pages (`query_blocks`): products with a page of
//! keys, scores and weights in place (`score`), products with the page of values, a running maximum and a running sum for
//! every row (Dao et al. 2022, arXiv:2205.14135). A predicate leaves out pages that no query of a tile sees (`interval`), and
//! becomes a mask (`score_lowering`) where a page is seen in part. Queries that name what they see go through that alone (`named`).

mod append;
mod block_pages;
mod blocks;
mod bounds;
mod cell_sizes;
mod exp2;
mod governed;
mod interval;
mod layout;
mod lists;
mod lookup;
mod masked_values;
mod matrix_tile;
mod named;
mod page_copy;
mod page_kernel;
mod pages;
mod pair;
mod product;
mod query_blocks;
mod query_row;
mod rational_lanes;
mod running;
mod score;
mod score_lowering;
mod sort;
mod split_kv;
mod streams;
mod sums_behind;
mod table;
mod ticks;
mod tile;
mod tile_args;
mod top_k;
mod top_many;
mod values_in_keys;
mod variant;

use crate::kernel::Module;
pub use governed::{Arguments, Governed, Needs, Part};
use seqc_abi::{StateKind, Word};
pub use variant::{Attend, PageCopy};

impl Attend {
    /// Kinds of the state entries, those of [`Governed::slots`] where there is a policy: the number of keys (with a clock), keys, values (where they have pages), then one per key stream.
    pub fn states(&self) -> Vec<StateKind> {
        if let Some(governed) = self.governed() {
            return governed.slots().into_iter().map(|slot| slot.kind).collect();
        }
        let ring = self.ring();
        let entry = |page_bytes| StateKind::Pages {
            page_bytes,
            pinned: ring.pinned,
            pages: ring.pages,
            count: self.has_clock().then_some(Word { entry: 0, word: 0 }),
            rewritten: false,
            dropped: None,
        };
        let ticks = self.has_clock().then_some(StateKind::Fixed { bytes: 8 });
        let values = self.keeps_values().then(|| entry(self.value_page_bytes()));
        let streams = self.key_widths.iter().map(|width| entry(4 * layout::PAGE * width));
        ticks
            .into_iter()
            .chain([entry(self.key_page_bytes())])
            .chain(values)
            .chain(streams)
            .collect()
    }

    /// Whether a state entry follows from the tokens that were appended, and from no query: attentions that share a cache share it.
    pub fn is_kept_of_tokens(&self, entry: usize) -> bool {
        let governed = self.governed();
        governed.is_none_or(|governed| governed.is_kept_of_tokens(governed.slots()[entry].part))
    }

    /// Byte offset in a thread's scratch of the list that [`Attend::ticks`] fills.
    pub fn list_offset(&self) -> usize {
        4 * layout::Scratch::new(self).list
    }

    /// For a clock: adds `fn(on, on_stride, count, list) -> i64`; returns its name.
    ///
    /// Finds the tokens of a chunk where `on` is not 0 and returns their number. The list is for the other functions, which
    /// take it as one more parameter at the end (`attend` in its table), the ticks before the chunk as the position, and
    /// the ticks of the chunk as the count (`attend` of [`seqc_ir::Clock::Keys`]: its tokens).
    pub fn ticks(&self, module: &mut Module) -> String {
        ticks::list(self, module)
    }

    /// For [`seqc_ir::Clock::Both`]: adds `fn(out, out_stride, on, on_stride, count, tid, threads)`; returns its name.
    ///
    /// Writes the results of tokens that do not tick. All threads call it.
    pub fn inactive_results(&self, module: &mut Module) -> String {
        ticks::inactive_results(self, module)
    }

    /// Bytes of scratch for each thread, a multiple of 64.
    pub fn scratch_bytes(&self) -> usize {
        if let Some(governed) = self.governed() {
            return governed.scratch_bytes();
        }
        layout::Scratch::new(self).bytes
    }

    /// Adds `fn(k, k_stride, v, v_stride, k_pages, v_pages, position, count, tid, threads)`; returns its name. What is
    /// said of values is not looked at where there are none.
    ///
    /// Writes rows of `k [G*E]` and `v [G*F]` (row strides in floats) for the tokens `position..position + count` into
    /// the pages. All threads call it; the heads are split between them, the first one being that of thread 0.
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
    /// of 64-bit slots on the stack: the pages of each key stream, then for each query stream its row pointer and its row stride in
    /// floats, then pointers to the tables, then, with a clock, the list (none for a memory) and the number of keys. Thread `t` owns the
    /// [`Attend::scratch_bytes`] bytes at `scratch + t * scratch_bytes`, 64-byte aligned. All threads call it; the
    /// caller puts barriers before and after.
    pub fn attend(&self, module: &mut Module) -> String {
        query_blocks::attend(self, module, false)
    }

    /// The same with three more parameters behind `threads`, `(barrier, turn, segments)`: block 0 belongs to the thread whose
    /// `turn` is 0, and `segments` are computed without a barrier between them. Where their heads are too few to go round, the
    /// threads share the pages of every head and wait at `seqc_barrier(barrier, tid, threads)`. Instead of
    /// [`Attend::attend`], not beside it.
    pub fn attend_split(&self, module: &mut Module) -> String {
        query_blocks::attend(self, module, true)
    }

    /// Query streams that may bound the pages that a query sees.
    fn bounding(&self) -> Vec<usize> {
        if self.names().is_some() {
            return Vec::new();
        }
        streams::bounding(self.spec.predicate.as_ref())
    }
}
