//! The compiled model `@name@`.
//!
//! The crate carries the model as a static library; building it needs neither LLVM nor a network. A [`Model`] is opened once, a
//! [`Session`] is a sequence of tokens that it reads. Sessions of several threads share weights and compute threads: steps take turns,
//! everything else runs at once. [`feed`] reads for several sessions in one step, [`advance`] generates for several.
//!
//! ```no_run
//! use std::io::Write;
//! use @crate@::{Message, Model, Request};
//!
//! let model = Model::open()?;
//! let mut session = model.session()?;
//! let request = Request::chat(&[Message::user("What is the capital of France?")]).max_tokens(64);
//! for part in session.generate(&request)? {
//!     print!("{}", part?.text);
//!     std::io::stdout().flush().ok();
//! }
//! # Ok::<(), @crate@::Error>(())
//! ```
#![warn(missing_docs)]

mod batch;
mod error;
mod ffi;
mod model;
mod progress;
mod request;
mod session;
mod source;
mod text;

pub use batch::{Input, Output, Segment, Wanted, feed, feed_with};
pub use error::{Error, ErrorKind, Result};
pub use model::{Drafts, Element, Model, ModelMemory, Options, Stream};
pub use progress::Progress;
pub use request::{Message, Request};
pub use session::{Answer, End, LogProb, Session, SessionMemory, Token, advance};
pub use text::{Decoder, Sampler};

/// Version of the tool that compiled the model.
pub fn version() -> &'static str {
    // SAFETY: the text lasts as long as the program, and is ASCII.
    unsafe { std::ffi::CStr::from_ptr(ffi::seqc_version()) }.to_str().unwrap_or_default()
}
