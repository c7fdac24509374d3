//! Two machines that know nothing of each other and have claimed the same issue: one pull request.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::deliveries::Press;
use crate::dice;
use crate::support::house::House;
use crate::support::lab::TOKEN;
use crate::support::wait::until;

const EARLY: &str = "20260131093000";
const LATE: &str = "20260131093001";
/// When a lease of ten minutes that began at the other machine's first look is over.
const LATER: &str = "2199-01-01T00:00:00Z";

/// Two machines, each with the issue where cq-gate leaves it; gives the branches.
fn both_ready(machines: &[Press; 2], number: u64, stamps: [&str; 2]) -> [String; 2] {
    [0, 1].map(|at| machines[at].ready_since(number, stamps[at], &format!("token-{at}-{number}")))
}

fn two(issues: u64) -> [Press; 2] {
    let first = Press::new(issues);
    let second = first.beside();
    [first, second]
}

/// The pull requests of an issue, in whatever state.
fn pulls_of(house: &House, number: u64) -> Vec<Value> {
    let prefix = format!("claude/issue-{number}-");
    let mut pulls = house.lab.pulls();
    pulls.retain(|pull| pull["head"]["ref"].as_str().unwrap().starts_with(&prefix));
    pulls
}

/// Changes a record behind everybody's back.
fn change(house: &House, number: u64, change: impl FnOnce(&mut Value)) {
    let mut record = house.record(number);
    change(&mut record);
    std::fs::write(house.state_dir().join(format!("records/{number}.json")), record.to_string()).unwrap();
}

/// Agents of two machines that end in the same second have made the same commit: from now on the branch has another. Gives it.
fn by_another_way(house: &House, branch: &str) -> String {
    let tree = house.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
    let commit = house.git(&["commit-tree", &tree, "-p", "main", "-m", "Another way"]);
    house.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
    commit
}

fn refs(house: &House) -> serde_json::Map<String, Value> {
    house.lab.repository()["refs"].as_object().unwrap().clone()
}

#[test]
fn two_machines_with_the_same_issue_open_one_pull_request() {
    let long = std::env::var_os("CQ_TEST_LONG").is_some();
    let (houses, turns) = if long { (8, 25) } else { (1, 8) };
    let (mut dice, mut won, mut waited) = (dice("two machines"), [0; 2], 0);
    for _ in 0..houses {
        let machines = two(turns + 1);
        for number in 2..=turns + 1 {
            // Every fourth time both claimed in the same second, and their branches are called alike.
            let stamps = if number % 4 == 0 { [EARLY, EARLY] } else { [EARLY, LATE] };
            let branches = both_ready(&machines, number, stamps);
            let start = |at: usize| {
                let cq = machines[at].house.cq("pr").args([number.to_string()]);
                cq.start_into(Stdio::null(), Stdio::piped())
            };
            let first = dice.usize(0..2);
            let children = [start(first), start(1 - first)];
            let ended = children.map(|child| child.wait_with_output().unwrap());
            let told = ended.each_ref().map(|one| String::from_utf8_lossy(&one.stderr).into_owned());
            let codes = ended.map(|one| one.status.code());
            let winner = codes.iter().position(|code| *code == Some(0));
            let winner = winner.unwrap_or_else(|| panic!("nobody won #{number}: {told:?}"));
            let (place, loser) = (if winner == 0 { first } else { 1 - first }, 1 - winner);
            // The other saw the pull request, or that one was on its way.
            let code = codes[loser];
            assert!(code == Some(77) || code == Some(75), "#{number}: {codes:?} {told:?}");
            let words =
                if code == Some(77) { "lost-claim: issue #" } else { "is opening a pull request for it" };
            assert!(told[loser].contains(words), "#{number}: {told:?}");
            let other = &machines[1 - place].house;
            if code == Some(75) {
                waited += 1;
                other.cq("pr").args([number.to_string()]).run().ends(77, "lost-claim: issue #");
            }
            assert_eq!(other.record(number)["outcome"], "lost-claim");
            let pulls = pulls_of(other, number);
            assert_eq!(pulls.len(), 1, "#{number}: {told:?}");
            assert_eq!(pulls[0]["head"]["ref"], branches[place].as_str());
            assert_eq!(machines[place].house.status(number), "pr-ready");
            if stamps[0] != stamps[1] {
                let there = refs(other);
                assert!(
                    !there.contains_key(&format!("refs/heads/{}", branches[1 - place])),
                    "nothing pushed"
                );
            }
            won[place] += 1;
        }
    }
    println!("{won:?} won, {waited} saw the other half-way");
}

