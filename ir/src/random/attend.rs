//! Attention with random masks, scores, normalisers and head ratios.

use super::Generator;
use crate::{AttendSpec, BinaryOp, Normaliser, ScoreExpr, UnaryOp, Value};

type Expr = ScoreExpr;

fn binary(op: BinaryOp, a: Expr, b: Expr) -> Expr {
    Expr::Binary(op, Box::new(a), Box::new(b))
}

fn unary(op: UnaryOp, a: Expr) -> Expr {
    Expr::Unary(op, Box::new(a))
}

fn distance() -> Expr {
    binary(BinaryOp::Sub, Expr::QueryPos, Expr::KeyPos)
}

/// Operands beside `q`, `k`, `v`.
#[derive(Default)]
struct Streams {
    query: Vec<Value>,
    key: Vec<Value>,
}

impl Generator {
    /// Attention over projections of a value of the pool.
    pub(super) fn attention(&mut self) -> Value {
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
        let mut streams = Streams::default();
        let normaliser = *self.rng.choose(&[
            Normaliser::Softmax,
            Normaliser::Softmax,
            Normaliser::Softmax,
            Normaliser::Sum,
            Normaliser::None,
        ]);
        let predicate = self.predicate(&mut streams);
        let score = match normaliser {
            Normaliser::Softmax => self.score(&mut streams, h),
            // Sums of scores must stay away from zero.
            Normaliser::Sum => Some(unary(UnaryOp::Exp, Expr::Score)),
            Normaliser::None | Normaliser::Top(_) => self.rng.once_in(2).then(|| unary(UnaryOp::Tanh, Expr::Score)),
        };
        let spec = AttendSpec {
            scale: (e as f64).powf(-0.5),
            predicate,
            score,
            normaliser,
            causal: self.causal,
            query_streams: streams.query.len(),
            key_streams: streams.key.len(),
            ..AttendSpec::default()
        };
        let operands = [vec![q, k, v], streams.query, streams.key].concat();
        let y = self.graph.attend(spec, &operands);
        if normaliser != Normaliser::None {
            return y;
        }
        let y = self.times(y, 0.125);
        self.tanh(y)
    }

    fn document_streams(&mut self, streams: &mut Streams) -> (Expr, Expr) {
        streams.query.push(self.document);
        streams.key.push(self.document);
        (
            Expr::QueryStream(streams.query.len() - 1),
            Expr::KeyStream(streams.key.len() - 1),
        )
    }

    fn predicate(&mut self, streams: &mut Streams) -> Option<Expr> {
        use BinaryOp::*;
        let window = binary(Lt, distance(), Expr::Const((1 + self.rng.below(9)) as f64));
        let predicate = match self.rng.below(10) {
            0 | 1 => return None,
            2 => window,
            3 => binary(Or, binary(Lt, Expr::KeyPos, Expr::Const(2.0)), window),
            4 => {
                let (q, k) = self.document_streams(streams);
                binary(Eq, q, k)
            }
            5 => {
                let (q, k) = self.document_streams(streams);
                binary(And, binary(Eq, q, k), window)
            }
            6 => binary(Eq, binary(Mod, distance(), Expr::Const(3.0)), Expr::Const(0.0)),
            7 => {
                let chunk = |e| unary(UnaryOp::Floor, binary(Div, e, Expr::Const(4.0)));
                binary(Eq, chunk(Expr::QueryPos), chunk(Expr::KeyPos))
            }
            8 => {
                let reach = binary(Mul, Expr::Const(3.0), binary(Add, Expr::Head, Expr::Const(1.0)));
                binary(Lt, distance(), reach)
            }
            // Nothing at all for the first queries.
            _ => binary(Gt, distance(), Expr::Const(1.0)),
        };
        if self.rng.once_in(6) {
            streams.key.push(self.token);
            let marked = binary(Ne, Expr::KeyStream(streams.key.len() - 1), Expr::Const(0.0));
            return Some(binary(And, predicate, marked));
        }
        Some(predicate)
    }

    fn score(&mut self, streams: &mut Streams, heads: usize) -> Option<Expr> {
        use BinaryOp::*;
        let s = || Expr::Score;
        Some(match self.rng.below(8) {
            0 | 1 => return None,
            2 => {
                let capped = unary(UnaryOp::Tanh, binary(Div, s(), Expr::Const(2.0)));
                binary(Mul, Expr::Const(2.0), capped)
            }
            3 => {
                let slopes = self.param(&[heads], 0.5);
                streams.query.push(slopes);
                let slope = Expr::QueryStream(streams.query.len() - 1);
                binary(Sub, s(), binary(Mul, slope, distance()))
            }
            4 => {
                let slope = binary(Pow, Expr::Const(2.0), unary(UnaryOp::Neg, Expr::Head));
                binary(Sub, s(), binary(Mul, slope, distance()))
            }
            5 => {
                let near = binary(Eq, Expr::QueryPos, Expr::KeyPos);
                let far = binary(
                    Add,
                    s(),
                    binary(Mul, Expr::Const(0.125), binary(Min, distance(), Expr::Const(8.0))),
                );
                Expr::Select(
                    Box::new(near),
                    Box::new(binary(Sub, s(), Expr::Const(1.0))),
                    Box::new(far),
                )
            }
            6 => {
                // A decay that the key brings along.
                let sum = self.scalar_of_x();
                streams.key.push(sum);
                binary(Add, s(), Expr::KeyStream(streams.key.len() - 1))
            }
            _ => {
                // A decay of each head from the key to the query.
                let gate = self.projected(self.x, &[heads]);
                streams.query.push(gate);
                streams.key.push(gate);
                let query = Expr::QueryStream(streams.query.len() - 1);
                let key = Expr::KeyStream(streams.key.len() - 1);
                binary(Add, s(), binary(Sub, query, key))
            }
        })
    }

    /// One real number per token.
    fn scalar_of_x(&mut self) -> Value {
        let one = self.projected(self.x, &[1]);
        self.graph.reshape(one, Vec::new())
    }
}
