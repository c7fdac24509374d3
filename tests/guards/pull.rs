//! What the pull request says, who is asked to look at it, and where nothing is ever pushed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::lab::TOKEN;
use crate::{House, Plan};

/// A house in which issue #1 is checked.
fn checked(plan: &Plan) -> House {
    let house = House::new(plan);
    house.work(1).good();
    house.cq("gate").args(["1"]).run().good();
    house
}

/// The reviewers of the only pull request: people, teams.
fn asked(house: &House) -> (Vec<String>, Vec<String>) {
    let pull = house.lab.pulls()[0].clone();
    let names = |list: &str, name: &str| {
        let all = pull[list].as_array().unwrap().iter();
        all.map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    (names("requested_reviewers", "login"), names("requested_teams", "slug"))
}

#[test]
fn it_says_what_why_and_how_it_was_checked() {
    let house = checked(&Plan::default());
    let record = house.record(1);
    house.cq("pr").args(["1"]).run().quietly();
    let pull = &house.lab.pulls()[0];
    let body = pull["body"].as_str().unwrap();
    let (base, tree) =
        (record["claim"]["base_sha"].as_str().unwrap(), record["gates"]["tree"].as_str().unwrap());
    for part in [
        "Closes #1\n",
        "### Why\n\nFirst (#1)\n",
        "| readme | `test -s README.md` | passed | ",
        &format!("Tree `{tree}`, checked before this was pushed"),
        &format!("for base `{base}`"),
        "attempt 1, ",
        "US$ ",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("Look at this first"), "{body}");
}

#[test]
fn reviews_are_asked_for_once_and_whom_github_refuses_is_told() {
    let people = ["mia", "noah", "acme"].map(|login| json!({"login": login, "permission": "write"}));
    let seed = json!({"users": people, "viewer": "cq-bot", "widgets": {"teams": ["core"]}});
    let house = checked(&Plan { seed, ..Plan::default() });
    house.configure(|config| {
        config["pullRequest"] =
            json!({"reviewers": ["mia", "stranger", "Noah", "cq-bot"], "teamReviewers": ["core", "nobody"]});
    });
    let ran = house.cq("pr").args(["1"]).run();
    let ran = ran.ends(1, "cannot ask stranger for a review of pull request #4");
    assert!(ran.stderr.contains("cannot ask nobody for a review"), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot ask cq-bot for a review"), "{}", ran.stderr);
    assert_eq!(ran.record()["status"], "pr-ready");
    assert_eq!(asked(&house), (vec!["mia".to_owned(), "noah".to_owned()], vec!["core".to_owned()]));

    // Once more from the last step on: nobody is asked twice, and nobody who has said something.
    let review = json!({"repository": "acme/widgets", "number": 4, "user": "mia", "state": "APPROVED", "body": "Good."});
    house.lab.call("POST", "/_lab/reviews", &review);
    house.configure(|config| {
        config["pullRequest"] = json!({"reviewers": ["mia", "noah"], "teamReviewers": ["core"]});
    });
    let mut record = house.record(1);
    record["status"] = json!("testing");
    record["delivery"]["step"] = json!("dress");
    std::fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!(asked(&house), (vec!["noah".to_owned()], vec!["core".to_owned()]));
    let requests = house.lab.state()["requests"].clone();
    let asks = requests.as_array().unwrap().iter().filter(|one| {
        one["method"] == "POST" && one["target"].as_str().unwrap().ends_with("/requested_reviewers")
    });
    assert_eq!(asks.count(), 7, "all together, and each by itself");
}

/// Whom GitHub had refused was never asked again, although somebody had given them a role since.
#[test]
fn who_is_missing_is_asked_once_more_on_demand() {
    let people = ["mia", "noah"].map(|login| json!({"login": login, "permission": "write"}));
    let seed = json!({"users": people, "viewer": "cq-bot"});
    let house = checked(&Plan { seed, ..Plan::default() });
    house.configure(|config| {
        config["pullRequest"] = json!({"reviewers": ["stranger"], "labels": ["from-cq"]});
    });
    house.cq("pr").args(["1"]).run().ends(1, "cannot ask stranger for a review");
    house.cq("pr").args(["1"]).run().ends(1, "cannot ask stranger for a review");
    house.cq("pr").args(["--dry-run", "1"]).run().quietly();
    // What people took away is not put back.
    house.lab.call("DELETE", "/repos/acme/widgets/issues/4/labels/from-cq", &json!(null));
    house.configure(|config| {
        config["pullRequest"] = json!({"reviewers": ["mia"], "assignees": ["noah"], "labels": ["from-cq"]});
    });
    let before = house.record(1);
    assert_eq!(house.cq("pr").args(["1"]).run().quietly().record()["status"], "pr-ready");
    assert_eq!(asked(&house), (vec!["mia".to_owned()], vec![]));
    let pull = &house.lab.pulls()[0];
    assert_eq!((&pull["assignees"][0]["login"], &pull["labels"]), (&json!("noah"), &json!([])));
    assert_eq!(house.record(1)["history"], before["history"]);
    let writes = || {
        let requests = house.lab.state()["requests"].clone();
        requests.as_array().unwrap().iter().filter(|one| one["method"] == "POST").count()
    };
    let known = writes();
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!(writes(), known, "nobody is missing");
}

/// A record that was pr-ready already assigned whom a person had taken off, each time that it came through a pipe.
#[test]
fn whom_people_took_off_no_pipe_brings_back() {
    let people = ["mia", "noah"].map(|login| json!({"login": login, "permission": "write"}));
    let house = checked(&Plan { seed: json!({"users": people, "viewer": "cq-bot"}), ..Plan::default() });
    house.configure(|config| config["pullRequest"] = json!({"reviewers": ["mia"], "assignees": ["noah"]}));
    house.cq("pr").args(["1"]).run().quietly();
    let repository = "/repos/acme/widgets";
    let (mia, noah) = (json!({"reviewers": ["mia"]}), json!({"assignees": ["noah"]}));
    house.lab.call("DELETE", &format!("{repository}/pulls/4/requested_reviewers"), &mia);
    house.lab.call("DELETE", &format!("{repository}/issues/4/assignees"), &noah);
    let assigned = || house.lab.pulls()[0]["assignees"].as_array().unwrap().len();
    for line in ["cq-gate | cq-pr", "cq-pr"] {
        let ran = house.shell(line).fed(house.record(1).to_string()).good();
        assert_eq!(ran.record()["status"], "pr-ready", "{line}");
        assert_eq!((asked(&house).0.len(), assigned()), (0, 0), "{line}");
    }
    // A person's word is another matter.
    house.cq("pr").args(["1"]).run().quietly();
    assert_eq!((asked(&house).0.len(), assigned()), (1, 1));
}

/// What an agent says of its work is published too.
#[test]
fn an_agents_words_are_cleared_of_secrets_in_any_dress() {
    let encoded = STANDARD.encode(format!("token: {TOKEN}"));
    let steps = json!([{"write": {"path": "a.txt", "content": "a\n"}}, {"commit": "Do the first thing"},
        {"say": format!("It is done: {encoded}, and nothing else.")}]);
    let house = checked(&Plan { script: json!({ "default": steps }), ..Plan::default() });
    house.cq("pr").args(["1"]).run().quietly();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("It is done: "), "{body}");
    assert!(body.contains("[redacted]") && !body.contains(&encoded[8..40]), "{body}");
}

/// Somebody has made the very branch the default one on GitHub.
#[test]
fn the_remotes_default_branch_is_never_pushed_to() {
    let house = checked(&Plan::default());
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    let bare = house.lab.git_root().join("acme/widgets.git");
    let bare = bare.to_str().unwrap();
    let main = house.git(&["--git-dir", bare, "rev-parse", "main"]);
    house.git(&["--git-dir", bare, "update-ref", &format!("refs/heads/{branch}"), &main]);
    house.git(&["--git-dir", bare, "symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
    house.cq("pr").args(["1"]).run().ends(77, &format!("'{branch}' is the default branch of acme/widgets"));
    assert_eq!(house.git(&["--git-dir", bare, "rev-parse", &branch]), main);
    assert!(house.lab.pulls().is_empty());
}
