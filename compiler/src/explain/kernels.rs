//! The kernels of a chunk, in order.

use super::words::counted;
use seqc_ir::{Graph, Rounding, Value};
use seqc_passes::plan::{Kernel, Matmul, Stack};

/// A clause for each kernel.
pub(super) fn steps(graph: &Graph, kernels: &[Kernel]) -> Vec<String> {
    let step = |kernel: &Kernel| match kernel {
        Kernel::Matmuls(products) => product_step(graph, products),
        Kernel::Map(nests) => format!("elementwise ({})", loops(nests.len())),
        Kernel::Scan(scan) => format!("scan with {}", counted(scan.outputs.len(), "result", "results")),
        Kernel::Attend(_) => "attention".to_owned(),
        Kernel::LongConv(_) => "long convolution".to_owned(),
        Kernel::Reverse(_) => "rows from the end".to_owned(),
        Kernel::RoundRow(v) => {
            let rounding = graph.op(*v).rounding().map_or("", Rounding::name);
            format!("activations to {rounding}")
        }
        Kernel::Heads { heads: 1, nests, .. } => {
            format!("token loop ({})", loops(nests.len()))
        }
        Kernel::Heads { heads, nests, .. } => {
            format!("{heads} heads in parallel, tokens in sequence ({})", loops(nests.len()))
        }
        Kernel::Loop(body) => format!("token loop ({})", steps(graph, body).join(", ")),
        Kernel::Commit(states) => format!("store {}", counted(states.len(), "state", "states")),
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
        .map(|v| match Stack::of(graph, *v) {
            None => format!("{}x{}", graph.ty(*v).len(), graph.columns(*v)),
            Some(stack) => {
                let Stack {
                    chosen, matrices, rows, ..
                } = stack;
                format!("{chosen} of {matrices} {rows}x{}", graph.columns(*v))
            }
        })
        .collect();
    let fused: usize = products.iter().map(|m| m.epilogue.len()).sum();
    let with = if fused > 0 {
        format!(" with {} in the epilogue", counted(fused, "result", "results"))
    } else {
        String::new()
    };
    format!("matmul {}{with}", shapes.join(" "))
}
