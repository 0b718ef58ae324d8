//! The crate from outside: layer files, model files, layout, hostile input.

mod hostile;
mod layers;
mod support;
