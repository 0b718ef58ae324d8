//! A family file: which configurations it describes, and the model it makes of them.

use super::{
    clauses::{Clauses, texts},
    config::Config,
    error::bare,
};
use crate::{
    diag::{Diagnostic, Placed},
    effective::quoted,
    known::{self, Env, Known, Problem},
    model::values,
    source::{FileId, Place, Sources},
};
use seqc_checkpoint::Checkpoint;
use seqc_grammar::{
    ast::{Expr, Span},
    yaml::{Node, parse_yaml},
};
use std::collections::HashMap;

/// Keys of a family that are not keys of a model, or are read otherwise.
pub(super) const KEYS: &[&str] = &["family", "match", "include", "sizes", "require", "unused", "use"];

/// A description of the models of one architecture.
pub(super) struct Family {
    /// Its name.
    pub(super) name: String,
    /// The comment on its first line.
    pub(super) title: String,
    /// Keys and the values they may have.
    matches: Vec<(String, Vec<String>)>,
    /// Its own sizes, requirements and tensors without use, and those of the parts that it includes.
    clauses: Clauses,
    /// Layer files of its own, relative to the family file.
    pub(super) uses: Vec<String>,
    /// What is copied into the model.
    pub(super) rest: String,
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
            rest: rest(text, &root),
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
    ) -> Result<Vec<(String, Known)>, Diagnostic> {
        let mut env = ConfigEnv {
            config,
            tensors,
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
                Known::Bool(false) => return Err(bare(format!("{shown}: {}", filled(&rule.say, &env)))),
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
fn rest(text: &str, root: &Node) -> String {
    let entries = root.entries().unwrap_or(&[]);
    let starts: Vec<usize> = entries.iter().map(|(k, _)| k.span.start as usize).collect();
    let mut out = String::new();
    for (n, (key, _)) in entries.iter().enumerate() {
        if KEYS.contains(&key.text.as_str()) {
            continue;
        }
        let end = starts.get(n + 1).copied().unwrap_or(text.len());
        let part = text.get(starts[n]..end).unwrap_or_default();
        out.push_str(part.trim_end());
        out.push('\n');
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

/// The text of a message with its braces filled.
fn filled(text: &str, env: &ConfigEnv<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inner, end)) = after.split_once('}') else {
            break;
        };
        let (expr, problems) = seqc_grammar::parse_expr(FileId::default(), inner, 0);
        let value = known::evaluate(&expr, env).ok().filter(|_| problems.is_empty());
        out.push_str(before);
        out.push_str(&value.map_or_else(|| inner.to_owned(), |v| v.to_string()));
        rest = end;
    }
    out + rest
}

/// What expressions of a family may use.
struct ConfigEnv<'a> {
    config: &'a Config,
    tensors: Option<&'a Checkpoint>,
    names: HashMap<String, Known>,
}

impl ConfigEnv<'_> {
    fn key(&self, args: &[Expr], span: Span) -> Result<String, Problem> {
        let wrong = || Problem::new(span, "takes the name of a key in quotes");
        match known::evaluate(args.first().ok_or_else(wrong)?, self)? {
            Known::Str(key) => Ok(key),
            _ => Err(wrong()),
        }
    }

    fn get(&self, args: &[Expr], span: Span) -> Result<Known, Problem> {
        let key = self.key(args, span)?;
        let found = self.config.get(&key).map_err(|m| Problem::new(span, m))?;
        match (found, args.get(1)) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => known::evaluate(default, self),
            (None, None) => Err(Problem::new(span, format!("there is no `{key}`"))),
        }
    }
}

impl ConfigEnv<'_> {
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
            "tensor" => self.key(args, span).map(|name| {
                let there = self.tensors.is_some_and(|t| t.get(&name).is_some());
                Known::Bool(there)
            }),
            "shape" => self.key(args, span).and_then(|name| {
                let found = self.tensors.and_then(|t| t.get(&name));
                let missing = || Problem::new(span, format!("there is no tensor `{name}`"));
                let shape = found.ok_or_else(missing)?.shape;
                Ok(Known::List(shape.iter().map(|n| Known::Num(*n as f64)).collect()))
            }),
            _ => return None,
        })
    }
}
