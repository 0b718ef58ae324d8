//! Published mixers, from `specs/mixers`: the numbers of the papers' equations, in whatever chunks, compiled and evaluated. The known answers
//! of folders without a README.md are written by `tests/mixers/make.py`.

pub(crate) mod ways;

use std::{fs, path::PathBuf};

use safetensors::{Dtype, SafeTensors};
use seqc_tests::{
    command, emulation,
    fixture::folder,
    program::{Program, built, fresh_file, list},
    root,
    rows::{Rows, read_numbers},
};
use ways::{batch_deviation, in_sessions, random_cut, run, stream};

/// max |difference| / max |reference| of a mixer in f32.
const TOLERANCE: f32 = 1e-5;
/// The same for stacks of layers and for long chains of exponentials.
const CHAIN_TOLERANCE: f32 = 1e-4;
/// The same for the evaluator, which computes in f64 and writes f32.
const EVALUATOR_TOLERANCE: f32 = 1e-7;

/// A mixer of `specs/mixers`, perhaps with some settings changed, and what it must give.
#[derive(Clone, Copy, Debug)]
struct Mixer {
    name: &'static str,
    /// The tensor of `expected.safetensors`.
    output: &'static str,
    /// `path.to.key=value`, changes that lead to this output.
    set: &'static [&'static str],
    tolerance: f32,
}

macro_rules! mixers {
    ($($test:ident: $name:literal -> $output:literal $set:expr, $tolerance:ident;)*) => { $(
        #[test]
        fn $test() {
            check(Mixer { name: $name, output: $output, set: &$set, tolerance: $tolerance });
        }
    )* };
}

