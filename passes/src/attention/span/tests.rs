//! What is recognised, and that no bound is ever too small.

use super::*;

fn number(c: f64) -> PairExpr {
    PairExpr::Const(c)
}

fn distance() -> PairExpr {
    PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos)
}

fn segment(x: PairExpr, size: f64) -> PairExpr {
    PairExpr::unary(UnaryOp::Floor, PairExpr::binary(BinaryOp::Div, x, number(size)))
}

fn check(predicate: &PairExpr, distance: Option<u64>, first: u64) {
    assert_eq!(
        AttentionSpan::of_predicate(predicate, 4),
        AttentionSpan { distance, first },
        "{predicate:?}"
    );
}

#[test]
fn windows_in_any_arrangement() {
    use BinaryOp::*;
    let (i, j) = (PairExpr::QueryPos, PairExpr::KeyPos);
    check(&PairExpr::binary(Lt, distance(), number(8.0)), Some(8), 0);
    check(&PairExpr::binary(Le, distance(), number(8.0)), Some(9), 0);
    check(&PairExpr::binary(Gt, number(2.5), distance()), Some(3), 0);
    check(
        &PairExpr::binary(Gt, j.clone(), PairExpr::binary(Sub, i.clone(), number(8.0))),
        Some(8),
        0,
    );
    check(
        &PairExpr::binary(Le, i.clone(), PairExpr::binary(Add, j.clone(), number(8.0))),
        Some(9),
        0,
    );
    check(
        &PairExpr::unary(UnaryOp::Not, PairExpr::binary(Ge, distance(), number(8.0))),
        Some(8),
        0,
    );
    check(&PairExpr::binary(Lt, j.clone(), number(4.0)), Some(0), 4);
    check(&PairExpr::binary(Eq, i.clone(), j.clone()), Some(1), 0);
    check(
        &PairExpr::binary(Lt, PairExpr::unary(UnaryOp::Abs, distance()), number(5.0)),
        Some(5),
        0,
    );
    check(&PairExpr::binary(Lt, distance(), number(f64::INFINITY)), None, 0);
    check(&PairExpr::binary(Lt, distance(), number(1e12)), None, 0);
    check(&PairExpr::binary(Ne, i, j), None, 0);
}

#[test]
fn combinations() {
    use BinaryOp::*;
    let window = || PairExpr::binary(Lt, distance(), number(2044.0));
    let sinks = PairExpr::binary(Lt, PairExpr::KeyPos, number(4.0));
    let both = PairExpr::binary(Or, sinks.clone(), window());
    check(&both, Some(2044), 4);
    assert_eq!(AttentionSpan::of_predicate(&both, 1).bound(), "min(T, 4 + 2044)");
    let gate = PairExpr::binary(Ne, PairExpr::KeyStream(0), number(0.0));
    check(&gate, None, 0);
    check(&PairExpr::binary(And, window(), gate.clone()), Some(2044), 0);
    check(&PairExpr::binary(Or, window(), gate), None, 0);
    let shorter = PairExpr::binary(Lt, distance(), number(7.0));
    check(&PairExpr::binary(And, window(), shorter.clone()), Some(7), 0);
    let choice = PairExpr::select(sinks, number(1.0), shorter);
    check(&choice, Some(7), 4);
    check(&number(0.0), Some(0), 0);
    let reach = PairExpr::binary(Mul, number(3.0), PairExpr::binary(Add, PairExpr::Head, number(1.0)));
    check(&PairExpr::binary(Lt, distance(), reach), Some(12), 0);
    let capped = PairExpr::binary(Min, distance(), number(64.0));
    check(&PairExpr::binary(Lt, capped.clone(), number(8.0)), Some(8), 0);
    check(&PairExpr::binary(Lt, capped, number(65.0)), None, 0);
}

#[test]
fn segments() {
    use BinaryOp::*;
    let (i, j) = (segment(PairExpr::QueryPos, 6.0), segment(PairExpr::KeyPos, 6.0));
    check(&PairExpr::binary(Eq, i.clone(), j.clone()), Some(6), 0);
    check(
        &PairExpr::binary(Le, PairExpr::binary(Sub, i.clone(), j.clone()), number(2.0)),
        Some(18),
        0,
    );
    check(
        &PairExpr::binary(Lt, i.clone(), PairExpr::binary(Add, j.clone(), number(3.0))),
        Some(18),
        0,
    );
    let start = PairExpr::binary(Mul, i, number(6.0));
    check(&PairExpr::binary(Ge, PairExpr::KeyPos, start), Some(6), 0);
    let rest = |x| PairExpr::binary(Mod, x, number(6.0));
    let same = PairExpr::binary(Sub, PairExpr::QueryPos, rest(PairExpr::QueryPos));
    check(&PairExpr::binary(Ge, PairExpr::KeyPos, same), Some(6), 0);
    check(&PairExpr::binary(Eq, rest(distance()), number(0.0)), None, 0);
}

