//! What a pull request's checks, reviewers and base want of the agent. Pure.
//!
//! Only people with write access send an agent back, and only once for each thing they say: what was heard stands in
//! the record by a fingerprint. Anybody may write on a public pull request; what a stranger writes is not looked at, not
//! even to see whether somebody is still writing.

use chrono::TimeDelta;

use super::checks::{CheckSeen, Checks};
use super::trust::{Actor, ActorKind, Edit, Permissions, Policy, Role};
use super::{Extra, Heard, Rounds};
use crate::clock::Timestamp;
use crate::digest;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a review, of this state.
    Review(Vote),
    /// At a line of the change.
    Line {
        /// The file.
        path: String,
        /// Its line; none where it is not there any more.
        line: Option<u64>,
        /// The comment that begins the thread.
        thread: u64,
        /// Whether somebody has marked the thread as dealt with.
        resolved: bool,
    },
    /// Below the pull request.
    Talk,
}

/// What a review decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// It may be merged.
    Approved,
    /// It may not, as it is.
    ChangesRequested,
    /// Neither.
    Commented,
    /// Taken back, or not handed in.
    Void,
}

/// Something that somebody said about a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// GitHub's node id.
    pub key: String,
    /// Where.
    pub place: Place,
    /// Who; none for a deleted account.
    pub author: Option<Actor>,
    /// The last edit, and by whom.
    pub edit: Option<Edit>,
    /// Whether somebody has hidden it.
    pub minimized: bool,
    /// What was said; untrusted text.
    pub body: String,
    /// When it was handed in.
    pub at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The commit that a review is of.
    pub commit: Option<String>,
}

impl Remark {
    /// How it reads: an edit changes it, nothing else does.
    pub fn print(&self) -> String {
        let edited = self.edit.as_ref().map(|edit| edit.at.to_rfc3339()).unwrap_or_default();
        digest::short(format!("{}\n{edited}\n{}", self.key, self.body).as_bytes())
    }

    /// Whether it wants something of the agent. What is said below the pull request goes along, and asks for nothing by
    /// itself: people talk there.
    fn asks(&self) -> bool {
        match &self.place {
            Place::Review(Vote::ChangesRequested) => true,
            Place::Review(Vote::Commented) => !self.body.trim().is_empty(),
            Place::Line { resolved, .. } => !resolved,
            Place::Review(Vote::Approved | Vote::Void) | Place::Talk => false,
        }
    }

    /// Whether there is anything to tell.
    fn says_something(&self) -> bool {
        match &self.place {
            Place::Line { resolved: true, .. } | Place::Review(Vote::Void) => false,
            Place::Review(Vote::ChangesRequested) => true,
            _ => !self.body.trim().is_empty(),
        }
    }

    /// Who said it, as a login.
    pub fn by(&self) -> &str {
        self.author.as_ref().map_or("", |author| &author.login)
    }
}

/// The policy by which people send an agent back: never less than write access, whatever approves issues.
pub fn writers(policy: &Policy) -> Policy {
    Policy { minimum: policy.minimum.max(Role::Write), ..policy.clone() }
}

/// What people with write access said and nobody else has changed; what cq said itself is left out by `is_ours`.
pub fn vouched<'a>(
    remarks: &'a [Remark],
    permissions: &Permissions,
    policy: &Policy,
    is_ours: impl Fn(&str) -> bool,
) -> Vec<&'a Remark> {
    let policy = writers(policy);
    let may = |actor: Option<&Actor>| policy.standing(actor, None, permissions).is_ok();
    let mut vouched: Vec<&Remark> = remarks
        .iter()
        .filter(|remark| !remark.minimized && !is_ours(&remark.body))
        .filter(|remark| may(remark.author.as_ref()))
        .filter(|remark| remark.edit.as_ref().is_none_or(|edit| may(edit.editor.as_ref())))
        .collect();
    vouched.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    vouched
}

