//! The traversal and the domains of this crate.

use super::*;
use crate::BinaryOp::{Add, Div, Lt, Mul, Sub};

fn window_of_head() -> PairExpr {
    let distance = PairExpr::binary(Sub, PairExpr::QueryPos, PairExpr::KeyPos);
    let width = PairExpr::binary(Mul, PairExpr::Head, PairExpr::Const(4.0));
    PairExpr::binary(Lt, distance, width)
}

#[test]
fn leaves_come_in_the_order_in_which_they_are_written() {
    let leaves = [
        PairLeaf::QueryPos,
        PairLeaf::KeyPos,
        PairLeaf::Head,
        PairLeaf::Const(4.0),
    ];
    assert_eq!(window_of_head().leaves(), leaves);
    assert_eq!(window_of_head().operations(), 3);
}

#[test]
fn an_expression_for_one_head_does_not_use_the_head() {
    let narrow = window_of_head().with_head(2);
    assert_eq!(narrow.to_string(), "lt(sub(i, j), mul(2.0, 4.0))");
    assert!(window_of_head().uses_head() && !narrow.uses_head());
}

#[test]
fn constants_are_known_and_what_depends_on_the_head_is_for_each_head() {
    let slope = PairExpr::binary(Add, PairExpr::Head, PairExpr::Const(1.0));
    assert_eq!((slope.constant(), slope.at_head(2)), (None, Some(3.0)));
    assert_eq!(window_of_head().at_head(2), None);
    let choice = PairExpr::select(PairExpr::Const(1.0), PairExpr::Const(5.0), PairExpr::KeyPos);
    assert_eq!(choice.constant(), None, "all parts must be known");
}

#[test]
fn quotients_by_constants_are_finite_and_others_need_not_be() {
    let by = |y| PairExpr::binary(Div, PairExpr::KeyPos, y);
    assert!(by(PairExpr::Const(4.0)).is_finite());
    assert!(!by(PairExpr::Const(0.0)).is_finite());
    assert!(!by(PairExpr::QueryPos).is_finite());
    assert!(!PairExpr::KeyStream(0).is_finite());
}

#[test]
fn a_negation_of_a_negation_is_none() {
    assert_eq!(window_of_head().negated().negated(), window_of_head());
}
