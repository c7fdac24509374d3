//! Which agent works on an issue, what it is told, and how it goes on with a session.

use std::fs;

use serde_json::{Value, json};

use crate::Plan;
use crate::support::house::House;

/// After every wait of a retry.
const LATER: [&str; 2] = ["2199-01-01T00:00:00Z", "2199-01-02T00:00:00Z"];

/// A house whose scripted agent can go on with a session, as Claude Code does, and leaves what it was given outside
/// the clone: `NAME.N` for attempt N.
fn house(script: &Value) -> House {
    let house = House::new(&Plan { script: script.clone(), ..Plan::default() });
    house.configure(|config| {
        let command = config["agents"]["claude"]["command"].clone();
        let resume: Vec<Value> = command.as_array().unwrap().iter().map(resumed).collect();
        config["agents"]["claude"]["resume"] = json!(resume);
    });
    house
}

fn resumed(argument: &Value) -> Value {
    if argument == "--session-id" { json!("--resume") } else { argument.clone() }
}

/// Steps that write down what the agent was given.
fn told() -> [Value; 2] {
    [
        json!({"dump_arguments": "../../../../arguments.{attempt}"}),
        json!({"dump_prompt": "../../../../prompt.{attempt}"}),
    ]
}

fn steps(more: &[Value]) -> Value {
    let [arguments, prompt] = told();
    Value::Array([&[arguments, prompt], more].concat())
}

