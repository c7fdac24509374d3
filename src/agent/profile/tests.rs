use super::*;
use crate::record::{Claim, Issue, Run};

const NOWHERE: &str = "/nonexistent";

fn named(text: &str, name: &str) -> Result<Agent> {
    Agent::named(&Config::parse(text).unwrap(), name)
}

fn start(resumed: bool, cap_usd: Option<f64>) -> Start<'static> {
    let (worktree, prompt) = (Path::new(NOWHERE), Path::new("/w/prompt.md"));
    Start { session_id: "ID", resumed, worktree, prompt, cap_usd }
}

fn vector(agent: &Agent, resumed: bool) -> String {
    let arguments = agent.arguments(&start(resumed, None));
    format!("{} {}", agent.program(), arguments.join(" "))
}

#[test]
fn the_built_in_ones_start_and_go_on_as_measured() {
    let claude = "claude -p --output-format stream-json --verbose --session-id ID --setting-sources user \
                  --strict-mcp-config --allowedTools Bash(git add:*),Bash(git commit:*),Bash(git status:*),\
                  Bash(git diff:*),Bash(git log:*) --permission-mode acceptEdits";
    let codex = "codex exec --json -c analytics.enabled=false --dangerously-bypass-approvals-and-sandbox";
    let gemini = "gemini -o stream-json --session-id ID --approval-mode yolo";
    let opencode = "opencode run --format json";
    let cases = [
        ("claude", claude.to_owned(), claude.replace("--session-id", "--resume")),
        ("codex", format!("{codex} -"), format!("{codex} resume ID -")),
        ("gemini", gemini.to_owned(), gemini.replace("--session-id", "--resume")),
        ("opencode", opencode.to_owned(), format!("{opencode} -s ID")),
    ];
    for (name, begin, go_on) in cases {
        let agent = named("{}", name).unwrap();
        assert_eq!((vector(&agent, false), vector(&agent, true)), (begin, go_on));
        assert_eq!((agent.prompt, agent.commit_leftovers), (PromptBy::Stdin, true), "{name}");
        let reported = ["codex", "opencode"].contains(&name);
        assert_eq!(agent.session == SessionBy::Reported, reported, "{name}");
        assert!(
            !agent.env_pass.iter().any(|name| name.contains("GITHUB") || name.starts_with("GH_")),
            "{name}"
        );
    }
}

