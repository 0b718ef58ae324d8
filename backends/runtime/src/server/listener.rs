//! The events of answers, from the engine to the thread of the connections.

use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};

use crate::engine::{Delivery, Event, Listener};

/// Events on their way to a client; when so many wait, the answer pauses.
const ROOM: usize = 64;

#[derive(Debug)]
struct Channel(Sender<Event>);

impl Listener for Channel {
    fn send(&self, event: Event) -> Delivery {
        match self.0.try_send(event) {
            Ok(()) => Delivery::Taken,
            Err(TrySendError::Full(event)) => Delivery::Full(event),
            Err(TrySendError::Closed(_)) => Delivery::Gone,
        }
    }

    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// A listener, and where its events come out. They end when nobody holds the listener any more.
pub(super) fn channel() -> (Arc<dyn Listener>, Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(ROOM);
    (Arc::new(Channel(sender)), receiver)
}
