//! The text form of affine expressions: that of index maps, as `i0 * 64 + (i1 + 3) / 4 + i2 % 8 + 1`.

use crate::affine::{AffineExpr, Atom};
use seqc_ir::{
    IndexExpr,
    text::{ParseError, Parser},
};
use std::{
    fmt::{self, Display, Formatter},
    str::FromStr,
};

impl Display for AffineExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (atom, k) in &self.terms {
            let gap = if std::mem::take(&mut first) { "" } else { " + " };
            write!(f, "{gap}{atom}")?;
            if *k != 1 {
                write!(f, " * {k}")?;
            }
        }
        match (first, self.constant) {
            (true, c) => write!(f, "{c}"),
            (false, 0) => Ok(()),
            (false, c) => write!(f, " + {c}"),
        }
    }
}

impl Display for Atom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let inner = |x: &AffineExpr| match x.as_axis() {
            Some(_) => x.to_string(),
            None => format!("({x})"),
        };
        match self {
            Atom::Axis(n) => write!(f, "i{n}"),
            Atom::Div(x, k) => write!(f, "{} / {k}", inner(x)),
            Atom::Mod(x, k) => write!(f, "{} % {k}", inner(x)),
        }
    }
}

impl FromStr for AffineExpr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<AffineExpr, ParseError> {
        let mut parser = Parser::new(text)?;
        let found = AffineExpr::read(&mut parser)?;
        parser.end()?;
        Ok(found)
    }
}

impl AffineExpr {
    /// Reads one, as `Display` writes it.
    pub(crate) fn read(text: &mut Parser) -> Result<AffineExpr, ParseError> {
        let place = text.here();
        let expr = text.index_expr(0)?;
        AffineExpr::as_written(&expr).ok_or_else(|| text.error_at(place, "this divides by no positive number"))
    }

    /// The sum of the terms of an index, none of them simplified; `None` where it divides by what is not positive.
    fn as_written(expr: &IndexExpr) -> Option<AffineExpr> {
        let quotient = |a: &IndexExpr, k: i64, atom: fn(Box<AffineExpr>, i64) -> Atom| {
            let inner = AffineExpr::as_written(a)?;
            (k > 0).then(|| AffineExpr::atom(atom(Box::new(inner), k)))
        };
        match expr {
            IndexExpr::Axis(n) => Some(AffineExpr::axis(*n)),
            IndexExpr::Const(c) => Some(AffineExpr::constant(*c)),
            IndexExpr::Add(a, b) => Some(sum(AffineExpr::as_written(a)?, AffineExpr::as_written(b)?)),
            IndexExpr::Mul(a, k) => Some(AffineExpr::as_written(a)?.times(*k)),
            IndexExpr::Div(a, k) => quotient(a, *k, Atom::Div),
            IndexExpr::Mod(a, k) => quotient(a, *k, Atom::Mod),
        }
    }
}

fn sum(mut a: AffineExpr, b: AffineExpr) -> AffineExpr {
    a.constant += b.constant;
    for (atom, k) in b.terms {
        *a.terms.entry(atom).or_insert(0) += k;
    }
    a.terms.retain(|_, k| *k != 0);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_parses_back() {
        for text in [
            "0",
            "-3",
            "i1",
            "i0 * -2 + 5",
            "i0 * 64 + (i1 + 3) / 4 * 2 + i2 % 8 + 1",
            "(i0 / 4 * 3 + i1) % 7",
        ] {
            let expr: AffineExpr = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(expr.to_string().parse(), Ok(expr), "{text}");
        }
    }

    #[test]
    fn terms_are_kept_apart_as_they_stand() {
        // Simplified, this is `i0`.
        let expr: AffineExpr = "i0 / 4 * 4 + i0 % 4".parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(expr.to_string(), "i0 / 4 * 4 + i0 % 4");
    }
}
