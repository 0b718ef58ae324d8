//! Hand-vectorised kernels: what generated layers call, and the elementary functions they inline.

pub mod math;
