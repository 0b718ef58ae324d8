//! Caches of fewer bits, in the evaluator.

use seqc_formats::Encoding;
use seqc_ir::{
    AttendSpec, Elem, Graph, Normaliser, Ty, dims,
    eval::{Evaluator, Tensor},
};

#[test]
fn a_cache_of_halves_keeps_the_nearest_half_of_keys_and_values() {
    let sum = |stored| {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", Ty::new(Elem::F32, dims(&[1, 1])));
        let one = graph.constant(1.0, Ty::new(Elem::F32, dims(&[1, 1])));
        let spec = AttendSpec {
            normaliser: Normaliser::None,
            stored,
            ..AttendSpec::default()
        };
        let y = graph.attend(spec, &[one, x, x]);
        graph.add_output("y", y);
        let tokens = [2049.0, 1.0 + 2_f64.powi(-12)].map(|x| vec![Tensor::new(&[1, 1], vec![x])]);
        let evaluator = Evaluator::new(&graph, &[]).expect("a valid graph");
        let rows = evaluator.run_whole(&tokens).expect("evaluated");
        rows.iter().map(|row| row[0].data[0]).collect::<Vec<f64>>()
    };
    // 2049 is between 2048 and 2050, of which 2048 is even.
    let near = 1.0 + 2_f64.powi(-12);
    assert_eq!(sum(Encoding::F32), [2049.0 * 2049.0, 2049.0 * 2049.0 + near * near]);
    assert_eq!(sum(Encoding::F16), [2048.0 * 2048.0, 2048.0 * 2048.0 + 1.0]);
    assert_eq!(sum(Encoding::Bf16), [2048.0 * 2048.0, 2048.0 * 2048.0 + 1.0]);
}
