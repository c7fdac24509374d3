use super::super::checks::{CheckSeen, Light, Source};
use super::super::review::Place;
use super::super::trust::Actor;
use super::*;
use crate::clock::Timestamp;

fn checks(lights: &[(&str, Light)], required: &[&str]) -> Checks {
    let one = |(name, light): &(&str, Light)| CheckSeen {
        name: (*name).to_owned(),
        source: Source::default(),
        light: *light,
        required: false,
        at: None,
        run: None,
        said: String::new(),
    };
    let required = required.iter().map(|&name| name.to_owned()).collect();
    Checks { seen: lights.iter().map(one).collect(), required, unknown: None }
}

fn review(by: &str, vote: Vote, commit: &str) -> Remark {
    let kind = if by.ends_with("[bot]") { ActorKind::Bot } else { ActorKind::User };
    Remark {
        key: by.into(),
        place: Place::Review(vote),
        author: Some(Actor { login: by.into(), kind }),
        edit: None,
        minimized: false,
        body: String::new(),
        at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        commit: Some(commit.into()),
    }
}

/// A pull request that may be merged.
struct Setting {
    remarks: Vec<Remark>,
    checks: Checks,
    terms: Terms,
    head: &'static str,
    draft: bool,
    conflicts: Option<bool>,
    blocked: bool,
    approvals_wanted: u32,
    ways: Ways,
    unread: bool,
}

fn setting() -> Setting {
    Setting {
        remarks: vec![review("mia", Vote::Approved, "head")],
        checks: checks(&[("t", Light::Green)], &[]),
        terms: Terms { approvals: 1, require_checks: true, auto: true },
        head: "head",
        draft: false,
        conflicts: Some(false),
        blocked: false,
        approvals_wanted: 0,
        ways: Ways::default(),
        unread: false,
    }
}

impl Setting {
    fn next(&self) -> String {
        let remarks: Vec<&Remark> = self.remarks.iter().collect();
        let candidate = Candidate {
            head: self.head,
            pushed: "head",
            draft: self.draft,
            author: Some("cq-bot"),
            conflicts: self.conflicts,
            blocked: self.blocked,
            checks: &self.checks,
            remarks: &remarks,
            approvals_wanted: self.approvals_wanted,
            ways: self.ways,
            unread: self.unread,
        };
        match decide(&candidate, self.terms) {
            Next::Merge => "merge".to_owned(),
            Next::Enqueue => "enqueue".to_owned(),
            Next::Auto => "auto".to_owned(),
            Next::UnderWay(why) => format!("under way: {why}"),
            Next::Not(why) => why.join("; "),
        }
    }
}

fn amber() -> Checks {
    checks(&[("t", Light::Amber)], &["t"])
}

