//! What an issue waits for: its blockers, its open sub-issues, a pull request that closes it already. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Reference;

mod circles;
mod mentions;
#[cfg(test)]
mod properties;

pub use mentions::mentioned;

use circles::Graph;

/// Whether a blocker is still in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Open, be it an issue or a pull request.
    Open,
    /// Closed or merged: in nobody's way.
    Closed,
    /// It is not there, or it cannot be read. Nobody can say that it is done, so it is in the way.
    Unknown,
}

/// An issue, and what it waits for: what GitHub has noted and what its body says, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The issue.
    pub reference: Reference,
    /// Its blockers. Named twice with different states, one is as bad as the worse of them.
    pub blockers: Vec<(Reference, State)>,
    /// Its sub-issues that are open: they are the work, and it is what they add up to.
    pub open_sub_issues: Vec<Reference>,
}

impl Node {
    /// What it waits for.
    fn waits_for(&self) -> impl Iterator<Item = &Reference> {
        let blockers = self.blockers.iter().filter(|(_, state)| *state != State::Closed);
        blockers.map(|(reference, _)| reference).chain(&self.open_sub_issues)
    }
}

/// Why each of the issues has to wait: a sentence each, none where it need not. Circles are looked for over all that
/// the nodes know, so whatever is known of the blockers belongs among the nodes too.
pub fn judge(nodes: &[Node]) -> BTreeMap<Reference, Vec<String>> {
    let graph: Graph<'_> =
        nodes.iter().flat_map(|node| node.waits_for().map(|other| (&node.reference, other))).collect();
    let circles = graph.circles();
    let mut waits: BTreeMap<Reference, Waits<'_>> = BTreeMap::new();
    for node in nodes {
        let waits = waits.entry(node.reference.clone()).or_default();
        for (blocker, state) in &node.blockers {
            let worse = waits.blockers.entry(blocker).or_insert(*state);
            *worse = worst(*worse, *state);
        }
        waits.sub_issues.extend(&node.open_sub_issues);
    }
    let reasons = |(reference, waits): (Reference, Waits<'_>)| {
        // Within a circle the circle says it.
        let elsewhere = |other: &&Reference| !graph.in_one_circle(&reference, other);
        let mut reasons: Vec<String> = (circles.iter())
            .filter(|circle| circle.members.contains(&reference))
            .map(|circle| format!("in a circle of blockers: {}; it must be broken by hand", circle.shown))
            .collect();
        let blockers = waits.blockers.iter().filter(|(other, _)| elsewhere(other));
        reasons.extend(blockers.filter_map(|(blocker, state)| match state {
            State::Open => Some(format!("blocked by {blocker}")),
            State::Unknown => Some(format!("blocked by {blocker}, which cannot be read")),
            State::Closed => None,
        }));
        let open: Vec<String> =
            waits.sub_issues.iter().copied().filter(elsewhere).map(ToString::to_string).collect();
        if !open.is_empty() {
            let plural = if open.len() == 1 { "" } else { "s" };
            reasons.push(format!("waits for its open sub-issue{plural} {}", open.join(", ")));
        }
        (reference, reasons)
    };
    waits.into_iter().map(reasons).collect()
}

/// Everything that one issue waits for, once each and in order.
#[derive(Default)]
struct Waits<'n> {
    blockers: BTreeMap<&'n Reference, State>,
    sub_issues: BTreeSet<&'n Reference>,
}

fn worst(a: State, b: State) -> State {
    match (a, b) {
        (State::Open, _) | (_, State::Open) => State::Open,
        (State::Unknown, _) | (_, State::Unknown) => State::Unknown,
        (State::Closed, State::Closed) => State::Closed,
    }
}

/// A pull request that closes an issue when it is merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosingPullRequest {
    /// The pull request.
    pub reference: Reference,
    /// The login of who opened it; none for a deleted account.
    pub author: Option<String>,
    /// Whether it is open; a draft is.
    pub open: bool,
}

