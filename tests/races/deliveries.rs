//! A cq-pr that is killed at any moment, or loses the answer to any of its requests: run again, and there is one of
//! everything.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dice;
use crate::support::house::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

/// A house with as many issues as are wanted, each checked and ready for cq-pr.
pub(crate) struct Press {
    pub(crate) house: House,
    checked: Value,
}

impl Press {
    pub(crate) fn new(issues: u64) -> Self {
        let issue = |number: u64| json!({"number": number, "title": format!("Issue {number}"), "labels": ["claude-ready"]});
        let issues: Vec<Value> = (1..=issues).map(issue).collect();
        Self::in_house(House::new(&Plan { issues: json!(issues), ..Plan::default() }))
    }

    /// Another machine with the same issues.
    pub(crate) fn beside(&self) -> Self {
        Self::in_house(self.house.beside(&Plan::default()))
    }

    fn in_house(house: House) -> Self {
        house.configure(|config| {
            config["pullRequest"] = json!({"labels": ["by-cq", "agent"], "assignees": ["mia"]});
            config["queue"]["maxConcurrentIssues"] = json!(10_000);
        });
        house.lab.act("mia", 0, &json!({"set_permission": {"user": "mia", "permission": "write"}}));
        house.work(1).good();
        let checked = house.cq("gate").args(["1"]).run().good().record();
        fs::remove_file(house.state_dir().join("records/1.json")).unwrap();
        Self { house, checked }
    }

    /// Puts an issue where cq-gate leaves it; gives its branch.
    fn ready(&self, number: u64) -> String {
        self.ready_since(number, "20260131093000", &format!("token-{number}"))
    }

    /// The same of a claim that was made at this moment, with this token.
    pub(crate) fn ready_since(&self, number: u64, stamp: &str, token: &str) -> String {
        let branch = format!("claude/issue-{number}-{stamp}");
        let mut record = self.checked.clone();
        let head = record["run"]["head_sha"].as_str().unwrap().to_owned();
        self.house.git(&["update-ref", &format!("refs/heads/{branch}"), &head]);
        record["number"] = json!(number);
        record["claim"]["token"] = json!(token);
        record["claim"]["instance"] = json!(format!("claude-instance-{}", 100 + number));
        record["claim"]["branch"] = json!(branch);
        fs::write(self.house.state_dir().join(format!("records/{number}.json")), record.to_string()).unwrap();
        branch
    }

    /// One of everything.
    fn assert_delivered(&self, number: u64, branch: &str, told: &str) {
        let state = self.house.lab.repository();
        let list = |name: &str| state[name].as_array().unwrap().clone();
        let pulls: Vec<Value> =
            list("pulls").into_iter().filter(|one| one["pull"]["head"] == branch).collect();
        assert_eq!(pulls.len(), 1, "{told}: {pulls:#?}");
        assert_eq!(pulls[0]["labels"], json!(["by-cq", "agent"]), "{told}");
        assert_eq!(pulls[0]["assignees"], json!(["mia"]), "{told}");
        let reference = format!("refs/heads/{branch}");
        let pushes = list("pushes").iter().filter(|push| push["reference"] == reference.as_str()).count();
        assert_eq!(pushes, 1, "{told}");
        let issue = list("issues").into_iter().find(|issue| issue["number"] == number).unwrap();
        let comments = issue["comments"].as_array().unwrap();
        assert_eq!(comments.len(), 1, "{told}: {comments:#?}");
        let marker = format!("<!-- cq:pull-request:{} -->", pulls[0]["number"]);
        assert!(comments[0]["body"].as_str().unwrap().contains(&marker), "{told}");
        let record = self.house.record(number);
        assert_eq!(
            (&record["status"], &record["delivery"]["step"]),
            (&json!("pr-ready"), &json!("done")),
            "{told}"
        );
        assert_eq!(record["pull_request"]["number"], pulls[0]["number"], "{told}");
    }

    /// Whoever comes next: a person, or cron.
    fn go_on(&self, number: u64, by_cron: bool) {
        self.house.lab.call("DELETE", "/_lab/faults", &Value::Null);
        // What is known of GitHub's limits; one that was killed early knows nothing.
        let _ = fs::remove_dir_all(self.house.state_dir().join("cache"));
        if by_cron {
            self.house.shell("cq-monitor | cq-gate | cq-pr").at(LATER).run().good();
        } else {
            self.house.cq("pr").args([number.to_string()]).run().good();
        }
        self.house.cq("pr").args([number.to_string()]).run().quietly();
    }
}

