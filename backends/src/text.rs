//! A small builder of MLIR text: typed values, structured loops, hoisted constants.
//!
//! Kernels are written with it and handed to the `mlir` module as one module's text. Only what the
//! kernels need exists: scalars and vectors of them, opaque pointers, `scf` loops, calls.
//! Operand types are checked by MLIR's own verifier when the text is parsed.

use std::{collections::HashMap, fmt, fmt::Write as _};

/// Scalar types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scalar {
    I1,
    I8,
    I16,
    I32,
    I64,
    F16,
    Bf16,
    F32,
}

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// A scalar.
    S(Scalar),
    /// A vector of scalars.
    V(u32, Scalar),
    /// A pointer.
    Ptr,
    /// A vector of pointers (gathers).
    PtrV(u32),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scalar::I1 => "i1",
            Scalar::I8 => "i8",
            Scalar::I16 => "i16",
            Scalar::I32 => "i32",
            Scalar::I64 => "i64",
            Scalar::F16 => "f16",
            Scalar::Bf16 => "bf16",
            Scalar::F32 => "f32",
        })
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::S(s) => write!(f, "{s}"),
            Ty::V(n, s) => write!(f, "vector<{n}x{s}>"),
            Ty::Ptr => f.write_str("!llvm.ptr"),
            Ty::PtrV(n) => write!(f, "vector<{n}x!llvm.ptr>"),
        }
    }
}

impl Scalar {
    /// Bytes in memory.
    pub fn bytes(self) -> i64 {
        match self {
            Scalar::I1 | Scalar::I8 => 1,
            Scalar::I16 | Scalar::F16 | Scalar::Bf16 => 2,
            Scalar::I32 | Scalar::F32 => 4,
            Scalar::I64 => 8,
        }
    }

    /// True for the floating point types.
    pub fn is_float(self) -> bool {
        matches!(self, Scalar::F16 | Scalar::Bf16 | Scalar::F32)
    }
}

impl Ty {
    /// 64-bit integer.
    pub const I64: Ty = Ty::S(Scalar::I64);
    /// 32-bit float.
    pub const F32: Ty = Ty::S(Scalar::F32);
    /// Truth value.
    pub const I1: Ty = Ty::S(Scalar::I1);

    /// The scalar type of a scalar or vector; `I64` for pointers.
    pub fn scalar(self) -> Scalar {
        match self {
            Ty::S(s) | Ty::V(_, s) => s,
            Ty::Ptr | Ty::PtrV(_) => Scalar::I64,
        }
    }

    /// The same shape (scalar or vector) of another scalar.
    pub fn with(self, scalar: Scalar) -> Ty {
        match self {
            Ty::V(n, _) | Ty::PtrV(n) => Ty::V(n, scalar),
            Ty::S(_) | Ty::Ptr => Ty::S(scalar),
        }
    }

    /// Lanes: 1 for scalars.
    pub fn lanes(self) -> u32 {
        match self {
            Ty::V(n, _) | Ty::PtrV(n) => n,
            Ty::S(_) | Ty::Ptr => 1,
        }
    }
}

/// A value of a function under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Val {
    id: u32,
    /// Its type.
    pub ty: Ty,
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.id)
    }
}

/// Comparison predicates; signed for integers, ordered for floats (`Ne` is unordered).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Cmp {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

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

    /// True when a function of this name was added or declared; for kernels shared by many users.
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
        let mut text = String::with_capacity(bytes.len() * 2);
        for b in bytes {
            match b {
                b'"' | b'\\' | 0..=31 | 127.. => {
                    let _ = write!(text, "\\{b:02X}");
                }
                _ => text.push(*b as char),
            }
        }
        let n = bytes.len();
        let _ = writeln!(
            self.globals,
            "llvm.mlir.global external constant @{name}(\"{text}\") {{addr_space = 0 : i32}} : !llvm.array<{n} x i8>"
        );
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

