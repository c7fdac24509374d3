//! The agent is sent back: by whom, with what, how often.

use std::fs;

use serde_json::{Value, json};

use crate::place::{PULL, ROUND, arguments, base, check, head, opened, prompt, pull, review, said_at_lines};

/// Nothing more is asked for.
fn is_quiet(house: &crate::House) {
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().records(), Vec::<Value>::new());
    assert_eq!(house.status(1), "pr-ready");
}

/// Two change requests and one CI failure: the same session, the same branch, the same pull request; each is answered
/// once.
#[test]
fn an_agent_goes_on_with_its_session_until_reviewers_and_ci_are_content() {
    let house = opened();
    let session = house.record(1)["run"]["session_id"].as_str().unwrap().to_owned();
    let branch = house.record(1)["claim"]["branch"].clone();
    let first = head(&house);
    is_quiet(&house);

    review(&house, "mia", "CHANGES_REQUESTED", "Please rename it.", &["This line is wrong.", "So is this."]);
    let sent = house.cq("pr").args(["--sync"]).run().quietly().record();
    assert_eq!((&sent["status"], &sent["claim"]["attempt"]), (&json!("queued"), &json!(2)), "{sent:#}");
    assert_eq!(sent["pull_request"]["review"], "changes-requested");
    assert_eq!(sent["history"].as_array().unwrap().last().unwrap()["why"], "changes are asked for by mia");
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    let second = head(&house);
    assert_ne!(first, second);
    let told = prompt(&house, 2);
    assert!(told.starts_with("Go on with GitHub issue #1 in this session."), "{told}");
    for words in ["Please rename it.", "says of src/work.txt, line 1", "This line is wrong.", "So is this."] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(arguments(&house, 2).contains(&format!("--resume\n{session}")));
    let said = said_at_lines(&house);
    assert_eq!(said.len(), 4, "{said:#?}");
    let answer = format!("The agent has been back since: the branch ends with {} now.", &second[..10]);
    let answers = said.iter().filter(|(by, text)| by == "cq-bot" && text.starts_with(&answer));
    assert_eq!(answers.count(), 2, "{said:#?}");
    assert_eq!(pull(&house)["requested_reviewers"][0]["login"], "mia");
    is_quiet(&house);

    review(&house, "mia", "APPROVED", "Good.", &[]);
    review(&house, "max", "CHANGES_REQUESTED", "And a test, please.", &[]);
    house.shell(ROUND).run().quietly();
    let told = prompt(&house, 3);
    assert!(told.contains("And a test, please.") && !told.contains("Please rename it."), "{told}");
    is_quiet(&house);

    let third = head(&house);
    check(&house, &third, "lint", Some("success"), None);
    let step = |line| format!("2026-01-31T09:30:00.1234567Z step {line}\n");
    let log = (0..90).map(step).collect::<Vec<_>>().concat();
    let secret = crate::support::lab::TOKEN;
    let log = format!(
        "{log}2026-01-31T09:30:01.1234567Z the token is {secret}\n\
        2026-01-31T09:30:01.1234567Z ##[error]assertion failed: left == right\n\
        2026-01-31T09:30:02.1234567Z Post job cleanup.\n"
    );
    check(&house, &third, "tests", Some("failure"), Some(&log));
    house.shell(ROUND).run().quietly();
    let told = prompt(&house, 4);
    assert!(
        told.contains(&format!("CI is red: the check 'tests' failed on {}:\nstep 42\n", &third[..10])),
        "{told}"
    );
    assert!(told.contains("##[error]assertion failed: left == right"), "{told}");
    assert!(!told.contains("Post job") && !told.contains("step 41") && !told.contains(secret), "{told}");
    assert!(told.contains("the token is [redacted]"), "{told}");

    let record = house.record(1);
    assert_eq!((&record["run"]["session_id"], &record["run"]["resumed"]), (&json!(session), &json!(true)));
    assert_eq!((&record["claim"]["branch"], &record["status"]), (&branch, &json!("pr-ready")));
    assert_eq!((&record["rounds"]["review"], &record["rounds"]["ci"]), (&json!(2), &json!(1)));
    assert_eq!(said_at_lines(&house).len(), 4, "each thread is answered once");
    is_quiet(&house);
    assert_eq!(house.record(1)["pull_request"]["checks"], "none", "nobody has looked at the new end");

    house.lab.merge(PULL);
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().record()["status"], "completed");
}

