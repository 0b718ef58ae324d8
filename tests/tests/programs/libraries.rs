//! Libraries as other build systems see them: static ones, several in one program, exported symbols, pkg-config, CMake.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{command, fixture, scratch};

/// The library of a checkpoint in `dir`, whose C names begin with `prefix`, for this machine.
pub(super) fn library(dir: &Path, checkpoint: &str, prefix: &str) {
    library_for(dir, checkpoint, prefix, None);
}

/// The same for a target; gives its model.
pub(super) fn library_for(dir: &Path, checkpoint: &str, prefix: &str, target: Option<&str>) -> PathBuf {
    let at = |name: String| dir.join(name).display().to_string();
    let (model, output) = (at(format!("{prefix}.yaml")), at(format!("lib{prefix}.so")));
    let checkpoint = fixture::folder().join("hf").join(checkpoint).display().to_string();
    command::seqc(&["import", &checkpoint, "-o", &model]).ok();
    let mut build = vec!["build", &model, "--emit", "lib", "-o", &output, "--prefix", prefix];
    build.extend(target.iter().flat_map(|target| ["--target", *target]));
    command::seqc(&build).ok();
    model.into()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A C function that prints the logits of some tokens, for a library with that prefix.
fn printer(prefix: &str) -> String {
    let text = r#"
#include "@.h"
#include <stdio.h>
int print_@(void) {
    @_model *model = @_model_open(NULL, 1);
    if (!model) fprintf(stderr, "%s\n", @_error());
    @_session *session = @_session_new(model);
    const int64_t tokens[] = {1, 2, 3};
    if (@_session_feed(session, tokens, 3)) {
        fprintf(stderr, "%s\n", @_error());
        return 1;
    }
    size_t length = 0;
    const float *logits = @_session_logits(session, &length);
    printf("@ %zu", length);
    for (size_t i = 0; i < length; i++) printf(" %.9g", logits[i]);
    printf("\n");
    @_session_free(session);
    @_model_free(model);
    return 0;
}
"#;
    text.replace('@', prefix)
}

/// Writes a C program that prints for each of these libraries.
pub(super) fn program(dir: &Path, prefixes: &[&str]) -> PathBuf {
    let functions: String = prefixes.iter().map(|prefix| printer(prefix)).collect();
    let calls: Vec<String> = prefixes.iter().map(|prefix| format!("print_{prefix}()")).collect();
    let source = dir.join(format!("{}.c", prefixes.join("-")));
    let main = format!("int main(void) {{ return {}; }}\n", calls.join(" || "));
    write(&source, &(functions + &main));
    source
}

/// Runs a command line in a directory; what it printed.
pub(super) fn shell(dir: &Path, line: &str) -> String {
    command::run_in(dir, Path::new("/bin/sh"), &["-ec", line]).ok().stdout
}

#[test]
fn static_libraries_with_prefixes_live_in_one_program() {
    let dir = scratch("libraries");
    library(&dir, "llama", "small_llama");
    library(&dir, "mamba", "small_mamba");
    let both = program(&dir, &["small_llama", "small_mamba"]).display().to_string();
    let libraries = "libsmall_llama.a libsmall_mamba.a -lm -lpthread";
    let printed = shell(&dir, &format!("cc -Wall -Werror {both} {libraries} -o both && ./both"));
    assert_eq!(printed.lines().count(), 2, "{printed}");
    for (prefix, line) in ["small_llama", "small_mamba"].into_iter().zip(printed.lines()) {
        let alone = program(&dir, &[prefix]).display().to_string();
        let shared = format!("cc -Wall -Werror {alone} -L. -l{prefix} -Wl,-rpath,. -o alone && ./alone");
        assert_eq!(shell(&dir, &shared).trim_end(), line, "shared and alone");
        let defined = shell(
            &dir,
            &format!("nm -g --defined-only lib{prefix}.a; nm -D --defined-only lib{prefix}.so"),
        );
        let names = defined.lines().filter_map(|line| line.split(' ').nth(2));
        let foreign: Vec<&str> = names.filter(|name| !name.starts_with(&format!("{prefix}_"))).collect();
        assert!(foreign.is_empty(), "exported as well: {foreign:?}");
        let said = shell(&dir, &format!("readelf -d lib{prefix}.so"));
        assert!(said.contains(&format!("soname: [lib{prefix}.so]")), "{said}");
    }
}

#[test]
fn build_systems_find_a_library() {
    let dir = scratch("found-libraries");
    library(&dir, "llama", "found");
    let source = program(&dir, &["found"]).display().to_string();
    let flags =
        format!("cc -Wall -Werror {source} $(PKG_CONFIG_PATH=. pkg-config --cflags --libs found) -Wl,-rpath,. -o one");
    let printed = shell(&dir, &format!("{flags} && ./one"));
    // The header is C99 and C++11, without a warning.
    for (name, compiler) in [("include.c", "cc -std=c99"), ("include.cc", "c++ -std=c++11")] {
        write(
            &dir.join(name),
            "#include \"found.h\"\nfound_options options = FOUND_OPTIONS_INIT;\n",
        );
        shell(
            &dir,
            &format!("{compiler} -pedantic -Wall -Wextra -Werror -c {name} -o include.o"),
        );
    }
    let project = "cmake_minimum_required(VERSION 3.13)\nproject(try C)\nset(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_SOURCE_DIR})\nfind_package(found 0.1 REQUIRED)\n\
        add_executable(shared found.c)\ntarget_link_libraries(shared found::found)\n\
        add_executable(static found.c)\ntarget_link_libraries(static found::found_static)\n";
    write(&dir.join("CMakeLists.txt"), project);
    shell(
        &dir,
        "cmake -S . -B made -Dfound_DIR=$PWD >cmake.log && cmake --build made >>cmake.log",
    );
    for name in ["shared", "static"] {
        assert_eq!(shell(&dir, &format!("./{name}")), printed, "{name}");
    }
}

/// Sessions in several threads, forks, batches and saved states, of a model of caches and of a recurrent one. The thread sanitizer
/// sees the program and what the library does with its memory, but not the library's own locks, which are no calls: these are
/// what `scripts/sanitizers.sh` is for.
#[test]
fn sessions_of_several_threads_are_sound_under_sanitizers() {
    let source = fixture::folder().join("sessions.c").display().to_string();
    for checkpoint in ["llama", "mamba"] {
        let dir = scratch(&format!("sanitized-{checkpoint}"));
        write(&dir.join("suppressions"), "called_from_lib:libseqc.so\n");
        library(&dir, checkpoint, "seqc");
        for (sanitizers, linked) in [
            ("address,undefined", "libseqc.a -lm"),
            ("thread", "-L. -lseqc -Wl,-rpath,."),
        ] {
            let compile = format!("cc -g -O1 -Wall -Wextra -Werror -fsanitize={sanitizers}");
            let run = "TSAN_OPTIONS=suppressions=suppressions ./sessions";
            shell(
                &dir,
                &format!("{compile} {source} -I. {linked} -lpthread -o sessions && {run}"),
            );
        }
    }
}

#[test]
fn prefixes_are_names_in_c() {
    for prefix in ["", "1st", "a-b", "é"] {
        let answer = command::seqc(&["build", "none.yaml", "--emit", "lib", "--prefix", prefix]);
        assert_eq!(answer.code, Some(2), "{prefix}: {}", answer.stderr);
    }
}
