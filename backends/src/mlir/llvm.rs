//! The part of LLVM's C interface that turns a translated module into code. All `unsafe` is here.

// mlir-sys links LLVM statically, so these symbols are present; the declarations follow llvm-c/*.h of LLVM 22.

use super::{error::Error, target::Target};
use crate::targets::{self, Format};
use std::{
    ffi::{CStr, CString, c_char, c_int, c_uint, c_void},
    ptr,
    sync::Once,
};

type Raw = *mut c_void;

unsafe extern "C" {
    fn LLVMContextCreate() -> Raw;
    fn LLVMContextDispose(context: Raw);
    fn LLVMInitializeX86TargetInfo();
    fn LLVMInitializeX86Target();
    fn LLVMInitializeX86TargetMC();
    fn LLVMInitializeX86AsmPrinter();
    fn LLVMInitializeX86AsmParser();
    fn LLVMInitializeAArch64TargetInfo();
    fn LLVMInitializeAArch64Target();
    fn LLVMInitializeAArch64TargetMC();
    fn LLVMInitializeAArch64AsmPrinter();
    fn LLVMInitializeAArch64AsmParser();
    fn LLVMInitializeWebAssemblyTargetInfo();
    fn LLVMInitializeWebAssemblyTarget();
    fn LLVMInitializeWebAssemblyTargetMC();
    fn LLVMInitializeWebAssemblyAsmPrinter();
    fn LLVMInitializeWebAssemblyAsmParser();
    fn LLVMInitializeNVPTXTargetInfo();
    fn LLVMInitializeNVPTXTarget();
    fn LLVMInitializeNVPTXTargetMC();
    fn LLVMInitializeNVPTXAsmPrinter();
    fn LLVMGetHostCPUName() -> *mut c_char;
    fn LLVMDisposeMessage(message: *mut c_char);
    fn LLVMGetTargetFromTriple(triple: *const c_char, out: *mut Raw, error: *mut *mut c_char) -> c_int;
    fn LLVMCreateTargetMachine(
        target: Raw,
        triple: *const c_char,
        cpu: *const c_char,
        features: *const c_char,
        level: c_int,
        reloc: c_int,
        model: c_int,
    ) -> Raw;
    fn LLVMDisposeTargetMachine(machine: Raw);
    fn LLVMCreateTargetDataLayout(machine: Raw) -> Raw;
    fn LLVMDisposeTargetData(layout: Raw);
    fn LLVMSetModuleDataLayout(module: Raw, layout: Raw);
    fn LLVMSetTarget(module: Raw, triple: *const c_char);
    fn LLVMDisposeModule(module: Raw);
    fn LLVMGetModuleContext(module: Raw) -> Raw;
    fn LLVMGetFirstFunction(module: Raw) -> Raw;
    fn LLVMGetNextFunction(function: Raw) -> Raw;
    fn LLVMCreateStringAttribute(
        context: Raw,
        key: *const c_char,
        key_len: c_uint,
        value: *const c_char,
        value_len: c_uint,
    ) -> Raw;
    fn LLVMAddAttributeAtIndex(function: Raw, index: c_uint, attribute: Raw);
    fn LLVMVerifyModule(module: Raw, action: c_int, message: *mut *mut c_char) -> c_int;
    fn LLVMPrintModuleToString(module: Raw) -> *mut c_char;
    fn LLVMCreatePassBuilderOptions() -> Raw;
    fn LLVMDisposePassBuilderOptions(options: Raw);
    fn LLVMPassBuilderOptionsSetLoopVectorization(options: Raw, on: c_int);
    fn LLVMPassBuilderOptionsSetSLPVectorization(options: Raw, on: c_int);
    fn LLVMPassBuilderOptionsSetLoopUnrolling(options: Raw, on: c_int);
    fn LLVMRunPasses(module: Raw, passes: *const c_char, machine: Raw, options: Raw) -> Raw;
    fn LLVMGetErrorMessage(error: Raw) -> *mut c_char;
    fn LLVMDisposeErrorMessage(message: *mut c_char);
    fn LLVMTargetMachineEmitToMemoryBuffer(
        machine: Raw,
        module: Raw,
        kind: c_int,
        error: *mut *mut c_char,
        out: *mut Raw,
    ) -> c_int;
    fn LLVMGetBufferStart(buffer: Raw) -> *const c_char;
    fn LLVMGetBufferSize(buffer: Raw) -> usize;
    fn LLVMDisposeMemoryBuffer(buffer: Raw);
}

