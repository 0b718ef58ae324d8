//! Which kinds of values expressions take: numbers where they compute, booleans where they decide, lists where they look something up.

use crate::{
    diag::{Diagnostic, Placed},
    elaborate::children,
    known::{Kind, number_functions},
    library::{Definition, Library},
    source::Place,
};
use seqc_grammar::ast::{BinOp, Def, Expr, ExprKind, NamedArg, Shape, Stmt, StreamTy, Target, UnOp};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

/// Deepest chain of definitions that pass a setting on.
const MAX_CHAIN: usize = 8;

/// A part of an expression, and the kind of value that it should have.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'e> {
    /// The part.
    pub part: &'e Expr,
    /// The kind.
    pub kind: Kind,
    /// Whether another kind is an error; otherwise the part is only compared with a value of this kind.
    pub is_needed: bool,
}

/// What expressions are walked for.
pub trait Visitor<'e> {
    /// A part of which a kind is known.
    fn part(&mut self, taken: Taken<'e>);
    /// The kind of a named argument of a call; `None` where nothing says.
    fn argument(&self, callee: &str, argument: &NamedArg) -> Option<Kind>;
}

/// The kind of what is written out.
pub fn of_literal(e: &Expr) -> Option<Kind> {
    match &e.kind {
        ExprKind::Number(_) => Some(Kind::Number),
        ExprKind::Str(_) => Some(Kind::String),
        ExprKind::Bool(_) => Some(Kind::Boolean),
        ExprKind::List(_) => Some(Kind::List),
        ExprKind::Unary(UnOp::Neg, x) => of_literal(x),
        _ => None,
    }
}

/// Visits every part of an expression whose kind it decides, itself among them where `kind` says its own.
pub fn walk<'e>(e: &'e Expr, kind: Option<Kind>, visitor: &mut impl Visitor<'e>) {
    let needed = |kind| Taken {
        part: e,
        kind,
        is_needed: true,
    };
    if let Some(kind) = kind {
        visitor.part(needed(kind));
    }
    match &e.kind {
        ExprKind::Unary(UnOp::Neg, x) => walk(x, Some(Kind::Number), visitor),
        ExprKind::Unary(UnOp::Not, x) => walk(x, Some(Kind::Boolean), visitor),
        ExprKind::Binary(op, a, b) => operands(*op, a, b, visitor),
        ExprKind::If(c, a, b) => {
            walk(c, Some(Kind::Boolean), visitor);
            walk(a, kind, visitor);
            walk(b, kind, visitor);
        }
        ExprKind::When(x, c) => {
            walk(x, None, visitor);
            walk(c, Some(Kind::Boolean), visitor);
        }
        ExprKind::Call { callee, args, named } => {
            for (n, arg) in args.iter().enumerate() {
                walk(arg, of_argument(&callee.text, n, kind), visitor);
            }
            if let ("get", Some(default)) = (callee.text.as_str(), args.get(1).and_then(of_literal)) {
                visitor.part(Taken {
                    is_needed: false,
                    ..needed(default)
                });
            }
            for argument in named {
                let kind = visitor.argument(&callee.text, argument);
                walk(&argument.value, kind, visitor);
            }
        }
        ExprKind::Index { base, indices } => {
            walk(base, Some(Kind::List), visitor);
            indices
                .iter()
                .for_each(|index| walk(index, Some(Kind::Number), visitor));
        }
        ExprKind::Reduce { vars, body, .. } => {
            vars.iter()
                .filter_map(|(_, size)| size.as_ref())
                .for_each(|size| walk(size, Some(Kind::Number), visitor));
            walk(body, None, visitor);
        }
        _ => children(e).into_iter().for_each(|part| walk(part, None, visitor)),
    }
}

fn operands<'e>(op: BinOp, a: &'e Expr, b: &'e Expr, visitor: &mut impl Visitor<'e>) {
    let both = match op {
        BinOp::And | BinOp::Or => Some(Kind::Boolean),
        BinOp::Eq | BinOp::Ne | BinOp::MatMul => None,
        _ => Some(Kind::Number),
    };
    walk(a, both, visitor);
    walk(b, both, visitor);
    if matches!(op, BinOp::Eq | BinOp::Ne) {
        for (part, other) in [(a, b), (b, a)] {
            if let Some(kind) = of_literal(other) {
                compare(part, kind, visitor);
            }
        }
    }
}

/// Visits what is compared with a value of a kind: a part, or what it chooses between.
pub fn compare<'e>(part: &'e Expr, kind: Kind, visitor: &mut impl Visitor<'e>) {
    visitor.part(Taken {
        part,
        kind,
        is_needed: false,
    });
    if let ExprKind::If(_, a, b) = &part.kind {
        compare(a, kind, visitor);
        compare(b, kind, visitor);
    }
}