/// How the answer to one request is lost.
fn faults(skip: u64) -> [Value; 5] {
    [
        json!({"path": "/", "skip": skip, "after_effect": true}),
        json!({"path": "/", "skip": skip, "after_effect": true, "times": 4}),
        json!({"path": "/", "skip": skip, "after_effect": true, "status": 502, "body": "<html>", "times": 4}),
        json!({"path": "/", "skip": skip, "times": 4}),
        json!({"path": "/", "skip": skip, "after_effect": true, "reset": true, "times": 9}),
    ]
}

/// What became of the interruptions.
#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    killed: u64,
    failed: u64,
    /// How often a delivery stood at each step when it was interrupted.
    steps: BTreeMap<String, u64>,
    /// And when it was killed.
    killed_at: BTreeMap<String, u64>,
}

/// Interrupts deliveries in a house of their own, every other by a kill; `first` is the number of the first turn.
fn interrupt(first: u64, turns: u64, dice: &mut fastrand::Rng, seen: &mut Seen) {
    let press = Press::new(turns + 2);
    // Undisturbed: how long it takes, and how many requests.
    let branch = press.ready(1);
    press.house.lab.call("DELETE", "/_lab/requests", &Value::Null);
    let began = Instant::now();
    press.house.cq("pr").args(["1"]).run().quietly();
    let usual = u64::try_from(began.elapsed().as_micros()).unwrap();
    let requests = press.house.lab.state()["requests"].as_array().unwrap().len() as u64;
    press.assert_delivered(1, &branch, "undisturbed");
    seen.requests = requests;

    for turn in first..first + turns {
        let number = turn - first + 2;
        let branch = press.ready(number);
        let cq = press.house.cq("pr").args([number.to_string()]);
        let killed_before = seen.killed;
        let told = if turn.is_multiple_of(2) {
            let moment = dice.u64(0..usual);
            let mut child = cq.start();
            std::thread::sleep(Duration::from_micros(moment));
            child.kill().unwrap();
            seen.killed += u64::from(child.wait().unwrap().signal() == Some(9));
            format!("turn {turn}: killed after {moment} us")
        } else {
            let (index, round) = ((turn / 2) % requests, (turn / 2) / requests);
            let all = faults(index);
            let fault = &all[usize::try_from(index + round).unwrap() % all.len()];
            press.house.lab.break_with(&json!([fault]));
            let ran = cq.run();
            seen.failed += u64::from(ran.status != 0);
            format!("turn {turn}: {fault} ended with {}: {}", ran.status, ran.stderr)
        };
        let step = press.house.record(number)["delivery"]["step"].to_string();
        if seen.killed > killed_before {
            *seen.killed_at.entry(step.clone()).or_default() += 1;
        }
        *seen.steps.entry(step).or_default() += 1;
        press.go_on(number, turn % 10 == 9 || turn % 10 == 4);
        press.assert_delivered(number, &branch, &told);
    }
}

#[test]
fn interrupted_deliveries_come_to_one_of_everything() {
    // Each house has an hour's worth of requests.
    const TURNS: u64 = 40;
    let is_long = std::env::var_os("CQ_TEST_LONG").is_some();
    let houses = if is_long { 12 } else { 1 };
    let (mut dice, mut seen) = (dice("interrupted deliveries"), Seen::default());
    for house in 0..houses {
        interrupt(house * TURNS, TURNS, &mut dice, &mut seen);
    }
    let turns = houses * TURNS;
    println!("{turns} interrupted: {seen:?}");
    assert!(seen.killed > turns / 8 && seen.failed > turns / 8, "too few were interrupted");
    assert!(seen.steps.len() >= 4, "every step was interrupted");
    if is_long {
        let at = |step: &str| seen.killed_at.get(&format!("\"{step}\"")).copied().unwrap_or_default();
        assert!(seen.killed >= 200, "too few were killed");
        // The moments are drawn: of 204 kills 9 met the shortest step.
        assert!(["push", "open", "dress"].iter().all(|step| at(step) >= 3), "a step was hardly killed at");
    }
}

#[test]
fn deliveries_at_once_make_one() {
    let press = Press::new(5);
    for number in 2..=5 {
        let branch = press.ready(number);
        let children = [0; 3].map(|_| {
            let cq = press.house.cq("pr").args([number.to_string()]);
            cq.start_into(Stdio::null(), Stdio::piped())
        });
        for child in children {
            let ended = child.wait_with_output().unwrap();
            // Or it found another one at it, which is said.
            let words = String::from_utf8_lossy(&ended.stderr);
            let another = ended.status.code() == Some(75) && words.contains("is being worked on by cq-pr");
            assert!(ended.status.success() || another, "{words}");
        }
        press.assert_delivered(number, &branch, "three at once");
    }
}
