//! Cache policies: what the files of `specs/caches` and small bodies are elaborated to.

mod show;

use seqc::{
    diag::Diagnostic,
    model::{self, Built, ReadOptions},
    render,
    source::Sources,
};
use seqc_ir::{Op, policy::Policy};
use std::path::{Path, PathBuf};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

/// The policy of each attention of a model.
fn policies(built: &Built) -> Vec<Policy> {
    let graphs = built.model.calls.iter().map(|call| built.model.graph(call));
    graphs
        .flat_map(|g| {
            let attends = g.values().into_iter().filter_map(|v| match g.op(v) {
                Op::Attend(spec) => spec.policy.as_deref().cloned(),
                _ => None,
            });
            attends.collect::<Vec<_>>()
        })
        .collect()
}

fn read(path: &Path, text: String, set: &[(&str, &str)]) -> Result<Built, String> {
    let mut sources = Sources::default();
    let options = ReadOptions {
        set: set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..ReadOptions::default()
    };
    model::read_text(path, text, &mut sources, &options).map_err(|d| {
        let shown = d.iter().map(|d: &Diagnostic| render::human(d, &sources, false));
        shown.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn every_policy_of_the_library_is_what_its_equations_say() {
    let dir = specs().join("policies");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{e}"))
        .map(|e| e.unwrap_or_else(|e| panic!("{e}")).path())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}"));
        let built = read(&file, text, &[]).unwrap_or_else(|e| panic!("{e}"));
        let mut all = policies(&built);
        assert_eq!(all.len(), 3, "{}: one for each layer", file.display());
        all.dedup();
        let shown: Vec<String> = all.iter().map(show::policy).collect();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        insta::assert_snapshot!(name, shown.join("\n\n"));
    }
}
