//! The processes of a run while it lasts, and what is left of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use crate::House;

/// A process, told from a later one with the same number by its start.
type Known = (i32, u64);

/// Every process of a run that was ever seen.
#[derive(Default)]
pub(crate) struct Tree {
    seen: BTreeSet<Known>,
    /// When the supervisor took leave of the agent, and when the last of them was gone.
    pub(crate) agent_gone: Option<Instant>,
    pub(crate) all_gone: Option<Instant>,
}

/// Parent and start of a process that has not ended.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    (fields[0] != "Z" && fields[0] != "X").then_some((fields[1].parse().ok()?, fields[19].parse().ok()?))
}

fn below(root: i32) -> Vec<Known> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut children: BTreeMap<i32, Vec<Known>> = BTreeMap::new();
    for pid in pids {
        if let Some((parent, start)) = stat(pid) {
            children.entry(parent).or_default().push((pid, start));
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let of = children.remove(&parent).unwrap_or_default();
        parents.extend(of.iter().map(|(pid, _)| *pid));
        found.extend(of);
    }
    found
}

impl Tree {
    /// Looks once: until the agent's end for who belongs to it, after that for who is left.
    pub(crate) fn look(&mut self, supervisor: i32, agent: i32, marker: &str) {
        let now = Instant::now();
        let alive = fs::exists(format!("/proc/{agent}")).unwrap();
        if alive && self.agent_gone.is_none() {
            self.seen.extend(below(supervisor));
            let carrying = House::processes_with(marker);
            self.seen.extend(carrying.into_iter().filter_map(|pid| Some((pid, stat(pid)?.1))));
        } else if self.all_gone.is_none() {
            self.agent_gone.get_or_insert(now);
            self.all_gone = self.left(marker).is_empty().then_some(now);
        }
    }

    /// Who of them is still there, by what was seen and by the marker.
    pub(crate) fn left(&self, marker: &str) -> BTreeSet<i32> {
        let there = |(pid, start): &&Known| stat(*pid).is_some_and(|(_, now)| now == *start);
        let mut left: BTreeSet<i32> = self.seen.iter().filter(there).map(|(pid, _)| *pid).collect();
        left.extend(House::processes_with(marker));
        left
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }
}
