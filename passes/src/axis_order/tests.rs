//! The order of axes: which there is, that nothing in order is touched, and that results mean the same.

use super::*;
use seqc_ir::verify::verify;

fn ordered(text: &str) -> Graph {
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(verify(&graph), []);
    order_axes(&mut graph);
    assert_eq!(verify(&graph), [], "{graph}");
    graph
}

/// Dimensions of all states.
fn states(graph: &Graph) -> Vec<Vec<usize>> {
    graph.states.iter().map(|state| state.ty.sizes()).collect()
}

/// Linear attention over states of these axes, of `h` heads (2), `k` (3) and `v` (4); each name with its place among them.
fn linear_attention(axes: [char; 3], result: [char; 2]) -> String {
    let size = |name: &char| match name {
        'h' => 2,
        'k' => 3,
        _ => 4,
    };
    let list = |names: &[char]| names.iter().map(|n| size(n).to_string()).collect::<Vec<_>>().join(", ");
    let at = |names: &[char], of: &[char]| {
        let place = |name: &char| of.iter().position(|other| other == name).map(|n| format!("i{n}"));
        names.iter().filter_map(place).collect::<Vec<_>>().join(", ")
    };
    let (s, inner) = (list(&axes), [result[0], result[1], 'k']);
    let (y, body) = (list(&result), list(&inner));
    let (a, k, v) = (at(&['h'], &axes), at(&['h', 'k'], &axes), at(&['h', 'v'], &axes));
    let (state, q) = (at(&axes, &inner), at(&['h', 'k'], &inner));
    format!(
        "graph g {{ input 0 a : f32[2] input 1 k : f32[2, 3] input 2 v : f32[2, 4] state @0 s : f32[{s}] next %9
        %0 = input(0) : f32[2] %1 = input(1) : f32[2, 3] %2 = input(2) : f32[2, 4] %3 = prev(@0) : f32[{s}]
        %4 = view({a}) %0 : f32[{s}] %5 = mul %4, %3 : f32[{s}] %6 = view({k}) %1 : f32[{s}] %7 = view({v}) %2 : f32[{s}]
        %8 = mul %6, %7 : f32[{s}] %9 = add %5, %8 : f32[{s}]
        %10 = view({state}) %9 : f32[{body}] %11 = view({q}) %1 : f32[{body}] %12 = mul %10, %11 : f32[{body}]
        %13 = reduce(sum, axes=1) %12 : f32[{y}]
        output y %13 }}"
    )
}

#[test]
fn heads_come_first_and_sums_keep_the_order_of_the_state() {
    for axes in [['k', 'v', 'h'], ['k', 'h', 'v'], ['h', 'k', 'v']] {
        for result in [['h', 'v'], ['v', 'h']] {
            let graph = ordered(&linear_attention(axes, result));
            assert_eq!(states(&graph), [[2, 3, 4]], "{axes:?}\n{graph}");
            let sums = graph
                .values()
                .into_iter()
                .filter(|v| graph.class(*v) == OpClass::Reduction);
            let shapes: Vec<Vec<usize>> = sums.map(|v| graph.ty(v).sizes()).collect();
            assert_eq!(shapes, [[2, 4]], "{result:?}\n{graph}");
        }
    }
    let graph = ordered(&linear_attention(['v', 'k', 'h'], ['v', 'h']));
    assert_eq!(states(&graph), [[2, 4, 3]], "{graph}");
}

#[test]
fn what_is_in_order_stays_as_it_is() {
    let text = linear_attention(['h', 'k', 'v'], ['h', 'v']);
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ordered(&text).to_string(), graph.to_string());
}

/// An entry that reads the previous state at other indices: there is no order of all.
#[test]
fn states_that_turn_from_token_to_token_stay_as_they_are() {
    let text = "graph g { input 0 x : f32[3, 3] state @0 s : f32[3, 3] next %3
        %0 = input(0) : f32[3, 3] %1 = prev(@0) : f32[3, 3] %2 = view(i1, i0) %1 : f32[3, 3] %3 = add %2, %0 : f32[3, 3]
        %4 = reduce(sum, axes=1) %3 : f32[3]
        output y %4 }";
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ordered(text).to_string(), graph.to_string());
}

/// A state that something else than sums reads keeps its order.
#[test]
fn results_of_whole_states_keep_their_order() {
    let text = linear_attention(['k', 'v', 'h'], ['h', 'v']).replace("output y %13", "output y %13 output s %9");
    assert_eq!(states(&ordered(&text)), [[3, 4, 2]]);
}
