//! What a run may cost: the client is told, and ends by itself.

use serde_json::json;

use crate::place::{LATER, Place, tell};
use crate::support::house::Plan;

#[test]
fn a_client_ends_by_itself_when_its_run_has_cost_enough() {
    let test = "a_client_ends_by_itself_when_its_run_has_cost_enough";
    let Some(place) = Place::new(test, &Plan::default(), &json!({})) else { return };
    place.house.configure(|config| config["budget"] = json!({"perRunUsd": 0.0001}));
    place.house.claim(1);
    place.cq("spawn").args(["--wait", "1"]).run().good();
    let record = place.house.record(1);
    assert_eq!(
        (&record["status"], &record["outcome"]),
        (&json!("failed"), &json!("over-budget")),
        "{record}"
    );
    // cq learns of costs at the end only: it was the client that asked no second time.
    assert_eq!(place.model.requests().len(), 1, "{record}");
    let summary = record["run"]["summary"].as_str().unwrap();
    assert!(summary.contains("Reached maximum budget ($0.0001)"), "{record}");
    assert!(record["run"]["cost_usd"].as_f64().unwrap() > 0.0001, "{record}");
}

/// In a session that goes on, the client counts what the session had cost before: cq's cap is for the run.
#[test]
fn what_a_session_cost_before_is_not_the_next_runs() {
    let test = "what_a_session_cost_before_is_not_the_next_runs";
    let write =
        json!({"name": "Write", "input": {"file_path": "{directory}/{attempt}.txt", "content": "x\n"}});
    let commit = json!({"name": "Bash", "input": {
        "command": "git add -A && git commit -m 'Try {attempt}'", "description": "Commit",
    }});
    let answers = json!({"default": [[{"tool": write}], [{"tool": commit}], [{"say": "Done."}]]});
    let gates = json!([{"name": "second", "command": ["sh", "-c", "test ! -e 1.txt || test -e 2.txt"]}]);
    let Some(place) = Place::new(test, &Plan { gates, ..Plan::default() }, &answers) else { return };
    place.house.claim(1);
    place.shell("cq-spawn --wait 1 | cq-gate").run();
    let first = place.house.record(1);
    assert_eq!(first["outcome"], "gate-failed", "{first}");
    let cost = first["run"]["cost_usd"].as_f64().unwrap();
    // Less than the session has cost already.
    place.house.configure(|config| config["budget"] = json!({"perRunUsd": cost * 0.9}));
    place.shell("cq-spawn --wait 1").at(LATER).run().good();
    let second = place.house.record(1);
    assert_eq!((&second["status"], &second["outcome"]), (&json!("testing"), &json!("success")), "{second}");
    assert_eq!(second["run"]["session_id"], first["run"]["session_id"]);
    let (run, session) = (&second["run"]["cost_usd"], &second["run"]["session_cost_usd"]);
    let (run, session) = (run.as_f64().unwrap(), session.as_f64().unwrap());
    assert!(run < cost * 0.9 && (session - cost - run).abs() < 1e-6, "{cost} {}", second["run"]);
    tell(&format!("resumed after a red check: ${cost:.4}, then ${run:.4}"));
}
