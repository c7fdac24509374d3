//! The conflict radar: which branches in work would conflict, in which files, and what to merge first.
//!
//! Every live branch is merged with the base and with every other one, in memory (see [`crate::git::Merged`]). Nothing
//! is fetched: the base is the newest commit of it that is known here. What an agent in a clone or a sandbox of its own
//! commits is seen when its run ends, as by everybody.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use self::order::Graph;
use crate::error::{Error, Kind, Result, Tally};
use crate::git::{Merged, PrivateGit, branch_ref};
use crate::output::Format;
use crate::record::{Record, Status};
use crate::sanitize;
use crate::session::Session;

mod order;

/// A branch in work that has commits of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its issue.
    pub issue: u64,
    /// The branch.
    pub branch: String,
    /// The branch that it goes back to.
    pub base: String,
    /// Its last commit.
    pub head: String,
    status: Status,
}

/// What is known of the live branches.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What would conflict, or cannot be compared: with the base first, then pair by pair.
    pub meetings: Vec<Meeting>,
    /// The issues in the order in which merging meets the fewest conflicts.
    pub order: Vec<u64>,
    /// So many of them, from the beginning, merge without any.
    pub clean: usize,
}

/// Two that would not merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meeting {
    /// One issue where its branch meets the base, else two.
    pub issues: Vec<u64>,
    /// Their branches.
    pub branches: Vec<String>,
    /// The base that is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The files in which they conflict.
    pub files: Vec<String>,
    /// Why git could not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A line of `--conflicts`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Row<'a> {
    /// Two branches, or a branch and the base.
    Conflict(&'a Meeting),
    /// They could not be compared.
    Unknown(&'a Meeting),
    /// What to merge first.
    Order {
        /// These merge without a conflict, one after the other.
        clean: &'a [u64],
        /// These then have to be brought up to date.
        conflicting: &'a [u64],
    },
}

const COLUMNS: &[&str] = &["WHAT", "WHO", "FILES"];

/// `cq-status --conflicts`.
pub fn run(session: &Session) -> Result<Tally> {
    session.needs_setup()?;
    let mut tally = Tally::default();
    let records = session.state.in_flight(|error| {
        session.complain(&error);
        tally.note(Kind::Failed);
    })?;
    let found = match live(session, &records)? {
        (live, Some(private)) => look(&private, &live)?,
        (_, None) => Findings::default(),
    };
    match show(session, &found) {
        Err(error) if error.kind == Kind::ClosedPipe => Ok(tally),
        shown => shown.map(|()| tally),
    }
}

fn show(session: &Session, found: &Findings) -> Result<()> {
    let mut output = session.rows(COLUMNS);
    for meeting in &found.meetings {
        let row = if meeting.unknown.is_some() { Row::Unknown(meeting) } else { Row::Conflict(meeting) };
        output.item(&row, || {
            let what = if meeting.unknown.is_some() { "unknown" } else { "conflict" };
            let files = meeting.unknown.clone().unwrap_or_else(|| meeting.files.join(", "));
            vec![what.to_owned(), meeting.who(), files]
        })?;
    }
    let (clean, conflicting) = found.order.split_at(found.clean);
    if !found.order.is_empty() {
        output.item(&Row::Order { clean, conflicting }, || {
            let later = if conflicting.is_empty() { "" } else { "the last of them meet a conflict" };
            vec!["merge order".to_owned(), numbers(&found.order), later.to_owned()]
        })?;
    }
    output.finish()?;
    if session.options.format.unwrap_or_else(Format::suited_to_stdout) == Format::Table {
        session.note(&summary(found));
    }
    Ok(())
}

/// What a person should know in one line.
pub fn summary(found: &Findings) -> String {
    let live = found.order.len();
    if found.meetings.is_empty() {
        return match live {
            0 => "no branch in work has commits".to_owned(),
            1 => "1 branch in work, without a conflict".to_owned(),
            _ => format!("{live} branches in work, and none would conflict"),
        };
    }
    let told: Vec<String> = found.meetings.iter().take(SHOWN).map(Meeting::told).collect();
    let more = match found.meetings.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let clean = found.clean;
    let merge = if clean == 1 { "merges" } else { "merge" };
    format!("{clean} of {live} branches in work {merge} without a conflict: {}{more}", told.join(", "))
}

/// So many pairs, and so many files of each, are named in the summary.
const SHOWN: usize = 3;

impl Meeting {
    /// What two that were merged would meet in; none where they would not.
    fn of(live: &[&Live], base: Option<&str>, merged: Merged) -> Option<Self> {
        let (files, unknown) = match merged {
            Merged::Clean => return None,
            Merged::Conflicting(files) => (files, None),
            Merged::Unknown(why) => (Vec::new(), Some(why)),
        };
        let (issues, branches) = live.iter().map(|live| (live.issue, live.branch.clone())).unzip();
        Some(Self { issues, branches, base: base.map(str::to_owned), files, unknown })
    }

    fn who(&self) -> String {
        match &self.base {
            Some(base) => format!("{} and {base}", numbers(&self.issues)),
            None => numbers(&self.issues).replace(", ", " and "),
        }
    }

    fn told(&self) -> String {
        if self.unknown.is_some() {
            return format!("{} cannot be compared", self.who());
        }
        let shown = self.files[..self.files.len().min(SHOWN)].join(", ");
        let more = match self.files.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        // Agents name their files as they like, and one with a line end in it would look like another message.
        format!("{} meet in {}{more}", self.who(), sanitize::line(&shown))
    }
}

fn numbers(issues: &[u64]) -> String {
    issues.iter().map(|issue| format!("#{issue}")).collect::<Vec<_>>().join(", ")
}

/// The live branches of some records, and git where there is any: whoever waits, works, or is under review, and has
/// commits beyond what it started from.
pub fn live(session: &Session, records: &[Record]) -> Result<(Vec<Live>, Option<PrivateGit>)> {
    let begun = |record: &&Record| {
        let alive = record.status.is_some_and(|status| !status.is_final());
        alive && record.claim.is_some()
    };
    let begun: Vec<&Record> = records.iter().filter(begun).collect();
    if begun.is_empty() {
        return Ok((Vec::new(), None));
    }
    let (repository, private) = session.git()?;
    let heads: BTreeMap<String, String> = repository.refs_below("refs/heads/")?.into_iter().collect();
    let mut found = Vec::new();
    for record in begun {
        let (Some(claim), Some(status)) = (&record.claim, record.status) else { continue };
        let head = heads.get(&branch_ref(&claim.branch));
        if let Some(head) = head.filter(|head| claim.base_sha.as_ref() != Some(*head)) {
            let (branch, base, head) = (claim.branch.clone(), claim.base.clone(), head.clone());
            found.push(Live { issue: record.number, branch, base, head, status });
        }
    }
    // What people have before them first; then what comes to them next.
    found.sort_by_key(|live| (std::cmp::Reverse(live.status), live.issue));
    Ok((found, Some(private)))
}

/// The newest commit of each base that they go back to.
fn bases(private: &PrivateGit, live: &[Live]) -> Result<BTreeMap<String, String>> {
    let names: BTreeSet<&str> = live.iter().map(|live| live.base.as_str()).collect();
    let known = |name: &str| {
        private.known_base(name)?.ok_or_else(|| {
            Error::new(Kind::Failed, format!("the base '{name}' is not known here"))
                .hint("fetch it, or set git.base in the configuration")
        })
    };
    names.into_iter().map(|name| Ok((name.to_owned(), known(name)?))).collect()
}

/// The commits that a look depends on, a line each: the same ones give the same findings.
pub fn commits(private: &PrivateGit, live: &[Live]) -> Result<String> {
    let bases = bases(private, live)?;
    let bases = bases.iter().map(|(name, sha)| format!("{name} {sha}\n"));
    Ok(bases.chain(live.iter().map(|live| format!("#{} {}\n", live.issue, live.head))).collect())
}

/// Merges each with its base, and each pair that goes back to the same base.
pub fn look(private: &PrivateGit, live: &[Live]) -> Result<Findings> {
    let bases = bases(private, live)?;
    let base_of = |live: &Live| bases.get(&live.base).cloned().unwrap_or_default();
    let pairs: Vec<(usize, usize)> = (0..live.len())
        .flat_map(|one| (one + 1..live.len()).map(move |other| (one, other)))
        .filter(|(one, other)| live[*one].base == live[*other].base)
        .collect();
    let with_base = live.iter().map(|live| (base_of(live), live.head.clone()));
    let with_others = pairs.iter().map(|(one, other)| (live[*one].head.clone(), live[*other].head.clone()));
    let mut with_base = private.merge_all(&with_base.chain(with_others).collect::<Vec<_>>())?;
    let with_others = with_base.split_off(live.len());

    let mut graph = Graph::new(live.len());
    let mut meetings = Vec::new();
    for (at, (one, merged)) in live.iter().zip(&with_base).enumerate() {
        if let Some(meeting) = Meeting::of(&[one], Some(&one.base), merged.clone()) {
            graph.spoil(at);
            meetings.push(meeting);
        }
    }
    // Looked up for few: only where somebody meets the base does it matter what the other branch changed itself.
    let mut changed = vec![None; live.len()];
    for ((one, other), mut merged) in pairs.into_iter().zip(with_others) {
        if matches!(merged, Merged::Conflicting(_)) {
            for (met, brings) in [(one, other), (other, one)] {
                if matches!(with_base[met], Merged::Conflicting(_)) && changed[brings].is_none() {
                    let base = base_of(&live[brings]);
                    changed[brings] = Some(private.changed_since(&base, &live[brings].head)?);
                }
            }
            let side = |at: usize| Side { with_base: &with_base[at], changed: changed[at].as_ref() };
            merged = between(merged, side(one), side(other));
        }
        if let Some(meeting) = Meeting::of(&[&live[one], &live[other]], None, merged) {
            graph.join(one, other);
            meetings.push(meeting);
        }
    }
    let (order, clean) = graph.order();
    Ok(Findings { meetings, order: order.into_iter().map(|at| live[at].issue).collect(), clean })
}

/// One of two branches that are merged.
#[derive(Clone, Copy)]
struct Side<'a> {
    with_base: &'a Merged,
    /// Only of interest where the other side meets the base.
    changed: Option<&'a BTreeSet<String>>,
}

