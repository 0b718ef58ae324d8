//! Every family of `tests/checkpoints`: imported without a word, evaluated, and some of them built, against what `transformers` computes, or what
//! follows from the equations where it does not have them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use seqc_tests::{
    command,
    program::{self, Way, fresh_file, list},
    rows::{self, Rows},
};

/// max |difference| / max |reference| of the evaluator, in double precision, against `transformers` in f32.
const EVALUATOR_TOLERANCE: f32 = 1e-5;
/// The same of a program.
const TOLERANCE: f32 = 1e-4;
/// One of so many families is built, each day other ones. `SEQC_FAMILIES=all` builds all, a number the same as on that day.
const SLICES: usize = 8;

/// A tiny checkpoint with what is computed from it.
struct Known {
    name: String,
    /// Its folder, with the configuration and what is computed.
    dir: PathBuf,
    /// The same weights as a GGUF file, which is imported in the place of the folder.
    gguf: Option<PathBuf>,
}

impl Known {
    fn tokens(&self) -> Vec<i64> {
        rows::read_integers(&self.expected_file(), "input_ids").unwrap_or_default()
    }

    /// What the encoder reads, of a model that has one.
    fn source(&self) -> Vec<i64> {
        rows::read_integers(&self.expected_file(), "source").unwrap_or_default()
    }

    /// The file with what the encoder reads, of a model whose encoder reads no tokens.
    fn source_input(&self) -> Option<PathBuf> {
        let config = fs::read_to_string(self.dir.join("config.json")).unwrap_or_default();
        config.contains("num_mel_bins").then(|| self.expected_file())
    }

    fn expected_file(&self) -> PathBuf {
        self.dir.join("expected.safetensors")
    }

    fn has_head(&self) -> bool {
        let config = fs::read_to_string(self.dir.join("config.json")).unwrap_or_default();
        ["ForCausalLM", "LMHeadModel", "ForConditionalGeneration"]
            .iter()
            .any(|head| config.contains(head))
    }

    /// The model that `seqc import` writes, which has nothing to remark but that there is another half.
    fn import(&self) -> PathBuf {
        let model = seqc_tests::scratch("families").join(format!("{}.yaml", self.name));
        let words = [
            "import".into(),
            self.gguf.clone().unwrap_or_else(|| self.dir.clone()),
            "-o".into(),
            model.clone(),
            "--force".into(),
        ];
        let answer = command::seqc(&words).ok();
        let config = fs::read_to_string(self.dir.join("config.json")).unwrap_or_default();
        let halves = usize::from(config.contains("\"text_config\""));
        let said = &answer.stderr;
        let counted = (
            said.matches("] Warning:").count(),
            said.matches("[text-half] Warning:").count(),
        );
        assert_eq!(counted, (halves, halves), "{}: {said}", self.name);
        model
    }

    fn deviation(&self, found: &Rows) -> f32 {
        found.relative(&Rows::read_any(&self.expected_file(), OUTPUTS))
    }
}

/// What models compute: with a head, and without.
const OUTPUTS: &[&str] = &["logits", "hidden"];

