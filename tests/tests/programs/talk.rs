//! `chat`: conversations over a pipe and on a terminal are those of `generate --chat`.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use seqc_tests::{
    command,
    program::{fresh_file, json},
};

use super::chat::{PLAIN, bytes, with_template};

/// What `generate --chat` says after a saved state, and where its own is left.
fn said(dir: &Path, message: &str, states: [Option<&Path>; 2]) -> String {
    let generate = |save: Option<&Path>| {
        let mut words = words(dir, "generate");
        words.extend(["--json".to_owned(), "--chat".to_owned(), message.to_owned()]);
        for (flag, path) in [("--load-state", states[0]), ("--save-state", save)] {
            words.extend(
                path.iter()
                    .flat_map(|path| [flag.to_owned(), path.display().to_string()]),
            );
        }
        json(bytes().run(&words))
    };
    if states[1].is_some() {
        generate(states[1]);
    }
    generate(None)["text"].as_str().unwrap_or_default().to_owned()
}

/// A verb with answers of six tokens.
fn words(dir: &Path, verb: &str) -> Vec<String> {
    let dir = dir.display().to_string();
    let words = [verb, "--tokenizer", &dir, "-n", "6", "--ignore-eos"];
    words.map(str::to_owned).to_vec()
}

#[test]
fn a_conversation_over_a_pipe_is_saved_loaded_and_taken_back() {
    let dir = with_template(PLAIN);
    let (kept, saved) = (fresh_file("state"), fresh_file("state"));
    let hi = said(&dir, "Hi", [None, Some(&kept)]);
    let bye = said(&dir, "Bye", [Some(&kept), None]);
    let two = said(&dir, "Two\nlines", [Some(&kept), None]);
    let slash = said(&dir, "/undo", [Some(&kept), None]);
    let mut words = words(&dir, "chat");
    words.push("--interactive".to_owned());
    let saved = saved.display();
    let input = format!(
        "Hi\n/save {saved}\nBye\n/undo\nBye\n/load {saved}\nTwo\\\nlines\n\n/undo\n//undo\n/clear\nHi\n/undo\n/undo\n/undo\nBye"
    );
    let answer = command::run_with_input(&bytes().path, &words, &input).ok();
    let expected = [&hi, &bye, &bye, &two, &slash, &hi]
        .map(|text| format!("{text}\n"))
        .concat();
    assert!(
        answer.stdout.starts_with(&expected),
        "{:?} is not {expected:?}",
        answer.stdout
    );
    assert!(answer.stderr.contains("saved after"), "{}", answer.stderr);
    assert_eq!(answer.stderr.matches("back after").count(), 5, "{}", answer.stderr);
    for drafts in [
        ["--speculate", "lookup:4"],
        ["--draft", &bytes().path.display().to_string()],
    ] {
        let drafted = [&words[..], &drafts.map(str::to_owned)].concat();
        let drafted = command::run_with_input(&bytes().path, &drafted, &input).ok();
        assert_eq!(drafted.stdout, answer.stdout);
    }
}

#[test]
fn what_cannot_be_done_is_said_and_the_conversation_goes_on() {
    let dir = with_template(PLAIN);
    let mut words = words(&dir, "chat");
    words.push("--interactive".to_owned());
    let input = "/sing\n/load /nowhere/at/all\n/save\n/undo\nHi\n/quit\nBye\n";
    let answer = command::run_with_input(&bytes().path, &words, input).ok();
    assert_eq!(answer.stdout, format!("{}\n", said(&dir, "Hi", [None, None])));
    for why in ["no command /sing", "/nowhere/at/all", "/save needs", "no turn"] {
        assert!(answer.stderr.contains(why), "{why}: {}", answer.stderr);
    }
}

#[test]
fn without_a_terminal_all_of_the_input_is_one_message() {
    let dir = with_template(PLAIN);
    let state = fresh_file("state");
    let mut first = words(&dir, "chat");
    first.extend(["--save-state".to_owned(), state.display().to_string()]);
    let answer = command::run_with_input(&bytes().path, &first, "/undo\nHi\n").ok();
    assert_eq!(answer.stdout, format!("{}\n", said(&dir, "/undo\nHi", [None, None])));
    for nothing in ["", "\n"] {
        let answer = command::run_with_input(&bytes().path, &words(&dir, "chat"), nothing).ok();
        assert_eq!(answer.stdout, "");
        assert!(answer.stderr.contains("no message"), "{}", answer.stderr);
    }
    // The conversation is the state's, for both verbs.
    let mut next = words(&dir, "chat");
    next.extend(["--load-state".to_owned(), state.display().to_string()]);
    let answer = command::run_with_input(&bytes().path, &next, "Bye").ok();
    assert_eq!(answer.stdout, format!("{}\n", said(&dir, "Bye", [Some(&state), None])));
}

