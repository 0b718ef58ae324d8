//! A wheel for Python around the shared library: <https://packaging.python.org/specifications/binary-distribution-format>.

use super::{elf, template::Template};
use crate::request::{Failure, Request};
use seqc_checkpoint::{Bundle, output, output::Output};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Seek, Write},
    path::PathBuf,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Texts of the package, by their places in it.
const TEXTS: &[(&str, &str)] = &[
    ("__init__.py", include_str!("../../bindings/python/__init__.py")),
    ("__init__.pyi", include_str!("../../bindings/python/__init__.pyi")),
    ("_library.py", include_str!("../../bindings/python/_library.py")),
    ("_values.py", include_str!("../../bindings/python/_values.py")),
    ("py.typed", ""),
];
/// Permissions of files, and of the library.
const PLAIN: u32 = 0o644;
const CODE: u32 = 0o755;

/// Whether the wheel can be written to the folder that the request names.
pub(super) fn check(request: &Request) -> Result<(), Failure> {
    let to = &request.output;
    if to.extension().is_some_and(|ending| ending == "whl") || to.as_os_str() == "-" || to.exists() && !to.is_dir() {
        let message = format!(
            "-o {}: name a folder for the wheel; installers read its version and platform from its file's name",
            to.display()
        );
        return Err(Failure::Usage(message));
    }
    Ok(())
}

/// Writes the wheel of a shared library, with the files that go inside the library; gives its path.
pub(super) fn write(
    request: &Request,
    inputs: &[PathBuf],
    library: &[u8],
    inside: &[(String, PathBuf)],
) -> Result<PathBuf, Failure> {
    let platform = elf::platform(library, request.family());
    let name = format!("{}-{VERSION}-py3-none-{platform}.whl", request.prefix);
    let path = request.output.join(name);
    let failed = |error: io::Error| Failure::Write(format!("{}: {}", path.display(), output::reason(&error)));
    let refused = |error: output::Error| Failure::Write(error.to_string());
    // A zip is written back and forth, a file in place only at its end.
    let mut wheel = Wheel::new(tempfile::tempfile().map_err(failed)?, &request.prefix);
    wheel.fill(library, inside, &platform).map_err(failed)?;
    let mut scratch = wheel.zip.finish().map_err(|error| failed(error.into()))?;
    scratch.rewind().map_err(failed)?;
    std::fs::create_dir_all(&request.output).map_err(failed)?;
    let mut out = Output::create(&path, inputs).map_err(refused)?;
    io::copy(&mut scratch, &mut out).map_err(failed)?;
    out.commit().map_err(refused)?;
    Ok(path)
}

/// A wheel in the making.
struct Wheel<'a, W: Write + Seek> {
    zip: ZipWriter<W>,
    package: &'a str,
    /// Lines of the list of all files.
    record: String,
}

impl<'a, W: Write + Seek> Wheel<'a, W> {
    fn new(to: W, package: &'a str) -> Wheel<'a, W> {
        Wheel {
            zip: ZipWriter::new(to),
            package,
            record: String::new(),
        }
    }

    fn fill(&mut self, library: &[u8], inside: &[(String, PathBuf)], platform: &str) -> io::Result<()> {
        let package = self.package;
        let file = format!("lib{package}.so");
        let template = Template {
            package,
            file: &file,
            architecture: "",
        };
        for (place, text) in TEXTS {
            self.text(&format!("{package}/{place}"), &template.fill(text))?;
        }
        self.library(&format!("{package}/{file}"), library, inside)?;
        let info = format!("{package}-{VERSION}.dist-info");
        let metadata = format!(
            "Metadata-Version: 2.1\nName: {package}\nVersion: {VERSION}\nSummary: The compiled model {package}\n\
             Requires-Python: >=3.9\nRequires-Dist: numpy>=1.21\n"
        );
        self.text(&format!("{info}/METADATA"), &metadata)?;
        let wheel = format!(
            "Wheel-Version: 1.0\nGenerator: seqc ({VERSION})\nRoot-Is-Purelib: false\nTag: py3-none-{platform}\n"
        );
        self.text(&format!("{info}/WHEEL"), &wheel)?;
        // The list lists itself, without a digest.
        let place = format!("{info}/RECORD");
        let record = format!("{}{place},,\n", self.record);
        self.zip
            .start_file(place, options(CompressionMethod::Deflated, PLAIN))?;
        self.zip.write_all(record.as_bytes())
    }

    fn text(&mut self, place: &str, text: &str) -> io::Result<()> {
        self.zip
            .start_file(place, options(CompressionMethod::Deflated, PLAIN))?;
        let mut counted = Counted::new(&mut self.zip);
        counted.write_all(text.as_bytes())?;
        let line = counted.line(place);
        self.record.push_str(&line);
        Ok(())
    }

    /// The library, with files behind its code. Weights do not get smaller, and are not compressed.
    fn library(&mut self, place: &str, library: &[u8], inside: &[(String, PathBuf)]) -> io::Result<()> {
        let method = match inside.is_empty() {
            true => CompressionMethod::Deflated,
            false => CompressionMethod::Stored,
        };
        self.zip.start_file(place, options(method, CODE).large_file(true))?;
        let mut counted = Counted::new(&mut self.zip);
        counted.write_all(library)?;
        if !inside.is_empty() {
            Bundle::append(&mut counted, library.len() as u64, inside)?;
        }
        let line = counted.line(place);
        self.record.push_str(&line);
        Ok(())
    }
}

/// No dates: the same model gives the same bytes.
fn options(method: CompressionMethod, mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(method)
        .unix_permissions(mode)
        .last_modified_time(zip::DateTime::default())
}

/// Counts and digests what is written.
struct Counted<'a, W> {
    to: &'a mut W,
    digest: Sha256,
    bytes: u64,
}

impl<'a, W: Write> Counted<'a, W> {
    fn new(to: &'a mut W) -> Counted<'a, W> {
        Counted {
            to,
            digest: Sha256::new(),
            bytes: 0,
        }
    }

    /// The line of a file in the list of all.
    fn line(self, place: &str) -> String {
        format!("{place},sha256={},{}\n", base64(&self.digest.finalize()), self.bytes)
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// In the alphabet for file names and without padding, as lists of wheels have digests.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        let digits = (0..=chunk.len()).map(|n| ALPHABET[(word >> (18 - 6 * n) & 63) as usize]);
        text.extend(digits.map(char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn digests_are_written_as_lists_of_wheels_have_them() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg");
        assert_eq!(base64(b"fo"), "Zm8");
        assert_eq!(base64(b"foo?>"), "Zm9vPz4");
        assert_eq!(base64(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_wheel_lists_all_of_its_files() {
        let mut wheel = Wheel::new(Cursor::new(Vec::new()), "tiny");
        wheel.fill(b"library", &[], "linux_x86_64").expect("written");
        let bytes = wheel.zip.finish().expect("written");
        let mut zip = zip::ZipArchive::new(bytes).expect("a zip");
        let mut record = String::new();
        let mut file = zip.by_name("tiny-0.1.0.dist-info/RECORD").expect("a list");
        io::Read::read_to_string(&mut file, &mut record).expect("text");
        drop(file);
        let mut listed: Vec<&str> = record.lines().filter_map(|line| line.split(',').next()).collect();
        let mut names: Vec<&str> = zip.file_names().collect();
        listed.sort_unstable();
        names.sort_unstable();
        assert_eq!(listed, names);
        let library = |line: &str| line.starts_with("tiny/libtiny.so,sha256=") && line.ends_with(",7");
        assert!(record.lines().any(library), "{record}");
    }
}
