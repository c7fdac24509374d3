//! What is missing or wrong around cq: each with its own exit status, a message, and nothing broken behind it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use crate::House;
use crate::support::house::binaries;

/// A PATH with cq and a shell's usual programs, but without one of them.
fn path_without(house: &House, missing: &str) -> String {
    let folder = house.place(&format!("bin-without-{missing}"));
    fs::create_dir(&folder).unwrap();
    for name in ["sh", "cat", "env", "test", "git"].iter().filter(|name| **name != missing) {
        let found = ["/usr/bin", "/bin"].map(|dir| format!("{dir}/{name}"));
        let found = found.iter().find(|path| fs::exists(path).unwrap()).unwrap();
        symlink(found, folder.join(name)).unwrap();
    }
    format!("{}:{}", binaries().display(), folder.display())
}

#[test]
fn without_git_nothing_starts_and_no_attempt_is_used_up() {
    let house = House::usual();
    house.claim(1);
    let path = path_without(&house, "git");
    let ran = house.cq("spawn").args(["--wait", "1"]).env("PATH", &path).run();
    let ran = ran.ends(78, "program 'git' is not on PATH");
    assert!(ran.stderr.contains("install git"), "{}", ran.stderr);
    let record = house.record(1);
    assert_eq!((record["status"].as_str(), record["claim"]["attempt"].as_u64()), (Some("queued"), Some(1)));
    house.cq("spawn").args(["--wait", "1"]).run().quietly();

    let clone = house.clone();
    let other = house.place("other");
    house.git(&["clone", "--quiet", clone.to_str().unwrap(), other.to_str().unwrap()]);
    let ran = house.shell(&format!("cd '{}' && cq-init --repo acme/widgets", other.display()));
    ran.env("PATH", path).run().ends(78, "program 'git' is not on PATH");
    assert!(!other.join(".cq").exists());
}

#[test]
fn without_the_agent_the_issue_stays_queued() {
    let house = House::usual();
    house.configure(|config| {
        config["agents"]["claude"]["command"] = serde_json::json!(["no-such-agent", "-p"]);
    });
    let ran = house.work(1).ends(78, "program 'no-such-agent' is not on PATH, or not executable");
    assert!(ran.stderr.contains("agents.claude.command"), "{}", ran.stderr);
    let record = house.record(1);
    assert_eq!((record["status"].as_str(), record["claim"]["attempt"].as_u64()), (Some("queued"), Some(1)));
}

/// A key that nobody set used up an attempt before the agent was started.
#[test]
fn without_the_agents_key_the_issue_stays_queued() {
    let house = House::usual();
    house.configure(|config| config["claude"] = serde_json::json!({"apiKey": "${ANTHROPIC_API_KEY}"}));
    house.work(1).ends(78, "'claude.apiKey' names ANTHROPIC_API_KEY, which is not set");
    let record = house.record(1);
    assert_eq!((record["status"].as_str(), record["claim"]["attempt"].as_u64()), (Some("queued"), Some(1)));
}

#[test]
fn without_a_token_nothing_is_pushed() {
    let house = House::usual();
    house.work(1).good();
    house.cq("gate").args(["1"]).without("GITHUB_TOKEN").run().quietly();
    let ran = house.cq("pr").args(["1"]).without("GITHUB_TOKEN").run();
    let ran = ran.ends(77, "cannot open a pull request: no GitHub token");
    assert!(ran.stderr.contains("hint: set GITHUB_TOKEN"), "{}", ran.stderr);
    assert_eq!((house.status(1).as_str(), house.lab.branches().len()), ("testing", 0));
    house.cq("pr").args(["1"]).run().quietly();
}

#[test]
fn a_wrong_token_is_told_and_not_shown() {
    let house = House::usual();
    let wrong = "wrong-token-0123456789";
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    for (name, args) in [("fetch", &[][..]), ("claim", &["2"]), ("pr", &["1"])] {
        let ran = house.cq(name).args(args).env("GITHUB_TOKEN", wrong).run();
        assert!(ran.status == 77 && !ran.stderr.contains(wrong) && ran.stdout.is_empty(), "{ran:#?}");
        assert!(ran.stderr.contains("token"), "{ran:#?}");
    }
    assert_eq!((house.status(1).as_str(), house.status(2).as_str()), ("testing", ""));
    assert!(house.lab.branches().is_empty());
}

