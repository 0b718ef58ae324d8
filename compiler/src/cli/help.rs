//! `seqc help`: commands, and explanations of messages.

use super::session::{FAILED, OK, Session};
use crate::{
    diag::{Diagnostic, Placed},
    pages,
};
use clap::{Args, CommandFactory};

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, or the code of a message: `bad-size`
    topic: Option<String>,
}

pub(crate) fn help<C: CommandFactory>(session: &Session, args: &HelpArgs) -> u8 {
    let mut command = C::command();
    let Some(topic) = &args.topic else {
        let text = command.render_long_help().to_string();
        let more = "`seqc help COMMAND` explains a command, `seqc help CODE` a message: its code is the word in brackets before it.";
        return session.print(&format!("{text}\n{more}\n"));
    };
    let code = topic.trim_start_matches('[').trim_end_matches(']');
    if let Some(page) = pages::page(code) {
        return session.print(&format!("{code}\n\n{page}\n"));
    }
    command.build();
    if let Some(verb) = command.find_subcommand_mut(topic) {
        return session.print(&verb.render_long_help().to_string());
    }
    let verbs: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let known = pages::all()
        .map(|(code, _)| code)
        .chain(verbs.iter().map(String::as_str));
    let d = Diagnostic::bare("no-topic", format!("there is no command and no message `{topic}`"));
    let d = d.did_you_mean(topic, known);
    let d = match d.help.is_empty() {
        true => d.help(format!(
            "commands are {}; docs/errors.md lists the messages",
            verbs.join(", ")
        )),
        false => d,
    };
    match session.report(&[d]) {
        OK => OK,
        _ => FAILED,
    }
}
