//! A folder for browsers and Node.js: the module, a module of JavaScript around it, a page, and the files of the model.

use super::folder;
use crate::{
    files::Files,
    model::Built,
    request::{Failure, Request},
};
use seqc_checkpoint::output;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Texts that are the same for all models.
const TEXTS: &[(&str, &str)] = &[
    ("seqc.js", include_str!("../../bindings/web/seqc.js")),
    ("seqc.d.ts", include_str!("../../bindings/web/seqc.d.ts")),
    ("files.js", include_str!("../../bindings/web/files.js")),
    ("wasi.js", include_str!("../../bindings/web/wasi.js")),
    ("index.html", include_str!("../../bindings/web/index.html")),
];

/// The module in the folder.
const MODULE: &str = "model.wasm";

/// Whether the folder may be written: it is empty, or such a folder.
///
/// # Errors
///
/// Other contents.
pub(crate) fn check(request: &Request) -> Result<(), Failure> {
    if request.output == Path::new("-") {
        return Err(Failure::Usage(
            "a folder is not written to standard output: name it with -o".to_owned(),
        ));
    }
    folder::check(request, "module", &request.output.join(MODULE))
}

/// Writes the folder; gives its path.
///
/// # Errors
///
/// The first file that cannot be read or written.
pub(crate) fn write(module: &[u8], built: &Built, request: &Request, files: &Files) -> Result<PathBuf, Failure> {
    let folder = &request.output;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        output::write(&path, &built.inputs, bytes).map_err(|error| Failure::Write(error.to_string()))
    };
    make(folder)?;
    let mut listed = Vec::new();
    for (name, source) in &files.beside {
        let path = folder.join(name);
        make(path.parent().unwrap_or(folder))?;
        let (bytes, digest) = copy(source, &path).map_err(|error| wrong(source, &error))?;
        listed.push(json!({"name": name, "bytes": bytes, "digest": digest}));
    }
    let about = json!({"version": 1, "weights": files.weights, "files": listed});
    put("model.json", format!("{about:#}\n").as_bytes())?;
    put(MODULE, module)?;
    for (name, text) in TEXTS {
        put(name, text.as_bytes())?;
    }
    Ok(folder.clone())
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| wrong(folder, &error))
}

fn wrong(path: &Path, error: &io::Error) -> Failure {
    Failure::Write(format!("{}: {}", path.display(), output::reason(error)))
}

/// Copies a file, if it is not there already; gives its bytes and their digest.
fn copy(from: &Path, to: &Path) -> io::Result<(u64, String)> {
    let found = digest(from, &mut io::sink())?;
    if File::open(to).is_err() || digest(to, &mut io::sink())? != found {
        let mut part = output::Output::create(to, &[from]).map_err(io::Error::other)?;
        digest(from, &mut part)?;
        part.commit().map_err(io::Error::other)?;
    }
    Ok(found)
}

/// The bytes of a file and their digest; they are copied as they are read.
fn digest(path: &Path, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut file, mut hash, mut all) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        all += count as u64;
    }
    let digest = hash.finalize();
    Ok((all, digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()))
}
