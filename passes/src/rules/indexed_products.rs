//! Sums that are products with matrices that data choose of a stack.

use super::rule::{Rule, operands_of, reshaped, summed};
use crate::affine::{Access, Atom};
use seqc_ir::{BinaryOp, Elem, Graph, IndexExpr, Op, OpClass, ReduceOp, Stage, Ty, Value, dims};
use std::{collections::HashSet, fmt};

pub(super) const RULES: &[Rule] = &[Rule {
    name: "sum_of_products_with_gathered_matrices_is_indexed_matvec",
    rewrite: sum_of_products_with_gathered_matrices_is_indexed_matvec,
}];

/// `sum(k: w[index[c], n, k] * x[c, k])` with `w` of the load stage is [`Op::IndexedMatVec`]; where `c` is summed too, that is a sum of
/// its results. Matrices whose rows are summed are transposed when weights are loaded. A `w` with one row for each index stays a table
/// whose rows are picked.
fn sum_of_products_with_gathered_matrices_is_indexed_matvec(graph: &mut Graph, v: Value) -> Option<Value> {
    let found = found(graph, v)?.ok()?;
    Some(found.gathered.product(graph, &found.factors, v))
}

/// Why a sum over matrices that data choose is computed entry by entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryByEntry {
    /// Tokens compute the matrices.
    MatricesOfTokens,
    /// The sum is not of the picked entries, but of something that is computed of them.
    FunctionOfEntries,
    /// Not every entry of every picked matrix is read once.
    PartOfMatrices,
    /// Another factor differs from row to row.
    FactorOfRows,
    /// Nothing is multiplied.
    NoVector,
}

impl fmt::Display for EntryByEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EntryByEntry::MatricesOfTokens => "the matrices are computed from tokens",
            EntryByEntry::FunctionOfEntries => {
                "it is of a function of the chosen entries; compute that of the whole stack first"
            }
            EntryByEntry::PartOfMatrices => "it reads a part of each matrix, or entries more than once",
            EntryByEntry::FactorOfRows => "another factor depends on the row of the result",
            EntryByEntry::NoVector => "the chosen entries are multiplied by nothing",
        })
    }
}

/// Why the sum `v` over matrices that data choose is computed entry by entry; `None` for other values.
pub fn why_entry_by_entry(graph: &Graph, v: Value) -> Option<EntryByEntry> {
    found(graph, v)?.err()
}

/// The parts of a sum of products with matrices that data choose.
struct Found {
    gathered: Gathered,
    /// What they are multiplied by.
    factors: Vec<Value>,
}

/// `None` where `v` is no sum over chosen matrices.
fn found(graph: &Graph, v: Value) -> Option<Result<Found, EntryByEntry>> {
    let (body, axes) = summed(graph, v)?;
    if graph.ty(v).elem != Elem::F32 {
        return None;
    }
    let sizes = graph.ty(body).sizes();
    let mut factors = Vec::new();
    factors_of(graph, body, &mut factors);
    let kept = sizes.len() - axes;
    let gathered = (0..factors.len()).find_map(|n| Some((n, Gathered::new(graph, factors[n], &sizes, kept)?)));
    let Some((at, gathered)) = gathered else {
        let below = factors.iter().any(|x| reads_chosen_matrices(graph, *x));
        return below.then_some(Err(EntryByEntry::FunctionOfEntries));
    };
    factors.remove(at);
    let gathered = match gathered {
        Ok(gathered) => gathered,
        Err(reason) => return Some(Err(reason)),
    };
    let of_rows = |axis: usize| gathered.rows.contains(&axis);
    let one_for_all_rows = |x: &Value| does_not_vary(graph, *x, &sizes, &of_rows);
    if factors.is_empty() {
        return Some(Err(EntryByEntry::NoVector));
    }
    if !factors.iter().all(one_for_all_rows) {
        return Some(Err(EntryByEntry::FactorOfRows));
    }
    Some(Ok(Found { gathered, factors }))
}

/// Behind so many values a reason is not looked for.
const MOST_LOOKS: usize = 256;