mixers! {
    block_attention: "block_attention" -> "y" [], TOLERANCE;
    chunk_stack: "chunk_stack" -> "y" [], TOLERANCE;
    cms: "cms" -> "y" [], TOLERANCE;
    conv3d: "conv3d" -> "y" [], TOLERANCE;
    cope: "cope" -> "y" [], TOLERANCE;
    deltaproduct: "deltaproduct" -> "y" [], TOLERANCE;
    diff_attention: "diff_attention" -> "y" [], TOLERANCE;
    dsa: "dsa" -> "y" [], TOLERANCE;
    forgetting: "forgetting" -> "y" [], TOLERANCE;
    gated_deltanet: "gated_deltanet" -> "y" [], TOLERANCE;
    gla: "gla" -> "y" [], TOLERANCE;
    gss: "gss" -> "y" [], TOLERANCE;
    h_net: "h_net" -> "y" [], TOLERANCE;
    h3: "h3" -> "y" [], TOLERANCE;
    hash_attention: "hash_attention" -> "y" [], TOLERANCE;
    hope: "hope" -> "y" [], TOLERANCE;
    hyena: "hyena" -> "y" [], TOLERANCE;
    infllm: "infllm" -> "y" [], TOLERANCE;
    kda: "kda" -> "y" [], TOLERANCE;
    lightning: "lightning" -> "y" [], TOLERANCE;
    liquid_s4: "liquid_s4" -> "y" [], TOLERANCE;
    lm_infinite: "lm_infinite" -> "y" [], TOLERANCE;
    log_linear: "log_linear" -> "y" [], TOLERANCE;
    longconv: "longconv" -> "y" [], TOLERANCE;
    longvq: "longvq" -> "y" [], TOLERANCE;
    lru: "lru" -> "y" [], TOLERANCE;
    mamba2: "mamba2" -> "y" [], TOLERANCE;
    mamba2_with_one_norm: "mamba2" -> "y_full_norm" ["stack.0.mamba2.norm_groups=1"], TOLERANCE;
    mamba3: "mamba3" -> "y" [], TOLERANCE;
    mega_ema: "mega_ema" -> "y" [], TOLERANCE;
    mega_ema_with_softmax: "mega_ema" -> "y_softmax" ["stack.0.mega.attention=softmax"], TOLERANCE;
    memmamba: "memmamba" -> "y" [], TOLERANCE;
    mla: "mla" -> "y" [], TOLERANCE;
    moe: "moe" -> "y" [], TOLERANCE;
    moe_with_a_capacity: "moe" -> "y_capacity" [
        "stack.0.moe.chosen=1", "stack.0.moe.renormalise=false", "stack.0.moe.capacity=4", "stack.0.moe.segment=24",
    ], TOLERANCE;
    moe_with_biases_and_bounds: "moe" -> "y_biased" [
        "stack.0.moe.chosen=3", "stack.0.moe.act=quick_gelu", "stack.0.moe.biased=true", "stack.0.moe.fused=interleaved",
        "stack.0.moe.limit=0.8", "stack.0.moe.shift=1",
    ], TOLERANCE;
    moe_with_groups_and_a_shared_expert: "moe" -> "y_sigmoid" [
        "stack.0.moe.chosen=3", "stack.0.moe.scores=sigmoid", "stack.0.moe.corrected=true", "stack.0.moe.groups=4",
        "stack.0.moe.open=2", "stack.0.moe.group_best=2", "stack.0.moe.scale=2.5", "stack.0.moe.shared=12",
        "stack.0.moe.shared_gate=true",
    ], TOLERANCE;
    multi_rate: "multi_rate" -> "y" [], TOLERANCE;
    nsa: "nsa" -> "y" [], TOLERANCE;
    path: "path" -> "y" [], TOLERANCE;
    retnet: "retnet" -> "y" [], TOLERANCE;
    retnet_with_rms_norm: "retnet" -> "y_rms" ["stack.0.retention.norm=rms"], TOLERANCE;
    rwkv4: "rwkv4" -> "y" [], TOLERANCE;
    rwkv7: "rwkv7" -> "y" [], TOLERANCE;
    s4: "s4" -> "y" [], TOLERANCE;
    s4d: "s4d" -> "y" [], TOLERANCE;
    s5: "s5" -> "y" [], TOLERANCE;
    sambay: "sambay" -> "y" [], CHAIN_TOLERANCE;
    scout: "scout" -> "y" [], TOLERANCE;
    seqboat: "seqboat" -> "y" [], TOLERANCE;
    seqboat_without_softmax: "seqboat" -> "y_relu2" ["stack.0.seqboat.attention=relu2"], TOLERANCE;
    sgconv: "sgconv" -> "y" [], TOLERANCE;
    slstm: "slstm" -> "y" [], TOLERANCE;
    slstm_with_exponential_forgetting: "slstm" -> "y_exp_forget" ["stack.0.slstm.forget=exp", "stack.0.slstm.shift=4"], TOLERANCE;
    stick_breaking: "stick_breaking" -> "y" [], TOLERANCE;
    tcnca: "tcnca" -> "y" [], TOLERANCE;
    titans: "titans" -> "y" [], TOLERANCE;
    tnn: "tnn" -> "y" [], TOLERANCE;
    ttt_linear: "ttt_linear" -> "y" [], TOLERANCE;
    yoco: "yoco" -> "y" [], TOLERANCE;
}

/// Mixers that read whole sequences.
macro_rules! whole_mixers {
    ($($test:ident: $name:literal -> $output:literal $set:expr, $tolerance:ident;)*) => { $(
        #[test]
        fn $test() {
            check_whole(Mixer { name: $name, output: $output, set: &$set, tolerance: $tolerance });
        }
    )* };
}

whole_mixers! {
    bidirectional_mamba: "bidirectional_mamba" -> "y" [], TOLERANCE;
    mlm_u: "mlm_u" -> "y" [], TOLERANCE;
    s4nd: "s4nd" -> "y" [], TOLERANCE;
}

#[test]
fn every_folder_of_known_answers_has_a_model_and_every_model_a_folder() {
    let stems = |dir: PathBuf| {
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|e| e.path().file_stem().map(ToOwned::to_owned))
            .collect();
        names.sort();
        names
    };
    let folders = stems(folder().join("mixers"));
    assert_eq!(folders, stems(root().join("specs").join("mixers")));
    assert!(folders.len() >= 40, "{folders:?}");
}

