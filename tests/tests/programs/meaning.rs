//! Compiled programs against the evaluator, which defines what a graph means: on layers of this suite only.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, tensor::TensorView};
use seqc_ir::{
    Model,
    eval::{EvalError, ModelEvaluator, Tensor},
};

use seqc_tests::{
    command, document,
    program::{Program, Way},
    root,
    rows::Rows,
};

/// max |difference| / max |reference| between f32 and double precision.
const TOLERANCE: f32 = 5e-5;
/// The same between two ways of cutting a sequence.
const CUT_TOLERANCE: f32 = 1e-5;

/// Shape and values of every parameter, by the name under which a program looks for it.
type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

macro_rules! layers {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )* };
}

layers! {
    axes_in_any_order, between_keys, bilinear, block_attention, chained_memories, checkpoints, codes_and_window, counters, cumulative, driven_spread, echo_loop, echoes, experts, fading_maximum, feature, forgetting,
    gated_keys, gated_state, hashed_positions, heads_added_up, largest, named_blocks, last_values, long_memory, matrix_memory, memory_of_segments, multiscale, opened, paragraphs, pool_of_notes, products_of_inputs, random_keys, ring, running_mean,
    second_order, selection_in_two_steps, shift_register, sigmoid_attention, single_memory, slow_and_fast, soft_max_memory, spiral, start_value, turning_average, two_emas,
    thirty_two, two_clocks,
    two_filters, unnamed_clocks, viterbi, whole_numbers, wide,
}

