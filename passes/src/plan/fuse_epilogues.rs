//! Moves work into the products whose results it reads entry by entry, so that it happens while they are in cache.
//! Does not move anything that a later token or another row of the product takes part in.

use super::{
    inline::Walk,
    stack::Stack,
    types::{BufferId, Kernel, Matmul, Nest, Plan},
};
use crate::affine::{AffineExpr, linearise};
use seqc_ir::{Graph, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Fuses the nests that follow products into them, where they fit.
pub(super) fn fuse(graph: &Graph, plan: &Plan, kernels: Vec<Kernel>) -> Vec<Kernel> {
    let mut fused: Vec<Kernel> = Vec::new();
    for kernel in kernels {
        match (fused.last_mut(), kernel) {
            (Some(Kernel::Matmuls(products)), Kernel::Map(nests)) => {
                let rest = absorb(graph, plan, products, nests);
                if !rest.is_empty() {
                    fused.push(Kernel::Map(rest));
                }
            }
            (_, kernel) => fused.push(kernel),
        }
    }
    fused
}

/// Gives back the nests that do not fit.
fn absorb(graph: &Graph, plan: &Plan, products: &mut Vec<Matmul>, nests: Vec<Nest>) -> Vec<Nest> {
    let mut groups = Groups::new(plan, std::mem::take(products));
    let mut rest: Vec<Nest> = Vec::new();
    let mut late: HashSet<BufferId> = HashSet::new();
    for nest in nests {
        match host(graph, plan, &groups, &late, &nest) {
            Some(group) => groups.join(plan, group, nest),
            None => {
                late.insert(nest.into);
                rest.push(nest);
            }
        }
    }
    *products = groups.products.into_iter().flatten().collect();
    rest
}

/// Products that grow together: by number, nothing where one has joined an earlier one.
struct Groups {
    products: Vec<Option<Matmul>>,
    /// The number of what writes a buffer.
    writers: HashMap<BufferId, usize>,
}

impl Groups {
    fn new(plan: &Plan, products: Vec<Matmul>) -> Groups {
        let mut writers = HashMap::new();
        for (at, matmul) in products.iter().enumerate() {
            for id in written(plan, matmul) {
                writers.entry(id).or_insert(at);
            }
        }
        Groups {
            products: products.into_iter().map(Some).collect(),
            writers,
        }
    }

    /// Joins the products of a group and puts the nest behind them.
    fn join(&mut self, plan: &Plan, group: BTreeSet<usize>, nest: Nest) {
        let mut group = group.into_iter();
        let Some(first) = group.next() else { return };
        let Some(mut one) = self.products[first].take() else {
            return;
        };
        // The last of the others comes first.
        for other in group.rev().filter_map(|at| self.products[at].take()) {
            for id in written(plan, &other) {
                self.writers.insert(id, first);
            }
            one.products.extend(other.products);
            one.epilogue.extend(other.epilogue);
        }
        self.writers.insert(nest.into, first);
        one.epilogue.push(nest);
        self.products[first] = Some(one);
    }
}

/// Buffers that a product and what is behind it write.
fn written(plan: &Plan, matmul: &Matmul) -> Vec<BufferId> {
    let products = matmul.products.iter().filter_map(|v| plan.stored.get(v).copied());
    products.chain(matmul.epilogue.iter().map(|nest| nest.into)).collect()
}

/// The products that a nest reads, when it can run behind them.
fn host(graph: &Graph, plan: &Plan, groups: &Groups, late: &HashSet<BufferId>, nest: &Nest) -> Option<BTreeSet<usize>> {
    if nest.shift.is_some() || plan.stored.get(&nest.value).is_some_and(|b| *b != nest.into) {
        return None;
    }
    let n = graph.ty(nest.value).len();
    let stop = |v: Value| plan.is_stored(v);
    let leaves = (Walk { graph, stop: &stop }).leaves(nest.value);
    let flat = flat_index(&graph.ty(nest.value).sizes());
    let mut group: BTreeSet<usize> = BTreeSet::new();
    for leaf in leaves {
        let Some(buffer) = plan.stored.get(&leaf.value) else {
            continue;
        };
        if late.contains(buffer) {
            return None;
        }
        let Some(at) = groups.writers.get(buffer) else {
            continue;
        };
        let same = linearise(&leaf.coords, &graph.ty(leaf.value).sizes()) == flat && graph.ty(leaf.value).len() == n;
        if !same || leaf.delay > 0 || leaf.table {
            return None;
        }
        group.insert(*at);
    }
    let stack = |at: &usize| groups.products[*at].as_ref().map(|m| Stack::of(graph, m.products[0]));
    let alike = group.iter().map(stack).collect::<HashSet<_>>().len() == 1;
    alike.then_some(group)
}

fn flat_index(sizes: &[usize]) -> AffineExpr {
    let coords: Vec<AffineExpr> = (0..sizes.len()).map(AffineExpr::axis).collect();
    linearise(&coords, sizes)
}
