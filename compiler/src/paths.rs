//! Paths of files as a model or a program names them: relative to itself.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

/// The path of `file` seen from the directory `base`; the path itself where there is no way.
pub(crate) fn relative(file: &Path, base: &Path) -> String {
    let parent = file.parent().unwrap_or(Path::new(""));
    let (Ok(mut path), Some(name)) = (way(parent, base), file.file_name()) else {
        return file.display().to_string();
    };
    path.push(name);
    path.display().to_string()
}

/// What a program in the folder `home` calls the file that is `named` as seen from the folder `base`: the same where both
/// are one folder, the name as it is where it begins at the root.
pub(crate) fn seen_from(home: &Path, named: &Path, base: &Path) -> String {
    let Ok(way) = way(base, home) else {
        return named.display().to_string();
    };
    if named.is_absolute() || way.as_os_str().is_empty() {
        return named.display().to_string();
    }
    let path = tidy(&way.join(named));
    let leads_to = |path: PathBuf| path.canonicalize().ok();
    match leads_to(base.join(named)) {
        // Where a folder on the way is a link, `..` does not lead back.
        Some(file) if leads_to(home.join(&path)).as_ref() != Some(&file) => relative(&base.join(named), home),
        _ => path.display().to_string(),
    }
}

/// The folder `to` seen from the folder `from`.
fn way(to: &Path, from: &Path) -> io::Result<PathBuf> {
    let whole = |p: &Path| {
        let p = if p.as_os_str().is_empty() { Path::new(".") } else { p };
        p.canonicalize().or_else(|_| std::path::absolute(p))
    };
    let (to, from) = (whole(to)?, whole(from)?);
    let (to, from): (Vec<Component<'_>>, Vec<Component<'_>>) = (to.components().collect(), from.components().collect());
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    Ok(up.chain(to[common..].iter().copied()).collect())
}

/// The path without folders that are left at once.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let named = matches!(tidy.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if named => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_name_files_from_where_they_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        for folder in ["models", "out/deep"] {
            std::fs::create_dir_all(at(folder)).expect("a folder");
        }
        let seen = |home: &str, named: &str| seen_from(&at(home), Path::new(named), &at("models"));
        assert_eq!(seen("models", "../x/w.gguf"), "../x/w.gguf");
        assert_eq!(seen("out/deep", "w.gguf"), "../../models/w.gguf");
        assert_eq!(seen("out/deep", "./../x/w.gguf"), "../../x/w.gguf");
        assert_eq!(seen(".", "../w.gguf"), "w.gguf");
        assert_eq!(seen("out/deep", "/x/w.gguf"), "/x/w.gguf");
    }

    #[test]
    fn links_on_the_way_are_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        for folder in ["models", "far/away", "out"] {
            std::fs::create_dir_all(at(folder)).expect("a folder");
        }
        std::os::unix::fs::symlink("../far/away", at("models/link")).expect("a link");
        std::fs::write(at("far/w.gguf"), "").expect("a file");
        let seen = seen_from(&at("out"), Path::new("link/../w.gguf"), &at("models"));
        assert_eq!(seen, "../far/w.gguf");
    }
}