/// The kind of the argument `n` of a function whose value has a kind.
fn of_argument(callee: &str, n: usize, kind: Option<Kind>) -> Option<Kind> {
    match (callee, n) {
        ("len" | "contains" | "index" | "places" | "only", 0) => Some(Kind::List),
        ("letters", 0) => Some(Kind::String),
        ("per_layer" | "tensors", 1) => Some(Kind::Number),
        ("get", 1..) => kind,
        _ => number_functions().any(|name| name == callee).then_some(Kind::Number),
    }
}

/// A setting of a layer, block or cache, by name.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The definition that has it.
    pub of: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// The message about a word that no size is called, where a number is expected.
pub fn word_for_number(place: Place, word: &str, setting: Setting<'_>, sizes: &[&str]) -> Diagnostic {
    let Setting { of, name } = setting;
    let message = format!("no size is called `{word}`, and `{name}` of `{of}` is a number");
    let d = Diagnostic::new("unknown-name", place, message).did_you_mean(word, sizes.iter().copied());
    d.help(format!(
        "give a number, or an expression of sizes: add `{word}` under `sizes`"
    ))
}

/// Whether the default of a setting is written out, and of another kind.
pub fn has_other_default(definition: &Definition, setting: &str, kind: Kind) -> bool {
    let found = definition.def.settings.iter().find(|s| s.name.text == setting);
    let default = found.and_then(|s| of_literal(s.default.as_ref()?));
    default.is_some_and(|default| default != kind)
}

/// The kind that a setting of a definition has; `None` where its default and its uses do not say one.
pub fn of_setting(library: &Library, definition: &Definition, setting: &str) -> Option<Kind> {
    let known = RefCell::default();
    let mut uses = Uses {
        library,
        definition,
        setting,
        depth: 0,
        kinds: BTreeSet::new(),
        known: &known,
    };
    uses.definition();
    uses.only()
}

/// The kinds of settings, by the definition, which lies still, and the name; `None` also while a kind is looked for.
type Known = RefCell<HashMap<(*const Definition, String), Option<Kind>>>;

/// The kinds with which a definition uses one of its settings.
struct Uses<'a> {
    library: &'a Library,
    definition: &'a Definition,
    setting: &'a str,
    /// Definitions around that pass it on.
    depth: usize,
    kinds: BTreeSet<Kind>,
    known: &'a Known,
}

impl<'a> Uses<'a> {
    /// The kind, where there is just one.
    fn only(self) -> Option<Kind> {
        match &Vec::from_iter(self.kinds)[..] {
            [kind] => Some(*kind),
            _ => None,
        }
    }

    fn definition(&mut self) {
        let def: &'a Def = &self.definition.def;
        for setting in &def.settings {
            let Some(default) = &setting.default else { continue };
            if setting.name.text == self.setting {
                self.kinds.extend(of_literal(default));
            }
            walk(default, None, self);
        }
        for stream in &def.streams {
            if let StreamTy::Real(shape) | StreamTy::Int(Some(shape)) | StreamTy::Complex(Some(shape)) = &stream.ty {
                self.shape(shape);
            }
        }
        def.body.iter().for_each(|stmt| self.statement(stmt));
    }

    fn statement(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Dim { value, .. } => walk(value, Some(Kind::Number), self),
            Stmt::Param(decls) => decls
                .iter()
                .filter_map(|d| d.shape.as_ref())
                .for_each(|s| self.shape(s)),
            Stmt::Let { target, value } => {
                if let Target::Name { shape: Some(shape), .. } = target {
                    self.shape(shape);
                }
                walk(value, None, self);
            }
            Stmt::Trace { value, .. } | Stmt::Result(value) | Stmt::Clause(value) => walk(value, None, self),
        }
    }

    fn shape(&mut self, shape: &'a Shape) {
        shape.dims.iter().for_each(|dim| walk(dim, Some(Kind::Number), self));
    }
}

impl<'a> Visitor<'a> for Uses<'a> {
    fn part(&mut self, taken: Taken<'a>) {
        if matches!(&taken.part.kind, ExprKind::Name(name) if name == self.setting) {
            self.kinds.insert(taken.kind);
        }
    }

    fn argument(&self, callee: &str, argument: &NamedArg) -> Option<Kind> {
        let [called] = self.library.called(self.definition.file, callee)[..] else {
            return None;
        };
        let is_passed = matches!(&argument.value.kind, ExprKind::Name(name) if name == self.setting);
        if !is_passed || self.depth >= MAX_CHAIN {
            return None;
        }
        let setting = &argument.name.text;
        let key = (&raw const **called, setting.clone());
        if let Some(kind) = self.known.borrow().get(&key) {
            return *kind;
        }
        self.known.borrow_mut().insert(key.clone(), None);
        let mut uses = Uses {
            definition: called,
            setting,
            depth: self.depth + 1,
            kinds: BTreeSet::new(),
            ..*self
        };
        uses.definition();
        let kind = uses.only();
        self.known.borrow_mut().insert(key, kind);
        kind
    }
}
