//! What became of the issues: a history of which every number is known, through the whole line.

use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

/// #1 comes through at once, #2 at the second attempt (its first tree is red), #3 fails for good, #4 is given back and
/// claimed again.
fn history() -> House {
    let issues = json!([
        {"number": 1, "title": "=HYPERLINK(\"https://e.example\",\"see\")", "labels": ["claude-ready", "bug"]},
        {"number": 2, "title": "Two, \"quoted\"", "labels": ["claude-ready", "bug"]},
        {"number": 3, "title": "Three", "labels": ["claude-ready"]},
        {"number": 4, "title": "Four", "labels": ["claude-ready"]},
    ]);
    let good = json!([{"write": {"path": "good", "content": "x"}}, {"commit": "Do it"}]);
    let script = json!({"default": good, "issues": {
        "2": {"1": [{"write": {"path": "bad", "content": "x"}}, {"commit": "Do it badly"}], "2": good},
        "3": [{"say": "I see nothing to do."}],
    }});
    let gates = json!([{"name": "good", "command": ["sh", "-c", "test -e good || test ! -e bad"]}]);
    let house = House::new(&Plan { issues, script, gates, ..Plan::default() });
    house.configure(|config| config["agents"]["claude"]["model"] = json!("model-x"));
    let at = |time: &str, line: &str| house.shell(line).at(&format!("2026-01-05T{time}Z")).run();
    at("10:00:00", "cq-claim 1 2 3 4").good();
    at("10:01:00", "cq-spawn --wait 1 2 3").good();
    at("10:03:00", "cq-gate 1 2").ends(1, "issue #2: checks failed");
    at("10:04:00", "cq-pr 1").quietly();
    at("10:06:00", "cq-claim --release 4").ends(0, "issue #4 is released");
    at("10:10:00", "cq-spawn --wait 2").quietly();
    at("10:11:00", "cq-gate 2 | cq-pr").quietly();
    house.lab.merge(house.record(1)["pull_request"]["number"].as_u64().unwrap());
    at("10:34:00", "cq-pr --sync").quietly();
    // A week later.
    house.lab.merge(house.record(2)["pull_request"]["number"].as_u64().unwrap());
    let later = "2026-01-12T10:11:00Z";
    house.cq("pr").args(["--sync"]).at(later).run().quietly();
    house.shell("cq-claim 4").at("2026-01-12T10:00:00Z").run().quietly();
    house
}

fn report(house: &House, args: &[&str]) -> Vec<Value> {
    house.cq("report").args(args).at("2026-01-12T11:00:00Z").run().quietly().records()
}

fn fields<'v>(row: &'v Value, names: &[&str]) -> Vec<&'v Value> {
    names.iter().map(|name| &row[*name]).collect()
}

#[test]
fn the_numbers_are_those_of_the_history() {
    let house = history();
    // What the scripted agent says that its runs cost: by turns, of which #2 took as many again.
    let spent = |number: u64| house.record(number)["spent_usd"].as_f64().unwrap();
    let costs = [spent(1), spent(2), spent(3)];
    assert!(costs[0] > 0.0 && (costs[1] - 2.0 * costs[0]).abs() < 1e-9, "{costs:?}");
    let before = report(&house, &[]);
    let told: Vec<Vec<&Value>> = before
        .iter()
        .map(|row| {
            fields(row, &["issue", "status", "attempts", "runs", "first_pass", "week", "agent", "model"])
        })
        .collect();
    let (one, two) = (json!(1), json!(2));
    let (yes, no, none) = (json!(true), json!(false), Value::Null);
    let weeks = [json!("2026-W02"), json!("2026-W03")];
    let (claude, model) = (json!("claude"), json!("model-x"));
    let said = json!(before[0]["model"]);
    assert_ne!(said, model, "the agent knows better which model it has");
    let statuses = [json!("completed"), json!("failed"), json!("queued")];
    assert_eq!(
        told,
        [
            vec![&one, &statuses[0], &one, &one, &yes, &weeks[0], &claude, &said],
            vec![&two, &statuses[0], &two, &two, &no, &weeks[1], &claude, &said],
            vec![&json!(3), &statuses[1], &one, &one, &no, &weeks[0], &claude, &said],
            vec![&json!(4), &statuses[2], &json!(0), &json!(0), &none, &weeks[1], &none, &none],
        ]
    );
    let week = 7 * 86_400;
    let seconds = |queued: i64, testing: i64, ready: i64| json!({"queued": queued, "in-progress": 0, "testing": testing, "pr-ready": ready, "completed": 0});
    assert_eq!(before[0]["seconds"], seconds(60, 180, 1800));
    // A minute until the first attempt, seven minutes until the second; two minutes and one of checks.
    assert_eq!(before[1]["seconds"], seconds(60 + 420, 120 + 60, week));
    assert_eq!(before[2]["seconds"], json!({"queued": 60, "in-progress": 0, "failed": 0}));
    assert_eq!(
        before[3]["seconds"],
        json!({"queued": 3600}),
        "claimed anew; of the first claim nothing is known"
    );
    let gates = |row: usize| fields(&before[row]["gates"], &["passed", "failed"]);
    assert_eq!((gates(0), gates(1)), (vec![&one, &json!(0)], vec![&one, &one]));
    assert_eq!(before[1]["gates"]["last"][0]["name"], "good");
    assert_eq!(before[1]["setbacks"], json!({"gate-failed": 1}));
    assert_eq!(before[2]["setbacks"], json!({"no-change": 1}));
    let times = |row: usize| fields(&before[row], &["to_pull_request_seconds", "to_merge_seconds"]);
    assert_eq!(
        (times(0), times(1)),
        (vec![&json!(240), &json!(2040)], vec![&json!(660), &json!(week + 660)])
    );

    // In the archive or not, it is the same past.
    house.cq("cleanup").args(["--all"]).at("2026-01-12T10:30:00Z").run().good();
    assert!(house.state_dir().join("archive/1.1.json").exists() && house.status(1).is_empty());
    assert_eq!(report(&house, &[]), before);
    groups(&house, costs.iter().sum());
    spreadsheets(&house);
}

