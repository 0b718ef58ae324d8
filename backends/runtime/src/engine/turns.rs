//! Who of those who wait for a place gets the next one: clients take turns, whatever each of them has waiting.

use std::collections::{HashSet, VecDeque};

use super::request::Client;

/// Clients that wait, the one whose turn is next first. One that begins to wait comes last.
#[derive(Debug, Default)]
pub(super) struct Turns(VecDeque<Client>);

impl Turns {
    /// The next one of those that wait, whose clients these are in the order in which they came; only some may come now.
    pub(super) fn next(&mut self, waiting: &[Client], may_come: impl Fn(usize) -> bool) -> Option<usize> {
        let wait: HashSet<Client> = waiting.iter().copied().collect();
        self.0.retain(|client| wait.contains(client));
        let mut known: HashSet<Client> = self.0.iter().copied().collect();
        self.0.extend(waiting.iter().filter(|client| known.insert(**client)));
        let first = |client: &Client| (0..waiting.len()).find(|n| waiting[*n] == *client && may_come(*n));
        let (turn, next) = self
            .0
            .iter()
            .enumerate()
            .find_map(|(turn, client)| Some((turn, first(client)?)))?;
        if let Some(client) = self.0.remove(turn) {
            self.0.push_back(client);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(name: u8) -> Client {
        IpAddr::from([10, 0, 0, name]).into()
    }

    /// The order in which those that wait get places, of whom more come when some places were given.
    fn order(mut waiting: Vec<u8>, mut coming: Vec<(usize, u8)>) -> Vec<u8> {
        let (mut turns, mut order) = (Turns::default(), Vec::new());
        while !waiting.is_empty() {
            let clients: Vec<Client> = waiting.iter().map(|name| client(*name)).collect();
            let next = turns.next(&clients, |_| true).expect("somebody waits");
            order.push(waiting.remove(next));
            waiting.extend(
                coming
                    .extract_if(.., |(when, _)| *when == order.len())
                    .map(|(_, name)| name),
            );
        }
        order
    }

    #[test]
    fn clients_take_turns_whatever_each_has_waiting() {
        assert_eq!(order(vec![1, 1, 1, 1, 2, 2, 3], vec![]), [1, 2, 3, 1, 2, 1, 1]);
        assert_eq!(order(vec![1, 1, 1, 1, 1], vec![(2, 2), (2, 2)]), [1, 1, 1, 2, 1, 2, 1]);
        assert_eq!(order(vec![1, 2, 3], vec![]), [1, 2, 3]);
    }

    #[test]
    fn newcomers_do_not_starve_those_who_wait() {
        let coming = (1..20).map(|when| (when, 100 + when as u8)).collect();
        let order = order(vec![1, 1, 1, 2], coming);
        let places: Vec<usize> = (0..order.len()).filter(|n| order[*n] == 1).collect();
        assert_eq!(places, [0, 2, 5], "{order:?}");
    }

    #[test]
    fn who_cannot_come_now_is_passed_by_and_keeps_the_turn() {
        let (mut turns, waiting) = (Turns::default(), [client(1), client(2)]);
        assert_eq!(turns.next(&waiting, |n| n == 1), Some(1));
        assert_eq!(turns.next(&waiting, |_| true), Some(0));
        assert_eq!(turns.next(&waiting, |_| false), None);
    }

    #[test]
    fn a_client_is_known_by_its_address() {
        let of = |text: &str| Client::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(of("10.1.2.3"), of("::ffff:10.1.2.3"));
        assert_ne!(of("10.1.2.3"), of("10.1.2.4"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
