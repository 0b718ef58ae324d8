//! Random policies whose queries choose blocks.

use super::{
    Rng,
    pairs::{PARTS, all, binary, number, younger},
};
use crate::{
    BinaryOp, PairExpr as Expr, ReduceOp, UnaryOp,
    policy::{
        Blocks, CLOSED, Definition, ENTRIES, KEY, Kind, MEMORIES, Policy, RANK, READING, Recurrence, SHOWN, SLOT,
    },
};

/// Gives a policy blocks, and a sight that shows what queries choose. `alike`: keys and values have as many channels.
pub(super) fn add(rng: &mut Rng, policy: &mut Policy, alike: bool) {
    let mut maker = Maker { rng, policy };
    let remembers = maker.rng.once_in(3);
    if remembers {
        let each = maker.rng.once_in(2);
        maker.policy.memories.push(Recurrence {
            name: "mass".to_owned(),
            init: 0.0,
            next: binary(BinaryOp::Add, Expr::KeyStream(MEMORIES), Expr::Score),
            each,
        });
    }
    let (together, refresh) = *maker.rng.choose(&[(1, 1), (1, 1), (4, 1), (4, 4), (1, 3)]);
    maker.policy.blocks = Some(Blocks {
        size: *maker.rng.choose(&[1, 3, 4, 16, 20]),
        first: maker.rng.below(9),
        behind: maker.rng.below(20),
        together,
        refresh,
        key: None,
        query: None,
        closing: Vec::new(),
        choosing: Vec::new(),
    });
    let suits = maker.suits(remembers, alike);
    let best = maker.best(suits);
    maker.sights(best);
}

struct Maker<'r> {
    rng: &'r mut Rng,
    policy: &'r mut Policy,
}

