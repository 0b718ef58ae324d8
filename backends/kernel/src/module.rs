//! A module: functions, what they call of others, and constant bytes.

use super::{Func, Ty};
use crate::types::Signature;
use seqc_abi::{Level, symbols};
use std::collections::HashSet;

/// A module under construction.
#[derive(Default)]
pub struct Module {
    pub(crate) globals: Vec<Global>,
    pub(crate) items: Vec<Item>,
    names: HashSet<String>,
}

/// The entry of one function in a module.
pub enum Item {
    /// It is in another module.
    Declared(Signature),
    /// It is here.
    Defined(Func),
}

/// Constant data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Global {
    /// Bytes, seen by other modules if `export`.
    Bytes {
        /// Symbol.
        name: String,
        /// The data.
        bytes: Vec<u8>,
        /// Seen by other modules.
        export: bool,
    },
    /// Bytes of another module.
    Elsewhere {
        /// Symbol.
        name: String,
        /// How many.
        length: usize,
    },
    /// An exported 64-bit number.
    Number {
        /// Symbol.
        name: String,
        /// The number.
        value: u64,
    },
    /// 64-bit numbers.
    Table {
        /// Symbol.
        name: String,
        /// The numbers.
        values: Vec<i64>,
    },
    /// The table [`symbols::CODE`], by which a program chooses the code for its processor.
    Code(Vec<CodeRow>),
}

/// A row of [`Global::Code`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// Number of the level.
    pub level: u64,
    /// Symbol of the descriptor.
    pub descriptor: String,
    /// Its length in bytes.
    pub length: usize,
    /// Symbols of the functions that are called when weights are loaded, and for every chunk.
    pub entries: [String; 2],
}

impl Module {
    /// Declares an external function once.
    pub fn declare(&mut self, name: &str, params: &[Ty], result: Option<Ty>) {
        if self.names.insert(name.to_owned()) {
            self.items.push(Item::Declared(Signature {
                name: name.to_owned(),
                params: params.to_vec(),
                result,
            }));
        }
    }

    /// Adds a function in place of the declaration of its name.
    pub fn define(&mut self, func: Func) {
        self.items
            .retain(|item| !matches!(item, Item::Declared(s) if s.name == func.name));
        self.add(func);
    }

    /// True when a function or constant bytes of this name were added or declared; for what many users share.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds a finished function.
    pub fn add(&mut self, func: Func) {
        self.names.insert(func.name.clone());
        self.items.push(Item::Defined(func));
    }

    /// Constants, in the order in which they were added.
    pub fn globals(&self) -> &[Global] {
        &self.globals
    }

    /// Functions and declarations, in the order in which they were added.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The functions that are here.
    pub fn functions(&self) -> impl Iterator<Item = &Func> {
        self.items.iter().filter_map(|item| match item {
            Item::Defined(func) => Some(func),
            Item::Declared(_) => None,
        })
    }

    /// The function of this name, if it is here.
    pub fn function(&self, name: &str) -> Option<&Func> {
        self.functions().find(|func| func.name == name)
    }

    /// Adds constant bytes under an exported symbol.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.bytes(name, bytes, true);
    }

    /// Adds constant bytes that this module alone reads: another one may have some of the same name.
    pub fn add_own_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.bytes(name, bytes, false);
    }

    fn bytes(&mut self, name: &str, bytes: &[u8], export: bool) {
        self.names.insert(name.to_owned());
        self.globals.push(Global::Bytes {
            name: name.to_owned(),
            bytes: bytes.to_vec(),
            export,
        });
    }

    /// Adds the table [`symbols::CODE`] of levels, each with the length of its descriptor; what is not of this module is
    /// declared.
    pub fn add_code_table(&mut self, rows: &[(Level, usize)]) {
        let mut table = Vec::new();
        for (level, length) in rows {
            let row = CodeRow {
                level: level.number(),
                descriptor: symbols::descriptor(*level),
                length: *length,
                entries: [symbols::load(*level), symbols::step(*level)],
            };
            if self.names.insert(row.descriptor.clone()) {
                self.globals.push(Global::Elsewhere {
                    name: row.descriptor.clone(),
                    length: *length,
                });
            }
            for name in &row.entries {
                self.declare(name, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
            }
            table.push(row);
        }
        self.globals.push(Global::Code(table));
        self.add_u64(symbols::CODE_LEN, rows.len() as u64);
    }

    /// Adds an exported 64-bit constant.
    pub fn add_u64(&mut self, name: &str, value: u64) {
        self.globals.push(Global::Number {
            name: name.to_owned(),
            value,
        });
    }

    /// Adds an internal table of 64-bit constants.
    pub fn add_table(&mut self, name: &str, values: &[i64]) {
        self.globals.push(Global::Table {
            name: name.to_owned(),
            values: values.to_vec(),
        });
    }
}
