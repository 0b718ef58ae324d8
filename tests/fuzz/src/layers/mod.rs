//! Models of random layers: what is refused is refused with a message; what is accepted is explained and built, and where
//! it is small, the program computes what the evaluator says, however the sequence is cut.

mod expr;
mod model;
mod program;
mod text;

use crate::target::Ending;
use seqc::{
    backend,
    driver::{Emit, Product, Request},
    model::{Built, ReadOptions},
    render,
    source::Sources,
};
use seqc_ir::random::Rng;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Most operations of a layer that is built: LLVM takes its time.
const BUILT: usize = 400;

/// Lines of kernels of the smallest layer, and of an operation, at most: whatever the sizes are.
const LINES: usize = 20_000;
const LINES_EACH: usize = 500;

/// One case.
pub(crate) fn case(rng: &mut Rng, dir: &Path) -> Ending {
    let large = rng.once_in(2);
    let files = model::files(rng, large);
    let path = dir.join("model.yaml");
    for (name, text) in [("layer.seq", &files.layer), ("model.yaml", &files.model)] {
        fs::write(dir.join(name), text).map_err(|e| format!("{name}: {e}"))?;
    }
    let mut sources = Sources::default();
    let built = match seqc::model::read_text(&path, files.model, &mut sources, &ReadOptions::default()) {
        Ok(built) => built,
        Err(diagnostics) => return refused(&diagnostics, &sources),
    };
    for kind in &built.model.kinds {
        backend::explain(&kind.graph);
    }
    backend::manifest(&built.model, built.meta.max_context);
    let operations: usize = built.model.kinds.iter().map(|k| k.graph.node_count()).sum();
    if operations > BUILT {
        return Ok("explained");
    }
    if large || rng.once_in(2) || !program::is_small(&built) {
        return code(&built, dir, operations);
    }
    program::compare(rng, &built, dir)
}

/// Every message has a text that can be shown, and none says that the fault is ours.
fn refused(diagnostics: &[seqc::diag::Diagnostic], sources: &Sources) -> Ending {
    if diagnostics.is_empty() {
        return Err("refused without a word".to_owned());
    }
    for d in diagnostics {
        let text = render::human(d, sources, false);
        render::machine(d, sources);
        if d.code == "internal" {
            return Err(text);
        }
    }
    Ok("refused")
}

/// What a build is asked for.
fn request(emit: Emit, target: &str, output: PathBuf) -> Request {
    Request {
        read: ReadOptions::default(),
        emit,
        target: target.to_owned(),
        output,
        embed: false,
        force: false,
    }
}

/// The model as kernels, whose length has a bound, and as machine code.
fn code(built: &Built, dir: &Path, operations: usize) -> Ending {
    let made = |emit| {
        let request = request(emit, "x86-64-v3", dir.join("object"));
        backend::code(built, &request).map_err(|failure| format!("{failure:?}"))
    };
    if let Product::Text(text) = made(Emit::Mlir)? {
        let (lines, most) = (text.lines().count(), LINES + LINES_EACH * operations);
        if lines > most {
            return Err(format!("{lines} lines of kernels for {operations} operations"));
        }
    }
    made(Emit::Obj).map(|_| "compiled")
}
