//! Stacks of matrices of which every token multiplies with those that data choose: mixtures of experts.

use seqc_ir::{Graph, Op, Value};

/// What a product takes its matrices from. Products that take them from equal stacks can be computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The numbers of the matrices, as many as are chosen.
    pub index: Value,
    /// Matrices that a token chooses.
    pub chosen: usize,
    /// Matrices of the stack.
    pub matrices: usize,
    /// Rows of each of them.
    pub rows: usize,
}

impl Stack {
    /// The stack of a product; `None` where that has one matrix for all tokens.
    pub fn of(graph: &Graph, product: Value) -> Option<Stack> {
        let Op::IndexedMatVec = graph.op(product) else {
            return None;
        };
        let operands = graph.operands(product);
        let chosen = graph.ty(operands[1]).len();
        Some(Stack {
            index: operands[1],
            chosen,
            matrices: graph.ty(operands[0]).dims[0].size,
            rows: graph.ty(product).len() / chosen.max(1),
        })
    }
}
