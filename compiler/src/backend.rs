//! The seam to passes and code generation: one function for each thing that is asked of them.

use crate::{
    driver::{Emit, Failure, Product, Request},
    files::Files,
    model::Built,
};
use seqc_abi::{Descriptor, Level};
use seqc_backends::{
    code::{self, Form},
    link,
    lower::{self, Entry, Program},
    mlir::{self, Target},
    targets,
};
use seqc_checkpoint::{Bundle, output, output::Output};
use seqc_ir::Model;
use seqc_passes::{
    plan::{PlannedText, Settings},
    planned::PlannedModel,
};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Longest input of a model that looks ahead and does not say how long its inputs may be.
const WHOLE: usize = 4096;

/// The model with the graphs that are planned: after all passes.
pub fn canonical(model: &Model) -> Model {
    seqc_passes::optimised(model)
}

/// A model after all passes, planned for the processors of a level.
pub fn plan(canonical: &Model, max_context: Option<usize>, level: Level) -> PlannedModel<'_> {
    let settings = Settings::of(targets::machine(level));
    let max_chunk = match canonical.is_causal() {
        true => settings.max_chunk.min(max_context.unwrap_or(settings.max_chunk)),
        false => max_context.unwrap_or(WHOLE),
    };
    let max_chunk = max_chunk.max(1);
    PlannedModel::new(canonical, Settings { max_chunk, ..settings })
}

/// The plans of all kinds of layers as text, for the processor that the request names.
pub fn plan_text(built: &Built, request: &Request) -> Result<String, Failure> {
    let canonical = canonical(&built.model);
    let planned = plan(&canonical, built.meta.max_context, targets(request)?[0].level);
    Ok(PlannedText(&planned).to_string())
}

/// What every sequence carries from chunk to chunk.
pub fn manifest(planned: &PlannedModel<'_>) -> Vec<Entry> {
    lower::manifest(planned)
}

/// The header of libraries.
pub const HEADER: &str = link::HEADER;

/// The processors that a request names: a single one where it stops at a stage of one.
fn targets(request: &Request) -> Result<Vec<Target>, Failure> {
    let targets = Target::list(&request.target).map_err(|e| Failure::Usage(e.to_string()))?;
    let of_one = match request.emit {
        Emit::Plan | Emit::Kernels | Emit::Mlir | Emit::Llvm | Emit::Asm | Emit::Obj => true,
        Emit::Ast | Emit::Graph | Emit::Canonical | Emit::Exe | Emit::Lib => false,
    };
    if of_one && targets.len() > 1 {
        let names = names(&targets);
        let message = format!("this stage is of one processor, not of {names}: name one with --target");
        return Err(Failure::Usage(message));
    }
    Ok(targets)
}

fn names(targets: &[Target]) -> String {
    targets.iter().map(Target::name).collect::<Vec<_>>().join(" and ")
}

/// Code of a model, up to the stage that the request names.
pub fn code(built: &Built, request: &Request) -> Result<Product, Failure> {
    let targets = targets(request)?;
    let names = names(&targets);
    let files = Files::of(built, request)?;
    let canonical = canonical(&built.model);
    let forms = targets.into_iter().map(|target| {
        let planned = plan(&canonical, built.meta.max_context, target.level);
        form(built, &planned, (target, &names), &files)
    });
    let forms = forms.collect::<Result<Vec<_>, _>>()?;
    if request.emit == Emit::Kernels {
        return Ok(Product::Text(forms[0].module.to_string()));
    }
    let texts = code::texts(forms).map_err(|e| e.to_string())?;
    let objects = || code::objects(&texts).map_err(|e| e.to_string());
    let stage = |emit| {
        let readable = |bytes: Vec<u8>| Product::Text(String::from_utf8_lossy(&bytes).into_owned());
        let made = mlir::compile(&texts[0].1, &texts[0].0, emit);
        made.map(readable).map_err(|e| Failure::Stage(e.to_string()))
    };
    match request.emit {
        Emit::Mlir => Ok(Product::Text(texts[0].1.clone())),
        Emit::Llvm => stage(mlir::Emit::LlvmIr),
        Emit::Asm => stage(mlir::Emit::Asm),
        Emit::Obj => Ok(Product::Bytes(objects()?.concat())),
        Emit::Exe | Emit::Lib => {
            link(&objects()?, built, request, &files)?;
            Ok(Product::Written(request.output.clone()))
        }
        Emit::Ast | Emit::Graph | Emit::Canonical | Emit::Plan | Emit::Kernels => {
            Err(Failure::Stage("this stage has no code".to_owned()))
        }
    }
}

/// Code of a model for one target, of a program for all the targets of these names.
fn form(
    built: &Built,
    planned: &PlannedModel<'_>,
    (target, names): (Target, &str),
    files: &Files,
) -> Result<Form, String> {
    let Program { module, descriptor } = lower::program(planned, target.level);
    let descriptor = complete(descriptor, built, (&target, names), files)?;
    Ok(Form {
        target,
        module,
        descriptor,
    })
}

/// Links a program or a library, and puts it where it belongs with the files that go inside.
fn link(objects: &[Vec<u8>], built: &Built, request: &Request, files: &Files) -> Result<(), Failure> {
    let library = request.emit == Emit::Lib;
    let linked = match library {
        true => link::link_library(objects),
        false => link::link_exe(objects),
    };
    let linked = linked.map_err(|e| Failure::Stage(e.to_string()))?;
    let to = &request.output;
    let failed = |e: io::Error| Failure::Write(format!("{}: {}", to.display(), output::reason(&e)));
    let refused = |e: output::Error| Failure::Write(e.to_string());
    let mut out = Output::create_program(to, &built.inputs).map_err(refused)?;
    out.write_all(&linked).map_err(failed)?;
    if !files.inside.is_empty() {
        Bundle::append(&mut out, linked.len() as u64, &files.inside).map_err(failed)?;
    }
    out.commit().map_err(refused)?;
    match header(request) {
        Some(header) => output::write(&header, &built.inputs, link::HEADER.as_bytes()).map_err(refused),
        None => Ok(()),
    }
}

/// Where the header of a library goes.
pub fn header(request: &Request) -> Option<PathBuf> {
    let library = request.emit == Emit::Lib && request.output != Path::new("-");
    library.then(|| request.output.with_file_name(link::HEADER_NAME))
}

/// Adds what does not follow from the graphs, and the hash of it all.
fn complete(
    descriptor: Descriptor,
    built: &Built,
    (target, names): (&Target, &str),
    files: &Files,
) -> Result<Descriptor, String> {
    let mut whole = Descriptor {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        target: names.to_owned(),
        max_context: built.meta.max_context,
        ..descriptor
    };
    for (input, vocab) in whole.inputs.iter_mut().zip(&built.meta.vocabularies) {
        input.vocab = *vocab;
    }
    // The hash is of the model, not of its weights, of where its files lie or of how its texts end. All codes of a program
    // have one hash, so that a state saved on one processor is read on another, unless their states differ in layout.
    let mut hash = Sha256::new();
    let calls = std::mem::take(&mut whole.calls);
    let sizes = [whole.constant_bytes, whole.arena_bytes, whole.scratch_bytes];
    (whole.constant_bytes, whole.arena_bytes, whole.scratch_bytes) = (0, 0, 0);
    hash.update(serde_json::to_vec(&whole).map_err(|e| e.to_string())?);
    [whole.constant_bytes, whole.arena_bytes, whole.scratch_bytes] = sizes;
    whole.calls = calls;
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
