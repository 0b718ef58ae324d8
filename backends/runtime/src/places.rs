//! Where the files of a program are: inside it, where its model named them, beside it, or in a folder that the user names.

mod own;

pub(crate) use own::own_file;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use seqc_abi::Descriptor;
use seqc_checkpoint::{Bundle, Source};

use crate::{Error, Result};

/// How users name another file, in a program and in a library.
pub(crate) fn how_to_name(what: &str) -> String {
    match cfg!(feature = "program") {
        true => format!("--{what} PATH"),
        false => format!("`{what}` where the model is opened"),
    }
}

/// The checkpoint: what was asked for, or what the program names; `None` where nothing is named.
pub(crate) fn weights(descriptor: &Descriptor, asked: Option<&Path>) -> Result<Option<Source>> {
    let named = descriptor.weights.as_deref();
    let Some(asked) = asked else {
        return named.map(|named| find(descriptor, named, None, "weights")).transpose();
    };
    if !asked.exists() {
        return Err(Error::input(format!("{}: no such file", asked.display())));
    }
    let in_folder = named.and_then(name_of).map(|name| asked.join(name));
    let found = in_folder.filter(|path| asked.is_dir() && path.exists());
    Ok(Some(Source::Disk(found.unwrap_or_else(|| asked.to_owned()))))
}

/// The tokenizer that the program names, which may lie in the folder of weights that was asked for.
pub(crate) fn tokenizer(descriptor: &Descriptor, weights: Option<&Path>) -> Result<Option<Source>> {
    let named = descriptor.tokenizer.as_deref();
    named
        .map(|named| find(descriptor, named, weights, "tokenizer"))
        .transpose()
}

/// A tokenizer's file with its folder, whose other files belong to it.
pub(crate) fn with_folder(tokenizer: &Path) -> impl Iterator<Item = PathBuf> {
    [Some(tokenizer), tokenizer.parent()]
        .into_iter()
        .flatten()
        .map(Path::to_owned)
}

/// The files inside this program.
///
/// # Errors
///
/// A program that lost them.
pub(crate) fn inside() -> Result<Arc<Bundle>> {
    let lost = |why: String| Error::Failed(format!("the files that were built into the program are gone: {why}"));
    let path = own_file().ok_or_else(|| lost("its own file cannot be found".to_owned()))?;
    let bundle = own::bundle(&path)?;
    let bundle = bundle.ok_or_else(|| lost(format!("{} was stripped or cut short", path.display())))?;
    Ok(Arc::new(bundle))
}

/// A file that the program names. The error lists where it was looked for.
fn find(descriptor: &Descriptor, named: &str, more: Option<&Path>, what: &str) -> Result<Source> {
    if descriptor.inside {
        return Ok(Source::Inside(inside()?, named.to_owned()));
    }
    let program = own_file();
    let home = program.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let places = places(named, home, more);
    if let Some(found) = places.iter().find(|path| path.exists()) {
        return Ok(Source::Disk(found.clone()));
    }
    let listed: String = places.iter().map(|path| format!("\n  {}", path.display())).collect();
    Err(Error::input(format!(
        "the {what} `{named}` that the program names cannot be found; looked for{listed}\n{} names another place",
        how_to_name(what)
    )))
}

/// As named, beside the program, in the other folder; every place once.
fn places(named: &str, home: &Path, more: Option<&Path>) -> Vec<PathBuf> {
    let mut places = vec![home.join(named)];
    for folder in [Some(home), more].into_iter().flatten() {
        let place = name_of(named).map(|name| folder.join(name));
        places.extend(place.filter(|place| !places.contains(place)));
    }
    places
}

fn name_of(named: &str) -> Option<&str> {
    Path::new(named).file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{descriptor, file, fresh};

    #[test]
    fn files_are_looked_for_as_named_then_beside_then_in_the_other_folder() {
        let shown = |named, more: Option<&str>| {
            let places = places(named, Path::new("/p"), more.map(Path::new));
            places
                .iter()
                .map(|place| place.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("w.gguf", None), ["/p/w.gguf"]);
        assert_eq!(
            shown("../m/w.gguf", Some("/o")),
            ["/p/../m/w.gguf", "/p/w.gguf", "/o/w.gguf"]
        );
        assert_eq!(shown("/a/w.gguf", None), ["/a/w.gguf", "/p/w.gguf"]);
    }

    #[test]
    fn a_folder_of_weights_may_hold_the_file_that_is_named() {
        let mut described = descriptor("named");
        described.weights = Some("../m/w.gguf".to_owned());
        let found = file("w.gguf", b"");
        let folder = found.parent().expect("a folder");
        let source = weights(&described, Some(folder)).expect("found").expect("named");
        assert_eq!(source.shown(), found);
        described.weights = None;
        let source = weights(&described, Some(folder)).expect("found").expect("asked");
        assert_eq!(source.shown(), folder);
        described.tokenizer = Some("w.gguf".to_owned());
        let source = tokenizer(&described, Some(folder)).expect("found").expect("named");
        assert_eq!(source.shown(), found);
        let said = weights(&described, Some(&fresh("none")))
            .expect_err("missing")
            .to_string();
        assert!(said.contains("no such file"), "{said}");
    }

    #[test]
    fn what_is_missing_is_said_with_the_places() {
        let mut described = descriptor("lost");
        described.weights = Some("../nowhere/lost.gguf".to_owned());
        let said = weights(&described, None).expect_err("missing").to_string();
        assert_eq!(said.matches("lost.gguf").count(), 3, "{said}");
        assert!(said.contains("--weights PATH"), "{said}");
        described.inside = true;
        let said = weights(&described, None).expect_err("not a program").to_string();
        assert!(said.contains("are gone"), "{said}");
    }
}
