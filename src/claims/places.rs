//! How many more issues may be claimed, and why no more. Pure.

use std::fmt;

use super::Terms;
use crate::record::Status;
use crate::state::Summary;

/// Why nothing new is claimed for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// So many issues are in work, and no more may be.
    Places(usize),
    /// Nobody could keep up with more pull requests.
    Unreviewed {
        /// Pull requests that wait for a person.
        waiting: usize,
        /// Issues in work, whose pull requests will.
        coming: usize,
        /// How many there may be.
        most: usize,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Places(capacity) => write!(f, "all {capacity} places are taken"),
            Self::Unreviewed { waiting: 0, coming: 1, most } => {
                write!(f, "1 pull request is on its way to a person, and queue.maxUnreviewed allows {most}")
            }
            Self::Unreviewed { waiting: 0, coming, most } => {
                write!(
                    f,
                    "{coming} pull requests are on their way to a person, and queue.maxUnreviewed allows {most}"
                )
            }
            Self::Unreviewed { waiting, coming, most } => {
                let (pull_requests, wait) =
                    if waiting == 1 { ("pull request", "waits") } else { ("pull requests", "wait") };
                write!(f, "{waiting} {pull_requests} {wait} for a person")?;
                match coming {
                    0 => {}
                    1 => write!(f, " and 1 more is on its way")?,
                    more => write!(f, " and {more} more are on their way")?,
                }
                write!(f, ", and queue.maxUnreviewed allows {most}")
            }
        }
    }
}

/// The room there is for new claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// So many more may be claimed.
    pub free: usize,
    /// Why no more, where none is free: each reason alone would do.
    pub full: Vec<Full>,
    /// Pull requests that wait for a person.
    pub waiting: usize,
}

/// Counts the places. `in_flight` are all records in flight; one that cannot be read holds its place.
///
/// A pull request counts for as long as its record is in flight: one whose issue was released is its owner's own, and
/// looking for it in the archive would make each claim cost what is finished.
///
/// A claim counts against `max_unreviewed` from the moment that it is made: its pull request will come to the same
/// people. Counting only those that are open already would let a full house of agents open theirs on top.
pub fn count(in_flight: impl Iterator<Item = Summary>, terms: &Terms) -> Places {
    let (mut active, mut waiting) = (0, 0);
    for summary in in_flight {
        active += usize::from(summary.status.is_none_or(Status::is_active));
        waiting += usize::from(summary.waits_for_people);
    }
    let mut free = terms.capacity.saturating_sub(active);
    let mut full = Vec::new();
    if free == 0 {
        full.push(Full::Places(terms.capacity));
    }
    if let Some(most) = terms.max_unreviewed {
        let left = most.saturating_sub(waiting + active);
        if left == 0 {
            full.push(Full::Unreviewed { waiting, coming: active, most });
        }
        free = free.min(left);
    }
    Places { free, full, waiting }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in flight, agents, pull requests; free places, and why there are none.
    type Case<'a> = (&'a [Summary], usize, Option<usize>, usize, &'a [Full]);

    #[test]
    fn places_are_limited_by_agents_and_by_people() {
        let is = |status| Summary { status: Some(status), ..Summary::default() };
        let waits = |status| Summary { waits_for_people: true, ..is(status) };
        let [queued, runs, testing, _, completed, failed] = Status::ALL.map(is);
        let (ready, failed_round) = (waits(Status::PrReady), waits(Status::Failed));
        let unreviewed = |waiting, coming, most| Full::Unreviewed { waiting, coming, most };
        let cases: [Case<'_>; 14] = [
            (&[], 5, None, 5, &[]),
            (&[queued, runs, testing], 5, None, 2, &[]),
            (&[queued, Summary::default()], 2, None, 0, &[Full::Places(2)]),
            (&[ready; 9], 2, None, 2, &[]),
            (&[failed, completed], 1, Some(1), 1, &[]),
            (&[], 5, Some(2), 2, &[]),
            (&[ready], 5, Some(2), 1, &[]),
            (&[ready; 2], 5, Some(2), 0, &[unreviewed(2, 0, 2)]),
            (&[ready, testing], 5, Some(2), 0, &[unreviewed(1, 1, 2)]),
            (&[ready; 4], 5, Some(2), 0, &[unreviewed(4, 0, 2)]),
            (&[queued; 3], 5, Some(2), 0, &[unreviewed(0, 3, 2)]),
            (&[queued, ready], 1, Some(2), 0, &[Full::Places(1), unreviewed(1, 1, 2)]),
            (&[failed_round; 9], 1, None, 1, &[]),
            (&[failed_round, ready, failed], 5, Some(2), 0, &[unreviewed(2, 0, 2)]),
        ];
        for (in_flight, capacity, max_unreviewed, free, full) in cases {
            let terms = Terms { capacity, max_unreviewed, ..Terms::default() };
            let places = count(in_flight.iter().copied(), &terms);
            assert_eq!((places.free, places.full.as_slice()), (free, full), "{in_flight:?} {capacity}");
        }
    }

    #[test]
    fn the_reasons_are_sentences() {
        let cases = [
            (Full::Places(5), "all 5 places are taken"),
            (
                Full::Unreviewed { waiting: 1, coming: 0, most: 1 },
                "1 pull request waits for a person, and queue.maxUnreviewed allows 1",
            ),
            (
                Full::Unreviewed { waiting: 2, coming: 1, most: 3 },
                "2 pull requests wait for a person and 1 more is on its way, and queue.maxUnreviewed allows 3",
            ),
            (
                Full::Unreviewed { waiting: 0, coming: 2, most: 2 },
                "2 pull requests are on their way to a person, and queue.maxUnreviewed allows 2",
            ),
        ];
        for (full, expected) in cases {
            assert_eq!(full.to_string(), expected);
        }
    }
}
