//! How weights that are not there will be stored, by what their configuration says of it.

use crate::names::fits;
use seqc_formats::Encoding;

/// The types of a checkpoint's matrices.
#[derive(Clone, Debug)]
pub struct Expected {
    /// That of most.
    pub most: Encoding,
    /// That of some modules.
    pub other: Option<Other>,
}

/// Modules that are stored in another type.
#[derive(Clone, Debug)]
pub struct Other {
    /// Their type.
    pub encoding: Encoding,
    /// Their names or the ends of them, in which `*` stands for any letters.
    pub names: Vec<String>,
}

impl Expected {
    /// How programs hold a parameter of these tensors and sizes: as it is stored, where they read it so.
    pub(super) fn encoding(&self, tensors: &[String], sizes: &[usize]) -> Encoding {
        let is_other = |other: &&Other| {
            let inside = |module: &String, name: &str| {
                fits(&format!("{module}.*"), name) || fits(&format!("*.{module}.*"), name)
            };
            tensors
                .iter()
                .all(|name| other.names.iter().any(|module| inside(module, name)))
        };
        let stored = self
            .other
            .as_ref()
            .filter(is_other)
            .map_or(self.most, |other| other.encoding);
        stored.held(sizes.last().copied().unwrap_or(1))
    }
}
