//! The processors that code is generated for: a machine record for each.

mod x86_64;

pub use x86_64::machine;