/// Totals and rates of that history.
fn groups(house: &House, cost: f64) {
    let by = |what: &str| report(house, &["--by", what]);
    let names = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|row| row["group"].as_str().unwrap().to_owned()).collect()
    };
    let labels = by("label");
    assert_eq!(names(&labels), ["bug", "claude-ready", "total"]);
    let counts =
        ["issues", "merged", "failed", "open", "attempts", "gates_failed", "success_rate", "first_pass_rate"];
    let told = |row: &Value| json!(fields(row, &counts));
    assert_eq!(told(&labels[0]), json!([2, 2, 0, 0, 3, 1, 1.0, 0.5]));
    assert_eq!(told(&labels[1]), json!([4, 2, 1, 1, 4, 1, 0.6667, 0.3333]));
    assert_eq!(labels[1]["group"], "claude-ready");
    let total = labels.last().unwrap();
    assert_eq!(told(total), told(&labels[1]));
    assert_eq!(total["to_pull_request_seconds"], json!({"median": 450.0, "p90": 618.0}));
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-3;
    assert!(close(&total["cost_usd"], cost), "{total}");
    assert!(close(&total["cost_per_merged_usd"], cost / 2.0), "{total}");
    let weeks = by("week");
    assert_eq!(names(&weeks), ["2026-W02", "2026-W03", "total"]);
    assert_eq!(told(&weeks[0]), json!([2, 1, 1, 0, 2, 0, 0.5, 0.5]));
    assert_eq!(names(&by("agent")), ["(none)", "claude", "total"]);
    assert_eq!(by("model")[1]["issues"], 3);
    let recent = report(house, &["--by", "week", "--since", "2d"]);
    assert_eq!(
        (names(&recent), &recent[0]["issues"]),
        (vec!["2026-W03".to_owned(), "total".to_owned()], &json!(2))
    );
    house.cq("report").args(["--since", "soon"]).run().ends(2, "--since 'soon' is neither a time nor a span");
}