/// What somebody without write access writes reaches no agent, in no form.
#[test]
fn a_strangers_words_never_reach_the_agent() {
    let house = opened();
    let lure = "LURE-7f3a";
    review(&house, "eve", "CHANGES_REQUESTED", &format!("{lure} a"), &[&format!("{lure} b")]);
    review(&house, "tri", "CHANGES_REQUESTED", &format!("{lure} c"), &[&format!("{lure} d")]);
    house.lab.act("eve", PULL, &json!({"comment": format!("{lure} e")}));
    let before = house.record(1);
    is_quiet(&house);
    assert_eq!(house.record(1)["pull_request"].get("review"), before["pull_request"].get("review"));

    // In the thread of somebody who may, and over the words of somebody who may.
    let ids = review(&house, "mia", "COMMENTED", "", &["A real wish.", "Another wish."]);
    house.lab.act("eve", PULL, &json!({"edit_line": {"id": ids[1], "body": format!("{lure} f")}}));
    house.lab.call(
        "POST",
        &format!("/repos/acme/widgets/pulls/{PULL}/comments/{}/replies", ids[0]),
        &json!({"body": "hm"}),
    );
    house.shell(ROUND).run().quietly();
    let told = prompt(&house, 2);
    assert!(told.contains("A real wish.") && !told.contains("Another wish."), "{told}");
    let record = house.record(1).to_string();
    let on_disk = fs::read_to_string(house.workspace(1).join("prompt.md")).unwrap();
    for text in [&told, &record, &on_disk, &house.log(1)] {
        assert!(!text.contains(lure), "{text}");
    }
    is_quiet(&house);
}

/// Killed at any moment, or run twice at once: one round.
#[test]
fn a_wish_is_heard_once_however_often_it_is_looked_at() {
    let house = opened();
    review(&house, "mia", "CHANGES_REQUESTED", "Once.", &["At a line."]);
    let children: Vec<_> = (0..4).map(|_| house.cq("pr").args(["--sync"]).start()).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let record = house.record(1);
    assert_eq!((&record["rounds"]["review"], record["feedback"].as_array().unwrap().len()), (&json!(1), 2));
    // Nobody printed it: cq-monitor offers it.
    assert_eq!(house.cq("monitor").run().good().numbers(), [1]);
    house.shell("cq-monitor | cq-spawn --wait | cq-gate").run().good();
    // The answer is lost after it was given, again and again: whoever comes next finds it.
    house.lab.break_with(&json!([
        {"method": "POST", "path": "/repos/*/*/pulls/*/comments/*/replies", "times": 4, "after_effect": true},
        {"method": "GET", "path": "/repos/*/*/pulls/*/comments", "skip": 1, "times": 4, "status": 502}]));
    house.cq("pr").args(["1"]).run().ends(69, "");
    assert_eq!(house.status(1), "testing");
    house.lab.mend();
    house.forget_github();
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!(said_at_lines(&house).len(), 2, "{:?}", said_at_lines(&house));
    is_quiet(&house);
    // An edit is something new; a thread that was resolved is not.
    let ids = review(&house, "mia", "COMMENTED", "", &["Twice."]);
    house.lab.act("mia", PULL, &json!({"resolve": {"id": ids[0]}}));
    is_quiet(&house);
}

