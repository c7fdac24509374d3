//! Who gets an issue to an agent, and who does not.

use super::setting::*;
use super::*;
use crate::record::eligibility::Rules;

#[test]
fn a_person_who_may_approve_lets_an_issue_through() {
    check(&cases! {
        "labelled by somebody who may write", |_| {} => None;
        "by a maintainer, whose login GitHub writes otherwise", |s| s.by(user("MAX")) => None;
        "by an administrator", |s| s.by(user("ada")) => None;
        "by triage where that is enough", |s| { s.policy.minimum = Role::Triage; s.by(user("tri")) } => None;
        "by a role of the organisation's own", |s| {
            s.policy.custom_roles.insert("security-lead".into(), Role::Maintain);
            s.by(user("lead"));
        } => None;
        "the label in other letters", |s| s.evidence.labels[1] = "Claude-Ready".into() => None;
        "the event's label in other letters", |s| s.evidence.label_events[1].label = "CLAUDE-READY".into() => None;
        "by the author, who may write", |s| s.evidence.author = user("mia") => None;
        "of an author whose account is gone", |s| s.evidence.author = None => None;
        "by a trusted bot", |s| { s.policy.trusted_bots = vec!["helper".into()]; s.by(bot("helper[bot]")) } => None;
        "by a trusted bot, as GraphQL writes it", |s| {
            s.policy.trusted_bots = vec!["Helper[bot]".into()];
            s.by(bot("helper"));
        } => None;
        "by a person through a trusted app", |s| {
            s.policy.trusted_bots = vec!["helper".into()];
            s.evidence.label_events[1].app = Some("helper".into());
        } => None;
        "labelled again by a person after a bot", |s| {
            s.by(bot("triage-bot"));
            s.unlabel(200, bot("triage-bot"));
            s.label(event("claude-ready", 300, user("mia")));
        } => None;
        "one label by a bot, another by a person", |s| {
            s.by(bot("triage-bot"));
            s.label(event("agent-ok", 90, user("mia")));
        } => None;
        "edited by the author before the approval", |s| s.edited(99, user("eve")) => None;
        "renamed before the approval", |s| s.evidence.titles.push(edit(99, user("eve"))) => None;
        "edited after it by somebody who may", |s| s.edited(200, user("max")) => None;
        "renamed after it by somebody who may", |s| s.evidence.titles.push(edit(200, user("mia"))) => None;
        "edited after it by a trusted bot", |s| {
            s.policy.trusted_bots = vec!["helper".into()];
            s.edited(200, bot("helper"));
        } => None;
        "edited by a stranger and labelled again", |s| {
            s.edited(150, user("eve"));
            s.unlabel(160, user("mia"));
            s.label(event("claude-ready", 170, user("mia")));
        } => None;
        "edited by a stranger, another label set since", |s| {
            s.edited(150, user("eve"));
            s.label(event("agent-ok", 170, user("max")));
        } => None;
        "a stranger's new comment", |s| s.comment(comment(200, user("eve"), None)) => None;
        "a stranger's new comment, edited", |s| {
            s.comment(comment(200, user("eve"), Some(edit(250, user("eve")))));
        } => None;
        "an old comment edited before the approval", |s| {
            s.comment(comment(40, user("eve"), Some(edit(50, user("eve")))));
        } => None;
        "an old comment edited by somebody who may", |s| {
            s.comment(comment(40, user("eve"), Some(edit(150, user("mia")))));
        } => None;
        "an old comment edited by a stranger, hidden", |s| {
            let edited = comment(40, user("eve"), Some(edit(150, user("eve"))));
            s.comment(Comment { minimized: true, ..edited });
        } => None;
        "locked", |s| s.evidence.locked = true => None;
        "locked as too heated", |s| {
            s.evidence.locked = true;
            s.evidence.lock_reason = Some("too heated".into());
        } => None;
        "once locked as spam", |s| s.evidence.lock_reason = Some("spam".into()) => None;
        "transferred, then labelled", |s| s.moved(60) => None;
        "any issue is taken, this one of somebody who may write", |s| s.any(user("mia")) => None;
        "any issue is taken, edited by its author", |s| { s.any(user("mia")); s.edited(200, user("mia")) } => None;
    });
}

