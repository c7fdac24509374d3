//! Red on the base as well: nobody blames the change.

use serde_json::{Value, json};

use crate::{House, LATER, Plan, check, checked_by, count, counting, log_of, shell};

#[test]
fn what_is_red_on_the_base_too_is_not_the_changes_fault_and_the_base_is_asked_once() {
    let house = House::usual();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "exit 3")]));
    house.work(1).good();
    let said =
        "issue #1: checks could not be evaluated: count (red on the base as well (exit status 3); see '";
    let record = house.cq("gate").args(["1"]).run().ends(1, said).record();
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("unevaluated")));
    assert_eq!(record["gates"]["verdict"], "unevaluated");
    assert_eq!((&record["claim"]["attempt"], record.get("feedback")), (&json!(1), None));
    let red = check(&record, "count");
    assert_eq!((&red["exit"], &red["verdict"]), (&json!(3), &json!("unevaluated")));
    assert_eq!(count(&house), 2, "on the change, and on the base");
    let why = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(why.contains("its check count could not be evaluated: red on the base as well"), "{why}");

    // Nothing new would be learned of this tree; and for another one what the base says is known.
    house.cq("gate").args(["1"]).run().ends(1, said);
    assert_eq!((count(&house), &house.record(1)["history"]), (2, &record["history"]));
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

/// Nobody but a person changes what a red base says: nothing waits for that in a place, or is offered again and again.
#[test]
fn a_red_base_holds_no_place_and_once_it_is_mended_the_agent_takes_it_in() {
    let house = checked_by("test -e mended.txt");
    house.configure(|config| config["queue"]["maxConcurrentIssues"] = json!(1));
    house.work(1).good();
    house.cq("claim").args(["2"]).run().ends(0, "all 1 places are taken; the rest waits");
    let way = "'cq-claim --retry 1 | cq-spawn' lets its agent take that in";
    house.cq("gate").args(["1"]).run().ends(1, way);
    let record = house.record(1);
    let why = "the check: red on the base as well (exit status 1); its checks cannot judge the change";
    assert_eq!(record["history"].as_array().unwrap().last().unwrap()["why"], why);
    let told = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(told.contains(why) && told.contains(way), "{told}");
    assert_eq!(house.cq("claim").args(["2"]).run().quietly().numbers(), [2], "the place is free");
    assert_eq!(house.cq("monitor").at(LATER).run().good().numbers(), [2], "it is not offered");
    house.configure(|config| config["workspace"]["cleanupAfterHours"] = json!(0));
    for all in [&[][..], &["--all"]] {
        assert!(house.cq("cleanup").args(all).run().good().stdout.is_empty(), "its work stays");
    }

    let mended = house.push_by_hand("main", "mended.txt", "whole\n");
    // What is red is the tree that was checked, whatever became of the base since.
    house.cq("gate").args(["--again", "1"]).run().ends(1, way);
    let merge = format!("git -c user.name=a -c user.email=a@b merge --quiet -m Merge {mended}");
    let script = json!({"default": [{"dump_prompt": "../prompt.txt"}, {"run": ["sh", "-c", merge]}]});
    std::fs::write(house.place("script.json"), script.to_string()).unwrap();
    let line = "cq-claim --retry 1 | cq-spawn --wait | cq-gate | cq-pr";
    let ready = house.shell(line).run().quietly().record();
    assert_eq!((&ready["status"], &ready["outcome"]), (&json!("pr-ready"), &json!("success")));
    assert_eq!((&ready["gates"]["verdict"], &ready["gates"]["base"]), (&json!("passed"), &json!(mended)));
    assert_eq!(ready["claim"]["branch"], record["claim"]["branch"]);
    let prompt = std::fs::read_to_string(house.workspace(1).join("prompt.txt")).unwrap();
    assert!(prompt.contains(&format!("not this change's fault: 'the check'. The base branch 'main' has moved on since. Its end, {mended},")), "{prompt}");
    let path = format!("/repos/acme/widgets/pulls/{}", ready["pull_request"]["number"]);
    let pull = house.lab.call("GET", &path, &Value::Null);
    assert_eq!(pull["commits"], 2, "the change and the merge: the base's own commit is none of it: {pull:#}");
}

/// The base is as red as it was: that is said, and the agent goes on as before.
#[test]
fn a_retry_on_the_same_red_base_says_so() {
    let house = checked_by("exit 1");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    let ran = house.cq("claim").args(["--retry", "1"]).run();
    let record = ran.ends(0, "issue #1: 'main' has not moved since its checks were red there").record();
    assert_eq!((&record["status"], record.get("feedback")), (&json!("queued"), None));
    // Once more for nothing, and no further.
    house.shell("cq-spawn --wait 1 | cq-gate").run().ends(1, "red on the base as well");
    assert_eq!(house.record(1)["outcome"], "unevaluated");
}

