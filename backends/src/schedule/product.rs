//! Products with matrices: where the matrix is, and in which order a single token adds up.

use crate::{
    kernels::{BlockRows, Parts, RowForm, Units},
    targets::TargetInfo,
};
use seqc_formats::Encoding;
use seqc_ir::{Graph, Normaliser, Op, Rounding, Value};
use seqc_passes::plan::{Kernel, Plan, Stack, flat, row_of};
use std::collections::{HashMap, HashSet};

/// A product of a matrix with a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// The matrix.
    pub(crate) matrix: Matrix,
    /// How its entries are stored.
    pub(crate) encoding: Encoding,
    /// The stack that it is chosen from, if it is; `matrix` is then the stack.
    pub(crate) stack: Option<Stack>,
    /// Its rows.
    pub(crate) rows: usize,
    /// Its columns.
    pub(crate) columns: usize,
    /// How a single token adds up.
    pub(crate) summation: Summation,
    /// Rows of its vector, or of its result, lie behind rows of earlier tokens: there are gaps between those of two sequences.
    pub(crate) gaps: bool,
    /// What rows of many tokens are made of; those of few are floats.
    pub(crate) form: RowForm,
    /// What multiplies rows of many tokens.
    pub(crate) units: Units,
    /// What the vector of a single token is made of.
    pub(crate) vector_form: RowForm,
    /// Bytes of which rows of many tokens begin at multiples, 4 or 16, where the members of a block multiply them together.
    pub(crate) block_unit: Option<u8>,
}

impl Product {
    /// Bytes from one row of the matrix to the next.
    pub(crate) fn row_bytes(&self) -> i64 {
        self.encoding.row_bytes(self.columns).unwrap_or(0) as i64
    }

    /// Rows of many tokens, where the members of a block multiply them together.
    pub(crate) fn block_rows(&self) -> Option<BlockRows> {
        let (unit, form) = (self.block_unit?, self.form);
        match self.units {
            Units::Matrices(parts) => Some(BlockRows { parts, form, unit }),
            Units::Vectors => None,
        }
    }
}

/// Where a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matrix {
    /// A parameter, as the checkpoint has it.
    Param(usize),
    /// A stored value.
    Stored(Value),
}

/// In which order the product of a single token adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summation {
    /// In that of a chunk's products, so that it is the same in all its bits. That takes longer where weights come from the
    /// cache. It decides between keys: equal ones must be equal whatever chunks they came in, else a rounding error would
    /// choose between them and not their order.
    OfChunk,
    /// In the fastest one.
    Free,
}

/// The products of a plan.
pub(super) fn products(graph: &Graph, plan: &Plan, encodings: &[Encoding]) -> HashMap<Value, Product> {
    let selecting = selecting(graph);
    let target = TargetInfo::of(&plan.settings.machine);
    let all = flat(&plan.kernels).into_iter().flat_map(|kernel| match kernel {
        Kernel::Matmuls(list) => list.iter().flat_map(|m| m.products.clone()).collect(),
        Kernel::Map(_) | Kernel::Scan(_) | Kernel::Attend(_) | Kernel::LongConv(_) => Vec::new(),
        Kernel::Reverse(_) | Kernel::RoundRow(_) | Kernel::Heads { .. } | Kernel::Loop(_) | Kernel::Commit(_) => {
            Vec::new()
        }
    });
    let product = |v: Value| {
        let operands = graph.operands(v);
        let (matrix, encoding) = matrix(graph, plan, encodings, operands[0]);
        let stack = Stack::of(graph, v);
        let rows = stack.map_or(graph.ty(v).len(), |stack| stack.rows);
        let (columns, vector) = (graph.columns(v), operands[operands.len() - 1]);
        let summation = match selecting.contains(&v) || rows * columns <= plan.settings.machine.rates.small_matrix {
            true => Summation::OfChunk,
            false => Summation::Free,
        };
        // Tokens that chose one matrix are brought together, of which there may be few; and what decides between keys is added up in one order.
        let rounding = graph
            .op(vector)
            .rounding()
            .filter(|_| stack.is_none() && summation == Summation::Free);
        let form = |of: fn(&TargetInfo, Rounding, Encoding) -> RowForm| {
            rounding.map_or(RowForm::Floats, |rounding| of(&target, rounding, encoding))
        };
        let product = Product {
            form: form(RowForm::of),
            vector_form: form(RowForm::of_vector),
            units: match (target.micro_kernels.matrix_units, summation) {
                // They add up in an order of their own.
                (None, _) | (_, Summation::OfChunk) => Units::Vectors,
                (Some(_), Summation::Free) => Units::Matrices(match rounding {
                    Some(Rounding::Bf16) => Parts::One,
                    Some(Rounding::Int8) | None => Parts::Three,
                }),
            },
            matrix,
            encoding,
            stack,
            rows,
            columns,
            summation,
            // Rows of tokens that chose one matrix are brought together.
            gaps: stack.is_none() && (gaps(graph, plan, vector) || gaps(graph, plan, v)),
            block_unit: None,
        };
        (v, product)
    };
    let mut found: HashMap<Value, Product> = all.map(product).collect();
    in_blocks(graph, plan, &target, &mut found);
    // Products that read the same rows read them in the same form.
    let live = graph.live_order();
    for row in live.into_iter().filter(|v| graph.op(*v).rounding().is_some()) {
        let users = graph.users(row);
        let differ = |form: fn(&Product) -> RowForm| {
            let forms: HashSet<RowForm> = users.iter().filter_map(|v| found.get(v)).map(form).collect();
            forms.len() > 1
        };
        let [differ, vectors_differ] = [differ(|product| product.form), differ(|product| product.vector_form)];
        for user in users {
            let Some(product) = found.get_mut(&user) else { continue };
            if differ {
                product.form = RowForm::Floats;
            }
            if vectors_differ {
                product.vector_form = RowForm::Floats;
            }
        }
    }
    found
}

