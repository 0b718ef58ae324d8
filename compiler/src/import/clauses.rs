//! What a family says of a configuration: sizes, requirements and tensors without use, its own and those of the parts that it includes.

use super::references::{braces, references, unknown};
use crate::{
    diag::{Diagnostic, Placed},
    model::standard,
    source::{FileId, Place, Sources},
};
use seqc_grammar::{
    ast::{Expr, ExprKind, Span},
    yaml::{Kind, Node, parse_yaml},
};

/// The key of the longest text.
pub(super) const LENGTH: &str = "trained_length";

/// Clauses of a family or of a part, in the order of the file.
#[derive(Default)]
pub(super) struct Clauses {
    pub(super) sizes: Vec<Size>,
    pub(super) require: Vec<Rule>,
    /// Names of tensors that checkpoints may hold and the model does not need.
    pub(super) unused: Vec<String>,
    /// The longest text, where no key of the configuration says it.
    pub(super) trained_length: Option<Size>,
}

/// A name and the expression of its value.
pub(super) struct Size {
    pub(super) name: String,
    pub(super) file: FileId,
    pub(super) value: Expr,
}

/// A condition, and what to say where it does not hold.
pub(super) struct Rule {
    pub(super) file: FileId,
    pub(super) when: Expr,
    pub(super) say: String,
    /// Where `say` stands.
    pub(super) at: Span,
}

impl Clauses {
    /// Those of a family: first those of its parts, in which a size of the family's own takes the place of the part's.
    pub(super) fn with_parts(file: FileId, root: &Node, sources: &mut Sources) -> Result<Clauses, Diagnostic> {
        let mut all = Clauses::default();
        for node in root.get("include").and_then(Node::items).unwrap_or(&[]) {
            all.add(part(file, node, sources)?);
        }
        all.add(Clauses::read(file, root)?);
        all.sizes = ordered(all.sizes)?;
        Ok(all)
    }

    fn read(file: FileId, root: &Node) -> Result<Clauses, Diagnostic> {
        let mut require = Vec::new();
        for rule in root.get("require").and_then(Node::items).unwrap_or(&[]) {
            let (Some(when), Some((say, at))) = (rule.get("if"), rule.get("say").and_then(said)) else {
                let place = Place::new(file, rule.span);
                return Err(Diagnostic::new(
                    "missing-key",
                    place,
                    "a requirement has `if` and `say`",
                ));
            };
            require.push(Rule {
                file,
                when: expr(file, when)?,
                say: say.to_owned(),
                at,
            });
        }
        let sizes = root.get("sizes").and_then(Node::entries).unwrap_or(&[]);
        let sizes = sizes.iter().map(|(key, node)| {
            Ok(Size {
                name: key.text.clone(),
                file,
                value: expr(file, node)?,
            })
        });
        let length = |node| {
            Ok::<_, Diagnostic>(Size {
                name: LENGTH.to_owned(),
                file,
                value: expr(file, node)?,
            })
        };
        Ok(Clauses {
            sizes: sizes.collect::<Result<_, Diagnostic>>()?,
            require,
            unused: root.get("unused").map(texts).unwrap_or_default(),
            trained_length: root.get(LENGTH).map(length).transpose()?,
        })
    }

    /// Names and functions of expressions and messages that do not exist.
    pub(super) fn problems(&self) -> Vec<Diagnostic> {
        let names: Vec<&str> = self.sizes.iter().map(|s| s.name.as_str()).collect();
        let mut all: Vec<Diagnostic> = Vec::new();
        for size in self.sizes.iter().chain(&self.trained_length) {
            all.extend(unknown_in(size.file, &size.value, &names));
        }
        for rule in &self.require {
            all.extend(unknown_in(rule.file, &rule.when, &names));
            let (exprs, problems) = braces(rule.file, &rule.say, rule.at);
            all.extend(problems);
            all.extend(exprs.iter().flat_map(|expr| unknown_in(rule.file, expr, &names)));
        }
        all
    }

    fn add(&mut self, more: Clauses) {
        for size in more.sizes {
            match self.sizes.iter_mut().find(|s| s.name == size.name) {
                Some(same) => *same = size,
                None => self.sizes.push(size),
            }
        }
        self.require.extend(more.require);
        self.unused.extend(more.unused);
        self.trained_length = more.trained_length.or(self.trained_length.take());
    }
}

