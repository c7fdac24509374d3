//! In which order branches meet the fewest conflicts. Pure.
//!
//! Of two branches that conflict, whichever is merged later has to be brought up to date first. So a branch merges
//! without a conflict if nothing it conflicts with was merged before it, and those that do are at best the largest set
//! of branches of which no two conflict: a maximum independent set of the graph. These come first; each of the others
//! has to be mended once, in whatever order. A branch that conflicts with the base has to be mended in any case, and
//! comes with the others.

use std::collections::BTreeSet;

/// Up to so many branches that hang together the best set is found exactly; of more a good one, by taking the branch
/// with the fewest conflicts again and again.
const EXACT: usize = 40;

/// Branches by their place, and which of them conflict.
#[derive(Debug, Default)]
pub(super) struct Graph {
    met: Vec<BTreeSet<usize>>,
    spoilt: BTreeSet<usize>,
}

impl Graph {
    /// So many branches, without conflicts.
    pub(super) fn new(count: usize) -> Self {
        Self { met: vec![BTreeSet::new(); count], spoilt: BTreeSet::new() }
    }

    /// These two conflict.
    pub(super) fn join(&mut self, one: usize, other: usize) {
        self.met[one].insert(other);
        self.met[other].insert(one);
    }

    /// This one conflicts with the base.
    pub(super) fn spoil(&mut self, one: usize) {
        self.spoilt.insert(one);
    }

    /// All places, best first, and how many from the beginning merge without a conflict. Among equals the lower place
    /// comes first.
    pub(super) fn order(&self) -> (Vec<usize>, usize) {
        let mut left: BTreeSet<usize> = (0..self.met.len()).filter(|at| !self.spoilt.contains(at)).collect();
        let mut clean = BTreeSet::new();
        while let Some(first) = left.first() {
            let together = self.reachable(*first, &left);
            left.retain(|at| !together.contains(at));
            clean.extend(if together.len() <= EXACT {
                self.largest(&together)
            } else {
                self.greedy(together)
            });
        }
        let others = (0..self.met.len()).filter(|at| !clean.contains(at));
        (clean.iter().copied().chain(others).collect(), clean.len())
    }

    /// What hangs together with a place, by conflicts among `within`.
    fn reachable(&self, from: usize, within: &BTreeSet<usize>) -> BTreeSet<usize> {
        let (mut found, mut next) = (BTreeSet::from([from]), vec![from]);
        while let Some(at) = next.pop() {
            let new = self.met[at].intersection(within).filter(|other| found.insert(**other));
            next.extend(new.copied().collect::<Vec<_>>());
        }
        found
    }

    fn largest(&self, among: &BTreeSet<usize>) -> Vec<usize> {
        let places: Vec<usize> = among.iter().copied().collect();
        let bit_of = |other: &usize| places.binary_search(other).map_or(0, |bit| 1 << bit);
        let met: Vec<u64> =
            places.iter().map(|at| self.met[*at].iter().map(bit_of).fold(0, |all, bit| all | bit)).collect();
        let all = if places.is_empty() { 0 } else { u64::MAX >> (64 - places.len()) };
        let set = independent(all, &met);
        places.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, at)| *at).collect()
    }

    fn greedy(&self, mut left: BTreeSet<usize>) -> Vec<usize> {
        let mut chosen = Vec::new();
        while let Some(best) =
            left.iter().copied().min_by_key(|at| (self.met[*at].intersection(&left).count(), *at))
        {
            left.remove(&best);
            left.retain(|at| !self.met[best].contains(at));
            chosen.push(best);
        }
        chosen
    }
}

