//! Products with chosen matrices of a stack, for a chunk: tokens that chose the same matrix are multiplied with it together.

use super::Product;
use seqc_passes::plan::{Settings, Stack};

/// Most tokens that are multiplied with a matrix together: each panel of it is packed once for them, and their vectors stay in the
/// second-level cache.
const TOGETHER: usize = 128;

/// What a thread keeps in scratch for such products, behind what a product of a panel needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grouping {
    /// Where the matrices are from.
    pub(crate) stack: Stack,
    /// Most tokens that are multiplied together.
    pub(crate) together: usize,
    /// Where the list begins for each matrix of the stack, in bytes: two numbers more than it has matrices.
    pub(crate) starts: usize,
    /// The list of choices by matrix.
    pub(crate) order: usize,
    /// The vectors of each product.
    pub(crate) vectors: usize,
    /// Bytes of the vectors of one product.
    pub(crate) vector_bytes: usize,
    /// The results of each product, of the rows of a panel.
    pub(crate) results: usize,
    /// Bytes of the results of one product.
    pub(crate) result_bytes: usize,
    /// All of it.
    pub(crate) bytes: usize,
}

impl Grouping {
    /// For products with matrices of equal stacks, in chunks of up to `max_chunk` tokens; `before` bytes of scratch are in use.
    pub(super) fn new(settings: &Settings, stack: Stack, products: &[&Product], before: usize) -> Grouping {
        let Settings { machine, max_chunk, .. } = settings;
        let together = TOGETHER.min(*max_chunk).max(1);
        let columns = products.iter().map(|product| product.columns).max().unwrap_or(0);
        let line = |bytes: usize| bytes.next_multiple_of(machine.memory.line);
        let starts = line(before);
        let order = starts + line(8 * (stack.matrices + 2));
        let vectors = order + line(8 * max_chunk * stack.chosen);
        let vector_bytes = line(4 * together * columns);
        let results = vectors + products.len() * vector_bytes;
        let result_bytes = line(4 * together * machine.panel_rows());
        Grouping {
            stack,
            together,
            starts,
            order,
            vectors,
            vector_bytes,
            results,
            result_bytes,
            bytes: results + products.len() * result_bytes,
        }
    }
}
