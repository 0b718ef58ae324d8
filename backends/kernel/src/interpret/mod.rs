//! An interpreter of modules, for tests: instruction by instruction, with a memory in which every access is checked.
//!
//! Arithmetic is that of the targets: one rounding in `fma`, integers that wrap around, comparisons that NaN fails. What the
//! targets leave open is refused where it shows in memory or control flow (an access outside of an allocation, a division by
//! zero, a step that is not above zero), and of one fixed meaning elsewhere (a float that fits no integer becomes the
//! least one). A team of threads runs in turns: each runs until it reaches the barrier. That two of them reach the same byte
//! meanwhile, and one writes it, is refused. *Absent*: speed.

mod access;
mod code;
mod copies;
mod fault;
mod lanes;
mod memory;
mod program;
mod races;
mod run;
mod scalar;
mod shared;
mod team;

pub use fault::Fault;
pub use memory::Memory;
pub use program::{Host, Interpreter};

use super::Module;
use code::Code;
use seqc_abi::symbols;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use team::{Member, Team};

impl<'m> Interpreter<'m> {
    /// Prepares a module that obeys the laws of [`super::verify`]. The barrier is known; other functions of the outside are
    /// added by [`Interpreter::add_host`].
    pub fn new(module: &'m Module) -> Interpreter<'m> {
        let mut memory = Memory::default();
        let globals = code::globals(module, &mut memory);
        Interpreter {
            code: module.functions().map(|f| (f.name.as_str(), Code::new(f))).collect(),
            hosts: HashMap::new(),
            globals,
            memory,
        }
    }

    /// Adds a function of the outside.
    pub fn add_host(&mut self, name: &str, host: Host) {
        self.hosts.insert(name.to_owned(), host);
    }

    /// The memory that all functions see.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Calls a function whose parameters are scalars and pointers, one word each; returns the word of its result, or 0.
    ///
    /// # Errors
    ///
    /// What a function did that it must not do.
    pub fn call(&mut self, name: &str, args: &[u64]) -> Result<u64, Fault> {
        self.team(name, 1, &|_| args.to_vec())
    }

    /// Calls an entry of generated code (see [`seqc_abi::Entry`]) on all threads of a team: with a frame, the number of the
    /// thread, and that of all threads.
    ///
    /// # Errors
    ///
    /// A function violated its contract, or threads waited at different barriers.
    pub fn entry(&mut self, name: &str, frame: u64, threads: u64) -> Result<(), Fault> {
        self.team(name, threads as usize, &|tid| vec![frame, tid as u64, threads])?;
        Ok(())
    }

    fn team(&mut self, name: &str, threads: usize, args: &(dyn Fn(usize) -> Vec<u64> + Sync)) -> Result<u64, Fault> {
        let shared = Mutex::new(Team::new(std::mem::take(&mut self.memory), threads));
        let turn = std::sync::Condvar::new();
        let this = &*self;
        let one = |tid: usize| {
            let mut member = Member::join(&shared, &turn, tid);
            let result = run::call(this, &mut member, name, &args(tid));
            member.leave(result)
        };
        let results: Vec<Result<u64, Fault>> = match threads {
            1 => vec![one(0)],
            _ => std::thread::scope(|scope| {
                let one = &one;
                let all: Vec<_> = (0..threads).map(|tid| scope.spawn(move || one(tid))).collect();
                let joined = all.into_iter().map(|thread| thread.join());
                joined
                    .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect()
            }),
        };
        let team = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (memory, met) = team.end();
        self.memory = memory;
        let met = met?;
        let results: Vec<u64> = results.into_iter().collect::<Result<_, _>>()?;
        let apart = || Fault {
            function: symbols::BARRIER.to_owned(),
            inst: format!("call @{name}"),
            message: "threads did not meet at the same barriers".to_owned(),
        };
        met.then_some(results[0]).ok_or_else(apart)
    }
}
