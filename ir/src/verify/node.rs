//! Laws of single nodes, one function per family of operations.

use super::{
    attend,
    limits::{MAX_DELAY, MAX_LAGS},
    report::{Report, same_elem, same_shape, shape},
    view,
};
use crate::{BinaryOp, Elem, Graph, Op, Source, Stage, Ty, UnaryOp, Value};

/// Checks one node of a graph whose structure is sound.
pub(super) fn check(report: &mut Report<'_>, stages: &[Stage], value: Value) {
    let graph = report.graph;
    let operands = graph.operands(value);
    let types: Vec<&Ty> = operands.iter().map(|o| graph.ty(*o)).collect();
    let ty = graph.ty(value);
    match graph.op(value) {
        Op::Param(_) | Op::Input(_) | Op::Prev(_) => declared(report, value),
        Op::Const(c) => constant(report, value, *c),
        Op::Iota { axis } => {
            report.require(*axis < ty.rank(), 9, value, || format!("the result has no axis {axis}"));
            report.require(ty.elem == Elem::I64, 6, value, || "indices are i64".to_owned());
        }
        Op::Position => {
            report.require(ty.elem == Elem::I64, 6, value, || "a position is i64".to_owned());
            report.require(ty.rank() == 0, 7, value, || "a position is a scalar".to_owned());
        }
        Op::Unary(op) => unary(report, value, *op, types[0]),
        Op::Binary(op) => binary(report, value, *op, &types),
        Op::Select => select(report, value, &types),
        Op::Cast => {
            same_shape(report, value, &types);
            let fits = ty.elem != Elem::Bool || types[0].elem == Elem::Bool;
            report.require(fits, 6, value, || "truth values come from comparisons".to_owned());
        }
        Op::View(map) => view::check(report, value, map, types[0]),
        Op::Reshape => {
            same_elem(report, value, &types);
            let (from, to) = (types[0].len(), ty.len());
            report.require(from == to, 7, value, || format!("{from} elements do not fill {to}"));
        }
        Op::Concat { axis } => concat(report, value, *axis, &types),
        Op::Gather => {
            gather(report, value, &types);
            load_stage(report, stages, value, operands[0]);
        }
        Op::Reduce { axes, .. } => reduce(report, value, *axes, types[0]),
        Op::MatVec => {
            matvec(report, value, &types);
            load_stage(report, stages, value, operands[0]);
        }
        Op::IndexedMatVec => {
            indexed_matvec(report, value, &types);
            load_stage(report, stages, value, operands[0]);
        }
        Op::Delay { steps } => {
            same_elem(report, value, &types);
            same_shape(report, value, &types);
            let fits = (1..=MAX_DELAY).contains(steps);
            report.require(fits, 9, value, || format!("a delay is 1 to {MAX_DELAY} tokens"));
        }
        Op::Window { taps, step } => {
            same_elem(report, value, &types);
            let sizes = [&[*taps][..], &types[0].sizes()[..]].concat();
            shape(report, value, &sizes);
            let reach = taps.checked_sub(1).and_then(|n| n.checked_mul(*step));
            let fits = *taps > 0 && *step > 0 && reach.is_some_and(|reach| reach <= MAX_DELAY);
            report.require(fits, 9, value, || {
                format!("a window has one value or more and reaches {MAX_DELAY} tokens back at most")
            });
        }
        Op::LongConv => {
            long_conv(report, value, &types);
            load_stage(report, stages, value, operands[1]);
        }
        Op::Reverse => {
            same_elem(report, value, &types);
            same_shape(report, value, &types);
            report.require(ty.elem == Elem::F32, 6, value, || {
                "what is read from its end is real".to_owned()
            });
        }
        Op::RoundRow(rounding) => {
            same_elem(report, value, &types);
            same_shape(report, value, &types);
            let last = ty.dims.last().map_or(1, |dim| dim.size);
            let fits = ty.elem == Elem::F32 && last.is_multiple_of(rounding.multiple());
            report.require(fits, 6, value, || {
                format!("rows of {last} {} are not rounded to {}", ty.elem, rounding.name())
            });
        }
        Op::Attend(spec) => {
            attend::check(report, value, spec, &types);
            for table in &operands[spec.table_operands()] {
                load_stage(report, stages, value, *table);
            }
        }
    }
}

/// Law 5 for nodes that read what is declared.
fn declared(report: &mut Report<'_>, value: Value) {
    let graph: &Graph = report.graph;
    let ty = match graph.op(value).source() {
        Some(Source::Param(n)) => &graph.params[n].ty,
        Some(Source::Input(n)) => &graph.inputs[n].ty,
        Some(Source::State(s)) => &graph.states[s.0 as usize].ty,
        None => return,
    };
    report.require(graph.ty(value) == ty, 5, value, || format!("is declared as {ty}"));
}

fn constant(report: &mut Report<'_>, value: Value, c: f64) {
    let fits = match report.graph.ty(value).elem {
        Elem::F32 => true,
        Elem::I64 => c.fract() == 0.0 && c.abs() <= (1_u64 << 53) as f64,
        Elem::Bool => c == 0.0 || c == 1.0,
    };
    report.require(fits, 6, value, || format!("{c} is not of the constant's type"));
}

fn unary(report: &mut Report<'_>, value: Value, op: UnaryOp, x: &Ty) {
    let fits = match op {
        UnaryOp::Not => x.elem == Elem::Bool,
        UnaryOp::Neg | UnaryOp::Abs => x.elem != Elem::Bool,
        _ => x.elem == Elem::F32,
    };
    report.require(fits, 6, value, || {
        format!("`{}` does not apply to {}", op.name(), x.elem)
    });
    same_elem(report, value, &[x]);
    same_shape(report, value, &[x]);
}

