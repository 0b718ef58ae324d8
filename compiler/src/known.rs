//! Values known at build time, and arithmetic on them.

use seqc_grammar::ast::{BinOp, Expr, ExprKind, Span, UnOp};
use seqc_ir::{BinaryOp, UnaryOp, eval::apply_binary, eval::apply_unary};
use std::fmt;

/// A number, boolean, string or list that is known when a model is built.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// A number.
    Num(f64),
    /// A boolean.
    Bool(bool),
    /// A string.
    Str(String),
    /// A list.
    List(Vec<Known>),
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A number.
    Number,
    /// A boolean.
    Boolean,
    /// A string.
    String,
    /// A list.
    List,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Number => "a number",
            Kind::Boolean => "a boolean",
            Kind::String => "a string",
            Kind::List => "a list",
        })
    }
}

/// Why an expression has no value, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The part of the expression that is to blame.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// The code of the message.
    pub code: &'static str,
    /// The name that is not known, where that is the problem.
    pub unknown: Option<String>,
}

/// What expressions of models and families may refer to.
pub trait Env {
    /// The value of a name.
    fn name(&self, name: &str) -> Option<Known>;
    /// The value of a call that is not a function of numbers; `None`: no such function. Arguments are unevaluated.
    fn call(&self, callee: &str, args: &[Expr], span: Span) -> Option<Result<Known, Problem>>;
}

/// Functions of one number and their operations.
pub const FUNCTIONS: &[(&str, UnaryOp)] = &[
    ("exp", UnaryOp::Exp),
    ("log", UnaryOp::Log),
    ("sqrt", UnaryOp::Sqrt),
    ("rsqrt", UnaryOp::Rsqrt),
    ("sin", UnaryOp::Sin),
    ("cos", UnaryOp::Cos),
    ("tanh", UnaryOp::Tanh),
    ("sigmoid", UnaryOp::Sigmoid),
    ("softplus", UnaryOp::Softplus),
    ("erf", UnaryOp::Erf),
    ("abs", UnaryOp::Abs),
    ("floor", UnaryOp::Floor),
    ("round", UnaryOp::Round),
];

impl Problem {
    /// A problem at a part of an expression.
    pub fn new(span: Span, message: impl Into<String>) -> Problem {
        Problem {
            span,
            message: message.into(),
            code: "wrong-operands",
            unknown: None,
        }
    }
}

impl Known {
    /// What the value is.
    pub fn kind(&self) -> Kind {
        match self {
            Known::Num(_) => Kind::Number,
            Known::Bool(_) => Kind::Boolean,
            Known::Str(_) => Kind::String,
            Known::List(_) => Kind::List,
        }
    }

