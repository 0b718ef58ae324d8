//! Attention with random masks, scores, normalisers and head ratios.

use super::Generator;
use crate::{AttendSpec, BinaryOp, Clock, Elem, IndexExpr, Normaliser, PairExpr, Ty, UnaryOp, Value, dims};
use seqc_formats::Encoding;

type Expr = PairExpr;

/// A score that falls with what the query sees behind the key, as in stick-breaking attention.
fn behind(score: Expr, normaliser: Normaliser) -> Expr {
    let passed = Expr::After(Box::new(Expr::unary(UnaryOp::Softplus, Expr::Score)));
    let passed = Expr::unary(UnaryOp::Neg, passed);
    match normaliser {
        Normaliser::Softmax => {
            let less = Expr::binary(BinaryOp::Mul, passed, Expr::Const(0.125));
            Expr::binary(BinaryOp::Add, score, less)
        }
        Normaliser::Sum | Normaliser::None | Normaliser::Top(_) => {
            Expr::binary(BinaryOp::Mul, score, Expr::unary(UnaryOp::Exp, passed))
        }
    }
}

fn distance() -> Expr {
    Expr::binary(BinaryOp::Sub, Expr::QueryPos, Expr::KeyPos)
}

/// Operands beside `q`, `k`, `v`.
#[derive(Default)]
struct Streams {
    query: Vec<Value>,
    key: Vec<Value>,
    tables: Vec<Value>,
}

impl Generator {
    /// Attention over projections of a value of the pool.
    pub(super) fn attention(&mut self) -> Value {
        if self.rng.once_in(5) {
            return self.best_keys();
        }
        let u = self.pick();
        let (g, ratio) = (*self.rng.choose(&[1, 2, 3]), *self.rng.choose(&[1, 1, 2, 3]));
        let (e, f) = (
            *self.rng.choose(&[1, 4, 5, 16, 20]),
            *self.rng.choose(&[1, 3, 5, 16, 17]),
        );
        let h = g * ratio;
        let (mut q, mut k) = (self.projected(u, &[h, e]), self.projected(u, &[g, e]));
        let v = self.projected(u, &[g, f]);
        if self.rng.once_in(2) {
            (q, k) = (self.rotated(q), self.rotated(k));
        }
        let (q, k, v) = if self.rng.once_in(4) {
            self.latent([q, k, v], u)
        } else {
            (q, k, v)
        };
        let e = self.sizes(k)[1];
        let mut streams = Streams::default();
        let normaliser = *self.rng.choose(&[
            Normaliser::Softmax,
            Normaliser::Softmax,
            Normaliser::Softmax,
            Normaliser::Sum,
            Normaliser::None,
        ]);
        let predicate = self.predicate(&mut streams, h);
        let score = match normaliser {
            Normaliser::Softmax => self.score(&mut streams, h),
            // Sums of scores must stay away from zero.
            Normaliser::Sum => Some(Expr::unary(UnaryOp::Exp, Expr::Score)),
            Normaliser::None | Normaliser::Top(_) => {
                self.rng.once_in(2).then(|| Expr::unary(UnaryOp::Tanh, Expr::Score))
            }
        };
        let score = if self.rng.once_in(4) {
            Some(behind(score.unwrap_or(Expr::Score), normaliser))
        } else {
            score
        };
        let spec = AttendSpec {
            scale: (e as f64).powf(-0.5),
            predicate,
            score,
            normaliser,
            together: 1,
            causal: self.causal,
            query_streams: streams.query.len(),
            key_streams: streams.key.len(),
            tables: streams.tables.len(),
            clock: self.clock(),
            log_sum: normaliser == Normaliser::Softmax && self.rng.once_in(4),
            stored: Encoding::F32,
            policy: None,
        };
        let log_sum = spec.log_sum;
        let on = spec.on().map(|_| self.condition());
        let first = [q, k, v].into_iter().chain(on).collect();
        let operands = [first, streams.query, streams.key, streams.tables].concat();
        let y = self.graph.attend(spec, &operands);
        if log_sum {
            return self.small(y);
        }
        if normaliser != Normaliser::None {
            return y;
        }
        let y = self.times(y, 0.125);
        self.tanh(y)
    }