/// Whether `v` is computed, entry by entry, from matrices of the load stage that data choose.
fn reads_chosen_matrices(graph: &Graph, v: Value) -> bool {
    let (mut work, mut seen) = (vec![v], HashSet::new());
    while let Some(v) = work.pop().filter(|_| seen.len() < MOST_LOOKS) {
        match graph.class(v) {
            OpClass::Elementwise | OpClass::Index if seen.insert(v) => work.extend(graph.operands(v)),
            OpClass::Lookup if Picked::of(graph, v).is_some() => return true,
            OpClass::Elementwise | OpClass::Index | OpClass::Lookup => {}
            OpClass::Leaf | OpClass::Concat | OpClass::Reduction | OpClass::Product => {}
            OpClass::Lag | OpClass::Sequence => {}
        }
    }
    false
}

/// Matrices that data choose of a stack.
struct Picked {
    stack: Value,
    index: Value,
}

impl Picked {
    fn of(graph: &Graph, v: Value) -> Option<Picked> {
        let Op::Gather = graph.op(v) else { return None };
        let [stack, index] = graph.operands(v).try_into().ok()?;
        let matrices = graph.ty(stack).rank() > 2 && graph.stages()[index.0 as usize] == Stage::Token;
        matrices.then_some(Picked { stack, index })
    }
}

/// More factors than these are left together: a power of a power has twice as many each time.
const MOST_FACTORS: usize = 64;

fn factors_of(graph: &Graph, v: Value, found: &mut Vec<Value>) {
    match operands_of(graph, v, BinaryOp::Mul).filter(|_| found.len() < MOST_FACTORS) {
        Some(operands) => operands.iter().for_each(|o| factors_of(graph, *o, found)),
        None => found.push(v),
    }
}

/// True where no entry of `x`, of the given sizes, depends on an index along these axes.
fn does_not_vary(graph: &Graph, x: Value, sizes: &[usize], along: &dyn Fn(usize) -> bool) -> bool {
    let (mut work, mut seen) = (vec![x], HashSet::new());
    while let Some(x) = work.pop() {
        if graph.class(x) == OpClass::Elementwise {
            if seen.insert(x) {
                work.extend(graph.operands(x));
            }
            continue;
        }
        let behind = Access::whole(x, sizes).through_views(graph, &|_| false);
        if behind.at.uses_any(along) && graph.op(behind.value).as_const().is_none() {
            return false;
        }
    }
    true
}

/// A factor of a sum whose entries are those of matrices that were picked of a stack, each once. Axes are those of the factor;
/// what lies further apart comes first.
struct Gathered {
    stack: Value,
    index: Value,
    /// Which of the picked matrices.
    choices: Vec<usize>,
    /// Axes of a matrix as it lies.
    matrix: Vec<usize>,
    /// Those of its rows, which the sum keeps.
    rows: Vec<usize>,
    /// Those of its columns, which are summed.
    columns: Vec<usize>,
    sizes: Vec<usize>,
    /// How many axes the sum keeps.
    kept: usize,
}

impl Gathered {
    /// `None` for other factors, and where each index picks one row.
    fn new(graph: &Graph, factor: Value, sizes: &[usize], kept: usize) -> Option<Result<Gathered, EntryByEntry>> {
        let behind = Access::whole(factor, sizes).through_views(graph, &|_| false);
        let Picked { stack, index } = Picked::of(graph, behind.value)?;
        if graph.stages()[stack.0 as usize] == Stage::Token {
            return Some(Err(EntryByEntry::MatricesOfTokens));
        }
        let part = Some(Err(EntryByEntry::PartOfMatrices));
        let mut axes: Vec<(i64, usize)> = Vec::new();
        for (atom, step) in &behind.at.terms {
            let Atom::Axis(axis) = atom else { return part };
            if sizes[*axis] > 1 {
                axes.push((*step, *axis));
            }
        }
        axes.sort_unstable_by(|a, b| b.cmp(a));
        // Every entry once, in some order of the axes.
        let mut total = 1;
        for (step, axis) in axes.iter().rev() {
            if *step != total as i64 {
                return part;
            }
            total *= sizes[*axis];
        }
        let all = sizes.iter().product::<usize>() == total && total == graph.ty(behind.value).len();
        let order: Vec<usize> = axes.into_iter().map(|(_, axis)| axis).collect();
        let picked = graph.ty(index).len();
        let mut first =
            (0..=order.len()).filter(|n| order[..*n].iter().map(|a| sizes[*a]).product::<usize>() == picked);
        let (Some(first), true, 0) = (first.next(), all, behind.at.constant) else {
            return part;
        };
        let (choices, matrix) = order.split_at(first);
        let (rows, columns): (Vec<usize>, Vec<usize>) = matrix.iter().copied().partition(|axis| *axis < kept);
        let found = Gathered {
            stack,
            index,
            choices: choices.to_vec(),
            matrix: matrix.to_vec(),
            sizes: sizes.to_vec(),
            rows,
            columns,
            kept,
        };
        (!found.rows.is_empty() && !found.columns.is_empty()).then_some(Ok(found))
    }

