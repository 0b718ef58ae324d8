//! Expressions of a family on a configuration: what they may use, and which keys their values come from.

use super::{
    clauses::Rule,
    config::{Config, WHOLE, described},
    error::bare,
    expected::{self, Expected},
    references::filled,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, Env, Known, Problem},
    model::values,
    names::Names,
    source::{FileId, Place},
};
use seqc_checkpoint::{Checkpoint, TensorRef};
use seqc_grammar::ast::{Expr, ExprKind, Span};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

/// Most layers of which an expression lists something.
const MAX_LAYERS: usize = 20_000;

/// Most keys that a message lists.
const MOST_KEYS: usize = 6;

/// The code of messages about keys that are not there.
const MISSING: &str = "missing-key";

/// The code of messages about values of another kind than is expected.
const WRONG_KIND: &str = "wrong-type";

/// A size of a family for one configuration.
#[derive(Clone)]
pub(super) struct Computed {
    pub(super) name: String,
    pub(super) value: Known,
    /// Keys of the configuration from which it follows.
    keys: BTreeSet<String>,
    /// What the configuration says under them.
    pub(super) says: Option<String>,
}

/// What a family reads.
pub(super) struct Reading<'a> {
    config: &'a Config,
    tensors: Option<&'a Checkpoint>,
    /// What names of tensors are in the file.
    named: &'a Names,
    expected: &'a Expected,
    /// The file of the expression that is evaluated.
    file: FileId,
    sizes: HashMap<String, Computed>,
    /// Keys that the expression has read, and those behind sizes in it.
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Reading<'a> {
    /// Nothing has been read.
    pub(super) fn new(
        config: &'a Config,
        tensors: Option<&'a Checkpoint>,
        named: &'a Names,
        expected: &'a Expected,
    ) -> Reading<'a> {
        Reading {
            config,
            tensors,
            named,
            expected,
            file: FileId::default(),
            sizes: HashMap::new(),
            read: RefCell::default(),
        }
    }

    /// The value of an expression; a message about it names the configuration.
    pub(super) fn evaluate(&mut self, file: FileId, expr: &Expr) -> Result<Known, Diagnostic> {
        self.file = file;
        self.read.take();
        let names: Vec<&str> = self.sizes.keys().map(String::as_str).collect();
        values::evaluate(file, expr, &*self, &names).map_err(|d| {
            let message = format!("{}: {}", self.config.shown(), d.message);
            let d = Diagnostic { message, ..d };
            let d = match self.says(&self.read.borrow()) {
                Some(says) if d.code != MISSING && d.code != WRONG_KIND => d.says(says),
                _ => d,
            };
            match d.code == MISSING {
                // Older models of text and something else leave out what their class has a default for.
                true if self.config.has(WHOLE) => {
                    d.help("the part of the configuration that is about text leaves it out: write the default of its class there")
                }
                true => d.help("a key that a configuration may lack is read with a default: `get(\"key\", 4)`"),
                false => d,
            }
        })
    }

    /// Keeps the value of the last expression under a name.
    pub(super) fn keep(&mut self, name: &str, value: Known) -> Computed {
        let keys = self.read.take();
        let size = Computed {
            name: name.to_owned(),
            value,
            says: self.says(&keys),
            keys,
        };
        self.sizes.insert(name.to_owned(), size.clone());
        size
    }

    /// What is said where the last expression is a requirement that does not hold.
    pub(super) fn refusal(&self, rule: &Rule) -> Diagnostic {
        let keys = self.read.take();
        let say = filled(&rule.say, self, rule.at).unwrap_or_else(|_| rule.say.clone());
        let d = bare(format!("{}: {say}", self.config.shown()));
        self.says(&keys).into_iter().fold(d, Diagnostic::help)
    }

    /// What the configuration says under some keys; nothing where they are none, or too many to be of use.
    fn says(&self, keys: &BTreeSet<String>) -> Option<String> {
        let say = |key: &String| match self.config.get(key) {
            Ok(Some(list @ Known::List(_))) => format!("`{key}`: {}", list.kind()),
            Ok(Some(value)) => format!("`{key}`: {value}"),
            _ => format!("`{key}`"),
        };
        let said: Vec<String> = keys.iter().map(say).collect();
        let is_short = (1..=MOST_KEYS).contains(&said.len());
        is_short.then(|| format!("{} says {}", self.config.shown(), said.join(", ")))
    }
}

/// The problem of a key with another kind of value than is expected, as far as that is known.
fn wrong_kind(span: Span, key: &str, found: &str, expected: &str) -> Problem {
    let message = match expected.is_empty() {
        true => format!("`{key}` is {found}, which is no value that can be used"),
        false => format!("`{key}` is {found}, where {expected} is expected"),
    };
    Problem {
        code: WRONG_KIND,
        ..Problem::new(span, message)
    }
}