#[test]
fn nobody_else_approves() {
    check(&cases! {
        "no such label", |s| s.evidence.labels.truncate(1) => Some("none of the labels claude-ready, agent-ok is set");
        "a label with a space", |s| s.evidence.labels[1] = "claude-ready ".into() => Some("none of the labels");
        "a label with a zero-width space", |s| s.evidence.labels[1] = "claude\u{200b}-ready".into()
            => Some("none of the labels");
        "a label with a Cyrillic letter", |s| s.evidence.labels[1] = "cl\u{430}ude-ready".into()
            => Some("none of the labels");
        "a label with the Kelvin sign", |s| {
            s.policy.labels = vec!["work".into()];
            s.label(event("wor\u{212a}", 100, user("mia")));
        } => Some("none of the labels work is set");
        "the events of a look-alike", |s| s.evidence.label_events[1].label = "claude-re\u{430}dy".into()
            => Some("nothing shows by whom");
        "by the author, through an issue form", |s| s.evidence.label_events[1] = event("claude-ready", 0, user("eve"))
            => Some("set by eve, who has read permission where write is needed");
        "by triage", |s| s.by(user("tri")) => Some("tri, who has triage permission where write is needed");
        "by somebody who has lost all permission", |s| s.by(user("gone")) => Some("gone, who has no permission");
        "by somebody whose permission cannot be read", |s| s.by(user("who")) => Some("could not be read");
        "by an unmapped role", |s| s.by(user("lead")) => Some("role 'security-lead' trust.customRoles does not name");
        "by a role mapped to too little", |s| {
            s.policy.custom_roles.insert("security-lead".into(), Role::Triage);
            s.by(user("lead"));
        } => Some("lead, who has triage permission");
        "the approver was demoted since", |s| s.permissions.insert("mia", "read") => Some("mia, who has read");
        "by write where maintain is asked for", |s| s.policy.minimum = Role::Maintain => Some("where maintain is");
        "by a deleted account", |s| s.by(None) => Some("a deleted or unknown account");
        "by a workflow", |s| s.by(bot("github-actions")) => Some("the bot github-actions");
        "by a bot with a person's name", |s| s.by(bot("mia")) => Some("the bot mia, which");
        "by a user with a trusted bot's name", |s| {
            s.policy.trusted_bots = vec!["helper".into()];
            s.by(user("helper"));
        } => Some("helper, whose permission");
        "by a bot with more to its name than a trusted one", |s| {
            s.policy.trusted_bots = vec!["helper".into(), String::new()];
            s.by(bot("helper-2[bot]"));
        } => Some("the bot helper-2[bot]");
        "by a bot without a name", |s| { s.policy.trusted_bots = vec![String::new()]; s.by(bot("")) }
            => Some("the bot ,");
        "by mia-bot", |s| s.by(user("mia-bot")) => Some("mia-bot, whose permission could not be read");
        "by mia[bot]", |s| s.by(user("mia[bot]")) => Some("mia[bot], whose permission could not be read");
        "by mia with a space", |s| s.by(user("mia ")) => Some("whose permission could not be read");
        "by the stand-in of an import", |s| s.by(actor("mia", ActorKind::Mannequin)) => Some("another platform");
        "by an organisation", |s| s.by(actor("mia", ActorKind::Organization)) => Some("which is no person");
        "by an enterprise's account", |s| s.by(actor("mia", ActorKind::EnterpriseUserAccount)) => Some("cannot approve");
        "by a kind of account to come", |s| s.by(actor("mia", ActorKind::Unknown)) => Some("cannot approve");
        "by a person through an app", |s| s.evidence.label_events[1].app = Some("helper".into())
            => Some("mia through the app helper");
        "by a stranger through a trusted app", |s| {
            s.policy.trusted_bots = vec!["helper".into()];
            s.by(user("eve"));
            s.evidence.label_events[1].app = Some("helper".into());
        } => Some("eve, who has read permission");
        "by a trusted bot through another app", |s| {
            s.policy.trusted_bots = vec!["helper".into()];
            s.by(bot("helper"));
            s.evidence.label_events[1].app = Some("other".into());
        } => Some("through the app other");
        "set by a person, then again by a bot", |s| {
            s.unlabel(200, bot("triage-bot"));
            s.label(event("claude-ready", 300, bot("triage-bot")));
        } => Some("the bot triage-bot");
        "the same in one second", |s| {
            s.unlabel(100, bot("triage-bot"));
            let order = 1 << 40;
            s.label(LabelEvent { order, ..event("claude-ready", 100, bot("triage-bot")) });
        } => Some("the bot triage-bot");
        "in one second, in no known order", |s| s.label(event("claude-ready", 100, bot("triage-bot")))
            => Some("the bot triage-bot");
        "removed, but it is there", |s| s.unlabel(200, user("mia")) => Some("nothing shows who set it again");
        "no event", |s| s.evidence.label_events.truncate(1) => Some("is set, but nothing shows by whom");
        "the history was cut off", |s| s.evidence.complete = false => Some("could not be read whole");
        "labelled before it was opened", |s| s.evidence.created_at = at(101) => Some("before the issue was opened");
        "labelled in another repository", |s| s.moved(150) => Some("before the issue was transferred here");
        "labelled in the second of the transfer", |s| s.moved(100) => Some("before the issue was transferred here");
        "labelled between two transfers", |s| { s.moved(50); s.moved(150) } => Some("was transferred here");
        "locked as spam", |s| {
            s.evidence.locked = true;
            s.evidence.lock_reason = Some("SPAM".into());
        } => Some("locked as spam");
        "any issue is taken, this one of a stranger", |s| s.any(user("eve")) => Some("written by eve, who has read");
        "any issue is taken, this one of nobody", |s| s.any(None) => Some("written by a deleted");
        "any issue is taken, this one of a bot", |s| s.any(bot("mia")) => Some("written by the bot mia");
        "any issue is taken, this one from elsewhere", |s| { s.any(user("mia")); s.moved(10) }
            => Some("transferred from another repository");
    });
}

