//! Whole programs: imported, built and run, against known answers.

mod contract;
mod fixtures;
mod layers;
mod malformed;
mod meaning;
mod readme;
mod size;
mod smollm2;