/// A largest set of bits of `left` of which no two meet. Whoever meets at most one other is in one of them; else it is
/// tried with and without whoever meets most.
fn independent(left: u64, met: &[u64]) -> u64 {
    let meets = |bit: usize| (met[bit] & left).count_ones();
    let bits = || (0..met.len()).filter(|bit| left >> bit & 1 == 1);
    let Some(least) = bits().min_by_key(|bit| meets(*bit)) else { return 0 };
    let with = |bit: usize| 1 << bit | independent(left & !(1 << bit | met[bit]), met);
    if meets(least) <= 1 {
        return with(least);
    }
    let most = bits().max_by_key(|bit| (meets(*bit), std::cmp::Reverse(*bit))).unwrap_or(least);
    let without = independent(left & !(1 << most), met);
    let with = with(most);
    // Among equals the one with the lower places.
    let rank = |set: u64| (set.count_ones(), set.reverse_bits());
    if rank(with) > rank(without) { with } else { without }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(count: usize, edges: &[(usize, usize)], spoilt: &[usize]) -> Graph {
        let mut graph = Graph::new(count);
        for (one, other) in edges {
            graph.join(*one, *other);
        }
        for one in spoilt {
            graph.spoil(*one);
        }
        graph
    }

    #[test]
    fn the_order_meets_the_fewest_conflicts() {
        type Case<'a> = (usize, &'a [(usize, usize)], &'a [usize], &'a [usize], usize);
        let cases: [Case<'_>; 8] = [
            (0, &[], &[], &[], 0),
            (3, &[], &[], &[0, 1, 2], 3),
            (2, &[(0, 1)], &[], &[0, 1], 1),
            // One that meets all the others goes last.
            (4, &[(0, 1), (0, 2), (0, 3)], &[], &[1, 2, 3, 0], 3),
            (3, &[(0, 1), (1, 2), (0, 2)], &[], &[0, 1, 2], 1),
            (5, &[(0, 1), (1, 2), (2, 3), (3, 4)], &[], &[0, 2, 4, 1, 3], 3),
            // What meets the base goes last, and keeps nobody from going first.
            (3, &[(0, 1), (1, 2)], &[1], &[0, 2, 1], 2),
            (2, &[(0, 1)], &[0, 1], &[0, 1], 0),
        ];
        for (count, edges, spoilt, expected, clean) in cases {
            let found = graph(count, edges, spoilt).order();
            assert_eq!(found, (expected.to_vec(), clean), "{count} {edges:?}");
        }
    }

    /// Against every set there is.
    #[test]
    fn small_graphs_are_solved_exactly_and_greed_finds_a_set_too() {
        let mut dice = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let count = dice.usize(1..11);
            let density = dice.f64();
            let mut graph = Graph::new(count);
            for (one, other) in (0..count).flat_map(|one| (0..one).map(move |other| (one, other))) {
                if dice.f64() < density {
                    graph.join(one, other);
                }
            }
            let is_clean = |set: &[usize]| {
                set.iter().all(|one| set.iter().all(|other| !graph.met[*one].contains(other)))
            };
            let sets = (0_u32..1 << count)
                .map(|set| -> Vec<usize> { (0..count).filter(|bit| set >> bit & 1 == 1).collect() });
            let best = sets.filter(|set| is_clean(set)).map(|set| set.len()).max().unwrap();
            let (order, clean) = graph.order();
            assert_eq!(clean, best, "{graph:?}");
            assert!(is_clean(&order[..clean]), "{graph:?}");
            let greedy = graph.greedy((0..count).collect());
            assert!(is_clean(&greedy) && !greedy.is_empty() && greedy.len() <= best, "{graph:?}");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>(), "each once");
        }
    }

    /// Forty of them on a grid with shortcuts, and more than are solved exactly: both end soon.
    #[test]
    fn large_graphs_take_no_time() {
        let began = std::time::Instant::now();
        for count in [EXACT, 400] {
            let mut graph = Graph::new(count);
            for one in 0..count {
                for step in [1, 7, 13] {
                    graph.join(one, (one + step) % count);
                }
            }
            let (order, clean) = graph.order();
            assert!(order.len() == count && clean >= count / 7, "{count} {clean}");
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