    /// Queries, keys and values of which the last are a part of the keys: a piece of them, or entries of them.
    fn latent(&mut self, [q, k, v]: [Value; 3], u: Value) -> (Value, Value, Value) {
        let [g, e] = [0, 1].map(|axis| self.sizes(k)[axis]);
        if self.rng.once_in(2) {
            let first = self.rng.below(e);
            let part = vec![
                IndexExpr::Axis(0),
                IndexExpr::Add(Box::new(IndexExpr::Axis(1)), Box::new(IndexExpr::Const(first as i64))),
            ];
            return (q, k, self.graph.view(k, dims(&[g, e - first]), part));
        }
        let (h, f) = (self.sizes(q)[0], self.sizes(v)[1]);
        let asks = self.projected(u, &[h, f]);
        let pairs = [[q, asks], [k, v]].map(|pair| self.graph.concat(1, &pair));
        (pairs[0], pairs[1], v)
    }

    /// The best keys of an attention. Scores of any keys are continuous; positions are compared where scores are far
    /// apart.
    fn best_keys(&mut self) -> Value {
        use BinaryOp::*;
        let u = self.pick();
        let (g, ratio, e) = (
            *self.rng.choose(&[1, 2]),
            *self.rng.choose(&[1, 3]),
            *self.rng.choose(&[1, 5, 16]),
        );
        let h = g * ratio;
        let (q, k) = (self.projected(u, &[h, e]), self.projected(u, &[g, e]));
        let mut streams = Streams::default();
        let predicate = self.predicate(&mut streams, h);
        let apart = self.rng.once_in(2);
        let score = if apart {
            let places = Expr::binary(
                Mod,
                Expr::binary(Mul, Expr::KeyPos, Expr::Const(37.0)),
                Expr::Const(101.0),
            );
            let near = Expr::binary(Mul, Expr::Const(0.25), Expr::unary(UnaryOp::Tanh, Expr::Score));
            Some(Expr::binary(
                Mul,
                Expr::Const(1.0 / 64.0),
                Expr::binary(Add, places, near),
            ))
        } else {
            self.score(&mut streams, h)
        };
        let n = *self.rng.choose(&[1, 3, 8, 17, 40]);
        let together = *self.rng.choose(&[1, ratio]);
        let heads = h / together;
        let spec = AttendSpec {
            scale: (e as f64).powf(-0.5),
            predicate,
            score,
            normaliser: Normaliser::Top(n),
            together,
            causal: self.causal,
            clock: self.clock(),
            query_streams: streams.query.len(),
            key_streams: streams.key.len(),
            tables: streams.tables.len(),
            ..AttendSpec::default()
        };
        let on = spec.on().map(|_| self.condition());
        let first = [q, k].into_iter().chain(on).collect();
        let operands = [first, streams.query, streams.key, streams.tables].concat();
        let y = self.graph.attend(spec, &operands);
        let part = |part| vec![IndexExpr::Axis(0), IndexExpr::Const(part), IndexExpr::Axis(1)];
        let scores = self.graph.view(y, dims(&[heads, n]), part(0));
        let scores = self.small(scores);
        if !apart {
            return scores;
        }
        let positions = self.graph.view(y, dims(&[heads, n]), part(1));
        let positions = self.times(positions, 1.0 / 64.0);
        self.mean(scores, positions)
    }

    fn clock(&mut self) -> Clock {
        *self
            .rng
            .choose(&[Clock::Every, Clock::Every, Clock::Every, Clock::Keys, Clock::Both])
    }

    /// Entries clamped to ±2: the score of an unseen key is far below.
    pub(super) fn small(&mut self, y: Value) -> Value {
        let (low, high) = (self.filled(-2.0, y), self.filled(2.0, y));
        let y = self.graph.binary(BinaryOp::Max, y, low);
        self.graph.binary(BinaryOp::Min, y, high)
    }

    fn document_streams(&mut self, streams: &mut Streams) -> (Expr, Expr) {
        streams.query.push(self.document);
        streams.key.push(self.document);
        (
            Expr::QueryStream(streams.query.len() - 1),
            Expr::KeyStream(streams.key.len() - 1),
        )
    }

