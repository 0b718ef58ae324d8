//! The words of the text form for element types, functions, reductions, normalisers and clocks.

use crate::{BinaryOp, Clock, Elem, Normaliser, ReduceOp, UnaryOp, policy::Along};

impl UnaryOp {
    /// All of them.
    pub const ALL: [UnaryOp; 15] = {
        use UnaryOp::*;
        [
            Neg, Abs, Exp, Log, Sqrt, Rsqrt, Sin, Cos, Tanh, Sigmoid, Softplus, Erf, Floor, Round, Not,
        ]
    };

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            UnaryOp::Neg => "neg",
            UnaryOp::Abs => "abs",
            UnaryOp::Exp => "exp",
            UnaryOp::Log => "log",
            UnaryOp::Sqrt => "sqrt",
            UnaryOp::Rsqrt => "rsqrt",
            UnaryOp::Sin => "sin",
            UnaryOp::Cos => "cos",
            UnaryOp::Tanh => "tanh",
            UnaryOp::Sigmoid => "sigmoid",
            UnaryOp::Softplus => "softplus",
            UnaryOp::Erf => "erf",
            UnaryOp::Floor => "floor",
            UnaryOp::Round => "round",
            UnaryOp::Not => "not",
        }
    }

    /// The function of that name.
    pub fn from_name(name: &str) -> Option<UnaryOp> {
        UnaryOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [BinaryOp; 16] = {
        use BinaryOp::*;
        [Add, Sub, Mul, Div, Mod, Pow, Max, Min, Lt, Le, Gt, Ge, Eq, Ne, And, Or]
    };

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::Mod => "mod",
            BinaryOp::Pow => "pow",
            BinaryOp::Max => "max",
            BinaryOp::Min => "min",
            BinaryOp::Lt => "lt",
            BinaryOp::Le => "le",
            BinaryOp::Gt => "gt",
            BinaryOp::Ge => "ge",
            BinaryOp::Eq => "eq",
            BinaryOp::Ne => "ne",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }

    /// The function of that name.
    pub fn from_name(name: &str) -> Option<BinaryOp> {
        BinaryOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

impl ReduceOp {
    /// All of them.
    pub const ALL: [ReduceOp; 4] = [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min];

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Max => "max",
            ReduceOp::Min => "min",
        }
    }

    /// The reduction of that name.
    pub fn from_name(name: &str) -> Option<ReduceOp> {
        ReduceOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

impl Along {
    /// The word in the text form and in the language.
    pub fn name(self) -> &'static str {
        match self {
            Along::Channels => "channels",
            Along::Tokens => "tokens",
        }
    }

    /// The direction of that name.
    pub fn from_name(name: &str) -> Option<Along> {
        [Along::Channels, Along::Tokens]
            .into_iter()
            .find(|along| along.name() == name)
    }
}

impl Normaliser {
    /// Those without a number.
    pub const PLAIN: [Normaliser; 3] = [Normaliser::Softmax, Normaliser::Sum, Normaliser::None];

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Normaliser::Softmax => "softmax",
            Normaliser::Sum => "sum",
            Normaliser::None => "none",
            Normaliser::Top(_) => "top",
        }
    }

    /// The normaliser of that name, if it is one of [`Normaliser::PLAIN`].
    pub fn from_name(name: &str) -> Option<Normaliser> {
        Normaliser::PLAIN.into_iter().find(|n| n.name() == name)
    }
}

impl Clock {
    /// All of them.
    pub const ALL: [Clock; 4] = [Clock::Every, Clock::Keys, Clock::Both, Clock::Memory];

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Every => "every",
            Clock::Keys => "keys",
            Clock::Both => "both",
            Clock::Memory => "memory",
        }
    }

    /// The clock of that name.
    pub fn from_name(name: &str) -> Option<Clock> {
        Clock::ALL.into_iter().find(|clock| clock.name() == name)
    }
}

impl Elem {
    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Elem::F32 => "f32",
            Elem::I64 => "i64",
            Elem::Bool => "bool",
        }
    }

    /// The element type of that name.
    pub fn from_name(name: &str) -> Option<Elem> {
        [Elem::F32, Elem::I64, Elem::Bool]
            .into_iter()
            .find(|e| e.name() == name)
    }
}
