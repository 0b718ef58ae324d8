//! Attention with random cache policies.

use super::{
    RandomGraph, Range, Rng,
    pairs::{PARTS, all, binary, number, younger},
};
use crate::{
    AttendSpec, BinaryOp, Dim, Elem, Graph, PairExpr, ReduceOp, Ty, UnaryOp, Value,
    policy::{
        Along, CHANNEL, COUNTERS, Channels, Coding, Definition, ENDED, ENTRIES, Eviction, Kind, MEMORIES, Policy,
        READING, Recurrence, SLOT, Sight, Turn, Window,
    },
};

type Expr = PairExpr;

/// A layer of one attention whose inputs are queries, keys and values, with a random policy.
pub(super) fn layer(seed: u64) -> RandomGraph {
    let mut rng = Rng::new(seed);
    let (g, ratio) = (*rng.choose(&[1, 2, 3]), *rng.choose(&[1, 2, 3]));
    let (e, f) = (*rng.choose(&[4, 6, 16, 20]), *rng.choose(&[3, 8, 16, 70]));
    let brings = rng.once_in(3);
    let asks = brings && rng.once_in(2);
    let policy = Maker { rng, groups: g, e, f }.policy();
    let mut graph = Graph::new("policy");
    let ty = |sizes: [usize; 2]| Ty::new(Elem::F32, sizes.iter().map(|n| Dim::new("", *n)).collect());
    let shapes = [("q", ty([g * ratio, e])), ("k", ty([g, e])), ("v", ty([g, f]))];
    let mut operands: Vec<_> = shapes.into_iter().map(|(name, ty)| graph.add_input(name, ty)).collect();
    let mut params = Vec::new();
    if let Some(turn) = policy.turn {
        let ty = Ty::new(Elem::F32, vec![Dim::new("", turn.pairs)]);
        operands.push(graph.add_param("angles", ty));
        params.push(Range::Real { low: 0.01, high: 1.0 });
    }
    let brought = if brings {
        brought(&mut graph, g * ratio)
    } else {
        Vec::new()
    };
    let asked = asks.then(|| graph.add_input("asks", of_heads(g * ratio)));
    // Angles are the last operand.
    operands.splice(3..3, asked.iter().chain(&brought).copied());
    let spec = AttendSpec {
        scale: 1.5 * (e as f64).powf(-0.5),
        policy: Some(Box::new(policy)),
        // Each head has a bias for a key, times what a query may ask for, and a key is not seen by young tokens where a stream is larger than
        // that allows.
        score: brings.then(|| {
            let bias = match asks {
                true => binary(BinaryOp::Mul, Expr::QueryStream(0), Expr::KeyStream(1)),
                false => Expr::KeyStream(1),
            };
            binary(BinaryOp::Add, Expr::Score, bias)
        }),
        query_streams: usize::from(asks),
        predicate: brings.then(|| {
            let most = match asks {
                true => binary(BinaryOp::Add, Expr::QueryStream(0), number(1.0)),
                false => number(1.0),
            };
            let small = binary(BinaryOp::Lt, Expr::KeyStream(0), most);
            binary(BinaryOp::Or, small, Expr::unary(UnaryOp::Not, younger(5)))
        }),
        key_streams: brought.len(),
        ..AttendSpec::default()
    };
    let y = graph.attend(spec, &operands);
    graph.add_output("y", y);
    RandomGraph {
        inputs: vec![Range::Real { low: -2.0, high: 2.0 }; graph.inputs.len()],
        graph,
        params,
    }
}

/// Streams that are read at the key: a number, and one of each query head.
fn brought(graph: &mut Graph, heads: usize) -> Vec<Value> {
    let types = [("one", Ty::new(Elem::F32, Vec::new())), ("each", of_heads(heads))];
    types.into_iter().map(|(name, ty)| graph.add_input(name, ty)).collect()
}

/// A number of each head.
fn of_heads(heads: usize) -> Ty {
    Ty::new(Elem::F32, vec![Dim::new("", heads)])
}

struct Maker {
    rng: Rng,
    /// Key heads.
    groups: usize,
    e: usize,
    f: usize,
}

impl Maker {
    fn policy(mut self) -> Policy {
        let mut policy = Policy {
            sights: vec![Sight {
                seen: None,
                query: Expr::QueryPos,
                key: Expr::KeyPos,
            }],
            ..Policy::default()
        };
        match self.rng.below(6) {
            4 | 5 => {
                super::blocks::add(&mut self.rng, &mut policy, self.e == self.f);
                if self.rng.once_in(3) {
                    self.fresh_codes(&mut policy);
                }
            }
            0 => self.schedule(&mut policy),
            1 => self.scores(&mut policy),
            2 => self.codes(&mut policy),
            _ => {
                self.scores(&mut policy);
                self.fresh_codes(&mut policy);
            }
        }
        if self.rng.once_in(2) {
            self.distances(&mut policy);
        }
        policy
    }

