//! Each class of recurrences by a small graph.

use super::*;
use crate::optimise;

/// The class of the recurrence of `h[2, 3, 4]`, whose next value `%50` is computed from the previous one `%9`: `%0` is an
/// input of this shape, `%1` a parameter, `%2` an input for each first index, `%3` a truth value of the token.
fn class(nodes: &str) -> Class {
    let text = format!(
        "graph g {{
  param 0 p : f32[2, 3, 4]
  input 0 x : f32[2, 3, 4]
  input 1 a : f32[2]
  state @0 h : f32[2, 3, 4] next %50
  %0 = input(0) : f32[2, 3, 4]
  %1 = param(0) : f32[2, 3, 4]
  %2 = input(1) : f32[2]
  %9 = prev(@0) : f32[2, 3, 4]
  %4 = view(0) %2 : f32
  %5 = const(0.0) : f32
  %6 = gt %4, %5 : bool
  %3 = view() %6 : bool[2, 3, 4]
{nodes}
  output y %50
}}
"
    );
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    optimise(&mut graph);
    let found = recurrences(&graph);
    assert_eq!(found.len(), 1, "{text}");
    found[0].class
}

/// The states of each recurrence of a graph with two states of `[2, 3]` whose previous values are `%1` and `%2` and whose next ones are `%50`
/// and `%60`; `%0` is an input of this shape.
fn states(nodes: &str) -> Vec<usize> {
    let text = format!(
        "graph g {{
  input 0 x : f32[2, 3]
  state @0 a : f32[2, 3] next %50
  state @1 b : f32[2, 3] next %60
  %0 = input(0) : f32[2, 3]
  %1 = prev(@0) : f32[2, 3]
  %2 = prev(@1) : f32[2, 3]
{nodes}
  output y %50
  output z %60
}}
"
    );
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    recurrences(&graph).iter().map(|r| r.states.len()).collect()
}

#[test]
fn recurrences_that_feed_each_other_entry_by_entry_are_one() {
    let first = "%50 = add %1, %0 : f32[2, 3]";
    let next = format!("{first}\n%51 = mul %50, %0 : f32[2, 3]\n%60 = add %2, %51 : f32[2, 3]");
    assert_eq!(states(&next), [2]);
    let previous = format!("{first}\n%60 = add %2, %1 : f32[2, 3]");
    assert_eq!(states(&previous), [2]);
}

#[test]
fn recurrences_stay_apart_where_one_reads_other_entries_of_the_other() {
    let first = "%50 = add %1, %0 : f32[2, 3]";
    let sum = "%52 = reduce(sum, axes=1) %50 : f32[2]\n%53 = view(i0) %52 : f32[2, 3]";
    let summed = format!("{first}\n{sum}\n%60 = add %2, %53 : f32[2, 3]");
    assert_eq!(states(&summed), [1, 1]);
    // What is between runs entry by entry on one way only.
    let both = format!("{first}\n{sum}\n%54 = add %53, %50 : f32[2, 3]\n%60 = add %2, %54 : f32[2, 3]");
    assert_eq!(states(&both), [1, 1]);
    let neither = format!("{first}\n%60 = add %2, %0 : f32[2, 3]");
    assert_eq!(states(&neither), [1, 1]);
}

#[test]
fn a_factor_of_parameters_is_constant() {
    assert_eq!(
        class("%10 = mul %1, %9 : f32[2, 3, 4]\n%50 = add %10, %0 : f32[2, 3, 4]"),
        Class::Constant
    );
}

#[test]
fn a_factor_of_the_input_is_diagonal() {
    assert_eq!(
        class("%10 = mul %0, %9 : f32[2, 3, 4]\n%50 = add %10, %0 : f32[2, 3, 4]"),
        Class::Diagonal
    );
    assert_eq!(
        class("%10 = div %9, %0 : f32[2, 3, 4]\n%50 = add %10, %0 : f32[2, 3, 4]"),
        Class::Diagonal
    );
}

#[test]
fn a_factor_for_each_head_is_a_scalar() {
    let nodes = "%10 = view(i0) %2 : f32[2, 3, 4]\n%11 = mul %10, %9 : f32[2, 3, 4]\n%50 = add %11, %0 : f32[2, 3, 4]";
    assert_eq!(class(nodes), Class::ScalarPerHead);
}

