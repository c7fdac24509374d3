//! A repository's issues read whole, and again when something has changed: how many requests it takes, and that none is
//! lost while others come and go.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::{House, Plan};

/// Issues and pull requests, every tenth one of these; every fiftieth issue is ready.
fn crowd(count: u64, cursors: bool) -> House {
    let item = |number: u64| match number % 50 {
        0 => json!({"number": number, "pull_request": true}),
        10 | 20 | 30 | 40 => json!({"number": number, "pull_request": true, "labels": ["claude-ready"]}),
        1 => json!({"number": number, "labels": ["claude-ready"]}),
        _ => json!({"number": number}),
    };
    let issues: Vec<Value> = (1..=count).map(item).collect();
    let seed = json!({"widgets": {"cursor_pagination": cursors}});
    let house = House::new(&Plan { issues: json!(issues), seed, ..Plan::default() });
    house.configure(|config| config["github"]["timeoutSeconds"] = json!(20));
    house
}

/// The paths of the requests since the last call, without the server's bookkeeping.
fn asked(house: &House) -> Vec<(String, u64)> {
    let requests = house.lab.state()["requests"].clone();
    house.lab.call("DELETE", "/_lab/requests", &json!(null));
    let line = |request: &Value| {
        let target = request["target"].as_str().unwrap().to_owned();
        (format!("{} {target}", request["method"].as_str().unwrap()), request["status"].as_u64().unwrap())
    };
    requests.as_array().unwrap().iter().map(line).collect()
}

fn lists(asked: &[(String, u64)]) -> usize {
    asked.iter().filter(|(target, _)| target.contains("/issues?")).count()
}

#[test]
fn a_long_list_costs_a_request_a_page_and_later_one_in_all() {
    for (cursors, most) in [(false, 18), (true, 21)] {
        let house = crowd(1500, cursors);
        asked(&house);
        let found = house.cq("fetch").args(["--all"]).run().quietly().numbers();
        let issues: Vec<u64> = (1..=1500).filter(|number| number % 10 != 0).collect();
        assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), issues.iter().copied().collect());
        assert_eq!(found.len(), issues.len(), "each once");
        let first = asked(&house);
        // 15 pages, two of the list of those that are ready, and what has changed meanwhile; two ways that meet by
        // cursor cost a page or two more, each list.
        assert!(lists(&first) <= most, "{cursors}: {} {first:#?}", lists(&first));
        let queries = first.iter().filter(|(target, _)| target.contains("/graphql")).count();
        assert_eq!(queries, 1, "30 issues' details in one request");

        assert_eq!(house.cq("fetch").args(["--all"]).run().quietly().numbers(), found);
        let second = asked(&house);
        assert_eq!(second.iter().map(|(_, status)| *status).collect::<Vec<_>>(), [304], "{second:#?}");
    }
}

#[test]
fn what_changes_costs_what_has_changed() {
    let house = crowd(120, false);
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 51, 101]);
    asked(&house);
    house.lab.act("acme", 7, &json!({"label": "claude-ready"}));
    house.lab.act("acme", 51, &json!({"unlabel": "claude-ready"}));
    house.lab.act("acme", 101, &json!({"close": null}));
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 7]);
    let seen = asked(&house);
    assert_eq!((seen.len(), lists(&seen)), (2, 1), "the changes, the details of one: {seen:#?}");
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 7]);
    assert_eq!(asked(&house).iter().map(|(_, status)| *status).collect::<Vec<_>>(), [304]);
    // Without its cache it reads all again.
    house.forget_github();
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 7]);
}

/// Issues are opened, closed and reopened all the while: those that nobody touches are all there, each once.
#[test]
fn nothing_is_lost_or_doubled_while_issues_come_and_go() {
    for cursors in [false, true] {
        let house = crowd(1500, cursors);
        house.lab.break_with(&json!([
            {"path": "/repositories/*/issues", "pass": true, "delay_ms": 40, "times": 10_000},
            {"path": "/repos/*/*/issues", "pass": true, "delay_ms": 40, "times": 10_000},
        ]));
        let over = AtomicBool::new(false);
        // Numbers that end in 7 are closed and reopened; nobody touches the others.
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let number = (round * 130 + 7) % 1500;
                    let deed = if round % 3 == 2 { json!("reopen") } else { json!({"close": null}) };
                    house.lab.act("acme", number, &deed);
                    house.lab.act("acme", 0, &json!({"open": {"title": "One more"}}));
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            });
            let found = house.cq("fetch").args(["--all"]).run().quietly().numbers();
            over.store(true, Ordering::SeqCst);
            found
        });
        let set: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(set.len(), found.len(), "each once");
        let untouched = (1..=1500u64).filter(|number| number % 10 != 0 && number % 10 != 7);
        let lost: Vec<u64> = untouched.filter(|number| !set.contains(number)).collect();
        assert!(lost.is_empty(), "cursors {cursors}: lost {lost:?}");
        let later: BTreeSet<u64> =
            house.cq("fetch").args(["--all"]).run().quietly().numbers().into_iter().collect();
        let state = house.lab.repository();
        let open = state["issues"].as_array().unwrap().iter().filter(|issue| issue["state"] == "open");
        let open: BTreeSet<u64> = open.map(|issue| issue["number"].as_u64().unwrap()).collect();
        assert_eq!(later, open, "and the next look knows exactly who is open");
    }
}