/// A function under construction.
pub struct Func {
    name: String,
    params: Vec<Val>,
    result: Option<Ty>,
    consts: HashMap<(Ty, String), Val>,
    const_text: String,
    body: String,
    next: u32,
    depth: usize,
    export: bool,
    inline: bool,
}

impl Func {
    /// A function that only this module sees and that is never inlined.
    pub fn new(name: impl Into<String>, params: &[Ty], result: Option<Ty>) -> Func {
        let vals: Vec<Val> = params
            .iter()
            .enumerate()
            .map(|(i, ty)| Val { id: i as u32, ty: *ty })
            .collect();
        Func {
            name: name.into(),
            next: vals.len() as u32,
            params: vals,
            result,
            consts: HashMap::new(),
            const_text: String::new(),
            body: String::new(),
            depth: 1,
            export: false,
            inline: false,
        }
    }

    /// The same, exported under its name.
    pub fn exported(name: impl Into<String>, params: &[Ty]) -> Func {
        Func {
            export: true,
            ..Func::new(name, params, None)
        }
    }

    /// Lets LLVM inline the function into its callers.
    pub fn allow_inline(mut self) -> Func {
        self.inline = true;
        self
    }

    /// The parameter values.
    pub fn params(&self) -> Vec<Val> {
        self.params.clone()
    }

    /// Parameter `n`.
    pub fn param(&self, n: usize) -> Val {
        self.params[n]
    }

    fn finish(mut self) -> String {
        let params: Vec<String> = self.params.iter().map(|v| format!("{v}: {}", v.ty)).collect();
        let linkage = if self.export { "" } else { "internal " };
        let result = self.result.map(|t| format!(" -> {t}")).unwrap_or_default();
        let inline = if self.export || self.inline {
            ""
        } else {
            " attributes {passthrough = [\"noinline\"]}"
        };
        if self.result.is_none() {
            self.body.push_str("  llvm.return\n");
        }
        format!(
            "llvm.func {linkage}@{}({}){result}{inline} {{\n{}{}}}\n",
            self.name,
            params.join(", "),
            self.const_text,
            self.body
        )
    }