impl Maker<'_> {
    fn define(&mut self, name: &str, closing: bool, kind: Kind) -> Expr {
        let first = if closing {
            self.policy.closing_stream(0)
        } else {
            self.policy.choosing_stream(0)
        };
        let Some(blocks) = &mut self.policy.blocks else {
            return number(0.0);
        };
        let list = if closing {
            &mut blocks.closing
        } else {
            &mut blocks.choosing
        };
        list.push(Definition {
            name: name.to_owned(),
            kind,
        });
        Expr::KeyStream(first + list.len() - 1)
    }

    fn close(&mut self, name: &str, kind: Kind) -> Expr {
        self.define(name, true, kind)
    }

    fn choose(&mut self, name: &str, kind: Kind) -> Expr {
        self.define(name, false, kind)
    }

    fn fold(&mut self, name: &str, of: Expr, how: ReduceOp, values: bool) -> Expr {
        let among = all();
        self.close(name, Kind::Fold { of, how, among, values })
    }

    fn over(&mut self) -> ReduceOp {
        *self.rng.choose(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min])
    }

    /// A number of each block by which it is chosen.
    fn suits(&mut self, remembers: bool, alike: bool) -> Expr {
        let product = |x| binary(BinaryOp::Mul, Expr::Score, x);
        let of = match self.rng.below(5) {
            0 => {
                // Bounds of keys.
                let (low, high) = (
                    self.fold("low", Expr::Score, ReduceOp::Min, false),
                    self.fold("high", Expr::Score, ReduceOp::Max, false),
                );
                binary(BinaryOp::Max, product(low), product(high))
            }
            1 if remembers => {
                // Keys of the entries that got most attention.
                let best = self.close(
                    "best",
                    Kind::Top {
                        by: Expr::KeyStream(MEMORIES),
                        count: number(2.0),
                        among: all(),
                        heads: false,
                    },
                );
                let best = binary(BinaryOp::Ne, best, number(0.0));
                let of = Expr::select(best, Expr::Score, number(0.0));
                product(self.fold("few", of, ReduceOp::Sum, false))
            }
            2 if alike => {
                // What the block's own queries see of it.
                let seen = self.close("seen", Kind::Within);
                let inner = self.fold("inner", product(seen), ReduceOp::Sum, true);
                let fit = self.close(
                    "fit",
                    Kind::VectorSum {
                        of: product(inner),
                        values: false,
                    },
                );
                let largest = self.close(
                    "largest",
                    Kind::Over {
                        of: fit.clone(),
                        how: ReduceOp::Max,
                        among: all(),
                    },
                );
                let share = Expr::unary(UnaryOp::Exp, binary(BinaryOp::Sub, fit, largest));
                product(self.fold("summary", product(share), ReduceOp::Sum, false))
            }
            3 => {
                let (entries, over) = (self.over(), self.over());
                let of = product(Expr::KeyStream(KEY));
                return self.choose("meets", Kind::EntrySum { of, entries, over });
            }
            _ => {
                let mean = self.fold("mean", Expr::Score, ReduceOp::Sum, false);
                let half = self.close("half", Kind::Channel(binary(BinaryOp::Mul, mean, number(0.5))));
                if self.rng.once_in(2) {
                    let fold = Kind::QueryFold {
                        of: Expr::Score,
                        over: ReduceOp::Sum,
                        mean: true,
                    };
                    let query = self.choose("query", fold);
                    binary(BinaryOp::Mul, query, half)
                } else {
                    product(half)
                }
            }
        };
        let over = self.over();
        let suits = self.choose("suits", Kind::QuerySum { of, over });
        if !self.rng.once_in(3) {
            return suits;
        }
        let (how, members) = (self.over(), self.rng.once_in(2));
        self.choose(
            "joined",
            Kind::Heads {
                of: suits,
                how,
                members,
            },
        )
    }

    /// Whether a block is chosen.
    fn best(&mut self, by: Expr) -> Expr {
        let count = 1 + self.rng.below(6);
        let kind = if self.rng.once_in(4) {
            Kind::Search { by, count }
        } else {
            let among = if self.rng.once_in(3) {
                binary(BinaryOp::Ge, Expr::KeyStream(SLOT), number(1.0))
            } else {
                all()
            };
            let count = match self.rng.once_in(3) {
                true => self.share_of_sum(&by),
                false => number(count as f64),
            };
            let heads = false;
            Kind::Top {
                by,
                count,
                among,
                heads,
            }
        };
        binary(BinaryOp::Ne, self.choose("best", kind), number(0.0))
    }

    /// How many blocks have a part of the sum of a number.
    fn share_of_sum(&mut self, by: &Expr) -> Expr {
        let of = binary(BinaryOp::Max, by.clone(), number(0.0));
        let whole = Kind::Over {
            of: of.clone(),
            how: ReduceOp::Sum,
            among: all(),
        };
        let part = number(*self.rng.choose(&PARTS));
        let sum = binary(BinaryOp::Mul, self.choose("whole", whole), part);
        let among = all();
        self.choose("fewest", Kind::Fewest { of, sum, among })
    }

    fn sights(&mut self, best: Expr) {
        let closed = binary(BinaryOp::Ne, Expr::KeyStream(CLOSED), number(0.0));
        let mut seen = binary(BinaryOp::Or, Expr::unary(UnaryOp::Not, closed), best);
        if self.rng.once_in(2) {
            seen = binary(BinaryOp::Or, younger(1 + self.rng.below(30)), seen);
        }
        if self.rng.once_in(3) {
            let reading = binary(BinaryOp::Ne, Expr::QueryStream(READING), number(0.0));
            seen = binary(BinaryOp::Or, reading, seen);
        }
        self.policy.sights[0].seen = Some(seen);
        self.policy.sights = self.policy.divided_sights();
    }
}

/// Distances of a policy whose queries choose.
pub(super) fn add_distances(rng: &mut Rng, policy: &mut Policy) {
    let Some(last) = policy.sights.last_mut() else { return };
    match rng.below(3) {
        0 => {
            last.query = binary(BinaryOp::Sub, Expr::QueryStream(SHOWN), number(1.0));
            last.key = Expr::KeyStream(RANK);
        }
        1 => (last.query, last.key) = (number(30.0), number(0.0)),
        _ => {
            let quarter = |e| Expr::unary(UnaryOp::Floor, binary(BinaryOp::Div, e, number(4.0)));
            (last.query, last.key) = (quarter(Expr::QueryPos), quarter(Expr::KeyPos));
        }
    }
    if let Some(blocks) = policy.blocks.as_mut().filter(|_| rng.once_in(2)) {
        blocks.key = Some(binary(BinaryOp::Mod, Expr::KeyPos, number(blocks.size as f64)));
        blocks.query = Some(binary(BinaryOp::Sub, Expr::QueryStream(ENTRIES), number(1.0)));
    }
}