    /// The stack with rows that are kept and columns that are summed.
    fn matrices(&self, graph: &mut Graph, matrices: usize) -> Value {
        let to = [&self.rows[..], &self.columns].concat();
        if to == self.matrix {
            return self.stack;
        }
        let sizes = |axes: &[usize]| [&[matrices], &self.sizes_of(axes)[..]].concat();
        let stack = reshaped(graph, self.stack, Ty::f32(&sizes(&self.matrix)));
        let place = |axis: &usize| IndexExpr::Axis(1 + to.iter().position(|a| a == axis).unwrap_or(0));
        let map = [IndexExpr::Axis(0)].into_iter().chain(self.matrix.iter().map(place));
        graph.view(stack, dims(&sizes(&to)), map.collect())
    }

    fn sizes_of(&self, axes: &[usize]) -> Vec<usize> {
        axes.iter().map(|axis| self.sizes[*axis]).collect()
    }

    /// The sum `v` of the picked matrices times other factors.
    fn product(&self, graph: &mut Graph, factors: &[Value], v: Value) -> Value {
        let [matrices, picked] = [graph.ty(self.stack).dims[0].size, graph.ty(self.index).len()];
        let [rows, columns] = [&self.rows, &self.columns].map(|axes| self.sizes_of(axes).iter().product());
        let stack = self.matrices(graph, matrices);
        let stack = reshaped(graph, stack, Ty::f32(&[matrices, rows, columns]));
        let index = reshaped(graph, self.index, Ty::i64(&[picked]));
        let x = self.vectors(graph, factors, [picked, columns]);
        let product = graph.indexed_matvec(stack, index, x);
        let axes = [&self.choices[..], &self.rows].concat();
        let product = graph.reshape(product, dims(&self.sizes_of(&axes)));
        // What is summed over the choices comes last.
        let summed: Vec<usize> = self.choices.iter().copied().filter(|axis| *axis >= self.kept).collect();
        let to: Vec<usize> = (0..self.kept).chain(summed.iter().copied()).collect();
        let place = |axis: &usize| IndexExpr::Axis(to.iter().position(|a| a == axis).unwrap_or(0));
        let map = axes.iter().map(place).collect();
        let product = graph.view(product, dims(&self.sizes_of(&to)), map);
        let ty = graph.ty(v).clone();
        match summed.len() {
            0 => reshaped(graph, product, ty),
            axes => graph.add(
                Op::Reduce {
                    op: ReduceOp::Sum,
                    axes,
                },
                ty,
                &[product],
            ),
        }
    }

    /// The product of the other factors: a vector for each picked matrix, or one for all.
    fn vectors(&self, graph: &mut Graph, factors: &[Value], [picked, columns]: [usize; 2]) -> Value {
        let of_choices = |axis: usize| self.choices.contains(&axis);
        let one = factors
            .iter()
            .all(|x| does_not_vary(graph, *x, &self.sizes, &of_choices));
        let (axes, ty) = match one {
            true => (self.columns.clone(), Ty::f32(&[columns])),
            false => ([&self.choices[..], &self.columns].concat(), Ty::f32(&[picked, columns])),
        };
        let place = |axis: usize| {
            axes.iter()
                .position(|a| *a == axis)
                .map_or(IndexExpr::Const(0), IndexExpr::Axis)
        };
        let map: Vec<IndexExpr> = (0..self.sizes.len()).map(place).collect();
        let shape = dims(&self.sizes_of(&axes));
        let part = |graph: &mut Graph, x: Value| graph.view(x, shape.clone(), map.clone());
        let mut product = part(graph, factors[0]);
        for x in &factors[1..] {
            let part = part(graph, *x);
            product = graph.product_of(product, part);
        }
        reshaped(graph, product, ty)
    }
}