/// A program on a terminal.
struct Terminal {
    process: Child,
    ours: File,
    /// All that was shown.
    shown: Vec<u8>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Terminal {
    fn start(words: &[String]) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours)
            .and_then(|()| unlockpt(&ours))
            .expect("the terminal's other end");
        let name = ptsname(&ours, Vec::new())
            .expect("its name")
            .into_string()
            .expect("text");
        let end = || {
            let theirs = OpenOptions::new().read(true).write(true).open(&name);
            Stdio::from(theirs.expect("the terminal's other end"))
        };
        // Drop the program's ends here, so that the terminal ends with it.
        let process = Command::new(&bytes().path)
            .args(words)
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn();
        Terminal {
            process: process.expect("the program starts"),
            ours: File::from(ours),
            shown: Vec::new(),
        }
    }

    /// Enters keys when this was shown since the last time.
    fn enter(&mut self, awaited: &str, keys: &str) {
        self.wait_for(awaited);
        self.ours.write_all(keys.as_bytes()).expect("keys");
    }

    fn wait_for(&mut self, awaited: &str) {
        let from = Instant::now();
        loop {
            let text = String::from_utf8_lossy(&self.shown).into_owned();
            if let Some(at) = text.find(awaited) {
                self.shown = text.as_bytes()[at + awaited.len()..].to_vec();
                return;
            }
            assert!(
                from.elapsed() < Duration::from_secs(60),
                "{awaited:?} is not in {text:?}"
            );
            let mut bytes = [0; 4096];
            let count = self
                .ours
                .read(&mut bytes)
                .unwrap_or_else(|error| panic!("{error}: {text:?}"));
            self.shown.extend(&bytes[..count]);
        }
    }
}

#[test]
fn a_terminal_has_history_and_commands() {
    let dir = with_template(PLAIN);
    let state = fresh_file("state");
    let hi = said(&dir, "Hi", [None, Some(&state)]);
    let again = said(&dir, "Hi", [Some(&state), None]);
    let first = |text: &str| {
        text.split(|c: char| !c.is_ascii_graphic())
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let mut terminal = Terminal::start(&words(&dir, "chat"));
    terminal.wait_for("/help lists");
    terminal.enter("> ", "Hi\r");
    terminal.wait_for("\r\n");
    terminal.wait_for(&first(&hi));
    // The line before, from the history.
    terminal.enter("> ", "\u{1b}[A\r");
    terminal.wait_for("\r\n");
    terminal.wait_for(&first(&again));
    terminal.enter("> ", "/und\u{1b}[Dxo\u{8}\u{8}do\r");
    terminal.wait_for("error: there is no command");
    terminal.enter("> ", "/undo\r");
    terminal.wait_for("back after");
    terminal.enter("> ", "\u{3}");
    terminal.wait_for("Ctrl-D");
    terminal.enter("> ", "\u{4}");
    assert_eq!(terminal.process.wait().ok().and_then(|status| status.code()), Some(0));
}

#[test]
fn an_interrupt_stops_an_answer_and_not_the_program() {
    let dir = with_template(PLAIN);
    let mut words = words(&dir, "chat");
    words[4] = "-1".to_owned();
    let mut terminal = Terminal::start(&words);
    for _ in 0..2 {
        terminal.enter("> ", "Hi\r");
        terminal.wait_for("\r\n");
        std::thread::sleep(Duration::from_millis(300));
        let process = i32::try_from(terminal.process.id()).ok().and_then(Pid::from_raw);
        kill_process(process.expect("a process"), Signal::INT).expect("a signal");
        terminal.wait_for("interrupted");
    }
    terminal.enter("> ", "/quit\r");
    assert_eq!(terminal.process.wait().ok().and_then(|status| status.code()), Some(0));
}
