//! The interface to passes and code generation: one function for each use.

use crate::{
    files::Files,
    model::{Built, Meta},
    package::{self, Kind},
    request::{Emit, Failure, Request},
};
use seqc_abi::{Descriptor, Family, Level, Products};
use seqc_backends::{
    code::{self, Form, Text},
    link::{self, Runtime},
    lower::{self, Entry, Program},
    mlir::{self, Target},
    targets,
};
use seqc_checkpoint::{Bundle, output, output::Output};
use seqc_formats::{Encoding, Native};
use seqc_ir::{Graph, Model, Op, Rounding};
use seqc_passes::{plan::Settings, planned::PlannedModel};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Longest input of a model that looks ahead and does not say how long its inputs may be.
const WHOLE: usize = 4096;

/// The model with the graphs that are planned: after all passes.
pub fn canonical(model: &Model) -> Model {
    seqc_passes::optimised(model)
}

/// A model after all passes, planned for the processors of a level.
pub fn plan<'m>(canonical: &'m Model, meta: &Meta, level: Level) -> PlannedModel<'m> {
    let settings = Settings::of(targets::machine(level));
    let max_chunk = match canonical.is_causal() {
        true => settings.max_chunk.min(meta.max_context.unwrap_or(settings.max_chunk)),
        false => meta.max_context.unwrap_or(WHOLE),
    };
    // All rows of a memory are read by one step.
    let rows = canonical.has_memory().then(|| meta.longest_memory.unwrap_or(WHOLE));
    let max_chunk = max_chunk.max(rows.unwrap_or(0));
    // Tokens that choose together are in one chunk.
    let max_chunk = max_chunk.max(canonical.together());
    PlannedModel::new(canonical, Settings { max_chunk, ..settings })
}

/// What every sequence carries from chunk to chunk.
pub fn manifest(planned: &PlannedModel<'_>) -> Vec<Entry> {
    lower::manifest(planned)
}

/// The levels of a family that code for a model differs on.
pub(crate) fn levels(canonical: &Model, family: Family) -> impl Iterator<Item = Level> {
    family
        .levels()
        .filter(|level| level.adds().is_none_or(|products| has(canonical, *level, products)))
}

/// Whether a model has products that a level adds: of rounded activations, or of weights whose integers single tokens are multiplied with.
fn has(canonical: &Model, level: Level, products: Products) -> bool {
    let rounds = |to: Rounding| {
        let is_such = |graph: &Graph| graph.live_order().into_iter().any(|v| *graph.op(v) == Op::RoundRow(to));
        canonical.kinds.iter().any(|kind| is_such(&kind.graph))
    };
    let fixed_point = targets::target(level).micro_kernels.fixed_point;
    let mut encodings = canonical.kinds.iter().flat_map(|kind| &kind.encodings);
    match products {
        Products::Bytes => {
            let is_integer =
                |encoding: &Encoding| matches!(encoding.native(), Some(Native::Block(block)) if fixed_point(block));
            rounds(Rounding::Int8) || encodings.any(is_integer)
        }
        Products::Bf16 => rounds(Rounding::Bf16),
    }
}