/// Why an issue has to wait for pull requests: a sentence for each open one.
pub fn closing_pull_requests(pull_requests: &[ClosingPullRequest]) -> Vec<String> {
    let sentence = |pull_request: &ClosingPullRequest| {
        let by = pull_request.author.as_deref().unwrap_or("a deleted account");
        format!("pull request {} (by {by}) already closes it", pull_request.reference)
    };
    pull_requests.iter().filter(|pull_request| pull_request.open).map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(number: u64) -> Reference {
        Reference::Here(number)
    }

    fn node(number: u64, blockers: &[(u64, State)], sub_issues: &[u64]) -> Node {
        Node {
            reference: here(number),
            blockers: blockers.iter().map(|(number, state)| (here(*number), *state)).collect(),
            open_sub_issues: sub_issues.iter().map(|number| here(*number)).collect(),
        }
    }

    /// A name, what is known, and the reasons of each issue.
    type Case = (&'static str, Vec<Node>, Vec<(u64, Vec<String>)>);

    #[test]
    fn every_reason_to_wait_is_named() {
        use State::{Closed, Open, Unknown};
        let circle = |shown: &str| format!("in a circle of blockers: {shown}; it must be broken by hand");
        let blocked = |numbers: &[u64]| -> Vec<String> {
            numbers.iter().map(|number| format!("blocked by #{number}")).collect()
        };
        let cases: Vec<Case> = vec![
            ("nothing", vec![node(1, &[], &[])], vec![(1, vec![])]),
            ("open", vec![node(1, &[(12, Open), (3, Open)], &[])], vec![(1, blocked(&[3, 12]))]),
            ("closed", vec![node(1, &[(2, Closed)], &[])], vec![(1, vec![])]),
            (
                "unknown",
                vec![node(1, &[(9, Unknown)], &[])],
                vec![(1, vec!["blocked by #9, which cannot be read".into()])],
            ),
            (
                "the worse",
                vec![node(1, &[(2, Closed), (2, Open), (2, Unknown)], &[])],
                vec![(1, blocked(&[2]))],
            ),
            (
                "a sub-issue",
                vec![node(1, &[], &[4, 4])],
                vec![(1, vec!["waits for its open sub-issue #4".into()])],
            ),
            (
                "both",
                vec![node(1, &[(2, Open)], &[5, 4])],
                vec![(1, vec!["blocked by #2".into(), "waits for its open sub-issues #4, #5".into()])],
            ),
            (
                "known in two halves",
                vec![node(1, &[(2, Open)], &[]), node(1, &[(3, Open)], &[])],
                vec![(1, blocked(&[2, 3]))],
            ),
            ("itself", vec![node(1, &[(1, Open)], &[])], vec![(1, vec![circle("#1 → #1")])]),
            (
                "two",
                vec![node(2, &[(1, Open)], &[]), node(1, &[(2, Open)], &[])],
                vec![(1, vec![circle("#1 → #2 → #1")]), (2, vec![circle("#1 → #2 → #1")])],
            ),
            (
                "through one that cannot be read",
                vec![node(2, &[(1, Unknown)], &[]), node(1, &[(2, Open)], &[])],
                vec![(1, vec![circle("#1 → #2 → #1")]), (2, vec![circle("#1 → #2 → #1")])],
            ),
            (
                "a closed blocker breaks it",
                vec![node(2, &[(1, Closed)], &[]), node(1, &[(2, Open)], &[])],
                vec![(1, blocked(&[2])), (2, vec![])],
            ),
            (
                "waits for a circle",
                vec![
                    node(3, &[(1, Open)], &[]),
                    node(2, &[(1, Open)], &[]),
                    node(1, &[(2, Open), (7, Open)], &[]),
                ],
                vec![
                    (1, vec![circle("#1 → #2 → #1"), "blocked by #7".into()]),
                    (2, vec![circle("#1 → #2 → #1")]),
                    (3, blocked(&[1])),
                ],
            ),
            (
                "a sub-issue blocked by its parent",
                vec![node(5, &[], &[6, 8]), node(6, &[(5, Open)], &[])],
                vec![
                    (5, vec![circle("#5 → #6 → #5"), "waits for its open sub-issue #8".into()]),
                    (6, vec![circle("#5 → #6 → #5")]),
                ],
            ),
            (
                "two that share one",
                vec![
                    node(1, &[(2, Open)], &[]),
                    node(2, &[(1, Open), (3, Open)], &[]),
                    node(3, &[(2, Open)], &[]),
                ],
                vec![
                    (1, vec![circle("#1 → #2 → #1")]),
                    (2, vec![circle("#1 → #2 → #1"), circle("#2 → #3 → #2")]),
                    (3, vec![circle("#2 → #3 → #2")]),
                ],
            ),
            (
                "three, from the smallest, in the order of the waiting",
                vec![node(2, &[(3, Open)], &[]), node(9, &[(2, Open)], &[]), node(3, &[(9, Open)], &[])],
                [2, 3, 9].map(|number| (number, vec![circle("#2 → #3 → #9 → #2")])).into(),
            ),
        ];
        for (name, nodes, expected) in cases {
            let expected: BTreeMap<Reference, Vec<String>> =
                expected.into_iter().map(|(number, reasons)| (here(number), reasons)).collect();
            assert_eq!(judge(&nodes), expected, "{name}");
            let turned: Vec<Node> = nodes.into_iter().rev().collect();
            assert_eq!(judge(&turned), expected, "{name}, the other way round");
        }
    }

    #[test]
    fn other_repositories_are_named() {
        let far = |repo: &str| Reference::new(repo, 5, "me/mine").unwrap();
        let waiting = |reference, blocker: &str| Node {
            reference,
            blockers: vec![(far(blocker), State::Open)],
            open_sub_issues: Vec::new(),
        };
        let reasons = judge(&[waiting(here(1), "o/r")]);
        assert_eq!(reasons[&here(1)], ["blocked by o/r#5"]);
        // One repository, however it is written.
        let back = Node { blockers: vec![(here(1), State::Open)], ..waiting(far("O/R"), "x/y") };
        let reasons = judge(&[waiting(here(1), "o/r"), back]);
        assert_eq!(reasons[&here(1)].len(), 1);
        assert!(reasons[&here(1)][0].starts_with("in a circle of blockers: #1 → "), "{reasons:?}");
    }

    #[test]
    fn long_chains_and_large_circles_fit() {
        const LONG: u64 = 10_000;
        let mut nodes: Vec<Node> =
            (1..LONG).map(|number| node(number, &[(number + 1, State::Open)], &[])).collect();
        let reasons = judge(&nodes);
        assert!(reasons.iter().all(|(at, reasons)| *reasons == [format!("blocked by #{}", at.number() + 1)]));
        nodes.push(node(LONG, &[(1, State::Open)], &[]));
        let reasons = judge(&nodes);
        assert_eq!(reasons.len() as u64, LONG);
        let first = &reasons[&here(1)];
        assert!(first[0].contains("#1 → #2 → #3 → "), "{first:?}");
        assert!(first[0].contains(" → … 9,980 more … → #1;"), "{first:?}");
        assert!(reasons.values().all(|reasons| reasons == first));
    }

    #[test]
    fn an_open_pull_request_is_named_with_its_author() {
        let pull_request = |number, author: Option<&str>, open| ClosingPullRequest {
            reference: here(number),
            author: author.map(str::to_owned),
            open,
        };
        let all =
            [pull_request(77, Some("mia"), true), pull_request(78, None, true), pull_request(9, None, false)];
        let expected = [
            "pull request #77 (by mia) already closes it",
            "pull request #78 (by a deleted account) already closes it",
        ];
        assert_eq!(closing_pull_requests(&all), expected);
    }
}
