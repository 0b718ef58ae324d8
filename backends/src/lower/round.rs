//! Rows that are rounded for the products that read them.

use super::{
    cx::{Cx, Layer},
    tokens::Tokens,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Val},
    kernels::{self, RowForm},
};
use seqc_ir::{Rounding, Value};
use seqc_passes::plan::{Kernel, flat};

/// Adds the functions that a layer's rounded rows are made by.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module) {
    for kernel in flat(&layer.plan.kernels) {
        let Kernel::RoundRow(v) = kernel else { continue };
        let Some(rounding) = layer.graph.op(*v).rounding() else {
            continue;
        };
        let row = layer.schedule.rounded_row(layer.graph, *v);
        for form in [RowForm::Floats, row.form, row.vector_form] {
            kernels::round_row(module, &layer.target, rounding, form);
        }
    }
}

/// Whether the products that read a rounded row make it themselves, of a single token.
pub(super) fn by_products(cx: &Cx<'_>, v: Value) -> bool {
    cx.layer.schedule.rounded_row(cx.graph(), v).by_products
}

/// The vector of a product of a token. One that is rounded is rounded by every thread for itself, in its scratch; `last` is the one that lies
/// there.
pub(super) fn vector(cx: &Cx<'_>, f: &mut Func, v: Value, t: Val, last: &mut Option<Value>) -> Val {
    let Some(rounding) = cx.graph().op(v).rounding().filter(|_| by_products(cx, v)) else {
        return cx.rows_of(f, v).at(f, t);
    };
    let scratch = cx.thread_scratch(f);
    if last.replace(v) != Some(v) {
        let from = cx.rows_of(f, cx.graph().operands(v)[0]).at(f, t);
        let len = f.i64(cx.graph().ty(v).len() as i64);
        let form = cx.layer.schedule.rounded_row(cx.graph(), v).vector_form;
        f.call(&kernels::round_row_name(rounding, form), &[from, len, scratch], None);
    }
    scratch
}

/// Rounds the rows of all tokens, which are split between the threads; of one token each thread rounds some blocks.
pub(super) fn rows(cx: &Cx<'_>, f: &mut Func, v: Value, tokens: Tokens) {
    let Some(rounding) = cx.graph().op(v).rounding() else {
        return;
    };
    let form = cx.layer.schedule.rounded_row(cx.graph(), v).form;
    let from = cx.rows_of(f, cx.graph().operands(v)[0]);
    let id = cx.plan().stored[&v];
    let len = f.i64(cx.graph().ty(v).len() as i64);
    let round = |f: &mut Func, form: RowForm, args: [Val; 3]| {
        f.call(&kernels::round_row_name(rounding, form), &args, None);
    };
    match tokens {
        Tokens::One(t) => {
            // Several lines each, and whole blocks.
            let lines = (4 * cx.layer.machine().line_entries()).next_multiple_of(Rounding::BLOCK);
            let mine = f.team_range(cx.args.team(), len, lines as i64);
            let count = f.sub(mine.high, mine.low);
            let (from, to) = (from.at(f, t), cx.row(f, id, t));
            let (from, to) = (f.gep(from, mine.low, Scalar::F32), f.gep(to, mine.low, Scalar::F32));
            round(f, RowForm::Floats, [from, count, to]);
        }
        Tokens::All => {
            let most = f.i64(cx.layer.machine().tiles.skinny_rows);
            let few = f.cmp(Cmp::Le, cx.args.count, most);
            let mine = f.team_range(cx.args.team(), cx.args.count, 1);
            f.team_for(mine, |f, t| {
                cx.at_row(f, t);
                let (from, to) = (from.at(f, t), cx.row(f, id, t));
                if form == RowForm::Floats {
                    return round(f, form, [from, len, to]);
                }
                let floats = |f: &mut Func| {
                    round(f, RowForm::Floats, [from, len, to]);
                    Vec::new()
                };
                f.if_else(few, floats, |f| {
                    round(f, form, [from, len, to]);
                    Vec::new()
                });
            });
        }
    }
}
