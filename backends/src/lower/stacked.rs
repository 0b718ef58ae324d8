//! Products with matrices that data choose of a stack: a token reads those that it chose; in a chunk, tokens that chose the same one
//! are multiplied with it together.

use super::{
    address::byte,
    cx::Cx,
    product::{self, epilogue, matrix, times_rows, vector_kernel},
};
use crate::{
    kernel::{Cmp, Func, Scalar, Ty, Val},
    kernels,
    schedule::{Grouping, Product},
};
use seqc_ir::Value;
use seqc_passes::plan::{Matmul, row_of};

/// Products with matrices of equal stacks.
pub(super) struct Stacked<'m> {
    pub(super) matmul: &'m Matmul,
    pub(super) grouping: Grouping,
}

/// A matrix that a token chose, for one of its products.
#[derive(Clone, Copy)]
struct Choice {
    /// Row of the token.
    token: Val,
    /// Which of its choices.
    number: Val,
}

/// Tokens that chose a matrix, at most as many as are multiplied together.
#[derive(Clone, Copy)]
struct Group {
    matrix: Val,
    /// The first one in the list of choices.
    first: Val,
    count: Val,
}

/// Rows of a matrix, at most those of a panel.
#[derive(Clone, Copy)]
struct Rows {
    first: Val,
    count: Val,
}

