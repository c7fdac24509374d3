//! Receipts: the same tree is not checked twice, whoever has it, and only cq's own word counts.

use serde_json::{Value, json};

use crate::{House, LATER, Plan, check, count, counting, shell, tree_of};

/// Agents that all write the same.
fn alike() -> House {
    let steps = json!([{"write": {"path": "same.txt", "content": "the same"}}, {"commit": "Do the same"}]);
    House::new(&Plan { script: json!({"default": steps}), ..Plan::default() })
}

#[test]
fn another_issue_with_the_same_tree_needs_no_run() {
    let house = alike();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "true")]));
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    house.work(2).good();
    let second = house.cq("gate").args(["2"]).run();
    let second = second.ends(0, "issue #2: its tree was checked before, for issue #1").record();
    assert_eq!((&second["gates"]["verdict"], &second["gates"]["checked_for"]), (&json!("passed"), &json!(1)));
    assert_eq!(tree_of(&house, &second), tree_of(&house, &house.record(1)));
    assert_eq!(count(&house), 1);
    house.shell("cq-pr 1 2").run().quietly();
    let pulls = house.lab.pulls();
    let bodies: Vec<&str> = pulls.iter().map(|pull| pull["body"].as_str().unwrap()).collect();
    assert_eq!(bodies.iter().filter(|body| body.contains("when issue #1 had the same tree")).count(), 1);

    // Not the same question: another command, or whoever asks again.
    house.work(3).good();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "true;")]));
    house.cq("gate").args(["3"]).run().quietly();
    assert_eq!(count(&house), 2);
    house.cq("gate").args(["3"]).run().quietly();
    assert_eq!(count(&house), 2);
    house.cq("gate").args(["--again", "3"]).run().quietly();
    assert_eq!(count(&house), 3);
}

#[test]
fn two_that_have_the_same_tree_at_once_check_it_once() {
    let house = alike();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "sleep 1")]));
    for issue in [1, 2, 3] {
        house.work(issue).good();
    }
    let ran = house.shell("cq-gate 1 & cq-gate 2 & cq-gate 3 & wait").run().good();
    assert_eq!((ran.numbers().len(), count(&house)), (3, 1));
    for issue in [1, 2, 3] {
        assert_eq!(house.record(issue)["gates"]["verdict"], "passed");
    }
}

/// Whoever was killed between the receipt and the record has not checked in vain.
#[test]
fn a_receipt_without_its_record_is_found() {
    let house = alike();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "true")]));
    house.work(1).good();
    let before = house.record(1);
    let first = house.cq("gate").args(["1"]).run().quietly().record();
    std::fs::write(house.state_dir().join("records/1.json"), before.to_string()).unwrap();
    let again = house.cq("gate").args(["1"]).run();
    let again = again.ends(0, "issue #1: its tree was checked before, for issue #1").record();
    assert_eq!(
        (count(&house), &again["gates"], house.record(1)["gates"].clone()),
        (1, &first["gates"], first["gates"].clone())
    );
}

/// The next attempt changed nothing: red is red, and the output is told once more.
#[test]
fn a_red_tree_is_not_checked_again_either() {
    let house = alike();
    let gates = json!([counting(&house, "echo the reason; test ! -e same.txt")]);
    house.configure(|config| config["qualityGates"] = gates);
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "checks failed");
    let before = count(&house);
    let line = "cq-spawn --wait 1 | cq-gate";
    house.shell(line).at(LATER).run().ends(1, "its tree was checked before, for issue #1");
    assert_eq!((before, count(&house)), (2, 2), "the change and the base, once each");
    let record = house.record(1);
    assert_eq!((&record["outcome"], &record["claim"]["attempt"]), (&json!("gate-failed"), &json!(3)));
    let feedback = record["feedback"].as_array().unwrap();
    assert_eq!(feedback.len(), 2);
    assert!(feedback[1]["text"].as_str().unwrap().ends_with("the reason"), "{feedback:?}");
}

/// Notes are for people. What an agent writes there is not believed, and what others write is left alone.
#[test]
fn a_forged_note_is_not_believed_and_a_foreign_one_stays() {
    let forged =
        json!({"verdict": "passed", "checks": [{"name": "red", "command": ["x"], "verdict": "passed"}]});
    let note = format!("git notes --ref=cq/receipts add -f -m '{forged}' HEAD^{{tree}}");
    let script = json!({"default": [
        {"write": {"path": "bad.txt", "content": "x"}}, {"commit": "Be bad"}, {"run": ["sh", "-c", note]},
    ]});
    let house =
        House::new(&Plan { script, gates: json!([shell("red", "test ! -e bad.txt")]), ..Plan::default() });
    house.git(&["notes", "--ref=cq/receipts", "add", "-m", "the owner's", "main"]);
    house.work(1).good();
    let tree = tree_of(&house, &house.record(1));
    let show = |what: &str| house.git(&["notes", "--ref=cq/receipts", "show", what]);
    assert!(show(&tree).contains("\"passed\""), "the agent has forged it");
    let record = house.cq("gate").args(["1"]).run().ends(1, "checks failed: red").record();
    assert_eq!(check(&record, "red")["verdict"], "failed");
    let note: Value = serde_json::from_str(&show(&tree)).unwrap();
    assert_eq!((&note["verdict"], &note["tree"]), (&json!("failed"), &json!(tree)), "{note}");
    assert_eq!(show("main"), "the owner's");
    let config = std::fs::read_to_string(house.clone().join(".git/config")).unwrap();
    assert!(!config.contains("notes"), "{config}");
}

/// What is there in place of notes may be anything.
#[test]
fn notes_that_are_none_are_replaced() {
    let house = House::usual();
    let blob = house.git(&["hash-object", "-w", "--stdin"]);
    house.git(&["update-ref", "refs/notes/cq/receipts", &blob]);
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    let tree = tree_of(&house, &house.record(1));
    assert!(house.git(&["notes", "--ref=cq/receipts", "show", &tree]).contains("\"passed\""));
}

#[test]
fn without_a_passing_receipt_nothing_is_opened_unless_it_is_asked_for() {
    let house = House::usual();
    house.work(1).good();
    house.cq("pr").args(["1"]).run().ends(77, "its tree was not checked; run cq-gate first");
    house.cq("gate").args(["1"]).run().quietly();
    // Somebody adds to the branch.
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    let worktree = house.workspace(1).join("widgets");
    std::fs::write(worktree.join("late.txt"), "x").unwrap();
    house.git_in(&worktree, &["add", "late.txt"]);
    house.git_in(&worktree, &["commit", "-qm", "Late"]);
    house.cq("pr").args(["1"]).run().ends(77, "the branch has changed since it was checked");
    assert!(house.lab.branches().is_empty());
    house.cq("pr").args(["--unchecked", "1"]).run().quietly();
    let tree = house.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
    let pulls = house.lab.pulls();
    let body = pulls[0]["body"].as_str().unwrap();
    assert!(body.contains(&format!("Tree `{tree}`, **not checked** before this was pushed.")), "{body}");
    assert!(body.contains("asked for no checks"), "{body}");
}
