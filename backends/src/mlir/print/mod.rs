//! Modules of the kernel level as MLIR text, in the dialects `llvm`, `scf`, `arith`, `math` and `vector`.

mod func;
mod half;
mod inst;
mod reals;
mod types;

use crate::kernel::{CodeRow, Global, Item, Module, Signature, verify::verify};
use reals::Reals;
use seqc_abi::symbols;
use std::fmt::Write as _;
use types::{List, Type};

/// The text of a module, for processors that multiply and add in one instruction and convert halves. Debug builds verify it first.
pub fn print(module: &Module) -> String {
    text(module, Reals::Complete)
}

/// The same for those that do neither.
pub fn print_plain(module: &Module) -> String {
    text(module, Reals::Plain)
}

fn text(module: &Module, reals: Reals) -> String {
    check(module);
    let mut out = String::from("module {\n");
    for global in module.globals() {
        print_global(&mut out, global);
    }
    for item in module.items() {
        match item {
            Item::Declared(signature) => declaration(&mut out, signature),
            Item::Defined(f) => func::print(&mut out, f, reals),
        }
    }
    out.push_str("}\n");
    out
}

/// In debug builds: the module is well formed.
pub(super) fn check(module: &Module) {
    if cfg!(debug_assertions) {
        let broken = verify(module).into_iter().take(4).map(|v| v.to_string());
        let list: Vec<String> = broken.collect();
        assert!(list.is_empty(), "{}", list.join("\n"));
    }
}

pub(super) fn declaration(out: &mut String, signature: &Signature) {
    let types = List(signature.params.iter().map(|ty| Type(*ty)));
    let _ = write!(out, "llvm.func @{}({types})", signature.name);
    if let Some(ty) = signature.result {
        let _ = write!(out, " -> {}", Type(ty));
    }
    out.push('\n');
}

pub(super) fn print_global(out: &mut String, global: &Global) {
    const GLOBAL: &str = "llvm.mlir.global";
    const SPACE: &str = "{addr_space = 0 : i32}";
    let _ = match global {
        Global::Bytes { name, bytes, export } => {
            let (linkage, n) = (if *export { "external" } else { "internal" }, bytes.len());
            let text = escaped(bytes);
            writeln!(
                out,
                "{GLOBAL} {linkage} constant @{name}(\"{text}\") {SPACE} : !llvm.array<{n} x i8>"
            )
        }
        Global::Elsewhere { name, length } => writeln!(
            out,
            "{GLOBAL} external constant @{name}() {SPACE} : !llvm.array<{length} x i8>"
        ),
        Global::Number { name, value } => writeln!(
            out,
            "{GLOBAL} external constant @{name}({} : i64) {SPACE} : i64",
            *value as i64
        ),
        Global::Table { name, values } => {
            let (n, list) = (values.len(), List(values.iter()));
            writeln!(
                out,
                "{GLOBAL} internal constant @{name}(dense<[{list}]> : tensor<{n}xi64>) {SPACE} : !llvm.array<{n} x i64>"
            )
        }
        Global::Code(rows) => return code_table(out, rows),
    };
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        match b {
            b'"' | b'\\' | 0..=31 | 127.. => {
                let _ = write!(text, "\\{b:02X}");
            }
            _ => text.push(*b as char),
        }
    }
    text
}

fn code_table(out: &mut String, rows: &[CodeRow]) {
    const ROW: &str = "!llvm.struct<(i64, ptr, i64, ptr, ptr)>";
    let table = format!("!llvm.array<{} x {ROW}>", rows.len());
    let _ = writeln!(
        out,
        "llvm.mlir.global external constant @{}() : {table} {{",
        symbols::CODE
    );
    let _ = writeln!(out, "%row0 = llvm.mlir.undef : {table}");
    let mut next = 0;
    for (n, row) in rows.iter().enumerate() {
        let fields = [
            format!("llvm.mlir.constant({} : i64) : i64", row.level),
            format!("llvm.mlir.addressof @{} : !llvm.ptr", row.descriptor),
            format!("llvm.mlir.constant({} : i64) : i64", row.length),
            format!("llvm.mlir.addressof @{} : !llvm.ptr", row.entries[0]),
            format!("llvm.mlir.addressof @{} : !llvm.ptr", row.entries[1]),
        ];
        for (field, value) in fields.iter().enumerate() {
            let _ = writeln!(out, "%v{next} = {value}");
            let to = next + 1;
            let _ = writeln!(
                out,
                "%row{to} = llvm.insertvalue %v{next}, %row{next}[{n}, {field}] : {table}"
            );
            next = to;
        }
    }
    let _ = writeln!(out, "llvm.return %row{next} : {table}\n}}");
}
