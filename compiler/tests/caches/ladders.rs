//! The ladders of compacted caches: which positions a policy keeps after many tokens, beside the published rules on integers.

use super::{model, policies};
use seqc_ir::{
    BinaryOp, PairDomain, PairLeaf, UnaryOp,
    eval::{apply_binary, apply_unary},
    policy::{COUNTERS, ENTRIES, Policy, SLOT},
};

/// Numbers of a token and of an entry.
struct Numbers<'a> {
    /// The number of entries, then the counters.
    cache: &'a [f64],
    slot: f64,
}

impl PairDomain for Numbers<'_> {
    type Value = f64;

    fn leaf(&mut self, leaf: PairLeaf) -> f64 {
        match leaf {
            PairLeaf::QueryStream(ENTRIES) => self.cache[0],
            PairLeaf::QueryStream(n) => self.cache[n - COUNTERS + 1],
            PairLeaf::KeyStream(SLOT) => self.slot,
            PairLeaf::Const(c) => c,
            PairLeaf::QueryPos | PairLeaf::KeyPos => 0.0,
            other => panic!("{other:?} depends on data"),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: f64) -> f64 {
        apply_unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, x: f64, y: f64) -> f64 {
        apply_binary(op, false, x, y)
    }

    fn select(&mut self, c: f64, a: f64, b: f64) -> f64 {
        if c != 0.0 { a } else { b }
    }

    fn table(&mut self, _: usize, _: Vec<f64>) -> f64 {
        panic!("there are no tables")
    }

    fn listed(&mut self, _: usize, _: f64) -> f64 {
        panic!("there are no lists")
    }

    fn after(&mut self, _: f64) -> f64 {
        panic!("there are no sums over later keys")
    }
}

/// Positions that a policy without data keeps after some tokens.
fn kept(policy: &Policy, tokens: usize) -> Vec<usize> {
    let mut cache: Vec<f64> = [0.0]
        .into_iter()
        .chain(policy.counters.iter().map(|c| c.init))
        .collect();
    let mut entries = Vec::new();
    let keep = &policy.evict.as_ref().unwrap_or_else(|| panic!("nothing leaves")).keep;
    for token in 0..tokens {
        cache[0] = entries.len() as f64 + 1.0;
        let value = |e| {
            Numbers {
                cache: &cache,
                slot: 0.0,
            }
            .value(e)
        };
        let next: Vec<f64> = policy.counters.iter().map(|c| value(&c.next)).collect();
        cache.splice(1.., next);
        entries.push(token);
        let mut slot = 0.0;
        entries.retain(|_| {
            let stays = Numbers { cache: &cache, slot }.value(keep) != 0.0;
            slot += 1.0;
            stays
        });
    }
    entries
}

/// A ladder.
#[derive(Clone, Copy)]
struct Ladder {
    layers: usize,
    span: usize,
    overlap: usize,
}

/// The rules on integers (Shi et al. 2025, arXiv:2507.14204, and the authors' code): positions that a layer keeps.
fn by_the_rules(ladder: Ladder, layer: usize, tokens: usize) -> Vec<usize> {
    let Ladder { layers, span, overlap } = ladder;
    let (mut budget, sink) = (256, 4);
    let b = 1 + (layers - span).div_ceil(span - overlap);
    let a = span.div_ceil(span - overlap).min(b);
    let r = b - a;
    let (mut cur, mut overflowed, mut slots) = (sink, false, Vec::new());
    for token in 0..tokens {
        slots.push(token);
        if slots.len() <= budget {
            continue;
        }
        if !overflowed {
            overflowed = true;
            budget += r / 2;
        }
        let need = slots.len().saturating_sub(budget);
        if need == 0 {
            continue;
        }
        if need > (budget - cur - layers) / a * r {
            cur = sink;
        }
        let ladders = need.div_ceil(r);
        let mut left = slots[..cur].to_vec();
        for j in 0..ladders {
            let first = cur + b * j + layer % (r + 1);
            left.extend(&slots[first..first + a]);
        }
        left.extend(&slots[cur + b * ladders..]);
        slots = left;
        cur += a * ladders;
    }
    slots
}

#[test]
fn ladders_of_many_layers_keep_what_the_rules_say() {
    let ladder = |layers, span, overlap| Ladder { layers, span, overlap };
    for of in [
        ladder(32, 16, 0),
        ladder(32, 9, 3),
        ladder(24, 9, 7),
        ladder(32, 8, 4),
        ladder(32, 4, 0),
    ] {
        let Ladder { layers, span, overlap } = of;
        let cache = format!("[{{policy: lacache, budget: 256, sink: 4, span: {span}, overlap: {overlap}}}]");
        let stack = format!("  - repeat: {layers}\n    of: [attention: {{heads: 2}}]\n");
        let built = model("", &cache, &stack).unwrap_or_else(|e| panic!("{e}"));
        let all = policies(&built);
        assert_eq!(all.len(), layers);
        for layer in [0, 1, 2, 5, layers - 1] {
            let wanted = by_the_rules(of, layer, 1500);
            assert_eq!(
                kept(&all[layer], 1500),
                wanted,
                "{layers}, {span}, {overlap}: layer {layer}"
            );
        }
    }
}