/// The logins whose permission has to be asked for.
pub fn people(remarks: &[Remark]) -> Vec<String> {
    let actors = remarks.iter().flat_map(|remark| {
        remark.author.iter().chain(remark.edit.iter().filter_map(|edit| edit.editor.as_ref()))
    });
    let mut people: Vec<String> = actors
        .filter(|actor| actor.kind == ActorKind::User)
        .map(|actor| actor.login.to_ascii_lowercase())
        .collect();
    people.sort();
    people.dedup();
    people
}

/// How the people with write access have voted: the last word of each, and on which commit.
pub fn votes<'a>(vouched: &[&'a Remark]) -> Vec<(&'a str, Vote, Option<&'a str>)> {
    let mut votes: Vec<(&str, Vote, Option<&str>)> = Vec::new();
    for remark in vouched {
        // A comment leaves the vote as it was.
        if let Place::Review(vote @ (Vote::Approved | Vote::ChangesRequested | Vote::Void)) = remark.place {
            votes.retain(|(by, ..)| !by.eq_ignore_ascii_case(remark.by()));
            votes.push((remark.by(), vote, remark.commit.as_deref()));
        }
    }
    votes
}

/// The reviewers' verdict, as the record says it.
pub fn verdict(votes: &[(&str, Vote, Option<&str>)]) -> Option<&'static str> {
    let any = |wanted| votes.iter().any(|(_, vote, _)| *vote == wanted);
    if any(Vote::ChangesRequested) {
        Some("changes-requested")
    } else if any(Vote::Approved) {
        Some("approved")
    } else {
        None
    }
}

/// What is known of an open pull request.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// The end of its branch.
    pub head: &'a str,
    /// The end of its base.
    pub base: &'a str,
    /// Whether cq pushed that end.
    pub ours: bool,
    /// Whether it conflicts with its base; none where GitHub has not found out yet.
    pub conflicts: Option<bool>,
    /// What CI says of it.
    pub checks: &'a Checks,
    /// What CI says of the base.
    pub base_checks: &'a Checks,
    /// What people with write access have said, oldest first.
    pub remarks: &'a [&'a Remark],
}

/// How far a pull request may send the agent back.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Rounds for red CI.
    pub ci: u32,
    /// Rounds for reviews and conflicts.
    pub review: u32,
    /// How long nobody must have written.
    pub quiet: TimeDelta,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Next<'a> {
    /// Nothing is asked for.
    Nothing,
    /// Something is, and it is too early: why.
    Wait(String),
    /// Something is, and it is not for the agent: why, and what it was.
    Person(String, Vec<Heard>),
    /// The agent goes on with this.
    Again(Round<'a>),
}

/// One round.
#[derive(Debug, Clone, PartialEq)]
pub struct Round<'a> {
    /// What people said.
    pub remarks: Vec<&'a Remark>,
    /// The red checks.
    pub red: Vec<&'a CheckSeen>,
    /// Whether it conflicts with its base.
    pub conflict: bool,
    /// What is to be remembered of it.
    pub heard: Vec<Heard>,
}

impl Round<'_> {
    /// What it is about, for people.
    pub fn why(&self) -> String {
        let mut parts = Vec::new();
        let asks = self.remarks.iter().filter(|remark| remark.asks()).count();
        if asks > 0 {
            let mut by: Vec<&str> =
                self.remarks.iter().filter(|one| one.asks()).map(|one| one.by()).collect();
            by.dedup();
            parts.push(format!("changes are asked for by {}", by.join(", ")));
        }
        if !self.red.is_empty() {
            let names: Vec<&str> = self.red.iter().map(|check| check.name.as_str()).collect();
            parts.push(format!("CI is red: {}", names.join(", ")));
        }
        if self.conflict {
            parts.push("it conflicts with its base".to_owned());
        }
        parts.join("; ")
    }
}

