//! Where verbs write, and texts as a terminal may show them.

use std::io::Write;

/// Version of every JSON that programs print.
pub(crate) const JSON_VERSION: u32 = 1;

/// Where a verb writes: its result, and what it has to say about the way there.
pub(crate) struct Console<'a> {
    /// Standard output.
    pub(crate) result: &'a mut dyn Write,
    /// Standard error.
    pub(crate) log: &'a mut dyn Write,
    /// 0: warnings, 1 and more: progress; -1: nothing.
    pub(crate) verbosity: i32,
}

impl Console<'_> {
    /// Prints a remark.
    pub(crate) fn warn(&mut self, message: impl std::fmt::Display) {
        self.say(0, "warning: ", &message);
    }

    /// Says what is being done, for those who asked.
    pub(crate) fn note(&mut self, message: impl std::fmt::Display) {
        self.say(1, "", &message);
    }

    /// Says what became of what the user did.
    #[cfg(feature = "program")]
    pub(crate) fn tell(&mut self, message: impl std::fmt::Display) {
        self.say(0, "", &message);
    }

    fn say(&mut self, from: i32, start: &str, message: &dyn std::fmt::Display) {
        if self.verbosity >= from {
            // Failures to write to standard error are ignored.
            let _ = writeln!(self.log, "{start}{}", printable(&message.to_string()));
        }
    }
}

/// A text from a file or a command line, with control characters of terminals escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Marks of the writing direction make a text look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(character.escape_unicode()),
            '\n' => out.push(character),
            _ if character.is_control() => out.extend(character.escape_default()),
            _ => out.push(character),
        }
    }
    out
}
