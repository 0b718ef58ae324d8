//! A family file: which configurations it describes, and the model it makes of them.

use super::{
    clauses::{Clauses, texts},
    config::Config,
    error::bare,
    references::filled,
};
use crate::{
    diag::{Diagnostic, Placed},
    effective::quoted,
    known::{self, Env, Known, Problem},
    model::values,
    names::Names,
    source::{FileId, Place, Sources},
};
use seqc_checkpoint::{Checkpoint, TensorRef};
use seqc_grammar::{
    ast::{Expr, ExprKind, Span},
    yaml::{Node, parse_yaml},
};
use std::collections::HashMap;

/// Keys of a family that are not keys of a model, or are read otherwise.
pub(super) const KEYS: &[&str] = &["family", "match", "include", "sizes", "require", "unused", "use"];

/// Most layers of which an expression lists something.
const MAX_LAYERS: usize = 20_000;

/// A description of the models of one architecture.
pub(super) struct Family {
    /// Its name.
    pub(super) name: String,
    /// The comment on its first line.
    pub(super) title: String,
    /// Keys and the values they may have.
    matches: Vec<(String, Vec<String>)>,
    /// Its own sizes, requirements and tensors without use, and those of the parts that it includes.
    pub(super) clauses: Clauses,
    /// Layer files of its own, relative to the family file.
    pub(super) uses: Vec<String>,
    /// What is copied into the model.
    pub(super) rest: Vec<Copied>,
}

/// A part of a family file that stands in the model as it is.
pub(super) struct Copied {
    pub(super) text: String,
    pub(super) file: FileId,
    /// Where it begins, in bytes.
    pub(super) start: usize,
}

impl Family {
    /// Reads a family file.
    pub(super) fn read(name: &str, text: &str, sources: &mut Sources) -> Result<Family, Diagnostic> {
        let id = sources.add(name, text);
        let (root, problems) = parse_yaml(id, text);
        if let Some(d) = problems.into_iter().next() {
            return Err(d);
        }
        let missing = |key: &str| Diagnostic::bare("missing-key", format!("{name} has no `{key}`"));
        let root = root.ok_or_else(|| missing("match"))?;
        let matches = root.get("match").and_then(Node::entries);
        let matches = matches.ok_or_else(|| missing("match"))?;
        let clauses = Clauses::with_parts(id, &root, sources)?;
        let title = text.lines().next().and_then(|l| l.strip_prefix("# "));
        Ok(Family {
            name: root.get("family").and_then(Node::text).unwrap_or(name).to_owned(),
            title: title.unwrap_or(name).to_owned(),
            matches: matches.iter().map(|(k, v)| (k.text.clone(), texts(v))).collect(),
            clauses,
            uses: root.get("use").map(texts).unwrap_or_default(),
            rest: rest(id, text, &root),
        })
    }

    /// True when a configuration has the values that the family requires.
    pub(super) fn fits(&self, config: &Config) -> bool {
        self.misfit(config).is_none()
    }

    /// The first key that does not have such a value.
    pub(super) fn misfit(&self, config: &Config) -> Option<String> {
        self.matches.iter().find_map(|(key, values)| {
            let wanted = values.join(" or ");
            match config.get(key) {
                Ok(Some(found)) if values.contains(&found.to_string()) => None,
                Ok(Some(found)) => Some(format!("`{key}` is `{found}`, not {wanted}")),
                _ => Some(format!("there is no `{key}`, which should be {wanted}")),
            }
        })
    }

    /// The values of a key that the family describes.
    pub(super) fn kinds(&self, key: &str) -> Vec<String> {
        self.matches
            .iter()
            .filter(|(k, _)| k == key)
            .flat_map(|(_, v)| v.clone())
            .collect()
    }

    /// Names of tensors that checkpoints may hold and the model does not need.
    pub(super) fn unused(&self) -> &[String] {
        &self.clauses.unused
    }