    /// After which tokens.
    fn at(&mut self, policy: &mut Policy, budget: usize) -> Expr {
        match self.rng.below(5) {
            n @ ..3 => by_prompt(n),
            3 => {
                let every = 2 + self.rng.below(9);
                let next = binary(BinaryOp::Add, Expr::QueryStream(COUNTERS), number(1.0));
                policy.counters.push(Recurrence {
                    name: "since".to_owned(),
                    init: 0.0,
                    next: binary(BinaryOp::Mod, next, number(every as f64)),
                    each: false,
                });
                binary(BinaryOp::Eq, Expr::QueryStream(COUNTERS), number(0.0))
            }
            _ => binary(BinaryOp::Gt, Expr::QueryStream(ENTRIES), number(budget as f64 + 5.0)),
        }
    }

    /// What leaves by positions and slots alone.
    fn schedule(&mut self, policy: &mut Policy) {
        let (sinks, recent) = (self.rng.below(5), 2 + self.rng.below(60));
        let first = binary(BinaryOp::Lt, Expr::KeyPos, number(sinks as f64));
        let mut keep = binary(BinaryOp::Or, first, younger(recent));
        if self.rng.once_in(2) {
            let third = binary(BinaryOp::Mod, Expr::KeyStream(SLOT), number(3.0));
            let third = binary(BinaryOp::Eq, third, number(1.0));
            keep = binary(BinaryOp::Or, keep, third);
        }
        let at = self.at(policy, sinks + recent);
        policy.evict = Some(Eviction { at, keep });
    }

