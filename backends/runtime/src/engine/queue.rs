//! How many wait for places, and who: the queue is bounded, and no client alone fills it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

use super::{gauges::Gauges, request::Client};

/// The length of the queue. A quarter of it is for clients of whom nothing waits yet, or no more than a
/// quarter.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    waiting: Mutex<HashMap<Client, usize>>,
}

impl Queue {
    pub(super) fn new(most: usize) -> Queue {
        Queue {
            most,
            waiting: Mutex::default(),
        }
    }

    /// Answers that may wait together.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many answers of a client begin to wait, if there is room for them.
    pub(super) fn enter(&self, client: Client, count: usize, gauges: &Gauges) -> bool {
        let mut waiting = self.lock();
        let (all, quarter) = (gauges.waiting.load(Relaxed).saturating_add(count), self.most / 4);
        let own = waiting.get(&client).map_or(count, |own| own.saturating_add(count));
        let has_more_than_its_share = own > quarter && own > count;
        if all > self.most || all > self.most - quarter && has_more_than_its_share {
            return false;
        }
        waiting.insert(client, own);
        gauges.waiting.fetch_add(count, Relaxed);
        true
    }

    /// One answer of a client waits no longer.
    pub(super) fn leave(&self, client: Client, gauges: &Gauges) {
        let mut waiting = self.lock();
        gauges.waiting.fetch_sub(1, Relaxed);
        if let Some(own) = waiting.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn no_client_alone_fills_the_queue() {
        let [one, other, third] = [1, 2, 3].map(|name| Client::from(IpAddr::from([10, 0, 0, name])));
        let (queue, gauges) = (Queue::new(16), Gauges::default());
        assert!((0..12).all(|_| queue.enter(one, 1, &gauges)));
        assert!(!queue.enter(one, 1, &gauges));
        assert!(queue.enter(other, 3, &gauges) && !queue.enter(other, 2, &gauges));
        assert!(queue.enter(third, 1, &gauges) && !queue.enter(third, 1, &gauges));
        assert_eq!(gauges.waiting.load(Relaxed), 16);
        (0..5).for_each(|_| queue.leave(one, &gauges));
        assert!(queue.enter(one, 1, &gauges) && !queue.enter(one, 1, &gauges));
        // One request may have many answers.
        let empty = Gauges::default();
        assert!(Queue::new(16).enter(one, 16, &empty));
        let short = Queue::new(2);
        let gauges = Gauges::default();
        assert!(short.enter(one, 2, &gauges) && !short.enter(other, 1, &gauges));
        (0..2).for_each(|_| short.leave(one, &gauges));
        assert!(short.lock().is_empty());
    }
}
