//! Known answers: the checkpoints below `tests/fixtures/hf` with what `transformers` computes on them.

use std::path::PathBuf;

use crate::{
    command, emulation,
    program::{self, Program},
    rows::{self, Rows},
};

/// A tiny checkpoint with its expected outputs.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its directory's name.
    pub name: &'static str,
    /// Its directory.
    pub dir: PathBuf,
    /// The prompt.
    pub input: Vec<i64>,
    /// Greedy continuation; empty for a model without a head.
    pub greedy: Vec<i64>,
    /// What its program is built for.
    pub target: &'static str,
}

impl Fixture {
    /// Reads the inputs of a directory.
    pub fn open(name: &'static str) -> Fixture {
        let dir = folder().join("hf").join(name);
        let expected = dir.join("expected.safetensors");
        let input = rows::read_integers(&expected, "input_ids").unwrap_or_default();
        assert!(!input.is_empty(), "{} has no input_ids", expected.display());
        Fixture {
            name,
            input,
            greedy: rows::read_integers(&expected, "greedy").unwrap_or_default(),
            target: emulation::usual_target(),
            dir,
        }
    }

    /// The same for another target.
    pub fn on(self, target: &'static str) -> Fixture {
        Fixture { target, ..self }
    }

    /// An expected tensor: `logits`, `step_logits` or `hidden`.
    pub fn expected(&self, tensor: &str) -> Rows {
        Rows::read(&self.dir.join("expected.safetensors"), tensor)
    }

    /// The prompt and all of the continuation but its last token, which nothing reads.
    pub fn sequence(&self) -> Vec<i64> {
        let read = self.greedy.len().saturating_sub(1);
        self.input.iter().chain(&self.greedy[..read]).copied().collect()
    }

    /// The model file that `seqc import` makes, under a name.
    pub fn import(&self, name: &str) -> PathBuf {
        let model = crate::scratch("imported").join(format!("{name}.yaml"));
        command::seqc(&[PathBuf::from("import"), self.dir.clone(), "-o".into(), model.clone()]).ok();
        model
    }

    /// The program of `seqc import` and `seqc build`, made once per process.
    pub fn program(&self) -> Program {
        let name = match self.target == emulation::usual_target() {
            true => self.name.to_owned(),
            false => format!("{}-{}", self.name, self.target),
        };
        program::built_for(self.target, &name, || self.import(&name))
    }
}

/// The directory of known answers.
pub fn folder() -> PathBuf {
    crate::root().join("tests").join("fixtures")
}
