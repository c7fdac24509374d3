//! Work that goes well.

use std::collections::BTreeSet;

use serde_json::json;

use crate::place::{MEMORY_MEGABYTES, Place, conversation_of, key, session_of, tell};
use crate::support::house::{House, Plan};

#[test]
fn it_edits_commits_and_its_pull_request_is_opened() {
    let test = "it_edits_commits_and_its_pull_request_is_opened";
    let Some(place) = Place::new(test, &Plan::default(), &json!({})) else { return };
    let house = &place.house;
    let before = house.owners_view();
    let line = "cq-fetch --from ../issues.json | cq-claim --max 1 | cq-spawn --wait | cq-gate | cq-pr";
    let ran = place.shell(line).run().quietly();
    let record = ran.record();
    assert_eq!(
        (&record["number"], &record["status"], &record["outcome"]),
        (&json!(1), &json!("pr-ready"), &json!("success"))
    );
    assert_eq!(house.owners_view(), before);

    // The branch has what the model wrote, in a commit of the agent's own.
    let branch = record["claim"]["branch"].as_str().unwrap();
    assert_eq!(house.git(&["show", &format!("{branch}:cq-lab/issue-1.md")]), "Attempt 1 at issue 1.");
    assert_eq!(
        house.git(&["log", "--format=%s|%an", &format!("main..{branch}")]),
        "Rehearse issue #1|cq agent"
    );
    let pulls = house.lab.pulls();
    assert_eq!((pulls.len(), pulls[0]["head"]["ref"].as_str()), (1, Some(branch)));
    assert!(
        pulls[0]["body"].as_str().unwrap().contains("Done: issue #1 is rehearsed and committed."),
        "{}",
        pulls[0]
    );

    // The record has what the client reported, the log what a person wants to read.
    let run = &record["run"];
    assert_eq!((&run["exit"], &run["turns"], &run["commits"]), (&json!(0), &json!(3), &json!(1)), "{run}");
    assert!(run["cost_usd"].as_f64().unwrap() > 0.0, "{run}");
    assert!(
        run["tokens"]["output"].as_u64().unwrap() > 0 && run["tokens"]["cache_read"].as_u64().unwrap() > 0,
        "{run}"
    );
    assert_eq!(run["limits"]["memory_bytes"], MEMORY_MEGABYTES << 20, "{run}");
    assert_ne!(run["limits"]["mechanism"], "none", "{run}");
    let log = house.log(1);
    for said in [
        "session started, model claude-",
        "I will write a line about issue #1.",
        "> Write /",
        "> Bash git add -A",
        "done: Done: issue #1",
    ] {
        assert!(log.contains(said), "'{said}' is not in: {log}");
    }
    assert!(!log.contains(&key()), "{log}");

    // What was asked: three times, of one session, the one that cq chose; the text is in it.
    let requests = place.model.requests();
    assert!(requests.iter().all(|request| request["status"] == 200), "{requests:?}");
    assert_eq!(requests.len(), 3);
    let sessions: BTreeSet<String> = requests.iter().map(session_of).collect();
    assert_eq!(sessions.into_iter().collect::<Vec<_>>(), [run["session_id"].as_str().unwrap()]);
    assert!(conversation_of(&requests[0]).contains("Do the first thing."));

    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    assert_eq!(House::processes_with(&claim), Vec::<i32>::new());
    tell(&format!(
        "issue to pull request: {} turns, ${:.4}, {:.1} s",
        run["turns"],
        run["cost_usd"].as_f64().unwrap(),
        ran.took.as_secs_f64()
    ));
}

#[test]
fn several_at_once_share_a_home() {
    let Some(place) = Place::new("several_at_once_share_a_home", &Plan::default(), &json!({})) else {
        return;
    };
    let ran = place.shell("cq-fetch | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    let mut numbers = ran.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(place.house.lab.pulls().len(), 3);
    for record in ran.records() {
        assert_eq!((&record["outcome"], &record["run"]["turns"]), (&json!("success"), &json!(3)));
        let (number, session) = (&record["number"], record["run"]["session_id"].as_str().unwrap());
        let branch = record["claim"]["branch"].as_str().unwrap();
        let file = format!("{branch}:cq-lab/issue-{number}.md");
        assert_eq!(place.house.git(&["show", &file]), format!("Attempt 1 at issue {number}."));
        // No session hears of another's issue.
        let requests = place.model.requests();
        let mine: Vec<String> =
            requests.iter().filter(|one| session_of(one) == session).map(conversation_of).collect();
        assert_eq!(mine.len(), 3);
        for other in (1..=3).filter(|other| *other != number.as_u64().unwrap()) {
            assert!(mine.iter().all(|said| !said.contains(&format!("GitHub issue #{other} of"))), "{mine:?}");
        }
    }
    tell(&format!("three at once in one home: {:.1} s", ran.took.as_secs_f64()));
}

#[test]
fn in_a_sandbox_it_works_as_well() {
    let test = "in_a_sandbox_it_works_as_well";
    let Some(place) = Place::sandboxed(test, &Plan::default(), &json!({})) else { return };
    let ran = place.shell("cq-fetch | cq-claim --max 1 | cq-spawn --wait | cq-gate | cq-pr").run();
    let record = place.house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("pr-ready"), &json!("success")), "{record}");
    let run = &record["run"];
    assert_eq!((&run["sandbox"], &run["turns"]), (&json!("bubblewrap"), &json!(3)), "{run}");
    let branch = record["claim"]["branch"].as_str().unwrap();
    assert_eq!(place.house.git(&["show", &format!("{branch}:cq-lab/issue-1.md")]), "Attempt 1 at issue 1.");
    assert_eq!(place.house.lab.pulls().len(), 1);
    tell(&format!("issue to pull request in a sandbox: {:.1} s", ran.took.as_secs_f64()));
}