    fn predicate(&mut self, streams: &mut Streams, heads: usize) -> Option<Expr> {
        use BinaryOp::*;
        let window = Expr::binary(Lt, distance(), Expr::Const((1 + self.rng.below(9)) as f64));
        let predicate = match self.rng.below(15) {
            0 | 1 => return None,
            12 => self.listed(streams, heads),
            13 => Expr::binary(Or, window, self.listed(streams, heads)),
            14 => {
                let (first, second) = (self.listed(streams, heads), self.listed(streams, heads));
                let first = Expr::binary(And, first, Expr::binary(Lt, distance(), Expr::Const(40.0)));
                Expr::binary(Or, first, second)
            }
            11 => {
                // Keys that the query names.
                streams.query.push(self.token);
                let named = Expr::QueryStream(streams.query.len() - 1);
                let pairs = Expr::unary(UnaryOp::Floor, Expr::binary(Div, Expr::KeyPos, Expr::Const(2.0)));
                Expr::binary(Or, Expr::binary(Eq, pairs, named), window)
            }
            10 => {
                let gate = self.table(streams, 8);
                Expr::binary(Lt, gate, Expr::Const(0.75))
            }
            2 => window,
            3 => Expr::binary(Or, Expr::binary(Lt, Expr::KeyPos, Expr::Const(2.0)), window),
            4 => {
                let (q, k) = self.document_streams(streams);
                Expr::binary(Eq, q, k)
            }
            5 => {
                let (q, k) = self.document_streams(streams);
                Expr::binary(And, Expr::binary(Eq, q, k), window)
            }
            6 => Expr::binary(Eq, Expr::binary(Mod, distance(), Expr::Const(3.0)), Expr::Const(0.0)),
            7 => {
                let chunk = |e| Expr::unary(UnaryOp::Floor, Expr::binary(Div, e, Expr::Const(4.0)));
                Expr::binary(Eq, chunk(Expr::QueryPos), chunk(Expr::KeyPos))
            }
            8 => {
                let reach = Expr::binary(Mul, Expr::Const(3.0), Expr::binary(Add, Expr::Head, Expr::Const(1.0)));
                Expr::binary(Lt, distance(), reach)
            }
            // Nothing at all for the first queries.
            _ => Expr::binary(Gt, distance(), Expr::Const(1.0)),
        };
        if self.rng.once_in(6) {
            // Positions as streams.
            let position = self.graph.position();
            streams.query.push(position);
            streams.key.push(position);
            let (query, key) = (streams.query.len() - 1, streams.key.len() - 1);
            let apart = Expr::binary(Sub, Expr::QueryStream(query), Expr::KeyStream(key));
            let near = Expr::binary(Lt, apart, Expr::Const((1 + self.rng.below(20)) as f64));
            return Some(Expr::binary(And, predicate, near));
        }
        if self.rng.once_in(6) {
            streams.key.push(self.token);
            let marked = Expr::binary(Ne, Expr::KeyStream(streams.key.len() - 1), Expr::Const(0.0));
            return Some(Expr::binary(And, predicate, marked));
        }
        Some(predicate)
    }

    /// Keys of blocks whose numbers stand in a list of the query.
    fn listed(&mut self, streams: &mut Streams, heads: usize) -> Expr {
        use BinaryOp::*;
        let many = *self.rng.choose(&[1, 2, 5]);
        let of_heads = self.rng.once_in(2);
        let sizes = if of_heads { vec![heads, many] } else { vec![many] };
        let graph = &mut self.graph;
        let token = graph.broadcast(self.token, dims(&sizes), &[]);
        let mut list = graph.iota(dims(&sizes), sizes.len() - 1);
        list = graph.binary(Add, list, token);
        if of_heads {
            let head = graph.iota(dims(&sizes), 0);
            list = graph.binary(Add, list, head);
        }
        let seven = graph.constant(7.0, Ty::new(Elem::I64, dims(&sizes)));
        list = graph.binary(Mod, list, seven);
        // Some are no blocks.
        let one = graph.constant(1.0, Ty::new(Elem::I64, dims(&sizes)));
        list = graph.binary(Sub, list, one);
        streams.query.push(list);
        let size = *self.rng.choose(&[1.0, 2.0, 5.0, 8.0, 16.0]);
        let shift = *self.rng.choose(&[0.0, 0.0, 3.0, 8.0]);
        let place = Expr::binary(Add, Expr::KeyPos, Expr::Const(shift));
        let block = match size {
            1.0 => place,
            size => Expr::unary(UnaryOp::Floor, Expr::binary(Div, place, Expr::Const(size))),
        };
        Expr::Listed(streams.query.len() - 1, Box::new(block))
    }