/// `default` of `LLVMCodeGenOptLevel`.
const CODEGEN_DEFAULT: c_int = 2;
/// Of `LLVMRelocMode`: position-independent, so that one object serves static programs and shared libraries.
const RELOC_PIC: c_int = 2;
/// Of `LLVMRelocMode`: for programs alone.
const RELOC_STATIC: c_int = 1;
/// The target's usual code model.
const CODE_MODEL_DEFAULT: c_int = 0;
/// `LLVMAttributeFunctionIndex`.
const OF_FUNCTION: c_uint = c_uint::MAX;
/// `LLVMReturnStatusAction`.
const RETURN_STATUS: c_int = 2;

/// Kernels arrive vectorised and unrolled, so the vectorisers and the unroller would find nothing; what is
/// left is the clean-up of MLIR's lowering, inlining of small helpers, and loop-invariant code. Kernels run
/// as fast as after `default<O2>`, in a third of its time.
const PASSES: &CStr = c"module(cgscc(inline),\
    function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,loop-mssa(loop-rotate,licm),\
    simplifycfg,gvn,dse,loop-mssa(licm),simplifycfg,instcombine<no-verify-fixpoint>),globaldce)";

/// What [`Module::emit`] writes; the numbers are `LLVMCodeGenFileType`'s.
#[derive(Clone, Copy)]
pub(super) enum FileKind {
    Assembly = 0,
    Object = 1,
}

fn initialise() {
    static ONCE: Once = Once::new();
    // SAFETY: registration functions without preconditions; `Once` keeps them from racing.
    ONCE.call_once(|| unsafe {
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmPrinter();
        LLVMInitializeX86AsmParser();
        LLVMInitializeAArch64TargetInfo();
        LLVMInitializeAArch64Target();
        LLVMInitializeAArch64TargetMC();
        LLVMInitializeAArch64AsmPrinter();
        LLVMInitializeAArch64AsmParser();
        LLVMInitializeWebAssemblyTargetInfo();
        LLVMInitializeWebAssemblyTarget();
        LLVMInitializeWebAssemblyTargetMC();
        LLVMInitializeWebAssemblyAsmPrinter();
        LLVMInitializeWebAssemblyAsmParser();
        LLVMInitializeNVPTXTargetInfo();
        LLVMInitializeNVPTXTarget();
        LLVMInitializeNVPTXTargetMC();
        LLVMInitializeNVPTXAsmPrinter();
    });
}

/// Takes over a message that LLVM allocated.
///
/// # Safety
///
/// `message` is null or a string that `LLVMDisposeMessage` may free.
unsafe fn take_message(message: *mut c_char) -> String {
    if message.is_null() {
        return String::new();
    }
    // SAFETY: not null, hence by the contract a valid C string, freed once.
    unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        LLVMDisposeMessage(message);
        text
    }
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Target(format!("`{}` has a NUL character", text.escape_debug())))
}

/// Name of the processor this runs on.
pub(super) fn host() -> Result<String, Error> {
    initialise();
    // SAFETY: a fresh string owned by the caller.
    let cpu = unsafe { take_message(LLVMGetHostCPUName()) };
    if cpu.is_empty() {
        return Err(Error::Target("LLVM does not recognise this processor".to_string()));
    }
    Ok(cpu)
}

/// LLVM's code generator for one processor.
pub(super) struct Machine {
    raw: Raw,
    triple: CString,
    /// The processor to choose and order instructions for.
    tune: Option<CString>,
}

