//! The seam to passes and code generation: one function for each thing that is asked of them.

use crate::{
    driver::{Emit, Product, Request},
    explain,
    model::Built,
};
use seqc_abi::{Descriptor, StateSlot};
use seqc_backends::{
    link,
    lower::{self, Options, Program},
    mlir::{self, Target},
};
use seqc_ir::{Graph, Model};
use seqc_passes::{blocks::Blocks, plan::Chunks};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Tokens of a chunk: enough for packed weights to pay, few enough for activations to stay in cache.
const CHUNK: usize = 256;
/// Longest input of a model that looks ahead and does not say how long its inputs may be.
const WHOLE: usize = 4096;

/// What every sequence carries from chunk to chunk.
pub fn manifest(model: &Model, max_context: Option<usize>) -> Vec<StateSlot> {
    lower::manifest(model, &options(model, max_context, 16))
}

/// What was recognised in a layer and what was chosen.
pub fn explain(graph: &Graph) -> String {
    explain::layer(graph)
}

/// The model with the graphs that are planned: after all passes.
pub fn canonical(model: &Model) -> Model {
    let mut model = model.clone();
    for kind in &mut model.kinds {
        seqc_passes::optimise(&mut kind.graph);
    }
    model
}

/// Code of a model, up to the stage that the request names.
pub fn code(built: &Built, request: &Request) -> Result<Product, String> {
    let target = Target::named(&request.target).map_err(|e| e.to_string())?;
    let options = options(&built.model, built.meta.max_context, target.width());
    let Program { mut module, descriptor } = lower::program(&built.model, &options);
    let descriptor = complete(descriptor, built, &target)?;
    let json = serde_json::to_vec(&descriptor).map_err(|e| e.to_string())?;
    module.add_bytes(seqc_abi::symbols::DESCRIPTOR, &json);
    module.add_u64(seqc_abi::symbols::DESCRIPTOR_LEN, json.len() as u64);
    let text = module.finish();
    let compile = |emit| mlir::compile(&text, &target, emit).map_err(|e| e.to_string());
    let readable = |bytes: Vec<u8>| Product::Text(String::from_utf8_lossy(&bytes).into_owned());
    match request.emit {
        Emit::Mlir => Ok(Product::Text(text)),
        Emit::Llvm => compile(mlir::Emit::LlvmIr).map(readable),
        Emit::Asm => compile(mlir::Emit::Asm).map(readable),
        Emit::Obj => compile(mlir::Emit::Obj).map(Product::Bytes),
        Emit::Exe => {
            link::link_exe(&compile(mlir::Emit::Obj)?, &request.output).map_err(|e| e.to_string())?;
            Ok(Product::Written(request.output.clone()))
        }
        Emit::Lib => {
            link::link_library(&compile(mlir::Emit::Obj)?, &request.output).map_err(|e| e.to_string())?;
            Ok(Product::Written(request.output.clone()))
        }
        Emit::Ast | Emit::Graph | Emit::Canonical => Err("this stage has no code".to_owned()),
    }
}

fn options(model: &Model, max_context: Option<usize>, lanes: u32) -> Options {
    let max_chunk = if model.is_causal() {
        CHUNK.min(max_context.unwrap_or(CHUNK))
    } else {
        max_context.unwrap_or(WHOLE)
    };
    Options {
        lanes,
        max_chunk: max_chunk.max(1),
        conv_block: Blocks::SMALLEST,
        chunks: Chunks::Cheapest,
    }
}

/// Adds what does not follow from the graphs, and the hash of it all.
fn complete(descriptor: Descriptor, built: &Built, target: &Target) -> Result<Descriptor, String> {
    let mut whole = Descriptor {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        target: target.cpu.clone(),
        random: built.meta.random,
        max_context: built.meta.max_context,
        ..descriptor
    };
    for (input, vocab) in whole.inputs.iter_mut().zip(&built.meta.vocabularies) {
        input.vocab = *vocab;
    }
    // The hash is of the model, not of where its files lie: a moved checkpoint is the same model.
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&whole).map_err(|e| e.to_string())?);
    hash.update(built.model.to_string());
    whole.hash = hash
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    whole.weights = built.meta.weights.as_deref().map(absolute);
    whole.tokenizer = built.meta.tokenizer.as_deref().map(absolute);
    Ok(whole)
}

/// Programs run anywhere: they name their files from the root.
fn absolute(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let tidy = whole.canonicalize().unwrap_or_else(|_| normal(&whole));
    tidy.display().to_string()
}

/// The path without `.` and `..`, for files that are not there yet.
fn normal(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                tidy.pop();
            }
            std::path::Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy
}
