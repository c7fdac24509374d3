//! Whether an issue's text may reach an agent. Pure.
//!
//! Anybody may write an issue, so a person who may approve has to put an approving label on it, and what stood there
//! at that moment is what was approved. A later change by anybody else holds the issue until it is labelled again.
//! What cannot be known counts against the issue. Permissions are those of now: whoever has lost theirs approves
//! nothing any more, also not what they approved before.

use std::cmp::Reverse;

use super::eligibility::same;
use super::{Extra, Issue, IssueComment, Source, Trust, Verdict};
use crate::clock::{Timestamp, stamp};

#[cfg(test)]
mod cases;
mod content;
mod evidence;
mod policy;
#[cfg(test)]
mod setting;

pub use content::content_sha256;
pub use evidence::{Actor, ActorKind, Comment, Edit, Evidence, LabelEvent, Transfer};
pub use policy::{Permissions, Policy, Role};

use content::digest;

/// The approval that counts.
struct Approval {
    /// A login.
    by: String,
    at: Timestamp,
}

/// Decides, and writes the text that the decision is about into the issue, so that one belongs to the other:
/// title, body, and the comments that are carried.
pub fn vet(issue: &mut Issue, evidence: &Evidence, permissions: &Permissions, policy: &Policy) -> Trust {
    issue.title.clone_from(&evidence.title);
    issue.body.clone_from(&evidence.body);
    issue.comments = carried(evidence, permissions, policy);
    judge(evidence, permissions, policy)
}

/// Decides. An untrusted issue has no approver and no digest, and at least one reason, a plain sentence each.
pub fn judge(evidence: &Evidence, permissions: &Permissions, policy: &Policy) -> Trust {
    let trust = |verdict, reasons| Trust {
        verdict,
        source: Source::GitHub,
        approved_by: None,
        approved_at: None,
        content_sha256: None,
        labels: policy.labels.clone(),
        reasons,
        hidden: None,
        extra: Extra::new(),
    };
    let approval = match approval(evidence, permissions, policy) {
        Ok(approval) => approval,
        Err(reasons) => return trust(Verdict::Untrusted, reasons),
    };
    let held = changes(evidence, &approval, permissions, policy);
    if !held.is_empty() {
        return trust(Verdict::Untrusted, held);
    }
    let how = if policy.labels.is_empty() { "written" } else { "labelled" };
    let comments = carried(evidence, permissions, policy);
    let reason = format!("{how} by {}, who may approve, on {}", approval.by, stamp(approval.at));
    Trust {
        approved_by: Some(approval.by),
        approved_at: Some(approval.at),
        content_sha256: Some(digest(&evidence.title, &evidence.body, &comments)),
        ..trust(Verdict::Trusted, vec![reason])
    }
}

/// The comments that go with the issue, oldest first: by people who may approve, not minimised, and last changed by
/// nobody else.
pub fn carried(evidence: &Evidence, permissions: &Permissions, policy: &Policy) -> Vec<IssueComment> {
    let may = |actor: Option<&Actor>| policy.standing(actor, None, permissions).ok();
    let mut comments: Vec<_> = (evidence.comments.iter())
        .filter(|comment| !comment.minimized)
        .filter(|comment| comment.last_edit.as_ref().is_none_or(|edit| may(edit.editor.as_ref()).is_some()))
        .filter_map(|comment| {
            let author = may(comment.author.as_ref())?;
            let (created_at, body) = (comment.created_at, comment.body.clone());
            Some((comment.id, IssueComment { author, body, created_at, extra: Extra::new() }))
        })
        .collect();
    comments.sort_by_key(|(id, comment)| (comment.created_at, *id));
    comments.into_iter().map(|(_, comment)| comment).collect()
}

/// Who approved the issue and when, or everything that speaks against it.
fn approval(
    evidence: &Evidence,
    permissions: &Permissions,
    policy: &Policy,
) -> Result<Approval, Vec<String>> {
    let one = |reason: String| Err(vec![reason]);
    if !evidence.complete {
        return one("its history could not be read whole".to_owned());
    }
    // A lock keeps strangers from commenting and speaks for the issue, unless it says that the issue is spam.
    if evidence.locked && evidence.lock_reason.as_deref().is_some_and(|why| why.eq_ignore_ascii_case("spam"))
    {
        return one("it is locked as spam".to_owned());
    }
    if policy.labels.is_empty() {
        return by_author(evidence, permissions, policy).or_else(one);
    }
    let is_set = |label: &&String| evidence.labels.iter().any(|set| same(set, label));
    let set: Vec<&String> = policy.labels.iter().filter(is_set).collect();
    if set.is_empty() {
        return one(format!("none of the labels {} is set", policy.labels.join(", ")));
    }
    let mut approvals = Vec::new();
    let mut reasons = Vec::new();
    for label in set {
        match by_label(label, evidence, permissions, policy) {
            Ok(approval) => approvals.push(approval),
            Err(reason) => reasons.push(reason),
        }
    }
    // The newest: it has seen the most.
    approvals.into_iter().max_by_key(|approval| approval.at).ok_or(reasons)
}

