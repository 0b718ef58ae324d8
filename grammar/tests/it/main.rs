//! The crate from outside: layer files, model files, hostile input.

mod hostile;
mod layers;
mod models;
mod show;
mod support;
