//! Which sandbox is in force, what is said of it, and what the configuration opens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::{House, Plan, sandboxed};

/// A PATH on which bubblewrap fails.
fn with_a_broken_bubblewrap(house: &House) -> String {
    let folder = house.place("broken");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("bwrap");
    fs::write(&program, "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = house.shell("printf %s \"$PATH\"").run().good().stdout;
    format!("{}:{path}", folder.display())
}

#[test]
fn a_required_sandbox_that_does_not_work_refuses() {
    for wanted in ["required", "bubblewrap"] {
        let house = House::new(&Plan::default());
        house.configure(|config| config["sandbox"] = json!(wanted));
        let path = with_a_broken_bubblewrap(&house);
        house.claim(1);
        let ran = house.cq("spawn").args(["--wait", "1"]).env("PATH", &path).run();
        let ran = ran.ends(78, "but bubblewrap does not work here: setting up uid map: Permission denied");
        assert!(
            ran.stderr.contains("hint: install bubblewrap, and let users make user namespaces"),
            "{ran:#?}"
        );
        assert_eq!(house.status(1), "queued", "the attempt does not count");
        let doctor = house.cq("doctor").env("PATH", path).run();
        let finding = doctor.records().into_iter().find(|finding| finding["check"] == "sandbox").unwrap();
        assert_eq!(finding["verdict"], "error", "{finding}");
    }
}

#[test]
fn auto_does_without_one_that_does_not_work_and_says_so() {
    let house = House::new(&Plan::default());
    house.configure(|config| config["sandbox"] = json!("auto"));
    let path = with_a_broken_bubblewrap(&house);
    house.claim(1);
    let record = house.cq("spawn").args(["--wait", "1"]).env("PATH", &path).run().quietly().record();
    assert_eq!((&record["status"], &record["run"]["sandbox"]), (&json!("testing"), &json!("none")));
    let told = house.log(1);
    assert_eq!(told.matches("without a sandbox, because bubblewrap does not work here").count(), 1, "{told}");
    let doctor = house.cq("doctor").env("PATH", path).run();
    let finding = doctor.records().into_iter().find(|finding| finding["check"] == "sandbox").unwrap();
    assert_eq!(finding["verdict"], "warning", "{finding}");
    assert!(finding["fix"].as_str().unwrap().contains("install bubblewrap"), "{finding}");
}

#[test]
fn the_tier_in_force_is_shown() {
    let script = json!({"default": [{"hang": true}]});
    let Some(house) = sandboxed("the tier in force", script) else { return };
    house.configure(|config| config["sandbox"] = json!("auto"));
    house.work_detached(1);
    let shown = house.cq("status").args(["--format", "table"]).run().good();
    assert!(shown.stderr.contains("1 agent in a sandbox (bubblewrap)"), "{shown:#?}");
    let told = house.cq("status").args(["--explain", "1"]).run().good().stdout;
    assert!(told.contains("its agent is in a sandbox (bubblewrap)"), "{told}");
    let doctor = house.cq("doctor").run();
    let finding = doctor.records().into_iter().find(|finding| finding["check"] == "sandbox").unwrap();
    assert_eq!(finding["verdict"], "ok", "{finding}");
    house.cq("stop").args(["--abort"]).run();
}

/// A loopback of its own has nobody on it; the same question gets its answer where the network is open.
#[test]
fn without_network_the_host_cannot_be_reached() {
    for (network, expected) in [("open", "reached"), ("none", "alone")] {
        let Some(house) = sandboxed("the network", json!({})) else { return };
        let ask =
            "if git ls-remote -q \"$0\" >/dev/null 2>&1; then echo reached; else echo alone; fi > seen.txt";
        let address = format!("{}/acme/widgets.git", house.lab.address());
        let script = json!({"default": [{"run": ["sh", "-c", ask, address]}, {"commit": "Look"}]});
        fs::write(house.place("script.json"), script.to_string()).unwrap();
        house.configure(|config| config["sandboxAccess"]["network"] = json!(network));
        house.work(1).good();
        let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
        assert_eq!(house.git(&["show", &format!("{branch}:seen.txt")]), expected);
    }
}

#[test]
fn the_configuration_opens_more() {
    let script = json!({"default": [
        {"run": ["sh", "-c", "cat \"$0/shelf/book\" > seen.txt; echo w > \"$0/desk/note\"; \
                  echo x > \"$0/shelf/bad\"; cat \"$0/desk/private\"; true", "ROOT"]},
        {"commit": "Look"},
    ]});
    let Some(house) = sandboxed("more access", json!({})) else { return };
    let text = script.to_string().replace("ROOT", &house.root().display().to_string());
    fs::write(house.place("script.json"), text).unwrap();
    for folder in ["shelf", "desk"] {
        fs::create_dir(house.place(folder)).unwrap();
    }
    fs::write(house.place("shelf/book"), "a book").unwrap();
    house.configure(|config| {
        config["sandboxAccess"]["read"] = json!(["../shelf"]);
        config["sandboxAccess"]["write"] = json!([house.place("desk")]);
    });
    house.work(1).good();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git(&["show", &format!("{branch}:seen.txt")]), "a book");
    assert_eq!(fs::read_to_string(house.place("desk/note")).unwrap(), "w\n");
    assert!(!house.place("shelf/bad").exists());

    house.configure(|config| config["sandboxAccess"]["read"] = json!(["../nowhere"]));
    house.claim(2);
    house.cq("spawn").args(["--wait", "2"]).run().ends(78, "'sandboxAccess.read' names '");
}

/// How the agent is signed in goes along, to read; what it writes beside stays with its instance.
#[test]
fn an_agents_own_sign_in_is_there_and_cannot_be_written() {
    let look = "cat \"$HOME/.claude/.credentials.json\" > seen.txt; echo x > \"$HOME/.claude/.credentials.json\"; \
        echo mine > \"$HOME/.claude/session\"; cat \"$HOME/.claude/history\"; true";
    let script = json!({"default": [{"run": ["sh", "-c", look]}, {"commit": "Look"}]});
    let Some(house) = sandboxed("the sign-in", script) else { return };
    let claude = house.place("home/.claude");
    fs::create_dir_all(&claude).unwrap();
    fs::write(claude.join(".credentials.json"), "signed in").unwrap();
    fs::write(claude.join("history"), "private").unwrap();
    // The scripted agent by the name of the real one.
    let program = house.place("home/.local/bin/claude");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cq-lab"), &program).unwrap();
    house.configure(|config| config["agents"]["claude"]["command"][0] = json!(program));
    house.work(1).good();
    let branch = house.record(1)["claim"]["branch"].as_str().unwrap().to_owned();
    assert_eq!(house.git(&["show", &format!("{branch}:seen.txt")]), "signed in");
    assert_eq!(fs::read_to_string(claude.join(".credentials.json")).unwrap(), "signed in");
    assert!(!claude.join("session").exists());
    let kept = house.workspace(1).join(".sandbox/home/.claude/session");
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine\n");
    assert!(!house.log(1).contains("private"));
}
