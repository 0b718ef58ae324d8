//! Models of random layers: what is refused is refused with a message; what is accepted is explained and built, and where
//! it is small, the program computes what the evaluator says, however the sequence is cut.

mod expr;
mod model;
mod program;
mod request;
mod text;

use crate::ending::{Ending, put, refused};
use request::request;
use seqc::{
    backend,
    driver::{self, Product},
    explain,
    model::{Built, ReadOptions},
    request::Emit,
    source::Sources,
};
use seqc_abi::Level;
use seqc_ir::random::Rng;
use std::path::Path;

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
    put(dir, "layer.seq", files.layer.as_bytes())?;
    put(dir, "model.yaml", files.model.as_bytes())?;
    let mut sources = Sources::default();
    let built = match seqc::model::read_text(&path, files.model, &mut sources, &ReadOptions::default()) {
        Ok(built) => built,
        Err(diagnostics) => return refused(&diagnostics, &sources),
    };
    let canonical = backend::canonical(&built.model);
    let planned = backend::plan(&canonical, &built.meta, Level::V3);
    for (kind, plan) in canonical.kinds.iter().zip(&planned.plans) {
        explain::layer(&kind.graph, &[plan]);
    }
    backend::manifest(&planned);
    let operations: usize = built.model.kinds.iter().map(|k| k.graph.node_count()).sum();
    if operations > BUILT {
        return Ok("explained");
    }
    if large || rng.once_in(2) || !program::is_small(&built) {
        return code(&built, dir, operations);
    }
    program::compare(rng, &built, dir)
}

/// The program of a small model beside the evaluator, the sequence cut in several ways.
pub(crate) fn compare(rng: &mut Rng, built: &Built, dir: &Path) -> Ending {
    program::compare(rng, built, dir)
}

/// The layer file and the model of a case, for those who change them.
pub(crate) fn texts(rng: &mut Rng) -> (String, String) {
    let files = model::files(rng, false);
    (files.layer, files.model)
}

/// The model as kernels, whose length has a bound, and as machine code.
fn code(built: &Built, dir: &Path, operations: usize) -> Ending {
    let made = |emit| {
        let request = request(emit, "x86-64-v3", dir.join("object"));
        driver::stages(built, &request, &mut |_, _, _| {}).map_err(|failure| format!("{failure:?}"))
    };
    if let Product::Text(text) = made(Emit::Mlir)? {
        let (lines, most) = (text.lines().count(), LINES + LINES_EACH * operations);
        if lines > most {
            return Err(format!("{lines} lines of kernels for {operations} operations"));
        }
    }
    made(Emit::Obj).map(|_| "compiled")
}
