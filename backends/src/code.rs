//! Generated code for several processors: one object for each, and the table by which the runtime chooses.

use crate::{
    kernel::Module,
    mlir::{self, Emit, Target},
};
use seqc_abi::{Descriptor, symbols};

/// The code of a model for one target.
pub struct Form {
    /// The processors it is for.
    pub target: Target,
    /// Its functions, without descriptor and table.
    pub module: Module,
    /// What the runtime must know about it.
    pub descriptor: Descriptor,
}

/// Texts of the modules of a program, in the order of its forms. The first has the table of them all.
pub fn texts(forms: Vec<Form>) -> Result<Vec<(Target, String)>, serde_json::Error> {
    let mut rows = Vec::new();
    let mut parts = Vec::new();
    for Form {
        target,
        mut module,
        descriptor,
    } in forms
    {
        let json = serde_json::to_vec(&descriptor)?;
        module.add_bytes(&symbols::descriptor(target.level), &json);
        rows.push((target.level, json.len()));
        parts.push((target, module));
    }
    if let Some((_, first)) = parts.first_mut() {
        first.add_code_table(&rows);
    }
    Ok(parts
        .into_iter()
        .map(|(target, module)| {
            let text = (target.info().print)(&module);
            (target, text)
        })
        .collect())
}

/// Compiles each text for its target, in parallel: this takes most of the time of a build.
///
/// # Errors
///
/// Those of [`mlir::compile`], of the first that fails.
pub fn objects(texts: &[(Target, String)]) -> Result<Vec<Vec<u8>>, mlir::Error> {
    std::thread::scope(|scope| {
        let compile = |(target, text): &'_ (Target, String)| mlir::compile(text, target, Emit::Obj);
        let running: Vec<_> = texts.iter().map(|part| scope.spawn(move || compile(part))).collect();
        let finished = running.into_iter().map(|thread| match thread.join() {
            Ok(object) => object,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        finished.collect()
    })
}
