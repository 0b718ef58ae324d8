//! What NVIDIA's assembler says of kernels for GPUs: the registers of a thread, and what does not fit into them.

use crate::{
    attend::{self, Attention},
    block_products::{ROWS, assembly},
    sampling,
};
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

/// What it says of a text for a GPU: the most registers of a thread, and the functions that do not get along with theirs.
fn report(ptxas: &Path, code: &str, gpu: &str) -> String {
    let folder = Folder::new().expect("a folder");
    let from = folder.write("code.ptx", code.as_bytes()).expect("written");
    let mut command = Command::new(ptxas);
    command.args(["-v", &format!("-arch={gpu}")]).arg(from);
    let output = command.arg("-o").arg(folder.file("code.cubin")).output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let number_before = |line: &str, words: &str| -> u64 {
        let before = line.split(words).next().filter(|before| before.len() < line.len());
        let word = before.and_then(|before| before.trim().rsplit(' ').next());
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    let registers = said.lines().map(|line| number_before(line, " registers")).max();
    let mut report = format!("{} registers", registers.unwrap_or(0));
    let mut function = "";
    for line in said.lines() {
        if let Some((_, name)) = line.split_once("Function properties for ") {
            function = name;
        }
        let spilled = number_before(line, " bytes spill stores");
        if spilled > 0 {
            report += &format!(", {function} spills {spilled} bytes");
        }
    }
    report
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

#[test]
fn attention_of_many_rows_fits_into_registers() {
    let Some(ptxas) = assembler() else {
        eprintln!("no ptxas: scripts/setup.sh test installs it");
        return;
    };
    let mut said = String::new();
    for (sizes, stored) in [
        ([32, 8, 64, 64], Encoding::F32),
        ([32, 8, 128, 128], Encoding::F32),
        ([32, 8, 128, 128], Encoding::F16),
        ([32, 8, 128, 128], Encoding::Bf16),
        ([3, 1, 80, 96], Encoding::F32),
    ] {
        let code = attend::assembly(Attention { sizes, stored });
        for gpu in ["sm_80", "sm_90", "sm_100"] {
            let [heads, groups, keys, values] = sizes;
            said += &format!(
                "{heads} heads of {groups}, keys of {keys}, values of {values}, {stored}, {gpu}: {}\n",
                report(&ptxas, &code, gpu)
            );
        }
    }
    assert_snapshot!(said);
}

#[test]
fn the_choice_of_tokens_fits_into_registers() {
    let Some(ptxas) = assembler() else {
        eprintln!("no ptxas: scripts/setup.sh test installs it");
        return;
    };
    let mut said = String::new();
    for vocab in [1000, 128_256] {
        let code = sampling::assembly(vocab);
        for gpu in ["sm_80", "sm_90", "sm_100"] {
            said += &format!("{vocab} tokens, {gpu}: {}\n", report(&ptxas, &code, gpu));
        }
    }
    assert_snapshot!(said);
}