    /// The model's sizes, once everything the family requires holds.
    pub(super) fn sizes(
        &self,
        config: &Config,
        tensors: Option<&Checkpoint>,
        named: &Names,
    ) -> Result<Vec<(String, Known)>, Diagnostic> {
        let mut env = ConfigEnv {
            config,
            tensors,
            named,
            names: HashMap::new(),
        };
        let mut out = Vec::new();
        let shown = config.shown();
        let place = |d: Diagnostic| {
            let message = format!("{shown}: {}", d.message);
            let d = Diagnostic { message, ..d };
            match d.help.is_empty() {
                true => d.help("a key that a configuration may lack is read with a default: `get(\"key\", 4)`"),
                false => d,
            }
        };
        for size in &self.clauses.sizes {
            let names: Vec<&str> = env.names.keys().map(String::as_str).collect();
            let value = values::evaluate(size.file, &size.value, &env, &names).map_err(place)?;
            env.names.insert(size.name.clone(), value.clone());
            out.push((size.name.clone(), value));
        }
        for rule in &self.clauses.require {
            match values::evaluate(rule.file, &rule.when, &env, &[]).map_err(place)? {
                Known::Bool(true) => {}
                Known::Bool(false) => {
                    let say = filled(&rule.say, &env, rule.at);
                    return Err(bare(format!("{shown}: {}", say.unwrap_or_else(|_| rule.say.clone()))));
                }
                other => {
                    let message = format!("a requirement is a condition, not {}", other.kind());
                    let place = Place::new(rule.file, rule.when.span);
                    return Err(Diagnostic::new("not-a-condition", place, message));
                }
            }
        }
        Ok(out)
    }
}

/// The parts of a family file that belong to the model, as they stand.
fn rest(file: FileId, text: &str, root: &Node) -> Vec<Copied> {
    let entries = root.entries().unwrap_or(&[]);
    let starts: Vec<usize> = entries.iter().map(|(k, _)| k.span.start as usize).collect();
    let mut out = Vec::new();
    for (n, (key, _)) in entries.iter().enumerate() {
        if KEYS.contains(&key.text.as_str()) {
            continue;
        }
        let end = starts.get(n + 1).copied().unwrap_or(text.len());
        let part = text.get(starts[n]..end).unwrap_or_default();
        out.push(Copied {
            text: format!("{}\n", part.trim_end()),
            file,
            start: starts[n],
        });
    }
    out
}

/// A value as a model file spells it; a word that is also the name of a size stands in quotes.
pub(super) fn spelled(value: &Known, sizes: &[(String, Known)]) -> String {
    match value {
        Known::Str(s) if sizes.iter().any(|(n, _)| n == s) => format!("'\"{s}\"'"),
        Known::List(items) => {
            let items: Vec<String> = items.iter().map(|i| spelled(i, sizes)).collect();
            format!("[{}]", items.join(", "))
        }
        other => quoted(other),
    }
}

/// What expressions of a family may use.
struct ConfigEnv<'a> {
    config: &'a Config,
    tensors: Option<&'a Checkpoint>,
    /// What names of tensors are in the file.
    named: &'a Names,
    names: HashMap<String, Known>,
}

impl ConfigEnv<'_> {
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
        let value = known::evaluate(arg.ok_or_else(|| wrong.clone())?, self)?;
        value.size().filter(|n| *n <= MAX_LAYERS).ok_or_else(|| wrong.clone())
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
        if let Some(value) = self.config.get(&key).map_err(|m| Problem::new(span, m))? {
            return Ok(value);
        }
        let of_null = args.get(2).filter(|_| self.config.is_null(&key));
        match of_null.or(args.get(1)) {
            Some(default) => known::evaluate(default, self),
            None => Err(Problem::new(span, format!("there is no `{key}`"))),
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

impl Env for ConfigEnv<'_> {
    fn name(&self, name: &str) -> Option<Known> {
        self.names.get(name).cloned()
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
    env: &'a ConfigEnv<'a>,
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