#[test]
fn options_are_said_in_the_clients_own_words() {
    let cases = [
        (
            "claude",
            r#"{"model":"m","allowedTools":["Read","Bash(make:*)"],"permissionMode":"plan","maxTurns":9,"maxCostUsd":2.5}"#,
            "--model m --allowedTools Read,Bash(make:*) --permission-mode plan --max-turns 9",
        ),
        ("claude", r#"{"allowedTools":[]}"#, "--strict-mcp-config --permission-mode acceptEdits"),
        ("codex", r#"{"model":"m","permissionMode":"workspace-write"}"#, "-m m --sandbox workspace-write -"),
        (
            "gemini",
            r#"{"model":"m","allowedTools":["a","b"]}"#,
            "-m m --allowed-tools a,b --approval-mode yolo",
        ),
        ("opencode", r#"{"model":"p/m","permissionMode":"auto","maxCostUsd":1}"#, "-m p/m --auto"),
    ];
    for (name, profile, expected) in cases {
        let agent = named(&format!(r#"{{"agents":{{"{name}":{profile}}}}}"#), name).unwrap();
        assert!(vector(&agent, false).ends_with(expected), "{name}: {}", vector(&agent, false));
    }
    let agent = named(r#"{"agents":{"codex":{"model":"m"}}}"#, "codex").unwrap();
    let expected = "-m m --dangerously-bypass-approvals-and-sandbox resume ID -";
    assert!(vector(&agent, true).ends_with(expected), "before the subcommand, which does not know them all");
}

#[test]
fn what_a_run_may_cost_is_said_to_who_understands_it() {
    let agent = named("{}", "claude").unwrap();
    let last = |resumed, dollars| agent.arguments(&start(resumed, Some(dollars))).join(" ");
    for (dollars, said) in [(2.5, "2.5"), (0.1 + 0.2, "0.3"), (1e-9, "0.0001"), (4.0, "4")] {
        for resumed in [false, true] {
            assert!(last(resumed, dollars).ends_with(&format!("--max-budget-usd {said}")), "{dollars}");
        }
    }
    for name in ["codex", "gemini", "opencode"] {
        let agent = named("{}", name).unwrap();
        assert_eq!(agent.arguments(&start(false, Some(1.0))), agent.arguments(&start(false, None)), "{name}");
    }
}

#[test]
fn what_an_agent_cannot_be_told_is_refused() {
    let cases = [
        ("codex", r#"{"maxTurns":3}"#, "agents.codex.maxTurns"),
        ("codex", r#"{"maxCostUsd":3}"#, "agents.codex.maxCostUsd"),
        ("codex", r#"{"allowedTools":["a"]}"#, "agents.codex.allowedTools"),
        ("claude", r#"{"maxTurns":0}"#, "agents.claude.maxTurns"),
        ("claude", r#"{"maxCostUsd":0}"#, "agents.claude.maxCostUsd"),
        ("opencode", r#"{"permissionMode":"plan"}"#, "agents.opencode.permissionMode"),
        ("command", r#"{"command":["make"],"model":"m"}"#, "agents.command.model"),
        ("command", r#"{"command":["make"],"permissionMode":"m"}"#, "agents.command.permissionMode"),
        ("command", "{}", "'agents.command.command' is empty"),
        ("mine", "{}", "'agents.mine.command' is empty"),
        ("claude", r#"{"resume":["other","{session_id}"]}"#, "does not start the program"),
        ("claude", r#"{"resume":["claude","--continue"]}"#, "does not say {session_id}"),
        ("mine", r#"{"command":["make"],"prompt":"file"}"#, "says {prompt_file} if"),
        ("mine", r#"{"command":["make","{prompt_file}"]}"#, "says {prompt_file} if"),
    ];
    for (name, profile, expected) in cases {
        let error = named(&format!(r#"{{"agents":{{"{name}":{profile}}}}}"#), name).unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert!(error.to_string().contains(expected), "{profile}: {error}");
    }
    let error = named(r#"{"agents":{"mine":{"command":["make"]}}}"#, "yours").unwrap_err();
    assert_eq!(error.to_string(), "there is no agent profile 'yours'");
    let known = "known: claude, codex, command, gemini, mine, opencode; others are added under 'agents'";
    assert_eq!(error.hint.as_deref(), Some(known));
}

#[test]
fn a_command_of_ones_own_replaces_what_belongs_to_the_other() {
    let text = r#"{"agents":{"claude":{"command":["/opt/claude","-p"],"model":"m","envSet":{"DISABLE_AUTOUPDATER":"0"}}}}"#;
    let agent = named(text, "claude").unwrap();
    assert_eq!(vector(&agent, false), "/opt/claude -p --model m");
    assert_eq!((agent.parser, &agent.resume), (Parser::Claude, &None));
    assert_eq!(agent.env_set["DISABLE_AUTOUPDATER"], Text::from("0"));
    assert_eq!(agent.env_set["CLAUDE_CODE_DISABLE_ATTACHMENTS"], Text::from("1"));

    let text = r#"{"agents":{"mine":{"command":["x","{options}","--","{prompt_file}","{session_id}"],"prompt":"file",
        "parser":"claude","model":"m","commitLeftovers":false}}}"#;
    let agent = named(text, "mine").unwrap();
    assert_eq!(vector(&agent, false), "x --model m -- /w/prompt.md ID");
    assert_eq!((agent.env_pass.len(), agent.env_set.len(), agent.commit_leftovers), (0, 0, false));
    let agent = named(r#"{"agents":{"command":{"command":["make","-k"]}}}"#, "command").unwrap();
    assert_eq!((agent.parser, vector(&agent, false).as_str()), (Parser::ExitCode, "make -k"));
}

#[test]
fn the_one_asked_for_then_the_labels_then_the_usual_one() {
    let text = r#"{"agent":"gemini","agentLabels":{"agent:codex":"codex","big":"opencode","odd":"nobody"}}"#;
    let config = Config::parse(text).unwrap();
    let cases: [(&[&str], Option<&str>, &str); 6] = [
        (&[], None, "gemini"),
        (&["bug"], None, "gemini"),
        (&["Agent:Codex"], None, "codex"),
        (&["big", "agent:codex"], None, "codex"),
        (&["big"], Some("claude"), "claude"),
        (&["odd"], Some("claude"), "claude"),
    ];
    for (labels, asked, expected) in cases {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let record = Record::new("o/r", 7, Issue { labels, ..Issue::default() });
        assert_eq!(
            Agent::for_record(&config, &record, asked).unwrap().name,
            expected,
            "{record:?} {asked:?}"
        );
    }
    let record = Record::new("o/r", 7, Issue { labels: vec!["odd".to_owned()], ..Issue::default() });
    let error = Agent::for_record(&config, &record, None).unwrap_err();
    assert!(error.to_string().contains("issue #7, label 'odd'"), "{error}");
}

#[test]
fn a_session_is_gone_on_with_only_by_who_spoke_in_it() {
    let agent = named("{}", "claude").unwrap();
    let at = |hour: u32| format!("2026-01-01T{hour:02}:00:00Z").parse().unwrap();
    let mut record = Record::new("o/r", 7, Issue::default());
    assert!(!agent.resumes(&record));
    let claim = r#"{"token":"t","host":"h","instance":"claude-instance-1","branch":"b","base":"main","attempt":2,
        "claimed_at":"2026-01-01T02:00:00Z","lease_expires_at":"2026-01-01T03:00:00Z"}"#;
    record.claim = Some(serde_json::from_str::<Claim>(claim).unwrap());
    assert!(!agent.resumes(&record));
    let run = Run {
        agent: Some("claude".to_owned()),
        session_id: Some("s".to_owned()),
        started_at: Some(at(2)),
        resumable: true,
        ..Run::default()
    };
    record.run = Some(run.clone());
    assert!(agent.resumes(&record));
    let others = [
        Run { resumable: false, ..run.clone() },
        Run { session_id: None, ..run.clone() },
        Run { agent: Some("codex".to_owned()), ..run.clone() },
        Run { agent: None, ..run.clone() },
        Run { started_at: Some(at(1)), ..run.clone() },
    ];
    for run in others {
        record.run = Some(run);
        assert!(!agent.resumes(&record), "{:?}", record.run);
    }
    record.run = Some(run);
    let own = named(r#"{"agents":{"claude":{"command":["claude","-p"]}}}"#, "claude").unwrap();
    assert!(!own.resumes(&record), "a command of one's own needs its own form");
}

#[test]
fn instructions_are_handed_over_unless_they_are_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let agent = named("{}", "claude").unwrap();
    let handed = |agent: &Agent, resumed| {
        let arguments = agent.arguments(&Start { worktree: folder.path(), ..start(resumed, None) });
        arguments.iter().any(|argument| argument.ends_with("CLAUDE.md"))
    };
    assert!(!handed(&agent, false));
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("CLAUDE.md")).unwrap();
    assert!(!handed(&agent, false));
    std::fs::remove_file(folder.path().join("CLAUDE.md")).unwrap();
    std::fs::File::create(folder.path().join("CLAUDE.md")).unwrap();
    assert!(handed(&agent, false) && handed(&agent, true));
    assert!(!handed(&named("{}", "codex").unwrap(), false), "codex has its own AGENTS.md");
}
