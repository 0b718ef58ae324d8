//! The text of functions and modules, for people and snapshots: one instruction a line, constants where they are used.

use super::{Axis, Binary, Block, Cache, Cast, Cmp, Const, For, Func, Global, If, Inst, Intrinsic, Item, Module};
use super::{Reduction, Scalar, Signature, Ty, Unary, Val};
use std::{collections::HashMap, fmt};

type Out<'f, 'a> = &'f mut fmt::Formatter<'a>;

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::S(s) => write!(f, "{s}"),
            Ty::V(n, s) => write!(f, "{s}x{n}"),
            Ty::Ptr(space) => write!(f, "ptr<{space}>"),
            Ty::PtrV(n, space) => write!(f, "ptr<{space}>x{n}"),
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for global in &self.globals {
            writeln!(f, "{global}")?;
        }
        for item in &self.items {
            match item {
                Item::Declared(signature) => writeln!(f, "{signature}")?,
                Item::Defined(func) => write!(f, "\n{func}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Global::Bytes { name, bytes, export } => {
                let export = if *export { " export" } else { "" };
                write!(f, "bytes @{name}[{}]{export}", bytes.len())
            }
            Global::Elsewhere { name, length } => write!(f, "extern bytes @{name}[{length}]"),
            Global::Number { name, value } => write!(f, "number @{name} = {value} export"),
            Global::Table { name, values } => write!(f, "table @{name} = [{}]", List(values.iter())),
            Global::Code(rows) => {
                let rows = rows.iter().map(|r| format!("v{}: @{}", r.level, r.descriptor));
                write!(f, "code [{}] export", List(rows))
            }
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "extern fn @{}({})", self.name, List(self.params.iter()))?;
        self.result.map_or(Ok(()), |ty| write!(f, " -> {ty}"))
    }
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = self.params.iter().map(|v| Typed(*v));
        write!(f, "fn @{}({})", self.name, List(params))?;
        if let Some(ty) = self.result {
            write!(f, " -> {ty}")?;
        }
        let how = match (self.is_exported(), self.may_inline()) {
            (true, _) => " export",
            (_, true) => " inline",
            _ => "",
        };
        writeln!(f, "{how} {{")?;
        let printer = Printer::new(self);
        for inst in self.instructions().filter(|inst| !matches!(inst, Inst::Const { .. })) {
            printer.inst(f, inst, 1)?;
        }
        writeln!(f, "}}")
    }
}

/// The text of one instruction; of loops and branches the first line.
pub(crate) fn line(func: &Func, inst: &Inst) -> String {
    struct Line<'a>(&'a Func, &'a Inst);
    impl fmt::Display for Line<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Printer::new(self.0).inst(f, self.1, 0)
        }
    }
    let text = Line(func, inst).to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Items with commas between them.
struct List<I>(I);

impl<I: Iterator<Item = T> + Clone, T: fmt::Display> fmt::Display for List<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in self.0.clone().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{item}")?;
        }
        Ok(())
    }
}

/// A value where it is defined.
struct Typed(Val);

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.0.ty)
    }
}

/// A value where it is used.
struct Use<'a>(Val, Option<&'a Const>);

impl fmt::Display for Use<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = self.1 else {
            return write!(f, "{}", self.0);
        };
        let scalar = self.0.ty.scalar();
        let number = |n: &i64| match scalar {
            Scalar::I1 => (*n != 0).to_string(),
            Scalar::I64 => n.to_string(),
            _ => format!("{n}{scalar}"),
        };
        let float = |bits: &u32| format!("{:?}", f32::from_bits(*bits));
        let one = match value {
            Const::Int(n) => number(n),
            Const::Float(bits) => float(bits),
            Const::Zero => format!("0{scalar}"),
            Const::Ints(list) => return write!(f, "[{}]", List(list.iter().map(number))),
            Const::Floats(list) => return write!(f, "[{}]", List(list.iter().map(float))),
        };
        match self.0.ty {
            Ty::V(lanes, _) => write!(f, "[{one}; {lanes}]"),
            _ => f.write_str(&one),
        }
    }
}

struct Printer<'a> {
    consts: HashMap<Val, &'a Const>,
}

impl<'a> Printer<'a> {
    fn new(func: &'a Func) -> Printer<'a> {
        let constant = |inst: &'a Inst| match inst {
            Inst::Const { out, value } => Some((*out, value)),
            _ => None,
        };
        let consts = func.entry.iter().filter_map(constant).collect();
        Printer { consts }
    }

