//! What models become at the kernel level: its text, and what the interpreter computes.

mod micro_kernels;
mod random;
mod rounded;
mod text;
mod weights;
