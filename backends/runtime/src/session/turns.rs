//! The executor that a session and its forks share: steps of several threads take turns, in the order in which they are asked for.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{Result, executor::Executor, model::Model};

/// A share of an executor.
#[derive(Clone, Debug)]
pub(super) struct Turns<'m> {
    model: &'m Model,
    shared: Arc<Shared<'m>>,
}

#[derive(Debug)]
struct Shared<'m> {
    queue: Mutex<Queue>,
    next: Condvar,
    executor: Mutex<Executor<'m>>,
}

/// Turns are numbered. A plain lock would let a session that reads chunk after chunk take the next turn before others wake up.
#[derive(Debug, Default)]
struct Queue {
    /// Turns that were asked for.
    asked: u64,
    /// Turns that are over.
    over: u64,
}

impl<'m> Turns<'m> {
    /// An executor that nobody shares yet.
    pub(super) fn new(model: &'m Model) -> Result<Turns<'m>> {
        let shared = Shared {
            queue: Mutex::default(),
            next: Condvar::new(),
            executor: Mutex::new(Executor::new(model)?),
        };
        Ok(Turns {
            model,
            shared: Arc::new(shared),
        })
    }

    pub(super) fn model(&self) -> &'m Model {
        self.model
    }

    /// Waits for those who asked before.
    pub(super) fn turn(&self) -> Turn<'_, 'm> {
        let mut queue = lock(&self.shared.queue);
        let mine = queue.asked;
        queue.asked += 1;
        while queue.over < mine {
            queue = self.shared.next.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        Turn {
            executor: lock(&self.shared.executor),
            // Counts the turn when it is dropped, after the executor.
            _over: Over(&self.shared),
        }
    }
}

/// The executor, for one turn.
pub(super) struct Turn<'a, 'm> {
    executor: MutexGuard<'a, Executor<'m>>,
    _over: Over<'a, 'm>,
}

impl<'m> Deref for Turn<'_, 'm> {
    type Target = Executor<'m>;

    fn deref(&self) -> &Executor<'m> {
        &self.executor
    }
}

impl DerefMut for Turn<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.executor
    }
}

/// Ends a turn.
struct Over<'a, 'm>(&'a Shared<'m>);

impl Drop for Over<'_, '_> {
    fn drop(&mut self) {
        lock(&self.0.queue).over += 1;
        self.0.next.notify_all();
    }
}

/// A lock whose holder may have panicked: nothing that it keeps depends on the end of a turn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{model::Options, testing};

    #[test]
    fn turns_come_in_the_order_in_which_they_are_asked_for() {
        let model = Model::load(testing::adder("adder"), &Options::default()).expect("a model");
        let turns = Turns::new(&model).expect("memory");
        let order = Mutex::new(Vec::new());
        let asked = |count: u64| {
            while lock(&turns.shared.queue).asked < count {
                thread::yield_now();
            }
        };
        let first = turns.turn();
        thread::scope(|scope| {
            for n in 1..=8_u64 {
                asked(n);
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let _turn = turns.turn();
                    lock(order).push(n);
                });
            }
            asked(9);
            drop(first);
        });
        assert_eq!(*lock(&order), (1..=8).collect::<Vec<_>>());
    }
}
