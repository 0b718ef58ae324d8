//! The families of processors that the runtime is built for.

/// All of them.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "x86-64",
        architecture: "x86_64",
        program: Form {
            target: "x86_64-unknown-linux-musl",
            ..PROGRAM
        },
        library: Some(Form {
            target: "x86_64-unknown-linux-gnu",
            ..LIBRARY
        }),
        parts: MUSL,
    },
    Family {
        name: "aarch64-linux",
        architecture: "aarch64",
        program: Form {
            target: "aarch64-unknown-linux-musl",
            ..PROGRAM
        },
        library: Some(Form {
            target: "aarch64-unknown-linux-gnu",
            ..LIBRARY
        }),
        parts: MUSL,
    },
    Family {
        name: "wasm",
        architecture: "wasm32",
        // Without sockets, threads and terminals.
        program: Form {
            target: "wasm32-wasip1",
            features: &["--no-default-features", "--features", "program"],
            ..PROGRAM
        },
        // What fails there ends the module.
        library: Some(Form {
            target: "wasm32-wasip1",
            profile: "runtime",
            ..LIBRARY
        }),
        parts: &["crt1-command.o", "crt1-reactor.o", "libc.a"],
    },
    Family {
        name: "cuda",
        architecture: "x86_64",
        // The driver is a shared library for the system's C library.
        program: Form {
            target: "x86_64-unknown-linux-gnu",
            features: &["--features", "cuda"],
            ..PROGRAM
        },
        library: Some(Form {
            target: "x86_64-unknown-linux-gnu",
            features: &["--no-default-features", "--features", "library,cuda"],
            ..LIBRARY
        }),
        parts: &[],
    },
];

/// The C library and start-up objects that rustc ships for musl.
const MUSL: &[&str] = &["crt1.o", "crti.o", "libc.a", "libunwind.a", "crtn.o"];

/// The form of programs.
const PROGRAM: Form = Form {
    archive: "libseqc_runtime.a",
    target: "",
    profile: "runtime",
    features: &[],
};

/// The form of libraries to embed.
const LIBRARY: Form = Form {
    archive: "libseqc_library.a",
    target: "",
    profile: "library",
    features: &["--no-default-features", "--features", "library"],
};

/// A family of processors.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, as `seqc build --target` takes it.
    pub name: &'static str,
    /// Its name in target triples.
    pub architecture: &'static str,
    /// The runtime of programs.
    pub program: Form,
    /// The runtime of libraries to embed, if there are any.
    pub library: Option<Form>,
    /// What rustc ships of the C library for programs.
    pub parts: &'static [&'static str],
}

impl Family {
    /// The family of an architecture, as cargo names it to build scripts.
    pub fn of(architecture: &str) -> Option<Family> {
        FAMILIES.iter().copied().find(|f| f.architecture == architecture)
    }

    /// The forms of the runtime that there are.
    pub fn forms(self) -> impl Iterator<Item = Form> {
        [Some(self.program), self.library].into_iter().flatten()
    }
}

/// One form of the runtime.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Its archive's file name.
    pub archive: &'static str,
    /// rustc's name of the target.
    pub target: &'static str,
    /// Cargo's profile.
    pub(crate) profile: &'static str,
    /// Arguments that choose its features.
    pub(crate) features: &'static [&'static str],
}
