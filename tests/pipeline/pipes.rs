//! Readers that go away: nothing went wrong.

use crate::House;

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let house = House::usual();
    for line in [
        "cq-fetch | head -1",
        "cq-fetch --format table | head -1",
        "cq-fetch --from ../issues.json | head -1",
        "cq-claim 1 2 3 | head -1",
        "cq-claim --dry-run < /dev/null | head -1",
        "cq-monitor | true",
        "cq-status | true",
        "cq-status --quiet --format table | true",
        "cq-status --explain 1 | true",
        "cq-status --conflicts --quiet | true",
        "cq-logs | true",
        "cq-report | true",
        "cq-report --by week --format csv | true",
        "cq-fetch --help | true",
        "cq --list | true",
    ] {
        // bash, because only it tells of the first command's own status.
        let (command, rest) = line.split_once('|').unwrap();
        let line = format!("{command} | {rest}; echo status ${{PIPESTATUS[0]}} >&2");
        let ran = house.program("bash").args(["-c", &line]).run();
        assert_eq!(ran.stderr, "status 0\n", "{line}");
    }
}

/// More than a pipe holds, so that the writer is sure to find it closed.
#[test]
fn a_long_answer_that_is_cut_short_is_no_error() {
    let house = House::usual();
    let issue = |number: u64| serde_json::json!({"number": number, "title": "t", "body": "b".repeat(500)});
    let issues: Vec<_> = (1..=2000).map(issue).collect();
    std::fs::write(house.place("many.json"), serde_json::json!(issues).to_string()).unwrap();
    for options in ["", "--format json", "--format table"] {
        let line =
            format!("cq-fetch --from ../many.json {options} | head -1; echo status ${{PIPESTATUS[0]}} >&2");
        let ran = house.program("bash").args(["-c", &line]).run();
        assert_eq!((ran.stderr.as_str(), ran.stdout.lines().count()), ("status 0\n", 1), "{options}");
    }
}

/// The second record cannot be told, but its claim is written; cq-monitor offers it when nobody has come for it.
#[test]
fn a_claim_that_nobody_reads_is_offered_again() {
    let house = House::usual();
    let line = "{ cat; sleep 0.5; cat ../second; } | cq-claim | head -1; exit ${PIPESTATUS[1]}";
    let fetched = house.cq("fetch").run().quietly().stdout;
    let (first, rest) = fetched.split_once('\n').unwrap();
    std::fs::write(house.place("second"), rest).unwrap();
    house.program("bash").args(["-c", line]).fed(format!("{first}\n")).quietly();
    assert_eq!(house.status(2), "queued");
    assert_eq!(house.cq("monitor").run().quietly().stdout, "", "not while its claimant may live");
    let offered = house.cq("monitor").at("2199-01-01T00:00:00Z").run().quietly().numbers();
    assert!(offered.contains(&2), "{offered:?}");
}
