//! Checkpoints in smaller encodings: which tensors of a model can have one, and the GGUF file of all.

mod importance;

pub(crate) use importance::Importance;

use crate::{
    backend,
    diag::{Diagnostic, Placed},
    model::Built,
    names::fits,
    source::{FileId, Place, Sources},
};
use seqc_checkpoint::{Checkpoint, Keys, Planned, TensorRef, base};
use seqc_formats::Encoding;
use seqc_grammar::yaml::parse_yaml;
use seqc_passes::plan::native_params;
use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
};

/// Weights that a thread encodes at once.
const PART: usize = 1 << 22;
/// How much smaller than the largest matrix of its layer one is that stays as it is where no rule is for it: routers, biases of experts.
const SMALL: usize = 100;
/// Root of the mean squared error over that of the numbers from which on a tensor is refused; that of two bits is a quarter to a third.
const MOST_OFF: f64 = 0.5;

/// Which encoding tensors get.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Of those that no rule is for.
    pub(crate) encoding: Encoding,
    /// Patterns of names, of which the first that fits counts.
    pub(crate) named: Vec<(String, Encoding)>,
    /// How much the columns of matrices count, where that was measured.
    pub(crate) importance: Importance,
}

/// An encoding by the name that users write.
pub(crate) fn encoding(name: &str) -> Result<Encoding, String> {
    // Files of GGUF are written.
    let written = || Encoding::all_native().filter(|encoding| encoding.ggml().is_some());
    let found = written().find(|encoding| encoding.name() == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = written().map(Encoding::name).collect();
        format!("there is no type `{name}` of weights; there are {}", known.join(", "))
    })
}

/// The rules of a YAML file: patterns of tensor names, in which `*` stands for any letters, and their types.
pub(crate) fn rules(file: FileId, sources: &Sources) -> Result<Vec<(String, Encoding)>, Vec<Diagnostic>> {
    if sources.text(file).trim().is_empty() {
        return Ok(Vec::new());
    }
    let (root, problems) = parse_yaml(file, sources.text(file));
    if !problems.is_empty() {
        return Err(problems);
    }
    let Some(root) = root else { return Ok(Vec::new()) };
    let wrong = |span, message: String| {
        let d = Diagnostic::new("unknown-type", Place::new(file, span), message);
        d.help("a line of rules looks like `\"*embed*\": q6_k`")
    };
    let Some(entries) = root.entries() else {
        let message = format!(
            "patterns of tensor names and their types are expected, not {}",
            root.what()
        );
        return Err(vec![wrong(root.span, message)]);
    };
    let rule = |(pattern, value): &(seqc_grammar::yaml::Key, seqc_grammar::yaml::Node)| {
        let found = encoding(value.text().unwrap_or_default()).map_err(|message| wrong(value.span, message))?;
        Ok((pattern.text.clone(), found))
    };
    entries.iter().map(|entry| rule(entry).map_err(|d| vec![d])).collect()
}

/// What was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Tensors that got another encoding.
    pub(crate) tensors: usize,
    /// Those of them whose rows are not whole blocks of the encoding that was asked for, which got a similar one.
    pub(crate) similar: usize,
    /// Matrices that stay as they are: their rows fit no block, or they are read transposed.
    pub(crate) left: Vec<String>,
    /// Matrices that stay as they are, since they are small beside others of their layer.
    pub(crate) small: usize,
    /// Bytes of the file.
    pub(crate) bytes: usize,
}

/// Why nothing is written: the code of the message, and the message.
pub(crate) struct Refusal(pub(crate) &'static str, pub(crate) String);

/// All tensors of a checkpoint, each with the encoding that it gets.
pub(crate) struct Quantised<'m> {
    checkpoint: &'m Checkpoint,
    keys: Keys,
    plans: Vec<Planned<'m>>,
    importance: &'m Importance,
    written: Written,
}

