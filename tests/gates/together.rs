//! Which checks run, which at the same time, and on what files.

use serde_json::{Value, json};

use crate::{House, Plan, check, checked_by, log_of, shell};

#[test]
fn a_check_runs_only_where_the_change_touches_what_it_looks_at() {
    let gates = json!([
        {"name": "widgets", "command": ["sh", "-c", "exit 1"], "when": ["src/**", "*.toml"]},
        {"name": "lab", "command": ["true"], "when": ["cq-lab/*.md"]},
        shell("always", "true"),
    ]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.work(1).good();
    let why = "the change touches nothing that it looks at";
    let dry = house.cq("gate").args(["--dry-run", "1"]).run().ends(0, "would run 2 checks for issue #1");
    assert!(dry.stderr.contains(&format!("would skip 'widgets': {why}")), "{}", dry.stderr);
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    let skipped = check(&record, "widgets");
    assert_eq!((&skipped["verdict"], &skipped["why"]), (&json!("skipped"), &json!(why)));
    assert_eq!((skipped.get("exit"), skipped.get("log")), (None, None));
    assert_eq!(check(&record, "lab")["verdict"], "passed");
    house.cq("pr").args(["1"]).run().quietly();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains(&format!("| widgets | `sh -c exit 1` | skipped: {why} | – |")), "{body}");
}

/// The pull request called a tree checked that no check had looked at.
#[test]
fn a_change_that_no_check_concerns_is_not_called_checked() {
    let gates = json!([{"name": "widgets", "command": ["true"], "when": ["src/**"]}]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    let template = house.clone().join("workspaces/shared/templates/pull-request-template.md");
    let text = std::fs::read_to_string(&template).unwrap();
    std::fs::write(&template, format!("{text}\nOf {{tree}}.\n")).unwrap();
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(0, "none of the checks concerns the change of issue #1");
    house.cq("pr").args(["1"]).run().quietly();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    let tree = crate::tree_of(&house, &house.record(1));
    for part in [
        "Nothing: none of the checks concerns the change.\n\n| check |",
        &format!("Tree `{tree}`.\n"),
        &format!("Of {tree}, NOT CHECKED."),
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("checked before this was pushed"), "{body}");
}

/// Two that wait for each other, and then one that comes after both.
#[test]
fn neighbours_that_are_declared_parallel_run_side_by_side() {
    let meet = |mine: &str, other: &str| {
        format!(
            "echo {mine}; touch {mine}; n=0; until test -e {other}; do n=$((n+1)); test $n -gt 200 && exit 1; sleep 0.1; done"
        )
    };
    let parallel = |mut gate: Value| {
        gate["parallel"] = json!(true);
        gate
    };
    let gates = json!([
        parallel(shell("one", &meet("1", "2"))),
        parallel(shell("two", &meet("2", "1"))),
        shell("after", "test -e 1 && test -e 2"),
    ]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    let names: Vec<&Value> =
        record["gates"]["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["one", "two", "after"], "as they are configured");
    assert_eq!((log_of(check(&record, "one")), log_of(check(&record, "two"))), ("1\n".into(), "2\n".into()));
}

/// One of two that run at the same time ends, with what it left; the other goes on.
#[test]
fn the_end_of_one_check_is_not_the_end_of_its_neighbour() {
    let gates = json!([
        {"name": "short", "command": ["sh", "-c", "sleep 300 & exit 0"], "parallel": true},
        {"name": "long", "command": ["sh", "-c", "sleep 2; echo done"], "parallel": true},
    ]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!(log_of(check(&record, "long")), "done\n");
}

/// What one check does to the files of the tree, the next one does not see; what it makes beside them, it does.
#[test]
fn each_check_finds_the_trees_own_files() {
    let gates = json!([
        shell(
            "first",
            "echo changed > README.md; rm src/widget.txt; rm -r cq-lab; ln -s /tmp cq-lab; echo made > made.txt"
        ),
        shell("second", "cat README.md src/widget.txt cq-lab/issue-1.md made.txt"),
    ]);
    let house = House::new(&Plan { gates, ..Plan::default() });
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    let said = log_of(check(&record, "second"));
    assert_eq!(said, "# Widgets\na widget\nAttempt 1 at issue 1.\nmade\n");
}

/// The checkout lies in the owner's clone, and is no part of it.
#[test]
fn a_check_finds_no_repository_around_it() {
    let house = checked_by("git rev-parse --show-toplevel; pwd; test ! -e .git");
    house.work(1).good();
    let record = house.cq("gate").args(["1"]).run().quietly().record();
    let said = log_of(check(&record, "the check"));
    assert!(said.contains("not a git repository") && said.contains("/gate/widgets\n"), "{said}");
}
