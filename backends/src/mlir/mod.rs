//! MLIR text to object bytes, in process: parse, lower to the LLVM dialect, translate, optimise, emit.

mod error;
mod llvm;
mod print;
mod processors;
mod simt;
mod target;
mod words;

pub use error::Error;
pub use print::{print, print_plain};
pub use simt::{print_emulated, print_host, print_ptx};
pub use target::Target;

use melior::{
    Context,
    dialect::DialectRegistry,
    ir::Module,
    pass::PassManager,
    utility::{parse_pass_pipeline, register_all_dialects, register_all_llvm_translations, register_all_passes},
};
use std::{cell::RefCell, rc::Rc, sync::Once};

/// Where [`compile`] stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Emit {
    /// MLIR as parsed and verified, in canonical form.
    Mlir,
    /// MLIR lowered to the LLVM dialect.
    LlvmDialect,
    /// LLVM IR after optimisation.
    LlvmIr,
    /// Assembly text of the target.
    Asm,
    /// A relocatable ELF object.
    Obj,
}

/// From structured loops, arithmetic and vectors to the LLVM dialect. Cleaning up is left to LLVM,
/// which does it faster.
const LOWERING: &str = "builtin.module(convert-scf-to-cf,convert-vector-to-llvm,convert-math-to-llvm,\
                        convert-func-to-llvm,convert-arith-to-llvm,convert-cf-to-llvm,convert-index-to-llvm,\
                        convert-ub-to-llvm,reconcile-unrealized-casts)";

/// Compiles the text of one MLIR module. Dialects understood: `llvm`, `scf`, `arith`, `math`, `vector`,
/// `func`, `cf`, `index`, `ub`. The same text and target always give the same bytes.
///
/// # Errors
///
/// [`Error::Mlir`] with the offending line when the text is not valid MLIR or has an operation without a
/// lowering, [`Error::Target`] and [`Error::Llvm`] when LLVM cannot make code of it.
pub fn compile(text: &str, target: &Target, emit: Emit) -> Result<Vec<u8>, Error> {
    let context = context();
    let diagnostics = Diagnostics::attach(&context);
    if let Some(at) = text.find('\0') {
        let message = format!("the text has a NUL character at byte {at}");
        return Err(Error::Mlir {
            stage: "parse",
            message,
        });
    }
    let fail = |stage| Error::Mlir {
        stage,
        message: diagnostics.render(text),
    };
    let mut module = Module::parse(&context, text).ok_or_else(|| fail("parse"))?;
    if emit == Emit::Mlir {
        return Ok(module.as_operation().to_string().into_bytes());
    }
    let passes = PassManager::new(&context);
    passes.enable_verifier(false);
    parse_pass_pipeline(passes.as_operation_pass_manager(), LOWERING).map_err(|error| Error::Mlir {
        stage: "lowering",
        message: error.to_string(),
    })?;
    passes.run(&mut module).map_err(|_| fail("lowering"))?;
    if emit == Emit::LlvmDialect {
        return Ok(module.as_operation().to_string().into_bytes());
    }
    let module = llvm::Module::translate(&module).ok_or_else(|| fail("translation"))?;
    let machine = llvm::Machine::new(target)?;
    module.prepare(&machine)?;
    module.optimise(&machine)?;
    match emit {
        Emit::LlvmIr => Ok(module.print()),
        Emit::Asm => module.emit(&machine, llvm::FileKind::Assembly),
        _ => module.emit(&machine, llvm::FileKind::Object),
    }
}

fn context() -> Context {
    static PASSES: Once = Once::new();
    PASSES.call_once(register_all_passes);
    let registry = DialectRegistry::new();
    register_all_dialects(&registry);
    let context = Context::new_with_registry(&registry, false);
    for dialect in ["llvm", "func", "scf", "cf", "arith", "math", "vector", "index", "ub"] {
        context.get_or_load_dialect(dialect);
    }
    register_all_llvm_translations(&context);
    context
}

/// Collects MLIR's diagnostics instead of letting it print them.
struct Diagnostics(Rc<RefCell<Vec<(String, String)>>>);

impl Diagnostics {
    fn attach(context: &Context) -> Diagnostics {
        let list = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&list);
        context.attach_diagnostic_handler(move |diagnostic| {
            let place = diagnostic.location().to_string();
            sink.borrow_mut().push((place, diagnostic.to_string()));
            true
        });
        Diagnostics(list)
    }

    /// At most four diagnostics, each followed by its line of `text`.
    fn render(&self, text: &str) -> String {
        let list = self.0.borrow();
        if list.is_empty() {
            return "no reason given".to_string();
        }
        let shown = list.iter().take(4).map(|(place, message)| match line_of(place) {
            Some(number) => {
                let line = text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
                let short: String = line.trim().chars().take(400).collect();
                format!("{message} (line {number}: `{short}`)")
            }
            None => message.clone(),
        });
        shown.collect::<Vec<_>>().join("; ")
    }
}

/// Line number in a printed location such as `loc("-":12:5)`.
fn line_of(place: &str) -> Option<usize> {
    place.split(':').nth(1)?.parse().ok()
}
