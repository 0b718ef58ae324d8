//! Local simplifications: the rules of [`rules::SIMPLIFY`], double computations, dead nodes.
//! Does not change what is computed beyond rounding of folded constants; does not recognise patterns of several operations.

use crate::rules;
use seqc_ir::{Elem, Graph, Op, Source, StateId, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Runs all simplifications until nothing changes.
pub fn simplify(graph: &mut Graph) {
    // Every round removes a node or shortens a chain; the bound is a guard against a rule that undoes another.
    for _ in 0..32 {
        let changed = rules::rewrite(graph, rules::SIMPLIFY) | share(graph);
        drop_dead(graph);
        if !changed {
            return;
        }
    }
}

/// Removes values that no output needs, and states that nothing reads any more.
pub fn drop_dead(graph: &mut Graph) {
    let live: HashSet<Value> = graph.live_order().into_iter().collect();
    let mut order = graph.order();
    order.reverse();
    for v in order {
        if !live.contains(&v) {
            graph.remove(v);
        }
    }
    drop_unread_states(graph);
}

fn drop_unread_states(graph: &mut Graph) {
    let previous = |v: Value| match graph.op(v).source() {
        Some(Source::State(s)) => Some((v, s)),
        Some(Source::Param(_) | Source::Input(_)) | None => None,
    };
    let previous: Vec<(Value, StateId)> = graph.values().into_iter().filter_map(previous).collect();
    let read: BTreeSet<StateId> = previous.iter().map(|(_, s)| *s).collect();
    if read.len() == graph.states.len() {
        return;
    }
    let kept: Vec<StateId> = read.into_iter().collect();
    for (v, s) in previous {
        let number = kept.partition_point(|other| *other < s);
        graph.set_op(v, Op::Prev(StateId(number as u32)));
    }
    let states = std::mem::take(&mut graph.states).into_iter().enumerate();
    let read = |n: usize| kept.binary_search(&StateId(n as u32)).is_ok();
    graph.states = states.filter(|(n, _)| read(*n)).map(|(_, state)| state).collect();
}

/// Computes equal expressions once.
fn share(graph: &mut Graph) -> bool {
    let mut seen: HashMap<(String, Elem, Vec<usize>, Vec<Value>), Value> = HashMap::new();
    let mut changed = false;
    for v in graph.order() {
        if let Op::Param(_) | Op::Input(_) = graph.op(v) {
            continue;
        }
        let ty = graph.ty(v);
        let key = (format!("{:?}", graph.op(v)), ty.elem, ty.sizes(), graph.operands(v));
        match seen.get(&key) {
            Some(first) => {
                graph.replace(v, *first);
                changed = true;
            }
            None => {
                seen.insert(key, v);
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_ir::{BinaryOp, Dim, IndexExpr, Ty};

    /// Where a rule makes the only reader of a state needless, the state goes too, and others get its number.
    #[test]
    fn states_that_nothing_reads_are_gone() {
        let text = "graph g { input 0 x : f32[3] state @0 dead : f32[3] next %4 state @1 sum : f32[3] next %5
            %0 = input(0) : f32[3] %1 = prev(@0) : f32[3] %2 = prev(@1) : f32[3] %3 = gt %1, %0 : bool[3]
            %4 = add %1, %0 : f32[3] %5 = add %2, %0 : f32[3] %6 = select %3, %5, %5 : f32[3]
            output y %6 }";
        let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
        simplify(&mut graph);
        assert_eq!(seqc_ir::verify::verify(&graph), []);
        let names: Vec<&str> = graph.states.iter().map(|state| state.name.as_str()).collect();
        assert_eq!(names, ["sum"], "{graph}");
    }

    #[test]
    fn products_over_fewer_entries_come_first() {
        let vector = |name: &str, n| Ty::new(Elem::F32, vec![Dim::new(name, n)]);
        let wide = Ty::new(Elem::F32, vec![Dim::new("e", 8), Dim::new("n", 4)]);
        let mut graph = Graph::default();
        let inputs = [vector("e", 8), vector("n", 4), vector("e", 8)];
        let [x, y, z] = [0, 1, 2].map(|n| graph.add(Op::Input(n), inputs[n].clone(), &[]));
        let along = |graph: &mut Graph, v, axis| graph.add(Op::View(vec![IndexExpr::Axis(axis)]), wide.clone(), &[v]);
        let (x, y, z) = (
            along(&mut graph, x, 0),
            along(&mut graph, y, 1),
            along(&mut graph, z, 0),
        );
        let product = graph.add(Op::Binary(BinaryOp::Mul), wide.clone(), &[x, y]);
        let product = graph.add(Op::Binary(BinaryOp::Mul), wide.clone(), &[product, z]);
        graph.outputs.push(("y".to_owned(), product));
        simplify(&mut graph);
        let products = graph
            .order()
            .into_iter()
            .filter(|v| matches!(graph.op(*v), Op::Binary(_)));
        let sizes: Vec<usize> = products.map(|v| graph.ty(v).len()).collect();
        assert_eq!(sizes, [8, 32]);
    }
}
