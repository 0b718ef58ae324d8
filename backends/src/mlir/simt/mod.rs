//! Modules of the kernel level as MLIR text for the threads of a GPU (single instruction, multiple threads).
//!
//! A member of the team is a group of [`member::THREADS`] threads that run the same instructions. A scalar is the same in all of them, so that they branch
//! together. A vector has one lane in each thread: thread `t` holds lane `t` of the first part, lane `member::THREADS + t` of the second, and so
//! on; a vector of fewer lanes is held several times, lane `t mod lanes` in thread `t`. Arithmetic, loads and stores are those of single
//! threads, and lanes move by shuffles. The stack of a member lies in memory that its threads share.
//!
//! The text is printed for two machines that differ in what a few functions do ([`device`]): threads of NVIDIA's GPUs, and fibers of the machine
//! at hand, which take turns, so that device code is tested without a device.

mod arith;
mod device;
mod effects;
mod func;
mod host;
mod lanes;
mod member;
mod memory;
mod printer;
mod prologue;
mod shared;
mod tables;

use super::print;
use crate::kernel::{Item, Module};
use device::Device;
use effects::Effects;
use func::Functions;
pub use host::print_host;
use tables::Tables;

/// The text of a module for fibers of this machine, in place of threads of a device. Entries keep their names and types: a thread of the pool
/// runs the threads of one member.
pub fn print_emulated(module: &Module) -> String {
    text(module, Device::Fibers)
}

/// The text of a module's functions for NVIDIA's GPUs. Entries become kernels: `(frame, stacks)`, started with any number of blocks of
/// whole warps that are all resident, each of which has [`STACK_BYTES`](seqc_abi::device::STACK_BYTES) of the stacks.
pub fn print_ptx(module: &Module) -> String {
    text(module, Device::Ptx)
}

fn text(module: &Module, device: Device) -> String {
    print::check(module);
    let effects = Effects::of(module);
    let mut tables = Tables::default();
    let mut functions = String::new();
    for item in module.items() {
        match item {
            // What is declared is of the device: the barrier.
            Item::Declared(signature) => device.declared(&mut functions, signature),
            Item::Defined(f) if device.has_own(f.name()) => {}
            Item::Defined(f) => Functions {
                out: &mut functions,
                device,
                effects: &effects,
                tables: &mut tables,
            }
            .print(f),
        }
    }
    let mut out = String::from("module {\n");
    for global in module.globals() {
        if device.has(global) {
            print::print_global(&mut out, global);
        }
    }
    tables.print(&mut out);
    out.push_str(device.prologue());
    out.push_str(&functions);
    out.push_str("}\n");
    out
}
