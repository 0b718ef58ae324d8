//! The driver and the `seqc` command: models from YAML, layers to graphs, reports.

pub mod backend;
pub mod cli;
pub mod compare;
pub mod diag;
pub mod driver;
pub mod effective;
pub mod elaborate;
pub mod explain;
mod files;
pub mod import;
pub mod initial;
pub mod kinds;
pub mod known;
pub mod library;
pub mod model;
mod names;
mod package;
pub mod pages;
mod paths;
mod quantise;
mod random;
pub mod reference;
pub mod render;
pub mod request;
pub mod schema;
pub mod source;
pub mod tasks;
