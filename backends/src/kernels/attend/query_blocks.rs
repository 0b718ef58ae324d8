//! The attention kernel: blocks of query rows, each over the pages of keys and values that it can see.

use super::{
    block_pages::{PartRows, RowPart, SharedPages},
    blocks::{Block, KvPages, PageRange, QueryBlocks, Reach, Row},
    bounds::Bounds,
    layout::{PAGE, Scratch, Strided, row_at},
    named, page_kernel,
    table::Tables,
    ticks::Chunk,
    values_in_keys,
    variant::Attend,
};
use crate::kernel::{Func, Module, Scalar, Team, Ty, Val};

/// Adds the function of [`Attend::attend`], or of [`Attend::attend_split`], and those it calls.
pub(super) fn attend(attend: &Attend, module: &mut Module, split: bool) -> String {
    let tables = Tables::new(attend, module);
    let page = page_kernel::function(attend, module, &tables);
    values_in_keys::function(attend, module);
    let all = attend.names().map(|_| {
        named::functions(attend, module);
        let all = attend.over_all_pages();
        assert_eq!(Scratch::new(attend), Scratch::new(&all), "threads have room for either");
        self::attend(&all, module, split)
    });
    let own = attend.alone().map(|_| {
        let own = attend.over_own_pages();
        let tables = Tables::new(&own, module);
        page_kernel::function(&own, module, &tables)
    });
    let shared = if split {
        attend_of_block(attend, module, &tables, &page)
    } else {
        None
    };
    let name = format!("{}_attend{}", attend.name, if split { "_split" } else { "" });
    let mut f = Func::new(&name, &params(split), None);
    let given = f.params();
    let mut blocks = QueryBlocks::new(attend, &tables, &mut f, page, &given);
    blocks.own_kernel = own.unwrap_or_default();
    if split {
        blocks.turn.tid = f.param(13);
        blocks.segments = f.param(14);
        module.declare(seqc_abi::symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    }
    if let Some(all) = all {
        blocks.run_named_or(&mut f, &all);
    } else if split {
        let barrier = f.param(12);
        match shared {
            Some(shared) => {
                let many = blocks.shares_pages(&mut f);
                f.if_then(many, |f| call_with_list(f, &shared));
                let few = f.not(many);
                f.if_then(few, |f| blocks.run_few(f, barrier));
            }
            None => blocks.run_few(&mut f, barrier),
        }
    } else {
        blocks.run(&mut f);
    }
    module.add(f);
    name
}

/// Types of the parameters of [`Attend::attend`], or of [`Attend::attend_split`].
fn params(split: bool) -> Vec<Ty> {
    let rows = [Ty::GLOBAL, Ty::I64];
    let pages = [Ty::GLOBAL, Ty::GLOBAL, Ty::PRIVATE];
    let own = [Ty::I64, Ty::I64, Ty::SCRATCH, Ty::I64, Ty::I64];
    let meeting = [Ty::GLOBAL, Ty::I64, Ty::I64];
    [&rows[..], &rows, &pages, &own, if split { &meeting } else { &[] }].concat()
}

/// Adds a function for many rows, where members of a block share pages; returns its name. Its parameter is a table of the arguments of
/// [`Attend::attend_split`], so that what it calls, and what lives beside that, has registers of its own.
fn attend_of_block(attend: &Attend, module: &mut Module, tables: &Tables, page: &str) -> Option<String> {
    let shared = SharedPages::new(attend, module, tables)?;
    for part in RowPart::ALL.into_iter().chain([RowPart::Whole]) {
        let mut f = Func::new(part.name(attend), &RowPart::TYPES, None);
        let rows = PartRows::of_params(&f);
        let given = listed(&mut f);
        let (page, barrier) = (shared.page_kernel(part).unwrap_or(page), given[12]);
        let blocks = QueryBlocks::new(attend, tables, &mut f, page.to_owned(), &given);
        match part {
            RowPart::Begin => blocks.initialise(&mut f, rows.block),
            RowPart::Pages => blocks.add_shared_pages(&mut f, &shared, rows, barrier),
            RowPart::Finish => blocks.finish(&mut f, rows.block),
            RowPart::Whole => rows.call_all(&mut f, attend),
        }
        module.add(f);
    }
    let [item, name] = ["item", "attend"].map(|part| format!("{}_{part}_of_block", attend.name));
    for (name, types) in [(&item, &[Ty::PRIVATE, Ty::I64][..]), (&name, &[Ty::PRIVATE])] {
        let mut f = Func::new(name, types, None);
        let given = listed(&mut f);
        let blocks = QueryBlocks::new(attend, tables, &mut f, page.to_owned(), &given);
        match f.params().get(1) {
            Some(item) => blocks.run_item(&mut f, *item),
            None => blocks.run_shared(&mut f, &item),
        }
        module.add(f);
    }
    Some(name)
}

/// The arguments of [`Attend::attend_split`] in the table that is parameter 0.
fn listed(f: &mut Func) -> Vec<Val> {
    let list = f.param(0);
    let types = params(true).into_iter().enumerate();
    types.map(|(n, ty)| f.load_slot(list, n, ty)).collect()
}

/// Calls a function with a table of this function's parameters.
fn call_with_list(f: &mut Func, name: &str) {
    let given = f.params();
    let list = f.stack(given.len());
    for (n, given) in given.into_iter().enumerate() {
        let n = f.i64(n as i64);
        let place = f.gep(list, n, Scalar::I64);
        f.store(given, place);
    }
    f.call(name, &[list], None);
}

impl<'a> QueryBlocks<'a> {
    /// The kernel with the arguments of [`Attend::attend`].
    fn new(
        attend: &'a Attend,
        tables: &'a Tables,
        f: &mut Func,
        page_kernel: String,
        given: &[Val],
    ) -> QueryBlocks<'a> {
        let scratch = Scratch::new(attend);
        let base = given[9];
        let team = Team {
            tid: given[10],
            threads: given[11],
        };
        let mine = row_at(f, base, team.tid, scratch.bytes / 4);
        let strided = |first: usize| Strided {
            base: given[first],
            stride: given[first + 1],
        };
        QueryBlocks {
            attend,
            tables,
            page_kernel,
            own_kernel: String::new(),
            scratch,
            queries: strided(0),
            out: strided(2),
            pages: KvPages {
                keys: given[4],
                values: given[5],
            },
            copies: None,
            table: given[6],
            chunk: Chunk {
                position: given[7],
                count: given[8],
            },
            base,
            mine,
            team,
            turn: team,
            segments: f.i64(1),
        }
    }

    /// The rows of few tokens: their pages are split between threads where that pays.
    fn run_few(&self, f: &mut Func, barrier: Val) {
        if self.attend.spec.sums_behind().is_empty() {
            self.split_or_run(f, barrier);
        } else {
            self.run(f);
        }
    }

    /// All blocks of this thread, head after head: the next block finds the head's pages in the cache.
    pub(super) fn run(&self, f: &mut Func) {
        let ratio = f.i64(self.attend.ratio() as i64);
        let (rows, groups) = (f.mul(self.chunk.count, ratio), f.i64(self.attend.groups as i64));
        let size = self.block_rows(f, rows);
        let blocks = f.ceil_div(rows, size);
        let items = f.mul(blocks, groups);
        f.team_for(self.turn.cyclic(items), |f, item| {
            let block = Block::of_item(f, item, rows, size, blocks);
            let (reach, low) = (self.reach(f, block), f.i64(0));
            let high = reach.count;
            self.sum_pages(f, block, PageRange { reach, low, high });
            self.write_results(f, block);
        });
    }

    /// Rows of a block: as many as a thread has, in whole tiles or choices, up to [`Attend::block_rows`].
    fn block_rows(&self, f: &mut Func, rows: Val) -> Val {
        let groups = f.i64(self.attend.groups as i64);
        let all = f.mul(rows, groups);
        let share = f.ceil_div(all, self.team.threads);
        let unit = match self.attend.spec.together {
            1 => self.attend.tile_rows(),
            together => together,
        };
        let (tile, most) = (f.i64(unit as i64), f.i64(self.attend.block_rows() as i64));
        let tiles = f.ceil_div(share, tile);
        let share = f.mul(tiles, tile);
        let share = f.max(share, tile);
        f.min(share, most)
    }

    /// A row of a block.
    pub(super) fn row(&self, f: &mut Func, block: Block, r: Val) -> Row {
        let row = f.add(block.first, r);
        let ratio = f.i64(self.attend.ratio() as i64);
        let (token, head) = (f.udiv(row, ratio), f.urem(row, ratio));
        let token = self.attend.query_row(f, self.table, token);
        let base = f.mul(block.group, ratio);
        Row {
            token,
            head: f.add(base, head),
        }
    }

    /// The pages that some rows can see.
    pub(super) fn reach(&self, f: &mut Func, block: Block) -> Reach {
        let Bounds { low, high } = self.positions(f, block.first, block.rows);
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let end = if self.attend.spec.causal {
            f.add(high, one)
        } else {
            self.attend.keys_end(f, self.table, self.chunk)
        };
        let start = match self.attend.span.distance {
            None => zero,
            Some(distance) => {
                let reach = f.i64(i64::try_from(distance).unwrap_or(i64::MAX) - 1);
                let start = f.sub(low, reach);
                f.max(start, zero)
            }
        };
        let (start, end) = (f.udiv(start, size), f.ceil_div(end, size));
        let pinned = f.i64(self.attend.ring().pinned as i64);
        let before = f.min(pinned, start);
        let window = f.sub(end, start);
        let window = f.max(window, zero);
        Reach {
            before,
            start,
            count: f.add(before, window),
        }
    }

    /// Positions of the first and the last of some rows.
    pub(super) fn positions(&self, f: &mut Func, first: Val, rows: Val) -> Bounds {
        let (low, one) = (self.position(f, first), f.i64(1));
        let last = f.add(first, rows);
        let last = f.sub(last, one);
        Bounds {
            low,
            high: self.position(f, last),
        }
    }

    /// Position of a row's token.
    pub(super) fn position(&self, f: &mut Func, row: Val) -> Val {
        let ratio = f.i64(self.attend.ratio() as i64);
        let token = f.udiv(row, ratio);
        self.attend.query_position(f, self.table, self.chunk.position, token)
    }
}
