//! Which file of a crate imports which other one, and the circles among them, for the house rules.
//!
//! A name that a module hands on (`pub use`) belongs to the file that defines it. Methods have no path, so who calls one is not
//! seen; modules of tests are left out.

use crate::source::{self, File};
use std::collections::{BTreeMap, BTreeSet};

/// A path of names: `crate`, `lower`, `cx`.
type Path = Vec<String>;

/// For each file, those that it imports.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// A file as a module of its crate.
struct Module {
    file: String,
    /// What `use` brings in: each name here, and the path that it stands for.
    imports: BTreeMap<String, Path>,
    /// Paths that its code uses, those of names that it only hands on left out.
    used: Vec<Path>,
}

/// The modules of a crate, by their paths without `crate`.
struct Crate(BTreeMap<Path, Module>);

/// The imports between the files of the crate whose sources lie below `src`.
pub fn imports(src: &str, files: &[File]) -> Imports {
    let modules = Crate::of(src, files);
    let mut found = Imports::new();
    for (path, module) in &modules.0 {
        let targets = module.used.iter().filter_map(|used| modules.file_of(path, used, 0));
        let others = targets.filter(|file| *file != module.file);
        found.insert(module.file.clone(), others.map(str::to_owned).collect());
    }
    found
}

/// The circles: sets of files each of which imports every other one, directly or through others.
pub fn circles(imports: &Imports) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reached_from(imports, file))).collect();
    let circle = |(file, there): (&&String, &BTreeSet<String>)| {
        let back = |other: &&String| reached.get(other).is_some_and(|from| from.contains(*file));
        there.iter().filter(back).cloned().collect::<BTreeSet<String>>()
    };
    reached.iter().map(circle).filter(|circle| circle.len() > 1).collect()
}

/// The files that a file imports, those that they import, and so on.
fn reached_from(imports: &Imports, file: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![file];
    while let Some(file) = next.pop() {
        for other in imports.get(file).into_iter().flatten() {
            if found.insert(other.clone()) {
                next.push(other);
            }
        }
    }
    found
}

/// The module that a file below `src` is; `None` for tests.
fn module_path(inside: &str) -> Option<Path> {
    let path = inside.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let names: Path = path.split('/').map(str::to_owned).collect();
    match names.last().map(String::as_str) {
        Some("tests") => None,
        Some("lib" | "main") => Some(Path::new()),
        _ => Some(names),
    }
}

impl Module {
    fn of(file: &File) -> Module {
        let text = source::code(&file.text.replace("#[cfg(test)]\nmod tests;", ""));
        let (mut imports, mut handed_on, mut code) = (BTreeMap::new(), BTreeSet::new(), String::new());
        for item in text.split_inclusive(';') {
            let Some((before, tree)) = split_use(item) else {
                code.push_str(item);
                continue;
            };
            code.push_str(before);
            let public = before.trim_end().ends_with(['b', ')']);
            let mut leaves = Vec::new();
            read_tree(&Path::new(), tree, &mut leaves);
            for (name, path) in leaves {
                if public {
                    handed_on.insert(name.clone());
                }
                imports.insert(name, path);
            }
        }
        let written = paths_in(&code);
        let in_code = |name: &String| written.iter().any(|path| path[0] == *name);
        let brought_in = imports
            .keys()
            .filter(|name| !handed_on.contains(*name) || in_code(name))
            .map(|name| vec![name.clone()]);
        Module {
            file: file.name.clone(),
            used: brought_in
                .chain(written.iter().filter(|path| path.len() > 1).cloned())
                .collect(),
            imports,
        }
    }
}

impl Crate {
    /// Beside a library, `main.rs` is no module of it.
    fn of(src: &str, files: &[File]) -> Crate {
        let mut modules = BTreeMap::new();
        for file in files {
            let inside = file.name.strip_prefix(src).and_then(|rest| rest.strip_prefix('/'));
            if let Some(path) = inside.and_then(module_path) {
                modules.entry(path).or_insert_with(|| Module::of(file));
            }
        }
        Crate(modules)
    }