/// The processors that a request names: a single one where it stops at a stage of one.
pub(crate) fn targets(request: &Request, canonical: &Model) -> Result<Vec<Target>, Failure> {
    let mut targets = Target::list(&request.target).map_err(|e| Failure::Usage(e.to_string()))?;
    if let Some(family) = Family::named(&request.target) {
        let levels: Vec<Level> = levels(canonical, family).collect();
        targets.retain(|target| levels.contains(&target.level));
    }
    let of_one = match request.emit {
        Emit::Plan | Emit::Kernels | Emit::Mlir | Emit::Llvm | Emit::Asm | Emit::Ptx | Emit::Obj => true,
        Emit::Ast | Emit::Graph | Emit::Canonical => false,
        Emit::Exe | Emit::Lib | Emit::Crate | Emit::Wheel | Emit::Web => false,
    };
    if of_one && targets.len() > 1 {
        let names = names(&targets);
        let message = format!("this stage is of one processor, not of {names}: name one with --target");
        return Err(Failure::Usage(message));
    }
    let family = request.family();
    if !link::has_libraries(family) && matches!(request.emit, Emit::Lib | Emit::Crate | Emit::Wheel) {
        let message = format!(
            "there are no libraries for {}: --emit exe makes a program{}",
            family.name(),
            if link::is_of_browsers(family) {
                ", --emit web a folder for browsers"
            } else {
                ""
            }
        );
        return Err(Failure::Usage(message));
    }
    if !link::is_of_browsers(family) && request.emit == Emit::Web {
        let message = format!("folders for browsers are for --target wasm, not for {}", family.name());
        return Err(Failure::Usage(message));
    }
    if family != Family::Cuda && request.emit == Emit::Ptx {
        let message = format!(
            "--emit ptx is for --target cuda; for {} there is --emit asm",
            family.name()
        );
        return Err(Failure::Usage(message));
    }
    if link::is_of_browsers(family) && request.embed {
        let name = family.name();
        let message =
            format!("a program for {name} has no files inside: build without --embed-weights, and run with --weights");
        return Err(Failure::Usage(message));
    }
    // Before minutes of work: whether what is linked with their code is there.
    if matches!(
        request.emit,
        Emit::Exe | Emit::Lib | Emit::Crate | Emit::Wheel | Emit::Web
    ) {
        runtime(request)?;
    }
    Ok(targets)
}

/// Refuses folders for browsers of a model with an encoder: their interface has no function that gives it a source.
pub(crate) fn check_encoder(built: &Built, request: &Request) -> Result<(), Failure> {
    match request.emit == Emit::Web && built.model.has_memory() {
        false => Ok(()),
        true => Err(Failure::Usage(format!(
            "the model {} has an encoder, and the interface for browsers has no function that gives it a source: --emit exe makes a program, which has --source, \
             --emit lib, crate and wheel libraries",
            built.meta.name
        ))),
    }
}

/// What code for the processors that a request names is linked with.
fn runtime(request: &Request) -> Result<Runtime, Failure> {
    Runtime::of(request.family()).map_err(|e| Failure::Stage(e.to_string()))
}

fn names(targets: &[Target]) -> String {
    targets.iter().map(Target::name).collect::<Vec<_>>().join(" and ")
}

/// The modules of a program's processors as MLIR, each with its descriptor.
pub(crate) fn texts(
    built: &Built,
    targets: &[Target],
    programs: Vec<Program>,
    files: &Files,
) -> Result<Vec<Text>, String> {
    let names = names(targets);
    let form = |(target, program): (&Target, Program)| {
        Ok(Form {
            descriptor: complete(program.descriptor, built, target, &names, files)?,
            target: target.clone(),
            module: program.module,
        })
    };
    let forms = targets.iter().zip(programs).map(form).collect::<Result<_, String>>()?;
    code::texts(forms).map_err(|e| e.to_string())
}

/// The text form of a stage of the code of one processor; `None`: the request continues to objects.
pub(crate) fn readable(text: &str, target: &Target, emit: Emit) -> Result<Option<String>, Failure> {
    let stage = match emit {
        Emit::Mlir => return Ok(Some(text.to_owned())),
        Emit::Llvm => mlir::Emit::LlvmIr,
        Emit::Asm | Emit::Ptx => mlir::Emit::Asm,
        Emit::Ast | Emit::Graph | Emit::Canonical | Emit::Plan | Emit::Kernels => return Ok(None),
        Emit::Obj | Emit::Exe | Emit::Lib | Emit::Crate | Emit::Wheel | Emit::Web => return Ok(None),
    };
    let made = mlir::compile(text, target, stage).map_err(|e| Failure::Stage(e.to_string()))?;
    Ok(Some(String::from_utf8_lossy(&made).into_owned()))
}