    /// What leaves by scores.
    fn scores(&mut self, policy: &mut Policy) {
        let (heavy, recent) = (1 + self.rng.below(40), 1 + self.rng.below(20));
        let old = Expr::unary(UnaryOp::Not, younger(recent));
        let (half, values) = (number((self.e / 2) as f64), self.rng.once_in(2));
        let first_half = binary(BinaryOp::Lt, Expr::KeyStream(CHANNEL), half);
        let third = binary(BinaryOp::Mod, Expr::KeyStream(SLOT), number(3.0));
        let mut define = |name: &str, kind| {
            policy.definitions.push(Definition {
                name: name.to_owned(),
                kind,
            });
            policy.definitions.len() - 1
        };
        let mut mass = false;
        let score = match self.rng.below(4) {
            0 => define(
                "seen",
                Kind::Seen {
                    queries: 1 + self.rng.below(12),
                },
            ),
            1 => {
                let of = binary(BinaryOp::Mul, Expr::Score, Expr::Score);
                let of = Expr::select(first_half, of, Expr::unary(UnaryOp::Abs, Expr::Score));
                define("norm", Kind::VectorSum { of, values })
            }
            2 => {
                let square = binary(BinaryOp::Mul, Expr::Score, Expr::Score);
                let of = square.clone();
                let q = define(
                    "q",
                    Kind::QueryMean {
                        of,
                        queries: 1 + self.rng.below(9),
                    },
                );
                let k = define("k", Kind::KeyMean(binary(BinaryOp::Add, Expr::Score, third)));
                let read = |n| Expr::KeyStream(MEMORIES + n);
                let product = binary(BinaryOp::Mul, read(q), read(k));
                let c = define("c", Kind::Channel(product));
                define(
                    "sum",
                    Kind::VectorSum {
                        of: binary(BinaryOp::Mul, Expr::Score, Expr::KeyStream(MEMORIES + c)),
                        values: false,
                    },
                )
            }
            _ => {
                mass = true;
                0
            }
        };
        if mass {
            let old = Expr::KeyStream(MEMORIES);
            let next = match self.rng.below(3) {
                0 => binary(BinaryOp::Add, old, Expr::Score),
                1 => binary(BinaryOp::Add, binary(BinaryOp::Mul, number(0.9), old), Expr::Score),
                _ => binary(BinaryOp::Max, old, Expr::Score),
            };
            policy.memories.push(Recurrence {
                name: "mass".to_owned(),
                init: 0.0,
                next,
                each: false,
            });
            policy.definitions.push(Definition {
                name: "mass".to_owned(),
                kind: Kind::Entry(Expr::KeyStream(MEMORIES)),
            });
        }
        let (of, mut by) = (
            policy.definitions.len() - 1,
            policy.stream_of(policy.definitions.len() - 1),
        );
        debug_assert!(mass || of == score);
        if self.rng.once_in(2) {
            policy.definitions.push(Definition {
                name: "pooled".to_owned(),
                kind: Kind::Pool {
                    of,
                    window: Window {
                        size: 1 + self.rng.below(7),
                        pages: self.rng.once_in(3),
                    },
                    how: *self.rng.choose(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min]),
                    among: old.clone(),
                },
            });
            by = policy.stream_of(policy.definitions.len() - 1);
        }
        // More than all is all.
        let most = *self.rng.choose(&[heavy as f64, heavy as f64, heavy as f64, 1e30]);
        let mut count = number(most);
        if self.rng.once_in(3) {
            let half = binary(BinaryOp::Div, Expr::QueryStream(ENTRIES), number(2.0));
            count = binary(BinaryOp::Min, count, Expr::unary(UnaryOp::Floor, half));
        }
        let heads = self.rng.once_in(4);
        if heads {
            count = number(most * self.groups as f64);
        } else if self.rng.once_in(3) {
            count = match self.rng.once_in(2) {
                true => self.share_of_all(policy, by, &old),
                false => self.share_of_sum(policy, by, &old),
            };
        }
        if !heads && self.rng.once_in(3) {
            by = self.over_heads(policy, by);
        }
        policy.definitions.push(Definition {
            name: "best".to_owned(),
            kind: Kind::Top {
                by: Expr::KeyStream(by),
                count,
                among: old,
                heads,
            },
        });
        let best = Expr::KeyStream(policy.stream_of(policy.definitions.len() - 1));
        let best = binary(BinaryOp::Ne, best, number(0.0));
        let keep = binary(BinaryOp::Or, younger(recent), best);
        let at = match policy.joins_heads() {
            true => self.at_token(),
            false => self.at(policy, heavy + recent),
        };
        policy.evict = Some(Eviction { at, keep });
    }

    /// How many entries have more than the mean of a number, and at least one.
    fn share_of_all(&mut self, policy: &mut Policy, by: usize, among: &Expr) -> Expr {
        let mut over = |of: Expr, how: ReduceOp, among: &Expr| {
            policy.definitions.push(Definition {
                name: format!("over{}", policy.definitions.len()),
                kind: Kind::Over {
                    of,
                    how,
                    among: among.clone(),
                },
            });
            Expr::KeyStream(policy.stream_of(policy.definitions.len() - 1))
        };
        let sum = over(Expr::KeyStream(by), ReduceOp::Sum, among);
        let mean = binary(BinaryOp::Div, sum, Expr::QueryStream(ENTRIES));
        let more = binary(BinaryOp::Gt, Expr::KeyStream(by), mean);
        let count = over(Expr::select(more, number(1.0), number(0.0)), ReduceOp::Sum, among);
        binary(BinaryOp::Max, count, number(1.0))
    }

    /// How many entries have a part of the sum of a number, and at least one.
    fn share_of_sum(&mut self, policy: &mut Policy, by: usize, among: &Expr) -> Expr {
        let mut define = |name: &str, kind| {
            policy.definitions.push(Definition {
                name: name.to_owned(),
                kind,
            });
            Expr::KeyStream(policy.stream_of(policy.definitions.len() - 1))
        };
        let of = binary(BinaryOp::Max, Expr::KeyStream(by), number(0.0));
        let among = among.clone();
        let whole = Kind::Over {
            of: of.clone(),
            how: ReduceOp::Sum,
            among: among.clone(),
        };
        // No part of a few equal numbers adds up to exactly this.
        let sum = binary(BinaryOp::Mul, define("whole", whole), number(*self.rng.choose(&PARTS)));
        let count = define("fewest", Kind::Fewest { of, sum, among });
        binary(BinaryOp::Max, count, number(1.0))
    }

    /// A definition's numbers reduced over key heads.
    fn over_heads(&mut self, policy: &mut Policy, by: usize) -> usize {
        policy.definitions.push(Definition {
            name: "all_heads".to_owned(),
            kind: Kind::Heads {
                of: Expr::KeyStream(by),
                how: *self.rng.choose(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min]),
                members: false,
            },
        });
        policy.stream_of(policy.definitions.len() - 1)
    }

    /// After which tokens, the same for all key heads.
    fn at_token(&mut self) -> Expr {
        match self.rng.below(4) {
            n @ ..3 => by_prompt(n),
            _ => {
                let every = 2 + self.rng.below(9);
                let rest = binary(BinaryOp::Mod, Expr::QueryPos, number(every as f64));
                binary(BinaryOp::Eq, rest, number(1.0))
            }
        }
    }

    /// What is stored in few bits once others have come behind it.
    fn codes(&mut self, policy: &mut Policy) {
        let reading = binary(BinaryOp::Ne, Expr::QueryStream(READING), number(0.0));
        let wait = self.rng.once_in(2);
        let until = |rng: &mut Rng| {
            let tail = if rng.once_in(8) {
                f64::NEG_INFINITY
            } else {
                rng.below(20) as f64
            };
            let border = binary(BinaryOp::Sub, Expr::QueryStream(ENTRIES), number(tail));
            if wait {
                Expr::select(reading.clone(), number(0.0), border)
            } else {
                border
            }
        };
        let tokens = self.rng.once_in(2);
        let bits = *self.rng.choose(&[2, 4, 8]);
        let from = [0, 0, 16, 80][self.rng.below(4)];
        policy.keys = Some(Coding {
            from,
            until: Some(until(&mut self.rng)),
            bits,
            group: if tokens {
                *self.rng.choose(&[4, 8, 16])
            } else {
                *self.rng.choose(&[4, 5, 16])
            },
            along: if tokens { Along::Tokens } else { Along::Channels },
            symmetric: self.rng.once_in(3),
            channels: None,
        });
        let tokens = self.rng.once_in(3);
        policy.values = Some(Coding {
            from,
            until: Some(until(&mut self.rng)),
            bits: *self.rng.choose(&[2, 4, 8]),
            group: *self.rng.choose(&[4, 8, 16]),
            along: if tokens { Along::Tokens } else { Along::Channels },
            symmetric: self.rng.once_in(3),
            channels: None,
        });
        if self.rng.once_in(3) {
            let square = binary(BinaryOp::Mul, Expr::Score, Expr::Score);
            policy.definitions.push(Definition {
                name: "use".to_owned(),
                kind: Kind::KeyMean(square),
            });
            let keys = Coding {
                from,
                until: policy.keys.as_ref().and_then(|k| k.until.clone()),
                bits: 32,
                group: 1,
                along: Along::Channels,
                symmetric: false,
                channels: Some(Channels {
                    by: 0,
                    count: 1 + self.rng.below(self.e),
                }),
            };
            policy.keys = Some(keys);
        }
    }

    /// What is stored in few bits as it comes.
    fn fresh_codes(&mut self, policy: &mut Policy) {
        let coding = |rng: &mut Rng, width: usize| Coding {
            from: 0,
            until: None,
            bits: *rng.choose(&[4, 8]),
            group: *rng.choose(&[4, width]),
            along: Along::Channels,
            symmetric: rng.once_in(2),
            channels: None,
        };
        policy.keys = Some(coding(&mut self.rng, self.e));
        policy.values = self.rng.once_in(2).then(|| coding(&mut self.rng, self.f));
    }

    /// Where queries and keys meet.
    fn distances(&mut self, policy: &mut Policy) {
        let blocks = policy.blocks.is_some();
        if policy.keys.as_ref().is_some_and(|k| k.channels.is_some()) {
            return;
        }
        policy.turn = Some(Turn {
            interleaved: self.rng.once_in(2),
            pairs: 1 + self.rng.below(self.e / 2),
            magnitude: *self.rng.choose(&[1.0, 1.1]),
        });
        let whole = |e, by: f64| Expr::unary(UnaryOp::Floor, binary(BinaryOp::Div, e, number(by)));
        if blocks {
            return super::blocks::add_distances(&mut self.rng, policy);
        }
        if self.rng.once_in(2) && policy.queries() == 0 {
            let last = binary(BinaryOp::Sub, Expr::QueryStream(ENTRIES), number(1.0));
            policy.sights[0].query = last;
            policy.sights[0].key = Expr::KeyStream(SLOT);
        } else if self.rng.once_in(2) {
            let near = 1 + self.rng.below(30);
            policy.sights[0].seen = Some(younger(near));
            policy.sights.push(Sight {
                seen: Some(Expr::unary(UnaryOp::Not, younger(near))),
                query: binary(BinaryOp::Add, whole(Expr::QueryPos, 4.0), number(3.0)),
                key: whole(Expr::KeyPos, 4.0),
            });
        }
    }
}

/// After every token, after those behind a prompt and its last one, or after the last one alone.
fn by_prompt(n: usize) -> Expr {
    let flag = |n| binary(BinaryOp::Ne, Expr::QueryStream(n), number(0.0));
    match n {
        0 => all(),
        1 => Expr::unary(UnaryOp::Not, flag(READING)),
        _ => flag(ENDED),
    }
}
