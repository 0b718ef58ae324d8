//! Syntax trees of `.seq` files. Every node has its source location.

/// A range of bytes of a source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes from `start` to before `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The range from the start of this to the end of the other.
    pub fn to(self, end: Span) -> Span {
        Span {
            start: self.start,
            end: end.end.max(self.start),
        }
    }

    /// The part of a text; empty where the text has no such part.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

/// A name with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A `.seq` file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Definitions in the order of the text.
    pub items: Vec<Def>,
}

/// What a definition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefKind {
    /// A layer: has parameters and state of its own, stacked by a model.
    Layer,
    /// A layer around another layer: norms and residuals.
    Block,
    /// A function: inlined where it is called.
    Fn,
    /// A cache policy: which entries of attention caches are kept, how they are stored, and how they are seen.
    Cache,
}

/// `layer`, `block`, `fn` or `cache`.
#[derive(Clone, Debug, PartialEq)]
pub struct Def {
    /// Which of the four.
    pub kind: DefKind,
    /// Doc comment lines (`///`), without the slashes.
    pub doc: Vec<String>,
    /// Name.
    pub name: Ident,
    /// Streams it takes, before the `;`.
    pub streams: Vec<StreamParam>,
    /// Settings with defaults, after the `;`.
    pub settings: Vec<Setting>,
    /// Shape after `->`.
    pub result: Option<Shape>,
    /// Statements; the last one is the result, except in caches.
    pub body: Vec<Stmt>,
    /// The whole definition.
    pub span: Span,
}

/// A stream argument of a definition.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamParam {
    /// Name.
    pub name: Ident,
    /// Type after the colon.
    pub ty: StreamTy,
}

/// Type of a stream argument.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamTy {
    /// Nothing written (functions only): whatever is passed.
    Any,
    /// `x: [h, e]`: reals of this shape. A plain name that is not known yet is bound to the size found.
    Real(Shape),
    /// `t: int` or `t: int[n]`: integers.
    Int(Option<Shape>),
    /// `a: complex[n]` (functions only): complex numbers.
    Complex(Option<Shape>),
    /// `inner: layer` (blocks only): the wrapped layer.
    Layer,
}

/// A bracketed list of size expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Sizes.
    pub dims: Vec<Expr>,
    /// With the brackets.
    pub span: Span,
}

/// `name = default` after the `;`.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Name.
    pub name: Ident,
    /// Default; without one the model must give a value.
    pub default: Option<Expr>,
}

/// A statement of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// `dim e = 2 * d`
    Dim {
        /// Name.
        name: Ident,
        /// Size.
        value: Expr,
    },
    /// `param w[e, d], b[e]`
    Param(Vec<ParamDecl>),
    /// `y = …`, `y: [e] = …`, `y[e] = …`, `(a, b) = …`
    Let {
        /// What is defined.
        target: Target,
        /// By what.
        value: Expr,
    },
    /// `trace active = on`: a value that programs report on request.
    Trace {
        /// Name of the report.
        name: Ident,
        /// What is reported.
        value: Expr,
    },
    /// The last statement: the result.
    Result(Expr),
    /// `keep(…)` (caches only): a call that says something of the cache.
    Clause(Expr),
}

/// One declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamDecl {
    /// Name.
    pub name: Ident,
    /// Shape; `None` for a scalar.
    pub shape: Option<Shape>,
    /// `w[n]: complex`: complex numbers, stored as pairs along one more, last axis.
    pub complex: bool,
}

/// Left side of a definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// `y` or `y: [e]`.
    Name {
        /// Name.
        name: Ident,
        /// Shape annotation.
        shape: Option<Shape>,
    },
    /// `y[e, n]`: index notation.
    Indexed {
        /// Name.
        name: Ident,
        /// Index variables.
        vars: Vec<Ident>,
    },
    /// `(a, b)`.
    Tuple(Vec<Ident>),
}

/// An expression with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// Kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1e-5`, `16`, `inf`.
    Number(f64),
    /// `"full"`.
    Str(String),
    /// `true`, `false`.
    Bool(bool),
    /// A name.
    Name(String),
    /// `-x`, `!x`.
    Unary(UnOp, Box<Expr>),
    /// `x + y` and the like.
    Binary(BinOp, Box<Expr>, Box<Expr>),
    /// `if c then a else b`.
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `x when c`: the tokens of `x` where `c` holds.
    When(Box<Expr>, Box<Expr>),
    /// `f(x, y; name = value, where (i, j) = i - j < w)`. `;` or `,` may separate named arguments.
    Call {
        /// Name of the function.
        callee: Ident,
        /// Positional arguments.
        args: Vec<Expr>,
        /// Named arguments.
        named: Vec<NamedArg>,
    },
    /// `sum(n: body)`, `max(i, j: body)`, `sum(k < 4: body)`.
    Reduce {
        /// `sum`, `mean`, `max`, `min`, `prod`, `any`, `all`, `argmax`, `argmin`.
        op: Ident,
        /// Bound index variables with their sizes where given.
        vars: Vec<(Ident, Option<Expr>)>,
        /// Body.
        body: Box<Expr>,
    },
    /// `x[i, n - 1 - j]`, `list[i]`.
    Index {
        /// What is indexed.
        base: Box<Expr>,
        /// Indices.
        indices: Vec<Expr>,
    },
    /// `[1, 2, "full"]`.
    List(Vec<Expr>),
    /// `(a, b)`: several values, two or more.
    Tuple(Vec<Expr>),
    /// What stood where no expression could be read; already reported.
    Error,
}

/// A named argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArg {
    /// Name.
    pub name: Ident,
    /// Parameters of a function argument: `(i, j)`.
    pub params: Vec<Ident>,
    /// Value.
    pub value: Expr,
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnOp {
    /// `-`
    Neg,
    /// `!`
    Not,
}

/// Infix operators, loosest first: `||`, `&&`, comparisons, `+ -`, `* / % @`, unary minus, `**` (right).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `**`
    Pow,
    /// `@`
    MatMul,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `&&`
    And,
    /// `||`
    Or,
}
