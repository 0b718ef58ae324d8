//! What NVIDIA's assembler says of kernels for GPUs: the registers of a thread, and what does not fit into them.

use crate::block_products::{ROWS, assembly};
use insta::assert_snapshot;
use seqc_backends::scratch::Folder;
use seqc_formats::Encoding;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The assembler, where `scripts/setup.sh test` installed it.
fn assembler() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("build/python/ptxas/nvidia/cuda_nvcc/bin/ptxas");
    path.is_file().then_some(path)
}

/// Largest numbers in front of some words of what it says of a text for a GPU.
fn report(ptxas: &Path, code: &str, gpu: &str) -> String {
    let folder = Folder::new().expect("a folder");
    let from = folder.write("code.ptx", code.as_bytes()).expect("written");
    let mut command = Command::new(ptxas);
    command.args(["-v", &format!("-arch={gpu}")]).arg(from);
    let output = command
        .arg("-o")
        .arg(folder.file("code.cubin"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let words: Vec<&str> = said.split([' ', ',', '\n']).filter(|word| !word.is_empty()).collect();
    let largest = |of: &[&str]| -> u64 {
        let found = words.windows(1 + of.len()).filter(|found| found[1..] == *of);
        found.filter_map(|found| found[0].parse().ok()).max().unwrap_or(0)
    };
    format!(
        "{} registers, {} bytes spilled, {} of stack",
        largest(&["registers"]),
        largest(&["bytes", "spill", "stores"]),
        largest(&["bytes", "stack", "frame"])
    )
}

/// Where there is no assembler, nothing is said.
#[test]
fn products_of_blocks_fit_into_registers() {
    let Some(ptxas) = assembler() else {
        eprintln!("no ptxas: scripts/setup.sh test installs it");
        return;
    };
    let mut said = String::new();
    for (encoding, rows) in [
        (Encoding::Bf16, ROWS[4]),
        (Encoding::Bf16, ROWS[0]),
        (Encoding::Q4_0, ROWS[0]),
        (Encoding::Q4_K, ROWS[0]),
        (Encoding::F32, ROWS[1]),
    ] {
        let code = assembly(encoding, rows);
        for gpu in ["sm_80", "sm_90", "sm_100"] {
            let (form, parts) = (rows.form, rows.parts);
            said += &format!(
                "{encoding}, {form:?} of parts {parts:?}, {gpu}: {}\n",
                report(&ptxas, &code, gpu)
            );
        }
    }
    assert_snapshot!(said);
}
