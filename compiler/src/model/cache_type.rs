//! The types in which caches keep keys and values: encodings of each number, and codes, which are what the clauses of a policy say.

use crate::library::Definition;
use seqc_formats::Encoding;
use seqc_grammar::{
    FileId,
    ast::{Def, DefKind, ExprKind, Ident, Span, Stmt},
    parse_expr,
};

/// A type of caches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CacheType {
    /// Each number is stored as the nearest of an encoding.
    Numbers(Encoding),
    /// Several numbers share what is stored of them.
    Codes(&'static Codes),
}

/// Codes as clauses of a policy.
#[derive(Debug, PartialEq)]
pub(super) struct Codes {
    name: &'static str,
    clauses: &'static [&'static str],
}

/// All types of codes.
const CODES: &[Codes] = &[Codes {
    name: "int8",
    clauses: &["keys(bits = 8, symmetric = true)", "values(bits = 8, symmetric = true)"],
}];

impl CacheType {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = CacheType> {
        let numbers = Encoding::ALL.iter().copied().filter(|e| e.nearest().is_some());
        numbers
            .map(CacheType::Numbers)
            .chain(CODES.iter().map(CacheType::Codes))
    }

    /// As models write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            CacheType::Numbers(encoding) => encoding.name(),
            CacheType::Codes(codes) => codes.name,
        }
    }

    /// How each number is stored that is not coded.
    pub(super) fn encoding(self) -> Encoding {
        match self {
            CacheType::Numbers(encoding) => encoding,
            CacheType::Codes(_) => Encoding::F32,
        }
    }

    /// Its codes, if it is one of codes.
    pub(super) fn codes(self) -> Option<&'static Codes> {
        match self {
            CacheType::Numbers(_) => None,
            CacheType::Codes(codes) => Some(codes),
        }
    }
}

impl Codes {
    fn statements(&self, file: FileId) -> impl Iterator<Item = Stmt> {
        let parsed = self.clauses.iter().map(move |text| parse_expr(file, text, 0).0);
        parsed.map(Stmt::Clause)
    }

    /// The policy of these codes, under which all entries stay. A model names it, as a type, at this place.
    pub(super) fn policy(&self, file: FileId, span: Span) -> Definition {
        let text = self.name.to_owned();
        let def = Def {
            kind: DefKind::Cache,
            doc: Vec::new(),
            name: Ident { text, span },
            streams: Vec::new(),
            settings: Vec::new(),
            result: None,
            body: self.statements(file).collect(),
            span,
        };
        Definition { file, def }
    }

    /// A policy with these codes; `None` where it says itself how keys or values are stored.
    pub(super) fn beside(&self, policy: &Definition) -> Option<Definition> {
        let clauses: Vec<Stmt> = self.statements(policy.file).collect();
        let said = |name: &str| policy.def.body.iter().filter_map(clause).any(|c| c == name);
        if clauses.iter().filter_map(clause).any(said) {
            return None;
        }
        let mut coded = policy.clone();
        coded.def.body.extend(clauses);
        Some(coded)
    }
}

/// The name of a clause.
fn clause(statement: &Stmt) -> Option<&str> {
    match statement {
        Stmt::Clause(e) => match &e.kind {
            ExprKind::Call { callee, .. } => Some(&callee.text),
            _ => None,
        },
        _ => None,
    }
}
