//! Paths of files as a model names them: relative to itself.

use std::path::{Component, Path, PathBuf};

/// The path of `file` seen from the directory `base`; the path itself where there is no way.
pub(super) fn relative(file: &Path, base: &Path) -> String {
    let here = |p: &Path| {
        let p = if p.as_os_str().is_empty() { Path::new(".") } else { p };
        p.canonicalize().or_else(|_| std::path::absolute(p))
    };
    let parent = file.parent().unwrap_or(Path::new(""));
    let (Ok(dir), Ok(base), Some(name)) = (here(parent), here(base), file.file_name()) else {
        return file.display().to_string();
    };
    let (to, from): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (dir.components().collect(), base.components().collect());
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let mut path = PathBuf::new();
    from[common..].iter().for_each(|_| path.push(".."));
    to[common..].iter().for_each(|c| path.push(c));
    path.push(name);
    path.display().to_string()
}
