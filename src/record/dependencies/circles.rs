//! Circles in who waits for whom.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::record::Reference;

/// More of a circle than this is not spelled out.
const SHOWN: usize = 20;

/// Who waits for whom, and which of them wait for each other.
pub(super) struct Graph<'n> {
    at: BTreeMap<&'n Reference, NodeIndex>,
    waits: DiGraph<&'n Reference, ()>,
    /// For each issue the number of the part in which everybody waits for everybody; parts of one have one too.
    part: Vec<usize>,
}

/// Issues that wait for each other, one after the other.
pub(super) struct Circle {
    pub(super) members: BTreeSet<Reference>,
    /// From the smallest member back to it.
    pub(super) shown: String,
}

impl<'n> FromIterator<(&'n Reference, &'n Reference)> for Graph<'n> {
    /// Takes who waits and for whom.
    fn from_iter<I: IntoIterator<Item = (&'n Reference, &'n Reference)>>(waits: I) -> Self {
        let waits: BTreeSet<(&Reference, &Reference)> = waits.into_iter().collect();
        let mut graph = DiGraph::new();
        let all: BTreeSet<&Reference> = waits.iter().flat_map(|(from, to)| [*from, *to]).collect();
        // In their order, so that a larger index is a larger reference.
        let at: BTreeMap<_, _> =
            all.into_iter().map(|reference| (reference, graph.add_node(reference))).collect();
        for (from, to) in waits {
            graph.add_edge(at[&from], at[&to], ());
        }
        let mut part = vec![0; graph.node_count()];
        // This one does not recurse: a chain may be longer than the stack.
        for (number, members) in kosaraju_scc(&graph).into_iter().enumerate() {
            for member in members {
                part[member.index()] = number;
            }
        }
        Self { at, waits: graph, part }
    }
}

impl Graph<'_> {
    /// Whether `from` waits, over whomever, for `to`, which waits for `from`. Nobody need be in the graph.
    pub(super) fn in_one_circle(&self, from: &Reference, to: &Reference) -> bool {
        match (self.at.get(from), self.at.get(to)) {
            (Some(from), Some(to)) => self.part[from.index()] == self.part[to.index()],
            _ => false,
        }
    }

    /// Circles, shortest ways round, of which every issue that is in any is in at least one. All there are could be
    /// more than can be counted.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let mut found: Vec<Vec<NodeIndex>> = Vec::new();
        let mut covered = BTreeSet::new();
        for member in self.waits.node_indices() {
            if !covered.contains(&member)
                && let Some(mut way) = self.way_round(member)
            {
                covered.extend(way.iter().copied());
                let smallest =
                    way.iter().enumerate().min_by_key(|(_, member)| **member).map_or(0, |(at, _)| at);
                way.rotate_left(smallest);
                found.push(way);
            }
        }
        found.sort();
        found.into_iter().map(|way| self.circle(&way)).collect()
    }

    /// The shortest way from an issue back to itself, among equals the one over the smallest.
    fn way_round(&self, start: NodeIndex) -> Option<Vec<NodeIndex>> {
        let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(at) = next.pop_front() {
            let mut others: Vec<NodeIndex> = (self.waits.neighbors(at))
                .filter(|other| self.part[other.index()] == self.part[start.index()])
                .collect();
            others.sort();
            for other in others {
                if other == start {
                    let mut way = vec![at];
                    while let Some(before) = way.last().and_then(|last| came_from.get(last)) {
                        way.push(*before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if let Entry::Vacant(free) = came_from.entry(other) {
                    free.insert(at);
                    next.push_back(other);
                }
            }
        }
        None
    }

    fn circle(&self, way: &[NodeIndex]) -> Circle {
        let mut shown: Vec<String> = way.iter().take(SHOWN).map(|at| self.waits[*at].to_string()).collect();
        if way.len() > SHOWN {
            shown.push(format!("… {} more …", thousands(way.len() - SHOWN)));
        }
        shown.extend(way.first().map(|at| self.waits[*at].to_string()));
        let members = way.iter().map(|at| self.waits[*at].clone()).collect();
        Circle { members, shown: shown.join(" → ") }
    }
}

fn thousands(number: usize) -> String {
    if number < 1000 {
        number.to_string()
    } else {
        format!("{},{:03}", thousands(number / 1000), number % 1000)
    }
}
