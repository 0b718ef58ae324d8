//! Lets entries leave a cache with a policy where the attention's own predicate bounds how far back queries see.
//!
//! A policy that only stores keys and values smaller keeps all entries, and what is behind the window of a layer is never seen again: it
//! leaves after every 64 tokens. Not where the policy itself evicts, remembers numbers, or reads how many entries there
//! are or in which slots they stand: an entry that has left would change what these say.

use crate::attention::span::AttentionSpan;
use seqc_ir::{
    AttendSpec, BinaryOp, Graph, Op, PairExpr,
    policy::{Coding, ENTRIES, Eviction, Policy, RANK, SHOWN, SLOT},
};

/// Tokens after which entries leave together, so that a chunk of a prompt is read in few parts: those of a page.
const TOGETHER: f64 = 64.0;

/// Gives an eviction to every policy that it applies to.
pub fn evict_behind_window(graph: &mut Graph) {
    for v in graph.order() {
        let Op::Attend(mut spec) = graph.op(v).clone() else {
            continue;
        };
        let heads = graph.ty(v).dims[0].size;
        if let Some(policy) = bounded(&spec, heads) {
            spec.policy = Some(Box::new(policy));
            graph.set_op(v, Op::Attend(spec));
        }
    }
}

/// The policy with the eviction; `None` where the pass does not apply.
fn bounded(spec: &AttendSpec, heads: usize) -> Option<Policy> {
    let policy = spec.policy.as_deref().filter(|policy| ignores_order(policy))?;
    let span = AttentionSpan::of_predicate(spec.predicate.as_ref()?, heads);
    let binary = PairExpr::binary;
    let number = PairExpr::Const;
    let keep = span.predicate()?;
    let next = binary(BinaryOp::Add, PairExpr::QueryPos, number(1.0));
    let rest = binary(BinaryOp::Mod, next, number(TOGETHER));
    let at = binary(BinaryOp::Eq, rest, number(0.0));
    Some(Policy {
        evict: Some(Eviction { at, keep }),
        ..policy.clone()
    })
}

/// Whether a policy says the same of entries whichever others there are, and none of them leaves.
fn ignores_order(policy: &Policy) -> bool {
    let at_once = |coding: &Coding| coding.until.is_none() && coding.channels.is_none();
    let plain = policy.evict.is_none() && policy.blocks.is_none() && policy.memories.is_empty();
    let numbered = |e: &PairExpr| {
        matches!(
            e,
            PairExpr::QueryStream(ENTRIES | SHOWN) | PairExpr::KeyStream(SLOT | RANK)
        )
    };
    plain
        && [&policy.keys, &policy.values].into_iter().flatten().all(at_once)
        && !policy.expressions().into_iter().any(|e| e.any(&numbered))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &str = "see query=i key=j, keys bits=8 group=4 along=channels symmetric=true";

    /// What stays of the entries of an attention with a predicate and a policy, and when.
    fn kept(predicate: &str, policy: &str) -> Option<String> {
        let text = format!(
            "graph g {{ input 0 q : f32[1, 4] input 1 k : f32[1, 4] input 2 v : f32[1, 4]
            %0 = input(0) : f32[1, 4] %1 = input(1) : f32[1, 4] %2 = input(2) : f32[1, 4]
            %3 = attend(scale=1.0, {predicate}normalise=softmax, causal=true, policy=({policy})) %0, %1, %2 : f32[1, 4]
            output y %3 }}"
        );
        let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        evict_behind_window(&mut graph);
        let evict = graph.policies().find_map(|policy| policy.evict.clone())?;
        Some(format!("{} after {}", evict.keep, evict.at))
    }

    #[test]
    fn what_is_behind_a_window_leaves() {
        let after = "after eq(mod(add(i, 1.0), 64.0), 0.0)";
        let window = kept("where=lt(sub(i, j), 20.0), ", CODES);
        assert_eq!(window, Some(format!("lt(sub(i, j), 20.0) {after}")));
        let sinks = kept("where=or(lt(sub(i, j), 20.0), lt(j, 4.0)), ", CODES);
        assert_eq!(sinks, Some(format!("or(lt(sub(i, j), 20.0), lt(j, 4.0)) {after}")));
    }

    #[test]
    fn all_stay_where_nothing_bounds_the_distance() {
        assert_eq!(kept("", CODES), None);
        assert_eq!(kept("where=eq(mod(j, 8.0), 7.0), ", CODES), None);
    }

    #[test]
    fn policies_that_count_or_remember_entries_say_themselves_which_stay() {
        for policy in [
            "see query=i key=j, evict at=ge(i, 0.0) keep=lt(j, 4.0)",
            "see query=sub(q0, 1.0) key=k0",
            "see where=lt(k0, 8.0) query=i key=j",
            "see query=i key=j, keys until=sub(q0, 4.0) bits=4 group=4 along=channels symmetric=false",
            "memory \"mass\" init=0.0 next=add(k5, s), see where=gt(k5, 0.0) query=i key=j",
        ] {
            let found = kept("where=lt(sub(i, j), 20.0), ", policy);
            assert!(found.is_none_or(|kept| kept.starts_with("lt(j, 4.0)")), "{policy}");
        }
    }
}
