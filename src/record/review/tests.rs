use super::super::checks::{CheckSeen, Light, Source};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn remark(key: &str, by: &str, place: Place, body: &str, second: i64) -> Remark {
    let kind = if by.ends_with("[bot]") { ActorKind::Bot } else { ActorKind::User };
    Remark {
        key: key.into(),
        place,
        author: Some(Actor { login: by.into(), kind }),
        edit: None,
        minimized: false,
        body: body.into(),
        at: at(second),
        updated_at: at(second),
        commit: Some("head".into()),
    }
}

fn line(resolved: bool) -> Place {
    Place::Line { path: "f".into(), line: Some(1), thread: 7, resolved }
}

fn permissions() -> Permissions {
    Permissions::from_iter([("mia", "write"), ("max", "admin"), ("tri", "triage"), ("eve", "read")])
}

#[test]
fn only_people_with_write_access_are_heard() {
    let mia = || remark("k", "mia", Place::Talk, "b", 1);
    let edited = |by: Option<&str>| {
        let editor = by.map(|by| Actor { login: by.into(), kind: ActorKind::User });
        Remark { edit: Some(Edit { at: at(2), editor }), ..mia() }
    };
    let cases = [
        ("mia", mia(), true),
        ("max", remark("k", "max", line(false), "b", 1), true),
        ("triage", remark("k", "tri", Place::Talk, "b", 1), false),
        ("read", remark("k", "eve", Place::Review(Vote::ChangesRequested), "b", 1), false),
        ("somebody whose permission is not known", remark("k", "who", Place::Talk, "b", 1), false),
        ("a bot", remark("k", "helper[bot]", Place::Talk, "b", 1), false),
        ("a deleted account", Remark { author: None, ..mia() }, false),
        ("hidden", Remark { minimized: true, ..mia() }, false),
        ("cq's own", remark("k", "mia", Place::Talk, "OURS", 1), false),
        ("edited by one who may", edited(Some("max")), true),
        ("edited by one who may not", edited(Some("eve")), false),
        ("edited by nobody knows whom", edited(None), false),
    ];
    // A policy that takes less for issues takes no less here.
    for minimum in [Role::Read, Role::Write] {
        let policy = Policy { minimum, ..Policy::default() };
        for (name, remark, expected) in &cases {
            let remarks = [remark.clone()];
            let heard = vouched(&remarks, &permissions(), &policy, |body| body == "OURS");
            assert_eq!(!heard.is_empty(), *expected, "{name} {minimum:?}");
        }
    }
    let policy = Policy { minimum: Role::Admin, ..Policy::default() };
    assert!(vouched(&[mia()], &permissions(), &policy, |_| false).is_empty(), "and it may take more");
    let policy = Policy { trusted_bots: vec!["helper".into()], ..Policy::default() };
    assert_eq!(vouched(&[cases[5].1.clone()], &permissions(), &policy, |_| false).len(), 1);
}

#[test]
fn a_fingerprint_changes_with_the_words_alone() {
    let one = remark("k", "mia", line(false), "b", 1);
    assert_eq!(one.print(), Remark { place: line(true), minimized: true, ..one.clone() }.print());
    let others = [
        Remark { body: "c".into(), ..one.clone() },
        Remark { key: "l".into(), ..one.clone() },
        Remark { edit: Some(Edit { at: at(5), editor: None }), ..one.clone() },
    ];
    assert!(others.iter().all(|other| other.print() != one.print()));
}

