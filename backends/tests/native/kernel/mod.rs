//! The kernel level: its verifier and its text.

mod text;
mod verifier;
