//! Neutral elements, and powers and quotients that a cheaper function computes.

use super::rule::{Rule, constant, constant_like, operands_of};
use seqc_ir::{BinaryOp, Elem, Graph, Op, UnaryOp, Value};

/// Numbers up to here are integers in double precision.
const LARGEST_EXACT: f64 = (1u64 << 53) as f64;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "x_plus_zero_is_x",
        rewrite: |graph, v| without_right(graph, v, BinaryOp::Add, 0.0),
    },
    Rule {
        name: "zero_plus_x_is_x",
        rewrite: |graph, v| without_left(graph, v, BinaryOp::Add, 0.0),
    },
    Rule {
        name: "x_minus_zero_is_x",
        rewrite: |graph, v| without_right(graph, v, BinaryOp::Sub, 0.0),
    },
    Rule {
        name: "x_times_one_is_x",
        rewrite: |graph, v| without_right(graph, v, BinaryOp::Mul, 1.0),
    },
    Rule {
        name: "one_times_x_is_x",
        rewrite: |graph, v| without_left(graph, v, BinaryOp::Mul, 1.0),
    },
    Rule {
        name: "x_over_one_is_x",
        rewrite: |graph, v| without_right(graph, v, BinaryOp::Div, 1.0),
    },
    Rule {
        name: "x_to_one_is_x",
        rewrite: |graph, v| without_right(graph, v, BinaryOp::Pow, 1.0),
    },
    Rule {
        name: "zero_minus_x_is_neg_x",
        rewrite: zero_minus_x_is_neg_x,
    },
    Rule {
        name: "x_over_power_of_two_is_product",
        rewrite: x_over_power_of_two_is_product,
    },
    Rule {
        name: "rounded_quotient_of_integer_is_of_integers",
        rewrite: rounded_quotient_of_integer_is_of_integers,
    },
    Rule {
        name: "x_to_two_is_square",
        rewrite: x_to_two_is_square,
    },
    Rule {
        name: "x_to_half_is_sqrt",
        rewrite: |graph, v| power_is_function(graph, v, 0.5, UnaryOp::Sqrt),
    },
    Rule {
        name: "x_to_minus_half_is_rsqrt",
        rewrite: |graph, v| power_is_function(graph, v, -0.5, UnaryOp::Rsqrt),
    },
];

/// The left operand of `op`, where the right one is `neutral` and the left one is not known.
fn without_right(graph: &Graph, v: Value, op: BinaryOp, neutral: f64) -> Option<Value> {
    let (x, c) = right_constant(graph, v, op)?;
    (c == neutral).then_some(x)
}

/// The right operand of `op`, where the left one is `neutral` and the right one is not known.
fn without_left(graph: &Graph, v: Value, op: BinaryOp, neutral: f64) -> Option<Value> {
    let (c, x) = left_constant(graph, v, op)?;
    (c == neutral).then_some(x)
}

fn right_constant(graph: &Graph, v: Value, op: BinaryOp) -> Option<(Value, f64)> {
    let [x, y] = operands_of(graph, v, op)?;
    let c = constant(graph, y)?;
    constant(graph, x).is_none().then_some((x, c))
}

fn left_constant(graph: &Graph, v: Value, op: BinaryOp) -> Option<(f64, Value)> {
    let [x, y] = operands_of(graph, v, op)?;
    let c = constant(graph, x)?;
    constant(graph, y).is_none().then_some((c, y))
}

fn is_real(graph: &Graph, v: Value) -> bool {
    graph.ty(v).elem == Elem::F32
}

fn zero_minus_x_is_neg_x(graph: &mut Graph, v: Value) -> Option<Value> {
    let (c, x) = left_constant(graph, v, BinaryOp::Sub)?;
    if c != 0.0 || !is_real(graph, v) {
        return None;
    }
    let ty = graph.ty(v).clone();
    Some(graph.add(Op::Unary(UnaryOp::Neg), ty, &[x]))
}

/// Where the inverse is exact: every product with it is the quotient to the last bit. An earlier rule takes 1.
fn x_over_power_of_two_is_product(graph: &mut Graph, v: Value) -> Option<Value> {
    let (x, c) = right_constant(graph, v, BinaryOp::Div)?;
    let exact = c != 0.0 && (1.0 / c) * c == 1.0 && c.abs().log2().fract() == 0.0;
    if !exact || !is_real(graph, v) {
        return None;
    }
    let ty = graph.ty(v).clone();
    let inverse = constant_like(graph, v, 1.0 / c);
    Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[x, inverse]))
}

/// `int(n / 3)` of an integer is exact in integers. Quotients by powers of two are products by now.
fn rounded_quotient_of_integer_is_of_integers(graph: &mut Graph, v: Value) -> Option<Value> {
    let (Op::Cast, Elem::I64) = (graph.op(v), graph.ty(v).elem) else {
        return None;
    };
    let quotient = graph.operands(v)[0];
    let divided = right_constant(graph, quotient, BinaryOp::Div);
    let multiplied = || right_constant(graph, quotient, BinaryOp::Mul).map(|(x, c)| (x, 1.0 / c));
    let (real, divisor) = divided.or_else(multiplied)?;
    let whole = divisor != 0.0 && divisor.fract() == 0.0 && divisor.abs() <= LARGEST_EXACT;
    if !whole || *graph.op(real) != Op::Cast {
        return None;
    }
    let n = graph.operands(real)[0];
    if graph.ty(n).elem != Elem::I64 {
        return None;
    }
    let ty = graph.ty(v).clone();
    let divisor = constant_like(graph, v, divisor);
    Some(graph.add(Op::Binary(BinaryOp::Div), ty, &[n, divisor]))
}

fn x_to_two_is_square(graph: &mut Graph, v: Value) -> Option<Value> {
    let (x, c) = right_constant(graph, v, BinaryOp::Pow)?;
    if c != 2.0 {
        return None;
    }
    let ty = graph.ty(v).clone();
    Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[x, x]))
}

fn power_is_function(graph: &mut Graph, v: Value, exponent: f64, op: UnaryOp) -> Option<Value> {
    let (x, c) = right_constant(graph, v, BinaryOp::Pow)?;
    if c != exponent {
        return None;
    }
    let ty = graph.ty(v).clone();
    Some(graph.add(Op::Unary(op), ty, &[x]))
}
