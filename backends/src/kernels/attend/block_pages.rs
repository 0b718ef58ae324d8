//! Many rows of queries, of which the members of a block go over the same pages together: copies of these come into the memory that they share while they compute.

use super::{
    blocks::{Block, PageRange, QueryBlocks},
    layout::float_at,
    masked_values::is_finite,
    page_copy::{self, PageCopies},
    page_kernel,
    pages::HeadPages,
    table::Tables,
    variant::Attend,
};
use crate::kernel::{BlockMember, Cmp, Func, Module, Scalar, Val};
use seqc_abi::device::BLOCK_MEMBERS;

/// The functions for copies of pages.
#[derive(Clone)]
pub(super) struct SharedPages {
    copies: PageCopies,
    /// Starts a copy.
    copy: String,
    /// A tile over a copy.
    page_kernel: String,
}

impl SharedPages {
    /// Adds them, where there are copies.
    pub(super) fn new(attend: &Attend, module: &mut Module, tables: &Tables) -> Option<SharedPages> {
        let copies = attend.page_copies()?;
        module.declare_blocks();
        Some(SharedPages {
            copies,
            copy: page_copy::function(attend, module, copies),
            page_kernel: page_kernel::function(&attend.over_copies(), module, tables),
        })
    }
}

/// What a block goes over.
#[derive(Clone, Copy)]
struct Passage {
    /// The rows of all members.
    whole: Block,
    range: PageRange,
    own: BlockMember,
    barrier: Val,
}

