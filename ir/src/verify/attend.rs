//! Law 11: attention.

use super::{Report, node::shape};
use crate::{AttendSpec, BinaryOp, Elem, ScoreExpr, Ty, UnaryOp, Value};

pub(super) fn check(report: &mut Report<'_>, value: Value, spec: &AttendSpec, types: &[&Ty]) {
    let (q, k, v) = (types[0], types[1], types[2]);
    let real = [q, k, v, report.graph.ty(value)].iter().all(|t| t.elem == Elem::F32);
    report.require(real, 6, value, || "queries, keys and values are real".to_owned());
    let ([h, e], [g, key], [gv, f]) = (&q.sizes()[..], &k.sizes()[..], &v.sizes()[..]) else {
        return report.at(11, value, "queries, keys and values have two axes: heads and entries");
    };
    report.require(g == gv, 11, value, || format!("{g} key heads and {gv} value heads"));
    report.require(h % g == 0, 11, value, || {
        format!("{h} query heads are not a multiple of {g} key heads")
    });
    report.require(e == key, 11, value, || format!("queries have {e} entries, keys {key}"));
    shape(report, value, &[*h, *f]);
    report.require(spec.scale.is_finite(), 11, value, || {
        "the scale is not finite".to_owned()
    });
    let (query, key) = types[3..].split_at(spec.query_streams);
    let streams = query.iter().map(|ty| ("query", ty));
    for (what, ty) in streams.chain(key.iter().map(|ty| ("key", ty))) {
        let fits = ty.rank() == 0 || ty.sizes() == [*h];
        report.require(fits, 11, value, || {
            format!("a {what} stream is {ty}, neither a scalar nor [{h}]")
        });
    }
    for ty in &types[3..] {
        report.require(ty.elem != Elem::Bool, 11, value, || {
            "streams are real or integer".to_owned()
        });
    }
    for (expr, truth, what) in [(&spec.predicate, true, "predicate"), (&spec.score, false, "score")] {
        let Some(expr) = expr else { continue };
        match is_truth(expr, spec, !truth) {
            Err(message) => report.at(11, value, format!("{message} in the {what}")),
            Ok(found) if found != truth => report.at(11, value, format!("the {what} has the wrong type")),
            Ok(_) => {}
        }
    }
}

/// Whether an expression is a truth value or a number; an error when neither.
fn is_truth(expr: &ScoreExpr, spec: &AttendSpec, with_score: bool) -> Result<bool, String> {
    let sub = |e: &ScoreExpr| is_truth(e, spec, with_score);
    let wrong = |name: &str| Err(format!("`{name}` mixes numbers and truth values"));
    match expr {
        ScoreExpr::Score if !with_score => Err("the score is used".to_owned()),
        ScoreExpr::QueryStream(n) if *n >= spec.query_streams => Err(format!("there is no query stream {n}")),
        ScoreExpr::KeyStream(n) if *n >= spec.key_streams => Err(format!("there is no key stream {n}")),
        ScoreExpr::Score
        | ScoreExpr::QueryPos
        | ScoreExpr::KeyPos
        | ScoreExpr::Head
        | ScoreExpr::QueryStream(_)
        | ScoreExpr::KeyStream(_)
        | ScoreExpr::Const(_) => Ok(false),
        ScoreExpr::Unary(op, x) => match (op, sub(x)?) {
            (UnaryOp::Not, true) => Ok(true),
            (UnaryOp::Not, false) | (_, true) => wrong(op.name()),
            (_, false) => Ok(false),
        },
        ScoreExpr::Binary(op, x, y) => {
            let logic = matches!(op, BinaryOp::And | BinaryOp::Or);
            if (sub(x)?, sub(y)?) == (logic, logic) {
                Ok(op.is_predicate())
            } else {
                wrong(op.name())
            }
        }
        ScoreExpr::Select(c, a, b) => match (sub(c)?, sub(a)?, sub(b)?) {
            (true, a, b) if a == b => Ok(a),
            _ => wrong("select"),
        },
    }
}
