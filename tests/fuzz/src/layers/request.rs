//! What a build of a case is asked for.

use seqc::{
    model::ReadOptions,
    request::{Emit, Request},
};
use std::path::PathBuf;

/// What a build is asked for.
pub(super) fn request(emit: Emit, target: &str, output: PathBuf) -> Request {
    Request {
        read: ReadOptions::default(),
        emit,
        target: target.to_owned(),
        output,
        embed: false,
        force: false,
        prefix: "seqc".to_owned(),
    }
}
