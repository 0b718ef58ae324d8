//! What a line of a conversation asks for, other than an answer.

use std::path::PathBuf;

/// What `/help` prints.
pub(super) const HELP: &str = "\
/save FILE   save the conversation
/load FILE   go on with a saved conversation
/undo        take the last turn back
/clear       begin anew
/help        print this
/quit        end the conversation, as the end of the input does
A message that begins with a slash is written with two; one that goes on in the next line ends with a backslash.
";

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Save(PathBuf),
    Load(PathBuf),
    Undo,
    Clear,
    Quit,
}

impl Command {
    /// The command of a line that begins with a slash, without it.
    pub(super) fn parse(line: &str) -> Result<Command, String> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let file = || match rest.trim() {
            "" => Err(format!("/{name} needs the name of a file")),
            path => Ok(PathBuf::from(path)),
        };
        match name {
            "save" => file().map(Command::Save),
            "load" => file().map(Command::Load),
            "help" => Ok(Command::Help),
            "undo" => Ok(Command::Undo),
            "clear" => Ok(Command::Clear),
            "quit" | "exit" => Ok(Command::Quit),
            _ => Err(format!("there is no command /{name}; /help lists them")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_with_a_file_where_they_need_one() {
        assert_eq!(
            Command::parse("save  a b.state "),
            Ok(Command::Save("a b.state".into()))
        );
        assert_eq!(Command::parse("undo"), Ok(Command::Undo));
        assert!(Command::parse("load").is_err_and(|why| why.contains("file")));
        assert!(Command::parse("sing").is_err_and(|why| why.contains("/help")));
        assert!(
            ["save FILE", "load FILE", "undo", "clear", "help", "quit"]
                .iter()
                .all(|line| HELP.contains(&format!("/{line}")))
        );
    }
}
