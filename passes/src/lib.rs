//! Passes over layer graphs, and the plan of kernels that a backend emits.

pub mod index;
pub mod recognise;
pub mod recurrence;
pub mod simplify;
