//! Records that are no longer in flight, as far as they are recent.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{State, durable};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::Record;

/// No earlier than this, whatever the mark says or where there is none.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// At most so many, the newest.
const MOST: usize = 100;
/// Clocks of file systems are coarse.
const SLACK: Duration = Duration::from_secs(10);

impl State {
    /// Records that went to the archive since the [mark](State::mark_mirrored) and are not in flight again: the newest of
    /// each issue. One that cannot be read is passed over.
    pub fn archived_since_mirrored(&self, now: Timestamp) -> Result<Vec<Record>> {
        let now = SystemTime::from(now);
        let mark = durable::read(&self.mirrored())?.and_then(|text| text.trim().parse::<Timestamp>().ok());
        let mark = mark.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
        let since = mark.checked_sub(SLACK).unwrap_or(mark).max(now - LONGEST);
        let Ok(entries) = std::fs::read_dir(self.path("archive")) else { return Ok(Vec::new()) };
        let mut found: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "json"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .filter(|(at, _)| *at >= since)
            .collect();
        found.sort();
        let mut newest = BTreeMap::new();
        for (_, path) in found.iter().rev().take(MOST) {
            let record = durable::read(path)?.and_then(|text| Record::from_json(&text).ok());
            if let Some(record) = record.filter(|record| !self.is_in_flight(record.number)) {
                newest.entry(record.number).or_insert(record);
            }
        }
        Ok(newest.into_values().collect())
    }

    /// The archived records of an issue, in no order. One that cannot be read is passed over.
    pub fn archived(&self, number: u64) -> Result<Vec<Record>> {
        let Ok(entries) = std::fs::read_dir(self.path("archive")) else { return Ok(Vec::new()) };
        let number = number.to_string();
        let of_issue = |entry: &std::fs::DirEntry| {
            let name = entry.file_name();
            name.to_str().and_then(|name| name.split_once('.')).is_some_and(|(issue, _)| issue == number)
        };
        let mut records = Vec::new();
        for entry in entries.flatten().filter(of_issue) {
            records.extend(durable::read(&entry.path())?.and_then(|text| Record::from_json(&text).ok()));
        }
        Ok(records)
    }

    /// Notes that everything that was archived before then is shown on GitHub. A mark that is lost costs a look at
    /// those of the last day.
    pub fn mark_mirrored(&self, at: Timestamp) -> Result<()> {
        durable::replace_cheaply(&self.mirrored(), format!("{}\n", at.to_rfc3339()).as_bytes())
    }

    fn mirrored(&self) -> std::path::PathBuf {
        self.path("cache").join("mirrored")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::record::Issue;

    #[test]
    fn the_newest_of_each_issue_since_the_mark() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("cq"), Clock::System, "test");
        state.create().unwrap();
        let now = Clock::System.now_exact();
        let archive = |name: &str, number: u64, title: &str, seconds_ago: u64| {
            let record = Record::new("o/r", number, Issue { title: title.into(), ..Issue::default() });
            let path = state.path("archive").join(name);
            durable::replace(&path, serde_json::to_string(&record).unwrap().as_bytes()).unwrap();
            let at = SystemTime::from(now) - Duration::from_secs(seconds_ago);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
        };
        archive("1.1.json", 1, "older", 500);
        archive("1.2.json", 1, "newer", 400);
        archive("2.1.json", 2, "yesterday", 25 * 3600);
        archive("3.1.json", 3, "recent", 30);
        archive("4.1.json", 4, "again in flight", 30);
        state.lock().unwrap().put(&Record::new("o/r", 4, Issue::default()), 0).unwrap();
        let titles = || -> Vec<String> {
            let records = state.archived_since_mirrored(now).unwrap();
            records.into_iter().map(|record| record.issue.title).collect()
        };
        assert_eq!(titles(), ["newer", "recent"]);
        state.mark_mirrored(now - chrono::TimeDelta::seconds(100)).unwrap();
        assert_eq!(titles(), ["recent"]);
        state.mark_mirrored(now).unwrap();
        assert_eq!(titles(), Vec::<String>::new());
    }
}
