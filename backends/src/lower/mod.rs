//! From plans to one module of kernels: the functions of each layer, and the step that calls them.
//!
//! All threads run the same functions on the same frame and meet at barriers (see `seqc_abi::frame`). A layer has a
//! function for one token and one for a chunk; repeated layers share them and differ in the tables they are called with.

mod address;
mod args;
mod attend;
mod block_products;
mod chunked;
mod clocked;
mod cx;
mod decode;
mod elementwise;
mod expr;
mod frame;
mod fused;
mod governed;
mod layer;
mod linear;
mod long_conv;
mod nest;
mod product;
mod products;
mod program;
mod read;
mod reduce;
mod round;
mod rows_of_sums;
mod run;
mod scan;
mod slots;
mod space;
mod stacked;
mod step;
mod streams;
mod table;
mod tile_of_sums;
mod tokens;

pub use program::{Entry, Program, manifest, program};