#[test]
fn everything_has_to_hold() {
    type Change<'a> = &'a dyn Fn(&mut Setting);
    let cases: Vec<(&str, Change<'_>, &str)> = vec![
        ("all holds", &|_| {}, "merge"),
        ("nobody", &|s| s.remarks.clear(), "0 of 1 people have approved head"),
        (
            "too much said",
            &|s| s.unread = true,
            "it has more than 100 reviews or threads, and the oldest are not read",
        ),
        (
            "of an older commit",
            &|s| s.remarks = vec![review("mia", Vote::Approved, "old")],
            "0 of 1 people have approved head",
        ),
        (
            "its author",
            &|s| s.remarks = vec![review("CQ-bot", Vote::Approved, "head")],
            "0 of 1 people have approved head",
        ),
        (
            "a bot",
            &|s| s.remarks = vec![review("a[bot]", Vote::Approved, "head")],
            "0 of 1 people have approved head",
        ),
        (
            "taken back",
            &|s| s.remarks.push(review("mia", Vote::Void, "head")),
            "0 of 1 people have approved head",
        ),
        (
            "one against it",
            &|s| s.remarks.push(review("max", Vote::ChangesRequested, "old")),
            "changes are asked for by max",
        ),
        ("the base wants two", &|s| s.approvals_wanted = 2, "1 of 2 people have approved head"),
        ("nobody is asked", &|s| (s.remarks, s.terms.approvals) = (vec![], 0), "merge"),
        (
            "moved",
            &|s| (s.head, s.remarks) = ("new", vec![review("mia", Vote::Approved, "new")]),
            "its branch ends with new, which cq did not push",
        ),
        ("a draft", &|s| s.draft = true, "it is a draft"),
        ("a conflict", &|s| s.conflicts = Some(true), "it conflicts with its base"),
        ("not known", &|s| s.conflicts = None, "GitHub has not found out whether it can be merged"),
        ("GitHub's rules", &|s| s.blocked = true, "GitHub's own rules for its base hold it"),
        ("red", &|s| s.checks = checks(&[("t", Light::Red)], &[]), "CI is red: t"),
        (
            "at work",
            &|s| s.checks = checks(&[("t", Light::Amber)], &[]),
            "its checks have not come to their end",
        ),
        ("none", &|s| s.checks = checks(&[], &[]), "no check has reported on it"),
        (
            "none, and none wanted",
            &|s| (s.checks, s.terms.require_checks) = (checks(&[], &[]), false),
            "merge",
        ),
        ("hidden", &|s| s.checks.unknown = Some("403".into()), "its checks cannot be read: 403"),
        ("auto", &|s| (s.checks, s.ways.auto, s.approvals_wanted) = (amber(), Way::Open, 1), "auto"),
        (
            "auto, and no approvals that could be taken back",
            &|s| (s.checks, s.ways.auto) = (amber(), Way::Open),
            "its checks have not come to their end",
        ),
        (
            "auto without required checks",
            &|s| (s.checks, s.ways.auto) = (checks(&[("t", Light::Amber)], &[]), Way::Open),
            "its checks have not come to their end",
        ),
        (
            "auto, not wanted",
            &|s| (s.checks, s.ways.auto, s.approvals_wanted, s.terms.auto) = (amber(), Way::Open, 1, false),
            "its checks have not come to their end",
        ),
        (
            "auto, on already",
            &|s| (s.checks, s.ways.auto) = (amber(), Way::Taken),
            "under way: GitHub merges it when its checks are green",
        ),
        (
            "auto, not approved",
            &|s| (s.checks, s.ways.auto, s.remarks) = (amber(), Way::Open, vec![]),
            "0 of 1 people have approved head; its checks have not come to their end",
        ),
        ("a queue", &|s| (s.ways.queue, s.blocked) = (Way::Open, true), "enqueue"),
        ("in the queue", &|s| s.ways.queue = Way::Taken, "under way: it is in the merge queue"),
        (
            "several",
            &|s| (s.draft, s.checks, s.remarks) = (true, checks(&[("t", Light::Red)], &[]), vec![]),
            "0 of 1 people have approved head; it is a draft; CI is red: t",
        ),
    ];
    for (name, change, expected) in cases {
        let mut setting = setting();
        change(&mut setting);
        assert_eq!(setting.next(), expected, "{name}");
    }
}

#[test]
fn a_red_base_halts() {
    assert_eq!(halted("main", &checks(&[("t", Light::Red)], &[])).as_deref(), Some("'main' is red: t"));
    for fine in [checks(&[], &[]), checks(&[("t", Light::Amber)], &[]), checks(&[("t", Light::Red)], &["u"])]
    {
        assert_eq!(halted("main", &fine), None, "{fine:?}");
    }
}

#[test]
fn githubs_words_are_told_apart() {
    let cases = [
        (405, "Base branch was modified. Review and try the merge again.", Some(Refused::BaseMoved)),
        (409, "Head branch was modified. Review and try the merge again.", Some(Refused::HeadMoved)),
        (405, "Head branch was modified. Review and try the merge again.", Some(Refused::HeadMoved)),
        (405, "Merge commits are not allowed on this repository.", Some(Refused::Method)),
        (405, "Pull Request is not mergeable", Some(Refused::NotNow)),
        (405, "Required status check \"ci\" is expected.", Some(Refused::NotNow)),
        (422, "Validation Failed", Some(Refused::NotNow)),
        (403, "Resource not accessible by integration", None),
        (404, "Not Found", None),
    ];
    for (status, message, expected) in cases {
        assert_eq!(refused(status, message), expected, "{status} {message}");
    }
}
