//! The verifier of one function, and what it knows of the module.

use super::collective::Collective;
use crate::{Axis, Func, Scalar, Signature, Ty};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// What a module's functions may name.
pub(super) struct Names {
    pub(super) functions: HashMap<String, Signature>,
    pub(super) constants: HashSet<String>,
    pub(super) collective: Collective,
}

/// The function being verified.
pub(super) struct Checker<'a> {
    pub(super) func: &'a Func,
    pub(super) names: &'a Names,
    /// Numbers of all values so far.
    pub(super) defined: HashSet<u32>,
    /// The values that may be used here.
    pub(super) scope: HashMap<u32, Ty>,
    /// Their numbers, in the order of their definitions.
    pub(super) inner: Vec<u32>,
    /// What the offsets count that pointers were computed by, by the number of the pointer.
    pub(super) elements: HashMap<u32, Scalar>,
    /// Among the constants.
    pub(super) at_start: bool,
    /// What the loop around divides its iterations between, if it does.
    pub(super) divided: Option<Axis>,
    pub(super) violations: Vec<Violation>,
}

/// One broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the law in the header of `mod.rs`.
    pub law: u8,
    /// The function or constant.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// The instruction in text form, where one is to blame.
    pub inst: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` breaks law {}: {}", self.name, self.law, self.message)?;
        match &self.inst {
            Some(inst) => write!(f, "\n    {inst}"),
            None => Ok(()),
        }
    }
}