/// What the model reads as matrices or tables alone gets the encoding that the rules say, all else stays as it is.
pub(crate) fn quantised<'m>(built: &'m Built, rules: &'m Rules) -> Result<Quantised<'m>, Refusal> {
    let Some(checkpoint) = &built.tensors.checkpoint else {
        let message = "the model has no checkpoint whose weights could be quantised";
        return Err(Refusal("no-weights", message.to_owned()));
    };
    let matrices = matrices(built);
    let mut written = Written::default();
    let mut plans = Vec::new();
    for name in checkpoint.names() {
        let Some(tensor) = checkpoint.get(name) else { continue };
        let encoding = match matrices.get(name) {
            Some(matrix) => chosen(&tensor, *matrix, rules, &mut written),
            None => kept(&tensor),
        };
        let shape = tensor.shape.clone();
        plans.push(Planned { name, shape, encoding });
    }
    let unknown = rules
        .named
        .iter()
        .find(|(pattern, _)| !matrices.keys().any(|name| fits(pattern, name)));
    if let Some((pattern, _)) = unknown {
        let message = format!(
            "the rule for `{pattern}` fits no matrix of the model; `seqc inspect` lists the tensors that matrices are read from"
        );
        return Err(Refusal("usage", message));
    }
    Ok(Quantised {
        keys: keys(built, checkpoint),
        checkpoint,
        plans,
        importance: &rules.importance,
        written,
    })
}

impl Quantised<'_> {
    /// Writes them to a GGUF file.
    pub(crate) fn write(self, out: &mut impl Write) -> Result<Written, Refusal> {
        let failed = |error: std::io::Error| Refusal("write", error.to_string());
        let head = self.keys.head(&self.plans).map_err(|why| Refusal("bad-type", why))?;
        out.write_all(&head).map_err(failed)?;
        let mut written = Written {
            bytes: head.len(),
            ..self.written
        };
        for plan in &self.plans {
            let Some(tensor) = self.checkpoint.get(plan.name) else {
                continue;
            };
            let columns = plan.shape.last().copied().unwrap_or(1);
            let importance = self.importance.of(plan.name, columns);
            let count = data(&tensor, plan.encoding, importance, out)?;
            let padded = count.next_multiple_of(self.keys.alignment());
            out.write_all(&vec![0; padded - count]).map_err(failed)?;
            written.bytes += padded;
        }
        out.flush().map_err(failed)?;
        Ok(written)
    }
}

/// How the parameters of a model read a tensor that they have as a matrix or a table alone.
#[derive(Clone, Copy, Debug, Default)]
struct Matrix {
    /// One of them reads it transposed.
    transposed: bool,
    /// One of them is not small beside the others of its layer.
    large: bool,
}

/// Tensors that every parameter which reads them, or a part of them, has as a matrix or a table.
fn matrices(built: &Built) -> BTreeMap<&str, Matrix> {
    let canonical = backend::canonical(&built.model);
    let native: Vec<Vec<bool>> = canonical.kinds.iter().map(|kind| native_params(&kind.graph)).collect();
    let checkpoint = built.tensors.checkpoint.as_ref();
    let (mut found, mut others) = (BTreeMap::<&str, Matrix>::new(), HashSet::new());
    for call in &built.model.calls {
        let kind = call.kind.0 as usize;
        let sizes: Vec<usize> = built.model.kinds[kind]
            .graph
            .params
            .iter()
            .map(|port| port.ty.len())
            .collect();
        let largest = sizes.iter().copied().max().unwrap_or(0);
        for ((source, native), size) in call.params.iter().zip(&native[kind]).zip(sizes) {
            for reference in &source.tensors {
                let name = base(reference);
                if !native {
                    others.insert(name);
                    continue;
                }
                let tensor = checkpoint.and_then(|checkpoint| checkpoint.get(reference));
                let matrix = found.entry(name).or_default();
                matrix.transposed |= tensor.is_some_and(|tensor| tensor.transposed);
                matrix.large |= size.saturating_mul(SMALL) >= largest;
            }
        }
    }
    found.retain(|name, _| !others.contains(name));
    found
}

/// The encoding that a matrix gets. The blocks of one that is read transposed would be torn apart: it gets none in blocks.
fn chosen(tensor: &TensorRef, matrix: Matrix, rules: &Rules, written: &mut Written) -> Encoding {
    let rule = rules.named.iter().find(|(pattern, _)| fits(pattern, tensor.name));
    if rule.is_none() && !matrix.large {
        written.small += 1;
        return kept(tensor);
    }
    let wanted = rule.map_or(rules.encoding, |(_, encoding)| *encoding);
    let last = tensor.shape.last().copied().unwrap_or(1);
    let fitting = [Some(wanted), similar(wanted)].into_iter().flatten();
    let whole =
        |encoding: &Encoding| last.is_multiple_of(encoding.block()) && (!matrix.transposed || encoding.block() == 1);
    let Some(found) = { fitting }.find(whole) else {
        written.left.push(tensor.name.to_owned());
        return kept(tensor);
    };
    if found != tensor.encoding {
        written.tensors += 1;
        written.similar += usize::from(found != wanted);
    }
    found
}

