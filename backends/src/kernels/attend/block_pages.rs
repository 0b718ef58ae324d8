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
use crate::kernel::{BlockMember, Cmp, Func, Module, Scalar, Ty, Val};
use seqc_abi::device::BLOCK_MEMBERS;

/// The functions for copies of pages.
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

    /// The function for a tile over a copy, where a part goes over copies.
    pub(super) fn page_kernel(&self, part: RowPart) -> Option<&str> {
        (part == RowPart::Pages).then_some(&self.page_kernel[..])
    }
}

/// What a member does with its rows, each in a function of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RowPart {
    /// [`QueryBlocks::initialise`].
    Begin,
    /// [`QueryBlocks::add_shared_pages`].
    Pages,
    /// [`QueryBlocks::finish`].
    Finish,
    /// All of these, one after another.
    Whole,
}

impl RowPart {
    /// What is done one after another.
    pub(super) const ALL: [RowPart; 3] = [RowPart::Begin, RowPart::Pages, RowPart::Finish];

    /// Types of the parameters: the table of arguments, then [`PartRows`].
    pub(super) const TYPES: [Ty; 6] = [Ty::PRIVATE, Ty::I64, Ty::I64, Ty::I64, Ty::I64, Ty::I64];

    /// Name of the function.
    pub(super) fn name(self, attend: &Attend) -> String {
        let part = match self {
            RowPart::Begin => "begin",
            RowPart::Pages => "pages",
            RowPart::Finish => "finish",
            RowPart::Whole => "rows",
        };
        format!("{}_{part}_of_block", attend.name)
    }
}

/// Rows of a member among those of its block.
#[derive(Clone, Copy)]
pub(super) struct PartRows {
    pub(super) block: Block,
    /// The rows of all members.
    whole: Block,
}

impl PartRows {
    /// Those that the function of a [`RowPart`] is called with.
    pub(super) fn of_params(f: &Func) -> PartRows {
        let group = f.param(1);
        let block = |first: usize| Block {
            group,
            first: f.param(first),
            rows: f.param(first + 1),
        };
        PartRows {
            block: block(2),
            whole: block(4),
        }
    }

    /// Everything that is done with them.
    pub(super) fn call_all(self, f: &mut Func, attend: &Attend) {
        RowPart::ALL.into_iter().for_each(|part| self.call(f, part, attend));
    }

    fn call(self, f: &mut Func, part: RowPart, attend: &Attend) {
        let PartRows { block, whole } = self;
        let list = [
            f.param(0),
            block.group,
            block.first,
            block.rows,
            whole.first,
            whole.rows,
        ];
        f.call(&part.name(attend), &list, None);
    }
}

/// How the rows of a key head are divided between blocks.
struct Division {
    /// All of them.
    rows: Val,
    /// Those of a member.
    each: Val,
    /// Blocks of as many members as there are.
    blocks: Val,
}

/// What a block goes over.
#[derive(Clone, Copy)]
struct Passage {
    /// The rows of all members.
    whole: Block,
    range: PageRange,
    own: BlockMember,
    memory: Val,
}

