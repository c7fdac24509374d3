//! Whether a pull request may be merged, and how. Pure.

use super::checks::{Checks, Verdict};
use super::review::{Remark, Vote, short, votes};
use super::trust::ActorKind;

/// What is known of a pull request that might be merged.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// The end of its branch.
    pub head: &'a str,
    /// The commit that cq pushed, whose tree was checked.
    pub pushed: &'a str,
    /// Whether it is a draft.
    pub draft: bool,
    /// Who opened it; whose own word is none.
    pub author: Option<&'a str>,
    /// Whether it conflicts with its base; none where GitHub has not found out yet.
    pub conflicts: Option<bool>,
    /// Whether GitHub's own rules hold it.
    pub blocked: bool,
    /// What CI says of it.
    pub checks: &'a Checks,
    /// What people with write access have said, oldest first.
    pub remarks: &'a [&'a Remark],
    /// What the base's protection asks for.
    pub approvals_wanted: u32,
    /// What the repository has besides a plain merge.
    pub ways: Ways,
    /// Whether more was said than was read.
    pub unread: bool,
}

/// What a repository has besides a plain merge, and how far a pull request is on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ways {
    /// GitHub merges by itself when everything is green.
    pub auto: Way,
    /// The base is merged to by a queue.
    pub queue: Way,
}

/// One of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// The repository has it not.
    #[default]
    Absent,
    /// It can be asked for.
    Open,
    /// It has been.
    Taken,
}

/// What the configuration asks for.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// People who must have approved the very commit.
    pub approvals: u32,
    /// Whether there must be a check.
    pub require_checks: bool,
    /// Whether GitHub may be asked to merge when the checks have come to their end.
    pub auto: bool,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Merge it.
    Merge,
    /// Put it into the queue.
    Enqueue,
    /// Let GitHub merge it as soon as its checks are green.
    Auto,
    /// It is on its way already.
    UnderWay(&'static str),
    /// Not now: every reason.
    Not(Vec<String>),
}

/// Why nothing at all is merged: the base is red, and the next change would be judged by a broken one.
pub fn halted(base: &str, checks: &Checks) -> Option<String> {
    if checks.verdict() != Verdict::Failed {
        return None;
    }
    let red: Vec<&str> = checks.red().iter().map(|check| check.name.as_str()).collect();
    Some(format!("'{base}' is red: {}", red.join(", ")))
}

/// Decides.
pub fn decide(one: &Candidate<'_>, terms: Terms) -> Next {
    let Ways { auto, queue } = one.ways;
    let mut not = people(one, terms);
    if one.unread {
        not.push("it has more than 100 reviews or threads, and the oldest are not read".to_owned());
    }
    if one.draft {
        not.push("it is a draft".to_owned());
    }
    if one.head != one.pushed {
        not.push(format!("its branch ends with {}, which cq did not push", short(one.head)));
    }
    match one.conflicts {
        Some(true) => not.push("it conflicts with its base".to_owned()),
        None => not.push("GitHub has not found out whether it can be merged".to_owned()),
        Some(false) => {}
    }
    let verdict = one.checks.verdict();
    // GitHub waits only for checks that the protection names.
    let waits = verdict == Verdict::Pending && one.checks.any_required();
    // And only where the protection wants approvals does somebody who asks for changes meanwhile hold it.
    let may_be_left = waits && terms.auto && one.approvals_wanted > 0;
    let checks = match verdict {
        Verdict::Failed => {
            let red: Vec<&str> = one.checks.red().iter().map(|check| check.name.as_str()).collect();
            Some(format!("CI is red: {}", red.join(", ")))
        }
        Verdict::Pending => Some("its checks have not come to their end".to_owned()),
        Verdict::None if terms.require_checks => Some("no check has reported on it".to_owned()),
        Verdict::Passed | Verdict::None => None,
        Verdict::Unknown => {
            let why = one.checks.unknown.as_deref().unwrap_or("GitHub does not tell");
            Some(format!("its checks cannot be read: {why}"))
        }
    };
    if !not.is_empty() {
        not.extend(checks);
        return Next::Not(not);
    }
    match checks {
        _ if queue == Way::Taken => Next::UnderWay("it is in the merge queue"),
        Some(_) if waits && auto == Way::Taken => {
            Next::UnderWay("GitHub merges it when its checks are green")
        }
        // A queue runs the checks itself, and takes what waits for them as well.
        Some(_) if may_be_left && (auto, queue) != (Way::Absent, Way::Absent) => Next::Auto,
        Some(why) => Next::Not(vec![why]),
        None if queue == Way::Open => Next::Enqueue,
        None if one.blocked => Next::Not(vec!["GitHub's own rules for its base hold it".to_owned()]),
        None => Next::Merge,
    }
}

/// What of the reviewers' word is missing or speaks against it.
fn people(one: &Candidate<'_>, terms: Terms) -> Vec<String> {
    let person = |by: &str| {
        let is = |remark: &&&Remark| remark.by().eq_ignore_ascii_case(by);
        let kind = one.remarks.iter().find(is).and_then(|remark| remark.author.as_ref());
        kind.is_some_and(|author| author.kind == ActorKind::User)
            && !one.author.is_some_and(|author| author.eq_ignore_ascii_case(by))
    };
    let votes = votes(one.remarks);
    let mut not = Vec::new();
    let against: Vec<&str> =
        votes.iter().filter(|(_, vote, _)| *vote == Vote::ChangesRequested).map(|(by, ..)| *by).collect();
    if !against.is_empty() {
        not.push(format!("changes are asked for by {}", against.join(", ")));
    }
    let approves = |(by, vote, commit): &&(&str, Vote, Option<&str>)| {
        *vote == Vote::Approved && *commit == Some(one.head) && person(by)
    };
    let approvals = votes.iter().filter(approves).count();
    let wanted = terms.approvals.max(one.approvals_wanted);
    if u32::try_from(approvals).unwrap_or(u32::MAX) < wanted {
        not.push(format!("{approvals} of {wanted} people have approved {}", short(one.head)));
    }
    not
}

/// What GitHub's no to a merge means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else merged in the same moment: at once again.
    BaseMoved,
    /// The branch has moved: everything has to be looked at again.
    HeadMoved,
    /// GitHub's rules, or its state, speak against it; the message says which.
    NotNow,
    /// The repository does not merge in this way.
    Method,
}

/// Reads GitHub's answer: 405 is many things, told apart by its words alone.
pub fn refused(status: u16, message: &str) -> Option<Refused> {
    let said = message.to_lowercase();
    match status {
        409 => Some(Refused::HeadMoved),
        405 if said.contains("base branch was modified") => Some(Refused::BaseMoved),
        405 if said.contains("head branch was modified") => Some(Refused::HeadMoved),
        405 | 422 if said.contains("are not allowed on this repository") => Some(Refused::Method),
        405 | 422 => Some(Refused::NotNow),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
