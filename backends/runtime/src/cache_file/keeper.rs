//! The thread that drops from memory what is too much of a file of caches, while steps run.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{CacheFile, Store};
use crate::{Error, Result};

/// How often memory is looked at while it changes.
const SHORTEST: Duration = Duration::from_millis(1);
/// How often it is looked at while it does not.
const LONGEST: Duration = Duration::from_millis(16);

/// A store with its thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Arc<Store>,
    /// The thread ends when this is dropped.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// An empty file.
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub(crate) fn create(place: &CacheFile) -> Result<Keeper> {
        let store = Arc::new(Store::create(place)?);
        let (alive, asks) = channel();
        let held = store.clone();
        let thread = thread::Builder::new().name("cache file".to_owned());
        let thread = thread.spawn(move || keep(&held, &asks));
        let thread = thread.map_err(|error| Error::Failed(format!("no thread: {error}")))?;
        Ok(Keeper {
            store,
            alive: Some(alive),
            thread: Some(thread),
        })
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked is over as well.
            let _ = thread.join();
        }
    }
}

fn keep(store: &Store, asks: &Receiver<()>) {
    let mut pause = SHORTEST;
    while asks.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = match store.hold(false) {
            true => SHORTEST,
            false => LONGEST.min(pause * 2),
        };
    }
}