#[test]
fn what_strangers_change_after_the_approval_holds_the_issue() {
    check(&cases! {
        "the author edits the body", |s| s.edited(200, user("eve"))
            => Some("held until its label is taken off and set again: the body was edited by eve, who has read permission where write \
                is needed, on 1970-01-01T00:03:20Z, after mia approved it on 1970-01-01T00:01:40Z");
        "in the second of the approval", |s| s.edited(100, user("eve")) => Some("the body was edited by eve");
        "triage edits the body", |s| s.edited(200, user("tri")) => Some("by tri, who has triage permission");
        "a bot edits the body", |s| s.edited(200, bot("mia")) => Some("by the bot mia");
        "a deleted account edits the body", |s| s.edited(200, None) => Some("by a deleted or unknown account");
        "somebody whose permission cannot be read", |s| s.edited(200, user("who")) => Some("could not be read");
        "somebody with a login like another", |s| s.edited(200, user("mia-bot")) => Some("by mia-bot");
        "an account that stands for mia", |s| s.edited(200, actor("mia", ActorKind::Mannequin)) => Some("by mia, who");
        "a stranger, then somebody who may", |s| { s.edited(150, user("eve")); s.edited(200, user("mia")) }
            => Some("the body was edited by eve");
        "a stranger, twice", |s| { s.edited(150, user("eve")); s.edited(200, user("tri")) } => Some("by tri");
        "an edit that no list shows", |s| s.evidence.last_edit = Some(edit(200, user("mia")))
            => Some("by a deleted or unknown account");
        "a last edit newer than the list", |s| {
            s.edited(50, user("mia"));
            s.evidence.last_edit = Some(edit(200, user("mia")));
        } => Some("by a deleted or unknown account");
        "a last edit by nobody", |s| {
            s.edited(200, user("mia"));
            s.evidence.last_edit = Some(edit(200, None));
        } => Some("by a deleted or unknown account");
        "a list newer than the last edit", |s| {
            s.edited(50, user("mia"));
            s.evidence.edits.push(edit(200, user("eve")));
        } => Some("the body was edited by eve");
        "the author renames it", |s| s.evidence.titles.push(edit(200, user("eve"))) => Some("the title was renamed by eve");
        "renamed in the second of the approval", |s| s.evidence.titles.push(edit(100, user("eve"))) => Some("renamed");
        "renamed by a deleted account", |s| s.evidence.titles.push(edit(200, None)) => Some("renamed by a deleted");
        "renamed by a workflow", |s| s.evidence.titles.push(edit(200, bot("github-actions"))) => Some("renamed by the bot");
        "renamed and renamed back", |s| {
            s.evidence.titles.extend([edit(200, user("eve")), edit(201, user("eve"))]);
        } => Some("(2 such edits)");
        "a stranger edits an old comment", |s| {
            s.comment(comment(40, user("eve"), Some(edit(150, user("eve")))));
        } => Some("a comment was edited by eve");
        "a stranger edits what mia has said", |s| {
            s.comment(comment(40, user("mia"), Some(edit(150, user("eve")))));
        } => Some("a comment was edited by eve");
        "nobody knows who edits what mia has said", |s| {
            s.comment(comment(40, user("mia"), Some(edit(150, None))));
        } => Some("a comment was edited by a deleted or unknown account");
        "a bot edits an old comment", |s| {
            s.comment(comment(40, bot("stale"), Some(edit(100, bot("stale")))));
        } => Some("a comment was edited by the bot stale");
        "a comment of the second of the approval", |s| {
            s.comment(comment(100, user("eve"), Some(edit(101, user("eve")))));
        } => Some("a comment was edited by eve");
        "the label was set again, but by a stranger", |s| {
            s.label(event("agent-ok", 200, user("mia")));
            s.edited(250, user("eve"));
            s.unlabel(300, user("mia"));
            s.label(event("claude-ready", 310, user("eve")));
        } => Some("after mia approved it on 1970-01-01T00:03:20Z");
        "the editor had a permission then", |s| { s.edited(200, user("max")); s.permissions.insert("max", "read") }
            => Some("by max, who has read");
        "any issue is taken, edited by a stranger", |s| { s.any(user("mia")); s.edited(200, user("eve")) }
            => Some("held, because no label can approve it again: the body was edited by eve");
    });
}

