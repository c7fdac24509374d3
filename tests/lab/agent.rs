//! The scripted agent, started as cq starts Claude Code.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LAB, git, good};

/// Runs the agent in a fresh repository.
fn play(script: Option<&Value>, environment: &[(&str, &str)]) -> (TempDir, Output, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    good(&git(folder.path(), &["init", "-q", "-b", "main"]));
    let mut command = Command::new(LAB);
    command
        .arg("agent")
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(environment.iter().copied()).env("CQ_ISSUE", "12");
    let aside = tempfile::tempdir().unwrap();
    if let Some(script) = script {
        let file = aside.path().join("script.json");
        fs::write(&file, script.to_string()).unwrap();
        command.arg("--script").arg(file);
    }
    command.args(["-p", "--output-format", "stream-json", "--verbose", "--session-id", "S"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Do it.").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let events = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (folder, output, events)
}

#[test]
fn an_agent_without_a_script_does_its_duty() {
    let (folder, output, events) = play(None, &[]);
    assert_eq!(output.status.code(), Some(0));
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let turn = ["assistant", "user"];
    assert_eq!(kinds, [&["system", "assistant"][..], &turn, &turn, &["assistant", "result"]].concat());
    assert!(events.iter().all(|event| event["session_id"] == "S"));
    assert_eq!(good(&git(folder.path(), &["log", "--format=%an: %s"])), "cq-lab agent: Rehearse issue #12");
    assert_eq!(good(&git(folder.path(), &["status", "--porcelain"])), "");
}

#[test]
fn an_agent_does_what_its_script_says() {
    let script = json!({"issues": {"12": {
        "1": [{"write": {"path": "a/{attempt}.txt", "content": "x"}}, {"run": ["ls", "a"]}, {"dump_env": "env"},
              {"dump_prompt": "prompt"}, {"commit": "Add"}, {"commit": "Again"}, {"print_stderr": "oh"},
              {"print_secret": "TOKEN"}],
        "2": [{"say": "no"}, {"error": {"status": 529}}],
        "3": [{"print_raw": "not json"}, {"kill_self": "KILL"}],
        "4": [{"ignore_sigterm": true}, {"kill_self": "TERM"}, {"say": "still here"}],
        "5": [{"kill_self": "TERM"}],
        "6": [{"leave_child": {"seconds": 1, "setsid": true, "double_fork": true}}],
    }}});
    let at = |attempt: &str| play(Some(&script), &[("CQ_ATTEMPT", attempt), ("TOKEN", "s3cret")]);
    let (folder, output, events) = at("1");
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b"oh\n"[..]));
    assert_eq!(good(&git(folder.path(), &["log", "--format=%s"])), "Add");
    assert_eq!(fs::read_to_string(folder.path().join("prompt")).unwrap(), "Do it.");
    assert!(fs::read_to_string(folder.path().join("env")).unwrap().contains("TOKEN=s3cret\n"));
    assert!(events.iter().any(|event| event["message"]["content"][0]["content"] == "1.txt\n"));
    assert!(events.last().unwrap()["result"].as_str().unwrap().contains("s3cret"));

    let (_, output, events) = at("2");
    let last = events.last().unwrap();
    assert_eq!((output.status.code(), &last["is_error"]), (Some(1), &json!(true)));
    assert_eq!((&last["subtype"], &last["api_error_status"]), (&json!("success"), &json!(529)));

    let (_, output, events) = at("3");
    assert_eq!((output.status.signal(), events.len()), (Some(9), 1));
    let (_, output, events) = at("4");
    assert_eq!((output.status.code(), &events.last().unwrap()["result"]), (Some(0), &json!("still here")));
    assert_eq!(at("5").1.status.signal(), Some(15));
    assert_eq!(at("6").1.status.code(), Some(0));
}
