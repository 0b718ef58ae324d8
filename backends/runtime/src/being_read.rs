//! The name of the file that code of others is reading: panics and exceeded limits are reported with it.

use std::{path::Path, sync::Mutex};

static READING: Mutex<Option<String>> = Mutex::new(None);

/// Says which file is being read from here on; `None`: no file.
pub(crate) fn set(path: Option<&Path>) {
    if let Ok(mut place) = READING.lock() {
        *place = path.map(|path| path.display().to_string());
    }
}

/// The file that is being read by code of others.
pub(crate) fn name() -> Option<String> {
    READING.try_lock().ok()?.clone()
}

/// Says the name of the file that is being read by code of others, without taking memory.
pub(crate) fn say_name(say: impl Fn(&str)) {
    match READING.try_lock() {
        Ok(name) => say(name.as_deref().unwrap_or("a file")),
        Err(_) => say("a file"),
    }
}

/// What is said of a file on which code of others panics.
pub(crate) fn damaged(path: &str) -> String {
    format!("{path}: the file is damaged: its contents contradict each other")
}
