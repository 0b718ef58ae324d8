//! Whole programs: imported, built and run, against known answers.

mod fixtures;
mod layers;
mod size;
mod smollm2;
