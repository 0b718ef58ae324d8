//! What the processor beside a device has of a module: the constants that the runtime reads, and entries that start kernels.

use crate::{kernel::Module, mlir::print};
use seqc_abi::symbols;
use std::fmt::Write as _;

/// The text of a module whose entries start the kernels of their names, of the code [`symbols::DEVICE_CODE`] in another object.
pub fn print_host(module: &Module) -> String {
    let (code, length, launch) = (symbols::DEVICE_CODE, symbols::DEVICE_CODE_LEN, symbols::LAUNCH);
    let mut out = format!(
        r#"module {{
llvm.func @{launch}(!llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
llvm.mlir.global external constant @{code}() {{addr_space = 0 : i32}} : !llvm.array<0 x i8>
llvm.mlir.global external constant @{length}() {{addr_space = 0 : i32}} : i64
"#
    );
    for global in module.globals() {
        if !super::device::is_of_device(global) {
            print::print_global(&mut out, global);
        }
    }
    for f in module.functions().filter(|f| f.is_exported()) {
        let name = f.name();
        let bytes = name.len() + 1;
        let _ = write!(
            out,
            r#"llvm.mlir.global internal constant @name_of_{name}("{name}\00") {{addr_space = 0 : i32}} : !llvm.array<{bytes} x i8>
llvm.func @{name}(%frame: !llvm.ptr, %tid: i64, %threads: i64) {{
  %code = llvm.mlir.addressof @{code} : !llvm.ptr
  %at = llvm.mlir.addressof @{length} : !llvm.ptr
  %length = llvm.load %at : !llvm.ptr -> i64
  %name = llvm.mlir.addressof @name_of_{name} : !llvm.ptr
  llvm.call @{launch}(%code, %length, %name, %frame) : (!llvm.ptr, i64, !llvm.ptr, !llvm.ptr) -> ()
  llvm.return
}}
"#
        );
    }
    out.push_str("}\n");
    out
}
