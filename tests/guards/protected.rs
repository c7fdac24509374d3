//! Paths, links, submodules and sizes: what keeps a change back, and how a person lets it through.

use std::fs;

use serde_json::{Value, json};

use crate::stream::{Says, Stream};
use crate::{House, Plan, assert_nothing_arrived};

/// A house in which issue #1 is checked, after an agent wrote these files.
fn written(files: &[(&str, &str)]) -> House {
    let mut steps: Vec<Value> =
        files.iter().map(|(path, content)| json!({"write": {"path": path, "content": content}})).collect();
    steps.push(json!({"commit": "Do the first thing"}));
    let house = House::with_steps(&json!(steps));
    house.work(1).good();
    house.cq("gate").args(["1"]).run().good();
    house
}

#[test]
fn a_workflow_waits_for_a_persons_word() {
    let house = written(&[(".github/workflows/ci.yml", "on: push\n"), ("src/a.txt", "a\n")]);
    let ran = house.cq("pr").args(["1"]).run();
    let ran = ran.ends(77, "'.github/workflows/ci.yml': added: it decides what runs in CI");
    assert!(ran.stderr.contains("cq-pr --allow-protected 1"), "{}", ran.stderr);
    assert_eq!(ran.record()["status"], "failed");
    assert_nothing_arrived(&house);
    let record = house.record(1);
    assert_eq!((&record["outcome"], &record["guards"]["withheld"]), (&json!("withheld"), &json!(true)));
    assert_eq!(
        record["history"].as_array().unwrap().last().unwrap()["why"],
        "not pushed, for a protected path"
    );

    // Nobody else goes on with it, and age does not remove it.
    assert!(house.cq("monitor").run().good().records().is_empty());
    house.configure(|config| config["workspace"]["cleanupAfterHours"] = json!(0));
    assert!(house.cq("cleanup").run().good().stdout.is_empty());
    house.cq("pr").args(["1"]).run().ends(77, "added: it decides what runs in CI");
    assert_eq!(house.record(1)["history"], record["history"]);
    assert!(
        house
            .cq("status")
            .args(["--explain", "1"])
            .run()
            .good()
            .stdout
            .contains("cq-pr 1 tells what keeps it")
    );
    house.cq("pr").args(["--allow-protected"]).run().ends(2, "ISSUE");

    let ran = house.cq("pr").args(["--allow-protected", "1"]).run();
    let ran = ran.ends(0, "it decides what runs in CI; a person let it through");
    assert_eq!(ran.record()["status"], "pr-ready");
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    let heading =
        "### Look at this first\n\n- '.github/workflows/ci.yml': added: it decides what runs in CI; a person";
    assert!(body.contains(heading), "{body}");
}

/// The word of a person is about what was there to be seen.
#[test]
fn what_a_person_let_through_is_that_and_no_more() {
    let house = written(&[(".mcp.json", "{}\n")]);
    house.cq("pr").args(["--allow-protected", "--dry-run", "1"]).run().ends(0, "would push");
    house.cq("pr").args(["1"]).run().ends(77, "'.mcp.json'");
    // Let through, but not delivered.
    house
        .lab
        .break_with(&json!([{"method": "POST", "path": "/repos/*/*/pulls$", "times": 9, "status": 502}]));
    house.cq("pr").args(["--allow-protected", "1"]).run().ends(69, "a person let it through");
    house.lab.mend();
    house.forget_github();
    house.cq("pr").args(["1"]).run().ends(0, "a person let it through");
    assert_eq!(house.status(1), "pr-ready");
    let mut record = house.record(1);
    assert_eq!(record["guards"]["permitted"].as_array().unwrap().len(), 1);

    // Another content is another matter.
    let branch = record["claim"]["branch"].as_str().unwrap().to_owned();
    let mut stream = Stream::default();
    stream.commit(&branch, &Says::default(), &[&format!("refs/heads/{branch}^0")]);
    stream.file("100644", b".mcp.json", b"{\"mcpServers\": {}}\n");
    house.program("git").args(["fast-import", "--force", "--quiet", "--done"]).fed(stream.bytes()).good();
    record["status"] = json!("testing");
    record["gates"]["tree"] = json!(house.git(&["rev-parse", &format!("{branch}^{{tree}}")]));
    fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    house.cq("pr").args(["1"]).run().ends(77, "'.mcp.json': added");
}

#[test]
fn lock_files_are_pushed_and_named() {
    let house = written(&[("Cargo.lock", "version = 4\n"), ("src/a.txt", "a\n")]);
    let ran = house.cq("pr").args(["1"]).run();
    ran.ends(0, "issue #1: 'Cargo.lock': added: it decides which packages others get");
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("### Look at this first\n\n- 'Cargo.lock': added"), "{body}");
    assert!(!body.contains("src/a.txt'"), "{body}");
}

#[test]
fn an_old_template_does_not_hide_what_is_flagged() {
    let house = written(&[("Cargo.lock", "version = 4\n")]);
    let template = house.clone().join("workspaces/shared/templates/pull-request-template.md");
    fs::write(template, "Closes #{issue_number}. {summary}\n").unwrap();
    house.cq("pr").args(["1"]).run().good();
    let body = house.lab.pulls()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.starts_with("### Look at this first\n\n- 'Cargo.lock'"), "{body}");
}

