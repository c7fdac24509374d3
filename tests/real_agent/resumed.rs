//! Killed in the middle of a turn.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::place::{LATER, MEMORY_MEGABYTES, Place, conversation_of, session_of, tell};
use crate::support::house::{House, Plan};
use crate::support::wait::{until, until_ended};

const FIRST: &str = "I begin with a file for issue #1.";

/// What the client answers to the model's first tool.
const WRITTEN: &str = "File created successfully";

/// The first run writes a file, and the model falls silent in the middle of its second answer; the next one commits
/// what is there.
fn silent() -> Value {
    broken_off_by(&json!([{"say": "Let me think about"}, {"hang": true}]))
}

fn broken_off_by(second_answer: &Value) -> Value {
    let write =
        json!({"name": "Write", "input": {"file_path": "{directory}/begun.txt", "content": "begun\n"}});
    let command = "git add -A && git commit -m 'Finish #{issue}'";
    let commit = json!({"name": "Bash", "input": {"command": command, "description": "Commit"}});
    json!({"default": {
        "1": [[{"say": FIRST}, {"tool": write}], second_answer],
        "2": [[{"say": "Where was I?"}, {"tool": commit}], [{"say": "Done: finished after all."}]],
    }})
}

/// An agent whose model has fallen silent; what the record says of it, and its claim's marker.
fn in_the_middle(place: Place) -> (Place, Value, String) {
    place.house.claim(1);
    place.cq("spawn").args(["1"]).run().quietly();
    // The second question has come, and the start of its answer has been read.
    until("the model's silence", || (place.model.requests().len() >= 2).then_some(()));
    until("the agent's file", || place.house.workspace(1).join("widgets/begun.txt").exists().then_some(()));
    until("the agent's words", || place.house.log(1).contains(FIRST).then_some(()));
    let record = place.house.record(1);
    assert_eq!(record["status"], "in-progress");
    // The client writes its transcript behind its own back: killed before, it resumes without the tool's result.
    let session = record["run"]["session_id"].as_str().unwrap();
    let home = place.home_of(&record);
    until("the client's transcript", || transcript(&home, session)?.contains(WRITTEN).then_some(()));
    let claim = format!("CQ_CLAIM={}", record["claim"]["token"].as_str().unwrap());
    assert!(!House::processes_with(&claim).is_empty());
    (place, record, claim)
}

/// What the client keeps of a session; none where it keeps nothing yet.
fn transcript(home: &Path, session: &str) -> Option<String> {
    let projects = fs::read_dir(home.join(".claude/projects")).ok()?.flatten();
    let mut files = projects.map(|project| project.path().join(format!("{session}.jsonl")));
    files.find_map(|file| fs::read_to_string(file).ok())
}

fn kill(pid: &Value) {
    let pid = Pid::from_raw(pid.as_i64().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// SIGKILL to the agent: its supervisor sees it.
fn agent_killed(place: Place) -> (Place, Value) {
    let (place, record, claim) = in_the_middle(place);
    kill(&record["run"]["pid"]);
    until("the end of the attempt", || (place.house.status(1) == "queued").then_some(()));
    // It holds the instance for a moment more; cq-monitor passes over who is at work.
    until_ended(&record["run"]["supervisor"]["pid"].to_string());
    assert_eq!(House::processes_with(&claim), Vec::<i32>::new(), "something is left of the run");
    let ended = place.house.record(1);
    assert_eq!((&ended["outcome"], &ended["claim"]["attempt"]), (&json!("crashed"), &json!(2)), "{ended}");
    assert_eq!(ended["run"]["exit"], 137);
    (place, record)
}

/// SIGKILL to the supervisor: the agent lives on, until cq-monitor comes by.
fn supervisor_killed(place: Place) -> (Place, Value) {
    let (place, record, claim) = in_the_middle(place);
    let pid = &record["run"]["supervisor"]["pid"];
    kill(pid);
    until_ended(&pid.to_string());
    place.cq("monitor").run().good();
    assert_eq!(House::processes_with(&claim), Vec::<i32>::new(), "something is left of the run");
    let ended = place.house.record(1);
    assert_eq!((&ended["status"], &ended["outcome"]), (&json!("queued"), &json!("crashed")), "{ended}");
    (place, record)
}

/// The next attempt: it finishes what was begun. Gives its record and the questions of the model's that it asked.
fn finished(place: &Place) -> (Value, Vec<Value>) {
    let known = place.model.requests().len();
    place.shell("cq-monitor | cq-spawn --wait").at(LATER).run().good();
    let record = place.house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("testing"), &json!("success")), "{record}");
    place.shell("cq-gate 1 | cq-pr").run().quietly();
    let branch = record["claim"]["branch"].as_str().unwrap();
    assert_eq!(place.house.git(&["show", &format!("{branch}:begun.txt")]), "begun");
    assert_eq!(place.house.git(&["log", "-1", "--format=%s", branch]), "Finish #1");
    assert_eq!(place.house.lab.pulls().len(), 1);
    (record, place.model.requests().split_off(known))
}