#[test]
fn sync_that_is_killed_loses_nothing() {
    let house = opened();
    review(&house, "mia", "CHANGES_REQUESTED", "Survive.", &[]);
    for delay in 0..12_u64 {
        let mut child = house.cq("pr").args(["--sync"]).start();
        std::thread::sleep(std::time::Duration::from_millis(delay * 12));
        let _ = child.kill();
        let _ = child.wait();
    }
    house.cq("pr").args(["--sync"]).run().good();
    let record = house.record(1);
    assert_eq!((&record["status"], &record["rounds"]["review"]), (&json!("queued"), &json!(1)));
    let told = record["feedback"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn reviewers_are_left_to_finish() {
    let house = opened();
    house.configure(|config| config["feedback"]["quietSeconds"] = json!(60));
    let review = json!({"repository": "acme/widgets", "number": PULL, "user": "mia", "state": "COMMENTED",
        "body": "First of two.", "at": "2030-01-31T09:30:00Z"});
    house.lab.call("POST", "/_lab/reviews", &review);
    let at = |now: &str| house.cq("pr").args(["--sync", "--verbose"]).at(now).run();
    let ran = at("2030-01-31T09:30:59Z").ends(0, "issue #1: somebody may still be writing; again in 1 s");
    assert_eq!(ran.records(), Vec::<Value>::new());
    assert_eq!(at("2030-01-31T09:31:00Z").good().record()["status"], "queued");
}

#[test]
fn rounds_are_bounded_and_a_person_is_told_once() {
    let house = opened();
    house.configure(|config| {
        config["feedback"]["reviewRounds"] = json!(1);
        config["feedback"]["ciRounds"] = json!(1);
    });
    for (wish, round) in [("first", true), ("second", false)] {
        review(&house, "mia", "CHANGES_REQUESTED", &format!("The {wish} wish."), &["Here."]);
        if round {
            house.shell(ROUND).run().quietly();
        } else {
            let over = "issue #1: changes are asked for by mia; a person looks, after 1 of 1 rounds (feedback.reviewRounds)";
            house.cq("pr").args(["--sync"]).run().ends(0, over);
        }
        is_quiet(&house);
    }
    for round in [true, false] {
        check(&house, &head(&house), "tests", Some("failure"), None);
        let said = house.shell(ROUND).run().good().stderr;
        assert_eq!(
            said.contains("CI is red: tests; a person looks, after 1 of 1 rounds (feedback.ciRounds)"),
            !round,
            "{said}"
        );
        is_quiet(&house);
    }
    let record = house.record(1);
    let rounds = &record["rounds"];
    assert_eq!(
        (&rounds["review"], &rounds["ci"], &record["claim"]["attempt"]),
        (&json!(1), &json!(1), &json!(3))
    );
    assert!(rounds["over"].as_str().unwrap().contains("feedback.ciRounds"), "{rounds:#}");
    let told = record["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["to"] == "pr-ready" && one["from"] == "pr-ready");
    assert_eq!(told.count(), 2, "{record:#}");
    assert_eq!(record["pull_request"]["checks"], "failed");
    let answers = said_at_lines(&house).into_iter().filter(|(by, _)| by == "cq-bot").count();
    assert_eq!(answers, 1, "what nobody deals with is not answered");
}

/// Each round has all of its attempts.
#[test]
fn a_red_gate_in_a_later_round_is_tried_again() {
    let house = opened();
    house.configure(|config| {
        config["queue"]["retryAttempts"] = json!(2);
        config["qualityGates"] =
            json!([{"name": "twice", "command": ["sh", "-c", "test ! -e src/work.txt || test $(wc -l < src/work.txt) -ne 2"]}]);
    });
    review(&house, "mia", "CHANGES_REQUESTED", "Again.", &[]);
    let ran = house.shell("cq-pr --sync | cq-spawn --wait | cq-gate").run().ends(1, "checks failed: twice");
    let record = ran.record();
    assert_eq!((&record["status"], &record["claim"]["attempt"]), (&json!("queued"), &json!(3)), "{record:#}");
    let why = record["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("red: twice; attempt 3 of 3 in "), "{why}");
    let later = "2031-01-01T00:00:00Z";
    let spawn = house.cq("spawn").args(["--wait", "1"]).at(later).run().good();
    assert_eq!(spawn.record()["status"], "testing");
    house.shell("cq-gate 1 | cq-pr").run().quietly();
    assert_eq!(house.status(1), "pr-ready");
    assert!(prompt(&house, 3).contains("The check 'twice' failed"));
}

/// What is red at the base too, optional, or somebody else's work, is not the agent's fault.
#[test]
fn an_agent_answers_for_its_own_work_alone() {
    let house = opened();
    let (end, main) = (head(&house), base(&house));
    check(&house, &main, "tests", Some("failure"), None);
    check(&house, &end, "tests", Some("failure"), None);
    let sync = || house.cq("pr").args(["--sync", "--verbose"]).run();
    let ran = sync().ends(0, "issue #1: CI is red, and so it is at the base: tests");
    assert_eq!(ran.records(), Vec::<Value>::new());
    assert_eq!(house.record(1)["pull_request"]["checks"], "failed");

    check(&house, &main, "tests", Some("success"), None);
    check(&house, &end, "slow", None, None);
    let ran = sync().ends(0, "issue #1: CI is red, and not at its end");
    assert_eq!(ran.records(), Vec::<Value>::new());

    crate::place::rules(&house, &json!({"required": ["slow"]}));
    check(&house, &end, "slow", Some("success"), None);
    assert_eq!(sync().good().records(), Vec::<Value>::new());
    assert_eq!(house.record(1)["pull_request"]["checks"], "passed", "only what is required counts");
    crate::place::rules(&house, &json!({}));

    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    let theirs = house.push_by_hand(&branch, "by-hand.txt", "mine\n");
    check(&house, &theirs, "tests", Some("failure"), None);
    let why = format!("a person looks: its branch ends with {}, which cq did not push", &theirs[..10]);
    let ran = sync().ends(0, &why);
    assert_eq!(ran.records(), Vec::<Value>::new());
    assert!(!sync().good().stderr.contains("a person looks"), "it is said once");
    house.cq("pr").args(["--sync", "1"]).run().ends(0, &why);
    assert_eq!(house.record(1)["pull_request"]["head_sha"], json!(end), "what cq pushed is what it pushed");
}

#[test]
fn a_conflict_is_the_agents_to_resolve_with_the_base_at_hand() {
    let house = opened();
    let theirs = house.push_by_hand("main", "src/work.txt", "something else\n");
    let sent = house.cq("pr").args(["--sync"]).run().quietly().record();
    assert_eq!(sent["history"].as_array().unwrap().last().unwrap()["why"], "it conflicts with its base");
    let text = sent["feedback"][0]["text"].as_str().unwrap();
    assert!(text.contains(&format!("git merge {theirs}")), "{text}");
    let begun = sent["claim"]["base_sha"].clone();
    assert_ne!(begun, json!(theirs), "the branch does not have it yet");
    // An agent that does not: what is compared, and said to be, is as before.
    let script =
        json!({"default": [{"write": {"path": "more.txt", "content": "more\n"}}, {"commit": "More"}]});
    fs::write(house.place("script.json"), script.to_string()).unwrap();
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    assert_eq!(house.record(1)["claim"]["base_sha"], begun);
    assert_eq!(house.record(1)["gates"]["base"], begun);
    house.cq("pr").args(["--sync"]).run().quietly();
    // The agent can do what it is told to.
    let merge = format!(
        "git -c user.name=a -c user.email=a@b merge --quiet -X ours -m Merge {theirs} && git log -1 --format=%p"
    );
    let script = json!({"default": [{"run": ["sh", "-c", merge]}, {"say": "Merged."}]});
    fs::write(house.place("script.json"), script.to_string()).unwrap();
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
    let whole = house.lab.call("GET", &format!("/repos/acme/widgets/pulls/{PULL}"), &Value::Null);
    assert_eq!((&whole["mergeable"], &whole["commits"]), (&json!(true), &json!(3)), "{whole:#}");
    is_quiet(&house);
    let record = house.record(1);
    assert_eq!((&record["claim"]["base_sha"], &record["gates"]["base"]), (&json!(theirs), &json!(theirs)));
    assert_eq!(record["rounds"]["review"], 2);
}

/// What a pull request says was checked is what is there, and nobody's words are written over.
#[test]
fn the_text_of_a_pull_request_keeps_up_unless_somebody_wrote_in_it() {
    let house = opened();
    let tree = || house.record(1)["gates"]["tree"].as_str().unwrap().to_owned();
    let text = || pull(&house)["body"].as_str().unwrap().to_owned();
    let first = tree();
    assert!(text().contains(&first), "{}", text());
    review(&house, "mia", "CHANGES_REQUESTED", "Again.", &[]);
    house.shell(ROUND).run().quietly();
    assert!(text().contains(&tree()) && !text().contains(&first), "{}", text());
    let theirs = format!("{}\n\nSeen by mia.", text());
    house.lab.act("mia", PULL, &json!({"edit_body": theirs}));
    review(&house, "mia", "CHANGES_REQUESTED", "And again.", &[]);
    house.shell(ROUND).run().ends(0, "pull request #4: somebody has written in its text");
    assert_eq!(text(), theirs);
}

/// Its workspace was cleaned up meanwhile: a new one, with the branch as it is, and a prompt that tells all.
#[test]
fn an_agent_whose_workspace_is_gone_starts_afresh_on_its_branch() {
    let house = opened();
    house.cq("cleanup").args(["claude-instance-1"]).run().good();
    review(&house, "mia", "CHANGES_REQUESTED", "From the start.", &[]);
    let begun = house.git(&["rev-parse", "HEAD"]);
    house.push_by_hand("main", "theirs.txt", "theirs");
    // A fetch is good for seconds, which have not passed.
    fs::remove_file(house.state_dir().join("repo.git/fetched")).unwrap();
    house.shell(ROUND).run().quietly();
    assert_eq!(
        house.record(1)["gates"]["base"],
        json!(begun),
        "what came to the base since is not its change"
    );
    let told = prompt(&house, 2);
    assert!(
        told.contains("which an earlier attempt did not finish") && told.contains("From the start."),
        "{told}"
    );
    let whole = house.lab.call("GET", &format!("/repos/acme/widgets/pulls/{PULL}"), &Value::Null);
    assert_eq!(whole["commits"], 2);
}
