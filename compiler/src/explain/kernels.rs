//! What a chunk runs, kernel after kernel.

use super::counted;
use seqc_ir::{Graph, Value};
use seqc_passes::plan::{Kernel, Matmul};

/// A clause for each kernel.
pub(super) fn steps(graph: &Graph, kernels: &[Kernel]) -> Vec<String> {
    let step = |kernel: &Kernel| match kernel {
        Kernel::Matmuls(products) => product_step(graph, products),
        Kernel::Map(nests) => format!("{} over entries, token by token", loops(nests.len())),
        Kernel::Scan(scan) => format!("a scan with {}", counted(scan.outputs.len(), "result", "results")),
        Kernel::Attend(_) => "attention".to_owned(),
        Kernel::LongConv(_) => "a long convolution".to_owned(),
        Kernel::Heads { heads: 1, nests, .. } => {
            format!("{} over entries, one token after another", loops(nests.len()))
        }
        Kernel::Heads { heads, nests, .. } => format!(
            "{heads} heads side by side, each token by token ({})",
            loops(nests.len())
        ),
        Kernel::Loop(body) => format!("for every token ({})", steps(graph, body).join(", ")),
        Kernel::Commit(states) => format!("{} stored", counted(states.len(), "state", "states")),
    };
    kernels.iter().map(step).collect()
}

fn loops(n: usize) -> String {
    counted(n, "loop", "loops")
}

fn product_step(graph: &Graph, products: &[Matmul]) -> String {
    let all: Vec<Value> = products.iter().flat_map(|m| m.products.iter().copied()).collect();
    let shapes: Vec<String> = all
        .iter()
        .map(|v| format!("{}x{}", graph.ty(*v).len(), graph.ty(graph.operands(*v)[1]).len()))
        .collect();
    let fused: usize = products.iter().map(|m| m.epilogue.len()).sum();
    let with = if fused > 0 {
        format!(" with {}", counted(fused, "fused result", "fused results"))
    } else {
        String::new()
    };
    format!("products {}{with}", shapes.join(" "))
}