#[test]
fn an_unknown_repository_is_told() {
    let house = House::usual();
    let ran = house.cq("fetch").args(["--repo", "acme/gadgets"]).run();
    let ran = ran.ends(77, "not there, or not visible to this token");
    assert!(
        ran.stderr.contains("repos/acme/gadgets/issues") && ran.stderr.contains("--repo"),
        "{}",
        ran.stderr
    );
    house
        .cq("fetch")
        .args(["--repo", "acme"])
        .run()
        .ends(78, "'acme' is not a repository: expected owner/name");
}

#[test]
fn a_github_that_is_down_is_unavailable() {
    let house = House::usual();
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let down = |name: &str, args: &[&str]| {
        let run = house.cq(name).args(args).env("GITHUB_API_URL", &nowhere);
        run.env("GITHUB_SERVER_URL", &nowhere).run().ends(69, &nowhere)
    };
    assert_eq!(down("fetch", &[]).stdout, "");
    down("claim", &["2"]);
    down("pr", &["1"]);
    assert_eq!((house.status(1).as_str(), house.status(2).as_str()), ("testing", ""));
    house.cq("pr").args(["1"]).run().quietly();
}

/// A remote that cannot be reached is nobody's fault but the network's: no attempt is used up.
#[test]
fn a_base_that_cannot_be_fetched_uses_up_no_attempt() {
    let house = House::usual();
    house.claim(1);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run =
        house.cq("spawn").args(["--wait", "1"]).env("GITHUB_SERVER_URL", format!("http://127.0.0.1:{port}"));
    run.run().ends(69, "cannot fetch 'main' from 'http://127.0.0.1:");
    let record = house.record(1);
    assert_eq!((record["status"].as_str(), record["claim"]["attempt"].as_u64()), (Some("queued"), Some(1)));
    house.shell("cq-spawn --wait 1 | cq-gate | cq-pr").run().quietly();
}

#[test]
fn a_misspelt_key_is_named_with_the_nearest() {
    let house = House::usual();
    house.configure(|config| config["queue"]["maxConcurentIssues"] = serde_json::json!(2));
    let ran = house.cq("status").run().ends(78, "maxConcurentIssues");
    assert!(ran.stderr.contains("maxConcurrentIssues"), "{}", ran.stderr);
    assert!(ran.stderr.contains("orchestrator-config.json"), "{}", ran.stderr);
}

#[test]
fn the_umbrella_finds_commands_and_suggests_one() {
    let house = House::usual();
    let umbrella = binaries().join("cq");
    let cq = |args: &[&str]| house.program(umbrella.to_str().unwrap()).args(args);
    assert_eq!(cq(&["fetch"]).run().quietly().numbers(), [1, 2, 3]);
    cq(&["fecth"]).run().ends(2, "a similar name exists: fetch");
    cq(&["fetch", "--no-such-option"]).run().ends(2, "--no-such-option");

    // As in git, any cq-NAME on PATH is a command.
    let own = house.place("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("cq-hello"), "#!/bin/sh\necho hello \"$@\"; exit 3\n").unwrap();
    house.program("chmod").args(["+x", own.join("cq-hello").to_str().unwrap()]).run().good();
    let path = format!("{}:/usr/bin:/bin", own.display());
    assert_eq!(cq(&["hello", "--you"]).env("PATH", path).run().ends(3, "").stdout, "hello --you\n");
}

#[test]
fn a_rate_limit_says_when_to_try_again() {
    let house = House::usual();
    house.lab.break_with(&serde_json::json!([{
        "path": "/repos", "status": 403, "body": {"message": "API rate limit exceeded"},
        "headers": {"x-ratelimit-remaining": "0", "retry-after": "90"},
    }]));
    let ran = house.cq("fetch").run().ends(75, "the rate limit is used up until 20");
    assert!(ran.stderr.contains("--max-wait 9"), "{}", ran.stderr);
    // Another process knows it too, and asks nothing.
    let asked = house.lab.requests_of("GET");
    house.cq("fetch").run().ends(75, "the rate limit is used up until 20");
    assert_eq!(house.lab.requests_of("GET"), asked);
}