/// The next attempt went on with the first one's session.
fn in_the_same_session(first: &Value, record: &Value, asked: &[Value]) {
    let session = &first["run"]["session_id"];
    assert_eq!(&record["run"]["session_id"], session, "another session: {}", record["run"]);
    assert_eq!(record["run"]["resumed"], true, "{}", record["run"]);
    for request in asked {
        assert_eq!(request["status"], 200, "{request}");
        assert_eq!(&json!(session_of(request)), session);
        let said = conversation_of(request);
        assert!(said.contains("Do the first thing."), "the first prompt is not in it: {said}");
        assert!(said.contains(FIRST), "the first answer is not in it: {said}");
        assert!(said.contains(WRITTEN), "the tool's result is not in it: {said}");
    }
    assert_eq!(asked.len(), 2);
}

/// Where the model falls silent in the first attempt.
fn place(test: &str) -> Option<Place> {
    Place::new(test, &Plan::default(), &silent())
}

#[test]
fn a_killed_agent_is_resumed_in_the_same_session() {
    let Some(place) = place("a_killed_agent_is_resumed_in_the_same_session") else { return };
    let (place, first) = agent_killed(place);
    let (record, asked) = finished(&place);
    in_the_same_session(&first, &record, &asked);
    tell(&format!("killed in a turn and resumed in the same session: {} turns", record["run"]["turns"]));
}

#[test]
fn a_run_that_lost_its_supervisor_is_resumed_in_the_same_session() {
    let Some(place) = place("a_run_that_lost_its_supervisor_is_resumed_in_the_same_session") else { return };
    let (place, first) = supervisor_killed(place);
    let (record, asked) = finished(&place);
    in_the_same_session(&first, &record, &asked);
    tell(&format!("supervisor killed, resumed in the same session: {} turns", record["run"]["turns"]));
}

/// What it keeps of a session, it keeps in a home of its own.
#[test]
fn a_killed_agent_is_resumed_in_its_sandbox() {
    let test = "a_killed_agent_is_resumed_in_its_sandbox";
    let Some(place) = Place::sandboxed(test, &Plan::default(), &silent()) else { return };
    let (place, first) = agent_killed(place);
    let (record, asked) = finished(&place);
    for run in [&first["run"], &record["run"]] {
        assert_eq!(run["sandbox"], "bubblewrap", "{run}");
        assert_eq!(run["limits"]["memory_bytes"], MEMORY_MEGABYTES << 20, "{run}");
    }
    in_the_same_session(&first, &record, &asked);
    assert!(transcript(&place.house.place("home"), first["run"]["session_id"].as_str().unwrap()).is_none());
    tell(&format!("killed and resumed in a sandbox: {} turns", record["run"]["turns"]));
}

/// Without a form for resuming, the next attempt finds the files, and no session.
#[test]
fn where_no_session_can_go_on_the_files_do() {
    let Some(place) = place("where_no_session_can_go_on_the_files_do") else { return };
    let begin =
        ["claude", "-p", "--output-format", "stream-json", "--verbose", "--session-id", "{session_id}"];
    place.house.configure(|config| {
        let tools = ["Bash(git add:*)", "Bash(git commit:*)"];
        let agent = &mut config["agents"]["claude"];
        (agent["command"], agent["allowedTools"]) = (json!(begin), json!(tools));
        agent["permissionMode"] = json!("acceptEdits");
    });
    let (place, first) = agent_killed(place);
    let (record, asked) = finished(&place);
    assert_ne!(record["run"]["session_id"], first["run"]["session_id"]);
    assert_eq!(record["run"]["resumed"], Value::Null);
    assert!(!conversation_of(&asked[0]).contains(FIRST), "another session knows nothing of it");
}

/// A usage limit in the middle: everybody rests, and then the same session goes on, in the same attempt.
#[test]
fn after_a_usage_limit_the_same_session_goes_on() {
    let test = "after_a_usage_limit_the_same_session_goes_on";
    let limit = json!([{"status": {"code": 429, "message": "This request would exceed your account's rate limit.",
                                   "headers": {"retry-after": "3600"}}}]);
    let Some(place) = Place::new(test, &Plan::default(), &broken_off_by(&limit)) else { return };
    // Left to itself the client tries for three minutes.
    place.house.configure(|config| {
        config["agents"]["claude"]["envSet"]["CLAUDE_CODE_MAX_RETRIES"] = json!("0");
    });
    place.house.claim(1);
    place.cq("spawn").args(["--wait", "1"]).run().good();
    let first = place.house.record(1);
    assert_eq!((&first["status"], &first["outcome"]), (&json!("queued"), &json!("usage-limit")), "{first}");
    let known = place.model.requests().len();
    place.cq("spawn").args(["1"]).run();
    assert_eq!((place.model.requests().len(), place.house.record(1)), (known, first.clone()), "it rests");

    let (record, asked) = finished(&place);
    in_the_same_session(&first, &record, &asked);
    assert_eq!(record["claim"]["attempt"], 1, "the limit did not count");
    tell(&format!("usage limit, resumed in the same session: {} turns", record["run"]["turns"]));
}
