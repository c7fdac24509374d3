//! Red on the base as well: nobody blames the change.

use serde_json::json;

use crate::{House, Plan, check, checked_by, count, counting, log_of, shell};

#[test]
fn what_is_red_on_the_base_too_is_not_the_changes_fault_and_the_base_is_asked_once() {
    let house = House::usual();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "exit 3")]));
    house.work(1).good();
    let said =
        "issue #1: checks could not be evaluated: count (red on the base as well (exit status 3); see '";
    let record = house.cq("gate").args(["1"]).run().ends(1, said).record();
    assert_eq!((&record["status"], &record["gates"]["verdict"]), (&json!("testing"), &json!("unevaluated")));
    assert_eq!((&record["claim"]["attempt"], record.get("feedback")), (&json!(1), None));
    let red = check(&record, "count");
    assert_eq!((&red["exit"], &red["verdict"]), (&json!(3), &json!("unevaluated")));
    assert_eq!(count(&house), 2, "on the change, and on the base");
    let why = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(why.contains("its check count could not be evaluated: red on the base as well"), "{why}");

    // Nothing new would be learned of this tree; and for another one what the base says is known.
    house.cq("gate").args(["1"]).run().ends(1, said);
    assert_eq!(count(&house), 2);
    house.work(2).good();
    house.cq("gate").args(["2"]).run().ends(1, "red on the base as well");
    assert_eq!(count(&house), 3);
    house.cq("gate").args(["--again", "2"]).run().ends(1, "red on the base as well");
    assert_eq!(count(&house), 5, "who asks for it gets both");
    house.cq("pr").args(["1"]).run().ends(77, "cq-pr --unchecked opens it all the same");
    assert!(house.lab.pulls().is_empty() && house.lab.branches().is_empty());
    house.cq("pr").args(["--unchecked", "1"]).run().quietly();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("| could not run: red on the base as well (exit status 3) |"), "{body}");
    assert!(body.contains("pushed although its checks did not pass (`cq-pr --unchecked`)"), "{body}");
}

/// The owner mends the check: the tree is checked, and what an older one said of the base does not count.
#[test]
fn another_check_is_another_question() {
    let house = checked_by("exit 1");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    house
        .configure(|config| config["qualityGates"] = json!([shell("mended", "test ! -e cq-lab/issue-1.md")]));
    house.cq("gate").args(["1"]).run().ends(1, "issue #1: checks failed: mended (see '");
    assert_eq!(house.record(1)["outcome"], "gate-failed");
}

/// What an earlier check makes is made on the base, too: else the base would be red for want of it.
#[test]
fn the_base_is_prepared_as_the_change_was() {
    let gates = json!([
        shell("install", "echo installed > made.txt"),
        {"name": "lint", "command": ["sh", "-c", "echo linted >> made.txt"], "parallel": true},
        shell("test", "cat made.txt; test ! -e cq-lab/issue-1.md"),
    ]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().ends(1, "checks failed: test (see '").record();
    let red = check(&record, "test");
    assert_eq!((&red["verdict"], log_of(red).as_str()), (&json!("failed"), "installed\nlinted\n"));
    let logs = std::fs::read_dir(house.clone().join("logs/claude-instance-1")).unwrap().flatten();
    let on_base = logs.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(".base."));
    let mut on_base: Vec<String> = on_base
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let said = std::fs::read_to_string(&path).unwrap();
            format!("{}: {said}", name.split(".base.").nth(1).unwrap())
        })
        .collect();
    on_base.sort();
    assert_eq!(on_base, ["install.txt: ", "test.txt: installed\n"], "the parallel one prepares nothing");
}

/// A base that cannot be asked excuses nobody.
#[test]
fn a_base_that_says_nothing_is_no_excuse() {
    let house = checked_by("test ! -e cq-lab/issue-1.md && exit 127; exit 1");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "issue #1: checks failed: the check (see '");
}