impl Reading<'_> {
    fn key(&self, args: &[Expr], span: Span) -> Result<String, Problem> {
        let wrong = || Problem::new(span, "takes the name of a key in quotes");
        match known::evaluate(args.first().ok_or_else(wrong)?, self)? {
            Known::Str(key) => filled(&key, self, span),
            _ => Err(wrong()),
        }
    }

    fn tensor(&self, name: &str) -> Option<TensorRef<'_>> {
        self.tensors?.get(&self.named.in_file(name))
    }

    fn has_tensor(&self, name: &str) -> bool {
        self.tensor(name).is_some()
    }

    fn count(&self, arg: Option<&Expr>, wrong: &Problem) -> Result<usize, Problem> {
        let arg = arg.ok_or_else(|| wrong.clone())?;
        match known::evaluate(arg, self)?.size() {
            Some(count) if count <= MAX_LAYERS => Ok(count),
            Some(count) => Err(Problem::new(
                arg.span,
                format!("{count} layers; models have up to {MAX_LAYERS}"),
            )),
            None => Err(wrong.clone()),
        }
    }

    /// `tensors("blk.{i}.name", n)`: for each of `n` layers, whether it has the tensor.
    fn tensors(&self, args: &[Expr], span: Span) -> Result<Known, Problem> {
        let wrong = Problem::new(
            span,
            "`tensors` takes the name of a tensor with `{i}` in it, and a number of layers",
        );
        let Some(Expr {
            kind: ExprKind::Str(name),
            ..
        }) = args.first()
        else {
            return Err(wrong);
        };
        let count = self.count(args.get(1), &wrong)?;
        let has = |i: usize| {
            Ok(Known::Bool(self.has_tensor(&filled(
                name,
                &Layer { env: self, i },
                span,
            )?)))
        };
        Ok(Known::List((0..count).map(has).collect::<Result<_, _>>()?))
    }

    /// `per_layer(value, n)`: a list as it is, another value as a list of `n` of it.
    fn per_layer(&self, args: &[Expr], span: Span) -> Result<Known, Problem> {
        let wrong = Problem::new(
            span,
            "`per_layer` takes a value, or a list with one for each layer, and a number of layers",
        );
        let value = known::evaluate(args.first().ok_or_else(|| wrong.clone())?, self)?;
        let count = self.count(args.get(1), &wrong)?;
        match value {
            Known::List(items) if items.len() < count => {
                let message = format!("this lists {} values for {count} layers", items.len());
                Err(Problem::new(span, message))
            }
            Known::List(items) => Ok(Known::List(items)),
            one => Ok(Known::List(vec![one; count])),
        }
    }

    /// `get("key", missing, null)`: a value of the configuration, or one for a key that is missing, and one for a key that is null.
    fn get(&self, args: &[Expr], span: Span) -> Result<Known, Problem> {
        let key = self.key(args, span)?;
        let kinds = self.expected.at(Place::new(self.file, span));
        match self.config.get(&key) {
            Ok(Some(value)) if expected::fits(&value, &kinds) => {
                self.read.borrow_mut().insert(key);
                return Ok(value);
            }
            Ok(Some(value)) => return Err(wrong_kind(span, &key, &described(&value), &expected::listed(&kinds))),
            Err(wrong) => {
                let of_all = wrong.expected.map(str::to_owned);
                let kinds = of_all.unwrap_or_else(|| expected::listed(&kinds));
                return Err(wrong_kind(span, &wrong.key, &wrong.found, &kinds));
            }
            Ok(None) => {}
        }
        let is_null = self.config.is_null(&key);
        let of_null = args.get(2).filter(|_| is_null);
        match of_null.or(args.get(1)) {
            Some(default) => known::evaluate(default, self),
            None if is_null => Err(wrong_kind(span, &key, "null", &expected::listed(&kinds))),
            None => Err(Problem {
                code: MISSING,
                ..Problem::new(span, format!("there is no `{key}`"))
            }),
        }
    }

    /// `only(list, a, b)`: true where every entry of the list is one of the others.
    fn only(&self, args: &[Expr], span: Span) -> Result<Known, Problem> {
        let values = args
            .iter()
            .map(|a| known::evaluate(a, self))
            .collect::<Result<Vec<_>, _>>()?;
        match values.split_first() {
            Some((Known::List(items), allowed)) => Ok(Known::Bool(items.iter().all(|i| allowed.contains(i)))),
            _ => Err(Problem::new(
                span,
                "`only` takes a list and the values that it may hold",
            )),
        }
    }
}

impl Env for Reading<'_> {
    fn name(&self, name: &str) -> Option<Known> {
        let size = self.sizes.get(name)?;
        self.read.borrow_mut().extend(size.keys.iter().cloned());
        Some(size.value.clone())
    }

    fn call(&self, callee: &str, args: &[Expr], span: Span) -> Option<Result<Known, Problem>> {
        Some(match callee {
            "get" => self.get(args, span),
            "has" => self.key(args, span).map(|key| Known::Bool(self.config.has(&key))),
            "only" => self.only(args, span),
            "tensor" => self.key(args, span).map(|name| Known::Bool(self.has_tensor(&name))),
            "tensors" => self.tensors(args, span),
            "per_layer" => self.per_layer(args, span),
            "shape" => self.key(args, span).and_then(|name| {
                let found = self.tensor(&name);
                let missing = || Problem::new(span, format!("there is no tensor `{name}`"));
                let shape = found.ok_or_else(missing)?.shape;
                Ok(Known::List(shape.iter().map(|n| Known::Num(*n as f64)).collect()))
            }),
            _ => return None,
        })
    }
}

/// What the name of a tensor of one layer may use: also the index `i` of the layer.
struct Layer<'a> {
    env: &'a Reading<'a>,
    i: usize,
}

impl Env for Layer<'_> {
    fn name(&self, name: &str) -> Option<Known> {
        match name {
            "i" => Some(Known::Num(self.i as f64)),
            _ => self.env.name(name),
        }
    }

    fn call(&self, callee: &str, args: &[Expr], span: Span) -> Option<Result<Known, Problem>> {
        self.env.call(callee, args, span)
    }
}