/// Where any issue is taken, the author approves by writing it.
fn by_author(evidence: &Evidence, permissions: &Permissions, policy: &Policy) -> Result<Approval, String> {
    if let Some(moved) = evidence.moved_at() {
        return Err(format!("it was transferred from another repository on {}", stamp(moved)));
    }
    match policy.standing(evidence.author.as_ref(), None, permissions) {
        Ok(by) => Ok(Approval { by, at: evidence.created_at }),
        Err(who) => Err(format!("it was written by {who}")),
    }
}

/// The approval that one label stands for, which is on the issue now.
///
/// A label that an issue form or a workflow sets has the author, a bot or an app as its actor, and is judged as
/// theirs. Events before a transfer are those of another repository and of the people there.
fn by_label(
    label: &str,
    evidence: &Evidence,
    permissions: &Permissions,
    policy: &Policy,
) -> Result<Approval, String> {
    let of_label: Vec<&LabelEvent> =
        evidence.label_events.iter().filter(|event| same(&event.label, label)).collect();
    let moved = evidence.moved_at();
    // The very second of the transfer counts as before it.
    let here = || of_label.iter().filter(|event| moved.is_none_or(|moved| event.at > moved));
    let place = |event: &LabelEvent| (event.at, event.order);
    let Some(last) = here().map(|event| place(event)).max() else {
        return Err(match moved {
            Some(moved) if !of_label.is_empty() => {
                let moved = stamp(moved);
                format!("the label {label} was set before the issue was transferred here on {moved}")
            }
            _ => format!("the label {label} is set, but nothing shows by whom"),
        });
    };
    let mut approval = None;
    // Several only where their order cannot be known: then every one of them has to be good.
    for event in here().filter(|event| place(event) == last) {
        let at = stamp(event.at);
        if !event.added {
            return Err(format!("the label {label} was removed on {at}, and nothing shows who set it again"));
        }
        if event.at < evidence.created_at {
            return Err(format!("the label {label} was set on {at}, before the issue was opened"));
        }
        let by = policy
            .standing(event.actor.as_ref(), event.app.as_deref(), permissions)
            .map_err(|who| format!("the label {label} was set by {who}"))?;
        approval = Some(Approval { by, at: event.at });
    }
    approval.ok_or_else(|| format!("the label {label} is set, but nothing shows by whom"))
}

/// What was changed at or after the approval by somebody who may not approve: a sentence for the title, the body and
/// the comments each.
///
/// An edit in the very second of the approval counts as after it. A comment that came after the approval was not part
/// of what was approved, and [`carried`] sees to it that no stranger's reaches a prompt: it holds nothing. Neither does
/// a minimised one.
fn changes(
    evidence: &Evidence,
    approval: &Approval,
    permissions: &Permissions,
    policy: &Policy,
) -> Vec<String> {
    let since = |edit: &&Edit| edit.at >= approval.at;
    let comments = (evidence.comments.iter())
        .filter(|comment| !comment.minimized && comment.created_at <= approval.at)
        .filter_map(|comment| comment.last_edit.clone());
    let parts = [
        ("the title was renamed", evidence.titles.clone()),
        ("the body was edited", evidence.body_edits()),
        ("a comment was edited", comments.collect()),
    ];
    let again = if policy.labels.is_empty() {
        "held, because no label can approve it again"
    } else {
        "held until its label is taken off and set again"
    };
    let mut held = Vec::new();
    for (what, edits) in parts {
        let mut bad: Vec<(Timestamp, String)> = (edits.iter().filter(since))
            .filter_map(|edit| {
                policy.standing(edit.editor.as_ref(), None, permissions).err().map(|who| (edit.at, who))
            })
            .collect();
        bad.sort_by_key(|(at, _)| Reverse(*at));
        bad.dedup();
        let Some((at, who)) = bad.first() else { continue };
        let more = if bad.len() > 1 { format!(" ({} such edits)", bad.len()) } else { String::new() };
        held.push(format!(
            "{again}: {what} by {who}, on {}{more}, after {} approved it on {}",
            stamp(*at),
            approval.by,
            stamp(approval.at)
        ));
    }
    held
}
