//! The smallest cut between two sides of a network.

use std::collections::VecDeque;

/// A capacity that no cut goes through.
pub(super) const UNCUT: u64 = u64::MAX / 4;

/// A pipe, and how much more it can take.
#[derive(Clone, Copy, Debug)]
struct Edge {
    to: usize,
    left: u64,
}

/// A network of points and pipes with capacities.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Pipes in pairs: one, and the way back.
    edges: Vec<Edge>,
    /// By point, the numbers of the pipes that leave it.
    leaving: Vec<Vec<usize>>,
}

impl Network {
    /// Points `0..points` without pipes.
    pub(super) fn new(points: usize) -> Network {
        Network {
            edges: Vec::new(),
            leaving: vec![Vec::new(); points],
        }
    }

    /// A pipe.
    pub(super) fn connect(&mut self, from: usize, to: usize, capacity: u64) {
        for (from, to, left) in [(from, to, capacity), (to, from, 0)] {
            self.leaving[from].push(self.edges.len());
            self.edges.push(Edge { to, left });
        }
    }

    /// The points on the side of `sink` of a cut of the least capacity; of several such cuts, the one with the fewest of them.
    /// By the shortest augmenting paths (Edmonds and Karp 1972).
    pub(super) fn sink_side(mut self, source: usize, sink: usize) -> Vec<bool> {
        while let Some(path) = self.path(source, sink) {
            let most = path.iter().map(|e| self.edges[*e].left).min().unwrap_or(0);
            for e in path {
                self.edges[e].left -= most;
                self.edges[e ^ 1].left += most;
            }
        }
        let mut reaches = vec![false; self.leaving.len()];
        reaches[sink] = true;
        let mut work = vec![sink];
        while let Some(at) = work.pop() {
            for e in &self.leaving[at] {
                let from = self.edges[*e].to;
                if self.edges[e ^ 1].left > 0 && !reaches[from] {
                    reaches[from] = true;
                    work.push(from);
                }
            }
        }
        reaches
    }

    /// The pipes of a shortest path that can take more.
    fn path(&self, source: usize, sink: usize) -> Option<Vec<usize>> {
        let mut by: Vec<Option<usize>> = vec![None; self.leaving.len()];
        let mut work = VecDeque::from([source]);
        while let Some(at) = work.pop_front() {
            for e in &self.leaving[at] {
                let Edge { to, left } = self.edges[*e];
                if left == 0 || to == source || by[to].is_some() {
                    continue;
                }
                by[to] = Some(*e);
                work.push_back(to);
            }
            if by[sink].is_some() {
                break;
            }
        }
        let mut path = Vec::new();
        let mut at = sink;
        while at != source {
            let e = by[at]?;
            path.push(e);
            at = self.edges[e ^ 1].to;
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_pipes_are_cut_next_to_the_sink() {
        let mut net = Network::new(6);
        for (from, to, capacity) in [(0, 1, UNCUT), (1, 2, 3), (1, 3, 4), (2, 4, 9), (3, 4, 2), (4, 5, 5)] {
            net.connect(from, to, capacity);
        }
        assert_eq!(net.clone().sink_side(0, 5), [false, false, false, false, false, true]);
        net.connect(4, 5, 9);
        assert_eq!(net.sink_side(0, 5), [false, false, true, false, true, true]);
    }
}
