//! The lines of a function, and the names of its values in a thread.

use super::{
    device::Device,
    effects::{Accesses, Effects},
    member::{THREADS, held, parts},
    tables::{Pattern, Tables},
};
use crate::kernel::Val;
use std::{collections::HashMap, fmt};

/// What a thread holds of a value: one name for each part, a scalar or [`THREADS`] lanes of a vector.
pub(super) type Names = Vec<String>;

/// A function under way.
pub(super) struct Printer<'a> {
    pub(super) out: &'a mut String,
    pub(super) device: Device,
    pub(super) effects: &'a Effects,
    pub(super) tables: &'a mut Tables,
    /// What threads did to memory since they met.
    pub(super) accesses: Accesses,
    /// The rest of the member's stack.
    pub(super) stack: String,
    values: HashMap<Val, Names>,
    /// Integer constants.
    pub(super) constants: HashMap<Val, i64>,
    next: usize,
    pub(super) depth: usize,
}

/// The thread's number, as integers of 32 and of 64 bits.
pub(super) const LANE: &str = "%lane";
pub(super) const LANE64: &str = "%lane64";

impl<'a> Printer<'a> {
    pub(super) fn new(out: &'a mut String, device: Device, effects: &'a Effects, tables: &'a mut Tables) -> Self {
        Printer {
            out,
            device,
            effects,
            tables,
            accesses: Accesses::NONE,
            stack: "%stack".to_owned(),
            values: HashMap::new(),
            constants: HashMap::new(),
            next: 0,
            depth: 1,
        }
    }

    pub(super) fn line(&mut self, text: fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
        let _ = fmt::Write::write_fmt(self.out, text);
        self.out.push('\n');
    }

    /// A new name.
    pub(super) fn fresh(&mut self) -> String {
        self.next += 1;
        format!("%r{}", self.next)
    }

    /// A line `%name = text`; gives the name.
    pub(super) fn emit(&mut self, text: fmt::Arguments<'_>) -> String {
        let name = self.fresh();
        self.line(format_args!("{name} = {text}"));
        name
    }

    /// New names for a value.
    pub(super) fn named(&mut self, value: Val) -> Names {
        let names: Names = (0..parts(value.ty)).map(|_| self.fresh()).collect();
        self.set(value, names.clone());
        names
    }

    /// What a thread holds of a value from now on.
    pub(super) fn set(&mut self, value: Val, names: Names) {
        debug_assert_eq!(names.len(), parts(value.ty), "{value}");
        self.values.insert(value, names);
    }

    /// What a thread holds of a value.
    pub(super) fn names(&self, value: Val) -> Names {
        self.values.get(&value).cloned().unwrap_or_default()
    }

    /// Part `n` of a value; a scalar is the same for all parts.
    pub(super) fn part(&self, value: Val, n: usize) -> String {
        let names = self.values.get(&value).map(Vec::as_slice).unwrap_or_default();
        names
            .get(if names.len() == 1 { 0 } else { n })
            .cloned()
            .unwrap_or_default()
    }

    /// Defines a value part by part.
    pub(super) fn each(&mut self, value: Val, part: impl Fn(&mut Self, usize) -> String) {
        let names = (0..parts(value.ty)).map(|n| part(self, n)).collect();
        self.set(value, names);
    }

    /// An integer constant.
    pub(super) fn int(&mut self, value: i64, ty: &str) -> String {
        self.emit(format_args!("llvm.mlir.constant({value} : {ty}) : {ty}"))
    }

    /// A number that differs between threads, as an integer of 64 bits.
    pub(super) fn by_thread(&mut self, values: &[i64]) -> String {
        match self.tables.pattern(values) {
            Pattern::Same(value) => self.int(value, "i64"),
            Pattern::Steps { down, mask, up, first } => {
                let [down, mask, up, first] =
                    [i64::from(down), mask, i64::from(up), first].map(|number| self.int(number, "i64"));
                let group = self.emit(format_args!("llvm.lshr {LANE64}, {down} : i64"));
                let low = self.emit(format_args!("llvm.and {group}, {mask} : i64"));
                let moved = self.emit(format_args!("llvm.shl {low}, {up} : i64"));
                self.emit(format_args!("llvm.add {moved}, {first} : i64"))
            }
            Pattern::Table(name) => {
                let table = self.emit(format_args!("llvm.mlir.addressof @{name} : !llvm.ptr"));
                let at = self.emit(format_args!(
                    "llvm.getelementptr {table}[{LANE64}] : (!llvm.ptr, i64) -> !llvm.ptr, i64"
                ));
                self.emit(format_args!("llvm.load {at} : !llvm.ptr -> i64"))
            }
        }
    }

    /// The lane of vectors of so many that this thread holds in part `n`, as an integer of 64 bits.
    pub(super) fn lane(&mut self, lanes: u32, n: usize) -> String {
        let held: Vec<i64> = (0..THREADS).map(|t| i64::from(held(lanes, n, t))).collect();
        self.by_thread(&held)
    }

    /// Threads meet if these accesses demand it.
    pub(super) fn access(&mut self, accesses: Accesses) {
        self.before(accesses);
        self.accesses = self.accesses.or(accesses);
    }

    /// The same for accesses that others wait for in another way.
    pub(super) fn before(&mut self, accesses: Accesses) {
        if accesses.conflict(self.accesses) {
            self.meet();
        }
    }

    /// Threads meet.
    pub(super) fn meet(&mut self) {
        self.line(format_args!("llvm.call @meet() : () -> ()"));
        self.accesses = Accesses::NONE;
    }
}
