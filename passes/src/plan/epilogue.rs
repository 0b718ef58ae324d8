//! Moves work into the products whose results it reads entry by entry, so that it happens while they are in cache.
//! Does not move anything that a later token or another row of the product takes part in.

use super::{BufferId, Kernel, Matmul, Nest, Plan, inline::Walk};
use crate::index::{Lin, linearise};
use seqc_ir::{Graph, Value};
use std::collections::HashSet;

/// Fuses the nests that follow products into them, where they fit.
pub(super) fn fuse(graph: &Graph, plan: &Plan, kernels: Vec<Kernel>) -> Vec<Kernel> {
    let mut fused: Vec<Kernel> = Vec::new();
    for kernel in kernels {
        match (fused.last_mut(), kernel) {
            (Some(Kernel::Products(products)), Kernel::Tokens(nests)) => {
                let rest = absorb(graph, plan, products, nests);
                if !rest.is_empty() {
                    fused.push(Kernel::Tokens(rest));
                }
            }
            (_, kernel) => fused.push(kernel),
        }
    }
    fused
}

/// Gives back the nests that do not fit.
fn absorb(graph: &Graph, plan: &Plan, products: &mut Vec<Matmul>, nests: Vec<Nest>) -> Vec<Nest> {
    let mut rest: Vec<Nest> = Vec::new();
    for nest in nests {
        let late: HashSet<BufferId> = rest.iter().map(|n| n.into).collect();
        match host(graph, plan, (products, &late), &nest) {
            Some(group) => join(products, group, nest),
            None => rest.push(nest),
        }
    }
    rest
}

/// The products that a nest reads, when it can run behind them.
fn host(
    graph: &Graph,
    plan: &Plan,
    (products, late): (&[Matmul], &HashSet<BufferId>),
    nest: &Nest,
) -> Option<Vec<usize>> {
    if nest.shift.is_some() || plan.stored.get(&nest.value).is_some_and(|b| *b != nest.into) {
        return None;
    }
    let n = graph.ty(nest.value).len();
    let stop = |v: Value| plan.is_stored(v);
    let leaves = (Walk { graph, stop: &stop }).leaves(nest.value);
    let flat = flat_index(&graph.ty(nest.value).sizes());
    let mut group: Vec<usize> = Vec::new();
    for leaf in leaves {
        let Some(buffer) = plan.stored.get(&leaf.value) else {
            continue;
        };
        if late.contains(buffer) {
            return None;
        }
        let Some(at) = products.iter().position(|m| writes(plan, m, *buffer)) else {
            continue;
        };
        let same = linearise(&leaf.coords, &graph.ty(leaf.value).sizes()) == flat && graph.ty(leaf.value).len() == n;
        if !same || leaf.delay > 0 || leaf.table {
            return None;
        }
        if !group.contains(&at) {
            group.push(at);
        }
    }
    group.sort_unstable();
    (!group.is_empty()).then_some(group)
}

fn flat_index(sizes: &[usize]) -> Lin {
    let coords: Vec<Lin> = (0..sizes.len()).map(Lin::axis).collect();
    linearise(&coords, sizes)
}

fn writes(plan: &Plan, matmul: &Matmul, buffer: BufferId) -> bool {
    matmul.products.iter().any(|v| plan.stored.get(v) == Some(&buffer))
        || matmul.epilogue.iter().any(|nest| nest.into == buffer)
}

/// Joins the products of a group and puts the nest behind them.
fn join(products: &mut Vec<Matmul>, group: Vec<usize>, nest: Nest) {
    let first = group[0];
    for at in group.into_iter().skip(1).rev() {
        let other = products.remove(at);
        products[first].products.extend(other.products);
        products[first].epilogue.extend(other.epilogue);
    }
    products[first].epilogue.push(nest);
}
