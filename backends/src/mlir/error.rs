//! What can go wrong between MLIR text and an object.

/// What can go wrong between MLIR text and an object. Apart from [`Error::Target`], each is a fault of the
/// text's author, that is, of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The processor's name is unknown or it lacks what generated code needs.
    #[error("{0}")]
    Target(String),
    /// MLIR refused the text or could not lower it.
    #[error("MLIR {stage} failed: {message}")]
    Mlir {
        /// `parse`, `lowering` or `translation`.
        stage: &'static str,
        /// The diagnostics, each with the line of text it is about.
        message: String,
    },
    /// LLVM refused the module.
    #[error("LLVM: {0}")]
    Llvm(String),
}
