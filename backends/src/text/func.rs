//! A function under construction: its parameters, constants and lines.

use super::{Scalar, Ty, Val};
use std::{collections::HashMap, fmt, fmt::Write as _};

/// A function under construction.
pub struct Func {
    pub(super) name: String,
    params: Vec<Val>,
    result: Option<Ty>,
    consts: HashMap<(Ty, String), Val>,
    pub(super) const_text: String,
    /// What stands behind the constants, before everything else.
    head: String,
    pub(super) body: String,
    next: u32,
    pub(super) depth: usize,
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
            head: String::new(),
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

    pub(super) fn finish(mut self) -> String {
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
            "llvm.func {linkage}@{}({}){result}{inline} {{\n{}{}{}}}\n",
            self.name,
            params.join(", "),
            self.const_text,
            self.head,
            self.body
        )
    }

    pub(super) fn fresh(&mut self, ty: Ty) -> Val {
        let id = self.next;
        self.next += 1;
        Val { id, ty }
    }

    pub(super) fn line(&mut self, text: fmt::Arguments<'_>) {
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

    /// A value that is computed at the start of the function, from its parameters and constants alone: it is there everywhere.
    pub fn at_start(&mut self, make: impl FnOnce(&mut Func) -> Val) -> Val {
        let body = std::mem::take(&mut self.body);
        let depth = std::mem::replace(&mut self.depth, 1);
        let val = make(self);
        let made = std::mem::replace(&mut self.body, body);
        self.head.push_str(&made);
        self.depth = depth;
        val
    }

    pub(super) fn constant(&mut self, ty: Ty, text: String) -> Val {
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
}
