//! `seqc explain` agrees with the code: where a state is while tokens pass, in which form a recurrence runs, and what is fused.

use seqc::{
    backend,
    driver::{self, Product},
    explain,
    model::{self, Built, ReadOptions},
    render,
    request::{Emit, Request},
    source::Sources,
};
use seqc_abi::Level;
use std::path::{Path, PathBuf};

/// A shipped model, read.
fn shipped(name: &str) -> Built {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs").join(name);
    let mut sources = Sources::default();
    model::read(&path, &mut sources, &ReadOptions::default()).unwrap_or_else(|diagnostics| {
        let text: Vec<_> = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
        panic!("{}", text.join("\n"))
    })
}

/// What is said about the layer of this name, and the text of its function for chunks.
fn both(built: &Built, layer: &str, level: Level) -> (String, String) {
    let canonical = backend::canonical(&built.model);
    let planned = backend::plan(&canonical, &built.meta, level);
    let kinds = canonical.kinds.iter();
    let n = kinds
        .map(|kind| kind.graph.name.as_str())
        .position(|name| name == layer);
    let n = n.unwrap_or_else(|| panic!("no layer {layer}"));
    let said = explain::layer(&canonical.kinds[n].graph, &[&planned.plans[n]]);
    let request = Request {
        read: ReadOptions::default(),
        emit: Emit::Kernels,
        target: level.name().to_owned(),
        output: PathBuf::from("-"),
        embed: false,
        force: false,
        prefix: "seqc".to_owned(),
    };
    let text = match driver::stages(built, &request, &mut |_, _, _| {}) {
        Ok(Product::Text(text)) => text,
        other => panic!("{other:?}"),
    };
    let prefix = format!("fn @layer{n}_chunk");
    let functions = text.split("\n}").map(str::trim_start);
    let code: Vec<&str> = functions.filter(|code| code.starts_with(&prefix)).collect();
    (said, code.join("\n"))
}

/// The lines of loops over the tokens of a segment, whose first row is the argument of that number.
fn token_loops(code: &str) -> Vec<&str> {
    code.lines().filter(|line| line.contains(" in %12..")).collect()
}

/// The vectors that a loop carries.
fn carried(line: &str) -> usize {
    line.split(" = for ")
        .next()
        .filter(|head| *head != line)
        .map_or(0, |head| head.split(',').count())
}

#[test]
fn a_state_said_to_be_in_memory_is_carried_by_no_loop_over_tokens() {
    let built = shipped("models/mamba-130m.yaml");
    for level in Level::ALL {
        let (said, code) = both(&built, "mamba", level);
        assert!(said.contains("block of the state in memory (2048 bytes)"), "{said}");
        assert!(token_loops(&code).iter().all(|line| carried(line) == 0), "{code}");
        // The state's entries are a loop inside, which adds up what results need of them.
        assert!(
            code.lines()
                .any(|line| line.contains("f32x32 = for ") && line.contains(" in 0..16,")),
            "{code}"
        );
    }
}

#[test]
fn a_state_said_to_be_in_registers_is_carried_by_the_loop_over_tokens() {
    let built = shipped("models/scout-130m.yaml");
    for level in Level::ALL {
        let (said, code) = both(&built, "decaying_sum", level);
        assert!(
            said.contains("blocks of 32 entries along axis 0, block of the state in registers"),
            "{said}"
        );
        let loops = token_loops(&code);
        assert!(
            loops
                .iter()
                .any(|line| carried(line) == 1 && line.contains("f32x32 = for ")),
            "{loops:?}"
        );
    }
}

#[test]
fn a_matrix_form_said_to_be_taken_multiplies_tiles_over_blocks_of_tokens() {
    let built = shipped("models/deltanet-130m.yaml");
    let (said, code) = both(&built, "gated_deltanet", Level::V3);
    assert!(
        said.contains("for chunks of 3 tokens or more chunked WY form, blocks of 48 tokens"),
        "{said}"
    );
    assert!(
        code.contains(" ge %8, 3") && token_loops(&code).iter().any(|line| line.contains(" step 48")),
        "{code}"
    );
    assert!(code.contains("call @seqc_tile_"), "{code}");
    let (said, code) = both(&shipped("models/mamba-130m.yaml"), "mamba", Level::V3);
    assert!(
        said.contains("chunked matrix form (state-space duality): not applicable, "),
        "{said}"
    );
    assert!(!code.contains("call @seqc_tile_"), "{code}");
}

#[test]
fn results_said_to_be_fused_are_computed_between_a_product_and_the_barrier_behind_it() {
    let (said, code) = both(&shipped("models/mamba-130m.yaml"), "mamba", Level::V3);
    assert!(
        said.contains("matmul 1536x48 with 2 results in the epilogue; scan with 1 result"),
        "{said}"
    );
    let kernels: Vec<&str> = code.split("call @seqc_barrier").collect();
    let product = kernels
        .iter()
        .position(|kernel| kernel.contains("call @seqc_gemm_f32_48("));
    let product = product.unwrap_or_else(|| panic!("{code}"));
    let behind = kernels[product]
        .rsplit("call @seqc_gemm_f32_48(")
        .next()
        .unwrap_or_default();
    // softplus of the step, and the step times the input.
    assert_eq!(behind.matches(" store ").count(), 2, "{behind}");
    // The scan goes along each segment, as a part of its own.
    let called = kernels[product + 1]
        .split("call @")
        .nth(1)
        .and_then(|call| call.split('(').next());
    let scan = format!("fn @{}(", called.unwrap_or_default());
    let part = code
        .split("\nfn @")
        .find(|part| format!("fn @{part}").starts_with(&scan));
    assert!(part.is_some_and(|part| part.contains(" in 0..16,")), "{scan}");
}
