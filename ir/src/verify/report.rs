//! Broken laws, as they are found.

use crate::{Graph, Ty, Value};
use std::fmt;

/// One broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the law in the header of `mod.rs`.
    pub law: u8,
    /// The layer graph, for models of several.
    pub graph: String,
    /// What is wrong.
    pub message: String,
    /// The node in text form, where one is to blame.
    pub node: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` breaks law {}: {}", self.graph, self.law, self.message)?;
        match &self.node {
            Some(node) => write!(f, "\n    {node}"),
            None => Ok(()),
        }
    }
}

/// Violations found so far.
pub(super) struct Report<'g> {
    pub(super) graph: &'g Graph,
    pub(super) violations: Vec<Violation>,
}

impl Report<'_> {
    pub(super) fn at(&mut self, law: u8, value: Value, message: impl Into<String>) {
        let node = Some(crate::text::node_line(self.graph, value));
        self.violations.push(Violation {
            law,
            graph: self.graph.name.clone(),
            message: message.into(),
            node,
        });
    }

    pub(super) fn general(&mut self, law: u8, message: impl Into<String>) {
        self.violations.push(Violation {
            law,
            graph: self.graph.name.clone(),
            message: message.into(),
            node: None,
        });
    }

    /// Reports unless `holds`.
    pub(super) fn require(&mut self, holds: bool, law: u8, value: Value, message: impl FnOnce() -> String) {
        if !holds {
            self.at(law, value, message());
        }
    }
}

pub(super) fn shape(report: &mut Report<'_>, value: Value, expected: &[usize]) {
    let found = report.graph.ty(value).sizes();
    report.require(found == expected, 7, value, || {
        format!("the result has shape {expected:?}, not {found:?}")
    });
}

pub(super) fn same_shape(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    let ty = report.graph.ty(value);
    for operand in types {
        let fits = operand.sizes() == ty.sizes();
        report.require(fits, 7, value, || format!("an operand is {operand}, the result {ty}"));
    }
}

pub(super) fn same_elem(report: &mut Report<'_>, value: Value, types: &[&Ty]) {
    let elem = report.graph.ty(value).elem;
    for operand in types {
        report.require(operand.elem == elem, 6, value, || {
            format!("an operand is {}, the result {elem}", operand.elem)
        });
    }
}