/// It was told to take in the newer base, and did not: its pull request was said to be checked on what it does not have.
#[test]
fn an_agent_that_does_not_take_the_base_in_is_compared_with_the_one_it_has() {
    let house = checked_by("test -e mended.txt");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    let begun = house.record(1)["claim"]["base_sha"].clone();
    let mended = house.push_by_hand("main", "mended.txt", "whole\n");
    house.shell("cq-claim --retry 1 | cq-spawn --wait | cq-gate").run().ends(1, "red on the base as well");
    let record = house.record(1);
    assert_eq!((&record["claim"]["base_sha"], &record["gates"]["base"]), (&begun, &begun));
    let pull = house.cq("pr").args(["--unchecked", "1"]).run().good().record()["pull_request"].clone();
    let body = house.lab.call("GET", &format!("/repos/acme/widgets/pulls/{}", pull["number"]), &Value::Null);
    let body = body["body"].as_str().unwrap();
    let stat = " cq-lab/issue-1.md | 2 ++\n 1 file changed, 2 insertions(+)\n";
    assert!(body.contains(stat), "it does not take '{mended}' back: {body}");
}

/// GitHub is away: the end of the base can be taken in another time.
#[test]
fn a_retry_goes_on_without_the_end_of_the_base() {
    let house = checked_by("exit 1");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    house.lab.break_with(&json!([{"path": "/acme/widgets.git", "status": 503, "times": 1000}]));
    let ran = house.cq("claim").args(["--retry", "1"]).run();
    let record = ran.ends(0, "issue #1 is queued without the end of its base: cannot fetch 'main'").record();
    assert_eq!((&record["status"], record.get("feedback")), (&json!("queued"), None));
}

/// What a person mends stays, and can be checked as often as they like: red once, it was lost sight of.
#[test]
fn red_by_hand_keeps_the_change_for_whoever_mends_it() {
    let house = checked_by("no-such-program");
    house.configure(|config| config["workspace"]["cleanupAfterHours"] = json!(0));
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "checks could not be evaluated");
    house.configure(|config| {
        config["qualityGates"] = json!([shell("tests", "cat hint; ! ls cq-lab || test -e fixed")]);
    });
    let tree = house.workspace(1).join("widgets");
    let commit = |file: &str| {
        std::fs::write(tree.join(file), file).unwrap();
        house.git_in(&tree, &["add", "."]);
        house.git_in(&tree, &["commit", "--quiet", "-m", "By hand"]);
    };
    for file in ["hint", "hint.2"] {
        commit(file);
        let way = "whoever mends it by hand then runs 'cq-gate 1 | cq-pr'";
        house.cq("gate").args(["1"]).run().ends(1, way);
        let record = house.record(1);
        assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("unevaluated")));
        assert_eq!(record["feedback"].as_array().unwrap().len(), 1, "{file}: of the last verdict, once");
    }
    for all in [&[][..], &["--all"]] {
        assert!(house.cq("cleanup").args(all).at(LATER).run().good().stdout.is_empty(), "its work stays");
    }
    house.cq("pr").args(["1"]).run().ends(77, "its checks failed");
    commit("fixed");
    let ready = house.shell("cq-gate 1 | cq-pr").run().quietly().record();
    assert_eq!((&ready["status"], ready.get("feedback")), (&json!("pr-ready"), None));
}

/// An older cq left what is red on the base in testing, and asked again at each tick.
#[test]
fn what_an_older_cq_left_in_testing_is_settled_without_a_run() {
    let house = House::usual();
    house.configure(|config| config["qualityGates"] = json!([counting(&house, "exit 3")]));
    house.work(1).good();
    let before = house.record(1);
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    let mut record = house.record(1);
    for field in ["status", "outcome", "history"] {
        record[field] = before[field].clone();
    }
    std::fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    assert_eq!(house.cq("monitor").at(LATER).run().good().numbers(), [1]);
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    assert_eq!((house.status(1).as_str(), count(&house)), ("failed", 2));
    assert_eq!(house.cq("monitor").at(LATER).run().good().numbers(), [0; 0]);
}

/// A person opens it unchecked, and it is the guards' turn: what they find is told, and not that the base is red.
#[test]
fn what_is_kept_back_for_its_checks_can_be_withheld_as_well() {
    let script = json!({"default": [{"write": {"path": ".mcp.json", "content": "{}"}}, {"commit": "Do it"}]});
    let gates = json!([shell("the check", "exit 1")]);
    let house = House::new(&Plan { script, gates, ..Plan::default() });
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    house.cq("pr").args(["--unchecked", "1"]).run().ends(77, "'.mcp.json': added");
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("withheld")));
    assert_eq!(
        record["history"].as_array().unwrap().last().unwrap()["why"],
        "not pushed, for a protected path"
    );
    house.cq("pr").args(["--unchecked", "--allow-protected", "1"]).run().ends(0, "a person let it through");
    assert_eq!(house.status(1), "pr-ready");
}

/// The owner mends the check: the tree is checked, and what an older one said of the base does not count.
#[test]
fn another_check_is_another_question() {
    let house = checked_by("exit 1");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "red on the base as well");
    house
        .configure(|config| config["qualityGates"] = json!([shell("mended", "test ! -e cq-lab/issue-1.md")]));
    let ran = house.cq("gate").args(["1"]).run().ends(1, "issue #1: checks failed: mended (see '");
    assert!(ran.stderr.contains("cq-claim --retry 1 sends its agent back"), "{}", ran.stderr);
    // Nobody is sent anywhere unasked; whoever is, is told.
    let record = house.record(1);
    assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("unevaluated")));
    assert_eq!(record["history"].as_array().unwrap().last().unwrap()["why"], "red: mended");
    let feedback = record["feedback"][0]["text"].as_str().unwrap();
    assert!(feedback.starts_with("The check 'mended' failed"), "{feedback}");
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
