//! The syntax tree of model files.

use crate::ast::{Expr, Ident, Shape, Span};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A value of a size or a setting: an expression. A YAML list is [`crate::ast::ExprKind::List`]. An expression that is one
/// name which nothing defines stands for the string of its letters, so `rotary: interleaved` needs no quotes.
pub type Value = Expr;

/// A model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// 1.
    pub version: Spanned<u32>,
    /// Its name.
    pub name: Spanned<String>,
    /// Names for numbers, booleans, strings and lists, in order.
    pub sizes: Vec<(Ident, Value)>,
    /// Streams it reads; empty where nothing is said: `tokens: int`.
    pub inputs: Vec<(Ident, InputTy)>,
    /// Layer files beside this one.
    pub uses: Vec<Spanned<String>>,
    /// Where its weights are.
    pub weights: Option<Weights>,
    /// What is rounded before products with stored weights.
    pub activations: Option<Spanned<String>>,
    /// How it keeps what it has read.
    pub caches: Vec<Cache>,
    /// Where its tokenizer is.
    pub tokenizer: Option<Spanned<String>>,
    /// Ids of tokens that end a text.
    pub end: Option<Value>,
    /// Tokens of the longest sequences that it was trained on.
    pub trained_length: Option<Value>,
    /// What wraps every entry that does not say otherwise.
    pub block: Option<BlockSpec>,
    /// Another sequence, which is read before.
    pub encoder: Option<Encoder>,
    /// Layers in order.
    pub stack: Vec<Entry>,
    /// Another name for the result.
    pub output: Option<Spanned<String>>,
}

/// Layers that read another sequence, whole and before the model's own: what they give is the memory that its layers attend to.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Streams it reads; empty where nothing is said: `source: int`.
    pub inputs: Vec<(Ident, InputTy)>,
    /// What wraps every entry that does not say otherwise; the model's, unless given.
    pub block: Option<BlockSpec>,
    /// Layers in order.
    pub stack: Vec<Entry>,
    /// Another name for the result than `memory`.
    pub output: Option<Spanned<String>>,
    /// Ids that the model's own tokens begin with.
    pub start: Option<Value>,
    /// Where it stands.
    pub span: Span,
}

/// Type of an input stream.
#[derive(Clone, Debug, PartialEq)]
pub struct InputTy {
    /// Whether its elements are integers (`int`, `int[n]`); reals otherwise (`"[d]"`).
    pub int: bool,
    /// Shape per token; `None` for a scalar.
    pub shape: Option<Shape>,
    /// Where it stands.
    pub span: Span,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// A checkpoint, relative to the model file.
    pub file: Option<Spanned<String>>,
    /// How weights are held; as the file has them unless given.
    pub ty: Option<Spanned<String>>,
    /// Seed of random weights.
    pub random: Option<Spanned<u64>>,
    /// Beginnings of names in `load`, and what stands in their place in the file.
    pub names: Vec<(Spanned<String>, Spanned<String>)>,
    /// Names of tensors that the file may hold and nothing reads; `*` stands for any letters.
    pub unused: Vec<Spanned<String>>,
    /// Where it stands.
    pub span: Span,
}

/// How keys and values of some attentions are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Names of layers or numbers of attentions; `None`: all.
    pub on: Option<Vec<Spanned<String>>>,
    /// The cache policy.
    pub policy: Option<Ident>,
    /// The type of their numbers; f32 unless given.
    pub ty: Option<Spanned<String>>,
    /// Settings of the policy.
    pub settings: Vec<(Ident, Value)>,
    /// Where it stands.
    pub span: Span,
}

/// What stands around a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSpec {
    /// Blocks from the outside in; none for `none`.
    pub blocks: Vec<BlockRef>,
    /// Where it stands.
    pub span: Span,
}

/// A block with its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockRef {
    /// Its name.
    pub name: Ident,
    /// Its settings.
    pub settings: Vec<(Ident, Value)>,
    /// Condition under which it is there.
    pub cond: Option<Expr>,
}

/// An element of the stack.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// One layer.
    Layer(Box<LayerEntry>),
    /// Elements that are repeated.
    Repeat(Box<RepeatEntry>),
}

/// At which tokens entries run.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// A stream, or `every(n)`.
    pub condition: Expr,
    /// What their result is at other tokens; its last value unless given.
    pub otherwise: Option<Spanned<String>>,
}

/// `repeat: n` with `of: […]`, or `when:` with it.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatEntry {
    /// How often; once, and not as a repeat, where nothing is said.
    pub count: Option<Expr>,
    /// At which tokens.
    pub when: Option<When>,
    /// What.
    pub of: Vec<Entry>,
    /// Condition under which it is there.
    pub cond: Option<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// One layer of the stack.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerEntry {
    /// Name of the layer's definition.
    pub layer: Ident,
    /// Settings of the layer.
    pub settings: Vec<(Ident, Value)>,
    /// Name for messages, the state manifest and paths of parameters.
    pub label: Option<Spanned<String>>,
    /// What wraps it, where that is not the model's.
    pub block: Option<BlockSpec>,
    /// Tensors by parameter: `q_proj`, `pre_norm.weight`.
    pub load: Vec<(Ident, Load)>,
    /// The path under which its parameters are found, where that is not its own.
    pub params: Option<Template>,
    /// Condition under which it is there.
    pub cond: Option<Expr>,
    /// At which tokens it runs.
    pub when: Option<When>,
    /// Streams by argument.
    pub inputs: Vec<(Ident, Ident)>,
    /// Definitions of the layer by the name of the stream that they become.
    pub taps: Vec<(Ident, Ident)>,
    /// Where it stands.
    pub span: Span,
}

/// Tensors of a checkpoint that fill a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// One name, or several by a range in braces.
    One(Template),
    /// Several, stacked along a new first axis.
    Stack(Vec<Template>, Span),
}

/// A text with expressions in braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its parts in order.
    pub parts: Vec<Part>,
    /// Where it stands.
    pub span: Span,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// `{i}`, `{2*i+1}`.
    Expr(Expr),
    /// `{0..n}`: one tensor for each number from the first to before the second.
    Range(Expr, Expr),
    /// Entries of the first axis of a tensor, from the first to before the second; checkpoints read it behind the name.
    Rows(Expr, Expr),
}