fn all() -> Vec<Known> {
    let dir = seqc_tests::root().join("tests").join("checkpoints");
    let folders = paths(&dir).into_iter().filter(|path| path.is_dir());
    let mut all: Vec<Known> = folders
        .map(|dir| Known {
            name: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            dir,
            gguf: None,
        })
        .collect();
    for path in paths(&seqc_tests::root().join("tests").join("fixtures").join("gguf")) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.push(Known {
            dir: dir.join(&name),
            name: format!("gguf-{name}"),
            gguf: Some(path),
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(all.len() > 80, "{} checkpoints", all.len());
    all
}

/// What a folder contains.
fn paths(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Rows of fused matrices as parameters of their own: the same numbers, of tensors in bf16 that are mapped and not copied.
#[test]
fn parts_of_tensors_are_loaded() {
    let known = all().into_iter().find(|known| known.dir.join("parts.yaml").exists());
    let known = known.unwrap_or_else(|| panic!("a checkpoint has a family beside it that loads parts"));
    let (model, family) = (
        seqc_tests::scratch("families").join("parts.yaml"),
        known.dir.join("parts.yaml"),
    );
    let words = [
        "import".into(),
        known.dir.clone(),
        "--family".into(),
        family,
        "-o".into(),
        model.clone(),
        "--force".into(),
    ];
    assert_eq!(command::seqc(&words).ok().stderr.matches("arning").count(), 0);
    let program = program::built("family-parts", || model);
    let off = known.deviation(&program.logits(&known.tokens(), Way::default()));
    assert!(off <= TOLERANCE, "off by {off:e}");
}

#[test]
fn checkpoints_of_all_families_are_evaluated_as_transformers_does() {
    for known in all() {
        let (model, output) = (known.import(), fresh_file("evaluated.safetensors"));
        let (tokens, source) = (list(&known.tokens()), list(&known.source()));
        let source: Vec<PathBuf> = match (source.as_str(), known.source_input()) {
            (_, Some(file)) => vec!["--source-input".into(), file],
            ("", None) => Vec::new(),
            (ids, None) => vec!["--source-tokens".into(), ids.into()],
        };
        let args: [PathBuf; 6] = [
            "eval".into(),
            model,
            "--tokens".into(),
            tokens.into(),
            "-o".into(),
            output.clone(),
        ];
        command::seqc::<PathBuf>(&[&args[..], &source].concat()).ok();
        let off = known.deviation(&Rows::read_any(&output, OUTPUTS));
        assert!(
            off <= EVALUATOR_TOLERANCE,
            "{}: the evaluator is off by {off:e}",
            known.name
        );
    }
}

#[test]
fn programs_of_some_families_compute_as_transformers_does() {
    let asked = std::env::var("SEQC_FAMILIES").unwrap_or_default();
    let day = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    let slice = asked.parse().unwrap_or(day as usize) % SLICES;
    for (at, known) in all().iter().enumerate() {
        if asked != "all" && at % SLICES != slice {
            continue;
        }
        let program = program::built(&format!("family-{}", known.name), || known.import());
        let (tokens, source, source_input) = (known.tokens(), known.source(), known.source_input());
        let whole = vec![tokens.len()];
        // A model without a head may look ahead: it reads its input at once.
        let ways = match known.has_head() {
            true => vec![whole, vec![7, 1, 1, 11]],
            false => vec![whole],
        };
        for chunks in ways {
            let way = Way {
                chunks: &chunks,
                source: &source,
                source_input: source_input.as_deref(),
                ..Way::default()
            };
            let off = known.deviation(&program.logits(&tokens, way));
            assert!(
                off <= TOLERANCE,
                "{} (SEQC_FAMILIES={slice}), chunks {chunks:?}: off by {off:e}",
                known.name
            );
        }
    }
}

/// A family beside the checkpoint goes before those of the user's folder, and these before the library; layer files are found from the family.
#[test]
fn families_of_the_user_go_first() {
    let from = all().into_iter().find(|known| known.name == "smollm3");
    let from = from.unwrap_or_else(|| panic!("there is no such checkpoint"));
    let home = seqc_tests::scratch("families-of-the-user");
    let (folder, checkpoint) = (home.join("seqc").join("families"), home.join("checkpoint"));
    fs::remove_dir_all(&home).unwrap_or_else(|error| panic!("{error}"));
    for dir in [&folder, &checkpoint] {
        fs::create_dir_all(dir).unwrap_or_else(|error| panic!("{error}"));
    }
    let write = |path: PathBuf, text: &str| fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
    for name in ["config.json", "model.safetensors"] {
        fs::copy(from.dir.join(name), checkpoint.join(name)).unwrap_or_else(|error| panic!("{error}"));
    }
    let family = |name: &str| {
        format!(
            "# {name}\nfamily: mine\nmatch: {{model_type: smollm3}}\ninclude: [decoder]\nuse: [twice.seq]\nunused: [\"model.layers.*\", model.norm.weight]\n\
             stack:\n  - embed: {{vocab: vocab}}\n    load: {{weight: model.embed_tokens.weight}}\n  - twice: {{}}\n  - head: {{vocab: vocab}}\n    \
             load: {{weight: \"{{output}}\"}}\n"
        )
    };
    let import = || {
        let mut seqc = std::process::Command::new(command::seqc_binary());
        seqc.env("XDG_CONFIG_HOME", &home).args(["import", "--force", "-o"]);
        let model = home.join("model.yaml");
        let done = seqc
            .args([&model, &checkpoint])
            .output()
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::read_to_string(model).unwrap_or_else(|error| panic!("{error}"))
    };
    assert!(import().starts_with("# SmolLM3"));
    for (dir, name, layers) in [
        (&folder, "mine.yaml", "seqc/families/twice.seq"),
        (&checkpoint, "family.yaml", "checkpoint/twice.seq"),
    ] {
        write(dir.join("twice.seq"), "layer twice(x: [d]) -> [d] {\n  2 * x\n}\n");
        write(dir.join(name), &family(name));
        let model = import();
        assert!(model.starts_with(&format!("# {name}")), "{model}");
        assert!(model.contains(&format!("use: [{layers}]")), "{model}");
        let said = command::seqc(&[PathBuf::from("check"), dir.join(name)]).ok();
        assert!(
            said.stdout.contains("ok: the family mine") || said.stderr.contains("ok: the family mine"),
            "{said:?}"
        );
    }
    write(folder.join("wrong.yaml"), &family("wrong").replace("unused:", "unusd:"));
    let said = command::seqc(&[PathBuf::from("check"), folder.join("wrong.yaml")]).refused();
    assert!(
        said.contains("a family has no key `unusd`") && said.contains("did you mean `unused`?"),
        "{said}"
    );
}
