//! The crate from outside: layer files, model files, hostile input.

mod codes;
mod hostile;
mod layers;
mod layout;
mod models;
mod show;
mod support;