    fn score(&mut self, streams: &mut Streams, heads: usize) -> Option<Expr> {
        use BinaryOp::*;
        let s = || Expr::Score;
        Some(match self.rng.below(12) {
            0 | 1 => return None,
            11 => {
                let near = Expr::binary(Lt, distance(), Expr::Const((1 + self.rng.below(12)) as f64));
                Expr::select(near, s(), Expr::Const(f64::NEG_INFINITY))
            }
            8..=10 => Expr::binary(Add, s(), self.table(streams, heads)),
            2 => {
                let capped = Expr::unary(UnaryOp::Tanh, Expr::binary(Div, s(), Expr::Const(2.0)));
                Expr::binary(Mul, Expr::Const(2.0), capped)
            }
            3 => {
                let slopes = self.param(&[heads], 0.5);
                streams.query.push(slopes);
                let slope = Expr::QueryStream(streams.query.len() - 1);
                Expr::binary(Sub, s(), Expr::binary(Mul, slope, distance()))
            }
            4 => {
                let slope = Expr::binary(Pow, Expr::Const(2.0), Expr::unary(UnaryOp::Neg, Expr::Head));
                Expr::binary(Sub, s(), Expr::binary(Mul, slope, distance()))
            }
            5 => {
                let near = Expr::binary(Eq, Expr::QueryPos, Expr::KeyPos);
                let far = Expr::binary(
                    Add,
                    s(),
                    Expr::binary(Mul, Expr::Const(0.125), Expr::binary(Min, distance(), Expr::Const(8.0))),
                );
                Expr::select(near, Expr::binary(Sub, s(), Expr::Const(1.0)), far)
            }
            6 => {
                // A decay that the key brings along.
                let sum = self.scalar_of_x();
                streams.key.push(sum);
                Expr::binary(Add, s(), Expr::KeyStream(streams.key.len() - 1))
            }
            _ => {
                // A decay of each head from the key to the query.
                let gate = self.projected(self.x, &[heads]);
                streams.query.push(gate);
                streams.key.push(gate);
                let query = Expr::QueryStream(streams.query.len() - 1);
                let key = Expr::KeyStream(streams.key.len() - 1);
                Expr::binary(Add, s(), Expr::binary(Sub, query, key))
            }
        })
    }

    /// An entry of a table whose last index is along positions, at one index or several.
    fn table(&mut self, streams: &mut Streams, heads: usize) -> Expr {
        use BinaryOp::*;
        let mut sizes = vec![*self.rng.choose(&[3, 17, 33, 64])];
        let c = |n: f64| Expr::Const(n);
        let last = match self.rng.below(7) {
            0..=2 => distance(),
            3 => Expr::binary(Sub, Expr::KeyPos, c(3.0)),
            4 => Expr::binary(Div, distance(), c(4.0)),
            // Buckets that grow with the distance; none begins at a whole number.
            5 => {
                let far = Expr::binary(Add, Expr::binary(Max, distance(), c(0.0)), c(1.3));
                Expr::binary(Mul, c(2.0), Expr::unary(UnaryOp::Log, far))
            }
            _ => Expr::binary(Mod, Expr::KeyPos, c(5.0)),
        };
        let mut indices = vec![last];
        match self.rng.below(4) {
            0 | 1 => {}
            2 => {
                sizes.insert(0, heads);
                indices.insert(0, Expr::Head);
            }
            _ => {
                sizes.insert(0, 5);
                streams.key.push(self.token);
                let token = Expr::KeyStream(streams.key.len() - 1);
                indices.insert(0, Expr::binary(Mod, token, c(5.0)));
            }
        }
        streams.tables.push(self.param(&sizes, 1.0));
        Expr::Table(streams.tables.len() - 1, indices)
    }

    /// One real number per token.
    fn scalar_of_x(&mut self) -> Value {
        let one = self.projected(self.x, &[1]);
        self.graph.reshape(one, Vec::new())
    }
}