impl QueryBlocks<'_> {
    /// Whether there are rows enough for members of a block to share pages: tiles for half of them. All threads decide alike.
    pub(super) fn shares_pages(&self, f: &mut Func) -> Val {
        let least = self.attend.tile_rows() * BLOCK_MEMBERS / 2;
        let (ratio, least) = (f.i64(self.attend.ratio() as i64), f.i64(least as i64));
        let rows = f.mul(self.chunk.count, ratio);
        f.cmp(Cmp::Ge, rows, least)
    }

    /// All blocks of rows, by members that share pages: `item` is the function for one.
    pub(super) fn run_shared(&self, f: &mut Func, item: &str) {
        let (own, groups) = (f.block_member(self.team), f.i64(self.attend.groups as i64));
        let Division { blocks, .. } = self.division(f, own);
        let items = f.mul(blocks, groups);
        let list = f.param(0);
        f.blocks_for(own.block.cyclic(items), |f, n| {
            f.call(item, &[list, n], None);
        });
    }

    /// One block of rows.
    pub(super) fn run_item(&self, f: &mut Func, item: Val) {
        let own = f.block_member(self.team);
        let (zero, parts) = (f.i64(0), f.i64(BLOCK_MEMBERS as i64));
        let Division { rows, each, blocks } = self.division(f, own);
        let size = f.mul(each, parts);
        let whole = Block::of_item(f, item, rows, size, blocks);
        // The last block may have fewer members than parts.
        f.for_loop(zero..parts, own.members, &[], |f, part, _| {
            let part = f.add(part, own.member);
            let before = f.mul(part, each);
            let before = f.min(before, whole.rows);
            let left = f.sub(whole.rows, before);
            let block = Block {
                group: whole.group,
                first: f.add(whole.first, before),
                rows: f.min(left, each),
            };
            PartRows { block, whole }.call(f, RowPart::Whole, self.attend);
            Vec::new()
        });
    }

    /// How the rows of a key head are divided: each member takes as many as it has of all rows, in whole tiles, up to [`Attend::block_rows`].
    fn division(&self, f: &mut Func, own: BlockMember) -> Division {
        let [ratio, groups, members] =
            [self.attend.ratio(), self.attend.groups, BLOCK_MEMBERS].map(|n| f.i64(n as i64));
        let [tile, most] = [self.attend.tile_rows(), self.attend.block_rows()].map(|n| f.i64(n as i64));
        let rows = f.mul(self.chunk.count, ratio);
        let (all, team) = (f.mul(rows, groups), f.mul(own.block.threads, members));
        let share = f.ceil_div(all, team);
        let tiles = f.ceil_div(share, tile);
        let share = f.mul(tiles, tile);
        let each = f.min(share, most);
        let size = f.mul(each, members);
        Division {
            rows,
            each,
            blocks: f.ceil_div(rows, size),
        }
    }

    /// The results of a member's rows. Where sums are not finite it goes over the pages alone, without the values of masked keys.
    pub(super) fn finish(&self, f: &mut Func, block: Block) {
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
    pub(super) fn add_shared_pages(&self, f: &mut Func, shared: &SharedPages, rows: PartRows, barrier: Val) {
        let (reach, low, one) = (self.reach(f, rows.whole), f.i64(0), f.i64(1));
        let high = reach.count;
        let passage = Passage {
            whole: rows.whole,
            range: PageRange { reach, low, high },
            own: f.block_member(self.team),
            memory: f.block_memory(barrier, self.team),
        };
        let Passage { range, memory, .. } = passage;
        let ahead = shared.copies.count - 1;
        if ahead > 0 {
            self.start_copy(f, shared, passage, low);
        }
        f.for_each(low, high, 1, |f, n| {
            let next = if ahead > 0 { f.add(n, one) } else { n };
            self.start_copy(f, shared, passage, next);
            f.wait_copies(ahead as u8);
            f.block_barrier(barrier, self.team);
            let keys = shared.copies.at(f, memory, n);
            let behind = f.i64(shared.copies.key_bytes as i64);
            let head = HeadPages {
                keys,
                values: f.gep(keys, behind, Scalar::I8),
                next: keys,
            };
            let (page, skip_masked) = (self.page_number(f, range, n), f.i1(false));
            self.tiles_of(f, rows.block, page, head, skip_masked);
            // Before it is copied over.
            f.block_barrier(barrier, self.team);
        });
    }

    /// Starts a member's part of the copy of page `n`, as a group, unless there is none or no row of the block sees it.
    fn start_copy(&self, f: &mut Func, shared: &SharedPages, passage: Passage, n: Val) {
        let Passage {
            whole,
            range,
            own,
            memory,
        } = passage;
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