impl QueryBlocks<'_> {
    /// Rows of a head from which on members of a block share its pages: tiles for half of them.
    fn least_shared(&self) -> usize {
        self.attend.tile_rows() * BLOCK_MEMBERS / 2
    }

    /// All blocks of rows, by members that share pages where there are many rows, and as `otherwise` says where there are not. All threads decide alike.
    pub(super) fn run_shared_or(
        &self,
        f: &mut Func,
        shared: &SharedPages,
        barrier: Val,
        otherwise: impl FnOnce(&mut Func),
    ) {
        let (ratio, least) = (f.i64(self.attend.ratio() as i64), f.i64(self.least_shared() as i64));
        let rows = f.mul(self.chunk.count, ratio);
        let many = f.cmp(Cmp::Ge, rows, least);
        f.if_then(many, |f| self.run_shared(f, shared, barrier));
        let few = f.not(many);
        f.if_then(few, otherwise);
    }

    fn run_shared(&self, f: &mut Func, shared: &SharedPages, barrier: Val) {
        let own = f.block_member(self.team);
        let (ratio, groups) = (f.i64(self.attend.ratio() as i64), f.i64(self.attend.groups as i64));
        let rows = f.mul(self.chunk.count, ratio);
        let (zero, parts) = (f.i64(0), f.i64(BLOCK_MEMBERS as i64));
        let each = self.part_rows(f, rows, own.block.threads);
        let size = f.mul(each, parts);
        let blocks = f.ceil_div(rows, size);
        let items = f.mul(blocks, groups);
        let shared_tiles = QueryBlocks {
            page_kernel: shared.page_kernel.clone(),
            ..self.clone()
        };
        f.blocks_for(own.block.cyclic(items), |f, item| {
            let (group, number) = (f.udiv(item, blocks), f.urem(item, blocks));
            let first = f.mul(number, size);
            let left = f.sub(rows, first);
            let whole = Block {
                group,
                first,
                rows: f.min(left, size),
            };
            let reach = self.reach(f, whole);
            let range = PageRange {
                reach,
                low: zero,
                high: reach.count,
            };
            let passage = Passage {
                whole,
                range,
                own,
                barrier,
            };
            // The last block may have fewer members than parts.
            f.for_loop(zero..parts, own.members, &[], |f, part, _| {
                let part = f.add(part, own.member);
                let before = f.mul(part, each);
                let before = f.min(before, whole.rows);
                let left = f.sub(whole.rows, before);
                let block = Block {
                    group,
                    first: f.add(first, before),
                    rows: f.min(left, each),
                };
                self.initialise(f, block);
                shared_tiles.add_shared_pages(f, shared, block, passage);
                self.finish(f, block);
                Vec::new()
            });
        });
    }

    /// Rows of a member: as many as it has of all rows, in whole tiles, up to [`Attend::block_rows`].
    fn part_rows(&self, f: &mut Func, rows: Val, blocks: Val) -> Val {
        let (groups, members) = (f.i64(self.attend.groups as i64), f.i64(BLOCK_MEMBERS as i64));
        let (all, members) = (f.mul(rows, groups), f.mul(blocks, members));
        let share = f.ceil_div(all, members);
        let (tile, most) = (
            f.i64(self.attend.tile_rows() as i64),
            f.i64(self.attend.block_rows() as i64),
        );
        let tiles = f.ceil_div(share, tile);
        let share = f.mul(tiles, tile);
        f.min(share, most)
    }

    /// The results of a member's rows. Where sums are not finite it goes over the pages alone, without the values of masked keys.
    fn finish(&self, f: &mut Func, block: Block) {
        let sums = float_at(f, self.mine, self.scratch.sums);
        let finite = is_finite(f, self.attend, sums, block);
        let again = f.not(finite);
        f.if_then(again, |f| {
            let (reach, low, skip_masked) = (self.reach(f, block), f.i64(0), f.i1(true));
            let high = reach.count;
            self.initialise(f, block);
            self.add_pages(f, block, PageRange { reach, low, high }, skip_masked);
        });
        self.write_results(f, block);
    }

    /// Adds the pages of a block to the sums of a member's rows; all of its members do so together.
    fn add_shared_pages(&self, f: &mut Func, shared: &SharedPages, block: Block, passage: Passage) {
        let Passage { range, barrier, .. } = passage;
        let memory = f.block_memory(barrier, self.team);
        let ahead = shared.copies.count - 1;
        let one = f.i64(1);
        if ahead > 0 {
            self.start_copy(f, shared, passage, [memory, range.low]);
        }
        f.for_each(range.low, range.high, 1, |f, n| {
            let next = if ahead > 0 { f.add(n, one) } else { n };
            self.start_copy(f, shared, passage, [memory, next]);
            f.wait_copies(ahead as u8);
            f.block_barrier(barrier, self.team);
            let keys = shared.copies.at(f, memory, n);
            let behind = f.i64(shared.copies.key_bytes as i64);
            let head = HeadPages {
                keys,
                values: f.gep(keys, behind, Scalar::I8),
                next: keys,
            };
            let (page, multiply) = (self.page_number(f, range, n), f.i1(false));
            self.tiles_of(f, block, page, head, multiply);
            // Before it is copied over.
            f.block_barrier(barrier, self.team);
        });
    }

    /// Starts a member's part of the copy of page `n`, as a group, unless there is none or no row of the block sees it.
    fn start_copy(&self, f: &mut Func, shared: &SharedPages, passage: Passage, [memory, n]: [Val; 2]) {
        let Passage { whole, range, own, .. } = passage;
        let here = f.cmp(Cmp::Lt, n, range.high);
        f.if_then(here, |f| {
            let page = self.page_number(f, range, n);
            let seen = self.may_see(f, whole, page);
            f.if_then(seen, |f| {
                let [keys, values] = self.stored_pages(f, whole.group, page);
                let to = shared.copies.at(f, memory, n);
                f.call(&shared.copy, &[to, keys, values, own.member, own.members], None);
            });
        });
        f.commit_copies();
    }

    /// Whether a row of a block may see a key of a page, whatever streams say.
    fn may_see(&self, f: &mut Func, block: Block, page: Val) -> Val {
        if self.attend.spec.predicate.is_none() || !self.attend.bounding().is_empty() {
            return f.i1(true);
        }
        let args = self.tile_args(f, block, block.rows, page);
        let seen = self.seen_keys(f, args);
        f.not(seen.none)
    }
}

impl PageCopies {
    /// The copy of page `n`.
    fn at(self, f: &mut Func, memory: Val, n: Val) -> Val {
        let (turns, bytes) = (f.i64(self.count as i64 - 1), f.i64(self.bytes as i64));
        let at = f.and(n, turns);
        let at = f.mul(at, bytes);
        f.gep(memory, at, Scalar::I8)
    }
}