fn read(house: &House, name: &str) -> String {
    fs::read_to_string(house.place(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn again(house: &House, at: &str) -> Value {
    house.cq("spawn").args(["--wait", "1"]).at(at).run().good();
    house.record(1)
}

/// The agent's arguments after `--script FILE`: how it was told its session.
fn session_of(house: &House, attempt: u32) -> (String, String) {
    let arguments = read(house, &format!("arguments.{attempt}"));
    let lines: Vec<&str> = arguments.lines().collect();
    let at = lines.iter().position(|line| ["--session-id", "--resume"].contains(line)).unwrap();
    (lines[at].to_owned(), lines[at + 1].to_owned())
}

#[test]
fn a_killed_run_goes_on_in_its_session_and_then_from_the_checks() {
    let script = json!({"default": {
        "1": steps(&[json!({"say": "I begin"}), json!({"kill_self": "KILL"})]),
        "2": steps(&[json!({"write": {"path": "bad.txt", "content": "x"}}), json!({"commit": "Half"})]),
        "3": steps(&[json!({"run": ["git", "rm", "-q", "bad.txt"]}),
                     json!({"write": {"path": "good.txt", "content": "x"}}), json!({"commit": "Whole"})]),
    }});
    let house = house(&script);
    house.configure(|config| {
        config["qualityGates"] = json!([{"name": "no-bad", "command": ["test", "!", "-e", "bad.txt"]}]);
    });
    let first = house.work(1).good().record();
    assert_eq!((&first["outcome"], &first["run"]["resumable"]), (&json!("crashed"), &json!(true)));
    assert_eq!(first["run"].get("resumed"), None);

    let second = again(&house, LATER[0]);
    assert_eq!((&second["status"], &second["run"]["resumed"]), (&json!("testing"), &json!(true)));
    assert_eq!(second["run"]["session_id"], first["run"]["session_id"]);
    assert_eq!(second["run"]["turns"], 2, "of this run alone");
    house.cq("gate").args(["1"]).at(LATER[0]).run();
    assert_eq!(house.record(1)["outcome"], "gate-failed");

    let third = again(&house, LATER[1]);
    assert_eq!((&third["status"], &third["run"]["resumed"]), (&json!("testing"), &json!(true)));

    let id = first["run"]["session_id"].as_str().unwrap().to_owned();
    assert_eq!(session_of(&house, 1), ("--session-id".to_owned(), id.clone()));
    for attempt in [2, 3] {
        assert_eq!(session_of(&house, attempt), ("--resume".to_owned(), id.clone()));
    }
    let prompts = [1, 2, 3].map(|attempt| read(&house, &format!("prompt.{attempt}")));
    assert!(prompts[0].contains("Do the first thing."), "{}", prompts[0]);
    assert!(prompts[1].contains("How your last run ended: the process was killed."), "{}", prompts[1]);
    assert!(prompts[2].contains("the checks failed on what was committed."), "{}", prompts[2]);
    assert!(prompts[2].contains("The check 'no-bad' failed"), "{}", prompts[2]);
    assert!(!prompts[1].contains("Do the first thing.") && !prompts[2].contains("Do the first thing."));
    // Each run has an output of its own, although the session is the same.
    let raw = fs::read_dir(house.clone().join("logs/claude-instance-1")).unwrap().flatten();
    let outputs = raw.filter(|entry| entry.file_name().to_string_lossy().ends_with(".stdout.jsonl"));
    assert_eq!(outputs.count(), 3);
}

/// The earlier run's result lies in the session's other output; a supervisor that died did not see this one's end.
#[test]
fn a_result_of_the_run_before_is_not_this_runs() {
    let script = json!({"default": {
        "1": [{"write": {"path": "a.txt", "content": "x"}}, {"commit": "A"}, {"say": "Done."}],
        "2": [{"hang": true}],
    }});
    let house = house(&script);
    house.configure(|config| {
        config["qualityGates"] = json!([{"name": "red", "command": ["test", "!", "-e", "a.txt"]}]);
    });
    house.work(1).good();
    house.cq("gate").args(["1"]).run();
    house.cq("spawn").args(["1"]).at(LATER[0]).run().quietly();
    let record = house.record(1);
    assert_eq!((&record["status"], &record["run"]["resumed"]), (&json!("in-progress"), &json!(true)));
    let pid = record["run"]["supervisor"]["pid"].as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    crate::support::wait::until("the supervisor is gone", || {
        house.cq("monitor").at(LATER[0]).run();
        (house.status(1) == "queued").then_some(())
    });
    assert_eq!(house.record(1)["outcome"], "crashed", "not the success of the first run");
}

#[test]
fn a_session_that_the_agent_does_not_know_is_not_asked_for_again() {
    let unknown = json!({"result": {"subtype": "error_during_execution", "is_error": true, "num_turns": 0,
        "errors": ["No conversation found with session ID: x"]}});
    let script = json!({"default": {
        "1": steps(&[json!({"say": "I begin"}), json!({"exit": 1})]),
        "2": steps(&[unknown]),
        "3": steps(&[json!({"write": {"path": "new.txt", "content": "x"}}), json!({"commit": "Whole"})]),
    }});
    let house = house(&script);
    let first = house.work(1).good().record();
    let second = again(&house, LATER[0]);
    assert_eq!((&second["outcome"], &second["run"]["resumed"]), (&json!("agent-error"), &json!(true)));
    assert_eq!(second["run"].get("resumable"), None);

    let third = again(&house, LATER[1]);
    assert_eq!((&third["status"], third["run"].get("resumed")), (&json!("testing"), None));
    let (option, id) = session_of(&house, 3);
    assert_eq!(option, "--session-id");
    assert_ne!(json!(id), first["run"]["session_id"]);
    let prompt = read(&house, "prompt.3");
    assert!(prompt.contains("which an earlier attempt did not finish"), "{prompt}");
    assert!(prompt.contains("Do the first thing.") && prompt.contains("ended: with an error."), "{prompt}");
}

/// Neither end counts as an attempt, nobody starts before the rest is over, and then the session goes on.
#[test]
fn after_a_usage_limit_or_a_refused_login_the_same_session_goes_on() {
    let cases = [
        (429, "You've hit your limit. Try again in 2 hours.", "usage-limit", "a usage limit was reached"),
        (401, "Invalid API key", "auth", "the API refused the sign-in"),
    ];
    for (status, text, outcome, told) in cases {
        let refused = json!({"error": {"status": status, "text": text}});
        let house = house(&json!({"default": steps(&[json!({"say": "I begin"}), refused])}));
        let first = house.work(1).good().record();
        assert_eq!((&first["outcome"], &first["run"]["resumable"]), (&json!(outcome), &json!(true)));
        let limit: Value =
            serde_json::from_str(&fs::read_to_string(house.state_dir().join("limit.json")).unwrap()).unwrap();
        assert_eq!(limit["kind"], outcome);
        assert_eq!(session_of(&house, 1).0, "--session-id");
        house.cq("spawn").args(["--wait", "1"]).run();
        assert!(house.cq("monitor").run().records().is_empty());
        house.cq("supervise").args(["claude-instance-1"]).run().ends(75, "no agent is started before");
        assert_eq!(house.record(1), first, "it rests");

        let done = json!({"default": steps(&[json!({"write": {"path": "a.txt", "content": "x"}}), json!({"commit": "A"})])});
        fs::write(house.place("script.json"), done.to_string()).unwrap();
        let at = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let due = at(&first["claim"]["not_before"]);
        assert!(due >= at(&limit["until"]), "{first}");
        let due = (due + chrono::TimeDelta::seconds(1)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let second = house.shell("cq-monitor | cq-spawn --wait").at(&due).run().good().record();
        assert_eq!(
            (&second["status"], &second["claim"]["attempt"]),
            (&json!("testing"), &json!(1)),
            "{second}"
        );
        assert_eq!(
            (&second["run"]["resumed"], &second["run"]["session_id"]),
            (&json!(true), &first["run"]["session_id"])
        );
        let id = first["run"]["session_id"].as_str().unwrap().to_owned();
        assert_eq!(session_of(&house, 1), ("--resume".to_owned(), id));
        let prompt = read(&house, "prompt.1");
        assert!(prompt.contains(&format!("How your last run ended: {told}.")), "{prompt}");
        assert!(
            house.state_dir().join("limit.json").exists() == (outcome == "usage-limit"),
            "a login that works ends its rest"
        );
    }
}

/// The cap of a run, and the profile's own words, on the command line of the client that understands them.
#[test]
fn what_a_run_may_do_and_cost_reaches_the_client() {
    let house = house(&json!({"default": steps(&[
        json!({"result": {"is_error": true, "result": "boom", "total_cost_usd": 0.75}}),
    ])}));
    house.configure(|config| {
        config["budget"] = json!({"perRunUsd": 5.0, "perIssueUsd": 3.0});
        let profile = &mut config["agents"]["claude"];
        (profile["model"], profile["maxTurns"], profile["permissionMode"]) =
            (json!("m"), json!(7), json!("plan"));
        profile["maxCostUsd"] = json!(2.5);
    });
    let said = |attempt: u32| read(&house, &format!("arguments.{attempt}")).replace('\n', " ");
    house.work(1).good();
    assert!(
        said(1).contains("--model m --permission-mode plan --max-turns 7 --max-budget-usd 2.5"),
        "{}",
        said(1)
    );
    // The issue has $2.25 left, and the session that goes on has cost $0.75.
    again(&house, LATER[0]);
    assert!(said(2).contains("--max-turns 7 --max-budget-usd 3 "), "{}", said(2));
}

/// Without a `resume` of its own, a command begins anew each time, and is told everything.
#[test]
fn without_a_form_for_it_no_session_goes_on() {
    let script = json!({"default": {
        "1": steps(&[json!({"say": "I begin"}), json!({"exit": 1})]),
        "2": steps(&[json!({"exit": 1})]),
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.work(1).good();
    let second = again(&house, LATER[0]);
    assert_eq!(second["run"].get("resumed"), None);
    assert_ne!(session_of(&house, 1), session_of(&house, 2));
    assert!(
        read(&house, "prompt.2")
            .starts_with("You are working autonomously on GitHub issue #1 of acme/widgets, which")
    );
}

/// A worktree that is gone is made again, and its files are not those that the session remembers.
#[test]
fn a_session_does_not_go_on_in_another_worktree() {
    let script = json!({"default": {
        "1": steps(&[json!({"say": "I begin"}), json!({"exit": 1})]),
        "2": steps(&[json!({"exit": 1})]),
    }});
    let house = house(&script);
    let first = house.work(1).good().record();
    assert_eq!(first["run"]["resumable"], true);
    fs::remove_dir_all(house.workspace(1).join("widgets")).unwrap();
    let second = again(&house, LATER[0]);
    assert_eq!(second["run"].get("resumed"), None, "{second}");
}

/// Programs that write down under which name they were started, beside the agent that `agent` names.
fn several(house: &House) {
    house.configure(|config| {
        for name in ["red", "green"] {
            let line = format!("echo {name} > {name}.txt; cat \"$1\" > prompt.copy");
            config["agents"][name] = json!({
                "command": ["sh", "-c", line, name, "{prompt_file}"], "prompt": "file",
            });
        }
        config["agents"]["command"] = json!({"command": ["sh", "-c", "cat > from-stdin.txt"]});
        config["agentLabels"] = json!({"agent:green": "green", "P2": "green", "P3": "nobody"});
    });
}

#[test]
fn who_works_is_asked_for_or_follows_from_labels() {
    let house = House::with_steps(&json!([{"write": {"path": "usual.txt", "content": "x"}}]));
    several(&house);
    let cases: [(&[&str], &str, &str, &str); 3] = [
        (&["--agent", "red", "1"], "1", "red", "red.txt"),
        (&["2"], "2", "green", "green.txt"),
        (&["--agent", "command", "3"], "3", "command", "from-stdin.txt"),
    ];
    for (arguments, issue, agent, file) in cases {
        let number: u64 = issue.parse().unwrap();
        house.claim(number);
        house.cq("spawn").args(["--wait"]).args(arguments).run().good();
        let record = house.record(number);
        assert_eq!(
            (&record["outcome"], &record["run"]["agent"]),
            (&json!("success"), &json!(agent)),
            "{issue}"
        );
        let branch = record["claim"]["branch"].as_str().unwrap();
        let changed = house.git(&["diff", "--name-only", "main", branch]);
        assert!(changed.contains(file), "{issue}: {changed}");
        if agent != "command" {
            let prompt = house.git(&["show", &format!("{branch}:prompt.copy")]);
            assert!(prompt.starts_with("You are working autonomously"), "{prompt}");
        }
    }
}

#[test]
fn a_profile_that_nobody_knows_starts_nothing() {
    let house = House::usual();
    several(&house);
    house.claim(1);
    let ran = house
        .cq("spawn")
        .args(["--agent", "purple", "1"])
        .run()
        .ends(78, "there is no agent profile 'purple'");
    assert!(
        ran.stderr.contains("known: claude, codex, command, gemini, green, opencode, red"),
        "{}",
        ran.stderr
    );
    house.claim(3);
    house.cq("spawn").args(["3"]).run().ends(78, "issue #3, label 'P3': there is no agent profile 'nobody'");
    assert_eq!((house.status(1).as_str(), house.status(3).as_str()), ("queued", "queued"));
    assert_eq!(house.record(1)["claim"]["attempt"], 1);
    assert!(!house.workspace(1).join("widgets").exists(), "no workspace was made");
}

/// codex says which session it is in; cq asks for that one again. The program plays the recorded run.
#[test]
fn a_reported_session_is_gone_on_with() {
    let house = House::usual();
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agents/codex/success.jsonl");
    let line = "echo \"$@\" >> ../../../../arguments; cat > ../../../../prompt; head -n \"$LINES_TO_SAY\" \"$RECORDED\"; \
                echo x >> made.txt; exit \"$STATUS\"";
    let program = house.place("codex");
    fs::File::create(&program)
        .and_then(|mut file| std::io::Write::write_all(&mut file, format!("#!/bin/sh\n{line}\n").as_bytes()))
        .unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let place = |lines: &str, status: &str| {
        house.configure(|config| {
            config["agent"] = json!("codex");
            let vector = |more: &[&str]| -> Vec<Value> {
                let begin = [json!(program), json!("exec"), json!("{options}")];
                begin.into_iter().chain(more.iter().map(|word| json!(word))).collect()
            };
            config["agents"]["codex"] = json!({
                "command": vector(&["-"]), "resume": vector(&["resume", "{session_id}", "-"]), "model": "m",
                "envSet": {"LINES_TO_SAY": lines, "STATUS": status, "RECORDED": recorded},
            });
        });
    };
    place("6", "1");
    let first = house.work(1).good().record();
    let id = "01a20440-f8eb-7f73-9300-61e705eb5370";
    assert_eq!((&first["outcome"], &first["run"]["session_id"]), (&json!("agent-error"), &json!(id)));
    assert_eq!((&first["run"]["turns"], &first["run"]["resumable"]), (&json!(1), &json!(true)));
    place("99", "0");
    let second = again(&house, LATER[0]);
    assert_eq!((&second["status"], &second["run"]["resumed"]), (&json!("testing"), &json!(true)));
    assert_eq!((&second["run"]["session_id"], &second["run"]["tokens"]["input"]), (&json!(id), &json!(3600)));
    assert_eq!(second["run"]["summary"], "Done.");
    assert_eq!(read(&house, "arguments"), format!("exec -m m -\nexec -m m resume {id} -\n"));
    assert!(read(&house, "prompt").starts_with("Go on with GitHub issue #1 in this session."));
}
