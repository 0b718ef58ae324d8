//! Names of tensors as models write them, and as a checkpoint has them under other beginnings.

use std::borrow::Cow;

/// Beginnings of names, and what stands in their place in the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<Beginning>);

/// The beginning of a name, in the model and in the file.
#[derive(Clone, Debug)]
struct Beginning {
    model: String,
    file: String,
}

impl Names {
    /// From pairs of the beginning in the model and in the file.
    pub(crate) fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Names {
        let owned = pairs.map(|(model, file)| Beginning {
            model: model.to_owned(),
            file: file.to_owned(),
        });
        let mut all: Vec<Beginning> = owned.collect();
        // The longest one that fits counts.
        all.sort_by_key(|b| std::cmp::Reverse(b.model.len()));
        Names(all)
    }

    /// The name that a tensor has in the file.
    pub(crate) fn in_file<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let found = self.0.iter().find_map(|b| Some((b, name.strip_prefix(&b.model)?)));
        match found {
            Some((beginning, rest)) => Cow::Owned(format!("{}{rest}", beginning.file)),
            None => Cow::Borrowed(name),
        }
    }

    /// The pairs.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|b| (b.model.as_str(), b.file.as_str()))
    }
}

/// Whether a name fits a pattern, in which `*` stands for any letters.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn the_longest_beginning_counts() {
        let names = Names::new(
            [
                ("model.", "model.text."),
                ("model.norm.", "norm."),
                ("lm_head.", "head."),
            ]
            .into_iter(),
        );
        assert_eq!(names.in_file("model.layers.0"), "model.text.layers.0");
        assert_eq!(names.in_file("model.norm.weight"), "norm.weight");
        assert_eq!(names.in_file("other"), "other");
    }
}
