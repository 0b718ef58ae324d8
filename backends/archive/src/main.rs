//! `seqc-archive FAMILY`: builds what programs and libraries for another machine than this one are linked with, and puts it where `seqc` looks
//! for it.

use seqc_archive::{Effort, FAMILIES, Family, build, fingerprint, self_contained};
use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

/// How it is called.
const USAGE: &str = "usage: seqc-archive [--quick] FAMILY [FOLDER]";

/// What it is asked for.
struct Request {
    family: Family,
    effort: Effort,
    /// Where folders of families are; `None`: where a `seqc` beside this program looks for them.
    folder: Option<PathBuf>,
}

impl Request {
    fn of(mut words: Vec<String>) -> Option<Request> {
        let quick = words.first().is_some_and(|word| word == "--quick");
        if quick {
            words.remove(0);
        }
        let (name, folder) = match words.as_slice() {
            [name] => (name, None),
            [name, folder] => (name, Some(PathBuf::from(folder))),
            _ => return None,
        };
        Some(Request {
            family: *FAMILIES.iter().find(|family| family.name == name)?,
            effort: if quick { Effort::Quick } else { Effort::Whole },
            folder,
        })
    }
}

fn main() -> ExitCode {
    let Some(request) = Request::of(env::args().skip(1).collect()) else {
        let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        eprintln!("{USAGE}; families are {}", names.join(", "));
        return ExitCode::from(2);
    };
    match collect(request) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds both forms and copies them, the C library and the fingerprint of the sources to a folder of the family's name, whose path it gives.
/// The fingerprint is written last: a folder without it is not complete.
fn collect(request: Request) -> Result<PathBuf, Box<dyn Error>> {
    let family = request.family;
    let backends = Path::new(env!("CARGO_MANIFEST_DIR"));
    let backends = backends.parent().ok_or("no folder of the source")?;
    let exe = env::current_exe()?;
    let target_dir = exe.ancestors().nth(2).ok_or("no target directory")?;
    let folder = request.folder.unwrap_or_else(|| target_dir.join("lib").join("seqc"));
    let folder = folder.join(family.name);
    let stamp = fingerprint(backends)?;
    fs::create_dir_all(&folder)?;
    for form in family.forms() {
        let archive = build(
            &form,
            family,
            request.effort,
            backends,
            &target_dir.join("seqc-runtime"),
        )?;
        put(&fs::read(&archive)?, &folder.join(form.archive))?;
    }
    for part in family.parts {
        put(&fs::read(self_contained(family)?.join(part))?, &folder.join(part))?;
    }
    put(stamp.as_bytes(), &folder.join("sources"))?;
    Ok(folder)
}

/// Writes a file at once, if it is another one: somebody may be reading it.
fn put(bytes: &[u8], to: &Path) -> Result<(), Box<dyn Error>> {
    if fs::read(to).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let part = to.with_extension(format!("part{}", process::id()));
    fs::write(&part, bytes).map_err(|error| format!("{}: {error}", part.display()))?;
    fs::rename(&part, to).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(())
}