fn binary(report: &mut Report<'_>, value: Value, op: BinaryOp, types: &[&Ty]) {
    let (x, y) = (types[0].elem, types[1].elem);
    report.require(x == y, 6, value, || format!("operands are {x} and {y}"));
    let fits = match op {
        BinaryOp::And | BinaryOp::Or => x == Elem::Bool,
        BinaryOp::Pow => x == Elem::F32,
        _ => x != Elem::Bool,
    };
    report.require(fits, 6, value, || format!("`{}` does not apply to {x}", op.name()));
    let result = if op.is_predicate() { Elem::Bool } else { x };
    let elem = report.graph.ty(value).elem;
    report.require(elem == result, 6, value, || format!("gives {result}, not {elem}"));
    same_shape(report, value, types);
}

fn select(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    report.require(types[0].elem == Elem::Bool, 6, value, || {
        format!("the condition is {}", types[0].elem)
    });
    same_elem(report, value, &types[1..]);
    same_shape(report, value, types);
}

fn concat(report: &mut Report<'_>, value: Value, axis: usize, types: &[&Ty]) {
    let ty = report.graph.ty(value);
    same_elem(report, value, types);
    if axis >= ty.rank() {
        return report.at(9, value, format!("the result has no axis {axis}"));
    }
    let others = |t: &Ty| {
        t.sizes()
            .into_iter()
            .enumerate()
            .filter(|(n, _)| *n != axis)
            .collect::<Vec<_>>()
    };
    for part in types {
        let fits = part.rank() == ty.rank() && others(part) == others(ty);
        report.require(fits, 7, value, || {
            format!("a part of type {part} differs beside axis {axis}")
        });
    }
    let total: usize = types.iter().filter_map(|t| t.dims.get(axis)).map(|d| d.size).sum();
    let size = ty.dims[axis].size;
    report.require(total == size, 7, value, || {
        format!("the parts have {total} entries along axis {axis}, not {size}")
    });
}

fn gather(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    let (table, index) = (types[0], types[1]);
    report.require(index.elem == Elem::I64, 6, value, || {
        format!("the index is {}, not i64", index.elem)
    });
    same_elem(report, value, &[table]);
    if table.rank() == 0 {
        return report.at(7, value, "the table is a scalar");
    }
    let expected = [&index.sizes()[..], &table.sizes()[1..]].concat();
    shape(report, value, &expected);
}

fn reduce(report: &mut Report<'_>, value: Value, axes: usize, x: &Ty) {
    report.require(x.elem != Elem::Bool, 6, value, || {
        "truth values are not reduced".to_owned()
    });
    same_elem(report, value, &[x]);
    if axes == 0 || axes > x.rank() {
        return report.at(9, value, format!("{axes} axes of {} are reduced", x.rank()));
    }
    shape(report, value, &x.sizes()[..x.rank() - axes]);
}

fn matvec(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    let (w, x) = (types[0], types[1]);
    let real = [w, x, report.graph.ty(value)].iter().all(|t| t.elem == Elem::F32);
    report.require(real, 6, value, || "a matrix product is of reals".to_owned());
    if w.rank() < 2 || x.rank() != 1 {
        return report.at(7, value, "takes a matrix and a vector");
    }
    let sizes = w.sizes();
    report.require(sizes.last() == x.sizes().first(), 7, value, || {
        format!("{w} and {x} do not meet")
    });
    shape(report, value, &sizes[..sizes.len() - 1]);
}

fn indexed_matvec(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    let (w, index, x) = (types[0], types[1], types[2]);
    let real = [w, x, report.graph.ty(value)].iter().all(|t| t.elem == Elem::F32);
    report.require(real, 6, value, || "a matrix product is of reals".to_owned());
    report.require(index.elem == Elem::I64, 6, value, || {
        format!("the index is {}, not i64", index.elem)
    });
    let (stack, chosen, entries) = (w.sizes(), index.sizes(), x.sizes());
    if stack.len() < 3 || chosen.len() != 1 || entries.is_empty() {
        return report.at(7, value, "takes a stack of matrices, a list of indices and vectors");
    }
    let (columns, choices) = (stack.len() - 1, &entries[..entries.len() - 1]);
    let meet = entries.last() == stack.get(columns) && (choices.is_empty() || *choices == chosen[..]);
    report.require(meet, 7, value, || format!("{w}, {index} and {x} do not meet"));
    shape(report, value, &[&chosen[..], &stack[1..columns]].concat());
}

fn long_conv(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    let (u, f) = (types[0], types[1]);
    let real = [u, f, report.graph.ty(value)].iter().all(|t| t.elem == Elem::F32);
    report.require(real, 6, value, || "a convolution is of reals".to_owned());
    same_shape(report, value, &[u]);
    let sizes = f.sizes();
    let Some((taps, channels)) = sizes.split_last() else {
        return report.at(7, value, "the filter is a scalar");
    };
    report.require(channels == u.sizes(), 7, value, || {
        format!("a filter of {f} does not fit a stream of {u}")
    });
    report.require(*taps <= MAX_LAGS, 9, value, || {
        format!("a filter has up to {MAX_LAGS} taps")
    });
}

/// Law 10.
fn load_stage(report: &mut Report<'_>, stages: &[Stage], value: Value, operand: Value) {
    let known = stages[operand.0 as usize] == Stage::Load;
    report.require(known, 10, value, || {
        format!("{operand} is not known when weights are loaded")
    });
}