/// What an expression refers to and no size or function is; the name of a tensor of each layer also has the index `i`.
fn unknown_in(file: FileId, expr: &Expr, names: &[&str]) -> Vec<Diagnostic> {
    let found = references(file, expr);
    let of_layers = found.iter().any(|r| r.is_called && r.name == "tensors");
    let found = found.iter().filter(|r| !(of_layers && !r.is_called && r.name == "i"));
    found.filter_map(|reference| unknown(reference, names)).collect()
}

/// The text of a message, and where it stands.
fn said(node: &Node) -> Option<(&str, Span)> {
    Some((node.text()?, node.span))
}

/// How far the order of a size is decided.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Not,
    Open,
    Done,
}

/// Sizes behind those that they read, otherwise in the order of the file.
fn ordered(sizes: Vec<Size>) -> Result<Vec<Size>, Diagnostic> {
    let mut order = Vec::new();
    let mut seen = vec![Seen::Not; sizes.len()];
    for n in 0..sizes.len() {
        put(n, &sizes, &mut seen, &mut order)?;
    }
    let mut sizes: Vec<Option<Size>> = sizes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|n| sizes[n].take()).collect())
}

fn put(n: usize, sizes: &[Size], seen: &mut [Seen], order: &mut Vec<usize>) -> Result<(), Diagnostic> {
    if seen[n] != Seen::Not {
        return Ok(());
    }
    seen[n] = Seen::Open;
    let size = &sizes[n];
    for reference in references(size.file, &size.value).into_iter().filter(|r| !r.is_called) {
        let Some(read) = sizes.iter().position(|s| s.name == reference.name) else {
            continue;
        };
        if seen[read] == Seen::Open {
            let message = format!("the size `{}` is computed from itself", sizes[read].name);
            let d = Diagnostic::new("used-before", reference.place, message);
            let other = Place::new(sizes[read].file, sizes[read].value.span);
            return Err(d.note(other, format!("`{}` is computed here", sizes[read].name)));
        }
        put(read, sizes, seen, order)?;
    }
    seen[n] = Seen::Done;
    order.push(n);
    Ok(())
}

/// The clauses of a part of `specs/families/parts`, by its name.
fn part(file: FileId, node: &Node, sources: &mut Sources) -> Result<Clauses, Diagnostic> {
    let parts = standard::family_parts();
    let wanted = node.text().unwrap_or_default();
    let Some((name, text)) = parts
        .iter()
        .find(|(_, stem, _)| stem == wanted)
        .map(|(n, _, t)| (n, *t))
    else {
        let known: Vec<&str> = parts.iter().map(|(_, stem, _)| stem.as_str()).collect();
        let message = format!(
            "there is no part `{wanted}` of families; there are {}",
            known.join(", ")
        );
        return Err(Diagnostic::new("unknown-name", Place::new(file, node.span), message));
    };
    let id = sources.add(name, text);
    let (root, problems) = parse_yaml(id, text);
    match (problems.into_iter().next(), root) {
        (Some(problem), _) => Err(problem),
        (None, Some(root)) => Clauses::read(id, &root),
        (None, None) => Ok(Clauses::default()),
    }
}

/// The expression in a scalar, or the list of those in a list.
fn expr(file: FileId, node: &Node) -> Result<Expr, Diagnostic> {
    match &node.kind {
        Kind::Scalar { text, at, .. } => {
            let (expr, problems) = seqc_grammar::parse_expr(file, text, at.unwrap_or(node.span.start));
            problems.into_iter().next().map_or(Ok(expr), Err)
        }
        Kind::List(items) => Ok(Expr {
            kind: ExprKind::List(items.iter().map(|i| expr(file, i)).collect::<Result<_, _>>()?),
            span: node.span,
        }),
        Kind::Null | Kind::Map(_) => {
            let message = format!("an expression is expected here, not {}", node.what());
            Err(Diagnostic::new("wrong-type", Place::new(file, node.span), message))
        }
    }
}

/// The texts of a scalar or a list of them.
pub(super) fn texts(node: &Node) -> Vec<String> {
    match node.items() {
        Some(items) => items.iter().filter_map(Node::text).map(str::to_owned).collect(),
        None => node.text().map(str::to_owned).into_iter().collect(),
    }
}
