//! `seqc compare` and `seqc init` as users call them: measured beside predicted, and the models of one size.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use seqc_tests::{
    command, document,
    program::{Program, fresh_file},
    root,
};
use serde_json::Value;

/// A machine that no test measures.
const PROFILE: &str = r#"{
  "version": 2, "seqc": "VERSION", "machine": {"processor": "none", "cores": 1},
  "one": RATES, "all": RATES
}"#;
const RATES: &str = r#"{"threads": 1, "read": [{"bytes": 1e6, "rate": 1e10}],
  "rows": [{"bytes": 1e6, "rate": 1e10}], "copy": [{"bytes": 1e6, "rate": 1e10}], "block": 1e10, "product": 1e11, "step": 1e-6,
  "decode": {"entries": 1e10, "sums": 1e10, "scans": 1e10, "loops": 1e10, "attend": 1e10},
  "prefill": {"entries": 1e10, "sums": 1e10, "scans": 1e10, "loops": 1e10, "attend": 1e10}}"#;

pub(super) fn profile() -> PathBuf {
    let version = command::seqc(&["--version"]).ok().stdout;
    let version = version.split_whitespace().last().unwrap_or_default();
    let path = fresh_file("machine.json");
    let text = PROFILE.replace("RATES", RATES).replace("VERSION", version);
    fs::write(&path, text).unwrap_or_else(|e| panic!("{e}"));
    path
}

/// The models of `specs/models` that are of one size.
fn family() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("specs").join("models")).unwrap_or_else(|e| panic!("{e}"));
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.to_string_lossy().ends_with("-130m.yaml"));
    files.sort();
    files
}

#[test]
fn the_models_of_one_size_are_of_one_size() {
    let files = family();
    assert!(files.len() >= 12, "{files:?}");
    let profile = profile();
    let mut args = vec!["compare".to_owned(), "--format".to_owned(), "json".to_owned()];
    args.extend(["--profile".to_owned(), profile.display().to_string()]);
    args.extend(files.iter().map(|f| f.display().to_string()));
    let found: Value = serde_json::from_str(&command::seqc(&args).ok().stdout).unwrap_or_else(|e| panic!("{e}"));
    fs::remove_file(profile).ok();
    let models = found["models"].as_array().cloned().unwrap_or_default();
    assert_eq!(models.len(), files.len());
    for model in &models {
        let parameters = model["parameters"].as_f64().unwrap_or_default();
        assert!(
            (1.24e8..1.36e8).contains(&parameters),
            "{}: {parameters}",
            model["name"]
        );
        assert_eq!(model["at"].as_array().map_or(0, Vec::len), 3, "{}", model["name"]);
        for point in model["at"].as_array().into_iter().flatten() {
            let seconds = point["decode"]["seconds"].as_f64().unwrap_or_default();
            assert!(seconds > 0.0 && seconds < 100.0, "{}: {seconds}", model["name"]);
        }
    }
}

/// The first layer of README.md, small, with random weights or those of a file.
fn first_layer() -> PathBuf {
    let dir = seqc_tests::scratch("compare");
    for snippet in document::snippets(&root().join("README.md")) {
        let name = match snippet.language.as_str() {
            "seq" => "average.seq",
            "yaml" => "model.yaml",
            _ => continue,
        };
        fs::write(dir.join(name), snippet.text).unwrap_or_else(|e| panic!("{e}"));
    }
    dir.join("model.yaml")
}

#[test]
fn measured_times_stand_beside_predicted_ones() {
    let (model, caches) = (first_layer(), seqc_tests::scratch("caches"));
    let mut command = std::process::Command::new(command::seqc_binary());
    command
        .args(["compare", "--measure", "--at", "64", "--format", "json"])
        .arg(&model);
    // The machine is measured, too, since nothing is kept in this folder.
    let output = command
        .env("XDG_CACHE_HOME", &caches)
        .env("SEQC_PROBE_SECONDS", "5")
        .output()
        .unwrap_or_else(|e| panic!("{e}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    // What was measured while others are at work is used, and not kept.
    let kept = caches.join("seqc").join("machine.json").exists();
    assert!(kept || err.contains("doubtful"), "{err}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found["version"], 1);
    assert!(found["profile"]["machine"]["features"].is_array());
    let point = &found["models"][0]["at"][0];
    for seconds in [
        &point["measured"]["prefill_seconds"],
        &point["measured"]["decode_seconds"],
    ] {
        assert!(seconds.as_f64().is_some_and(|s| s > 0.0), "{point}");
    }
    assert!(
        point["measured"]["void"].is_null() || point["measured"]["void"].is_string(),
        "{point}"
    );
    if !kept {
        return;
    }
    // So that the next comparison only computes.
    let mut again = std::process::Command::new(command::seqc_binary());
    again.arg("compare").arg(&model).env("XDG_CACHE_HOME", &caches);
    let output = again.output().unwrap_or_else(|e| panic!("{e}"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        out.contains("computed") && out.contains("predicted") && err.is_empty(),
        "{out}{err}"
    );
}

/// What is in a folder for temporary files, with the permissions of each entry.
fn left(folder: &Path) -> Vec<(String, u32)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mode = |e: &fs::DirEntry| e.metadata().map_or(0, |about| about.permissions().mode() & 0o777);
    entries
        .map(|e| (e.file_name().to_string_lossy().into_owned(), mode(&e)))
        .collect()
}

#[test]
fn programs_that_are_measured_lie_in_private_folders_and_a_signal_clears_them() {
    let (temporary, caches) = (seqc_tests::scratch("temporary"), seqc_tests::scratch("no-caches"));
    let mut names = Vec::new();
    // An interrupt takes the same way, but a shell's background ignores it.
    for _ in 0..2 {
        let mut command = std::process::Command::new(command::seqc_binary());
        command
            .arg("probe")
            .env("TMPDIR", &temporary)
            .env("XDG_CACHE_HOME", &caches);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{e}"));
        let started = Instant::now();
        let mut found = left(&temporary);
        while found.is_empty() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
            found = left(&temporary);
        }
        assert!(
            !found.is_empty() && found.iter().all(|(_, mode)| *mode == 0o700),
            "{found:?}"
        );
        let own = child.id().to_string();
        assert!(
            found
                .iter()
                .all(|(name, _)| !name.contains(&own) && !names.contains(name)),
            "{found:?}"
        );
        names.extend(found.into_iter().map(|(name, _)| name));
        let kill = ["-s", "TERM", &own].map(str::to_owned);
        assert_eq!(command::run(Path::new("kill"), &kill).code, Some(0));
        let status = child.wait().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(status.code(), None, "ended by the signal");
        assert_eq!(left(&temporary), Vec::new());
    }
    assert!(left(&caches).is_empty());
}

#[test]
fn a_program_reads_the_weights_that_init_writes() {
    let (model, weights) = (first_layer(), fresh_file("weights.safetensors"));
    let program = Program::build(&model, &fresh_file("program"));
    let (model, file) = (model.display().to_string(), weights.display().to_string());
    command::seqc(&["init", &model, "--seed", "1", "-o", &file]).ok();
    let words = ["generate", "--prompt-tokens", "1,2,3", "--max-tokens", "8"];
    let said = |more: &[&str]| {
        let args: Vec<String> = words.iter().chain(more).map(|w| (*w).to_owned()).collect();
        program.run(&args).ok().stdout
    };
    // The model says `random: 1`.
    assert_eq!(said(&[]), said(&["--weights", &file]));
    fs::remove_file(weights).ok();
}
