//! Chat templates, as tokenizers give them.

/// A chat template.
#[derive(Clone, Debug)]
pub struct Template<'a> {
    /// A text in Jinja.
    pub text: &'a str,
    /// Where it comes from, for messages.
    pub place: String,
}