    /// The file that defines what `path` names in the module `at`; `None` where that is another crate's, or a whole module.
    fn file_of(&self, at: &[String], path: &[String], depth: usize) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        let child = [at, std::slice::from_ref(first)].concat();
        let module = self.0.get(at)?;
        match first.as_str() {
            _ if depth > 20 => None,
            "crate" => self.file_of(&[], rest, depth + 1),
            "self" => self.file_of(at, rest, depth + 1),
            "super" => self.file_of(at.split_last()?.1, rest, depth + 1),
            name => match module.imports.get(name) {
                Some(import) if import[0] != *first => self.file_of(at, &[import, rest].concat(), depth + 1),
                _ if self.0.contains_key(&child) => self.file_of(&child, rest, depth + 1),
                // In a path from a module on, the name is defined there; by itself it is of this file, or no name of the crate.
                _ => (depth > 0 && !module.imports.contains_key(name)).then_some(module.file.as_str()),
            },
        }
    }
}

/// What stands in front of `use`, its visibility included, and the tree of names behind it, of a text that ends in `;`.
fn split_use(item: &str) -> Option<(&str, &str)> {
    let at = item.match_indices("use ").map(|(at, _)| at).find(|at| {
        let line = item[..*at].rsplit('\n').next().unwrap_or("").trim();
        line.is_empty() || line == "pub" || line.starts_with("pub(") && line.ends_with(')')
    })?;
    Some((&item[..at], item[at + "use ".len()..].trim_end_matches(';')))
}

/// Reads a tree of names (`a::{b, c::d as e}`) into pairs of a name and its path.
fn read_tree(prefix: &Path, tree: &str, leaves: &mut Vec<(String, Path)>) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let names = head.split("::").map(str::trim).filter(|name| !name.is_empty());
        let prefix: Path = prefix.iter().cloned().chain(names.map(str::to_owned)).collect();
        let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
        let mut depth = 0;
        let at_comma = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        for part in inner.split(at_comma).filter(|part| !part.trim().is_empty()) {
            read_tree(&prefix, part, leaves);
        }
        return;
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut path: Path = prefix
        .iter()
        .cloned()
        .chain(path.split("::").map(|name| name.trim().to_owned()))
        .collect();
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = if name.is_empty() {
        path.last().cloned().unwrap_or_default()
    } else {
        name.trim().to_owned()
    };
    leaves.push((name, path));
}

/// All names of a text, each with those that follow it behind `::`.
fn paths_in(code: &str) -> Vec<Path> {
    let of_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(of_name) {
        rest = &rest[start..];
        let mut path = Path::new();
        loop {
            let (name, behind) = rest.split_at(rest.find(|c| !of_name(c)).unwrap_or(rest.len()));
            path.push(name.to_owned());
            rest = behind;
            match rest.strip_prefix("::") {
                Some(next) if next.starts_with(of_name) => rest = next,
                _ => break,
            }
        }
        found.push(path);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Imports, circles, imports};
    use crate::source::File;
    use std::collections::BTreeSet;

    fn imports_of(files: &[(&str, &str)]) -> Imports {
        let file = |(name, text): &(&str, &str)| File {
            name: format!("a/src/{name}"),
            text: (*text).to_owned(),
        };
        imports("a/src", &files.iter().map(file).collect::<Vec<_>>())
    }

    fn of_file(imports: &Imports, file: &str) -> Vec<String> {
        imports[&format!("a/src/{file}")].iter().cloned().collect()
    }

    #[test]
    fn a_name_belongs_to_the_file_that_defines_it() {
        let found = imports_of(&[
            ("lib.rs", "mod one;\nmod two;\npub use two::Two;"),
            ("one.rs", "use crate::Two;\nuse std::fmt;\nfn f() { Two::new() }"),
            ("two/mod.rs", "mod three;\npub struct Two(u8);\nfn g() { three::h() }"),
            ("two/three.rs", "pub fn h() {}"),
        ]);
        assert_eq!(of_file(&found, "lib.rs"), [""; 0]);
        assert_eq!(of_file(&found, "one.rs"), ["a/src/two/mod.rs"]);
        assert_eq!(of_file(&found, "two/mod.rs"), ["a/src/two/three.rs"]);
        assert!(circles(&found).is_empty());
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let found = imports_of(&[
            ("lib.rs", "mod one;\nmod two;"),
            ("one.rs", "use super::{two::{Two, other as same}};"),
            (
                "two.rs",
                "fn f() -> crate::one::One { todo!() }\n#[cfg(test)]\nmod tests { use crate::Lib; }",
            ),
        ]);
        let circle = BTreeSet::from(["a/src/one.rs".to_owned(), "a/src/two.rs".to_owned()]);
        assert_eq!(circles(&found), BTreeSet::from([circle]));
    }
}
