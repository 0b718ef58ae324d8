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

/// What the compiler of a target reads.
pub struct Text {
    /// The processors that it is for.
    pub target: Target,
    /// The functions.
    pub code: String,
    /// Of a device: what the processor beside it has.
    pub host: Option<String>,
}

/// Texts of the modules of a program, in the order of its forms. The first has the table of them all.
///
/// # Errors
///
/// Descriptors that JSON cannot express.
pub fn texts(forms: Vec<Form>) -> Result<Vec<Text>, serde_json::Error> {
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
    let text = |(target, module): (Target, Module)| Text {
        code: (target.info().print)(&module),
        host: target.info().host.map(|print| print(&module)),
        target,
    };
    Ok(parts.into_iter().map(text).collect())
}

/// Compiles each text for its target, in parallel: this takes most of the time of a build.
///
/// # Errors
///
/// Those of [`mlir::compile`], of the first that fails.
pub fn objects(texts: &[Text]) -> Result<Vec<Vec<u8>>, mlir::Error> {
    let lists: Result<Vec<_>, _> = std::thread::scope(|scope| {
        let running: Vec<_> = texts.iter().map(|text| scope.spawn(move || compiled(text))).collect();
        let finished = running.into_iter().map(|thread| match thread.join() {
            Ok(objects) => objects,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        finished.collect()
    });
    Ok(lists?.concat())
}

/// The objects of a text: one, or of a device what the processor beside it has, and the device's code in another.
fn compiled(text: &Text) -> Result<Vec<Vec<u8>>, mlir::Error> {
    let Some(host) = &text.host else {
        return Ok(vec![mlir::compile(&text.code, &text.target, Emit::Obj)?]);
    };
    let mut code = mlir::compile(&text.code, &text.target, Emit::Asm)?;
    let mut carried = Module::default();
    carried.add_u64(symbols::DEVICE_CODE_LEN, code.len() as u64);
    code.push(0);
    carried.add_bytes(symbols::DEVICE_CODE, &code);
    let beside = Target::of(text.target.family().host().least());
    [host, &mlir::print(&carried)]
        .into_iter()
        .map(|text| mlir::compile(text, &beside, Emit::Obj))
        .collect()
}
