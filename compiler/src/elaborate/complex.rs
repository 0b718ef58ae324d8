//! Complex numbers: pairs of real tensors. Graphs have no complex numbers.

use super::{
    cx::Cx,
    val::{Complex, Operand, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, Known},
};
use seqc_grammar::ast::Span;
use seqc_ir::{BinaryOp, Elem, IndexExpr, UnaryOp};

/// Largest whole exponent of a complex number.
const MAX_POWER: f64 = 64.0;

impl Cx<'_> {
    /// Real and imaginary part, repeated to one shape.
    pub(super) fn pair(&mut self, re: Val, im: Val, span: Span) -> Val {
        if matches!(re, Val::Poison) || matches!(im, Val::Poison) {
            return Val::Poison;
        }
        let parts = [re.at(span), im.at(span)];
        let Some((vars, plain, unknown)) = self.joined_shape(&parts, span) else {
            return Val::Poison;
        };
        let tensors = parts.map(|part| {
            let t = self.lift(&part.val, Elem::F32, part.span)?;
            let v = self.spread(&t, &vars, &plain);
            let vars = vars.clone();
            Some(Tensor { v, vars, unknown })
        });
        let [Some(re), Some(im)] = tensors else {
            return Val::Poison;
        };
        let [re, im] = self.on_one_clock([re, im]);
        Val::Complex(Box::new(Complex { re, im }))
    }

    /// A parameter of complex numbers: pairs along the last axis of what is stored.
    pub(super) fn complex_of_pairs(&mut self, t: &Tensor) -> Val {
        let dims = self.dims(t);
        let shape = dims[..dims.len() - 1].to_vec();
        let parts = [0, 1].map(|n| {
            let axes = (0..shape.len()).map(IndexExpr::Axis);
            let map = axes.chain([IndexExpr::Const(n)]).collect();
            Tensor::plain(self.view(t.v, shape.clone(), map))
        });
        let [re, im] = parts;
        Val::Complex(Box::new(Complex { re, im }))
    }

    /// The parts of a number, the imaginary one of a real number being 0.
    fn parts(val: Val) -> (Val, Val) {
        match val {
            Val::Complex(c) => (Val::Tensor(c.re), Val::Tensor(c.im)),
            real => (real, Val::Known(Known::Num(0.0))),
        }
    }

    /// The same operation on both parts of a complex number; on anything else, itself.
    pub(super) fn on_parts(&mut self, val: Val, span: Span, mut f: impl FnMut(&mut Self, Val) -> Val) -> Val {
        match val {
            Val::Complex(c) => {
                let (re, im) = (f(self, Val::Tensor(c.re)), f(self, Val::Tensor(c.im)));
                self.pair(re, im, span)
            }
            real => f(self, real),
        }
    }

    /// `a op b` where one of them is complex.
    pub(super) fn complex_binary(&mut self, op: BinaryOp, a: Operand, b: Operand, span: Span) -> Val {
        if [&a.val, &b.val].iter().any(|v| matches!(v, Val::Score(_))) {
            return self.error("score-use", span, "functions of query and key are real");
        }
        let real = |val: &Val| !matches!(val, Val::Complex(_));
        match op {
            BinaryOp::Pow => return self.complex_power(a, b, span),
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div => {}
            _ => {
                let place = self.place(span);
                let message = format!("`{}` does not apply to complex numbers", known::symbol(op));
                let d = Diagnostic::new("wrong-operands", place, message);
                return self.report(d.help("compare their parts or magnitudes: re(z), im(z), abs(z)"));
            }
        }
        let (a_at, b_at) = (a.span, b.span);
        let (real_a, real_b) = (real(&a.val), real(&b.val));
        let (ar, ai) = Self::parts(a.val);
        let (br, bi) = Self::parts(b.val);
        let at = |val: &Val, at: Span| val.clone().at(at);
        match op {
            BinaryOp::Add | BinaryOp::Sub => {
                let re = self.binary(op, ar.at(a_at), br.at(b_at), span);
                let im = self.binary(op, ai.at(a_at), bi.at(b_at), span);
                self.pair(re, im, span)
            }
            BinaryOp::Div if !real_b => {
                // a / b = a conj(b) / |b|^2
                let square = self.square(&br, &bi, b_at);
                let minus = self.unary(UnaryOp::Neg, bi.at(b_at), span);
                let conjugate = self.pair(br, minus, span);
                let whole = if real_a { ar } else { self.pair(ar, ai, a_at) };
                let product = self.binary(BinaryOp::Mul, whole.at(a_at), conjugate.at(b_at), span);
                self.binary(BinaryOp::Div, product.at(span), square.at(b_at), span)
            }
            BinaryOp::Mul if !real_a && !real_b => {
                let mut times = |x: &Val, y: &Val| self.binary(BinaryOp::Mul, at(x, a_at), at(y, b_at), span);
                let (rr, ii, ri, ir) = (times(&ar, &br), times(&ai, &bi), times(&ar, &bi), times(&ai, &br));
                let re = self.binary(BinaryOp::Sub, rr.at(span), ii.at(span), span);
                let im = self.binary(BinaryOp::Add, ri.at(span), ir.at(span), span);
                self.pair(re, im, span)
            }
            // One of them is real.
            _ => {
                let (re, im) = if real_b {
                    let re = self.binary(op, ar.at(a_at), at(&br, b_at), span);
                    (re, self.binary(op, ai.at(a_at), br.at(b_at), span))
                } else {
                    let re = self.binary(op, at(&ar, a_at), br.at(b_at), span);
                    (re, self.binary(op, ar.at(a_at), bi.at(b_at), span))
                };
                self.pair(re, im, span)
            }
        }
    }

    /// `re * re + im * im`
    fn square(&mut self, re: &Val, im: &Val, at: Span) -> Val {
        let re = self.binary(BinaryOp::Mul, re.clone().at(at), re.clone().at(at), at);
        let im = self.binary(BinaryOp::Mul, im.clone().at(at), im.clone().at(at), at);
        self.binary(BinaryOp::Add, re.at(at), im.at(at), at)
    }

    /// A complex number to a whole power that is known when the model is built.
    fn complex_power(&mut self, a: Operand, b: Operand, span: Span) -> Val {
        let Val::Known(Known::Num(n)) = b.val else {
            let place = self.place(b.span);
            let d = Diagnostic::new(
                "wrong-operands",
                place,
                "the power of a complex number is an integer from 1",
            );
            return self.report(d.help("with a = log z known, z ** l is exp(l * a)"));
        };
        if !(1.0..=MAX_POWER).contains(&n) || n.fract() != 0.0 {
            let message = format!("the power of a complex number is an integer from 1 to {MAX_POWER}, not {n}");
            return self.error("wrong-operands", b.span, message);
        }
        let mut product = a.val.clone();
        for _ in 1..n as usize {
            product = self.binary(BinaryOp::Mul, product.at(span), a.clone(), span);
        }
        product
    }

    /// `f(z)` of a complex number.
    pub(super) fn complex_unary(&mut self, op: UnaryOp, z: Complex, at: Span, span: Span) -> Val {
        let (re, im) = (Val::Tensor(z.re), Val::Tensor(z.im));
        match op {
            UnaryOp::Neg => {
                let re = self.unary(op, re.at(at), span);
                let im = self.unary(op, im.at(at), span);
                self.pair(re, im, span)
            }
            UnaryOp::Exp => {
                let size = self.unary(UnaryOp::Exp, re.at(at), span);
                let [re, im] = [UnaryOp::Cos, UnaryOp::Sin].map(|f| {
                    let turn = self.unary(f, im.clone().at(at), span);
                    self.binary(BinaryOp::Mul, size.clone().at(at), turn.at(at), span)
                });
                self.pair(re, im, span)
            }
            UnaryOp::Abs => {
                let square = self.square(&re, &im, at);
                self.unary(UnaryOp::Sqrt, square.at(at), span)
            }
            _ => {
                let place = self.place(span);
                let message = format!("`{}` does not apply to complex numbers", op.name());
                let d = Diagnostic::new("wrong-operands", place, message);
                self.report(d.help("exp and abs do; other functions take the parts, re(z) and im(z)"))
            }
        }
    }

    /// `re(z)`, `im(z)`, `conj(z)`; of a real number too.
    pub(super) fn part_of(&mut self, name: &str, z: Operand, span: Span) -> Val {
        if matches!(z.val, Val::Poison | Val::Tuple(_) | Val::Score(_)) {
            self.tensor(&z.val, z.span);
            return Val::Poison;
        }
        let real = !matches!(z.val, Val::Complex(_));
        let (re, im) = Self::parts(z.val);
        match name {
            "im" => im,
            "conj" if !real => {
                let im = self.unary(UnaryOp::Neg, im.at(z.span), span);
                self.pair(re, im, span)
            }
            _ => re,
        }
    }

    /// A part of a complex number; of a real one, itself, or zeros of its shape.
    pub(super) fn part_like(&mut self, name: &str, z: Operand) -> Val {
        match (name, &z.val) {
            ("im", Val::Tensor(t)) => {
                let (dims, vars) = (self.graph.ty(t.v).dims.clone(), t.vars.clone());
                let zeros = self.filled(0.0, &dims);
                Val::Tensor(Tensor::over(zeros, vars))
            }
            _ => self.part_of(name, z.clone(), z.span),
        }
    }

    /// Pairs of the values of two tuples.
    pub(super) fn pairs_of(&mut self, re: Val, im: Val, span: Span) -> Val {
        match (re, im) {
            (Val::Tuple(re), Val::Tuple(im)) => {
                let pairs = re.into_iter().zip(im);
                Val::Tuple(pairs.map(|(re, im)| self.pair(re, im, span)).collect())
            }
            _ => Val::Poison,
        }
    }

    /// `complex(re, im)`
    pub(super) fn complex(&mut self, re: Operand, im: Operand, span: Span) -> Val {
        for part in [&re, &im] {
            if matches!(part.val, Val::Complex(_) | Val::Tuple(_) | Val::Score(_)) {
                self.tensor(&part.val, part.span);
                return Val::Poison;
            }
        }
        self.pair(re.val, im.val, span)
    }
}
