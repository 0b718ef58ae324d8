//! The pipeline: a model file to a program, or to any stage in between.

use crate::{
    backend,
    files::Files,
    import,
    model::Built,
    package::{self, Kind},
    request::{Emit, Failure, Request},
    source::Sources,
};
use seqc_backends::{
    code,
    lower::{self, Program},
    mlir::Target,
};
use seqc_checkpoint::output;
use seqc_passes::{plan::PlannedText, planned::PlannedModel};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Product {
    /// A text form.
    Text(String),
    /// Bytes of a file.
    Bytes(Vec<u8>),
    /// A file that has been written.
    Written(PathBuf),
}

/// A stage that is over: its name, how long it took, and the model as text where it has one.
pub type Watch<'a> = dyn FnMut(&str, Duration, Option<&Built>) + 'a;

/// Builds a model; `watch` is called after every stage.
pub fn build(path: &Path, request: &Request, sources: &mut Sources, watch: &mut Watch<'_>) -> Result<Product, Failure> {
    let start = Instant::now();
    let built = import::read(path, sources, &request.read).map_err(Failure::Input)?;
    watch("model", start.elapsed(), Some(&built));
    // Before minutes of work, and before anything is written.
    check(request, &built.inputs)?;
    backend::check_encoder(&built, request)?;
    let product = stages(&built, request, watch)?;
    match request.output == Path::new("-") {
        true => Ok(product),
        false => write(&product, request, &built.inputs),
    }
}

/// All stages behind a model that was read and elaborated, up to the one that the request stops at.
pub fn stages(built: &Built, request: &Request, watch: &mut Watch<'_>) -> Result<Product, Failure> {
    match request.emit {
        Emit::Ast => return Ok(Product::Text(format!("{:#?}\n", built.document))),
        Emit::Graph => return Ok(Product::Text(built.model.to_string())),
        _ => {}
    }
    let mut clock = Clock::new(watch);

    // Passes: graphs are simplified, delays and products recognised, streams made real.
    let canonical = backend::canonical(&built.model);
    clock.end("passes");
    if request.emit == Emit::Canonical {
        return Ok(Product::Text(canonical.to_string()));
    }

    // Plan: what is stored, fused, in which form, on each processor.
    let targets = backend::targets(request, &canonical)?;
    let plan = |target: &Target| backend::plan(&canonical, &built.meta, target.level);
    let planned: Vec<PlannedModel<'_>> = targets.iter().map(plan).collect();
    clock.end("plan");
    if request.emit == Emit::Plan {
        return Ok(Product::Text(PlannedText(&planned[0]).to_string()));
    }

    // Schedule and kernels: what is split, vectorised and kept in registers, as typed instructions.
    let program = |(planned, target): (&PlannedModel<'_>, &Target)| lower::program(planned, target.level);
    let programs: Vec<Program> = planned.iter().zip(&targets).map(program).collect();
    clock.end("kernels");
    if request.emit == Emit::Kernels {
        return Ok(Product::Text(programs[0].module.to_string()));
    }

    // Code: MLIR, LLVM, an object for each processor.
    let files = Files::of(built, request)?;
    let texts = backend::texts(built, &targets, programs, &files)?;
    let first = &texts[0];
    if let Some(text) = backend::readable(&first.code, &first.target, request.emit)? {
        return Ok(Product::Text(text));
    }
    let objects = code::objects(&texts).map_err(|e| e.to_string())?;
    clock.end("code");
    if request.emit == Emit::Obj {
        return Ok(Product::Bytes(objects.concat()));
    }

    // Link: the objects, the runtime, and the files that go inside.
    let path = backend::link(&objects, built, request, &files)?;
    clock.end("link");
    Ok(Product::Written(path))
}

/// Tells how long each stage takes.
struct Clock<'w, 'a> {
    watch: &'w mut Watch<'a>,
    start: Instant,
}

impl<'w, 'a> Clock<'w, 'a> {
    fn new(watch: &'w mut Watch<'a>) -> Clock<'w, 'a> {
        Clock {
            watch,
            start: Instant::now(),
        }
    }

    /// The stage that is over; the next one begins.
    fn end(&mut self, stage: &str) {
        (self.watch)(stage, self.start.elapsed(), None);
        self.start = Instant::now();
    }
}

fn failed(error: impl ToString) -> Failure {
    Failure::Write(error.to_string())
}

/// Whether the result and what belongs to it can be written.
fn check(request: &Request, inputs: &[PathBuf]) -> Result<(), Failure> {
    match Kind::of(request.emit) {
        Some(kind) => package::check(kind, request, inputs),
        None if request.emit == Emit::Web => package::web::check(request),
        None => output::check(&request.output, inputs).map_err(failed),
    }
}

/// Puts the result in place.
fn write(product: &Product, request: &Request, inputs: &[PathBuf]) -> Result<Product, Failure> {
    let path = &request.output;
    let bytes = match product {
        Product::Text(text) => text.as_bytes(),
        Product::Bytes(bytes) => &bytes[..],
        Product::Written(_) => return Ok(product.clone()),
    };
    output::write(path, inputs, bytes).map_err(failed)?;
    Ok(Product::Written(path.clone()))
}
