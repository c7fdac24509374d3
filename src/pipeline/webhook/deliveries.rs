//! Which deliveries were written already, `.cq/cache/deliveries.json`: what GitHub, or anybody who recorded one,
//! sends again is not written again, also not after a restart.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Kind, OrFail, Result};
use crate::state::durable;

/// How long a delivery is remembered; GitHub redelivers for three days, but only when somebody asks for it.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// How many are, at most.
const MOST: usize = 10_000;

/// A delivery whose line was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Delivered {
    id: String,
    at: Timestamp,
}

/// The deliveries that are remembered, oldest first.
#[derive(Debug)]
pub(super) struct Deliveries {
    path: PathBuf,
    list: VecDeque<Delivered>,
    ids: HashSet<String>,
}

impl Deliveries {
    /// Reads what an earlier process remembered. A file that cannot be understood is an error, not an empty memory.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let list: VecDeque<Delivered> = match durable::read(&path)? {
            None => VecDeque::new(),
            Some(text) => serde_json::from_str(&text)
                .or_fail(Kind::Internal, || format!("cannot understand '{}'", path.display()))
                .map_err(|error| error.hint("remove it to forget which deliveries were written"))?,
        };
        let ids = list.iter().map(|delivered| delivered.id.clone()).collect();
        Ok(Self { path, list, ids })
    }

    /// Whether a delivery was written.
    pub(super) fn has(&mut self, id: &str, now: Timestamp) -> bool {
        self.forget(now);
        self.ids.contains(id)
    }

    /// Remembers a delivery, durably.
    pub(super) fn add(&mut self, id: String, now: Timestamp) -> Result<()> {
        self.ids.insert(id.clone());
        self.list.push_back(Delivered { id, at: now });
        self.forget(now);
        let text =
            serde_json::to_vec(&self.list).or_fail(Kind::Internal, || "cannot write the deliveries")?;
        durable::replace(&self.path, &text)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.list.front() {
            if self.list.len() <= MOST && now - oldest.at < REMEMBERED {
                break;
            }
            self.ids.remove(&oldest.id);
            self.list.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_delivery_is_remembered_for_a_day_and_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries.json");
        let mut first = Deliveries::open(path.clone()).unwrap();
        assert!(!first.has("a", at("2026-01-01T00:00:00Z")));
        first.add("a".to_owned(), at("2026-01-01T00:00:00Z")).unwrap();
        first.add("b".to_owned(), at("2026-01-01T12:00:00Z")).unwrap();
        let mut second = Deliveries::open(path).unwrap();
        for (id, now, expected) in [
            ("a", "2026-01-01T23:59:59Z", true),
            ("a", "2026-01-02T00:00:00Z", false),
            ("b", "2026-01-02T00:00:00Z", true),
            ("b", "2026-01-02T12:00:00Z", false),
        ] {
            assert_eq!(second.has(id, at(now)), expected, "{id} {now}");
        }
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries.json");
        let now = at("2026-01-01T00:00:00Z");
        let list: Vec<Delivered> = (0..=MOST).map(|n| Delivered { id: n.to_string(), at: now }).collect();
        std::fs::File::create(&path).and_then(|file| Ok(serde_json::to_writer(file, &list)?)).unwrap();
        let mut deliveries = Deliveries::open(path).unwrap();
        deliveries.add("last".to_owned(), now).unwrap();
        assert_eq!((deliveries.list.len(), deliveries.ids.len()), (MOST, MOST));
        let known = ["0", "1", "2", "last"].map(|id| deliveries.has(id, now));
        assert_eq!(known, [false, false, true, true]);
    }

    #[test]
    fn a_memory_that_cannot_be_understood_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries.json");
        durable::replace(&path, b"[{\"id\":").unwrap();
        assert_eq!(Deliveries::open(path).unwrap_err().kind, Kind::Internal);
    }
}