/// The encoding of a tensor that stays as it is: f32 for those that GGUF files do not hold.
fn kept(tensor: &TensorRef) -> Encoding {
    match tensor.encoding.ggml() {
        Some(_) => tensor.encoding,
        None => Encoding::F32,
    }
}

/// An encoding of short blocks with as many bits or one more.
fn similar(encoding: Encoding) -> Option<Encoding> {
    match encoding {
        Encoding::Q2_K | Encoding::Q3_K => Some(Encoding::Q4_0),
        Encoding::Q4_K => Some(Encoding::Q5_0),
        Encoding::Q5_K => Some(Encoding::Q5_1),
        Encoding::Q6_K => Some(Encoding::Q8_0),
        Encoding::Iq4_Xs => Some(Encoding::Iq4_Nl),
        _ => None,
    }
}

/// What the file says of itself: all that the checkpoint says, where that is a GGUF file, whose tokenizer stays in it.
fn keys(built: &Built, checkpoint: &Checkpoint) -> Keys {
    let mut keys = match checkpoint.gguf() {
        Some(metadata) => Keys::of(metadata, &["general.file_type", "general.quantization_version"]),
        None => {
            let mut keys = Keys::default();
            keys.push_text("general.architecture", "seqc");
            keys.push_text("general.name", &built.meta.name);
            keys
        }
    };
    keys.push_number("general.quantization_version", 2);
    keys
}

/// Writes the data of a tensor; gives its bytes.
fn data(
    tensor: &TensorRef,
    encoding: Encoding,
    importance: Option<&[f32]>,
    out: &mut impl Write,
) -> Result<usize, Refusal> {
    let failed = |error: std::io::Error| Refusal("write", error.to_string());
    let wrong = |message: String| Refusal("bad-tensor", message);
    if encoding == tensor.encoding {
        out.write_all(&tensor.stored()).map_err(failed)?;
        return Ok(tensor.stored_bytes());
    }
    let numbers = tensor.to_f32().map_err(|error| wrong(error.to_string()))?;
    if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
        let (name, found) = (tensor.name, numbers[at]);
        return Err(wrong(format!(
            "`{name}` has {found} at entry {at}: it cannot be quantised"
        )));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // A thread begins with a block, and where columns count differently with a row.
    let block = importance.map_or(encoding.block(), <[f32]>::len);
    let part = (numbers.len() / threads + 1).min(PART).next_multiple_of(block);
    let (mut count, mut off) = (0, Off::default());
    let mut parts = numbers.chunks(part).peekable();
    while parts.peek().is_some() {
        let encoded: Vec<Option<(Vec<u8>, Off)>> = std::thread::scope(|scope| {
            let running: Vec<_> = { &mut parts }
                .take(threads)
                .map(|part| scope.spawn(move || encoded(part, encoding, importance)))
                .collect();
            running.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        for part in encoded {
            let (bytes, part) =
                part.ok_or_else(|| wrong(format!("`{}` cannot be stored as {encoding}", tensor.name)))?;
            off.squares += part.squares;
            off.all += part.all;
            out.write_all(&bytes).map_err(failed)?;
            count += bytes.len();
        }
    }
    let share = (off.squares / off.all.max(f64::MIN_POSITIVE)).sqrt();
    if share.is_nan() || share > MOST_OFF {
        let size = (off.all / numbers.len() as f64).sqrt();
        return Err(wrong(format!(
            "`{}` cannot be stored as {encoding}: its numbers, about {size:.0e}, are beyond what that holds; give it another type by a rule, such as bf16",
            tensor.name
        )));
    }
    Ok(count)
}

/// Sums of squares: of the errors, and of the numbers.
#[derive(Clone, Copy, Default)]
struct Off {
    squares: f64,
    all: f64,
}

/// The bytes of numbers, and how far they are off.
fn encoded(numbers: &[f32], encoding: Encoding, importance: Option<&[f32]>) -> Option<(Vec<u8>, Off)> {
    let bytes = match importance {
        Some(importance) => encoding.encode_rows(numbers, importance)?,
        None => encoding.encode(numbers)?,
    };
    let mut decoded = Vec::with_capacity(numbers.len());
    encoding.decode(&bytes, &mut decoded);
    let square = |x: f32| f64::from(x).powi(2);
    let off = Off {
        squares: numbers.iter().zip(&decoded).map(|(a, b)| square(a - b)).sum(),
        all: numbers.iter().map(|x| square(*x)).sum(),
    };
    Some((bytes, off))
}