    /// The number as a size: an integer from 0 that a tensor axis can have.
    pub fn size(&self) -> Option<usize> {
        match self {
            Known::Num(n) if n.fract() == 0.0 && (0.0..=1_099_511_627_776.0).contains(n) => Some(*n as usize),
            _ => None,
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Known::Num(n) if n.is_finite() && *n != 0.0 && !(1e-7..1e16).contains(&n.abs()) => write!(f, "{n:e}"),
            Known::Num(n) => write!(f, "{n}"),
            Known::Bool(b) => write!(f, "{b}"),
            Known::Str(s) => write!(f, "{s}"),
            Known::List(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// The operation of the graph behind an infix operator; `@` has none.
pub fn binary_op(op: BinOp) -> Option<BinaryOp> {
    Some(match op {
        BinOp::Add => BinaryOp::Add,
        BinOp::Sub => BinaryOp::Sub,
        BinOp::Mul => BinaryOp::Mul,
        BinOp::Div => BinaryOp::Div,
        BinOp::Mod => BinaryOp::Mod,
        BinOp::Pow => BinaryOp::Pow,
        BinOp::Lt => BinaryOp::Lt,
        BinOp::Le => BinaryOp::Le,
        BinOp::Gt => BinaryOp::Gt,
        BinOp::Ge => BinaryOp::Ge,
        BinOp::Eq => BinaryOp::Eq,
        BinOp::Ne => BinaryOp::Ne,
        BinOp::And => BinaryOp::And,
        BinOp::Or => BinaryOp::Or,
        BinOp::MatMul => return None,
    })
}

/// How an operation is written.
pub fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "**",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::And => "&&",
        BinaryOp::Or => "||",
        BinaryOp::Min => "min",
        BinaryOp::Max => "max",
    }
}

/// `a op b`; the message says why not. With `whole`, a quotient is rounded down.
pub fn binary(op: BinaryOp, a: &Known, b: &Known, whole: bool) -> Result<Known, String> {
    match (a, b) {
        (Known::Num(x), Known::Num(y)) if !matches!(op, BinaryOp::And | BinaryOp::Or) => {
            let value = apply_binary(op, false, *x, *y);
            Ok(match (op.is_predicate(), op) {
                (true, _) => Known::Bool(value != 0.0),
                (false, BinaryOp::Div) if whole => Known::Num(value.floor()),
                (false, _) => Known::Num(value),
            })
        }
        (Known::Bool(x), Known::Bool(y)) => match op {
            BinaryOp::And => Ok(Known::Bool(*x && *y)),
            BinaryOp::Or => Ok(Known::Bool(*x || *y)),
            BinaryOp::Eq => Ok(Known::Bool(x == y)),
            BinaryOp::Ne => Ok(Known::Bool(x != y)),
            _ => Err("booleans have no arithmetic".to_owned()),
        },
        _ => match op {
            BinaryOp::Eq => Ok(Known::Bool(a == b)),
            BinaryOp::Ne => Ok(Known::Bool(a != b)),
            BinaryOp::And | BinaryOp::Or => Err(format!("takes two booleans, not {} and {}", a.kind(), b.kind())),
            _ => Err(format!("does not apply to {} and {}", a.kind(), b.kind())),
        },
    }
}

/// `-x` or `!x`.
pub fn unary(op: UnOp, x: &Known) -> Result<Known, String> {
    match (op, x) {
        (UnOp::Neg, Known::Num(n)) => Ok(Known::Num(-n)),
        (UnOp::Not, Known::Bool(b)) => Ok(Known::Bool(!b)),
        (UnOp::Neg, _) => Err(format!("`-` does not apply to {}", x.kind())),
        (UnOp::Not, _) => Err(format!("`!` does not apply to {}", x.kind())),
    }
}

/// Functions of numbers that no operation of one number is behind.
const OF_NUMBERS: &[&str] = &["ceil", "min", "max"];

/// Functions of lists and strings.
const OTHERS: &[&str] = &["len", "contains", "index", "places", "letters"];

/// The names of all functions of known values.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    number_functions().chain(OTHERS.iter().copied())
}

/// The names of those that take numbers.
pub fn number_functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS
        .iter()
        .map(|(name, _)| *name)
        .chain(OF_NUMBERS.iter().copied())
}

/// A function of known values by its name; `None`: there is no such function.
pub fn function(name: &str, args: &[Known]) -> Option<Result<Known, String>> {
    if let Some((_, op)) = FUNCTIONS.iter().find(|(n, _)| *n == name) {
        return Some(match args {
            [Known::Num(x)] => Ok(Known::Num(apply_unary(*op, *x))),
            _ => Err(format!("`{name}` takes one number")),
        });
    }
    Some(match (name, args) {
        ("ceil", [Known::Num(x)]) => Ok(Known::Num(x.ceil())),
        ("min", [Known::Num(x), Known::Num(y)]) => Ok(Known::Num(x.min(*y))),
        ("max", [Known::Num(x), Known::Num(y)]) => Ok(Known::Num(x.max(*y))),
        ("len", [Known::List(items)]) => Ok(Known::Num(items.len() as f64)),
        ("contains", [Known::List(items), value]) => Ok(Known::Bool(items.contains(value))),
        ("index", [Known::List(items), value]) => match items.iter().position(|item| item == value) {
            Some(at) => Ok(Known::Num(at as f64)),
            None => Err(format!("{value} is not in the list")),
        },
        ("places", [Known::List(items), value]) => {
            let places = items.iter().enumerate().filter(|(_, item)| *item == value);
            Ok(Known::List(places.map(|(n, _)| Known::Num(n as f64)).collect()))
        }
        ("letters", [Known::Str(text)]) => Ok(Known::List(text.chars().map(|c| Known::Str(c.to_string())).collect())),
        ("ceil", _) => Err("`ceil` takes one number".to_owned()),
        ("min" | "max", _) => Err(format!("`{name}` takes two numbers")),
        ("len", _) => Err("`len` takes one list".to_owned()),
        ("contains" | "index" | "places", _) => Err(format!("`{name}` takes a list and a value")),
        ("letters", _) => Err("`letters` takes one string".to_owned()),
        _ => return None,
    })
}

