//! Input that is malformed, too large or hostile.

use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

#[test]
fn a_bad_line_is_named_and_the_others_are_done() {
    let house = House::usual();
    let fetched = house.cq("fetch").run().quietly().stdout;
    let lines: Vec<&str> = fetched.lines().collect();
    let input = format!("{}\n{{\"cq\":1,\"numb\n{}\n[]\n{}\n", lines[0], lines[1], lines[2]);
    let ran = house.cq("claim").fed(input).ends(65, "cq-claim: input line 2: ");
    assert!(ran.stderr.contains("cq-claim: input line 4: "), "{}", ran.stderr);
    assert_eq!(ran.numbers(), [1, 2, 3]);
    assert_eq!((house.status(1), house.status(3)), ("queued".to_owned(), "queued".to_owned()));
}

#[test]
fn a_record_of_a_newer_kind_is_refused_and_not_guessed_at() {
    let house = House::usual();
    let newer = json!({"cq": 99, "repo": "acme/widgets", "number": 1, "issue": {"title": "t"}});
    let ran = house.cq("claim").fed(newer.to_string()).ends(65, "input line 1");
    assert!(ran.stderr.contains("99"), "{}", ran.stderr);
    assert!(house.status(1).is_empty());
}

#[test]
fn an_issue_of_ten_megabytes_is_refused_and_the_others_are_done() {
    let house = House::usual();
    let body = "A very long story. ".repeat(550_000);
    let issues = json!([
        {"number": 1, "title": "Long", "body": body, "labels": []},
        {"number": 2, "title": "Short", "body": "", "labels": []},
    ]);
    fs::write(house.place("long.json"), issues.to_string()).unwrap();
    let line = "cq-fetch --from ../long.json > fetched; s=$?; cq-claim < fetched; exit $s";
    let ran = house.shell(line).run().ends(65, "more than GitHub's limit of 65,536 characters");
    assert!(ran.stderr.len() < 500, "{}", ran.stderr);
    assert_eq!(ran.numbers(), [2]);
}

#[test]
fn a_file_that_is_no_list_of_issues_is_refused() {
    let house = House::usual();
    let from = |text: &str| {
        fs::write(house.place("odd.json"), text).unwrap();
        house.cq("fetch").args(["--from", "../odd.json"]).run()
    };
    let refused = [
        ("not json", "cq-fetch: '../odd.json': not JSON"),
        ("{\"message\": \"Not Found\"}", "cq-fetch: '../odd.json', issue 1: no issue number"),
    ];
    for (text, said) in refused {
        assert_eq!(from(text).ends(65, said).stdout, "");
    }
    assert_eq!(from("").quietly().stdout, "", "nothing is no issues");
    house.cq("fetch").args(["--from", "/nonexistent"]).run().ends(65, "cannot read '/nonexistent'");
}

/// Issue text is data: it reaches no shell, no file name, no ref, no terminal.
#[test]
fn a_hostile_title_goes_through_and_does_nothing() {
    let title = "--force $(touch x) `touch x` ; touch x | \u{1b}[31m {issue_title} @owner ../../etc";
    let script = json!({"default": [
        {"dump_prompt": "../prompt.1"}, {"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"},
    ]});
    let issues = json!([{"number": 1, "title": title, "body": title, "labels": ["claude-ready"]}]);
    let house = House::new(&Plan { issues, script, ..Plan::default() });
    let line = "cq-fetch | cq-claim | cq-spawn --wait | cq-gate | cq-pr --format table";
    let ran = house.shell(line).run().quietly();
    let mut shown = vec![ran.stdout];
    for (name, args) in
        [("status", &["--format", "table"][..]), ("status", &["--explain", "1"]), ("logs", &[])]
    {
        let ran = house.cq(name).args(args).run().good();
        shown.extend([ran.stdout, ran.stderr]);
    }
    let refused = house.cq("claim").args(["--release", "1"]).run();
    shown.extend([refused.stdout, refused.stderr]);
    assert!(shown[0].contains("\\e[31m"), "{}", shown[0]);
    // Records are JSON, which has its own way to write control characters.
    assert!(shown.iter().all(|text| !text.contains('\u{1b}')), "{shown:?}");

    let pull = &house.lab.pulls()[0];
    assert!(pull["title"].as_str().unwrap().starts_with("--force $(touch x) `touch x` ; touch x | \\e[31m"));
    let branch = pull["head"]["ref"].as_str().unwrap();
    assert!(branch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'/'), "{branch}");
    let prompt = fs::read_to_string(house.workspace(1).join("prompt.1")).unwrap();
    assert!(prompt.contains("{issue_title}") && prompt.contains("\\@owner"), "{prompt}");
    let find = house.program("find").args([house.root().to_str().unwrap(), "-name", "x"]).run().good();
    assert_eq!(find.stdout, "");
}

/// A record that a program in the pipe added a field to keeps it to the end.
#[test]
fn fields_that_nobody_knows_go_through() {
    let house = House::usual();
    let line = "cq-fetch 1 | jq -c '.team = \"blue\" | .issue.estimate = 3' | cq-claim | cq-spawn --wait | \
                cq-gate | cq-pr";
    let record: Value = house.shell(line).run().quietly().record();
    assert_eq!((&record["team"], &record["issue"]["estimate"]), (&json!("blue"), &json!(3)));
}
