//! Costs of small graphs, counted by hand.

use super::*;
use crate::{
    machine::Machine,
    optimise,
    plan::{Plan, Settings},
};
use seqc_ir::Graph;

fn cost_of(text: &str) -> Cost {
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    optimise(&mut graph);
    let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE));
    cost(&graph, &plan)
}

fn attention(predicate: &str) -> Cost {
    with_policy(predicate, "")
}

fn with_policy(predicate: &str, policy: &str) -> Cost {
    cost_of(&format!(
        "graph a {{
  input 0 q : f32[4, 8]
  input 1 k : f32[2, 8]
  input 2 v : f32[2, 6]
  %0 = input(0) : f32[4, 8]
  %1 = input(1) : f32[2, 8]
  %2 = input(2) : f32[2, 6]
  %3 = attend(scale=1.0, {predicate}normalise=softmax, causal=true, query=0, key=0{policy}) %0, %1, %2 : f32[4, 6]
  output y %3
}}
"
    ))
}

#[test]
fn a_product_reads_its_matrix_and_counts_every_entry() {
    let found = cost_of(
        "graph p {
  param 0 w : f32[3, 5]
  param 1 b : f32[3]
  input 0 x : f32[5]
  %0 = param(0) : f32[3, 5]
  %1 = param(1) : f32[3]
  %2 = input(0) : f32[5]
  %3 = matvec %0, %2 : f32[3]
  %4 = add %3, %1 : f32[3]
  output y %4
}
",
    );
    assert_eq!((found.parameters, found.products), (18, 15.0));
    let mut reads: Vec<_> = found.reads.iter().map(|r| (r.param, r.entries, r.rows)).collect();
    reads.sort_unstable();
    assert_eq!(reads, [(Some(0), 15, false), (Some(1), 3, false)]);
    assert_eq!(found.fixed_operations(), 33.0);
    assert_eq!(
        (found.moved_bytes(), found.caches.len(), found.token_steps),
        (0.0, 0, 0)
    );
}

#[test]
fn of_a_table_a_token_reads_a_row() {
    let found = cost_of(
        "graph t {
  param 0 w : f32[100, 5]
  input 0 t : i64
  %0 = param(0) : f32[100, 5]
  %1 = input(0) : i64
  %2 = gather %0, %1 : f32[5]
  output y %2
}
",
    );
    let reads: Vec<_> = found.reads.iter().map(|r| (r.param, r.entries, r.rows)).collect();
    assert_eq!(reads, [(Some(0), 5, true)]);
}

#[test]
fn of_matrices_that_are_picked_a_token_reads_those() {
    // Two picks of one of eight matrices, three of them by one index each.
    let found = cost_of(
        "graph e {
  param 0 w : f32[8, 4, 5]
  input 0 i : i64
  input 1 j : i64[2]
  %0 = param(0) : f32[8, 4, 5]
  %1 = input(0) : i64
  %2 = input(1) : i64[2]
  %3 = gather %0, %1 : f32[4, 5]
  %4 = gather %0, %2 : f32[2, 4, 5]
  output a %3
  output b %4
}
",
    );
    let reads: Vec<_> = found.reads.iter().map(|r| (r.param, r.entries, r.rows)).collect();
    assert_eq!(reads, [(Some(0), 3 * 20, true)]);
}

#[test]
fn no_more_is_read_of_a_table_than_it_has() {
    let found = cost_of(
        "graph m {
  param 0 w : f32[2, 4]
  input 0 j : i64[5]
  %0 = param(0) : f32[2, 4]
  %1 = input(0) : i64[5]
  %2 = gather %0, %1 : f32[5, 4]
  output a %2
}
",
    );
    assert_eq!(found.reads.iter().map(|r| r.entries).collect::<Vec<_>>(), [8]);
}

#[test]
fn a_recurrence_counts_its_entries_once_and_keeps_its_state() {
    let found = cost_of(
        "graph r {
  param 0 a : f32[7]
  input 0 x : f32[7]
  state @0 h : f32[7] next %4
  %0 = param(0) : f32[7]
  %1 = input(0) : f32[7]
  %2 = prev(@0) : f32[7]
  %3 = mul %0, %2 : f32[7]
  %4 = add %3, %1 : f32[7]
  output y %4
}
",
    );
    assert_eq!(found.moved_bytes(), 56.0);
    let work = found.scans.operations + found.loops.operations + found.sequential.operations;
    assert_eq!(work, 14.0);
}