/// Decides. One round takes all that is there together.
pub fn decide<'a>(known: &Rounds, standing: &Standing<'a>, bounds: &Bounds, now: Timestamp) -> Next<'a> {
    let new: Vec<&Remark> = standing
        .remarks
        .iter()
        .copied()
        .filter(|remark| remark.says_something() && !known.knows(&remark.key, &remark.print()))
        .collect();
    let asked = new.iter().any(|remark| remark.asks());
    let conflict_key = format!("conflict:{}:{}", standing.head, standing.base);
    let conflict = standing.conflicts == Some(true)
        // Once for each end of the branch: the base moves on all the time.
        && !known.heard.iter().any(|heard| heard.key.starts_with(&format!("conflict:{}:", standing.head)));
    let ci_key = format!("ci:{}", standing.head);
    let (blamed, excused) = standing.checks.to_blame(standing.base_checks);
    let red = if known.heard.iter().any(|heard| heard.key == ci_key) { Vec::new() } else { blamed };
    let round = known.all() + 1;
    let plain = |key: String| plain(key, standing.head, round, now);
    if !(asked || conflict) && red.is_empty() {
        let key = format!("base:{}", standing.head);
        if excused.is_empty() || known.heard.iter().any(|heard| heard.key == key) {
            return Next::Nothing;
        }
        let names = excused.join(", ");
        let why = format!("CI is red, and so it is at the base: {names}; the agent is not sent back");
        return Next::Person(why, vec![plain(key)]);
    }
    let last = new.iter().map(|remark| remark.updated_at.max(remark.at)).max();
    if let Some(last) = last.filter(|last| *last + bounds.quiet > now) {
        let wait = (last + bounds.quiet - now).num_seconds();
        return Next::Wait(format!("somebody may still be writing; again in {wait} s"));
    }
    if !red.is_empty() && !asked && !standing.checks.is_settled(now) {
        return Next::Wait("CI is red, and not at its end".to_owned());
    }
    let by_people = asked || conflict;
    let mut heard: Vec<Heard> = new.iter().map(|remark| note(remark, standing.head, round, now)).collect();
    if !red.is_empty() {
        heard.push(plain(ci_key));
    }
    if conflict {
        heard.push(plain(conflict_key));
    }
    let next = Round { remarks: new, red, conflict, heard };
    // Nobody will deal with what is left to a person, so nothing is to be answered.
    let left = |heard: Vec<Heard>| {
        heard.into_iter().map(|one| Heard { thread: None, look_again: false, ..one }).collect::<Vec<_>>()
    };
    if !standing.ours {
        // What cq did not push it does not push over: the agent's next commit could go nowhere.
        let end = short(standing.head);
        let why =
            format!("{}; a person looks: its branch ends with {end}, which cq did not push", next.why());
        return Next::Person(why, left(next.heard));
    }
    let (used, most, key) = if by_people {
        (known.review, bounds.review, "feedback.reviewRounds")
    } else {
        (known.ci, bounds.ci, "feedback.ciRounds")
    };
    if used >= most {
        let why = format!("{}; a person looks, after {used} of {most} rounds ({key})", next.why());
        return Next::Person(why, left(next.heard));
    }
    Next::Again(next)
}

/// What nobody in particular said.
fn plain(key: String, head: &str, round: u32, at: Timestamp) -> Heard {
    Heard {
        key,
        print: String::new(),
        at,
        head: head.to_owned(),
        round,
        by: None,
        thread: None,
        look_again: false,
        answered_at: None,
        extra: Extra::new(),
    }
}

fn note(remark: &Remark, head: &str, round: u32, now: Timestamp) -> Heard {
    let thread = match &remark.place {
        Place::Line { thread, .. } => Some(*thread),
        _ => None,
    };
    Heard {
        print: remark.print(),
        by: Some(remark.by().to_owned()),
        thread,
        look_again: remark.place == Place::Review(Vote::ChangesRequested),
        ..plain(remark.key.clone(), head, round, now)
    }
}

/// The first letters of a commit, for people.
pub fn short(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}

impl Rounds {
    /// Takes a round down.
    pub fn begin(&mut self, round: &Round<'_>, attempt: u32) {
        // People and the base count first: one round takes all together.
        if round.conflict || round.remarks.iter().any(|remark| remark.asks()) {
            self.review += 1;
        } else {
            self.ci += 1;
        }
        self.attempts_before = attempt;
        self.over = None;
        self.heard.extend(round.heard.iter().cloned());
    }
}

#[cfg(test)]
mod tests;