    fn val(&self, v: Val) -> Use<'a> {
        Use(v, self.consts.get(&v).copied())
    }

    fn list<'s>(&'s self, values: &'s [Val]) -> impl fmt::Display + 's {
        List(values.iter().map(|v| self.val(*v)))
    }

    fn block(&self, f: Out<'_, '_>, block: &Block, depth: usize) -> fmt::Result {
        for inst in &block.insts {
            self.inst(f, inst, depth + 1)?;
        }
        if block.yields.is_empty() {
            return Ok(());
        }
        writeln!(f, "{:1$}yield {2}", "", 2 * depth + 2, self.list(&block.yields))
    }

    fn inst(&self, f: Out<'_, '_>, inst: &Inst, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        write!(f, "{:indent$}", "")?;
        let outs = inst.results();
        if !outs.is_empty() {
            write!(f, "{} = ", List(outs.iter().map(|v| Typed(*v))))?;
        }
        match inst {
            Inst::For(l) => self.for_loop(f, l, depth),
            Inst::If(i) => self.if_else(f, i, depth),
            _ => {
                self.plain(f, inst)?;
                writeln!(f)
            }
        }
    }

    fn for_loop(&self, f: Out<'_, '_>, l: &For, depth: usize) -> fmt::Result {
        let word = match l.axis {
            Axis::Serial => "for",
            Axis::Team => "team for",
            Axis::Blocks => "blocks for",
        };
        write!(f, "{word} {} in {}..{}", l.iv, self.val(l.low), self.val(l.high))?;
        if self.consts.get(&l.step) != Some(&&Const::Int(1)) {
            write!(f, " step {}", self.val(l.step))?;
        }
        for (carried, init) in l.carried.iter().zip(&l.init) {
            write!(f, ", {carried} = {}", self.val(*init))?;
        }
        writeln!(f, " {{")?;
        self.block(f, &l.body, depth)?;
        writeln!(f, "{:1$}}}", "", 2 * depth)
    }

    fn if_else(&self, f: Out<'_, '_>, i: &If, depth: usize) -> fmt::Result {
        writeln!(f, "if {} {{", self.val(i.cond))?;
        self.block(f, &i.then, depth)?;
        if !i.otherwise.is_empty() {
            writeln!(f, "{:1$}}} else {{", "", 2 * depth)?;
            self.block(f, &i.otherwise, depth)?;
        }
        writeln!(f, "{:1$}}}", "", 2 * depth)
    }

    /// Instructions without blocks.
    fn plain(&self, f: Out<'_, '_>, inst: &Inst) -> fmt::Result {
        let v = |v: &Val| self.val(*v);
        match inst {
            Inst::Const { out, value } => write!(f, "const {}", Use(*out, Some(value))),
            Inst::Unary { op, a, .. } => write!(f, "{} {}", op.name(), v(a)),
            Inst::Binary { op, a, b, .. } => write!(f, "{} {}, {}", op.name(), v(a), v(b)),
            Inst::Fma { a, b, c, exact, .. } => {
                let name = if *exact { "exact_fma" } else { "fma" };
                write!(f, "{name} {}, {}, {}", v(a), v(b), v(c))
            }
            Inst::Compare { cmp, a, b, .. } => write!(f, "{} {}, {}", cmp.name(), v(a), v(b)),
            Inst::Select { cond, a, b, .. } => write!(f, "select {}, {}, {}", v(cond), v(a), v(b)),
            Inst::Cast { op, a, .. } => write!(f, "{} {}", op.name(), v(a)),
            Inst::Bitcast { a, .. } => write!(f, "bitcast {}", v(a)),
            Inst::Splat { a, .. } => write!(f, "splat {}", v(a)),
            Inst::Extract { a, at, .. } => write!(f, "extract {}[{}]", v(a), v(at)),
            Inst::Insert { a, at, scalar, .. } => write!(f, "insert {}[{}], {}", v(a), v(at), v(scalar)),
            Inst::Shuffle { a, b, lanes, .. } => write!(f, "shuffle {}, {} [{}]", v(a), v(b), List(lanes.iter())),
            Inst::Reduce { op, a, .. } => write!(f, "reduce {} {}", op.name(), v(a)),
            Inst::Intrinsic { op, args, .. } => write!(f, "{} {}", op.name(), self.list(args)),
            Inst::Call { callee, args, .. } => write!(f, "call @{callee}({})", self.list(args)),
            Inst::CallPointer { callee, args } => write!(f, "call {}({})", v(callee), self.list(args)),
            Inst::Return(value) => write!(f, "return {}", v(value)),
            Inst::Offset { .. }
            | Inst::Address { .. }
            | Inst::Stack { .. }
            | Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::MaskedLoad { .. }
            | Inst::MaskedStore { .. }
            | Inst::Gather { .. }
            | Inst::Scatter { .. }
            | Inst::LoadMatrices { .. }
            | Inst::CopyAsync { .. }
            | Inst::CommitCopies
            | Inst::WaitCopies { .. }
            | Inst::Prefetch { .. } => self.memory(f, inst),
            Inst::For(_) | Inst::If(_) => Ok(()),
        }
    }

    fn memory(&self, f: Out<'_, '_>, inst: &Inst) -> fmt::Result {
        let v = |v: &Val| self.val(*v);
        let align = |ty: Ty, align: u8| match ty {
            Ty::Ptr(_) if align == 8 => String::new(),
            _ if i64::from(align) == ty.scalar().bytes() => String::new(),
            _ => format!(" align {align}"),
        };
        match inst {
            Inst::Offset { base, index, elem, .. } => write!(f, "offset {}[{}] {elem}", v(base), v(index)),
            Inst::Address { global, .. } => write!(f, "address @{global}"),
            Inst::Stack { count, elem, .. } => write!(f, "stack {elem}[{}]", v(count)),
            Inst::Load {
                out,
                ptr,
                align: a,
                volatile,
            } => {
                let volatile = if *volatile { " volatile" } else { "" };
                write!(f, "load{volatile} {}{}", v(ptr), align(out.ty, *a))
            }
            Inst::Store { value, ptr, align: a } => write!(f, "store {}, {}{}", v(value), v(ptr), align(value.ty, *a)),
            Inst::MaskedLoad {
                ptr, mask, otherwise, ..
            } => write!(f, "load {} where {} else {}", v(ptr), v(mask), v(otherwise)),
            Inst::MaskedStore { value, ptr, mask } => write!(f, "store {}, {} where {}", v(value), v(ptr), v(mask)),
            Inst::Gather {
                ptrs, mask, otherwise, ..
            } => write!(f, "gather {} where {} else {}", v(ptrs), v(mask), v(otherwise)),
            Inst::Scatter { value, ptrs, mask } => write!(f, "scatter {}, {} where {}", v(value), v(ptrs), v(mask)),
            Inst::LoadMatrices { rows, .. } => write!(f, "load_matrices {}", v(rows)),
            Inst::CopyAsync {
                to,
                from,
                counts,
                bytes,
            } => write!(f, "copy_async {}, {} count {} of {bytes}", v(to), v(from), v(counts)),
            Inst::CommitCopies => write!(f, "commit_copies"),
            Inst::WaitCopies { left } => write!(f, "wait_copies {left}"),
            Inst::Prefetch { ptr, into: cache } => write!(f, "prefetch {} into {}", v(ptr), cache.name()),
            _ => Ok(()),
        }
    }
}

