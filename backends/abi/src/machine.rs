//! What the system's tables say of the machine.

/// The value of a field in `/proc/cpuinfo` and files like it, whose lines are `name: value`; the first of that name.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim())
}

/// What families of features that decide how fast dense arithmetic is begin with, on x86-64 and on AArch64.
const DECISIVE: &[&str] = &["avx", "amx", "asimd", "sve"];
/// Other such features.
const ALSO_DECISIVE: &[&str] = &["fma", "f16c", "i8mm", "bf16"];

/// The features of a processor in `/proc/cpuinfo`.
pub fn features(cpuinfo: &str) -> &str {
    let found = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features"));
    found.unwrap_or_default()
}

/// Those of some features that decide how fast dense arithmetic is.
pub fn decisive(features: &str) -> Vec<&str> {
    let decisive = |name: &&str| DECISIVE.iter().any(|prefix| name.starts_with(prefix)) || ALSO_DECISIVE.contains(name);
    features.split_whitespace().filter(decisive).collect()
}

/// The name of a processor in `/proc/cpuinfo`, or its numbers where there is none, as on AArch64.
pub fn processor(cpuinfo: &str) -> Option<String> {
    if let Some(name) = field(cpuinfo, "model name") {
        return Some(name.to_owned());
    }
    let (implementer, part) = (field(cpuinfo, "CPU implementer")?, field(cpuinfo, "CPU part")?);
    Some(format!("implementer {implementer}, part {part}"))
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
        assert_eq!(decisive(features(text)), ["avx2", "fma"]);
        assert_eq!(processor(text).as_deref(), Some("AMD EPYC: a"));
    }

    #[test]
    fn processors_of_aarch64_have_numbers_for_names() {
        let text = "processor\t: 0\nFeatures\t: fp asimd aes asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(decisive(features(text)), ["asimd", "asimddp"]);
        assert_eq!(processor(text).as_deref(), Some("implementer 0x41, part 0xd0c"));
        assert_eq!(processor("processor\t: 0\n"), None);
    }
}
