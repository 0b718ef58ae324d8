//! What is read of states by other kernels: a part of one, where a scan and a matrix form go over all of it, and a large one,
//! of which a loop keeps one row.

use crate::{
    chunked::model,
    generated::{Machine, TOLERANCE, distance, reference, widest},
};
use seqc_ir::Graph;
use seqc_passes::plan::Chunks;

const GRAPHS: [(&str, &str); 4] = [
    (
        "half of the entries",
        "graph slice { input 0 x : f32[64] state @0 h : f32[64] next %5
        %0 = input(0) : f32[64] %1 = prev(@0) : f32[64] %2 = const(0.5) : f32 %3 = view() %2 : f32[64]
        %4 = mul %1, %3 : f32[64] %5 = add %4, %0 : f32[64] %6 = view(i0) %5 : f32[32] %7 = exp %6 : f32[32]
        output y %7 }",
    ),
    (
        "a sum over half of the keys",
        "graph sum { input 0 x : f32[4, 32] input 1 k : f32[8] input 2 q : f32[4] input 3 a : f32[4]
        state @0 S : f32[4, 32, 8] next %9
        %0 = input(0) : f32[4, 32] %1 = input(1) : f32[8] %2 = input(2) : f32[4] %3 = input(3) : f32[4]
        %4 = prev(@0) : f32[4, 32, 8] %5 = sigmoid %3 : f32[4] %6 = view(i0) %5 : f32[4, 32, 8]
        %7 = mul %6, %4 : f32[4, 32, 8] %17 = view(i0, i1) %0 : f32[4, 32, 8] %18 = view(i2) %1 : f32[4, 32, 8]
        %8 = mul %17, %18 : f32[4, 32, 8] %9 = add %7, %8 : f32[4, 32, 8] %10 = view(i0, i1, i2) %9 : f32[4, 32, 4]
        %11 = view(i2) %2 : f32[4, 32, 4] %12 = mul %10, %11 : f32[4, 32, 4] %13 = reduce(sum, axes=1) %12 : f32[4, 32]
        output y %13 }",
    ),
    (
        "half of the values of a delta rule",
        "graph delta { input 0 v : f32[2, 64] input 1 k : f32[2, 64] input 2 q : f32[2, 64] input 3 b : f32[2]
        state @0 S : f32[2, 64, 64] next %16
        %0 = input(0) : f32[2, 64] %1 = input(1) : f32[2, 64] %2 = input(2) : f32[2, 64] %3 = input(3) : f32[2]
        %21 = const(0.125) : f32 %22 = view() %21 : f32[2, 64] %23 = mul %1, %22 : f32[2, 64] %10 = sigmoid %3 : f32[2]
        %4 = prev(@0) : f32[2, 64, 64] %5 = view(i0, i2) %23 : f32[2, 64, 64]
        %6 = view(i0, i2, i1) %4 : f32[2, 64, 64] %7 = mul %6, %5 : f32[2, 64, 64]
        %8 = reduce(sum, axes=1) %7 : f32[2, 64] %9 = sub %0, %8 : f32[2, 64]
        %11 = view(i0) %10 : f32[2, 64] %12 = mul %11, %9 : f32[2, 64]
        %13 = view(i0, i2) %12 : f32[2, 64, 64] %14 = view(i0, i1) %23 : f32[2, 64, 64]
        %15 = mul %14, %13 : f32[2, 64, 64] %16 = add %4, %15 : f32[2, 64, 64]
        %17 = view(i0, i2, i1) %16 : f32[2, 64, 64] %18 = view(i0, i2) %2 : f32[2, 64, 64]
        %19 = mul %17, %18 : f32[2, 64, 64] %20 = reduce(sum, axes=1) %19 : f32[2, 64]
        %24 = view(i0, i1) %20 : f32[2, 32] %25 = exp %24 : f32[2, 32]
        output y %25 }",
    ),
    (
        "a large state of a loop that a scan reads",
        "graph mean { input 0 x : f32[5000] state @0 total : f32[5000] next %9 state @1 held : f32[5000] next %15
        %0 = input(0) : f32[5000] %1 = prev(@0) : f32[5000] %2 = position : i64 %3 = const(3.0) : i64
        %4 = mod %2, %3 : i64 %5 = const(0.0) : i64 %6 = eq %4, %5 : bool %7 = view() %6 : bool[5000]
        %16 = const(0.0) : f32 %17 = view() %16 : f32[5000] %8 = select %7, %17, %1 : f32[5000]
        %9 = add %8, %0 : f32[5000] %10 = const(2.0) : i64 %11 = eq %4, %10 : bool %12 = view() %11 : bool[5000]
        %13 = prev(@1) : f32[5000] %18 = const(3.0) : f32 %19 = view() %18 : f32[5000] %14 = div %9, %19 : f32[5000]
        %15 = select %12, %14, %13 : f32[5000] %20 = add %0, %15 : f32[5000]
        output y %20 }",
    ),
];

#[test]
fn states_are_read_as_the_evaluator_reads_them() {
    for (what, text) in GRAPHS {
        let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(seqc_ir::verify::verify(&graph), [], "{what}");
        let random = model(graph);
        let inputs = random.input_values(3, 70);
        let expected = reference(&random, 0, &inputs);
        for chunks in [Chunks::Tokens, Chunks::Products] {
            let machine = Machine::new(&random, &widest(), 0, 64, chunks);
            for (cut, threads) in [(&[64][..], 1), (&[1], 1), (&[30, 7, 1], 2)] {
                let off = distance(&machine.run(&inputs, cut, threads), &expected, 0);
                assert!(off < TOLERANCE, "{what}, {chunks:?}, chunks {cut:?}: off by {off:e}");
            }
        }
    }
}
