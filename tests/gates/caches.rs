//! Builds that are kept from one green run to the next, and what is never taken for one.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::support::skip::{bubblewrap_works, skip};
use crate::{House, Plan, check, log_of, shell};

/// Says what it finds in `build`, and builds.
const BUILD: &str =
    "cat build/made 2>/dev/null; mkdir -p build && echo \"made of issue $CQ_ISSUE\" > build/made";

fn house(then: &str) -> House {
    let script = json!({"default": [
        {"write": {"path": ".gitignore", "content": "build\n"}},
        {"write": {"path": "new.txt", "content": "issue {issue}"}}, {"commit": "Add a file"},
        {"run": ["sh", "-c", "mkdir build; echo the agent was here > build/made"]},
    ]});
    let gates = json!([shell("build", &format!("{BUILD}; {then}"))]);
    let house = House::new(&Plan { script, gates, ..Plan::default() });
    house.configure(|config| config["gate"] = json!({"caches": ["build"]}));
    house
}

#[test]
fn a_green_build_is_shared_and_an_agents_is_not() {
    let house = house("true");
    house.work(1).good();
    let first = house.cq("gate").args(["1"]).run().quietly().record();
    assert_eq!(log_of(check(&first, "build")), "", "not what the agent left");
    assert_eq!(first["gates"].get("caches"), None);
    house.work(2).good();
    let second = house.cq("gate").args(["2"]).run().quietly().record();
    assert_eq!(log_of(check(&second, "build")), "made of issue 1\n");
    assert_eq!(second["gates"]["caches"], json!(["build"]));
    house.cq("pr").args(["2"]).run().quietly();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("with `build` from earlier checks"), "{body}");
    // Who doubts what was said doubts what was built.
    house.work(3).good();
    house.cq("gate").args(["3"]).run().quietly();
    let again = house.cq("gate").args(["--again", "3"]).run().quietly().record();
    assert_eq!((log_of(check(&again, "build")).as_str(), again["gates"].get("caches")), ("", None));
}

/// What a tree has files in is no cache: those of another tree, and what that one no longer has, would be checked along.
#[test]
fn a_folder_of_the_tree_is_not_shared() {
    let house = House::usual();
    house.configure(|config| {
        config["gate"] = json!({"caches": ["src"]});
        config["qualityGates"] = json!([shell("alone", "test ! -e src/left && echo left > src/left")]);
    });
    for issue in [1, 2] {
        house.work(issue).good();
        let ran = house.cq("gate").args([issue.to_string()]).run();
        let record = ran.ends(0, "gate.caches: 'src' is in the tree itself, and is not shared").record();
        assert_eq!((&record["gates"]["verdict"], record["gates"].get("caches")), (&json!("passed"), None));
    }
}

/// A build tool that goes by times finds done what is made of nothing in the tree, and makes again what is.
#[test]
fn an_old_build_does_not_make_a_new_tree_green() {
    if !["/usr/bin/make", "/bin/make", "/usr/local/bin/make"]
        .into_iter()
        .any(|make| fs::exists(make).unwrap())
    {
        return skip("an old build", "make is not here");
    }
    let makefile = "all: build/dependency build/program\n\
        build/dependency:\n\t@mkdir -p build && echo the dependency is made && touch $@\n\
        build/program: source.txt\n\t@cp source.txt $@ && echo the program is made\n\
        check: all\n\tgrep -q good build/program\n";
    let source =
        |text: &str| json!([{"write": {"path": "source.txt", "content": text}}, {"commit": "Write it"}]);
    let script = json!({"issues": {"1": source("good"), "2": source("bad"), "3": source("good again")}});
    let files = json!({"Makefile": makefile, "source.txt": "good\n"});
    let seed = json!({"widgets": {"files": files}});
    let house = House::new(&Plan { script, seed, gates: json!(null), ..Plan::default() });
    house.configure(|config| {
        assert_eq!(config["qualityGates"][0]["command"], json!(["make", "check"]), "as cq-init found it");
        config["gate"] = json!({"caches": ["build"]});
    });
    let (both, program) = ("the dependency is made\nthe program is made\n", "the program is made\n");
    for (issue, status, made) in [(1, 0, both), (2, 1, program), (3, 0, program)] {
        house.work(issue).good();
        let record = house.cq("gate").args([issue.to_string()]).run().ends(status, "").record();
        let said = log_of(check(&record, "make check"));
        assert!(said.starts_with(made), "issue {issue}: {said}");
    }
}

#[test]
fn a_red_build_is_not_kept() {
    let house = house("test ! -e new.txt || test \"$CQ_ISSUE\" != 1");
    house.work(1).good();
    house.cq("gate").args(["1"]).run().ends(1, "checks failed");
    house.work(2).good();
    let second = house.cq("gate").args(["2"]).run().quietly().record();
    assert_eq!(log_of(check(&second, "build")), "");
}

/// A check that leaves a link in place of its build gets nothing kept, and nothing written where it leads.
#[test]
fn no_link_is_followed_in_or_out() {
    let house = house("true");
    let outside = house.place("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let line = format!("rm -rf build; ln -s '{}' build", outside.display());
    house.configure(|config| config["qualityGates"] = json!([shell("build", &line)]));
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    let kept = house.clone().join("workspaces/.caches/acme%2Fwidgets");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 0);
    // Nor is a link in the place of what is kept.
    symlink(&outside, kept.join("build")).unwrap();
    house.work(2).good();
    house.configure(|config| config["qualityGates"] = json!([shell("build", "ls build")]));
    house.cq("gate").args(["2"]).run();
    assert!(!log_of(check(&house.record(2), "build")).contains("secret"));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn what_is_too_large_is_not_kept_and_the_check_stays_green() {
    let house = house("head -c 2m /dev/zero > build/large");
    house.configure(|config| config["gate"]["cacheMegabytes"] = json!(1));
    house.work(1).good();
    let ran = house.cq("gate").args(["1"]).run();
    let ran = ran.ends(0, "cannot keep the cache 'build': it is larger than gate.cacheMegabytes");
    assert_eq!(ran.record()["gates"]["verdict"], "passed");
    assert!(!house.clone().join("workspaces/.caches/acme%2Fwidgets/build").exists());
}

/// In a sandbox the home is empty; what is fetched into it can be kept, too.
#[test]
fn a_cache_in_the_home_of_a_sandbox() {
    if !bubblewrap_works("a cache in the home") {
        return;
    }
    let house = house("true");
    let line =
        "cat \"$HOME/.store/x\" 2>/dev/null; mkdir -p \"$HOME/.store\"; echo fetched > \"$HOME/.store/x\"";
    house.configure(|config| {
        config["sandbox"] = json!("required");
        config["gate"]["caches"] = json!(["~/.store"]);
        config["qualityGates"] = json!([shell("fetch", line)]);
    });
    house.work(1).good();
    house.cq("gate").args(["1"]).run().quietly();
    house.work(2).good();
    let second = house.cq("gate").args(["2"]).run().quietly().record();
    assert_eq!(log_of(check(&second, "fetch")), "fetched\n");
    assert!(!house.place("home/.store").exists());
}
