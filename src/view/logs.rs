//! `cq-logs`: the instances' logs, merged by time.
//!
//! Each line of a log begins with its time, so that a merge is a sort. The logs are already redacted and safe for
//! a terminal; `--raw` shows the agents' own output, which is neither.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::error::{Error, Kind, OrFail, Result, Tally};
use crate::output;
use crate::sanitize;
use crate::session::Session;
use crate::state::instances;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Only these.
    pub instances: Vec<String>,
    /// Go on.
    pub follow: bool,
    /// Unrendered.
    pub raw: bool,
    /// Only what is younger.
    pub since: Option<String>,
}

/// How often growing logs are looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Shows the logs.
pub fn run(session: &Session, wish: &Wish) -> Result<Tally> {
    session.needs_setup()?;
    for name in &wish.instances {
        if instances::number(name).is_none() {
            let error = Error::new(Kind::Usage, format!("'{name}' is not an instance's name"));
            return Err(error.hint("instances are called claude-instance-1, claude-instance-2, …"));
        }
    }
    let mut tally = Tally::default();
    let there = logs(session, wish)?;
    let has_log = |name: &&String| {
        if wish.raw {
            session.loaded.logs().join(name).is_dir()
        } else {
            there.iter().any(|(instance, _)| instance == *name)
        }
    };
    for name in wish.instances.iter().filter(|name| !has_log(name)) {
        session.complain(&Error::new(Kind::Failed, format!("{name} has no log")));
        tally.note(Kind::Failed);
    }
    let since = wish.since.as_deref().map(|text| moment(text, session.clock.now())).transpose()?;
    let shown = match (wish.raw, wish.follow) {
        (true, _) => raw(session, wish),
        (false, false) => tick(session, wish, since, &mut BTreeMap::new()),
        (false, true) => follow(session, wish, since),
    };
    match shown {
        Err(error) if error.kind != Kind::ClosedPipe => Err(error),
        _ => Ok(tally),
    }
}

fn follow(session: &Session, wish: &Wish, since: Option<Timestamp>) -> Result<()> {
    let mut read = BTreeMap::new();
    loop {
        tick(session, wish, since, &mut read)?;
        std::thread::sleep(PAUSE);
    }
}

/// A time, or a span back from now: `90s`, `15m`, `2h`, `1d`.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    let span = || -> Option<TimeDelta> {
        let unit = text.chars().last()?;
        let count: i64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
        match unit {
            's' => TimeDelta::try_seconds(count),
            'm' => TimeDelta::try_minutes(count),
            'h' => TimeDelta::try_hours(count),
            'd' => TimeDelta::try_days(count),
            _ => None,
        }
    };
    text.parse().ok().or_else(|| now.checked_sub_signed(span()?)).ok_or_else(|| {
        Error::new(Kind::Usage, format!("--since '{text}' is neither a time nor a span"))
            .hint("such as 2026-01-31T09:30:00Z, 90s, 15m, 2h or 1d")
    })
}

/// The logs there are: of the named instances, else of all.
fn logs(session: &Session, wish: &Wish) -> Result<Vec<(String, PathBuf)>> {
    let workspaces = session.loaded.workspaces(&session.environment)?;
    let names = if wish.instances.is_empty() { names_in(&workspaces) } else { wish.instances.clone() };
    let path = |name: String| (name.clone(), workspaces.join(name).join("claude.log"));
    Ok(names.into_iter().map(path).filter(|(_, log)| log.is_file()).collect())
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<(u32, String)> =
        names.filter_map(|name| Some((instances::number(&name)?, name))).collect();
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}

/// Shows what the logs hold beyond what was read already.
fn tick(
    session: &Session,
    wish: &Wish,
    since: Option<Timestamp>,
    read: &mut BTreeMap<PathBuf, u64>,
) -> Result<()> {
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    for (instance, log) in logs(session, wish)? {
        let from = read.entry(log.clone()).or_default();
        let failed = || format!("cannot read '{}'", log.display());
        let mut file = File::open(&log).or_fail(Kind::Failed, failed)?;
        file.seek(SeekFrom::Start(*from)).or_fail(Kind::Failed, failed)?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        // A line without its end is still being written.
        while reader.read_line(&mut line).or_fail(Kind::Failed, failed)? > 0 && line.ends_with('\n') {
            *from += line.len() as u64;
            if let Some((at, text)) = line.trim_end().split_once("  ")
                && let Ok(at) = at.parse::<Timestamp>()
                && since.is_none_or(|since| at >= since)
            {
                lines
                    .push((at, format!("{} {instance} {}\n", at.format("%FT%T%.3fZ"), sanitize::line(text))));
            }
            line.clear();
        }
    }
    lines.sort_by_key(|line| line.0);
    output::print(&lines.into_iter().map(|(_, line)| line).collect::<String>())
}

/// The agents' output as they wrote it, one file after the other.
fn raw(session: &Session, wish: &Wish) -> Result<()> {
    let folder = session.loaded.logs();
    let names = if wish.instances.is_empty() { names_in(&folder) } else { wish.instances.clone() };
    for name in names {
        let Ok(entries) = std::fs::read_dir(folder.join(&name)) else { continue };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with(".stdout.jsonl"));
        files.sort();
        for path in files {
            let mut file =
                File::open(&path).or_fail(Kind::Failed, || format!("cannot read '{}'", path.display()))?;
            let mut bytes = vec![0; 64 << 10];
            loop {
                let count = file
                    .read(&mut bytes)
                    .or_fail(Kind::Failed, || format!("cannot read '{}'", path.display()))?;
                if count == 0 {
                    break;
                }
                output::print_bytes(&bytes[..count])?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_spans() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let cases = [
            ("2026-01-01T12:00:00Z", Some("2026-01-01T12:00:00Z")),
            ("90s", Some("2026-01-01T23:58:30Z")),
            ("2h", Some("2026-01-01T22:00:00Z")),
            ("1d", Some("2026-01-01T00:00:00Z")),
            ("soon", None),
            ("", None),
            ("9999999999999999d", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
            assert_eq!(moment(text, now).ok(), expected, "{text}");
        }
    }
}
