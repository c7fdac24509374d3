//! What keeps issues back although a place is free: people who cannot keep up, and files that two would change at once.

use serde_json::{Value, json};

use crate::{House, Plan};

fn explain(house: &House, number: u64) -> String {
    house.cq("status").args(["--explain", &number.to_string()]).run().quietly().stdout
}

fn line(house: &House) {
    house.shell("cq-fetch --limit 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
}

/// As many as people can look at, those on their way included; and on with the next when one is dealt with.
#[test]
fn while_enough_pull_requests_wait_nothing_new_is_claimed() {
    let house = House::usual();
    house.configure(|config| config["queue"]["maxUnreviewed"] = json!(2));
    line(&house);
    let both = house.cq("claim").args(["2", "3"]).run();
    let both = both.ends(0, "1 pull request waits for a person and 1 more is on its way, and queue.maxUnreviewed allows 2; the rest waits");
    assert_eq!(both.numbers(), [2]);
    house.shell("cq-spawn --wait 2 | cq-gate | cq-pr").run().quietly();
    let two = "2 pull requests wait for a person, and queue.maxUnreviewed allows 2";
    let full = format!("cq-claim: {two}; the rest waits\n");
    for command in ["cq-fetch | cq-claim", "cq-claim 3", "cq-claim --dry-run 3"] {
        let ran = house.shell(command).run();
        let ran = ran.ends(0, "");
        assert!(ran.stdout.is_empty(), "{command}: {ran:#?}");
        // A dry run that may claim nothing reads nothing.
        assert!(ran.stderr == full || command.contains("dry"), "{command}: {ran:#?}");
    }
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [3], "what could be worked on is still told");
    let told = explain(&house, 3);
    assert!(told.contains(two) && told.contains("it is eligible"), "{told}");
    let table = house.cq("status").args(["--format", "table"]).run().good();
    assert!(
        table
            .stderr
            .contains("0 of 5 places taken, 2 in flight, 2 of at most 2 pull requests wait for a person"),
        "{}",
        table.stderr
    );
    house.lab.merge(house.record(1)["pull_request"]["number"].as_u64().unwrap());
    house.cq("pr").args(["--sync"]).run().quietly();
    assert!(!explain(&house, 3).contains("wait for a person"));
    assert_eq!(house.shell("cq-fetch | cq-claim").run().quietly().numbers(), [3]);
}

/// A house in which #1 works and stays; #2 names a file that #1 names, #3 one that #1 has changed, #4 neither.
fn side_by_side() -> House {
    let issues = json!([
        {"number": 1, "title": "Mend `src/widget.txt`", "labels": ["claude-ready", "P0"]},
        {"number": 2, "title": "Two", "body": "In ./src/widget.txt:1, too.", "labels": ["claude-ready", "P1"]},
        {"number": 3, "title": "Three", "body": "See README.md.", "labels": ["claude-ready", "P1"]},
        {"number": 4, "title": "Four", "body": "No file: src/nowhere.txt <!-- README.md -->", "labels": ["claude-ready"]},
        {"number": 5, "title": "Five", "body": "Also src/other.txt", "labels": ["claude-ready"]},
    ]);
    let script = json!({"issues": {"1": [
        {"append": {"path": "README.md", "content": "More.\n"}}, {"commit": "Say more"}, {"say": "committed"}, {"hang": true},
    ]}});
    let files =
        json!({"README.md": "# Widgets\n", "src/widget.txt": "a widget\n", "src/other.txt": "another\n"});
    let house =
        House::new(&Plan { issues, script, seed: json!({"widgets": {"files": files}}), ..Plan::default() });
    house.configure(|config| config["queue"]["avoidOverlap"] = json!(true));
    house
}

#[test]
fn an_issue_whose_files_another_touches_is_held() {
    let house = side_by_side();
    house.work_detached(1);
    assert_eq!(house.record(1)["named_files"], json!(["src/widget.txt"]));
    crate::support::wait::until("the commit", || house.log(1).contains("committed").then_some(()));
    let names = "it names src/widget.txt, as issue #1 (claude-instance-1) does or has changed";
    let changed = "it names README.md, as issue #1 (claude-instance-1) does or has changed";
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [4, 5]);
    let all = house.cq("fetch").args(["--all"]).run().quietly().records();
    let reasons = |number: u64| {
        let record = all.iter().find(|record| record["number"] == number).unwrap();
        record.get("reasons").cloned().unwrap_or(Value::Null)
    };
    assert_eq!((reasons(2), reasons(3), reasons(4)), (json!([names]), json!([changed]), Value::Null));
    assert!(explain(&house, 2).contains(names), "{}", explain(&house, 2));
    house.cq("claim").args(["--dry-run", "3"]).run().ends(0, &format!("issue #3 waits: {changed}"));
    let ran = house.cq("claim").args(["2", "3", "4"]).run();
    let ran = ran.ends(0, &format!("issue #2 waits: {names}"));
    assert!(ran.stderr.contains(&format!("issue #3 waits: {changed}")), "{}", ran.stderr);
    assert_eq!(ran.numbers(), [4]);
    assert_eq!(house.record(4).get("named_files"), None, "what the base does not have, or nobody sees");

    // In a pipe the others are not kept waiting, and it is only told to who asks.
    house.cq("stop").args(["--abort"]).run().good();
    house.cq("stop").args(["--thaw"]).run().good();
    house.cq("cleanup").args(["--all", "--force"]).run().good();
    assert_eq!(house.shell("cq-fetch 2 3 | cq-claim").run().quietly().numbers(), [2, 3], "#1 is gone");
    // Without the setting nobody is held.
    house.configure(|config| config["queue"]["avoidOverlap"] = json!(false));
    assert_eq!(house.cq("claim").args(["1"]).run().quietly().record().get("named_files"), None);
}

/// Whoever comes second sees the first, even if both looked before either claimed.
#[test]
fn of_many_claims_at_once_that_name_one_file_one_wins() {
    let issue = |number| json!({"number": number, "body": "Change README.md", "labels": ["claude-ready"]});
    let issues: Vec<Value> = (1..=12_u64).map(issue).collect();
    let house = House::new(&Plan { issues: json!(issues), ..Plan::default() });
    house.configure(|config| {
        config["queue"]["avoidOverlap"] = json!(true);
        config["queue"]["maxConcurrentIssues"] = json!(12);
    });
    let records = house.cq("fetch").run().quietly().records();
    assert_eq!(records.len(), 12);
    let house = &house;
    let ran = std::thread::scope(|scope| {
        let start = |record: &Value| {
            let record = record.to_string();
            scope.spawn(move || house.cq("claim").fed(record).quietly())
        };
        let running: Vec<_> = records.iter().map(start).collect();
        running.into_iter().map(|claimant| claimant.join().unwrap()).collect::<Vec<_>>()
    });
    let won: Vec<u64> = ran.iter().flat_map(|ran| ran.numbers()).collect();
    assert_eq!(won.len(), 1, "{won:?}");
}
