//! Nobody who asked for something by name, or in the wrong folder, is answered with silence.

use std::fs;

use serde_json::{Value, json};

use crate::support::house::binaries;
use crate::{House, Plan};

/// What only reads the state, and has nothing to say where that is empty.
const READERS: [&[&str]; 9] = [
    &["status"],
    &["status", "--conflicts"],
    &["monitor"],
    &["cleanup"],
    &["cleanup", "--all"],
    &["pr", "--sync"],
    &["report"],
    &["logs"],
    &["stop", "--status"],
];

fn cq(house: &House, words: &[&str]) -> crate::support::ran::Run {
    house.cq(words[0]).args(&words[1..])
}

/// Commands in a folder that knows nothing of cq ended with 0 and without a word.
#[test]
fn a_folder_that_was_never_set_up_is_told() {
    let house = House::usual();
    let elsewhere = house.place("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let explain: &[&str] = &["status", "--explain", "1"];
    for words in READERS.iter().chain([&explain]) {
        let line = format!("cd ../elsewhere && cq-{}", words.join(" "));
        let ran = house.shell(&line).run();
        let sentence =
            format!("cq-{}: there is no state directory '{}/.cq': ", words[0], elsewhere.display());
        let ran = ran.ends(78, &sentence);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 2), "{ran:#?}");
        assert!(ran.stderr.contains("\nhint: ") && ran.stderr.contains("cq-init"), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // Where the state is, is enough; so is a configuration.
    house.shell("cd ../elsewhere && cq-status --state-dir ../clone/.cq").run().quietly();
    // But not where another state was named that is not there: the name is wrong.
    for words in READERS.iter().chain([&explain]) {
        let ran = cq(&house, words).env("CQ_STATE_DIR", "/nope").run();
        let ran = ran.ends(78, &format!("cq-{}: there is no state directory '/nope': ", words[0]));
        assert!(ran.stdout.is_empty() && ran.stderr.contains("\nhint: see what --state-dir"), "{ran:#?}");
    }
    let own = house.state_dir().display().to_string();
    fs::remove_dir_all(house.state_dir()).unwrap();
    house.cq("status").args(["--state-dir", &own]).run().quietly();
}

/// cron mails every word.
#[test]
fn where_nothing_is_in_flight_nothing_is_said() {
    let house = House::usual();
    for with_state in [true, false] {
        if !with_state {
            fs::remove_dir_all(house.state_dir()).unwrap();
        }
        for words in READERS.iter().filter(|words| words[0] != "stop" && !words.contains(&"--conflicts")) {
            assert_eq!(cq(&house, words).run().quietly().stdout, "", "{words:?}");
        }
    }
}

/// Numbers that are unknown were passed over.
#[test]
fn a_number_that_is_not_there_is_told() {
    let house = House::usual();
    house.configure(|config| config["merge"] = json!({"enabled": true}));
    let cases: [(&[&str], i32, &str); 10] = [
        (&["pr", "--sync", "99"], 1, "cq-pr: issue #99 is not in flight\n"),
        (&["pr", "--merge", "99"], 1, "cq-pr: issue #99 is not in flight\n"),
        (&["cleanup", "--list-rescues", "99"], 1, "nothing was rescued of issue #99\n"),
        (&["cleanup", "--prune", "99/2"], 1, "nothing was rescued of issue #99, attempt 2\n"),
        (&["logs", "claude-instance-9"], 1, "cq-logs: claude-instance-9 has no log\n"),
        (&["logs", "--raw", "claude-instance-9"], 1, "cq-logs: claude-instance-9 has no log\n"),
        (&["cleanup", "claude-instance-9"], 1, "cq-cleanup: no issue in flight has claude-instance-9\n"),
        (&["status", "--explain", "99"], 77, "cq-status: #99 of acme/widgets is not there, or not visible"),
        (&["claim", "99"], 77, "cq-claim: #99 of acme/widgets is not there, or not visible"),
        (&["fetch", "99"], 1, "cq-fetch: issue #99: #99 of acme/widgets is not there, or not visible"),
    ];
    for (words, status, said) in cases {
        let ran = cq(&house, words).run().ends(status, said);
        assert_eq!(ran.stdout, "", "{words:?}");
        assert!(!ran.stderr.contains("--repo"), "neither the name nor the token is wrong: {}", ran.stderr);
    }
    // Where the repository is not to be seen either, they may be.
    house
        .cq("claim")
        .args(["--repo", "acme/none", "99"])
        .run()
        .ends(77, "check the repository's name (--repo)");
}

/// One that is there is looked at, whatever else was named.
#[test]
fn a_number_for_which_nothing_is_done_is_told_why() {
    let script = json!({"issues": {"2": [{"say": "Nothing to do."}]}});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.configure(|config| config["merge"] = json!({"enabled": true}));
    house.shell("cq-claim 1 2 | cq-spawn --wait | cq-gate | cq-pr").run().good();
    assert_eq!((house.status(1).as_str(), house.status(2).as_str()), ("pr-ready", "failed"));
    let cases: [(&[&str], i32, &str); 6] = [
        (&["pr", "--sync", "2"], 0, "issue #2 is failed: nothing is asked of GitHub\n"),
        (&["pr", "--sync", "1"], 0, "issue #1: nothing new is said of its pull request\n"),
        (&["pr", "--sync", "1", "99"], 1, "issue #1: nothing new is said of its pull request\n"),
        (&["pr", "--merge", "2"], 0, "issue #2 is failed: nothing is merged\n"),
        (&["spawn", "1"], 0, "issue #1 is pr-ready already: no agent is started\n"),
        (&["spawn", "1", "--wait"], 0, "issue #1 is pr-ready already: no agent is started\n"),
    ];
    for (words, status, said) in cases {
        cq(&house, words).run().ends(status, said);
    }
    // What comes by a pipe, and what nobody named, is nobody's question.
    assert_eq!(house.cq("pr").args(["--sync"]).run().quietly().records(), Vec::<Value>::new());
    assert_eq!(house.cq("spawn").fed(house.record(1).to_string()).quietly().numbers(), [1]);

    house.lab.call("PATCH", "/repos/acme/widgets/pulls/4", &json!({"state": "closed"}));
    house.cq("pr").args(["--merge", "1"]).run().ends(0, "issue #1: its pull request is closed\n");
}

/// `cq help nosuch` ended with man's own 16.
#[test]
fn the_umbrella_tells_of_pages_that_are_not_there() {
    let house = House::usual();
    let own = house.place("own");
    fs::create_dir(&own).unwrap();
    let man = "#!/bin/sh\ncase \"$*\" in *cq-claim) echo \"the page: $*\";; *) exit 16;; esac\n";
    fs::write(own.join("man"), man).unwrap();
    house.program("chmod").args(["+x", own.join("man").to_str().unwrap()]).run().good();
    let umbrella = binaries().join("cq");
    let help = |name: &str, path: &str| {
        house.program(umbrella.to_str().unwrap()).args(["help", name]).env("PATH", path).run()
    };
    let path = format!("{}:/usr/bin:/bin", own.display());
    help("nosuch", &path).ends(2, "'nosuch' is not a cq command\nhint: cq --list names them all");
    help("clam", &path).ends(2, "a similar name exists: claim");
    help("../claim", &path).ends(2, "'../claim' is not a cq command");
    help("fetch", &path)
        .ends(78, "there is no manual page of cq-fetch where man looks (MANPATH)\nhint: cq-fetch --help");
    help("fetch", "/nonexistent")
        .ends(78, "program 'man' is not on PATH, or not executable\nhint: cq-fetch --help");
    assert_eq!(help("claim", &path).quietly().stdout, "the page: cq-claim\n");
}
