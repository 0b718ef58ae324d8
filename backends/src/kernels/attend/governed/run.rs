//! The rows up to an event: their entries are appended, their queries attend, memories are updated.

use super::{
    super::{
        blocks::{Block, Copies, KvPages, PageRange, QueryBlocks},
        layout::{Scratch, Strided, float_at, row_at},
        masked_values, page_kernel, split_kv,
        table::Tables,
        ticks::Chunk,
        variant::weighs_keys,
    },
    Governed,
    append::NewRows,
    args::Args,
    states::Word,
};
use crate::kernel::{Func, Module, Scalar, Team, Ty, Val};

/// What the rows of a run are.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) args: Args,
    /// Rows of queries, of all heads.
    pub(super) queries: Strided,
    pub(super) table: Val,
    /// Slot of row 0, and one more than the last row.
    pub(super) chunk: Chunk,
}

/// A function being written.
pub(super) struct BlockFunction {
    pub(super) f: Func,
    pub(super) args: Args,
    /// Its own parameters.
    pub(super) more: Vec<Val>,
}

/// Some of them.
#[derive(Clone, Copy)]
pub(super) struct RowBlock {
    pub(super) rows: Rows,
    pub(super) block: Block,
}

impl Governed<'_> {
    /// Adds the functions of a sight: for a page, and for loading the queries of a block.
    pub(super) fn add_sight(&self, module: &mut Module, sight: &super::Attend) {
        let tables = Tables::new(sight, module);
        page_kernel::function(sight, module, &tables);
        self.add_sum(module, sight, &tables);
        if weighs_keys(self.policy) {
            self.add_queries(module, sight, &tables);
            self.add_weights(module, sight, &tables);
        }
    }

    /// Adds `fn SIGHT_sum(block…, skip_masked, low, high)`: a block's queries over some pages.
    fn add_sum(&self, module: &mut Module, sight: &super::Attend, tables: &Tables) {
        let (mut function, block, blocks) = self.block_function(sight, tables, "sum", &[Ty::I1, Ty::I64, Ty::I64]);
        let f = &mut function.f;
        self.load_queries(f, &function.args, &blocks, block);
        blocks.bound_streams(f, block);
        let reach = blocks.reach(f, block);
        let (low, high) = (function.more[1], f.min(function.more[2], reach.count));
        blocks.add_pages(f, block, PageRange { reach, low, high }, function.more[0]);
        module.add(function.f);
    }

    /// Adds `fn SIGHT_queries(block…)`: the queries of a block.
    fn add_queries(&self, module: &mut Module, sight: &super::Attend, tables: &Tables) {
        let (mut function, block, blocks) = self.block_function(sight, tables, "queries", &[]);
        self.load_queries(&mut function.f, &function.args, &blocks, block);
        module.add(function.f);
    }

    /// A function of a block of a sight's queries: the arguments of all functions, rows of queries and their stride, the table, the slot of row
    /// 0, rows, key head, first row and rows of the block, then `more`.
    pub(super) fn block_function<'b>(
        &self,
        sight: &'b super::Attend,
        tables: &'b Tables,
        part: &str,
        more: &[Ty],
    ) -> (BlockFunction, Block, QueryBlocks<'b>) {
        let own = [
            Ty::GLOBAL,
            Ty::I64,
            Ty::PRIVATE,
            Ty::I64,
            Ty::I64,
            Ty::I64,
            Ty::I64,
            Ty::I64,
        ];
        let types = [&Args::TYPES[..], &own, more].concat();
        let mut f = Func::new(format!("{}_{part}", sight.name), &types, None);
        let args = Args::of(&f);
        let given = f.params()[Args::TYPES.len()..].to_vec();
        let rows = Rows {
            args,
            queries: Strided {
                base: given[0],
                stride: given[1],
            },
            table: given[2],
            chunk: Chunk {
                position: given[3],
                count: given[4],
            },
        };
        let block = Block {
            group: given[5],
            first: given[6],
            rows: given[7],
        };
        let blocks = self.blocks(&mut f, sight, tables, RowBlock { rows, block });
        let more = given[own.len()..].to_vec();
        (BlockFunction { f, args, more }, block, blocks)
    }

    /// The kernel of a sight for some rows.
    pub(super) fn blocks<'b>(
        &self,
        f: &mut Func,
        sight: &'b super::Attend,
        tables: &'b Tables,
        RowBlock { rows, block }: RowBlock,
    ) -> QueryBlocks<'b> {
        let args = &rows.args;
        let (zero, one) = (f.i64(0), f.i64(1));
        let team = Team {
            tid: zero,
            threads: one,
        };
        let extra = self.extra();
        let copies = self.copies().then(|| Copies {
            read: self.name(&format!("read{}", self.reader_of(sight))),
            list: [&args.list()[..], &[block.group]].concat(),
            keys: self.copies_keys().then(|| float_at(f, args.scratch, extra.keys)),
            values: self.copies_values().then(|| float_at(f, args.scratch, extra.values)),
        });
        QueryBlocks {
            attend: sight,
            tables,
            page_kernel: format!("{}_page", sight.name),
            own_kernel: String::new(),
            scratch: Scratch::new(sight),
            queries: rows.queries,
            out: Strided {
                base: args.out,
                stride: args.out_stride,
            },
            pages: KvPages {
                keys: args.keys,
                values: args.values,
            },
            copies,
            table: rows.table,
            chunk: rows.chunk,
            base: args.scratch,
            mine: args.scratch,
            team,
            turn: team,
            segments: one,
        }
    }

    /// Scaled queries of a block, turned to where the sight says.
    fn load_queries(&self, f: &mut Func, args: &Args, blocks: &QueryBlocks<'_>, block: Block) {
        let zero = f.i64(0);
        f.for_each(zero, block.rows, 1, |f, r| {
            let query = blocks.load_query(f, block, r);
            let token = blocks.row(f, block, r).token;
            self.turn_query(f, args, blocks, token, query);
        });
    }

    /// Adds `fn NAME_run(arguments…, group, first, end)`.
    pub(super) fn add_run(&self, module: &mut Module) {
        let (mut function, args, own) = self.function("run", &[Ty::I64; 3]);
        let f = &mut function;
        let [group, first, end] = [own[0], own[1], own[2]];
        let before = self.entries_before(f, &args, group, first);
        let base = f.sub(before, first);
        let rows = NewRows {
            group,
            first,
            end,
            base,
        };
        self.append(f, &args, rows);
        self.keep_queries(f, &args, rows);
        let count = f.add(base, end);
        let chunk = Chunk { position: base, count };
        let rows = Rows {
            args,
            queries: self.queries(&args),
            table: args.table,
            chunk,
        };
        let ratio = f.i64(self.attend.ratio() as i64);
        let (low, high) = (f.mul(first, ratio), f.mul(end, ratio));
        self.each_block(f, low, high, |f, first, count| {
            let block = Block {
                group,
                first,
                rows: count,
            };
            let at = RowBlock { rows, block };
            self.attend_block(f, &self.plain_sights(), at);
            self.write_block(f, at);
            self.update_memories(f, at);
        });
        let (added, p) = (f.add(base, end), self.word(f, args.words, group, Word::Entries));
        f.store(added, p);
        module.add(function);
    }

    /// Rows in blocks that hold all query heads of their tokens.
    pub(super) fn each_block(&self, f: &mut Func, low: Val, high: Val, body: impl FnOnce(&mut Func, Val, Val)) {
        let size = self.block_rows() as i64;
        f.for_each(low, high, size, |f, first| {
            let (left, size) = (f.sub(high, first), f.i64(size));
            let rows = f.min(left, size);
            body(f, first, rows);
        });
    }

    /// Rows of a block: whole tokens.
    pub(super) fn block_rows(&self) -> usize {
        let ratio = self.attend.ratio();
        (self.attend.block_rows() / ratio).max(1) * ratio
    }

    /// Sums of a block over what all sights see; once more without the values of masked keys where they are not finite.
    pub(super) fn attend_block(&self, f: &mut Func, sights: &[&super::Attend], at: RowBlock) {
        let all = [f.i64(0), f.i64(i64::MAX)];
        self.attend_pages(f, sights, at, all);
    }

    /// The same over some pages.
    pub(super) fn attend_pages(&self, f: &mut Func, sights: &[&super::Attend], at: RowBlock, [low, high]: [Val; 2]) {
        let (tables, zero) = (Tables::none(), f.i64(0));
        let blocks = self.blocks(f, &self.sights[0], &tables, at);
        masked_values::twice(f, |f, skip_masked| {
            f.for_each(zero, at.block.rows, 1, |f, r| blocks.empty_row(f, r));
            for sight in sights {
                self.call_block(f, sight, "sum", at, &[skip_masked, low, high]);
            }
            let sums = float_at(f, blocks.mine, blocks.scratch.sums);
            masked_values::is_finite(f, self.attend, sums, at.block)
        });
    }

    /// Calls a function of [`Governed::block_function`].
    pub(super) fn call_block(&self, f: &mut Func, sight: &super::Attend, part: &str, at: RowBlock, more: &[Val]) {
        let RowBlock { rows, block } = at;
        let own = [
            rows.queries.base,
            rows.queries.stride,
            rows.table,
            rows.chunk.position,
            rows.chunk.count,
            block.group,
            block.first,
            block.rows,
        ];
        f.call(
            &format!("{}_{part}", sight.name),
            &[&rows.args.list()[..], &own, more].concat(),
            None,
        );
    }

    /// Sums divided by the sum of weights, into the rows of the result.
    fn write_block(&self, f: &mut Func, at: RowBlock) {
        let tables = Tables::none();
        self.blocks(f, &self.sights[0], &tables, at).write_results(f, at.block);
    }

    /// Stores one over the sum of weights of each row, 0 where nothing was seen.
    pub(super) fn inverses(&self, f: &mut Func, args: &Args, block: Block) {
        let lanes = self.attend.lanes();
        let scratch = Scratch::new(&self.sights[0]);
        let total = float_at(f, args.scratch, scratch.total);
        let inverses = float_at(f, args.scratch, self.extra().inverse);
        let zero = f.i64(0);
        f.for_each(zero, block.rows, 1, |f, r| {
            let p = row_at(f, total, r, lanes as usize);
            let total = f.load(p, Ty::V(lanes, Scalar::F32));
            let total = f.reduce_add(total);
            let inverse = split_kv::inverse_of(f, total);
            let p = f.gep(inverses, r, Scalar::F32);
            f.store(inverse, p);
        });
    }
}
