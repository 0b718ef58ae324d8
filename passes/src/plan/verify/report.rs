//! Broken laws, as they are found, and the places that they name.

use crate::plan::types::{Kernel, Nest, Plan, Scan};
use seqc_ir::{Graph, StateId};
use std::fmt::{self, Display};

/// One broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the law in the header of `mod.rs`.
    pub law: u8,
    /// The buffer, state or kernel.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {}: {}: {}", self.law, self.place, self.message)
    }
}

/// Violations found so far.
pub(super) struct Report<'a> {
    pub(super) graph: &'a Graph,
    pub(super) plan: &'a Plan,
    pub(super) violations: Vec<Violation>,
}

impl Report<'_> {
    pub(super) fn require(&mut self, holds: bool, law: u8, place: impl Display, message: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation {
                law,
                place: place.to_string(),
                message: message(),
            });
        }
    }
}

/// Where a kernel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the load nests.
    Load,
    /// The kernel of this number.
    Kernel(usize),
    /// In the loop of the first number, at the second one.
    Inside(usize, usize),
}

impl Place {
    /// The number of the kernel, or of the loop that it is in.
    pub(super) fn top(self) -> usize {
        match self {
            Place::Load => 0,
            Place::Kernel(n) | Place::Inside(n, _) => n,
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Load => f.write_str("load"),
            Place::Kernel(n) => write!(f, "kernel {n}"),
            Place::Inside(n, m) => write!(f, "kernel {n}.{m}"),
        }
    }
}

/// All kernels with their places, those inside loops in the place of the loop.
pub(super) fn placed(plan: &Plan) -> Vec<(Place, &Kernel)> {
    let mut found = Vec::new();
    for (n, kernel) in plan.kernels.iter().enumerate() {
        match kernel {
            Kernel::Loop(body) => {
                let body = super::super::types::flat(body).into_iter().enumerate();
                found.extend(body.map(|(m, kernel)| (Place::Inside(n, m), kernel)));
            }
            kernel => found.push((Place::Kernel(n), kernel)),
        }
    }
    found
}

/// The nests of a kernel, in order.
pub(super) fn nests(kernel: &Kernel) -> Vec<&Nest> {
    match kernel {
        Kernel::Map(nests) | Kernel::Heads { nests, .. } => nests.iter().collect(),
        Kernel::Matmuls(matmuls) => matmuls.iter().flat_map(|m| &m.epilogue).collect(),
        Kernel::Scan(scan) => scan.outputs.iter().collect(),
        Kernel::Attend(_) | Kernel::LongConv(_) | Kernel::Reverse(_) => Vec::new(),
        Kernel::RoundRow(_) | Kernel::Commit(_) | Kernel::Loop(_) => Vec::new(),
    }
}

/// The states that a kernel changes.
pub(super) fn states(kernel: &Kernel) -> &[StateId] {
    match kernel {
        Kernel::Scan(scan) => &scan.states,
        Kernel::Heads { states, .. } | Kernel::Commit(states) => states,
        Kernel::Map(_) | Kernel::Matmuls(_) | Kernel::Attend(_) | Kernel::LongConv(_) => &[],
        Kernel::Reverse(_) | Kernel::RoundRow(_) | Kernel::Loop(_) => &[],
    }
}

/// The scan that a kernel is, or that it is for long chunks.
pub(super) fn scan(kernel: &Kernel) -> Option<&Scan> {
    match kernel {
        Kernel::Scan(scan) => Some(scan),
        Kernel::Heads { chunked, .. } => chunked.as_ref(),
        Kernel::Map(_) | Kernel::Matmuls(_) | Kernel::Attend(_) | Kernel::LongConv(_) | Kernel::Reverse(_) => None,
        Kernel::RoundRow(_) | Kernel::Commit(_) | Kernel::Loop(_) => None,
    }
}