/// `list[i]`.
pub fn element(list: &Known, index: &Known) -> Result<Known, String> {
    let Known::List(items) = list else {
        return Err(format!("{} has no elements", list.kind()));
    };
    let Some(n) = index.size() else {
        return Err(format!("{index} is not an index"));
    };
    items
        .get(n)
        .cloned()
        .ok_or_else(|| format!("the list has {} elements, the index {n} is out of range", items.len()))
}

/// Evaluates an expression of a model or a family.
pub fn evaluate(expr: &Expr, env: &dyn Env) -> Result<Known, Problem> {
    let at = |message: String| Problem::new(expr.span, message);
    match &expr.kind {
        ExprKind::Number(n) => Ok(Known::Num(*n)),
        ExprKind::Str(s) => Ok(Known::Str(s.clone())),
        ExprKind::Bool(b) => Ok(Known::Bool(*b)),
        ExprKind::Name(name) => env.name(name).ok_or_else(|| Problem {
            code: "unknown-name",
            unknown: Some(name.clone()),
            ..at(format!("`{name}` is not defined here"))
        }),
        ExprKind::Unary(op, x) => unary(*op, &evaluate(x, env)?).map_err(at),
        ExprKind::Binary(op, a, b) => {
            let a = evaluate(a, env)?;
            match (op, &a) {
                (BinOp::And, Known::Bool(false)) => return Ok(Known::Bool(false)),
                (BinOp::Or, Known::Bool(true)) => return Ok(Known::Bool(true)),
                _ => {}
            }
            let Some(op) = binary_op(*op) else {
                return Err(at("`@` is for tensors".to_owned()));
            };
            binary(op, &a, &evaluate(b, env)?, false).map_err(|m| at(format!("`{}` {m}", symbol(op))))
        }
        ExprKind::If(c, a, b) => match evaluate(c, env)? {
            Known::Bool(true) => evaluate(a, env),
            Known::Bool(false) => evaluate(b, env),
            other => Err(Problem::new(
                c.span,
                format!("a condition is a boolean, not {}", other.kind()),
            )),
        },
        ExprKind::Call { callee, args, named } => {
            if let Some(first) = named.first() {
                return Err(Problem::new(
                    first.name.span,
                    format!("`{}` takes no settings here", callee.text),
                ));
            }
            if let Some(result) = env.call(&callee.text, args, expr.span) {
                return result;
            }
            let args = args.iter().map(|a| evaluate(a, env)).collect::<Result<Vec<_>, _>>()?;
            match function(&callee.text, &args) {
                Some(result) => result.map_err(at),
                None => Err(Problem {
                    code: "unknown-name",
                    unknown: Some(callee.text.clone()),
                    ..Problem::new(callee.span, format!("there is no function `{}` here", callee.text))
                }),
            }
        }
        ExprKind::List(items) => Ok(Known::List(
            items.iter().map(|i| evaluate(i, env)).collect::<Result<_, _>>()?,
        )),
        ExprKind::Index { base, indices } => match &indices[..] {
            [index] => element(&evaluate(base, env)?, &evaluate(index, env)?).map_err(|message| Problem {
                code: "out-of-range",
                ..at(message)
            }),
            _ => Err(at("a list has one index".to_owned())),
        },
        ExprKind::When(..) => Err(at("`when` belongs into a layer".to_owned())),
        ExprKind::Reduce { .. } => Err(at("a sum over indices belongs into a layer".to_owned())),
        ExprKind::Tuple(_) => Err(at("one value is expected here".to_owned())),
        ExprKind::Error => Err(at("cannot be read".to_owned())),
    }
}
