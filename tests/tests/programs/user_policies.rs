//! Policies that users write from docs/caches.md: evaluator and programs against the references of `tests/policies/make.py`.

use crate::batches::random_cut;
use seqc_tests::{
    command,
    fixture::folder,
    program::{Program, built, fresh_file, list},
    root,
    rows::{Rows, read_integers},
};
use std::path::{Path, PathBuf};

/// max |difference| / max |reference| of a program in f32.
const TOLERANCE: f32 = 2e-4;
/// The same for the evaluator, whose steps of codes are not rounded to f32.
const EVALUATOR_TOLERANCE: f32 = 1e-6;
/// Tokens of the prompt.
const PROMPT: usize = 100;

macro_rules! policies {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )* };
}

policies! {
    chance, channels, coverage, duo, keydiff, keyformer, layerbits, layered, lazy, loki, middle, mixed, morph, nacl, once, pages, rkv,
    scissorhands, shares, spheres, surprise, topp, twilight, vatp
}

/// The small Llama of `specs/policies` with a policy of `tests/policies`.
fn model(name: &str) -> PathBuf {
    let plain = std::fs::read_to_string(root().join("specs/policies/h2o.yaml")).expect("a model");
    let is_cache = |line: &&str| line.starts_with("cache:");
    let entry = plain.lines().find(is_cache).expect("an entry `cache`");
    let policy = root().join("tests/policies").join(format!("{name}.seq"));
    let own = format!("cache: [{{policy: {name}}}]\nuse: [{name}.seq]");
    let file = seqc_tests::scratch("user-policies").join(format!("{name}.yaml"));
    std::fs::copy(policy, file.with_extension("seq")).expect("a policy");
    std::fs::write(&file, plain.replace(entry, &own)).expect("a model");
    file
}

/// What is known of a policy.
struct Known {
    tokens: Vec<i64>,
    /// Tokens whose logits are known.
    rows: Vec<usize>,
    logits: Rows,
    file: PathBuf,
}

impl Known {
    fn of(name: &str) -> Known {
        let file = folder().join("user_policies").join(format!("{name}.safetensors"));
        let integers = |tensor| read_integers(&file, tensor).expect("integers");
        Known {
            tokens: integers("input_ids"),
            rows: integers("rows").into_iter().map(|row| row as usize).collect(),
            logits: Rows::read(&file, "logits"),
            file,
        }
    }

    /// The largest difference of some logits.
    fn off(&self, found: &Rows) -> f32 {
        let off = |(n, row): (usize, &usize)| {
            let found = found.slice(*row, row + 1);
            found.relative(&self.logits.slice(n, n + 1))
        };
        self.rows.iter().enumerate().map(off).fold(0.0, f32::max)
    }

    /// Arguments that say what is read.
    fn arguments(&self) -> Vec<String> {
        let weights = folder().join("hf/llama/model.safetensors").display().to_string();
        let words = [
            "--tokens",
            &list(&self.tokens),
            "--weights",
            &weights,
            "--prompt-length",
        ];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain([PROMPT.to_string()]).collect()
    }

    /// Logits of a program, and what it says is kept.
    fn run(&self, program: &Program, chunks: &str, threads: usize) -> (Rows, PathBuf) {
        let file = fresh_file("safetensors");
        let own = [
            "logits",
            "--chunk",
            chunks,
            "--threads",
            &threads.to_string(),
            "--trace",
            "-o",
        ];
        let own = own.iter().map(|word| (*word).to_owned());
        let args = own.chain([file.display().to_string()]).chain(self.arguments());
        program.run(&args.collect::<Vec<_>>()).ok();
        (Rows::read(&file, "logits"), file)
    }

    /// Positions that are kept, where the program says it: nothing leaves the others.
    fn check_kept(&self, name: &str, traced: &Path) {
        for (layer, head) in (0..3).flat_map(|layer| [(layer, 0), (layer, 1)]) {
            let kept = read_integers(traced, &format!("trace.layers.{layer}.attention.kept"));
            let found: Vec<i64> = (0..self.tokens.len())
                .filter(|token| kept.as_ref().is_none_or(|kept| kept[2 * token + head] == 1))
                .map(|token| token as i64)
                .collect();
            let expected = read_integers(&self.file, &format!("kept.{layer}.{head}")).expect("what is kept");
            assert_eq!(found, expected, "{name}, layer {layer}, head {head}");
        }
    }
}

fn check(name: &str) {
    let known = Known::of(name);
    let model = model(name);
    let out = fresh_file("safetensors");
    let own = ["eval", &model.display().to_string(), "-o", &out.display().to_string()].map(str::to_owned);
    let args: Vec<PathBuf> = own.into_iter().chain(known.arguments()).map(PathBuf::from).collect();
    command::seqc(&args).ok();
    let off = known.off(&Rows::read(&out, "logits"));
    assert!(off <= EVALUATOR_TOLERANCE, "{name}, evaluated: off by {off:e}");

    let program = built(&format!("user-policy-{name}"), || model.clone());
    let all = known.tokens.len();
    let cuts = [vec![all], vec![1], vec![7], random_cut("policy", 1, all)];
    for (at, cut) in cuts.iter().enumerate() {
        let chunks = list(cut);
        let (logits, traced) = known.run(&program, &chunks, 1 + at % 2);
        let off = known.off(&logits);
        assert!(off <= TOLERANCE, "{name}, chunks {chunks}: off by {off:e}");
        known.check_kept(name, &traced);
    }
}
