//! Random models as programs for other processors than this machine's: in user-mode emulation, and as WebAssembly under wasmtime, they
//! compute what the evaluator says.

use crate::{
    generated::{MAX_CHUNK, TOGETHER, TOLERANCE, cases, distance, either_form, lowered, reference, settings},
    sequences::TOKENS,
    support::executable,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use seqc_abi::{Descriptor, Elem, Family};
use seqc_backends::{
    code::{Form, objects, texts},
    link::{Runtime, link_exe},
    lower::Program,
    mlir::Target,
    scratch::Folder,
};
use seqc_ir::{eval::Tensor, random::RandomModel};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// User-mode emulation of a family of processors, of Debian's `qemu-user-static`; for WebAssembly a script that calls wasmtime.
fn emulator(family: Family) -> PathBuf {
    if family == Family::Wasm {
        return Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/wasi.py");
    }
    let name = format!("qemu-{}", family.architecture());
    let places = ["-static", ""].map(|ending| Path::new("/usr/bin").join(format!("{name}{ending}")));
    let found = places.iter().find(|path| path.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is missing: scripts/setup.sh installs qemu-user-static"));
    found.clone()
}

/// What programs for a family are linked with, built where that is not done yet.
fn runtime(family: Family) -> Runtime {
    static BUILT: Mutex<BTreeMap<Family, Runtime>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().expect("no test failed meanwhile");
    let build = || {
        let exe = std::env::current_exe().expect("this test has a path");
        let target_dir = exe.ancestors().nth(3).expect("it is in a target directory");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(root)
            .args(["run", "--quiet", "--package", "seqc-archive", "--target-dir"]);
        cargo.arg(target_dir).args(["--", "--quick", family.name()]);
        cargo.arg(target_dir.join("lib").join("seqc-quick"));
        let output = cargo.output().expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = String::from_utf8(output.stdout).expect("a path");
        Runtime::in_folder(family, Path::new(folder.trim())).unwrap_or_else(|error| panic!("{error}"))
    };
    built.entry(family).or_insert_with(build).clone()
}

/// A program with its weights and inputs in files.
struct Emulated {
    emulator: PathBuf,
    folder: Folder,
    program: PathBuf,
    descriptor: Descriptor,
}

impl Emulated {
    fn new(random: &RandomModel, target: &Target, seed: u64) -> Emulated {
        let Program { module, descriptor } =
            lowered(random, target, settings(target, seed, MAX_CHUNK, either_form(seed)));
        let descriptor = named(descriptor);
        let folder = Folder::new().expect("a folder");
        let values: Vec<Tensor> = random.param_values(seed).into_iter().flatten().collect();
        let slots = descriptor.params.iter().zip(&values);
        let tensors = slots.map(|(slot, value)| Stored::reals(&slot.tensors[0], slot.shape.clone(), &value.data));
        write(&folder.file("weights.safetensors"), &tensors.collect::<Vec<_>>());
        let form = Form {
            target: target.clone(),
            module,
            descriptor: descriptor.clone(),
        };
        let texts = texts(vec![form]).expect("a descriptor is JSON");
        let objects = objects(&texts).unwrap_or_else(|error| panic!("{error}"));
        let linked = link_exe(&objects, &runtime(target.family())).unwrap_or_else(|error| panic!("{error}"));
        let program = folder.file("program");
        executable(&program, &linked);
        Emulated {
            emulator: emulator(target.family()),
            folder,
            program,
            descriptor,
        }
    }

    /// Results of all tokens by token and output, as `run` with these arguments writes them.
    fn run(&self, inputs: &[Vec<Tensor>], args: &str) -> Vec<Vec<Vec<f64>>> {
        let (given, results) = (self.folder.file("in.safetensors"), self.folder.file("out.safetensors"));
        let stream = |n: usize| {
            let stream = &self.descriptor.inputs[n];
            let shape = [inputs.len()].into_iter().chain(stream.shape.iter().copied()).collect();
            let data: Vec<f64> = inputs.iter().flat_map(|row| row[n].data.iter().copied()).collect();
            match stream.elem {
                Elem::F32 => Stored::reals(&stream.name, shape, &data),
                Elem::I64 => Stored::integers(&stream.name, shape, &data),
            }
        };
        let streams = 0..self.descriptor.inputs.len();
        write(&given, &streams.map(stream).collect::<Vec<_>>());
        let mut command = Command::new(&self.emulator);
        command
            .arg(&self.program)
            .args(["run", "--quiet", "--input"])
            .arg(&given);
        command.arg("--output").arg(&results).args(args.split_whitespace());
        let output = command.output().expect("the emulator starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.read(&results, inputs.len())
    }

    fn read(&self, results: &Path, tokens: usize) -> Vec<Vec<Vec<f64>>> {
        let bytes = fs::read(results).expect("results");
        let file = SafeTensors::deserialize(&bytes).expect("tensors");
        let outputs = self.descriptor.outputs.iter().map(|output| {
            let tensor = file.tensor(&output.name).expect("every output");
            let word = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            tensor.data().chunks_exact(4).map(word).collect::<Vec<f64>>()
        });
        let outputs: Vec<Vec<f64>> = outputs.collect();
        let row = |t: usize, all: &Vec<f64>| all[t * all.len() / tokens..(t + 1) * all.len() / tokens].to_vec();
        (0..tokens)
            .map(|t| outputs.iter().map(|all| row(t, all)).collect())
            .collect()
    }
}

/// A descriptor with what the compiler adds to it: where weights are.
fn named(mut descriptor: Descriptor) -> Descriptor {
    for (n, slot) in descriptor.params.iter_mut().enumerate() {
        slot.tensors = vec![format!("p{n}")];
    }
    Descriptor {
        weights: Some("weights.safetensors".to_owned()),
        ..descriptor
    }
}

/// A tensor of a file.
struct Stored {
    name: String,
    ty: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn reals(name: &str, shape: Vec<usize>, data: &[f64]) -> Stored {
        Stored {
            name: name.to_owned(),
            ty: Dtype::F32,
            shape,
            bytes: data.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        }
    }

    fn view(&self) -> (String, TensorView<'_>) {
        let view = TensorView::new(self.ty, self.shape.clone(), &self.bytes);
        (self.name.clone(), view.expect("a tensor"))
    }

    fn integers(name: &str, shape: Vec<usize>, data: &[f64]) -> Stored {
        Stored {
            name: name.to_owned(),
            ty: Dtype::I64,
            shape,
            bytes: data.iter().flat_map(|x| (*x as i64).to_le_bytes()).collect(),
        }
    }
}

fn write(path: &Path, tensors: &[Stored]) {
    let bytes = safetensors::serialize(tensors.iter().map(Stored::view), None).expect("a file of tensors");
    fs::write(path, bytes).expect("written");
}

/// Threads that meet, where there are several.
fn threads(family: Family) -> u32 {
    match family {
        Family::X86_64 | Family::Aarch64 | Family::Cuda | Family::CudaEmulated => 2,
        Family::Wasm => 1,
    }
}

/// Compares some random models; gives the message of a difference.
fn check(seed: u64, target: &Target) -> Option<String> {
    let random = crate::generated::together(seed..seed + TOGETHER);
    let inputs = random.input_values(seed + 1, TOKENS);
    let expected = reference(&random, seed, &inputs);
    let program = Emulated::new(&random, target, seed);
    let ways = [
        format!("--chunk {MAX_CHUNK} --threads 1"),
        "--chunk 1 --threads 1".to_owned(),
        format!("--chunk 7,1,16,2 --threads {}", threads(target.family())),
    ];
    for way in ways {
        let found = program.run(&inputs, &way);
        for n in 0..expected[0].len() {
            let off = distance(&found, &expected, n);
            if off > TOLERANCE {
                return Some(format!("seed {}, {way}: off by {off:e}", seed + n as u64));
            }
        }
    }
    None
}

/// Random models from a seed on, for the least level of a family: levels differ in products with weights that these do not have.
fn check_from(first: u64, family: Family) {
    let target = Target::of(family.least());
    let seeds = (first..first + cases(200) / 12).step_by(TOGETHER as usize);
    let wrong: Vec<String> = seeds.filter_map(|seed| check(seed, &target)).collect();
    assert!(wrong.is_empty(), "{} models differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_models_compute_the_same_on_aarch64() {
    check_from(40_000, Family::Aarch64);
}

#[test]
fn random_models_compute_the_same_in_webassembly() {
    check_from(50_000, Family::Wasm);
}