#[test]
fn earlier_rows_are_read_and_stored() {
    let found = cost_of(
        "graph d {
  input 0 x : f32[3]
  %0 = input(0) : f32[3]
  %1 = delay(steps=4) %0 : f32[3]
  %2 = add %0, %1 : f32[3]
  output y %2
}
",
    );
    assert_eq!((found.history, found.moved_bytes()), (48, 96.0));
}

#[test]
fn what_is_read_of_a_cache_grows_up_to_its_bound() {
    let whole = attention("");
    // Two key heads with keys of 8 and values of 6.
    assert_eq!(whole.caches[0].token_bytes, 2 * 14 * 4);
    assert_eq!(whole.cache_bytes(1000.0), 112_000.0);
    let window = attention("where=lt(sub(i, j), 100.0), ");
    assert_eq!(window.cache_bytes(50.0), 5_600.0);
    assert_eq!(window.cache_bytes(1000.0), 11_200.0);
}

#[test]
fn codes_are_unpacked_for_every_key_head_and_memories_updated() {
    let of = |policy: &str| with_policy("", &format!(", policy=({policy})")).caches[0].clone();
    let unpack = Machine::PORTABLE.rates.unpack;
    let codes = of("see query=i key=j, keys bits=8 group=8 along=channels symmetric=true");
    // Two key heads with keys of 8.
    assert_eq!(codes.policy_weight(100.0), 2.0 * 8.0 * 100.0 * unpack);
    // A chunk shares what it unpacks.
    assert_eq!(codes.mean_policy_weight(100.0, 50.0), 2.0 * 8.0 * 50.0 * unpack / 50.0);
    let mass = of("memory \"mass\" init=0.0 next=add(k5, s), see query=i key=j");
    assert_eq!(mass.policy_weight(100.0), 2.0 * 100.0);
    assert_eq!(mass.mean_policy_weight(100.0, 50.0), 2.0 * 50.0);
    assert_eq!(attention("").caches[0].policy_weight(100.0), 0.0);
}

#[test]
fn a_prompt_sees_half_of_itself_and_a_window_no_more_than_the_window() {
    let whole = attention("").caches[0].clone();
    assert_eq!(whole.mean_keys(1000.0), 500.0);
    let window = attention("where=lt(sub(i, j), 100.0), ").caches[0].clone();
    // The first hundred tokens see fifty on average, the others a hundred.
    assert_eq!(window.mean_keys(1000.0), 95.0);
    let both = Cache { causal: false, ..whole };
    assert_eq!(both.mean_keys(1000.0), 1000.0);
}

#[test]
fn a_long_filter_costs_the_logarithm_of_its_length() {
    let of = |taps: usize| {
        cost_of(&format!(
            "graph f {{
  param 0 f : f32[4, {taps}]
  input 0 x : f32[4]
  %0 = param(0) : f32[4, {taps}]
  %1 = input(0) : f32[4]
  %2 = long_conv %1, %0 : f32[4]
  output y %2
}}
"
        ))
    };
    let (short, long) = (of(2048), of(65536));
    assert_eq!((long.filters[0].channels, long.filters[0].blocks.taps), (4, 65536));
    let growth = long.decode_operations(65536.0) / short.decode_operations(2048.0);
    assert!(growth > 1.0 && growth < 2.5, "{growth}");
}

#[test]
fn sums_are_told_apart_from_what_is_computed_entry_by_entry() {
    let found = cost_of(
        "graph s {
  param 0 c : f32[3, 5]
  input 0 x : f32[3, 5]
  input 1 z : f32[7]
  %0 = param(0) : f32[3, 5]
  %1 = input(0) : f32[3, 5]
  %2 = sub %1, %0 : f32[3, 5]
  %3 = exp %2 : f32[3, 5]
  %4 = reduce(sum, axes=1) %3 : f32[3]
  %5 = input(1) : f32[7]
  %6 = add %5, %5 : f32[7]
  output y %4
  output w %6
}
",
    );
    // Fifteen terms and as many differences; exponentials take longer than the sum, the rest is none.
    assert_eq!(found.entries.sums, 30.0);
    assert_eq!(found.entries.weight, 30.0 + 15.0 * 16.0 + 7.0);
}