    fn fresh(&mut self, ty: Ty) -> Val {
        let id = self.next;
        self.next += 1;
        Val { id, ty }
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.body.push_str("  ");
        }
        let _ = self.body.write_fmt(text);
        self.body.push('\n');
    }

    /// Emits `%new = text` of the given type. The way out for operations without a method.
    pub fn op(&mut self, ty: Ty, text: fmt::Arguments<'_>) -> Val {
        let v = self.fresh(ty);
        self.line(format_args!("{v} = {text}"));
        v
    }

    /// Emits an operation without a result.
    pub fn stmt(&mut self, text: fmt::Arguments<'_>) {
        self.line(text);
    }

    fn constant(&mut self, ty: Ty, text: String) -> Val {
        if let Some(v) = self.consts.get(&(ty, text.clone())) {
            return *v;
        }
        let v = self.fresh(ty);
        // A lone truth value is written without its type.
        let _ = if ty == Ty::I1 {
            writeln!(self.const_text, "  {v} = arith.constant {text}")
        } else {
            writeln!(self.const_text, "  {v} = arith.constant {text} : {ty}")
        };
        self.consts.insert((ty, text), v);
        v
    }

    /// 64-bit integer constant.
    pub fn i64(&mut self, value: i64) -> Val {
        self.constant(Ty::I64, value.to_string())
    }

    /// 32-bit float constant.
    pub fn f32(&mut self, value: f32) -> Val {
        self.float(Ty::F32, value)
    }

    /// Truth value constant.
    pub fn i1(&mut self, value: bool) -> Val {
        self.constant(Ty::I1, value.to_string())
    }

    /// Float constant of a scalar or vector type of `F32`.
    pub fn float(&mut self, ty: Ty, value: f32) -> Val {
        let bits = format!("0x{:08X}", value.to_bits());
        let text = if matches!(ty, Ty::V(..)) {
            format!("dense<{bits}>")
        } else {
            bits
        };
        self.constant(ty, text)
    }

    /// Integer constant of a scalar or vector type.
    pub fn int(&mut self, ty: Ty, value: i64) -> Val {
        let value = if ty.scalar() == Scalar::I1 {
            (value != 0).to_string()
        } else {
            value.to_string()
        };
        let text = if matches!(ty, Ty::V(..)) {
            format!("dense<{value}>")
        } else {
            value
        };
        self.constant(ty, text)
    }

    /// Zero of any scalar or vector type.
    pub fn zero(&mut self, ty: Ty) -> Val {
        match ty.scalar() {
            Scalar::F32 => self.float(ty, 0.0),
            s if s.is_float() => {
                let text = if matches!(ty, Ty::V(..)) {
                    "dense<0.0>".to_string()
                } else {
                    "0.0".to_string()
                };
                self.constant(ty, text)
            }
            _ => self.int(ty, 0),
        }
    }

    /// Vector constant with one value per lane.
    pub fn lanes(&mut self, scalar: Scalar, values: &[i64]) -> Val {
        let list: Vec<String> = values.iter().map(i64::to_string).collect();
        self.constant(
            Ty::V(values.len() as u32, scalar),
            format!("dense<[{}]>", list.join(", ")),
        )
    }

    /// Vector constant of floats with one value per lane.
    pub fn float_lanes(&mut self, values: &[f32]) -> Val {
        let list: Vec<String> = values.iter().map(|v| format!("0x{:08X}", v.to_bits())).collect();
        self.constant(
            Ty::V(values.len() as u32, Scalar::F32),
            format!("dense<[{}]>", list.join(", ")),
        )
    }

    /// `0, 1, 2, …` as `vector<nxi64>`.
    pub fn iota(&mut self, n: u32) -> Val {
        let values: Vec<i64> = (0..n as i64).collect();
        self.lanes(Scalar::I64, &values)
    }

    fn same(&mut self, float: &str, int: &str, a: Val, b: Val) -> Val {
        let name = if a.ty.scalar().is_float() { float } else { int };
        self.op(a.ty, format_args!("{name} {a}, {b} : {}", a.ty))
    }

    /// `a + b`
    pub fn add(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.addf", "arith.addi", a, b)
    }

    /// `a - b`
    pub fn sub(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.subf", "arith.subi", a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.mulf", "arith.muli", a, b)
    }

    /// `a / b`; integers towards zero (see [`Func::floor_div`]).
    pub fn div(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.divf", "arith.divsi", a, b)
    }

    /// Integer remainder with the sign of `a`.
    pub fn rem(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.remsi {a}, {b} : {}", a.ty))
    }

    /// Unsigned division, for operands known to be non-negative.
    pub fn udiv(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.divui {a}, {b} : {}", a.ty))
    }

    /// Unsigned remainder, for operands known to be non-negative.
    pub fn urem(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.remui {a}, {b} : {}", a.ty))
    }

    /// Integer division rounded down.
    pub fn floor_div(&mut self, a: Val, b: Val) -> Val {
        let (q, r) = (self.div(a, b), self.rem(a, b));
        let zero = self.zero(a.ty);
        let inexact = self.cmp(Cmp::Ne, r, zero);
        let sign = self.xor(a, b);
        let negative = self.cmp(Cmp::Lt, sign, zero);
        let fix = self.and(inexact, negative);
        let one = self.int(a.ty, 1);
        let lower = self.sub(q, one);
        self.select(fix, lower, q)
    }

    /// Larger of two; for floats by comparison (NaN in `a` gives `b`).
    pub fn max(&mut self, a: Val, b: Val) -> Val {
        let c = self.cmp(Cmp::Gt, a, b);
        self.select(c, a, b)
    }

    /// Smaller of two.
    pub fn min(&mut self, a: Val, b: Val) -> Val {
        let c = self.cmp(Cmp::Lt, a, b);
        self.select(c, a, b)
    }

    /// `-a` of floats.
    pub fn neg(&mut self, a: Val) -> Val {
        self.op(a.ty, format_args!("arith.negf {a} : {}", a.ty))
    }

    /// `a * b + c` in one rounding.
    pub fn fma(&mut self, a: Val, b: Val, c: Val) -> Val {
        self.op(a.ty, format_args!("math.fma {a}, {b}, {c} : {}", a.ty))
    }

    /// Operation `name` of the math dialect on one operand (`math.sqrt`, `math.absf`, `math.floor`, `math.roundeven`).
    pub fn math(&mut self, name: &str, a: Val) -> Val {
        self.op(a.ty, format_args!("{name} {a} : {}", a.ty))
    }

    /// Bitwise and.
    pub fn and(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.andi {a}, {b} : {}", a.ty))
    }

    /// Bitwise or.
    pub fn or(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.ori {a}, {b} : {}", a.ty))
    }

    /// Bitwise exclusive or.
    pub fn xor(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.xori {a}, {b} : {}", a.ty))
    }

    /// Logical negation of truth values.
    pub fn not(&mut self, a: Val) -> Val {
        let one = self.int(a.ty, 1);
        self.xor(a, one)
    }

    /// Shift left.
    pub fn shl(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.shli {a}, {b} : {}", a.ty))
    }

    /// Shift right, filling with zeros.
    pub fn shr(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.shrui {a}, {b} : {}", a.ty))
    }

    /// Comparison; gives `i1` or a vector of them.
    pub fn cmp(&mut self, cmp: Cmp, a: Val, b: Val) -> Val {
        let float = a.ty.scalar().is_float();
        let (name, pred) = match (cmp, float) {
            (Cmp::Lt, true) => ("arith.cmpf", "olt"),
            (Cmp::Le, true) => ("arith.cmpf", "ole"),
            (Cmp::Gt, true) => ("arith.cmpf", "ogt"),
            (Cmp::Ge, true) => ("arith.cmpf", "oge"),
            (Cmp::Eq, true) => ("arith.cmpf", "oeq"),
            (Cmp::Ne, true) => ("arith.cmpf", "une"),
            (Cmp::Lt, false) => ("arith.cmpi", "slt"),
            (Cmp::Le, false) => ("arith.cmpi", "sle"),
            (Cmp::Gt, false) => ("arith.cmpi", "sgt"),
            (Cmp::Ge, false) => ("arith.cmpi", "sge"),
            (Cmp::Eq, false) => ("arith.cmpi", "eq"),
            (Cmp::Ne, false) => ("arith.cmpi", "ne"),
        };
        self.op(
            a.ty.with(Scalar::I1),
            format_args!("{name} {pred}, {a}, {b} : {}", a.ty),
        )
    }

    /// `c ? a : b`; `c` a scalar, or a vector like `a`.
    pub fn select(&mut self, c: Val, a: Val, b: Val) -> Val {
        if matches!(c.ty, Ty::V(..)) {
            self.op(a.ty, format_args!("arith.select {c}, {a}, {b} : {}, {}", c.ty, a.ty))
        } else {
            self.op(a.ty, format_args!("arith.select {c}, {a}, {b} : {}", a.ty))
        }
    }

    /// Conversion `name` of the arith dialect (`arith.extf`, `arith.sitofp`, `arith.bitcast`, …) to another scalar type.
    pub fn convert(&mut self, name: &str, a: Val, to: Scalar) -> Val {
        let ty = a.ty.with(to);
        self.op(ty, format_args!("{name} {a} : {} to {ty}", a.ty))
    }

    /// Reinterprets the bits as another type of equal size.
    pub fn bitcast(&mut self, a: Val, ty: Ty) -> Val {
        self.op(ty, format_args!("llvm.bitcast {a} : {} to {ty}", a.ty))
    }

    /// A scalar in all lanes.
    pub fn splat(&mut self, a: Val, lanes: u32) -> Val {
        let ty = Ty::V(lanes, a.ty.scalar());
        self.op(ty, format_args!("vector.broadcast {a} : {} to {ty}", a.ty))
    }

    /// Lane `n`.
    pub fn extract(&mut self, a: Val, lane: i64) -> Val {
        let n = self.i64(lane);
        self.op(
            Ty::S(a.ty.scalar()),
            format_args!("llvm.extractelement {a}[{n} : i64] : {}", a.ty),
        )
    }

    /// Vector with lane `n` replaced.
    pub fn insert(&mut self, x: Val, a: Val, lane: i64) -> Val {
        let n = self.i64(lane);
        self.op(a.ty, format_args!("llvm.insertelement {x}, {a}[{n} : i64] : {}", a.ty))
    }

    /// Lanes of `a` then `b` picked by constant indices.
    pub fn shuffle(&mut self, a: Val, b: Val, lanes: &[i64]) -> Val {
        let ty = Ty::V(lanes.len() as u32, a.ty.scalar());
        let list: Vec<String> = lanes.iter().map(i64::to_string).collect();
        self.op(
            ty,
            format_args!("llvm.shufflevector {a}, {b} [{}] : {}", list.join(", "), a.ty),
        )
    }

    /// Sum of all lanes (floats in any order).
    pub fn reduce_add(&mut self, a: Val) -> Val {
        let fast = if a.ty.scalar().is_float() {
            " fastmath<reassoc>"
        } else {
            ""
        };
        let ty = Ty::S(a.ty.scalar());
        self.op(
            ty,
            format_args!("vector.reduction <add>, {a}{fast} : {} into {ty}", a.ty),
        )
    }

    /// Product of all lanes.
    pub fn reduce_mul(&mut self, a: Val) -> Val {
        let fast = if a.ty.scalar().is_float() {
            " fastmath<reassoc>"
        } else {
            ""
        };
        let ty = Ty::S(a.ty.scalar());
        self.op(
            ty,
            format_args!("vector.reduction <mul>, {a}{fast} : {} into {ty}", a.ty),
        )
    }

    /// Largest lane of floats.
    pub fn reduce_max(&mut self, a: Val) -> Val {
        let ty = Ty::S(a.ty.scalar());
        self.op(ty, format_args!("vector.reduction <maxnumf>, {a} : {} into {ty}", a.ty))
    }

    /// Smallest lane of floats.
    pub fn reduce_min(&mut self, a: Val) -> Val {
        let ty = Ty::S(a.ty.scalar());
        self.op(ty, format_args!("vector.reduction <minnumf>, {a} : {} into {ty}", a.ty))
    }

    /// `base + index * size(elem)` bytes; a vector of indices gives a vector of pointers.
    pub fn gep(&mut self, base: Val, index: Val, elem: Scalar) -> Val {
        let ty = match index.ty {
            Ty::V(n, _) => Ty::PtrV(n),
            _ => Ty::Ptr,
        };
        self.op(
            ty,
            format_args!(
                "llvm.getelementptr {base}[{index}] : (!llvm.ptr, {}) -> {ty}, {elem}",
                index.ty
            ),
        )
    }

    /// Loads a scalar or vector; aligned to its scalar only.
    pub fn load(&mut self, ptr: Val, ty: Ty) -> Val {
        if ty == Ty::Ptr {
            return self.op(
                ty,
                format_args!("llvm.load {ptr} {{alignment = 8 : i64}} : !llvm.ptr -> {ty}"),
            );
        }
        // Block formats hold 16-bit scales at any even address, checkpoints f32 at any address of theirs.
        let align = if ty.scalar() == Scalar::I64 {
            8
        } else {
            ty.scalar().bytes().min(2)
        };
        self.op(
            ty,
            format_args!("llvm.load {ptr} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"),
        )
    }

    /// Stores a scalar or vector.
    pub fn store(&mut self, value: Val, ptr: Val) {
        let align = if value.ty == Ty::Ptr {
            8
        } else {
            value.ty.scalar().bytes()
        };
        self.line(format_args!(
            "llvm.store {value}, {ptr} {{alignment = {align} : i64}} : {}, !llvm.ptr",
            value.ty
        ));
    }

    /// Loads the lanes of `mask`; the others are zero.
    pub fn masked_load(&mut self, ptr: Val, mask: Val, ty: Ty) -> Val {
        let pass = self.zero(ty);
        let align = ty.scalar().bytes();
        self.op(
            ty,
            format_args!(
                "llvm.intr.masked.load {ptr}, {mask}, {pass} {{alignment = {align} : i32}} : (!llvm.ptr, {}, {ty}) -> {ty}",
                mask.ty
            ),
        )
    }

    /// Stores the lanes of `mask`.
    pub fn masked_store(&mut self, value: Val, ptr: Val, mask: Val) {
        let align = value.ty.scalar().bytes();
        self.line(format_args!(
            "llvm.intr.masked.store {value}, {ptr}, {mask} {{alignment = {align} : i32}} : {}, {} into !llvm.ptr",
            value.ty, mask.ty
        ));
    }

    /// Loads one scalar per lane from a vector of pointers, where `mask`; else zero.
    pub fn gather(&mut self, ptrs: Val, mask: Val, scalar: Scalar) -> Val {
        let ty = Ty::V(ptrs.ty.lanes(), scalar);
        let pass = self.zero(ty);
        let align = scalar.bytes();
        self.op(
            ty,
            format_args!(
                "llvm.intr.masked.gather {ptrs}, {mask}, {pass} {{alignment = {align} : i32}} : ({}, {}, {ty}) -> {ty}",
                ptrs.ty, mask.ty
            ),
        )
    }

    /// Stores one scalar per lane through a vector of pointers, where `mask`.
    pub fn scatter(&mut self, value: Val, ptrs: Val, mask: Val) {
        let align = value.ty.scalar().bytes();
        self.line(format_args!(
            "llvm.intr.masked.scatter {value}, {ptrs}, {mask} {{alignment = {align} : i32}} : {}, {} into {}",
            value.ty, mask.ty, ptrs.ty
        ));
    }

    /// Memory of `slots` 64-bit numbers that lives as long as the call.
    pub fn stack(&mut self, slots: usize) -> Val {
        let count = self.i64(slots.max(1) as i64);
        let v = self.fresh(Ty::Ptr);
        let _ = writeln!(
            self.const_text,
            "  {v} = llvm.alloca {count} x i64 : (i64) -> !llvm.ptr"
        );
        v
    }

    /// Asks for the cache line at `ptr` to be read soon.
    pub fn prefetch(&mut self, ptr: Val) {
        self.line(format_args!(
            "\"llvm.intr.prefetch\"({ptr}) <{{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}}> : (!llvm.ptr) -> ()"
        ));
    }

    /// First `n` of `lanes` lanes set, as a mask; `n` an i64 that may exceed `lanes`.
    pub fn tail_mask(&mut self, n: Val, lanes: u32) -> Val {
        let (all, iota) = (self.splat(n, lanes), self.iota(lanes));
        self.cmp(Cmp::Lt, iota, all)
    }

    /// Address of a global of this module.
    pub fn address_of(&mut self, name: &str) -> Val {
        self.op(Ty::Ptr, format_args!("llvm.mlir.addressof @{name} : !llvm.ptr"))
    }

    /// Calls a function.
    pub fn call(&mut self, name: &str, args: &[Val], result: Option<Ty>) -> Option<Val> {
        let list: Vec<String> = args.iter().map(Val::to_string).collect();
        let types: Vec<String> = args.iter().map(|a| a.ty.to_string()).collect();
        let call = format!("llvm.call @{name}({}) : ({})", list.join(", "), types.join(", "));
        match result {
            Some(ty) => Some(self.op(ty, format_args!("{call} -> {ty}"))),
            None => {
                self.line(format_args!("{call} -> ()"));
                None
            }
        }
    }

    /// Returns a value; must be the last statement of a function with a result.
    pub fn ret(&mut self, value: Val) {
        self.line(format_args!("llvm.return {value} : {}", value.ty));
    }

    /// `for i in (lo..hi).step_by(step)` with carried values; the body returns their next values.
    pub fn for_loop(
        &mut self,
        (lo, hi, step): (Val, Val, Val),
        init: &[Val],
        body: impl FnOnce(&mut Func, Val, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let iv = self.fresh(Ty::I64);
        let carried: Vec<Val> = init.iter().map(|v| self.fresh(v.ty)).collect();
        let outer = std::mem::take(&mut self.body);
        self.depth += 1;
        let next = body(self, iv, &carried);
        if !next.is_empty() {
            self.yield_values(&next);
        }
        self.depth -= 1;
        let inner = std::mem::replace(&mut self.body, outer);
        let results: Vec<Val> = init.iter().map(|v| self.fresh(v.ty)).collect();
        if init.is_empty() {
            self.line(format_args!("scf.for {iv} = {lo} to {hi} step {step} : i64 {{"));
        } else {
            let args: Vec<String> = carried.iter().zip(init).map(|(c, i)| format!("{c} = {i}")).collect();
            let types: Vec<String> = init.iter().map(|v| v.ty.to_string()).collect();
            let names: Vec<String> = results.iter().map(Val::to_string).collect();
            self.line(format_args!(
                "{} = scf.for {iv} = {lo} to {hi} step {step} iter_args({}) -> ({}) : i64 {{",
                names.join(", "),
                args.join(", "),
                types.join(", ")
            ));
        }
        self.body.push_str(&inner);
        self.line(format_args!("}}"));
        results
    }

    /// `for i in lo..hi` without carried values.
    pub fn for_each(&mut self, lo: Val, hi: Val, step: i64, body: impl FnOnce(&mut Func, Val)) {
        let step = self.i64(step);
        self.for_loop((lo, hi, step), &[], |f, iv, _| {
            body(f, iv);
            Vec::new()
        });
    }

    fn yield_values(&mut self, values: &[Val]) {
        let names: Vec<String> = values.iter().map(Val::to_string).collect();
        let types: Vec<String> = values.iter().map(|v| v.ty.to_string()).collect();
        self.line(format_args!("scf.yield {} : {}", names.join(", "), types.join(", ")));
    }

    /// `if cond { then } else { otherwise }`, both giving values of the same types.
    pub fn if_else(
        &mut self,
        cond: Val,
        then: impl FnOnce(&mut Func) -> Vec<Val>,
        otherwise: impl FnOnce(&mut Func) -> Vec<Val>,
    ) -> Vec<Val> {
        let outer = std::mem::take(&mut self.body);
        self.depth += 1;
        let a = then(self);
        if !a.is_empty() {
            self.yield_values(&a);
        }
        let then_text = std::mem::take(&mut self.body);
        let b = otherwise(self);
        if !b.is_empty() {
            self.yield_values(&b);
        }
        self.depth -= 1;
        let else_text = std::mem::replace(&mut self.body, outer);
        let results: Vec<Val> = a.iter().map(|v| self.fresh(v.ty)).collect();
        if results.is_empty() {
            self.line(format_args!("scf.if {cond} {{"));
        } else {
            let names: Vec<String> = results.iter().map(Val::to_string).collect();
            let types: Vec<String> = a.iter().map(|v| v.ty.to_string()).collect();
            self.line(format_args!(
                "{} = scf.if {cond} -> ({}) {{",
                names.join(", "),
                types.join(", ")
            ));
        }
        self.body.push_str(&then_text);
        if !else_text.is_empty() {
            self.line(format_args!("}} else {{"));
            self.body.push_str(&else_text);
        }
        self.line(format_args!("}}"));
        results
    }

    /// `if cond { then }`.
    pub fn if_then(&mut self, cond: Val, then: impl FnOnce(&mut Func)) {
        self.if_else(
            cond,
            |f| {
                then(f);
                Vec::new()
            },
            |_| Vec::new(),
        );
    }
}
