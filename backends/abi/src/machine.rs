//! What the system's tables say of the machine.

/// The value of a field in `/proc/cpuinfo` and files like it, whose lines are `name: value`; the first of that name.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim())
}

/// Those features, of a processor's `flags`, that decide how fast dense arithmetic is.
pub fn decisive(flags: &str) -> Vec<&str> {
    let decisive =
        |flag: &&str| flag.starts_with("avx") || flag.starts_with("amx") || *flag == "fma" || *flag == "f16c";
    flags.split_whitespace().filter(decisive).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: AMD EPYC: a\nflags\t: sse2 avx2 fma sse4a\n";
        assert_eq!(field(text, "model name"), Some("AMD EPYC: a"));
        assert_eq!(field(text, "model"), Some("1"));
        assert_eq!(field(text, "flag"), None);
        assert_eq!(decisive(field(text, "flags").unwrap_or_default()), ["avx2", "fma"]);
    }
}
