//! What a family says of a configuration: sizes, requirements and tensors without use, its own and those of the parts that it includes.

use crate::{
    diag::{Diagnostic, Placed},
    elaborate::children,
    model::standard,
    source::{FileId, Place, Sources},
};
use seqc_grammar::{
    ast::{Expr, ExprKind},
    yaml::{Kind, Node, parse_yaml},
};

/// Clauses of a family or of a part, in the order of the file.
#[derive(Default)]
pub(super) struct Clauses {
    pub(super) sizes: Vec<Size>,
    pub(super) require: Vec<Rule>,
    /// Names of tensors that checkpoints may hold and the model does not need.
    pub(super) unused: Vec<String>,
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
}

impl Clauses {
    /// Those of a family: first those of its parts, in which a size of the family's own takes the place of the part's.
    pub(super) fn with_parts(file: FileId, root: &Node, sources: &mut Sources) -> Result<Clauses, Diagnostic> {
        let mut all = Clauses::default();
        for node in root.get("include").and_then(Node::items).unwrap_or(&[]) {
            all.add(part(file, node, sources)?);
        }
        all.add(Clauses::read(file, root)?);
        all.sizes = ordered(all.sizes);
        Ok(all)
    }

    fn read(file: FileId, root: &Node) -> Result<Clauses, Diagnostic> {
        let mut require = Vec::new();
        for rule in root.get("require").and_then(Node::items).unwrap_or(&[]) {
            let (Some(when), Some(say)) = (rule.get("if"), rule.get("say").and_then(Node::text)) else {
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
        Ok(Clauses {
            sizes: sizes.collect::<Result<_, Diagnostic>>()?,
            require,
            unused: root.get("unused").map(texts).unwrap_or_default(),
        })
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
    }
}

/// Sizes behind those that they read, otherwise in the order of the file.
fn ordered(sizes: Vec<Size>) -> Vec<Size> {
    let mut order = Vec::new();
    let mut seen = vec![false; sizes.len()];
    for n in 0..sizes.len() {
        put(n, &sizes, &mut seen, &mut order);
    }
    let mut sizes: Vec<Option<Size>> = sizes.into_iter().map(Some).collect();
    order.into_iter().filter_map(|n| sizes[n].take()).collect()
}

fn put(n: usize, sizes: &[Size], seen: &mut [bool], order: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[n], true) {
        return;
    }
    let mut rest = vec![&sizes[n].value];
    while let Some(expr) = rest.pop() {
        if let ExprKind::Name(name) = &expr.kind
            && let Some(read) = sizes.iter().position(|s| s.name == *name)
        {
            put(read, sizes, seen, order);
        }
        rest.extend(children(expr));
    }
    order.push(n);
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
