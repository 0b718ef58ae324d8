//! A small builder of MLIR text: typed values, structured loops, hoisted constants.
//!
//! Kernels are written with it and handed to the `mlir` module as one module's text. Only what the
//! kernels need exists: scalars and vectors of them, opaque pointers, `scf` loops, calls.
//! Operand types are checked by MLIR's own verifier when the text is parsed.

mod arith;
mod flow;
mod func;
mod memory;
mod types;

pub use func::Func;
pub use types::{Cmp, Scalar, Ty, Val};

use seqc_abi::{Level, symbols};
use std::{collections::HashMap, fmt::Write as _};

/// A module under construction.
#[derive(Default)]
pub struct Module {
    globals: String,
    funcs: String,
    declared: HashMap<String, ()>,
}

impl Module {
    /// Declares an external function once.
    pub fn declare(&mut self, name: &str, params: &[Ty], result: Option<Ty>) {
        if self.declared.insert(name.to_string(), ()).is_none() {
            let params: Vec<String> = params.iter().map(Ty::to_string).collect();
            let result = result.map(|t| format!(" -> {t}")).unwrap_or_default();
            let _ = writeln!(self.funcs, "llvm.func @{name}({}){result}", params.join(", "));
        }
    }

    /// Adds a function in place of the declaration of its name.
    pub fn define(&mut self, func: Func) {
        let name = format!("llvm.func @{}(", func.name);
        let kept: Vec<&str> = self.funcs.lines().filter(|line| !line.starts_with(&name)).collect();
        self.funcs = kept.join("\n") + "\n";
        self.add(func);
    }

    /// True when a function or constant bytes of this name were added or declared; for what many users share.
    pub fn has(&self, name: &str) -> bool {
        self.declared.contains_key(name)
    }

    /// Adds a finished function.
    pub fn add(&mut self, func: Func) {
        self.declared.insert(func.name.clone(), ());
        self.funcs.push_str(&func.finish());
    }

    /// Adds constant bytes under an exported symbol.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.bytes("external", name, bytes);
    }

    /// Adds constant bytes that this module alone reads: another one may have some of the same name.
    pub fn add_own_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.bytes("internal", name, bytes);
    }

    fn bytes(&mut self, linkage: &str, name: &str, bytes: &[u8]) {
        let mut text = String::with_capacity(bytes.len() * 2);
        for b in bytes {
            match b {
                b'"' | b'\\' | 0..=31 | 127.. => {
                    let _ = write!(text, "\\{b:02X}");
                }
                _ => text.push(*b as char),
            }
        }
        self.declared.insert(name.to_string(), ());
        let n = bytes.len();
        let _ = writeln!(
            self.globals,
            "llvm.mlir.global {linkage} constant @{name}(\"{text}\") {{addr_space = 0 : i32}} : !llvm.array<{n} x i8>"
        );
    }

    /// Adds the table [`symbols::CODE`] of levels, each with the length of its descriptor; what is not of this module is
    /// declared.
    pub fn add_code_table(&mut self, rows: &[(Level, usize)]) {
        const ROW: &str = "!llvm.struct<(i64, ptr, i64, ptr, ptr)>";
        let table = format!("!llvm.array<{} x {ROW}>", rows.len());
        let mut text = format!("llvm.mlir.global external constant @{}() : {table} {{\n", symbols::CODE);
        let _ = writeln!(text, "%row0 = llvm.mlir.undef : {table}");
        let mut next = 0;
        for (n, (level, length)) in rows.iter().enumerate() {
            let names = [
                symbols::descriptor(*level),
                symbols::load(*level),
                symbols::step(*level),
            ];
            self.declare_bytes(&names[0], *length);
            for name in &names[1..] {
                self.declare(name, &[Ty::Ptr, Ty::I64, Ty::I64], None);
            }
            let fields = [
                format!("llvm.mlir.constant({} : i64) : i64", level.number()),
                format!("llvm.mlir.addressof @{} : !llvm.ptr", names[0]),
                format!("llvm.mlir.constant({length} : i64) : i64"),
                format!("llvm.mlir.addressof @{} : !llvm.ptr", names[1]),
                format!("llvm.mlir.addressof @{} : !llvm.ptr", names[2]),
            ];
            for (field, value) in fields.iter().enumerate() {
                let _ = writeln!(text, "%v{next} = {value}");
                let to = next + 1;
                let _ = writeln!(
                    text,
                    "%row{to} = llvm.insertvalue %v{next}, %row{next}[{n}, {field}] : {table}"
                );
                next = to;
            }
        }
        let _ = writeln!(text, "llvm.return %row{next} : {table}\n}}");
        self.globals.push_str(&text);
        self.add_u64(symbols::CODE_LEN, rows.len() as u64);
    }

    /// Declares bytes of another module.
    fn declare_bytes(&mut self, name: &str, length: usize) {
        if self.declared.insert(name.to_owned(), ()).is_none() {
            let _ = writeln!(
                self.globals,
                "llvm.mlir.global external constant @{name}() {{addr_space = 0 : i32}} : !llvm.array<{length} x i8>"
            );
        }
    }

    /// Adds an exported 64-bit constant.
    pub fn add_u64(&mut self, name: &str, value: u64) {
        let _ = writeln!(
            self.globals,
            "llvm.mlir.global external constant @{name}({} : i64) {{addr_space = 0 : i32}} : i64",
            value as i64
        );
    }

    /// Adds an internal table of 64-bit constants.
    pub fn add_table(&mut self, name: &str, values: &[i64]) {
        let list: Vec<String> = values.iter().map(i64::to_string).collect();
        let n = values.len();
        let _ = writeln!(
            self.globals,
            "llvm.mlir.global internal constant @{name}(dense<[{}]> : tensor<{n}xi64>) {{addr_space = 0 : i32}} : !llvm.array<{n} x i64>",
            list.join(", ")
        );
    }

    /// The text of the module.
    pub fn finish(self) -> String {
        format!("module {{\n{}{}}}\n", self.globals, self.funcs)
    }
}