#[test]
fn everything_that_speaks_against_an_issue_is_named() {
    let mut setting = Setting::new();
    setting.evidence.titles.push(edit(200, user("eve")));
    setting.edited(200, user("eve"));
    setting.comment(comment(40, user("eve"), Some(edit(200, user("eve")))));
    assert_eq!(setting.judge().reasons.len(), 3);
    let mut setting = Setting::new();
    setting.by(None);
    setting.label(event("agent-ok", 200, bot("x")));
    let trust = setting.judge();
    assert_eq!(trust.reasons.len(), 2, "{:?}", trust.reasons);
    let mut record = crate::record::Record::new("o/r", 1, Issue { state: "open".into(), ..Issue::default() });
    record.trust = Some(trust);
    assert_eq!(Rules::default().reasons(&record).len(), 3);
}

#[test]
fn the_newest_good_label_is_the_approval() {
    let mut setting = Setting::new();
    setting.label(event("agent-ok", 300, user("max")));
    let trust = setting.judge();
    assert_eq!((trust.approved_by.as_deref(), trust.approved_at), (Some("max"), Some(at(300))));
    setting.evidence.label_events[2].actor = user("eve");
    let trust = setting.judge();
    assert_eq!((trust.approved_by.as_deref(), trust.approved_at), (Some("mia"), Some(at(100))));
}

#[test]
fn only_the_words_of_people_who_may_approve_are_carried() {
    let mut setting = Setting::new();
    for comment in [
        comment(300, user("Mia"), None),
        comment(10, user("max"), Some(edit(20, user("max")))),
        comment(11, user("max"), Some(edit(20, user("ada")))),
        comment(12, user("max"), Some(edit(20, user("eve")))),
        comment(13, user("max"), Some(edit(20, None))),
        comment(301, user("max"), Some(edit(400, bot("x")))),
        comment(14, user("eve"), None),
        comment(15, user("eve"), Some(edit(20, user("mia")))),
        comment(16, bot("mia"), None),
        comment(17, None, None),
        comment(18, actor("mia", ActorKind::Mannequin), None),
        Comment { minimized: true, ..comment(19, user("mia"), None) },
    ] {
        setting.comment(comment);
    }
    let Setting { evidence, permissions, policy } = setting;
    let mut issue = Issue { title: "stale".into(), ..Issue::default() };
    let trust = vet(&mut issue, &evidence, &permissions, &policy);
    let carried: Vec<_> = issue.comments.iter().map(|one| (one.author.as_str(), one.body.as_str())).collect();
    assert_eq!(carried, [("max", "comment of 10"), ("max", "comment of 11"), ("Mia", "comment of 300")]);
    assert_eq!((issue.title.as_str(), issue.body.as_str()), ("Title", "Body"));
    assert!(trust.covers(&issue), "{trust:?}");
    issue.comments.pop();
    assert!(!trust.covers(&issue));
}

#[test]
fn permissions_are_asked_for_of_people_who_matter() {
    let mut setting = Setting::new();
    setting.edited(20, user("Ada"));
    setting.evidence.titles.push(edit(20, bot("renamer")));
    setting.comment(comment(30, user("tri"), Some(edit(40, user("max")))));
    setting.comment(Comment { minimized: true, ..comment(31, user("spam"), None) });
    let people = setting.evidence.people(&setting.policy);
    assert_eq!(people.iter().map(String::as_str).collect::<Vec<_>>(), ["ada", "max", "mia", "tri"]);
    setting.any(user("Eve"));
    assert!(setting.evidence.people(&setting.policy).contains("eve"));
}

#[test]
fn evidence_is_data() {
    let mut setting = Setting::new();
    setting.moved(5);
    setting.comment(comment(30, user("tri"), Some(edit(40, None))));
    let text = serde_json::to_string(&setting.evidence).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Evidence>(&text).ok(), Some(setting.evidence));
    let kind = serde_json::from_str::<ActorKind>("\"Robot\"").ok();
    assert_eq!(kind, Some(ActorKind::Unknown));
}