/// A machine that died between the push and the pull request keeps nobody waiting for ever; and when it comes back,
/// it knows that it was given up.
#[test]
fn a_machine_that_died_half_way_is_taken_over_after_a_lease() {
    let machines = two(2);
    let [dead, alive] = machines.each_ref().map(|press| &press.house);
    let branches = both_ready(&machines, 2, [EARLY, LATE]);
    dead.lab.break_with(&json!([{"path": "/repos/acme/widgets/pulls", "status": 500, "times": 1000}]));
    dead.cq("pr").args(["2"]).run().ends(69, "");
    assert_eq!(dead.record(2)["delivery"]["step"], "open");
    dead.lab.mend();
    dead.forget_github();
    let waits = alive.cq("pr").args(["2"]).run().ends(75, "is opening a pull request for it");
    assert!(waits.stderr.contains("after 10 minutes is taken over"), "{}", waits.stderr);
    assert_eq!(alive.status(2), "testing");
    alive.cq("pr").args(["2"]).at(LATER).run().ends(0, "takes over from");
    dead.cq("pr").args(["2"]).run().ends(77, "lost-claim: issue #2: ");
    let pulls = pulls_of(alive, 2);
    assert_eq!(pulls.len(), 1);
    assert_eq!(pulls[0]["head"]["ref"], branches[1].as_str());
    // Nobody can open one from its branch any more, and what was there is kept.
    assert_eq!(alive.lab.branches(), [branches[1].clone()]);
    let kept = format!("refs/cq/superseded/2/{}", dead.record(2)["delivery"]["sha"].as_str().unwrap());
    assert!(refs(alive).contains_key(&kept), "{:?}", refs(alive));
}

/// Both claimed in the same second, as cron has it, and called their branches alike.
#[test]
fn a_machine_that_died_is_taken_over_under_the_same_name_as_well() {
    let machines = two(2);
    let [dead, alive] = machines.each_ref().map(|press| &press.house);
    both_ready(&machines, 2, [EARLY, EARLY]);
    let branch = dead.record(2)["claim"]["branch"].as_str().unwrap().to_owned();
    let theirs = by_another_way(dead, &branch);
    dead.lab.break_with(&json!([{"path": "/repos/acme/widgets/pulls", "status": 500, "times": 1000}]));
    dead.cq("pr").args(["2"]).run().ends(69, "");
    dead.lab.mend();
    alive.cq("pr").args(["2"]).run().ends(75, "is opening a pull request for it");
    alive.cq("pr").args(["2"]).at(LATER).run().ends(0, "takes over from");
    let there = refs(alive);
    assert_eq!(there[&format!("refs/cq/superseded/2/{theirs}")], theirs.as_str());
    assert_ne!(there[&format!("refs/heads/{branch}")], theirs.as_str());
    dead.forget_github();
    dead.cq("pr").args(["2"]).run().ends(77, "lost-claim: issue #2: ");
    assert_eq!(pulls_of(alive, 2).len(), 1);
}

/// The first machine is slow once it has pushed; the second waits a lease and goes ahead. One pull request, of the second.
fn goes_ahead_of_one_that_is_slow(fault: &Value) {
    let machines = two(2);
    let [slow, quick] = machines.each_ref().map(|press| &press.house);
    let branches = both_ready(&machines, 2, [EARLY, LATE]);
    slow.lab.break_with(&json!([fault]));
    let cq = slow.cq("pr").args(["2"]).start_into(Stdio::null(), Stdio::piped());
    until("the push", || (slow.record(2)["delivery"]["step"] == "open").then_some(()));
    quick.cq("pr").args(["2"]).run().ends(75, "is opening a pull request for it");
    quick.cq("pr").args(["2"]).at(LATER).run().ends(0, "takes over from");
    let ended = cq.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(77) && told.contains("lost-claim: issue #2"), "{told}");
    let pulls = pulls_of(quick, 2);
    assert_eq!(pulls.len(), 1, "{told}");
    assert_eq!(pulls[0]["head"]["ref"], branches[1].as_str());
}

