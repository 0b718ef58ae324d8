//! Outputs that are inputs, links, folders, devices; writes that fail, and what is left of them.

use std::{
    fs,
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use super::*;

const NONE: &[&Path] = &[];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for tests")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn refused(path: &Path, inputs: &[&Path]) -> String {
    let said = check(path, inputs).expect_err("refused").to_string();
    assert_eq!(write(path, inputs, b"new").expect_err("refused").to_string(), said);
    said
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let dir = folder();
    let path = dir.path().join("out");
    let mut output = Output::create(&path, NONE).expect("a file");
    output.write_all(&[1; BUFFER + 1]).expect("written");
    assert!(names(dir.path()).is_empty(), "a kill now leaves nothing");
    output.commit().expect("in place");
    assert_eq!(fs::read(&path).expect("a file"), [1; BUFFER + 1]);
    let mut output = Output::create(&path, NONE).expect("a file");
    output.write_all(b"half").expect("written");
    drop(output);
    assert_eq!(fs::read(&path).expect("a file").len(), BUFFER + 1);
    write(&path, NONE, b"second").expect("written");
    assert_eq!(fs::read(&path).expect("a file"), b"second");
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn a_file_with_a_name_of_its_own_does_the_same() {
    let dir = folder();
    let path = dir.path().join("out");
    let part = |bytes: &[u8]| {
        let (mut file, part) = builder().tempfile_in(dir.path()).expect("a file").into_parts();
        file.write_all(bytes).expect("written");
        Output {
            path: path.clone(),
            to: BufWriter::new(file),
            kind: Kind::Named(part, path.clone()),
        }
    };
    drop(part(b"half"));
    assert!(names(dir.path()).is_empty());
    part(b"whole").commit().expect("in place");
    assert_eq!(fs::read(&path).expect("a file"), b"whole");
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn an_input_is_no_output_by_any_name() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("weights"), b"precious").expect("a file");
    fs::hard_link(at("weights"), at("hard")).expect("a link");
    symlink("weights", at("soft")).expect("a link");
    symlink(at("soft"), at("softer")).expect("a link");
    fs::create_dir(at("sub")).expect("a folder");
    let inputs = [&*at("other"), &*at("weights")];
    for name in ["weights", "hard", "soft", "softer", "sub/../weights", "./weights"] {
        let said = refused(&at(name), &inputs);
        assert!(said.contains("input") && said.contains("name another file"), "{said}");
        assert_eq!(fs::read(at("weights")).expect("a file"), b"precious");
    }
    let said = refused(&at("weights"), &[&at("hard")]);
    assert!(said.contains("hard"), "{said}");
    write(&at("other"), &[at("weights")], b"new").expect("another file");
}

#[test]
fn what_belongs_to_a_folder_of_a_checkpoint_is_input() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    for name in ["model.safetensors", "model-00001-of-00002.safetensors", "config.json"] {
        fs::write(at(name), b"precious").expect("a file");
        refused(&at(name), &[dir.path()]);
    }
    write(&at("logits.safetensors"), &[dir.path()], b"new").expect("written");
    write(&at("logits.safetensors"), &[dir.path()], b"again").expect("written");
}

#[test]
fn folders_and_missing_folders_are_said_in_our_words() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), b"").expect("a file");
    for path in [dir.path(), &at("new/"), Path::new("/"), Path::new("..")] {
        let said = refused(path, NONE);
        assert!(said.contains("this is a folder"), "{said}");
    }
    for name in ["none/out", "file/out"] {
        let said = refused(&at(name), NONE);
        assert!(said.contains("there is no folder"), "{said}");
    }
    symlink("none/out", at("dangling")).expect("a link");
    assert!(refused(&at("dangling"), NONE).contains("there is no folder"));
    symlink("circle", at("circle")).expect("a link");
    refused(&at("circle"), NONE);
    assert!(refused(Path::new(""), NONE).contains("folder"));
}

#[test]
fn two_outputs_that_are_one_file_are_noticed() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    symlink("a", at("link")).expect("a link");
    symlink(".", at("here")).expect("a link");
    assert!(same_place(&at("a"), &at("link")) && same_place(&at("a"), &at("here/a")));
    assert!(!same_place(&at("a"), &at("b")));
    assert!(!same_place(Path::new("/dev/null"), Path::new("/dev/null")));
    assert!(!same_place(Path::new("-"), Path::new("-")));
}

#[test]
fn links_stay_and_what_they_lead_to_is_replaced() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    symlink("real", at("link")).expect("a link");
    for text in ["first", "second"] {
        write(&at("link"), NONE, text.as_bytes()).expect("written");
        assert!(at("link").is_symlink());
        assert_eq!(fs::read_to_string(at("real")).expect("a file"), text);
    }
}

#[test]
fn permissions_stay_and_programs_can_run() {
    let dir = folder();
    let path = dir.path().join("out");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    write(&path, NONE, b"").expect("written");
    assert_eq!(mode(&path) & 0o700, 0o600);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
    write(&path, NONE, b"").expect("written");
    assert_eq!(mode(&path), 0o640);
    Output::create_program(&path, NONE)
        .expect("a file")
        .commit()
        .expect("written");
    assert_eq!(mode(&path), 0o750);
    fs::remove_file(&path).expect("removed");
    Output::create_program(&path, NONE)
        .expect("a file")
        .commit()
        .expect("written");
    assert_eq!(mode(&path) & 0o500, 0o500);
}

#[test]
fn devices_and_pipes_are_written_to() {
    write(Path::new("/dev/null"), &[Path::new("/dev/null")], b"gone").expect("written");
    assert!(!fs::metadata("/dev/null").expect("a device").is_file());
    let full = write(Path::new("/dev/full"), NONE, b"x").expect_err("full").to_string();
    assert!(full.contains("the disk is full"), "{full}");
    let (mut from, to) = io::pipe().expect("a pipe");
    write(Path::new(&format!("/dev/fd/{}", to.as_raw_fd())), NONE, b"through").expect("written");
    drop(to);
    let mut found = String::new();
    from.read_to_string(&mut found).expect("read");
    assert_eq!(found, "through");
}

#[test]
fn an_open_file_goes_on_where_it_stands() {
    let dir = folder();
    let path = dir.path().join("log");
    fs::write(&path, b"before ").expect("a file");
    let open = File::options().append(true).open(&path).expect("a file");
    let by_number = format!("/proc/self/fd/{}", open.as_raw_fd());
    write(Path::new(&by_number), NONE, b"after").expect("written");
    assert_eq!(fs::read(&path).expect("a file"), b"before after");
    refused(Path::new(&by_number), &[&path]);
}