impl Cache {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Cache::First => "first",
            Cache::Second => "second",
        }
    }
}

impl Unary {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Unary::Neg => "neg",
            Unary::Abs => "abs",
            Unary::Sqrt => "sqrt",
            Unary::Floor => "floor",
            Unary::Ceil => "ceil",
            Unary::RoundEven => "round_even",
        }
    }
}

impl Binary {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Rem => "rem",
            Binary::UnsignedDiv => "udiv",
            Binary::UnsignedRem => "urem",
            Binary::MaxNumber => "max_number",
            Binary::MinNumber => "min_number",
            Binary::CopySign => "copy_sign",
            Binary::And => "and",
            Binary::Or => "or",
            Binary::Xor => "xor",
            Binary::Shl => "shl",
            Binary::Shr => "shr",
            Binary::ShrSigned => "shr_signed",
        }
    }
}

impl Cast {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Cast::SignExtend => "sign_extend",
            Cast::ZeroExtend => "zero_extend",
            Cast::Truncate => "truncate",
            Cast::SignedToFloat => "signed_to_float",
            Cast::UnsignedToFloat => "unsigned_to_float",
            Cast::FloatToSigned => "float_to_signed",
            Cast::FloatExtend => "float_extend",
            Cast::FloatTruncate => "float_truncate",
        }
    }
}

impl Cmp {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Cmp::Lt => "lt",
            Cmp::Le => "le",
            Cmp::Gt => "gt",
            Cmp::Ge => "ge",
            Cmp::Eq => "eq",
            Cmp::Ne => "ne",
        }
    }
}

impl Reduction {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Add => "add",
            Reduction::Mul => "mul",
            Reduction::MaxNumber => "max_number",
            Reduction::MinNumber => "min_number",
        }
    }
}

impl Intrinsic {
    /// Its word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Intrinsic::Permute => "permute",
            Intrinsic::PermuteBytes => "permute_bytes",
            Intrinsic::SwizzleBytes => "swizzle_bytes",
            Intrinsic::ScaleByPower => "scale_by_power",
            Intrinsic::DotBytes => "dot_bytes",
            Intrinsic::DotWords => "dot_words",
            Intrinsic::DotUnsignedPairs => "dot_unsigned_pairs",
            Intrinsic::TakeSign => "take_sign",
            Intrinsic::DotUnsignedBytes => "dot_unsigned_bytes",
            Intrinsic::DotBf16 => "dot_bf16",
            Intrinsic::RoundPairs => "round_pairs",
            Intrinsic::MatrixBf16 => "matrix_bf16",
        }
    }
}
