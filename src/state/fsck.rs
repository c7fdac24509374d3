//! Whether the state directory is whole: what can be made again is, what cannot is named.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use chrono::TimeDelta;

use super::events::{self, Event};
use super::{State, instances};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::record::{Record, Status, Transition};

/// What is not as it should be.
#[derive(Debug, Default)]
pub struct Flaws {
    /// Records that cannot be read.
    pub unreadable: Vec<Error>,
    /// Changes of status that the event feed does not tell: the issue, and the change.
    pub untold: Vec<(u64, Transition)>,
    /// Lines of the event feed that are not JSON: the file, and how many.
    pub torn: Vec<(PathBuf, usize)>,
    /// Instances that more than one record names, with the issues.
    pub shared: Vec<(String, Vec<u64>)>,
}

/// A record's time is in whole seconds, its event's in milliseconds, taken a moment later.
const APART: TimeDelta = TimeDelta::seconds(3);

impl State {
    /// Looks at everything in flight and at the event feeds. Takes no lock.
    pub fn flaws(&self) -> Result<Flaws> {
        let mut flaws = Flaws::default();
        let records = self.in_flight(|error| flaws.unreadable.push(error))?;
        let mut told: BTreeMap<u64, Vec<(Timestamp, String)>> = BTreeMap::new();
        for feed in self.feeds() {
            let torn = read_feed(&feed, &mut told);
            if torn > 0 {
                flaws.torn.push((feed, torn));
            }
        }
        let mut named: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for record in &records {
            // A failed record keeps the name of its instance; once its workspace is gone, others may have it.
            let has_workspace = record.run.as_ref().is_some_and(|run| !run.workspace.is_empty());
            let holds = has_workspace || !record.status.is_some_and(Status::is_final);
            if holds && instances::number(record.instance()).is_some() {
                named.entry(record.instance()).or_default().push(record.number);
            }
            flaws.untold.extend(untold(record, told.entry(record.number).or_default()));
        }
        let shared = named.into_iter().filter(|(_, issues)| issues.len() > 1);
        flaws.shared = shared.map(|(instance, issues)| (instance.to_owned(), issues)).collect();
        Ok(flaws)
    }

    /// Tells the feed what it missed, from the records' own history.
    pub fn tell_again(&self, untold: &[(u64, Transition)]) -> Result<()> {
        let locked = self.lock()?;
        for (number, change) in untold {
            let mut event = Event::about(self, "transition", *number).with("to", change.to.name());
            if let Some(from) = change.from {
                event = event.with("from", from.name());
            }
            event = event.with("why", change.why.as_str()).with("repaired", true);
            event.at = change.at;
            event.command.clone_from(&change.by);
            locked.append(&event)?;
        }
        Ok(())
    }

    /// The event feeds, this month's last.
    fn feeds(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.dir()) else { return Vec::new() };
        let is_feed = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name == events::FILE_NAME
                || name.strip_prefix("events-").is_some_and(|rest| rest.contains(".jsonl"))
        };
        let mut feeds: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_feed).collect();
        feeds.sort();
        feeds
    }
}

/// Notes the changes of status that a feed tells; returns how many of its lines are not JSON.
fn read_feed(feed: &PathBuf, told: &mut BTreeMap<u64, Vec<(Timestamp, String)>>) -> usize {
    let Ok(file) = File::open(feed) else { return 0 };
    let mut torn = 0;
    for line in BufReader::new(file).split(b'\n').map_while(std::io::Result::ok) {
        let Ok(event) = serde_json::from_slice::<Event>(&line) else {
            torn += usize::from(!line.is_empty());
            continue;
        };
        if let (Some(issue), Some(to)) = (event.issue, event.details.get("to").and_then(|to| to.as_str())) {
            told.entry(issue).or_default().push((event.at, to.to_owned()));
        }
    }
    torn
}

/// The changes of a record that no event tells. Each event tells one.
fn untold(record: &Record, told: &mut Vec<(Timestamp, String)>) -> Vec<(u64, Transition)> {
    let mut missing = Vec::new();
    for change in &record.history {
        let same =
            |(at, to): &(Timestamp, String)| to == change.to.name() && (*at - change.at).abs() <= APART;
        match told.iter().position(same) {
            Some(at) => {
                told.swap_remove(at);
            }
            None => missing.push((record.number, change.clone())),
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::record::{Issue, Status};
    use crate::state::Change;

    #[test]
    fn a_swallowed_event_is_found_and_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("cq"), Clock::System, "test");
        let now = state.clock().now();
        let mut record = Record::new("o/r", 7, Issue::default());
        for (status, why) in [(Status::Queued, "claimed"), (Status::InProgress, "started")] {
            state
                .change(7, |_| {
                    record.transition(status, "cq-claim", why, now)?;
                    Ok((Change::Write(Box::new(record.clone())), ()))
                })
                .unwrap();
        }
        assert!(state.flaws().unwrap().untold.is_empty());

        let feed = state.dir().join(events::FILE_NAME);
        let first = std::fs::read_to_string(&feed).unwrap().lines().next().unwrap().to_owned();
        std::fs::OpenOptions::new().write(true).truncate(true).open(&feed).unwrap();
        let file = std::fs::OpenOptions::new().append(true).open(&feed).unwrap();
        std::io::Write::write_all(&mut &file, format!("{first}\n{{\"torn").as_bytes()).unwrap();
        let flaws = state.flaws().unwrap();
        assert_eq!(flaws.torn, [(feed, 1)]);
        assert_eq!(
            flaws.untold.iter().map(|(issue, change)| (*issue, change.to)).collect::<Vec<_>>(),
            [(7, Status::InProgress)]
        );
        state.tell_again(&flaws.untold).unwrap();
        assert!(state.flaws().unwrap().untold.is_empty(), "a torn line must not swallow what follows");
    }
}