/// What is between two branches alone. One that started from a newer base brings that along, and would seem to conflict
/// with whoever conflicts with the base: such a file does not count unless the other branch changed it itself.
fn between(merged: Merged, one: Side<'_>, other: Side<'_>) -> Merged {
    let Merged::Conflicting(files) = merged else { return merged };
    if files.is_empty() {
        return Merged::Conflicting(files);
    }
    let is_bases = |file: &String, met: Side<'_>, brings: Side<'_>| {
        let with_base = matches!(met.with_base, Merged::Conflicting(files) if files.contains(file));
        with_base && !brings.changed.is_some_and(|changed| changed.contains(file))
    };
    let theirs: Vec<String> =
        files.into_iter().filter(|file| !is_bases(file, one, other) && !is_bases(file, other, one)).collect();
    if theirs.is_empty() { Merged::Clean } else { Merged::Conflicting(theirs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflicting(files: &[&str]) -> Merged {
        Merged::Conflicting(files.iter().map(|&file| file.to_owned()).collect())
    }

    #[test]
    fn what_the_base_brought_is_not_the_others_doing() {
        let changed = |files: &[&str]| files.iter().map(|&file| file.to_owned()).collect::<BTreeSet<_>>();
        // The merge of the two; what the first meets in the base; what the second changed; what is left.
        let cases = [
            (Merged::Clean, Merged::Clean, vec![], Merged::Clean),
            (conflicting(&["a"]), Merged::Clean, vec!["a"], conflicting(&["a"])),
            (conflicting(&["a"]), conflicting(&["a"]), vec!["b"], Merged::Clean),
            (conflicting(&["a"]), conflicting(&["a"]), vec!["a"], conflicting(&["a"])),
            (conflicting(&["a", "b"]), conflicting(&["a"]), vec!["b"], conflicting(&["b"])),
            (conflicting(&[]), conflicting(&["a"]), vec![], conflicting(&[])),
            (Merged::Unknown("x".into()), conflicting(&["a"]), vec![], Merged::Unknown("x".into())),
        ];
        for (merged, with_base, theirs, expected) in cases {
            let (mine, theirs) = (changed(&["a", "b"]), changed(&theirs));
            let first = Side { with_base: &with_base, changed: Some(&mine) };
            let second = Side { with_base: &Merged::Clean, changed: Some(&theirs) };
            assert_eq!(between(merged.clone(), first, second), expected, "{merged:?} {with_base:?}");
            assert_eq!(between(merged.clone(), second, first), expected, "the other way round");
        }
    }

    #[test]
    fn a_line_says_what_matters() {
        let meeting = |issues: &[u64], base: Option<&str>, files: &[&str]| Meeting {
            issues: issues.to_vec(),
            branches: Vec::new(),
            base: base.map(str::to_owned),
            files: files.iter().map(|&file| file.to_owned()).collect(),
            unknown: None,
        };
        let lost = Meeting { unknown: Some("gone".into()), ..meeting(&[3, 4], None, &[]) };
        let cases = [
            (vec![], vec![], 0, "no branch in work has commits"),
            (vec![], vec![1], 1, "1 branch in work, without a conflict"),
            (vec![], vec![1, 2], 2, "2 branches in work, and none would conflict"),
            (
                vec![meeting(&[7], Some("main"), &["a"]), meeting(&[1, 2], None, &["a", "b"])],
                vec![1, 2, 7],
                1,
                "1 of 3 branches in work merges without a conflict: #7 and main meet in a, #1 and #2 meet in a, b",
            ),
            (
                vec![meeting(&[1, 2], None, &["a\ncq-monitor: b", "c", "d", "e", "f"])],
                vec![1, 2],
                1,
                "1 of 2 branches in work merges without a conflict: #1 and #2 meet in a\\ncq-monitor: b, c, d and 2 more",
            ),
            (
                vec![lost.clone(), lost.clone(), lost.clone(), lost],
                vec![3, 4],
                0,
                "0 of 2 branches in work merge without a conflict: #3 and #4 cannot be compared, #3 and #4 cannot be \
                 compared, #3 and #4 cannot be compared, and 1 more",
            ),
        ];
        for (meetings, order, clean, expected) in cases {
            assert_eq!(summary(&Findings { meetings, order, clean }), expected);
        }
    }
}