impl Machine {
    pub(super) fn new(target: &Target) -> Result<Machine, Error> {
        initialise();
        let triple = c_string(target.triple())?;
        let instructions = target.info().instructions;
        let (cpu, features) = (c_string(instructions.processor)?, c_string(instructions.features)?);
        let relocation = match targets::family(target.family()).format {
            Format::Elf | Format::Ptx => RELOC_PIC,
            Format::Wasm => RELOC_STATIC,
        };
        let tune = target.tune.as_deref().map(c_string).transpose()?;
        let (mut found, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the strings outlive the calls; `error` is ours to free when the call fails.
        unsafe {
            if LLVMGetTargetFromTriple(triple.as_ptr(), &mut found, &mut error) != 0 {
                return Err(Error::Target(take_message(error)));
            }
            let (cpu, features) = (cpu.as_ptr(), features.as_ptr());
            let raw = LLVMCreateTargetMachine(
                found,
                triple.as_ptr(),
                cpu,
                features,
                CODEGEN_DEFAULT,
                relocation,
                CODE_MODEL_DEFAULT,
            );
            if raw.is_null() {
                return Err(Error::Target(format!("no code generator for {}", target.name())));
            }
            Ok(Machine { raw, triple, tune })
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: created by `LLVMCreateTargetMachine`, freed once.
        unsafe { LLVMDisposeTargetMachine(self.raw) }
    }
}

/// An LLVM module and the context that owns its types.
pub(super) struct Module {
    raw: Raw,
    context: Raw,
}

impl Module {
    /// Translates a module that is wholly in the LLVM dialect; `None` when it is not.
    pub(super) fn translate(module: &melior::ir::Module<'_>) -> Option<Module> {
        // SAFETY: the operation lives as long as `module`; the context is fresh and owned by the result.
        unsafe {
            let context = LLVMContextCreate();
            let raw = mlir_sys::mlirTranslateModuleToLLVMIR(module.as_operation().to_raw(), context.cast()).cast();
            let result = Module { raw, context };
            (!result.raw.is_null()).then_some(result)
        }
    }

    /// Sets triple, data layout and the processor to tune for, and verifies.
    pub(super) fn prepare(&self, machine: &Machine) -> Result<(), Error> {
        let mut message = ptr::null_mut();
        // SAFETY: module and machine are live; the layout is freed after being copied into the module.
        unsafe {
            LLVMSetTarget(self.raw, machine.triple.as_ptr());
            let layout = LLVMCreateTargetDataLayout(machine.raw);
            LLVMSetModuleDataLayout(self.raw, layout);
            LLVMDisposeTargetData(layout);
            if let Some(cpu) = &machine.tune {
                self.tune(cpu);
            }
            let broken = LLVMVerifyModule(self.raw, RETURN_STATUS, &mut message) != 0;
            let message = take_message(message);
            if broken { Err(Error::Llvm(message)) } else { Ok(()) }
        }
    }

    /// Names the processor to tune for on every function.
    ///
    /// # Safety
    ///
    /// The module is live.
    unsafe fn tune(&self, cpu: &CStr) {
        const KEY: &CStr = c"tune-cpu";
        let len = |text: &CStr| text.count_bytes() as c_uint;
        // SAFETY: the caller's promise; an attribute belongs to the module's context and outlives the calls.
        unsafe {
            let context = LLVMGetModuleContext(self.raw);
            let attribute = LLVMCreateStringAttribute(context, KEY.as_ptr(), len(KEY), cpu.as_ptr(), len(cpu));
            let mut function = LLVMGetFirstFunction(self.raw);
            while !function.is_null() {
                LLVMAddAttributeAtIndex(function, OF_FUNCTION, attribute);
                function = LLVMGetNextFunction(function);
            }
        }
    }

    /// Runs [`PASSES`].
    pub(super) fn optimise(&self, machine: &Machine) -> Result<(), Error> {
        // SAFETY: all handles are live; an error's message is freed by the function LLVM gives for it.
        unsafe {
            let options = LLVMCreatePassBuilderOptions();
            LLVMPassBuilderOptionsSetLoopVectorization(options, 0);
            LLVMPassBuilderOptionsSetSLPVectorization(options, 0);
            LLVMPassBuilderOptionsSetLoopUnrolling(options, 0);
            let error = LLVMRunPasses(self.raw, PASSES.as_ptr(), machine.raw, options);
            LLVMDisposePassBuilderOptions(options);
            if error.is_null() {
                return Ok(());
            }
            let raw = LLVMGetErrorMessage(error);
            let message = CStr::from_ptr(raw).to_string_lossy().into_owned();
            LLVMDisposeErrorMessage(raw);
            Err(Error::Llvm(message))
        }
    }

    /// LLVM IR as text.
    pub(super) fn print(&self) -> Vec<u8> {
        // SAFETY: the module is live and the string is ours.
        unsafe { take_message(LLVMPrintModuleToString(self.raw)) }.into_bytes()
    }

    /// Code generation.
    pub(super) fn emit(&self, machine: &Machine, kind: FileKind) -> Result<Vec<u8>, Error> {
        let (mut error, mut buffer) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: handles are live; on success the buffer holds `size` bytes until it is disposed of.
        unsafe {
            let kind = kind as c_int;
            if LLVMTargetMachineEmitToMemoryBuffer(machine.raw, self.raw, kind, &mut error, &mut buffer) != 0 {
                return Err(Error::Llvm(take_message(error)));
            }
            let start = LLVMGetBufferStart(buffer).cast::<u8>();
            let bytes = std::slice::from_raw_parts(start, LLVMGetBufferSize(buffer)).to_vec();
            LLVMDisposeMemoryBuffer(buffer);
            Ok(bytes)
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the module before its context, each once; a failed translation leaves a null module.
        unsafe {
            if !self.raw.is_null() {
                LLVMDisposeModule(self.raw);
            }
            LLVMContextDispose(self.context);
        }
    }
}
