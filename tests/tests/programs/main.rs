//! Whole programs: imported, built and run, against known answers.

mod batches;
mod chat;
mod compare;
mod contract;
mod embed;
mod finite;
mod fixtures;
mod layers;
mod libraries;
mod long_filters;
mod malformed;
mod meaning;
mod memory;
mod mixers;
mod outputs;
mod packages;
mod places;
mod prefixes;
mod processors;
mod readme;
mod selections;
mod serve;
mod size;
mod smollm2;
mod states;
mod talk;