/// Issues' titles are anybody's, and reach a spreadsheet as text.
fn spreadsheets(house: &House) {
    let csv = |args: &[&str]| {
        house
            .cq("report")
            .args(["--format", "csv"])
            .args(args)
            .at("2026-01-12T11:00:00Z")
            .run()
            .quietly()
            .stdout
    };
    let text = csv(&[]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let column = |name: &str| -> Vec<&str> { rows.iter().map(|row| &row[place(name)]).collect() };
    assert_eq!(column("issue"), ["1", "2", "3", "4"]);
    let titles = ["'=HYPERLINK(\"https://e.example\",\"see\")", "Two, \"quoted\"", "Three", "Four"];
    assert_eq!(column("title"), titles);
    assert_eq!(column("in_progress_seconds"), ["0", "0", "0", ""]);
    assert_eq!(column("setbacks"), ["", "gate-failed 1", "no-change 1", ""]);
    assert_eq!(column("labels")[0], "claude-ready; bug");
    let groups = csv(&["--by", "label"]);
    assert!(groups.starts_with("by,group,issues,merged,"), "{groups}");
    assert!(groups.contains("\nlabel,bug,2,2,0,0,0,3,3,"), "{groups}");
    assert!(groups.lines().last().unwrap().starts_with(",total,4,2,1,0,1,4,4,"), "{groups}");
    let status = house.cq("status").args(["--format", "csv"]).run().quietly().stdout;
    assert!(status.starts_with("INSTANCE,ISSUE,STATUS,TRY,") && status.lines().count() == 3, "{status}");
    let table = house.cq("report").args(["--format", "table"]).at("2026-01-12T11:00:00Z").run();
    let table = table.ends(0, "4 issues: 2 merged, 1 failed, 1 open; success 67 %, first pass 33 %");
    assert!(table.stdout.contains("#2     completed  2      claude"), "{}", table.stdout);
}

/// What cannot be read is named, and costs nobody else their line.
#[test]
fn a_record_that_cannot_be_read_is_named() {
    let house = House::usual();
    assert_eq!(house.cq("report").run().quietly().stdout, "", "nothing was ever claimed");
    house.claim(2);
    house.claim(3);
    house.cq("claim").args(["--release", "2"]).run().good();
    let archived = house.state_dir().join("archive");
    fs::write(archived.join("7.1.json"), "{\"cq\":1}").unwrap();
    let ran = house.cq("report").run().ends(1, "archive/7.1.json': missing field");
    let issues: Vec<(u64, String)> = ran
        .records()
        .iter()
        .map(|row| (row["issue"].as_u64().unwrap(), row["status"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(issues, [(2, "released".to_owned()), (3, "queued".to_owned())]);
}

/// Fills the archive with merged issues, each with a body of so many bytes, and the feed with what it tells of them.
fn fill(house: &House, count: u64, body: usize) {
    let step = |at: &str, from: Value, to: &str| json!({"at": at, "from": from, "to": to, "by": "cq-x"});
    let record = json!({
        "cq": 1, "repo": "acme/widgets", "number": 1, "issue": {"title": "t", "body": "b".repeat(body), "labels": ["bug"]},
        "status": "completed", "spent_usd": 0.5, "run": {"agent": "claude"},
        "history": [
            step("2026-01-05T10:00:00Z", Value::Null, "queued"),
            step("2026-01-05T10:01:00Z", json!("queued"), "in-progress"),
            step("2026-01-05T10:11:00Z", json!("in-progress"), "testing"),
            step("2026-01-05T10:12:00Z", json!("testing"), "pr-ready"),
            step("2026-01-05T11:00:00Z", json!("pr-ready"), "completed"),
        ],
    });
    let archive = house.state_dir().join("archive");
    let mut feed = String::new();
    for number in 1..=count {
        // Links: what is read is the same, and a file may have 65,000 of them at most.
        let source = archive.join(format!("{}.1.json", 1 + (number - 1) / 50_000 * 50_000));
        if (number - 1) % 50_000 == 0 {
            fs::write(&source, record.to_string()).unwrap();
        } else {
            fs::hard_link(&source, archive.join(format!("{number}.1.json"))).unwrap();
        }
        for (from, to) in [("in-progress", "testing"), ("testing", "pr-ready"), ("pr-ready", "completed")] {
            let event = json!({"at": "2026-01-05T10:11:00Z", "command": "cq-x", "event": "transition", "issue": number,
                "from": from, "to": to, "outcome": "success", "why": "because of this and that"});
            feed += &event.to_string();
            feed.push('\n');
        }
    }
    fs::write(house.state_dir().join("events.jsonl"), feed).unwrap();
}

/// An archive of many times the memory there is, and with `CQ_TEST_LONG=1` one of 100,000 issues.
#[test]
fn an_archive_of_any_size_takes_little_memory() {
    let measured = |count: u64, body: usize, kilobytes: u64| {
        let house = House::usual();
        // Makes the state directory.
        house.claim(1);
        house.cq("claim").args(["--release", "1"]).run().good();
        fill(&house, count, body);
        // Of addresses, which is more than what is used.
        let ran = house.shell(&format!("ulimit -v {kilobytes} && exec cq-report --by label")).run().quietly();
        println!("{count} archived issues of {body} bytes: {} ms", ran.took.as_millis());
        let total = ran.records().pop().unwrap();
        let told = fields(&total, &["issues", "merged", "cost_usd", "to_merge_seconds"]);
        let cost = f64::from(u32::try_from(count).unwrap()) / 2.0;
        assert_eq!(json!(told), json!([count, count, cost, {"median": 3600.0, "p90": 3600.0}]));
    };
    measured(2000, 100_000, 60_000);
    if std::env::var_os("CQ_TEST_LONG").is_some() {
        measured(100_000, 4000, 100_000);
    }
}