fn check(mixer: Mixer) {
    let (x, y) = (mixer.input(), mixer.expected());
    let evaluated = mixer.evaluate(&x);
    near(mixer, "evaluated", EVALUATOR_TOLERANCE, &evaluated, &y);

    let program = mixer.program();
    let mut ways = vec![vec![], vec![x.len()], vec![1], vec![7], vec![x.len() - 1, 1]];
    ways.extend((0..3).map(|seed| random_cut(mixer.name, seed, x.len())));
    for (at, chunks) in ways.iter().enumerate() {
        let mut args = ["--threads".to_owned(), (1 + at % 2).to_string()].to_vec();
        if !chunks.is_empty() {
            args.extend(["--chunk".to_owned(), list(chunks)]);
        }
        near(
            mixer,
            &format!("chunks {chunks:?}"),
            mixer.tolerance,
            &run(&program, &x, &args),
            &y,
        );
    }
    for cuts in [&[64][..], &[1, 40], &[5, 6, 100]] {
        near(
            mixer,
            &format!("saved at {cuts:?}"),
            mixer.tolerance,
            &in_sessions(&program, &x, cuts),
            &y,
        );
    }
    let off = batch_deviation(&program, &x, x.len() / 3);
    assert!(
        off <= mixer.tolerance,
        "{} {}, in a batch: off by {off:e}",
        mixer.name,
        mixer.output
    );
    let ways = [vec![x.len()], vec![1], random_cut(mixer.name, 3, x.len())];
    not_finite(mixer, &program, x, &ways);
}

/// A mixer that reads whole sequences: by one thread and by several, and of a part of the sequence what the evaluator says of that.
fn check_whole(mixer: Mixer) {
    let (x, y) = (mixer.input(), mixer.expected());
    near(mixer, "evaluated", EVALUATOR_TOLERANCE, &mixer.evaluate(&x), &y);
    let program = mixer.program();
    let threads = |n: usize| ["--threads".to_owned(), n.to_string()];
    for n in 1..=3 {
        near(
            mixer,
            &format!("{n} threads"),
            mixer.tolerance,
            &run(&program, &x, &threads(n)),
            &y,
        );
    }
    for length in [1, 2, x.len() - 1] {
        let part = x.slice(0, length);
        let evaluated = mixer.evaluate(&part);
        near(
            mixer,
            &format!("{length} tokens"),
            mixer.tolerance,
            &run(&program, &part, &threads(2)),
            &evaluated,
        );
    }
    let output = fresh_file("y.safetensors").display().to_string();
    let cut = ["run", "--chunk", "7", "--input"].map(str::to_owned);
    let files = [stream(&x).display().to_string(), "--output".to_owned(), output];
    let refused = program.run(&[&cut[..], &files[..]].concat()).refused();
    assert!(refused.contains("reads its input at once"), "{refused}");
    not_finite(mixer, &program, x, &[vec![]]);
}

/// An entry that is no number goes where the evaluator says, and nowhere else.
fn not_finite(mixer: Mixer, program: &Program, mut x: Rows, ways: &[Vec<usize>]) {
    let (length, width) = (x.len(), x.width);
    for (entry, value) in [(1, f32::NAN), (width - 1, f32::INFINITY)] {
        x.data[(length / 2 + entry) * width + entry] = value;
    }
    let expected = mixer.evaluate(&x);
    for chunks in ways {
        let mut args = vec!["--threads".to_owned(), "2".to_owned()];
        if !chunks.is_empty() {
            args.extend(["--chunk".to_owned(), list(chunks)]);
        }
        let off = run(program, &x, &args).differs(&expected, mixer.tolerance);
        assert_eq!(
            off, None,
            "{} {}, chunks {chunks:?}, with NaN",
            mixer.name, mixer.output
        );
    }
}