impl Stacked<'_> {
    /// Rows of each chosen matrix are split between the threads.
    pub(super) fn one_token(&self, cx: &Cx<'_>, f: &mut Func, token: Val) {
        let stack = &self.grouping.stack;
        let (rows, chosen) = (f.i64(stack.rows as i64), f.i64(stack.chosen as i64));
        let mine = f.team_range(cx.args.team(), rows, cx.layer.machine().line_entries() as i64);
        let count = f.sub(mine.high, mine.low);
        let zero = f.i64(0);
        f.for_each(zero, chosen, 1, |f, number| {
            let choice = Choice { token, number };
            let matrix = self.chosen(cx, f, choice);
            for v in &self.matmul.products {
                let product = &cx.layer.schedule.products[v];
                let w = weights(cx, f, product, [matrix, mine.low]);
                let (row_bytes, k) = (f.i64(product.row_bytes()), f.i64(product.columns as i64));
                let (x, y) = (vector(cx, f, *v, choice), self.result(cx, f, *v, choice));
                let y = f.gep(y, mine.low, Scalar::F32);
                f.call(&vector_kernel(product), &[w, row_bytes, count, x, k, y], None);
            }
            let from = f.mul(number, rows);
            let (low, high) = (f.add(from, mine.low), f.add(from, mine.high));
            epilogue(cx, f, self.matmul, [token, low, high]);
        });
    }

    /// Panels of the matrices are split between the threads, of each matrix alike: so all have the same to do, whatever was chosen.
    pub(super) fn chunk(&self, cx: &Cx<'_>, f: &mut Func) {
        let stack = &self.grouping.stack;
        let (rows, width) = (f.i64(stack.rows as i64), cx.layer.machine().panel_rows() as i64);
        let mine = f.team_range(cx.args.team(), rows, width);
        let some = f.cmp(Cmp::Lt, mine.low, mine.high);
        f.if_then(some, |f| {
            let scratch = cx.thread_scratch(f);
            self.list(cx, f, scratch);
            let (zero, matrices) = (f.i64(0), f.i64(stack.matrices as i64));
            f.for_each(zero, matrices, 1, |f, matrix| {
                let starts = self.starts(f, scratch);
                let start = f.gep(starts, matrix, Scalar::I64);
                let (first, end) = (f.load_slot(start, 0, Ty::I64), f.load_slot(start, 1, Ty::I64));
                f.for_each(first, end, self.grouping.together as i64, |f, first| {
                    let (left, most) = (f.sub(end, first), f.i64(self.grouping.together as i64));
                    let count = f.min(left, most);
                    let group = Group { matrix, first, count };
                    self.collect(cx, f, scratch, group);
                    f.team_for(mine, |f, first| {
                        let (left, most) = (f.sub(mine.high, first), f.i64(width));
                        let count = f.min(left, most);
                        self.panel(cx, f, scratch, group, Rows { first, count });
                    });
                });
            });
        });
    }

    /// The number of the matrix that is chosen, clamped to those that there are.
    fn chosen(&self, cx: &Cx<'_>, f: &mut Func, choice: Choice) -> Val {
        let stack = &self.grouping.stack;
        let found = row_of(cx.graph(), &|v| cx.plan().is_stored(v), stack.index);
        let Some((row, id)) = found.and_then(|row| Some((row, *cx.plan().stored.get(&row.value)?))) else {
            unreachable!("{} is not stored: the plan stores what chooses matrices", stack.index)
        };
        let base = cx.row(f, id, choice.token);
        let offset = f.i64(row.offset);
        let at = f.add(choice.number, offset);
        let at = f.gep(base, at, Scalar::I64);
        let chosen = f.load(at, Ty::I64);
        let (zero, last) = (f.i64(0), f.i64(stack.matrices as i64 - 1));
        let chosen = f.max(chosen, zero);
        f.min(chosen, last)
    }

    fn each_choice(&self, cx: &Cx<'_>, f: &mut Func, body: &dyn Fn(&mut Func, Choice)) {
        let (zero, chosen) = (f.i64(0), f.i64(self.grouping.stack.chosen as i64));
        f.for_each(zero, cx.args.count, 1, |f, token| {
            f.for_each(zero, chosen, 1, |f, number| body(f, Choice { token, number }));
        });
    }

    /// Where the choices of each matrix begin in the list, and where those of the last one end.
    fn starts(&self, f: &mut Func, scratch: Val) -> Val {
        byte(f, scratch, self.grouping.starts)
    }

    /// Lists the choices of all tokens by matrix: a counting sort, which every thread does for itself.
    fn list(&self, cx: &Cx<'_>, f: &mut Func, scratch: Val) {
        let (starts, order) = (self.starts(f, scratch), byte(f, scratch, self.grouping.order));
        let (zero, one) = (f.i64(0), f.i64(1));
        let end = f.i64(self.grouping.stack.matrices as i64 + 2);
        f.for_each(zero, end, 1, |f, n| {
            let at = f.gep(starts, n, Scalar::I64);
            f.store(zero, at);
        });
        // The number of choices of matrix `m` at `m + 2`, then where they begin at `m + 1`, then, as each is listed, where they end.
        let next = |f: &mut Func, at: Val| {
            let old = f.load(at, Ty::I64);
            let new = f.add(old, one);
            f.store(new, at);
            old
        };
        self.each_choice(cx, f, &|f, choice| {
            let matrix = self.chosen(cx, f, choice);
            let at = f.gep(starts, matrix, Scalar::I64);
            let two = f.i64(2);
            let at = f.gep(at, two, Scalar::I64);
            next(f, at);
        });
        f.for_loop(zero..end, one, &[zero], |f, n, before| {
            let at = f.gep(starts, n, Scalar::I64);
            let own = f.load(at, Ty::I64);
            let sum = f.add(before[0], own);
            f.store(sum, at);
            vec![sum]
        });
        let chosen = f.i64(self.grouping.stack.chosen as i64);
        self.each_choice(cx, f, &|f, choice| {
            let matrix = self.chosen(cx, f, choice);
            let at = f.gep(starts, matrix, Scalar::I64);
            let at = f.gep(at, one, Scalar::I64);
            let place = next(f, at);
            let place = f.gep(order, place, Scalar::I64);
            let before = f.mul(choice.token, chosen);
            let number = f.add(before, choice.number);
            f.store(number, place);
        });
    }

    /// The choices of a group, each with its number in the group.
    fn each_of(&self, f: &mut Func, scratch: Val, group: Group, body: &dyn Fn(&mut Func, Val, Choice)) {
        let order = byte(f, scratch, self.grouping.order);
        let order = f.gep(order, group.first, Scalar::I64);
        let (zero, chosen) = (f.i64(0), f.i64(self.grouping.stack.chosen as i64));
        f.for_each(zero, group.count, 1, |f, n| {
            let at = f.gep(order, n, Scalar::I64);
            let listed = f.load(at, Ty::I64);
            let choice = Choice {
                token: f.udiv(listed, chosen),
                number: f.urem(listed, chosen),
            };
            body(f, n, choice);
        });
    }

    /// The first product that is multiplied with the same vectors as product `n`: they share what is brought together.
    fn first_alike(&self, cx: &Cx<'_>, n: usize) -> usize {
        let operand = |n: usize| vector_of(cx, self.matmul.products[n]);
        (0..n).find(|first| operand(*first) == operand(n)).unwrap_or(n)
    }

    /// The vectors of product `n`, one behind another.
    fn vectors(&self, cx: &Cx<'_>, f: &mut Func, scratch: Val, n: usize) -> Val {
        let place = self.first_alike(cx, n) * self.grouping.vector_bytes;
        byte(f, scratch, self.grouping.vectors + place)
    }

    /// Copies the vectors of a group.
    fn collect(&self, cx: &Cx<'_>, f: &mut Func, scratch: Val, group: Group) {
        self.each_of(f, scratch, group, &|f, at, choice| {
            for (n, v) in self.matmul.products.iter().enumerate() {
                if self.first_alike(cx, n) < n {
                    continue;
                }
                let columns = f.i64(cx.layer.schedule.products[v].columns as i64);
                let (from, to) = (vector(cx, f, *v, choice), self.vectors(cx, f, scratch, n));
                let before = f.mul(at, columns);
                let to = f.gep(to, before, Scalar::F32);
                f.call(kernels::COPY, &[from, to, columns], None);
            }
        });
    }

    /// Rows of a matrix times the vectors of a group.
    fn panel(&self, cx: &Cx<'_>, f: &mut Func, scratch: Val, group: Group, rows: Rows) {
        let width = f.i64(cx.layer.machine().panel_rows() as i64);
        let most = f.i64(cx.layer.machine().tiles.skinny_rows);
        let few = f.cmp(Cmp::Le, group.count, most);
        let results = |f: &mut Func, n: usize| byte(f, scratch, self.grouping.results + n * self.grouping.result_bytes);
        for (n, v) in self.matmul.products.iter().enumerate() {
            let product = &cx.layer.schedule.products[v];
            let w = weights(cx, f, product, [group.matrix, rows.first]);
            let (x, y) = (self.vectors(cx, f, scratch, n), results(f, n));
            let columns = f.i64(product.columns as i64);
            let rows = product::Rows {
                weights: w,
                count: rows.count,
                vectors: [x, columns],
                results: [y, width],
                tokens: group.count,
                few,
                runs: Vec::new(),
            };
            times_rows(cx, f, product, rows);
        }
        let matrix_rows = f.i64(self.grouping.stack.rows as i64);
        self.each_of(f, scratch, group, &|f, at, choice| {
            for (n, v) in self.matmul.products.iter().enumerate() {
                let before = f.mul(at, width);
                let (from, to) = (results(f, n), self.result(cx, f, *v, choice));
                let (from, to) = (f.gep(from, before, Scalar::F32), f.gep(to, rows.first, Scalar::F32));
                f.call(kernels::COPY, &[from, to, rows.count], None);
            }
            let before = f.mul(choice.number, matrix_rows);
            let low = f.add(before, rows.first);
            let high = f.add(low, rows.count);
            epilogue(cx, f, self.matmul, [choice.token, low, high]);
        });
    }

    /// Where the results of a product go.
    fn result(&self, cx: &Cx<'_>, f: &mut Func, v: Value, choice: Choice) -> Val {
        let row = cx.row(f, cx.plan().stored[&v], choice.token);
        let rows = f.i64(self.grouping.stack.rows as i64);
        let at = f.mul(choice.number, rows);
        f.gep(row, at, Scalar::F32)
    }
}

/// A row of a matrix of a stack.
fn weights(cx: &Cx<'_>, f: &mut Func, product: &Product, [number, row]: [Val; 2]) -> Val {
    let base = matrix(cx, f, product);
    let (rows, row_bytes) = (f.i64(product.rows as i64), f.i64(product.row_bytes()));
    let at = f.mul(number, rows);
    let at = f.add(at, row);
    let at = f.mul(at, row_bytes);
    f.gep(base, at, Scalar::I8)
}

/// The operand of a product that is multiplied with the matrices.
fn vector_of(cx: &Cx<'_>, v: Value) -> Value {
    cx.graph().operands(v)[2]
}

/// The vector that a chosen matrix is multiplied with.
fn vector(cx: &Cx<'_>, f: &mut Func, v: Value, choice: Choice) -> Val {
    let operand = vector_of(cx, v);
    let row = cx.row_of(f, operand, choice.token);
    if cx.graph().ty(operand).rank() == 1 {
        return row;
    }
    let columns = f.i64(cx.graph().columns(v) as i64);
    let at = f.mul(choice.number, columns);
    f.gep(row, at, Scalar::F32)
}