/// Chooses what the members of a block multiply together: all products of a kernel, of matrix units, whose rows have no gaps. Rows of one part lie as pairs.
fn in_blocks(graph: &Graph, plan: &Plan, target: &TargetInfo, found: &mut HashMap<Value, Product>) {
    if target.machine.tiles.block_rows.is_none() {
        return;
    }
    for kernel in flat(&plan.kernels) {
        let Kernel::Matmuls(list) = kernel else { continue };
        for matmul in list {
            let fits = |v: &Value| {
                let product = &found[v];
                let matrices = matches!(product.units, Units::Matrices(_));
                matrices && product.stack.is_none() && !product.gaps
            };
            if !matmul.products.iter().all(fits) {
                continue;
            }
            for v in &matmul.products {
                let vector = graph.operands(*v)[1];
                let rounded = graph.op(vector).rounding() == Some(Rounding::Bf16);
                let unit = row_unit(graph, plan, vector);
                if let Some(product) = found.get_mut(v) {
                    product.block_unit = Some(unit);
                    if rounded {
                        product.form = RowForm::Pairs;
                    }
                }
            }
        }
    }
}

/// Bytes of which the rows of a value begin at multiples, up to 16: those of activations do so with the buffer that they lie in.
fn row_unit(graph: &Graph, plan: &Plan, v: Value) -> u8 {
    const TOGETHER: usize = 4;
    let row = row_of(graph, &|at| plan.is_stored(at), v);
    let aligned = row.is_some_and(|row| {
        let buffer = plan.stored.get(&row.value).map(|id| plan.buffer(*id));
        let whole = |n: usize| n.is_multiple_of(TOGETHER);
        buffer.is_some_and(|buffer| whole(buffer.len) && whole(row.offset as usize))
    });
    match aligned {
        true => 16,
        false => 4,
    }
}

/// How a rounded row is made for its products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoundedRow {
    /// Its form, of many tokens.
    pub(crate) form: RowForm,
    /// That of a single token, where products make it.
    pub(crate) vector_form: RowForm,
    /// Products of a single token round their vector themselves, so that threads need not wait for each other.
    pub(crate) by_products: bool,
}

/// How a rounded row is made.
pub(super) fn rounded_row(graph: &Graph, products: &HashMap<Value, Product>, row: Value) -> RoundedRow {
    let users = graph.users(row);
    let found = || users.iter().filter_map(|v| products.get(v));
    RoundedRow {
        form: found().next().map_or(RowForm::Floats, |product| product.form),
        vector_form: found().next().map_or(RowForm::Floats, |product| product.vector_form),
        by_products: found().all(|product| product.stack.is_none()),
    }
}

/// True where the rows that `v` is read from have rows of earlier tokens in front of them.
fn gaps(graph: &Graph, plan: &Plan, v: Value) -> bool {
    let row = row_of(graph, &|at| plan.is_stored(at), v);
    let buffer = row.and_then(|row| plan.stored.get(&row.value));
    buffer.is_some_and(|id| plan.buffer(*id).history > 0)
}

/// A matrix behind reshapes, and how it is stored.
fn matrix(graph: &Graph, plan: &Plan, encodings: &[Encoding], w: Value) -> (Matrix, Encoding) {
    let mut at = w;
    while *graph.op(at) == Op::Reshape && !plan.is_stored(at) {
        at = graph.operands(at)[0];
    }
    if let Op::Param(n) = graph.op(at) {
        (Matrix::Param(*n), encodings[*n])
    } else {
        (Matrix::Stored(at), Encoding::F32)
    }
}

/// All values that the keys of selections are computed from.
fn selecting(graph: &Graph) -> HashSet<Value> {
    let mut work = Vec::new();
    for v in graph.live_order() {
        if let Op::Attend(spec) = graph.op(v)
            && let Normaliser::Top(_) = spec.normaliser
        {
            let operands = graph.operands(v);
            work.push(operands[1]);
            work.extend(&operands[spec.key_operands()]);
        }
    }
    let mut found = HashSet::new();
    while let Some(v) = work.pop() {
        if !found.insert(v) {
            continue;
        }
        work.extend(graph.operands(v));
        if let Op::Prev(s) = graph.op(v) {
            work.extend(graph.states[s.0 as usize].next);
        }
    }
    found
}