#[test]
fn the_last_vote_of_each_counts() {
    type Said<'a> = &'a [(&'a str, Vote)];
    use Vote::{Approved, ChangesRequested, Commented, Void};
    let cases: [(Said<'_>, Option<&str>); 8] = [
        (&[], None),
        (&[("mia", Commented)], None),
        (&[("mia", Approved)], Some("approved")),
        (&[("mia", Approved), ("max", ChangesRequested)], Some("changes-requested")),
        (&[("mia", ChangesRequested), ("mia", Commented)], Some("changes-requested")),
        (&[("mia", ChangesRequested), ("MIA", Approved)], Some("approved")),
        (&[("mia", ChangesRequested), ("mia", Void)], None),
        (&[("mia", Approved), ("mia", ChangesRequested)], Some("changes-requested")),
    ];
    for (said, expected) in cases {
        let remarks: Vec<Remark> = said
            .iter()
            .zip(0..)
            .map(|((by, vote), second)| remark("k", by, Place::Review(*vote), "", second))
            .collect();
        let all: Vec<&Remark> = remarks.iter().collect();
        assert_eq!(verdict(&votes(&all)), expected, "{said:?}");
    }
}

/// A pull request of which nothing is asked, at the hundredth second.
struct Setting {
    remarks: Vec<Remark>,
    checks: Checks,
    base_checks: Checks,
    ours: bool,
    conflicts: Option<bool>,
    rounds: Rounds,
}

fn setting() -> Setting {
    let (checks, base_checks) = (Checks::default(), Checks::default());
    Setting {
        remarks: vec![],
        checks,
        base_checks,
        ours: true,
        conflicts: Some(false),
        rounds: Rounds::default(),
    }
}

fn red(name: &str) -> Checks {
    let (name, at) = (name.to_owned(), Some(at(0)));
    let (source, light, said) = (Source::default(), Light::Red, String::new());
    let check = CheckSeen { name, source, light, required: false, at, run: None, said };
    Checks { seen: vec![check], ..Checks::default() }
}

impl Setting {
    /// What follows, in a word and why.
    fn next(&self) -> (String, Vec<Heard>) {
        let remarks: Vec<&Remark> = self.remarks.iter().collect();
        let standing = Standing {
            head: "head",
            base: "base",
            ours: self.ours,
            conflicts: self.conflicts,
            checks: &self.checks,
            base_checks: &self.base_checks,
            remarks: &remarks,
        };
        let bounds = Bounds { ci: 2, review: 3, quiet: TimeDelta::seconds(60) };
        match decide(&self.rounds, &standing, &bounds, at(100)) {
            Next::Nothing => ("nothing".into(), vec![]),
            Next::Wait(why) => (format!("wait: {why}"), vec![]),
            Next::Person(why, heard) => (format!("person: {why}"), heard),
            Next::Again(round) => (format!("again: {}", round.why()), round.heard),
        }
    }
}

fn review(vote: Vote, body: &str) -> Remark {
    remark("r", "mia", Place::Review(vote), body, 1)
}

#[test]
fn what_is_asked_decides_what_follows() {
    type Change<'a> = &'a dyn Fn(&mut Setting);
    let asks = "again: changes are asked for by mia";
    let cases: Vec<(&str, Change<'_>, &str)> = vec![
        ("nothing is said", &|_| {}, "nothing"),
        ("approved with words", &|s| s.remarks.push(review(Vote::Approved, "good")), "nothing"),
        ("a review without a word", &|s| s.remarks.push(review(Vote::Commented, " ")), "nothing"),
        ("a review with words", &|s| s.remarks.push(review(Vote::Commented, "hm")), asks),
        ("changes without a word", &|s| s.remarks.push(review(Vote::ChangesRequested, "")), asks),
        ("taken back", &|s| s.remarks.push(review(Vote::Void, "no")), "nothing"),
        ("talk", &|s| s.remarks.push(remark("t", "mia", Place::Talk, "hi", 1)), "nothing"),
        ("at a line", &|s| s.remarks.push(remark("l", "mia", line(false), "no", 1)), asks),
        ("at a line, resolved", &|s| s.remarks.push(remark("l", "mia", line(true), "no", 1)), "nothing"),
        (
            "a minute is not over",
            &|s| s.remarks.push(remark("l", "mia", line(false), "no", 41)),
            "wait: somebody may still be writing; again in 1 s",
        ),
        ("red", &|s| s.checks = red("t"), "again: CI is red: t"),
        (
            "red, and so is the base",
            &|s| (s.checks, s.base_checks) = (red("t"), red("t")),
            "person: CI is red, and so it is at the base: t; the agent is not sent back",
        ),
        ("conflict", &|s| s.conflicts = Some(true), "again: it conflicts with its base"),
        ("nobody knows", &|s| s.conflicts = None, "nothing"),
        (
            "somebody else's end",
            &|s| (s.ours, s.checks) = (false, red("t")),
            "person: CI is red: t; a person looks: its branch ends with head, which cq did not push",
        ),
        (
            "all at once",
            &|s| {
                s.remarks.push(remark("l", "mia", line(false), "no", 1));
                (s.checks, s.conflicts) = (red("t"), Some(true));
            },
            "again: changes are asked for by mia; CI is red: t; it conflicts with its base",
        ),
        (
            "all rounds used up",
            &|s| {
                s.remarks.push(remark("l", "mia", line(false), "no", 1));
                s.rounds.review = 3;
            },
            "person: changes are asked for by mia; a person looks, after 3 of 3 rounds (feedback.reviewRounds)",
        ),
        (
            "all of CI's used up",
            &|s| (s.checks, s.rounds.ci) = (red("t"), 2),
            "person: CI is red: t; a person looks, after 2 of 2 rounds (feedback.ciRounds)",
        ),
        (
            "those of CI alone",
            &|s| (s.conflicts, s.rounds.ci) = (Some(true), 2),
            "again: it conflicts with its base",
        ),
    ];
    for (name, change, expected) in cases {
        let mut setting = setting();
        change(&mut setting);
        let (next, heard) = setting.next();
        assert_eq!(next, expected, "{name}");
        // Once it was taken down, nothing is asked any more.
        let count = heard.len();
        setting.rounds.heard.extend(heard);
        if count > 0 {
            assert_eq!(setting.next().0, "nothing", "{name}, a second time");
        }
    }
}

#[test]
fn what_is_talked_goes_along_and_what_was_left_is_not_answered() {
    let mut setting = setting();
    setting.remarks.push(remark("t", "max", Place::Talk, "see above", 1));
    setting.remarks.push(remark("l", "mia", line(false), "no", 2));
    setting.remarks.push(remark("r", "mia", Place::Review(Vote::ChangesRequested), "", 3));
    let (_, heard) = setting.next();
    let told: Vec<_> =
        heard.iter().map(|one| (one.key.as_str(), one.thread, one.look_again, one.round)).collect();
    assert_eq!(told, [("t", None, false, 1), ("l", Some(7), false, 1), ("r", None, true, 1)]);
    setting.rounds.review = 3;
    let (_, heard) = setting.next();
    assert!(heard.iter().all(|one| one.thread.is_none() && !one.look_again) && heard.len() == 3);
}

#[test]
fn a_round_counts_for_what_it_is_about_and_starts_its_attempts_anew() {
    let (one, checks) = (remark("l", "mia", line(false), "no", 1), red("t"));
    let round = |remarks, red, conflict| Round { remarks, red, conflict, heard: vec![] };
    let cases = [
        (round(vec![&one], vec![], false), (0, 1)),
        (round(vec![], checks.red(), false), (1, 0)),
        (round(vec![], vec![], true), (0, 1)),
        (round(vec![&one], checks.red(), true), (0, 1)),
    ];
    for (round, expected) in cases {
        let mut rounds = Rounds { over: Some("x".into()), ..Rounds::default() };
        rounds.begin(&round, 4);
        assert_eq!((rounds.ci, rounds.review), expected);
        assert_eq!((rounds.attempts_before, rounds.over), (4, None));
    }
}