#[test]
fn every_layer_of_the_suite_is_tried() {
    let here = fs::read_to_string(root().join("tests/tests/programs/meaning.rs")).unwrap_or_default();
    for entry in fs::read_dir(root().join("tests/layers"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry
            .path()
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        assert!(
            here.contains(&name),
            "tests/layers/{name}.seq is not in the list of `layers!`"
        );
    }
}

fn check(name: &str) {
    let dir = seqc_tests::scratch(&format!("meaning-{name}"));
    let file = format!("{name}.seq");
    let layer = root().join("tests/layers").join(&file);
    let text = fs::read_to_string(&layer).unwrap_or_else(|error| panic!("{}: {error}", layer.display()));
    write(&dir.join(&file), text.as_bytes());
    let head = document::head(&text).unwrap_or_else(|| panic!("{file} defines nothing"));
    let random = document::trial(&head, &file);
    let model = graph(&dir, &random);
    let weights = weights(&model);
    write_weights(&dir.join("weights.safetensors"), &weights);
    let path = dir.join("model.yaml");
    write(
        &path,
        random.replace("{random: 7}", "{file: weights.safetensors}").as_bytes(),
    );
    let program = Program::build(&path, &dir.join("program"));
    let tokens: Vec<i64> = (0..53).map(|i| (i * i * 31 + 7 * i + 3) % 64).collect();
    let expected = evaluate(&model, &weights, &tokens);
    let whole = program.logits(
        &tokens,
        Way {
            chunks: &[tokens.len()],
            ..Way::default()
        },
    );
    let off = whole.relative(&expected);
    assert!(off <= TOLERANCE, "{name}: off from the evaluator by {off:e}");
    for (chunks, threads) in [(&[1][..], 1), (&[7], 2), (&[16], 1), (&[3, 1, 20], 2)] {
        let off = program
            .logits(
                &tokens,
                Way {
                    chunks,
                    threads,
                    ..Way::default()
                },
            )
            .relative(&whole);
        assert!(off <= CUT_TOLERANCE, "{name}, chunks {chunks:?}: off by {off:e}");
    }
    let off = restored(&program, &dir.join("state"), &tokens, 21).relative(&whole);
    assert!(off <= CUT_TOLERANCE, "{name}, saved in the middle: off by {off:e}");
    not_finite(name, &program, &model, weights, &dir.join("weights.safetensors"));
}

/// An embedding that is no number goes where the evaluator says, and nowhere else.
fn not_finite(name: &str, program: &Program, model: &Model, mut weights: Weights, path: &Path) {
    let (_, embeddings) = weights
        .get_mut("embed.weight")
        .unwrap_or_else(|| panic!("no embeddings"));
    embeddings[63 * 32 + 5] = f32::NAN;
    write_weights(path, &weights);
    let mut tokens: Vec<i64> = (0..53).map(|i| (i * i * 31 + 7 * i + 3) % 63).collect();
    tokens[20] = 63;
    let expected = evaluate(model, &weights, &tokens);
    assert!(expected.data[..20 * 64].iter().all(|v| v.is_finite()) && !expected.data[20 * 64].is_finite());
    for (chunks, threads) in [(&[53][..], 1), (&[1], 1), (&[7], 2), (&[3, 1, 20], 2)] {
        let way = Way {
            chunks,
            threads,
            ..Way::default()
        };
        let off = program.logits(&tokens, way).differs(&expected, TOLERANCE);
        assert_eq!(off, None, "{name}, chunks {chunks:?}, with an embedding that is NaN");
    }
}

/// The outputs of two processes: the second goes on from what the first saved after `cut` tokens.
fn restored(program: &Program, state: &Path, tokens: &[i64], cut: usize) -> Rows {
    let way = Way {
        save: Some(state),
        ..Way::default()
    };
    let first = program.logits(&tokens[..cut], way);
    let way = Way {
        load: Some(state),
        ..Way::default()
    };
    first.then(&program.logits(&tokens[cut..], way))
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The model's graphs, as `--emit graph` writes them.
fn graph(dir: &Path, yaml: &str) -> Model {
    let (model, emitted) = (dir.join("random.yaml"), dir.join("model.graph"));
    write(&model, yaml.as_bytes());
    let args = [
        "build".into(),
        model,
        "--emit".into(),
        "graph".into(),
        "-o".into(),
        emitted.clone(),
    ];
    command::seqc::<PathBuf>(&args).ok();
    let text = fs::read_to_string(&emitted).unwrap_or_else(|error| panic!("{}: {error}", emitted.display()));
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", emitted.display()))
}

/// Values for every parameter, by the name under which a program looks for it.
fn weights(model: &Model) -> Weights {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    let mut all = BTreeMap::new();
    for call in &model.calls {
        for (source, port) in call.params.iter().zip(&model.graph(call).params) {
            let shape = port.ty.sizes();
            let scale = shape
                .last()
                .map_or(1.0, |fan_in| (3.0 / *fan_in as f32).sqrt().min(1.0));
            let count = shape.iter().product();
            all.entry(key(source))
                .or_insert_with(|| (shape, (0..count).map(|_| scale * next()).collect()));
        }
    }
    all
}

fn key(source: &seqc_ir::ParamSource) -> String {
    source.tensors.first().unwrap_or(&source.name).clone()
}

fn write_weights(path: &Path, weights: &Weights) {
    let bytes: Vec<Vec<u8>> = weights
        .values()
        .map(|(_, data)| data.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = weights.iter().zip(&bytes).map(|((name, (shape, _)), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name.clone(), view)
    });
    let file = safetensors::serialize(views, None).unwrap_or_else(|error| panic!("{error}"));
    write(path, &file);
}

fn evaluate(model: &Model, weights: &Weights, tokens: &[i64]) -> Rows {
    let parameter = |call: usize, parameter: usize| -> Result<Tensor, EvalError> {
        let (shape, data) = &weights[&key(&model.calls[call].params[parameter])];
        Ok(Tensor::new(shape, data.iter().map(|v| f64::from(*v)).collect()))
    };
    let mut evaluator = ModelEvaluator::new(model, parameter).unwrap_or_else(|error| panic!("{error}"));
    let mut rows = Rows {
        width: 0,
        data: Vec::new(),
    };
    for token in tokens {
        let results = evaluator
            .step(&[Tensor::scalar(*token as f64)])
            .unwrap_or_else(|error| panic!("{error}"));
        rows.width = results[0].data.len();
        rows.data.extend(results[0].data.iter().map(|v| *v as f32));
    }
    rows
}