/// A machine that slept between the push and the pull request, in one and the same command.
#[test]
fn a_machine_that_slept_half_way_looks_whether_it_was_taken_for_dead() {
    let path = "/repos/acme/widgets/pulls";
    goes_ahead_of_one_that_is_slow(&json!({"method": "GET", "path": path, "pass": true, "delay_ms": 4000}));
}

/// The request for the pull request was on its way all the time: it comes to nothing, because its branch is gone.
#[test]
fn a_request_that_was_slow_opens_no_second_pull_request() {
    let path = "/repos/acme/widgets/pulls$";
    goes_ahead_of_one_that_is_slow(&json!({"method": "POST", "path": path, "pass": true, "delay_ms": 4000}));
}

/// Merged, and the issue opened again: whoever claims it then works at something new.
#[test]
fn what_was_merged_before_the_claim_keeps_nobody_from_another() {
    let machines = two(2);
    let [first, second] = machines.each_ref().map(|press| &press.house);
    both_ready(&machines, 2, [EARLY, LATE]);
    let record = first.cq("pr").args(["2"]).run().good().record();
    first.lab.merge(record["pull_request"]["number"].as_u64().unwrap());
    first.lab.call("PATCH", "/repos/acme/widgets/issues/2", &json!({"state": "open"}));
    let lost = second.cq("pr").args(["2"]).run().ends(77, "another machine's pull request #");
    assert!(lost.stderr.contains("for it was merged"), "{}", lost.stderr);
    let branch = machines[1].ready_since(2, "20990101000000", "token-of-new");
    by_another_way(second, &branch);
    change(second, 2, |record| record["claim"]["claimed_at"] = json!("2099-01-01T00:00:00Z"));
    second.cq("pr").args(["2"]).at(LATER).run().ends(0, "takes over from");
    let states: Vec<Value> = pulls_of(second, 2).iter().map(|pull| pull["state"].clone()).collect();
    assert_eq!(states, ["closed", "open"]);
}

/// As an older cq left it, which knew of no ref.
#[test]
fn a_pull_request_without_a_ref_counts_too() {
    let machines = two(2);
    let [older, newer] = machines.each_ref().map(|press| &press.house);
    both_ready(&machines, 2, [EARLY, LATE]);
    older.cq("pr").args(["2"]).run().good();
    let signed = older.lab.address().replace("http://", &format!("http://x:{TOKEN}@"));
    older.git(&["push", "--quiet", &format!("{signed}/acme/widgets.git"), ":refs/cq/pulls/2"]);
    newer.cq("pr").args(["2"]).run().ends(77, "another machine has opened pull request #");
    assert_eq!(pulls_of(newer, 2).len(), 1);
}

/// A clock that was wrong at the first look keeps nobody waiting longer than a lease.
#[test]
fn a_clock_that_was_put_back_costs_one_lease() {
    let machines = two(2);
    let [dead, alive] = machines.each_ref().map(|press| &press.house);
    both_ready(&machines, 2, [EARLY, LATE]);
    dead.lab.break_with(&json!([{"path": "/repos/acme/widgets/pulls", "status": 500, "times": 1000}]));
    dead.cq("pr").args(["2"]).run().ends(69, "");
    dead.lab.mend();
    for (at, code) in
        [("2150-01-01T00:00:00Z", 75), ("2099-01-01T00:00:00Z", 75), ("2099-01-01T00:10:00Z", 0)]
    {
        alive.cq("pr").args(["2"]).at(at).run().ends(code, "");
    }
}

