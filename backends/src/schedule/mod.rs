//! The schedule of a layer: which kernels its plan becomes on a machine, how their work is split, and what they keep where.
//!
//! It is decided once, from the plan and its machine; `lower` emits code for it and decides nothing. What goes through
//! the tokens together in a scan, and whether it fits the registers, is decided by the plan already
//! ([`ScanBlock`](seqc_passes::plan::ScanBlock)).

mod map;
mod product;
mod stacked;

pub(crate) use map::{Threads, loops, waves};
pub(crate) use product::{Matrix, Product, RoundedRow, Summation};
pub(crate) use stacked::Grouping;

use crate::kernels::{self, Attend, LongConv, PageCopy};
use seqc_formats::Encoding;
use seqc_ir::{Graph, Op, Value};
use seqc_passes::{
    conv_partition::ConvPartition,
    plan::{Kernel, Matmul, Plan, Settings, flat},
};
use std::collections::HashMap;

/// What a layer's code is written from, beside its plan.
pub(crate) struct Schedule {
    /// Products with matrices, by their nodes.
    pub(crate) products: HashMap<Value, Product>,
    /// The kernels of attentions, in the order of the plan.
    pub(crate) attentions: Vec<(Value, Attend)>,
    /// The kernels of long convolutions, in the order of the plan.
    pub(crate) filters: Vec<(Value, LongConv)>,
    /// Bytes of scratch that a thread needs for all of these.
    pub(crate) scratch_bytes: usize,
}

impl Schedule {
    /// The schedule of a layer whose functions have this name; `encodings` are those of its parameters.
    pub(crate) fn new(name: &str, graph: &Graph, plan: &Plan, encodings: &[Encoding]) -> Schedule {
        let kernels = flat(&plan.kernels);
        let attend = |kernel: &&Kernel| match kernel {
            Kernel::Attend(v) => Some((*v, attention(name, graph, plan, *v))),
            Kernel::Matmuls(_) | Kernel::Map(_) | Kernel::Scan(_) | Kernel::LongConv(_) => None,
            Kernel::Reverse(_) | Kernel::RoundRow(_) | Kernel::Heads { .. } | Kernel::Loop(_) | Kernel::Commit(_) => {
                None
            }
        };
        let convolve = |kernel: &&Kernel| match kernel {
            Kernel::LongConv(v) => Some((*v, filter(name, graph, plan, *v))),
            Kernel::Matmuls(_) | Kernel::Map(_) | Kernel::Scan(_) | Kernel::Attend(_) => None,
            Kernel::Reverse(_) | Kernel::RoundRow(_) | Kernel::Heads { .. } | Kernel::Loop(_) | Kernel::Commit(_) => {
                None
            }
        };
        let mut schedule = Schedule {
            products: product::products(graph, plan, encodings),
            attentions: kernels.iter().filter_map(attend).collect(),
            filters: kernels.iter().filter_map(convolve).collect(),
            scratch_bytes: 0,
        };
        schedule.scratch_bytes = schedule.scratch(plan);
        schedule
    }

    /// The kernel of an attention.
    pub(crate) fn attention(&self, v: Value) -> &Attend {
        of(&self.attentions, v)
    }

    /// The kernel of a long convolution.
    pub(crate) fn filter(&self, v: Value) -> &LongConv {
        of(&self.filters, v)
    }

    /// How a rounded row is made for its products.
    pub(crate) fn rounded_row(&self, graph: &Graph, row: Value) -> RoundedRow {
        product::rounded_row(graph, &self.products, row)
    }

    fn scratch(&self, plan: &Plan) -> usize {
        let attentions = self.attentions.iter().map(|(_, kernel)| kernel.scratch_bytes());
        let filters = self.filters.iter().map(|(_, kernel)| kernel.scratch_bytes());
        let products = flat(&plan.kernels).into_iter().flat_map(|kernel| match kernel {
            Kernel::Matmuls(list) => &list[..],
            _ => &[],
        });
        let products = products.map(|matmul| self.product_scratch_bytes(plan, matmul));
        attentions.chain(filters).chain(products).max().unwrap_or(0)
    }

    fn product_scratch_bytes(&self, plan: &Plan, matmul: &Matmul) -> usize {
        let Settings { machine, max_chunk, .. } = &plan.settings;
        match self.grouping(plan, matmul) {
            None => {
                // A single token's rounded vector.
                let columns = matmul.products.iter().map(|v| self.products[v].columns).max();
                let staged = matmul.products.iter().filter_map(|v| {
                    let product = &self.products[v];
                    let rows = machine.tiles.block_rows.filter(|_| product.block_unit.is_some());
                    rows.map(|rows| kernels::block_gemm_scratch_bytes(product.encoding, rows))
                });
                let packed = kernels::gemm_scratch_bytes(machine, *max_chunk);
                packed.max(4 * columns.unwrap_or(0)).max(staged.max().unwrap_or(0))
            }
            Some(grouping) => grouping.bytes,
        }
    }

    /// How tokens are grouped for products with chosen matrices of a stack; `None` for other products.
    pub(crate) fn grouping(&self, plan: &Plan, matmul: &Matmul) -> Option<Grouping> {
        let products: Vec<&Product> = matmul.products.iter().map(|v| &self.products[v]).collect();
        let stack = products[0].stack?;
        let panel = kernels::gemm_scratch_bytes(&plan.settings.machine, plan.settings.max_chunk);
        Some(Grouping::new(&plan.settings, stack, &products, panel))
    }
}

fn of<T>(kernels: &[(Value, T)], v: Value) -> &T {
    match kernels.iter().find(|(own, _)| *own == v) {
        Some((_, kernel)) => kernel,
        None => unreachable!("{v} has a kernel: it stands in the plan"),
    }
}

fn attention(name: &str, graph: &Graph, plan: &Plan, v: Value) -> Attend {
    let operands = graph.operands(v);
    let size = |o: usize, axis: usize| graph.ty(operands[o]).dims[axis].size;
    let Op::Attend(spec) = graph.op(v) else {
        unreachable!("{v} is no attention")
    };
    let widths = |streams: &[Value]| streams.iter().map(|o| graph.ty(*o).len()).collect();
    Attend {
        name: format!("{name}_attend{}", v.0),
        spec: (**spec).clone(),
        heads: size(0, 0),
        groups: size(1, 0),
        key_dim: size(1, 1),
        value_dim: if spec.has_values() { size(2, 1) } else { 0 },
        query_widths: widths(&operands[spec.query_operands()]),
        query_lists: operands[spec.query_operands()]
            .iter()
            .map(|o| graph.ty(*o).dims.last().map_or(1, |dim| dim.size))
            .collect(),
        key_widths: widths(&operands[spec.key_operands()]),
        tables: operands[spec.table_operands()]
            .iter()
            .map(|o| graph.ty(*o).sizes())
            .collect(),
        span: plan.attentions[&v].span,
        named: plan.attentions[&v].named.clone(),
        values_in_keys: plan.attentions[&v].values_in_keys,
        exhaustive: false,
        copy: PageCopy::None,
        sight: None,
        max_chunk: plan.settings.max_chunk,
        machine: plan.settings.machine,
    }
}

fn filter(name: &str, graph: &Graph, plan: &Plan, v: Value) -> LongConv {
    LongConv {
        name: format!("{name}_conv{}", v.0),
        channels: graph.ty(v).len(),
        blocks: ConvPartition::of(graph, v, &plan.settings),
        machine: plan.settings.machine,
    }
}
