//! Arguments as Python passes them: by place or by name.

use minijinja::{
    Error, ErrorKind, Value,
    value::{ArgType, Kwargs, from_args},
};

/// Texts are not made longer than this by a width.
const WIDEST: usize = 1 << 20;

/// What a filter or a method is given.
pub(super) struct Arguments<'a> {
    positional: &'a [Value],
    named: Kwargs,
}

impl<'a> Arguments<'a> {
    pub(super) fn of(values: &'a [Value]) -> Result<Arguments<'a>, Error> {
        let (positional, named): (&[Value], Kwargs) = from_args(values)?;
        Ok(Arguments { positional, named })
    }

    /// The argument at a place, which has that name; `None` where it is missing or none.
    pub(super) fn get<T>(&self, place: usize, name: &str) -> Result<Option<T>, Error>
    where
        T: for<'v> ArgType<'v, Output = T>,
    {
        let named = self.named.get::<Option<Value>>(name)?;
        let given = self.positional.get(place).cloned().or(named);
        let given = given.filter(|value| !value.is_none() && !value.is_undefined());
        given.map(|value| T::from_value(Some(&value))).transpose()
    }

    /// [`Arguments::get`] of an argument that must be there.
    pub(super) fn need<T>(&self, place: usize, name: &str) -> Result<T, Error>
    where
        T: for<'v> ArgType<'v, Output = T>,
    {
        self.get(place, name)?
            .ok_or_else(|| Error::new(ErrorKind::MissingArgument, format!("`{name}` is missing")))
    }

    /// Refuses arguments beyond the first `most`, and names that none has.
    pub(super) fn end(&self, most: usize) -> Result<(), Error> {
        match self.positional.len() > most {
            true => Err(Error::from(ErrorKind::TooManyArguments)),
            false => self.named.assert_all_used(),
        }
    }
}

/// An operation that cannot be done.
pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// So many characters of that kind before and behind a text.
pub(super) fn padded(text: &str, before: usize, behind: usize, fill: char) -> Result<String, Error> {
    if before.max(behind) > WIDEST {
        return Err(wrong(format!("a width beyond {WIDEST} characters")));
    }
    let fill = |count: usize| std::iter::repeat_n(fill, count);
    Ok(fill(before).chain(text.chars()).chain(fill(behind)).collect())
}

/// A text in the middle of so many characters, as Python's `center` places it.
pub(super) fn centered(text: &str, width: usize, fill: char) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count());
    let before = missing / 2 + (missing & width & 1);
    padded(text, before, missing - before, fill)
}
