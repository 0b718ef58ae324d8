//! What models become at the kernel level: its text, and what the interpreter computes.

mod random;
mod text;
mod weights;