#[test]
fn a_condition_on_the_input_is_a_factor() {
    // The state is kept, or decays.
    let kept = "%10 = mul %1, %9 : f32[2, 3, 4]\n%50 = select %3, %10, %9 : f32[2, 3, 4]";
    assert_eq!(class(kept), Class::ScalarPerHead);
    // A condition for each entry: the state is kept, or replaced.
    let zeros = "%10 = view() %5 : f32[2, 3, 4]\n%11 = gt %0, %10 : bool[2, 3, 4]";
    assert_eq!(
        class(&format!("{zeros}\n%50 = select %11, %0, %9 : f32[2, 3, 4]")),
        Class::Diagonal
    );
    // A condition on what is added is none.
    let added = "%10 = select %3, %0, %1 : f32[2, 3, 4]\n%50 = add %9, %10 : f32[2, 3, 4]";
    assert_eq!(class(added), Class::Constant);
}

#[test]
fn a_condition_on_parameters_is_constant() {
    let nodes =
        "%10 = view() %5 : f32[2, 3, 4]\n%11 = gt %1, %10 : bool[2, 3, 4]\n%50 = select %11, %0, %9 : f32[2, 3, 4]";
    assert_eq!(class(nodes), Class::Constant);
}

#[test]
fn an_initial_value_changes_no_coefficient() {
    let first =
        "%10 = position : i64\n%11 = const(0.0) : i64\n%12 = eq %10, %11 : bool\n%13 = view() %12 : bool[2, 3, 4]";
    let nodes = format!("{first}\n%14 = select %13, %1, %9 : f32[2, 3, 4]\n%50 = add %14, %0 : f32[2, 3, 4]");
    assert_eq!(class(&nodes), Class::Constant);
    // At another position it does.
    let nodes = nodes.replace("const(0.0) : i64", "const(5.0) : i64");
    assert_eq!(class(&nodes), Class::ScalarPerHead);
}

#[test]
fn a_delay_is_linear() {
    let late = "%10 = delay(steps=3) %9 : f32[2, 3, 4]";
    let constant = format!("{late}\n%11 = mul %1, %10 : f32[2, 3, 4]\n%50 = add %11, %0 : f32[2, 3, 4]");
    assert_eq!(class(&constant), Class::Constant);
    let diagonal = format!("{late}\n%11 = mul %0, %10 : f32[2, 3, 4]\n%50 = add %11, %0 : f32[2, 3, 4]");
    assert_eq!(class(&diagonal), Class::Diagonal);
    let curved = format!("{late}\n%11 = tanh %10 : f32[2, 3, 4]\n%50 = add %11, %0 : f32[2, 3, 4]");
    assert_eq!(class(&curved), Class::Elementwise);
}

#[test]
fn sums_over_entries_with_a_factor_of_the_input_are_matrices() {
    let mixed = |factor: &str| {
        format!(
            "%10 = view(i0, i3, i2) {factor} : f32[2, 3, 4, 3]\n%11 = view(i0, i3, i2) %9 : f32[2, 3, 4, 3]\n%12 = mul %10, %11 : f32[2, 3, 4, 3]\n%13 = reduce(sum, axes=1) %12 : f32[2, 3, 4]\n%50 = add %13, %0 : f32[2, 3, 4]"
        )
    };
    assert_eq!(class(&mixed("%0")), Class::Matrix);
    assert_eq!(class(&mixed("%1")), Class::Constant);
}

#[test]
fn what_bends_the_state_is_not_linear() {
    assert_eq!(
        class("%10 = tanh %9 : f32[2, 3, 4]\n%50 = add %10, %0 : f32[2, 3, 4]"),
        Class::Elementwise
    );
    assert_eq!(
        class("%10 = mul %9, %9 : f32[2, 3, 4]\n%50 = add %10, %0 : f32[2, 3, 4]"),
        Class::Elementwise
    );
    // A condition on the state itself.
    let own = "%10 = gt %9, %0 : bool[2, 3, 4]\n%50 = select %10, %9, %0 : f32[2, 3, 4]";
    assert_eq!(class(own), Class::Elementwise);
    let turned = "%10 = view(i0, i1, i2 * -1 + 3) %9 : f32[2, 3, 4]\n%11 = max %10, %0 : f32[2, 3, 4]\n%50 = add %11, %9 : f32[2, 3, 4]";
    assert_eq!(class(turned), Class::Sequential);
}