/// What `--trace` reports is what the known answers decided.
#[test]
fn decisions_are_reported() {
    let known: &[(&str, &[(&str, &str)])] = &[
        ("block_attention", &[("blocks", "decisions.blocks")]),
        (
            "hash_attention",
            &[
                ("query_bucket", "decisions.query_bucket"),
                ("key_bucket", "decisions.key_bucket"),
                ("selected", "decisions.selected"),
            ],
        ),
        ("longvq", &[("code", "decisions.code")]),
        ("seqboat", &[("active", "decisions.active")]),
    ];
    for (name, reports) in known {
        let mixer = Mixer {
            name,
            output: "y",
            set: &[],
            tolerance: TOLERANCE,
        };
        let (x, program) = (mixer.input(), mixer.program());
        let evaluated = fresh_file("evaluated.safetensors");
        let args = [
            "eval".into(),
            mixer.model(),
            "--input".into(),
            stream(&x),
            "-o".into(),
            evaluated.clone(),
        ];
        command::seqc(&args).ok();
        let traced = fresh_file("traced.safetensors");
        let args = ["run", "--trace", "--chunk", "7", "--input"].map(str::to_owned);
        let files = [
            stream(&x).display().to_string(),
            "--output".into(),
            traced.display().to_string(),
        ];
        program.run(&[&args[..], &files[..]].concat()).ok();
        for (report, decision) in *reports {
            let wanted = read_numbers(&mixer.known(), decision);
            for file in [&evaluated, &traced] {
                let found = read_numbers(file, &format!("trace.{name}.{report}"));
                assert_eq!(found, wanted, "{name}: {report}");
            }
        }
    }
}

fn near(mixer: Mixer, how: &str, tolerance: f32, found: &Rows, expected: &Rows) {
    let off = found.relative(expected);
    assert!(
        off <= tolerance,
        "{} {}, {how}: off by {off:e}",
        mixer.name,
        mixer.output
    );
}

impl Mixer {
    fn known(&self) -> PathBuf {
        folder().join("mixers").join(self.name).join("expected.safetensors")
    }

    fn model(&self) -> PathBuf {
        root().join("specs").join("mixers").join(format!("{}.yaml", self.name))
    }

    fn input(&self) -> Rows {
        Rows::read(&self.known(), "x")
    }

    /// The known answer, f64 in its file.
    fn expected(&self) -> Rows {
        let path = self.known();
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tensor = file
            .tensor(self.output)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(tensor.dtype(), Dtype::F64, "{}", self.output);
        let numbers = tensor
            .data()
            .chunks_exact(8)
            .filter_map(|b| Some(f64::from_le_bytes(b.try_into().ok()?)));
        Rows {
            width: *tensor.shape().last().unwrap_or(&1),
            data: numbers.map(|v| v as f32).collect(),
        }
    }

    fn settings(&self) -> Vec<PathBuf> {
        self.set
            .iter()
            .flat_map(|set| [PathBuf::from("--set"), PathBuf::from(set)])
            .collect()
    }

    /// `seqc eval`.
    fn evaluate(&self, x: &Rows) -> Rows {
        let (input, output) = (stream(x), fresh_file("evaluated.safetensors"));
        let mut args = [
            "eval".into(),
            self.model(),
            "--input".into(),
            input,
            "-o".into(),
            output.clone(),
        ]
        .to_vec();
        args.extend(self.settings());
        command::seqc(&args).ok();
        Rows::read(&output, "y")
    }

    /// The program, built once per process. Its name is not that of a checkpoint's program.
    fn program(&self) -> Program {
        if self.set.is_empty() {
            return built(&format!("mixer-{}", self.name), || self.model());
        }
        let path = seqc_tests::scratch("mixers").join(self.output);
        let mut args = ["build".into(), self.model(), "-o".into(), path.clone()].to_vec();
        args.extend(emulation::target_words());
        args.extend(self.settings());
        command::seqc(&args).ok();
        Program::at(path)
    }
}