/// Links a program or a library, and puts it where it belongs with the files that go inside or beside it; gives its path.
pub(crate) fn link(objects: &[Vec<u8>], built: &Built, request: &Request, files: &Files) -> Result<PathBuf, Failure> {
    let stage = |error: link::Error| Failure::Stage(error.to_string());
    let runtime = runtime(request)?;
    if request.emit == Emit::Web {
        let module = link::link_web(objects, &runtime).map_err(stage)?;
        return package::web::write(&module, built, request, files);
    }
    let Some(kind) = Kind::of(request.emit) else {
        put(
            &link::link_exe(objects, &runtime).map_err(stage)?,
            built,
            request,
            files,
        )?;
        return Ok(request.output.clone());
    };
    let soname = match kind {
        Kind::Library => request
            .output
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        Kind::Crate | Kind::Wheel => format!("lib{}.so", request.prefix),
    };
    let inside = package::bundle(kind, &files.inside)?;
    let options = link::Options {
        prefix: &request.prefix,
        soname: &soname,
        inside: inside.as_ref().map(|bundle| bundle.path()),
    };
    let library = link::link_library(objects, &runtime, &options).map_err(stage)?;
    if kind == Kind::Library {
        put(&library.shared, built, request, files)?;
    }
    package::write(kind, request, &built.inputs, &library, &files.inside)
}

/// Writes what was linked, with the files that go inside.
fn put(linked: &[u8], built: &Built, request: &Request, files: &Files) -> Result<(), Failure> {
    let to = &request.output;
    let failed = |e: io::Error| Failure::Write(format!("{}: {}", to.display(), output::reason(&e)));
    let refused = |e: output::Error| Failure::Write(e.to_string());
    let mut out = Output::create_program(to, &built.inputs).map_err(refused)?;
    out.write_all(linked).map_err(failed)?;
    if !files.inside.is_empty() {
        Bundle::append(&mut out, linked.len() as u64, &files.inside).map_err(failed)?;
    }
    out.commit().map_err(refused)
}

/// Adds what does not follow from the graphs, and the hash of it all.
fn complete(
    descriptor: Descriptor,
    built: &Built,
    target: &Target,
    names: &str,
    files: &Files,
) -> Result<Descriptor, String> {
    let mut whole = Descriptor {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        target: names.to_owned(),
        max_context: built.meta.max_context,
        ..descriptor
    };
    if let Some(memory) = &mut whole.memory {
        memory.longest = built.meta.longest_memory;
        memory.start.clone_from(&built.meta.start);
        for (input, vocab) in memory.inputs.iter_mut().zip(&built.meta.memory_vocabularies) {
            input.vocab = *vocab;
        }
    }
    for (input, vocab) in whole.inputs.iter_mut().zip(&built.meta.vocabularies) {
        input.vocab = *vocab;
    }
    // The hash is of the model, not of its weights, of where its files lie or of how its texts end. All codes of a program
    // have one hash, so that a state saved on one processor is read on another, unless their states differ in layout.
    let mut hash = Sha256::new();
    let (calls, sampled) = (std::mem::take(&mut whole.calls), whole.sampled.take());
    let sizes = [whole.constant_bytes, whole.arena_bytes, whole.scratch_bytes];
    (whole.constant_bytes, whole.arena_bytes, whole.scratch_bytes) = (0, 0, 0);
    hash.update(serde_json::to_vec(&whole).map_err(|e| e.to_string())?);
    [whole.constant_bytes, whole.arena_bytes, whole.scratch_bytes] = sizes;
    (whole.calls, whole.sampled) = (calls, sampled);
    whole.target = target.name();
    hash.update(built.model.to_string());
    whole.hash = hash
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    whole.random = built.meta.random;
    whole.ends.clone_from(&built.meta.ends);
    whole.trained_length = built.meta.trained_length;
    whole.weights.clone_from(&files.weights);
    whole.tokenizer.clone_from(&files.tokenizer);
    whole.inside = !files.inside.is_empty();
    Ok(whole)
}