#[test]
fn bounds_read_as_formulas() {
    let keep = |distance, first| AttentionSpan { distance, first }.bound();
    assert_eq!(keep(None, 4), "T");
    assert_eq!(keep(Some(512), 0), "min(T, 512)");
    assert_eq!(keep(Some(0), 4), "min(T, 4)");
    assert_eq!(keep(Some(0), 0), "0");
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn number(&mut self) -> PairExpr {
        number((self.below(49) as f64 - 12.0) / [1.0, 1.0, 1.0, 2.0, 3.0][self.below(5) as usize])
    }

    fn real(&mut self, depth: u32) -> PairExpr {
        use BinaryOp::*;
        if depth == 0 {
            return match self.below(7) {
                0 | 1 => PairExpr::QueryPos,
                2 | 3 => PairExpr::KeyPos,
                4 => PairExpr::Head,
                _ => self.number(),
            };
        }
        match self.below(9) {
            0 => PairExpr::unary(
                [UnaryOp::Neg, UnaryOp::Floor, UnaryOp::Abs][self.below(3) as usize],
                self.real(depth - 1),
            ),
            1 => PairExpr::binary(Mul, self.real(depth - 1), self.number()),
            2 => PairExpr::binary(Div, self.real(depth - 1), self.number()),
            3 => segment(self.real(depth - 1), 1.0 + self.below(6) as f64),
            4 => PairExpr::binary(
                [Min, Max, Mod][self.below(3) as usize],
                self.real(depth - 1),
                self.number(),
            ),
            5 => PairExpr::Select(
                Box::new(self.truth(depth - 1)),
                Box::new(self.real(depth - 1)),
                Box::new(self.real(depth - 1)),
            ),
            n => PairExpr::binary(
                if n % 2 == 0 { Add } else { Sub },
                self.real(depth - 1),
                self.real(depth - 1),
            ),
        }
    }

    fn truth(&mut self, depth: u32) -> PairExpr {
        use BinaryOp::*;
        if depth == 0 || self.below(3) == 0 {
            let op = [Lt, Le, Gt, Ge, Eq, Ne][self.below(6) as usize];
            let depth = self.below(3) as u32;
            return PairExpr::binary(op, self.real(depth), self.real(depth));
        }
        match self.below(4) {
            0 => PairExpr::unary(UnaryOp::Not, self.truth(depth - 1)),
            1 => PairExpr::Select(
                Box::new(self.truth(depth - 1)),
                Box::new(self.truth(depth - 1)),
                Box::new(self.truth(depth - 1)),
            ),
            n => PairExpr::binary(
                if n == 2 { And } else { Or },
                self.truth(depth - 1),
                self.truth(depth - 1),
            ),
        }
    }
}

/// The number of an expression without streams at one pair.
fn value(expr: &PairExpr, query: u64, key: u64, head: usize) -> f64 {
    let number = expr.substitute(&|leaf| match leaf {
        PairLeaf::QueryPos => number(query as f64),
        PairLeaf::KeyPos => number(key as f64),
        PairLeaf::Head => number(head as f64),
        other => other.into(),
    });
    number.constant().expect("only numbers are left")
}

#[test]
fn bounds_are_sound() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut bounded = 0;
    for _ in 0..1500 {
        let predicate = random.truth(2);
        let keep = AttentionSpan::of_predicate(&predicate, 3);
        let Some(distance) = keep.distance else { continue };
        bounded += 1;
        for i in 0..64u64 {
            for j in (0..=i).filter(|j| i - j >= distance && *j >= keep.first) {
                for head in 0..3 {
                    let seen = value(&predicate, i, j, head) != 0.0;
                    assert!(!seen, "query {i} sees key {j} beyond {keep:?}: {predicate:?}");
                }
            }
        }
    }
    assert!(bounded > 150, "only {bounded} of the predicates have a bound");
}
