//! Texts of packages in other languages, with names filled in.

/// What is filled in.
pub(super) struct Template<'a> {
    /// The package's name, with which the names in the C interface begin as well.
    pub(super) package: &'a str,
    /// The library's file.
    pub(super) file: &'a str,
    /// The processors that the library is for, as target triples name them.
    pub(super) architecture: &'a str,
}

impl Template<'_> {
    /// A text with all names.
    pub(super) fn fill(&self, text: &str) -> String {
        let package = self.package;
        text.replace("seqc_", &format!("{package}_"))
            .replace("@name@", package)
            .replace("@crate@", package)
            .replace("@package@", package)
            .replace("@prefix@", package)
            .replace("@file@", self.file)
            .replace("@architecture@", self.architecture)
            .replace("@version@", env!("CARGO_PKG_VERSION"))
    }
}
