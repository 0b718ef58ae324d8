//! Products of many tokens that the members of a block compute together: rows of the matrices and tokens are divided between blocks.

use super::{
    cx::Cx,
    product::{Operands, epilogue},
};
use crate::{
    kernel::{BlockMember, Func, Scalar, Val},
    kernels::{self, MEMBER_TOKENS},
};
use seqc_passes::plan::Matmul;

/// Products of all tokens of a chunk, and what follows from them.
pub(super) struct Product<'a> {
    pub(super) matmul: &'a Matmul,
    pub(super) operands: &'a [Operands],
    /// Most rows of a matrix that a block takes at once.
    pub(super) width: Val,
}

/// Tokens that are enough for a block, where there are more blocks than panels of rows: for half of its members.
const LEAST: usize = MEMBER_TOKENS * seqc_abi::device::BLOCK_MEMBERS / 2;

/// What a block computes at once: some rows, at most a panel, and some tokens.
#[derive(Clone, Copy)]
struct Part {
    /// The first row.
    row: Val,
    rows: Val,
    /// The first token.
    token: Val,
    tokens: Val,
}

impl Product<'_> {
    /// Panels and tokens of this block: as many parts of the tokens as blocks have no panel of their own, of at least [`LEAST`] tokens.
    pub(super) fn divided(&self, cx: &Cx<'_>, f: &mut Func, size: Val) {
        let (zero, one, all) = (f.i64(0), f.i64(1), cx.args.count);
        let own = f.block_member(cx.args.team());
        let (panels, least) = (f.ceil_div(size, self.width), f.i64(LEAST as i64));
        let (spare, most) = (f.udiv(own.block.threads, panels), f.ceil_div(all, least));
        let parts = f.min(spare, most);
        let parts = f.max(parts, one);
        // Those of a member are whole but for the last ones.
        let (each, whole) = (f.ceil_div(all, parts), f.i64(MEMBER_TOKENS as i64));
        let each = f.ceil_div(each, whole);
        let each = f.mul(each, whole);
        let items = f.mul(panels, parts);
        let mine = f.team_indices(own.block, items);
        f.blocks_for(mine, |f, item| {
            let (panel, part) = (f.udiv(item, parts), f.urem(item, parts));
            let (row, token) = (f.mul(panel, self.width), f.mul(part, each));
            let (rows, tokens) = (f.sub(size, row), f.sub(all, token));
            let (rows, tokens) = (f.min(rows, self.width), f.min(tokens, each));
            let tokens = f.max(tokens, zero);
            let part = Part {
                row,
                rows,
                token,
                tokens,
            };
            for of in self.operands {
                self.rows(cx, f, of, part);
            }
            self.follow(cx, f, own, part);
        });
    }

    /// Rows of one matrix.
    fn rows(&self, cx: &Cx<'_>, f: &mut Func, of: &Operands, part: Part) {
        let product = &of.product;
        let Some(rows) = product.block_rows() else { return };
        let row_bytes = f.i64(product.row_bytes());
        let skip = f.mul(part.row, row_bytes);
        let w = f.gep(of.matrix, skip, Scalar::I8);
        let (ldx, ldy) = (f.i64(of.input.stride), f.i64(product.rows as i64));
        let (from, to) = (f.mul(part.token, ldx), f.mul(part.token, ldy));
        let to = f.add(to, part.row);
        let (x, y) = (
            f.gep(of.input.base, from, Scalar::F32),
            f.gep(of.result.base, to, Scalar::F32),
        );
        let scratch = cx.thread_scratch(f);
        let args = &cx.args;
        let args = [
            w,
            part.rows,
            x,
            ldx,
            y,
            ldy,
            part.tokens,
            scratch,
            args.barrier,
            args.tid,
            args.threads,
        ];
        let name = kernels::block_gemm_name(product.encoding, product.columns, rows);
        f.call(&name, &args, None);
    }

    /// What follows from the results of this member.
    fn follow(&self, cx: &Cx<'_>, f: &mut Func, own: BlockMember, part: Part) {
        if self.matmul.epilogue.is_empty() {
            return;
        }
        let end = f.add(part.row, part.rows);
        let whole = f.i64(MEMBER_TOKENS as i64);
        let (first, step) = (f.mul(own.member, whole), f.mul(own.members, whole));
        f.for_loop(first..part.tokens, step, &[], |f, at, _| {
            let next = f.add(at, whole);
            let next = f.min(next, part.tokens);
            let (from, to) = (f.add(part.token, at), f.add(part.token, next));
            f.for_each(from, to, 1, |f, t| epilogue(cx, f, self.matmul, [t, part.row, end]));
            Vec::new()
        });
    }
}
