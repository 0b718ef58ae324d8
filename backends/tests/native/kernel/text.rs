//! The text of kernels: some small ones.

use insta::assert_snapshot;
use seqc_abi::Level;
use seqc_backends::{
    kernel::{Func, Module},
    kernels,
    lower::program,
    targets,
};
use seqc_ir::Model;
use seqc_passes::{plan::Settings, planned::PlannedModel};

/// A function of a model of one layer, whose graph has these lines and rows of 20 numbers.
fn function(name: &str, lines: &str) -> String {
    let text = format!(
        "model tiny streams 2 {{
           input $0 x : f32[20]
           layer0 encodings [] graph layer {{ input 0 x : f32[20] {lines} }}
           call layer layer0 ($0) -> ($1) {{ }}
           output y $1
         }}"
    );
    let model: Model = text.parse().unwrap_or_else(|e| panic!("{e}"));
    let canonical = seqc_passes::optimised(&model);
    let settings = Settings {
        max_chunk: 8,
        conv_block: 16,
        ..Settings::of(targets::machine(Level::V3))
    };
    let module = program(&PlannedModel::new(&canonical, settings), Level::V3).module;
    let func = module.function(name).map(Func::to_string);
    func.unwrap_or_else(|| module.to_string())
}

#[test]
fn a_copy_is_whole_vectors_and_a_tail() {
    let mut module = Module::default();
    kernels::copy(&mut module, 4);
    assert_snapshot!(module.to_string());
}

#[test]
fn an_elementwise_layer_is_a_nest_over_tokens_and_vectors() {
    let lines = "%0 = input(0) : f32[20] %1 = mul %0, %0 : f32[20] output y %1";
    assert_snapshot!(function("layer0_chunk", lines));
}

#[test]
fn a_recurrence_keeps_its_state_in_registers_through_the_chunk() {
    let lines = "state @0 h : f32[20] next %4
        %0 = input(0) : f32[20] %1 = prev(@0) : f32[20] %2 = const(0.5) : f32[20]
        %3 = mul %1, %2 : f32[20] %4 = add %3, %0 : f32[20] output y %4";
    // What goes along a sequence is a part of its own, which is called for each segment.
    assert_snapshot!(function("layer0_chunk_part0", lines));
}