#[test]
fn an_agent_that_is_sent_back_is_told_what_to_put_back() {
    let script = json!({"default": {
        "1": [{"write": {"path": "CODEOWNERS", "content": "* @me\n"}}, {"write": {"path": "a.txt", "content": "a\n"}},
              {"commit": "Do the first thing"}],
        "2": [{"dump_prompt": "../prompt.txt"}, {"run": ["git", "rm", "--quiet", "CODEOWNERS"]},
              {"commit": "Put it back"}],
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.work(1).good();
    house.cq("gate").args(["1"]).run().good();
    house.cq("pr").args(["1"]).run().ends(77, "'CODEOWNERS': added: it decides who has a say");
    let record = house.record(1);
    let feedback = record["feedback"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(feedback["from"], "guard");
    assert!(feedback["text"].as_str().unwrap().contains("Make these as they are on main"), "{feedback}");
    house.cq("claim").args(["--retry", "1"]).run().good();
    assert_eq!(house.record(1)["status"], "queued");
}

/// A person takes it out of the branch by hand: the checks run again, and the pull request is opened.
#[test]
fn what_a_person_has_mended_goes_on() {
    let house = written(&[(".mcp.json", "{}\n"), ("src/a.txt", "a\n")]);
    house.cq("pr").args(["1"]).run().ends(77, "'.mcp.json': added");
    let worktree = house.workspace(1).join("widgets");
    house.git_in(&worktree, &["rm", "--quiet", ".mcp.json"]);
    house.git_in(&worktree, &["commit", "--quiet", "--amend", "--message", "Do the first thing"]);
    house.cq("pr").args(["1"]).run().ends(77, "the branch has changed since it was checked");
    let record = house.shell("cq-gate 1 | cq-pr").run().quietly().record();
    assert_eq!((&record["status"], &record["outcome"]), (&json!("pr-ready"), &json!("success")));
    assert_eq!(record["guards"]["withheld"], false);
}

/// Puts something into the commit that was begun.
type Change = fn(&mut Stream);

/// What no agent's client would write, but git takes.
#[test]
fn nothing_slips_through_under_another_name() {
    let house = written(&[("src/a.txt", "a\n")]);
    let record = house.record(1);
    let branch = record["claim"]["branch"].as_str().unwrap().to_owned();
    let base = record["claim"]["base_sha"].as_str().unwrap().to_owned();
    let cases: [(&str, Change); 12] = [
        ("'.GitHub/Workflows/CI.yml': added", |stream| {
            stream.file("100644", b".GitHub/Workflows/CI.yml", b"on: push\n");
        }),
        ("'.github/workflows/a\"b\\nc.yml': added", |stream| {
            stream.file("100644", b".github/workflows/a\"b\nc.yml", b"x\n");
        }),
        ("'sub/.claude/settings.json': added", |stream| {
            stream.file("100755", b"sub/.claude/settings.json", b"{}\n");
        }),
        ("'.github\\workflows\\x.yml': added", |stream| {
            stream.file("100644", b".github\\workflows\\x.yml", b"x\n");
        }),
        ("'.claude': added", |stream| stream.file("120000", b".claude", b"src")),
        ("'.github': added", |stream| stream.file("120000", b".github", b"src")),
        ("'here': a link to '/etc', which is not in the tree", |stream| {
            stream.file("120000", b"here", b"/etc");
        }),
        ("'src/up': a link to '../../x', which is not in the tree", |stream| {
            stream.file("120000", b"src/up", b"../../x");
        }),
        ("'lib': a submodule", |stream| stream.submodule(b"lib", "78981922613b2afb6025042ff6bd878ac1994e85")),
        ("301 files, and guards.maxFiles is 300", |stream| {
            (0..301).for_each(|at| stream.file("100644", format!("many/{at}").as_bytes(), b"x\n"));
        }),
        ("10001 changed lines, and guards.maxLines is 10000", |stream| {
            stream.file("100644", b"long.txt", &b"x\n".repeat(10_001));
        }),
        ("11 megabytes of new files, and guards.maxMegabytes is 10", |stream| {
            stream.file("100644", b"big.bin", &vec![0; (10 << 20) + 1]);
        }),
    ];
    for (expected, change) in cases {
        let mut stream = Stream::default();
        stream.commit(&branch, &Says::default(), &[&base]);
        change(&mut stream);
        house.program("git").args(["fast-import", "--force", "--quiet", "--done"]).fed(stream.bytes()).good();
        let mut record = record.clone();
        record["gates"]["tree"] = json!(house.git(&["rev-parse", &format!("{branch}^{{tree}}")]));
        fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
        house.cq("pr").args(["1"]).run().ends(77, expected);
    }
    assert_nothing_arrived(&house);
}

/// A file that is large, and gone again at the end, would still be pushed.
#[test]
fn what_is_large_only_in_between_counts() {
    let house = written(&[("src/a.txt", "a\n")]);
    let mut record = house.record(1);
    let branch = record["claim"]["branch"].as_str().unwrap().to_owned();
    let mut stream = Stream::default();
    stream.commit(&branch, &Says::default(), &[record["claim"]["base_sha"].as_str().unwrap()]);
    stream.file("100644", b"big.bin", &vec![7; (1 << 20) + 1]);
    stream.file("100644", b".mcp.json", b"{}\n");
    stream.commit(&branch, &Says::default(), &[]);
    stream.remove(b"big.bin");
    stream.remove(b".mcp.json");
    stream.file("100644", b"src/a.txt", b"b\n");
    house.program("git").args(["fast-import", "--force", "--quiet", "--done"]).fed(stream.bytes()).good();
    record["gates"]["tree"] = json!(house.git(&["rev-parse", &format!("{branch}^{{tree}}")]));
    fs::write(house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    house.configure(|config| config["guards"] = json!({"maxMegabytes": 1}));
    house.cq("pr").args(["1"]).run().ends(77, "2 megabytes of new files, and guards.maxMegabytes is 1");
    house.configure(|config| config["guards"] = json!({"maxMegabytes": 0}));
    let ran = house.cq("pr").args(["1"]).run();
    ran.ends(0, "'.mcp.json': changed, and as it was again at the end: added");
}
