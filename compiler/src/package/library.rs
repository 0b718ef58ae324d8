//! Beside a library to embed: its header, and how pkg-config and CMake find it.

use super::companion::Companion;
use crate::request::Request;
use seqc_backends::link;
use std::path::Path;

/// The files beside the library of a request.
pub(super) fn companions(request: &Request) -> Vec<Companion> {
    let library = Names::of(&request.output);
    let beside = |name: String, text: String, guarded: bool| Companion {
        path: request.output.with_file_name(name),
        text,
        guarded,
    };
    vec![
        beside(format!("{}.h", request.prefix), link::header(&request.prefix), true),
        beside(format!("{}.pc", library.name), library.pkg_config(), false),
        beside(format!("{}Config.cmake", library.name), library.cmake(), false),
        beside(
            format!("{}ConfigVersion.cmake", library.name),
            CMAKE_VERSION.replace("@version@", VERSION),
            false,
        ),
    ]
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The names of a library.
struct Names {
    /// What programs ask for: `m` of `libm.so`.
    name: String,
    /// The shared library's file.
    file: String,
}

impl Names {
    fn of(output: &Path) -> Names {
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        Names {
            name: stem.strip_prefix("lib").unwrap_or(&stem).to_owned(),
            file: output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    fn pkg_config(&self) -> String {
        let Names { name, file } = self;
        // What is not named as libraries are is named whole.
        let link = match *file == format!("lib{name}.so") {
            true => format!("-L${{pcfiledir}} -l{name}"),
            false => format!("${{pcfiledir}}/{file}"),
        };
        format!(
            "Name: {name}\nDescription: The compiled model {name}\nVersion: {VERSION}\nCflags: -I${{pcfiledir}}\nLibs: {link}\nLibs.private: -lm -lpthread -ldl\n"
        )
    }

    fn cmake(&self) -> String {
        let archive = Path::new(&self.file).with_extension("a");
        CMAKE
            .replace("@archive@", &archive.to_string_lossy())
            .replace("@file@", &self.file)
            .replace("@name@", &self.name)
    }
}

const CMAKE: &str = r#"# The compiled model @name@ as imported targets: @name@::@name@, and @name@::@name@_static.
if(NOT TARGET @name@::@name@)
  add_library(@name@::@name@ SHARED IMPORTED)
  set_target_properties(@name@::@name@ PROPERTIES
    IMPORTED_LOCATION "${CMAKE_CURRENT_LIST_DIR}/@file@"
    IMPORTED_SONAME "@file@"
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}")
  add_library(@name@::@name@_static STATIC IMPORTED)
  set_target_properties(@name@::@name@_static PROPERTIES
    IMPORTED_LOCATION "${CMAKE_CURRENT_LIST_DIR}/@archive@"
    IMPORTED_LINK_INTERFACE_LANGUAGES "C"
    INTERFACE_LINK_LIBRARIES "m;pthread;dl"
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}")
endif()
"#;

const CMAKE_VERSION: &str = r#"# Whether this version of the library is one that was asked for.
set(PACKAGE_VERSION "@version@")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION STREQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_asked_for_by_their_names() {
        let shown = |path: &str| {
            let names = Names::of(Path::new(path));
            (
                names.name.clone(),
                names.pkg_config().contains("-L${pcfiledir} -lsmall"),
            )
        };
        assert_eq!(shown("out/libsmall.so"), ("small".to_owned(), true));
        assert_eq!(shown("small.so"), ("small".to_owned(), false));
    }

    #[test]
    fn no_place_is_left_open_in_what_cmake_reads() {
        let names = Names::of(Path::new("libsmall.so"));
        let text = names.cmake();
        assert!(!text.contains('@') && text.contains("/libsmall.a\""), "{text}");
    }
}