/// What was closed unmerged came to nothing: the next one may try.
#[test]
fn a_pull_request_that_was_turned_down_is_followed_by_another() {
    let machines = two(2);
    let [first, second] = machines.each_ref().map(|press| &press.house);
    both_ready(&machines, 2, [EARLY, LATE]);
    let record = first.cq("pr").args(["2"]).run().good().record();
    let number = record["pull_request"]["number"].as_u64().unwrap();
    let lost = second.cq("pr").args(["2"]).run().ends(77, "another machine has opened pull request #");
    assert!(lost.stderr.contains(&format!("close #{number}, then cq-claim --retry 2")), "{}", lost.stderr);
    first.lab.call("PATCH", &format!("/repos/acme/widgets/pulls/{number}"), &json!({"state": "closed"}));
    machines[1].ready_since(2, LATE, "token-again");
    second.cq("pr").args(["2"]).run().ends(0, "takes over from");
    let states: Vec<Value> = pulls_of(first, 2).iter().map(|pull| pull["state"].clone()).collect();
    assert_eq!(states, ["closed", "open"]);
    // The first, whose pull request somebody opens again, does not push to it any more.
    first.lab.call("PATCH", &format!("/repos/acme/widgets/pulls/{number}"), &json!({"state": "open"}));
    machines[0].ready_since(2, EARLY, "token-0-2");
    first.cq("pr").args(["2"]).run().ends(77, "lost-claim: issue #2");
}

/// The other machine's pull request is merged, and all that it left is cleaned up: the issue is closed.
#[test]
fn an_issue_that_is_closed_meanwhile_gets_no_pull_request() {
    let machines = two(2);
    let [first, second] = machines.each_ref().map(|press| &press.house);
    both_ready(&machines, 2, [EARLY, LATE]);
    let record = first.cq("pr").args(["2"]).run().good().record();
    assert!(refs(first).contains_key("refs/cq/pulls/2"));
    first.lab.merge(record["pull_request"]["number"].as_u64().unwrap());
    first.cq("pr").args(["--sync"]).run().good();
    first.cq("cleanup").args(["claude-instance-102"]).run().good();
    let left = refs(first);
    assert!(left.keys().all(|name| name == "refs/heads/main"), "{left:?}");
    second.cq("pr").args(["2"]).run().ends(77, "issue #2 was closed meanwhile");
    assert_eq!((second.status(2).as_str(), pulls_of(second, 2).len()), ("failed", 1));
    assert_eq!(refs(second), left);
}

/// A new claim of the machine whose last one came to nothing need not wait.
#[test]
fn an_ended_claim_of_ones_own_is_taken_over_at_once() {
    let press = Press::new(2);
    let house = &press.house;
    press.ready_since(2, EARLY, "token-of-old");
    house.lab.break_with(&json!([{"path": "/repos/acme/widgets/pulls", "status": 500, "times": 1000}]));
    house.cq("pr").args(["2"]).run().ends(69, "");
    house.lab.mend();
    house.forget_github();
    house.cq("cleanup").args(["--force", "claude-instance-102"]).run().good();
    house.cq("claim").args(["--release", "2"]).run().good();
    let branch = press.ready_since(2, LATE, "token-of-new");
    house.cq("pr").args(["2"]).run().ends(0, "takes over from");
    assert_eq!(pulls_of(house, 2)[0]["head"]["ref"], branch.as_str());
}

#[test]
fn a_ref_that_somebody_else_put_there_is_not_overwritten() {
    let press = Press::new(2);
    let house = &press.house;
    press.ready_since(2, EARLY, "token");
    let signed = house.lab.address().replace("http://", &format!("http://x:{TOKEN}@"));
    house.git(&["push", "--quiet", &format!("{signed}/acme/widgets.git"), "HEAD:refs/cq/pulls/2"]);
    let there = refs(house);
    let lost = house
        .cq("pr")
        .args(["2"])
        .run()
        .ends(77, "refs/cq/pulls/2 of acme/widgets is not one that cq understands");
    assert!(lost.stderr.contains(":refs/cq/pulls/2"), "{}", lost.stderr);
    assert_eq!((refs(house), house.status(2).as_str()), (there, "failed"));
}
