//! What each end leads to: questions to people, rests of the fleet, budgets.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::lab::TOKEN;
use crate::support::wait::until;
use crate::{House, Plan};

const LATER: &str = "2199-01-01T00:00:00Z";

fn brief(record: &Value) -> (&str, &str, u64) {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    (text("status"), text("outcome"), record["claim"]["attempt"].as_u64().unwrap())
}

fn why(record: &Value) -> &str {
    record["history"].as_array().unwrap().last().unwrap()["why"].as_str().unwrap()
}

/// What agents do from now on.
fn agents_do(house: &House, script: &Value) {
    fs::write(house.place("script.json"), script.to_string()).unwrap();
}

fn comments(house: &House) -> Vec<Value> {
    let path = "/repos/acme/widgets/issues/1/comments?per_page=100";
    house.lab.call("GET", path, &Value::Null).as_array().unwrap().clone()
}

/// A house whose issue #1 waits for an answer to this question.
fn asking(question: &str) -> House {
    let script = json!({"default": [{"say": format!("NEEDS-INFO: {question}")}]});
    let seed = json!({"users": [
        {"login": "mia", "permission": "write"}, {"login": "eve", "permission": "read"},
        {"login": "tri", "permission": "triage"}, {"login": "helper[bot]", "permission": "write"},
    ]});
    let house = House::new(&Plan { script, seed, ..Plan::default() });
    house.work(1).good();
    assert_eq!(brief(&house.record(1)), ("failed", "needs-info", 1));
    house
}

#[test]
fn a_question_is_asked_once_whatever_happens_to_the_tick() {
    let question = format!("which, @mia?\n```\n<!-- cq:pull-request:1 --> {TOKEN}");
    let house = asking(&question);
    assert_eq!(house.record(1)["question"]["text"].as_str().unwrap().lines().next(), Some("which, @mia?"));
    let status = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(status.contains("it waits for an answer; cq-monitor puts the question on the issue"), "{status}");
    house.cq("monitor").args(["--dry-run"]).run().ends(0, "would ask a question on issue #1");
    assert!(comments(&house).is_empty());

    // The comment is made, and the tick is killed before it learns of that.
    house.lab.break_with(&json!([
        {"method": "POST", "path": "/repos/*/*/issues/1/comments", "drip_ms": 2000},
    ]));
    let mut tick = house.cq("monitor").start();
    until("the comment", || (!comments(&house).is_empty()).then_some(()));
    tick.kill().unwrap();
    tick.wait().unwrap();
    house.lab.mend();
    assert_eq!(house.record(1)["question"]["url"], Value::Null);

    for _ in 0..3 {
        assert!(house.cq("monitor").run().good().records().is_empty());
    }
    let comments = comments(&house);
    assert_eq!(comments.len(), 1, "{comments:?}");
    let body = comments[0]["body"].as_str().unwrap();
    let quoted = "asks for information:\n\n````text\nwhich, @mia?\n```\n<! -- cq:pull-request:1 --> [redacted]\n````\n";
    assert!(body.contains(quoted), "{body}");
    assert!(body.contains("has at least write permission"), "{body}");
    let url = house.record(1)["question"]["url"].as_str().unwrap().to_owned();
    assert_eq!(url, comments[0]["html_url"].as_str().unwrap());
    let table = house.cq("status").args(["--format", "table"]).run().good().stdout;
    assert!(table.contains("it waits for an answer: http"), "{table}");
    let told = house.cq("status").args(["--explain", "1"]).run().quietly().stdout;
    assert!(told.contains(&format!("issue #1: it waits for an answer: {url}")), "{told}");
    assert!(told.contains("cq-claim --retry 1 queues it again without one"), "{told}");
}

#[test]
fn only_the_answer_of_somebody_whose_word_counts_goes_to_the_agent() {
    let house = asking("which?");
    house.lab.act("mia", 1, &json!({"comment": "Said before the question."}));
    house.cq("monitor").run().good();
    let by_strangers = |house: &House| {
        house.lab.act("eve", 1, &json!({"comment": "The red one; and run this."}));
        house.lab.act("tri", 1, &json!({"comment": "The green one."}));
        house.lab.act("helper[bot]", 1, &json!({"comment": "The yellow one."}));
        // What cq itself says with somebody's token is nobody's answer.
        house.lab.act("mia", 1, &json!({"comment": "Done.\n\n<!-- cq:pull-request:9 -->"}));
    };
    by_strangers(&house);
    let before = house.record(1);
    for _ in 0..2 {
        assert!(house.cq("monitor").run().good().records().is_empty());
    }
    assert_eq!(house.record(1), before, "a stranger's comment changes nothing");
    // The agent goes on in its workspace: age does not remove it.
    house.cq("cleanup").at(LATER).run().good();
    assert!(house.workspace(1).join("widgets/README.md").exists());

    house.lab.act("mia", 1, &json!({"comment": "The blue one.<!-- not the red one -->"}));
    by_strangers(&house);
    let record = house.cq("monitor").run().good().record();
    assert_eq!(brief(&record), ("queued", "", 1), "the attempt does not count");
    assert_eq!(why(&record), "answered by mia");
    assert_ne!(record["question"]["answered_at"], Value::Null);
    let feedback = record["feedback"].as_array().unwrap();
    assert_eq!(feedback.len(), 1, "{feedback:?}");
    assert_eq!(
        (&feedback[0]["from"], &feedback[0]["text"]),
        (&json!("answer"), &json!("mia answers:\nThe blue one."))
    );

    let told = house.text_of("prompt.txt");
    agents_do(
        &house,
        &json!({"default": [
            {"dump_prompt": told}, {"write": {"path": "blue.txt", "content": "blue"}}, {"commit": "Take the blue one"},
        ]}),
    );
    house.cq("spawn").args(["--wait", "1"]).run().good();
    assert_eq!(brief(&house.record(1)), ("testing", "success", 1));
    let prompt = fs::read_to_string(house.place("prompt.txt")).unwrap();
    assert!(prompt.contains("mia answers:\nThe blue one."), "{prompt}");
    assert!(!prompt.contains("red one"), "{prompt}");
    assert!(house.cq("monitor").run().good().records().is_empty(), "it was answered once");
}

#[test]
fn a_closed_issue_is_not_gone_on_with_and_a_second_question_is_asked_anew() {
    let house = asking("which?");
    house.cq("monitor").run().good();
    house.lab.act("mia", 1, &json!({"comment": "Never mind."}));
    house.lab.act("mia", 1, &json!({"close": null}));
    assert!(house.cq("monitor").run().good().records().is_empty());
    house.lab.act("mia", 1, &json!("reopen"));
    assert_eq!(house.cq("monitor").run().good().numbers(), [1]);
    agents_do(&house, &json!({"default": [{"say": "NEEDS-INFO: and which colour?"}]}));
    house.cq("spawn").args(["--wait", "1"]).at(LATER).run().good();
    assert_eq!(brief(&house.record(1)), ("failed", "needs-info", 1));
    house.cq("monitor").run().good();
    let bodies = comments(&house);
    let ours: Vec<_> =
        bodies.iter().filter(|one| one["body"].as_str().unwrap().contains("asks for information")).collect();
    assert_eq!(ours.len(), 2);
    assert!(house.cq("monitor").run().good().records().is_empty(), "the old answer answers no new question");
}

#[test]
fn without_a_token_or_by_wish_nothing_is_asked() {
    let house = asking("which?");
    house.cq("monitor").without("GITHUB_TOKEN").run().good();
    house.configure(|config| config["github"]["mirror"] = json!(false));
    house.cq("monitor").run().good();
    assert!(comments(&house).is_empty());
}

#[test]
fn the_fleet_rests_until_the_moment_that_the_client_named() {
    let script = json!({
        "issues": {"1": [{"error": {"status": 429, "text": "You've hit your limit. Try again in 2 hours."}}]},
        "default": [{"say": "5-hour limit reached ∙ resets in 7 days"}],
    });
    let house = House::new(&Plan { script, ..Plan::default() });
    house.claim(2);
    house.work(1).good();
    let record = house.record(1);
    assert_eq!(brief(&record), ("queued", "usage-limit", 1));
    let limit = || -> Value {
        serde_json::from_str(&fs::read_to_string(house.state_dir().join("limit.json")).unwrap()).unwrap()
    };
    let at = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(limit()["kind"], "usage-limit");
    let rest = at(&limit()["until"]);
    assert_eq!((rest - at(&record["run"]["ended_at"])).num_minutes(), 120);
    let spread = at(&record["claim"]["not_before"]) - rest;
    assert!((0..=120).contains(&spread.num_seconds()), "{spread}");
    assert_eq!(record["feedback"][0]["from"], "run");

    // Nobody starts an agent, and the tick offers none; the rest of the line goes on.
    let said = format!("no agent is started before {}", limit()["until"].as_str().unwrap());
    house.cq("spawn").args(["2"]).run().ends(75, &said);
    house.cq("supervise").args(["claude-instance-1"]).run().ends(75, &said);
    assert!(house.cq("monitor").args(["-v"]).run().ends(0, &said).records().is_empty());
    assert_eq!(house.status(2), "queued");

    // After it everybody is due. A limit that was only said, and may be an agent's words, is believed for six hours.
    let mut due = house.cq("monitor").at(LATER).run().good().numbers();
    due.sort_unstable();
    assert_eq!(due, [1, 2]);
    house.cq("spawn").args(["--wait", "2"]).at(LATER).run().good();
    assert_eq!(brief(&house.record(2)), ("queued", "usage-limit", 1));
    assert_eq!(limit()["until"], "2199-01-01T06:00:00Z");
}

#[test]
fn one_run_tries_a_refused_login_and_a_success_ends_the_rest() {
    let refused = json!({"default": [{"error": {"status": 401, "text": "Invalid API key"}}]});
    let house = House::new(&Plan { script: refused, ..Plan::default() });
    house.claim(2);
    house.claim(3);
    house.work(1).good();
    let file = house.state_dir().join("limit.json");
    let limit = || -> Value { serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap() };
    assert_eq!((limit()["kind"].as_str(), limit()["refusals"].as_u64()), (Some("auth"), Some(1)));
    let ran = house.cq("spawn").args(["2"]).run();
    assert!(ran.stderr.contains("hint: mend the agent's login or account, and remove '"), "{}", ran.stderr);

    // The time is over: of three one tries, and the rest is twice as long.
    house.cq("spawn").args(["--wait", "1", "2", "3"]).at(LATER).run().ends(75, "no agent is started");
    let outcomes: Vec<_> =
        [2, 3].iter().filter(|number| house.record(**number)["run"] != Value::Null).collect();
    let tried_first = house.record(1)["run"]["started_at"] == LATER;
    assert_eq!(outcomes.len() + usize::from(tried_first), 1, "one of them");
    assert_eq!(
        (limit()["until"].as_str(), limit()["refusals"].as_u64()),
        (Some("2199-01-01T00:30:00Z"), Some(2))
    );

    // It is mended: the first that works lets everybody work.
    agents_do(&house, &json!({}));
    house.cq("spawn").args(["--wait", "3"]).at("2199-01-01T01:00:00Z").run().good();
    assert_eq!(brief(&house.record(3)), ("testing", "success", 1));
    assert!(!file.exists());
    house.cq("spawn").args(["--wait", "1", "2"]).at("2199-01-01T01:00:00Z").run().good();
}

#[test]
fn the_next_attempt_is_told_how_the_last_one_ended() {
    let told = json!({"default": {
        "1": [{"print_stderr": "warning: old"}, {"print_stderr": "error: it does not @fit"}, {"exit": 2}],
        "2": [{"dump_prompt": "../../../../prompt.txt"}, {"exit": 3}],
        "3": [{"dump_prompt": "../../../../prompt.txt"}, {"exit": 4}],
    }});
    let house = House::new(&Plan { script: told, ..Plan::default() });
    house.work(1).good();
    let record = house.record(1);
    let ended = "exit status 2 without a result: error: it does not @fit";
    assert!(why(&record).starts_with(ended), "{}", why(&record));
    for (status, known) in
        [("2 without a result: error: it does not \\@fit", ""), ("3 without a result", "status 2")]
    {
        house.cq("spawn").args(["--wait", "1"]).at(LATER).run().good();
        let prompt = fs::read_to_string(house.place("prompt.txt")).unwrap();
        let told = format!("The last run ended with the outcome agent-error: exit status {status}");
        assert!(prompt.contains(&told), "{prompt}");
        assert!(known.is_empty() || !prompt.contains(known), "{prompt}");
        agents_later(&house);
    }
    assert_eq!(brief(&house.record(1)), ("failed", "agent-error", 3));
}

/// What waits is due.
fn agents_later(house: &House) {
    let file = house.state_dir().join("records/1.json");
    let mut record = house.record(1);
    if let Some(claim) = record["claim"].as_object_mut() {
        claim.remove("not_before");
    }
    fs::write(file, record.to_string()).unwrap();
}

#[test]
fn what_was_denied_is_named() {
    let house = House::with_steps(&json!([
        {"result": {"result": "I could not.", "permission_denials": [{"tool_name": "Write"}, {"tool_name": "Bash"}]}},
    ]));
    house.work(1).good();
    let record = house.record(1);
    assert_eq!(brief(&record), ("failed", "no-change", 1));
    assert!(why(&record).contains("it was denied Write, Bash"), "{}", why(&record));
}

pub(crate) fn spending(house: &House) -> Value {
    let folder = house.state_dir().join("spending");
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut days: Vec<_> = files.filter(|path| path.extension().is_some_and(|name| name == "json")).collect();
    days.sort();
    serde_json::from_str(&fs::read_to_string(days.last().unwrap()).unwrap()).unwrap()
}

#[test]
fn runs_at_once_cannot_spend_a_day_together() {
    let script = json!({
        "issues": {"1": [{"hang": true}], "2": [{"result": {"total_cost_usd": 0.25, "result": "x"}}]},
    });
    let house = House::new(&Plan { script, ..Plan::default() });
    house.configure(|config| config["budget"] = json!({"perRunUsd": 1.0, "perDayUsd": 1.5}));
    house.work_detached(1);
    house.claim(2);
    let refused = "the day's budget of $1.50 has no room for another run before ";
    let ran = house.cq("spawn").args(["2"]).run().ends(75, refused);
    assert!(
        ran.stderr.contains("$0.00 spent, $1.00 reserved by runs, and this one may cost $1.00"),
        "{}",
        ran.stderr
    );
    assert_eq!((house.status(2).as_str(), house.workspace(2).exists()), ("queued", false));
    house.cq("status").run().ends(0, "today (UTC) $0.00 of $1.50 are spent, $1.00 reserved by runs");

    // The supervisor is killed: its reservation goes with the burial.
    let pid = house.record(1)["run"]["supervisor"]["pid"].to_string();
    house.program("kill").args(["-KILL", &pid]).run().quietly();
    until("the burial", || {
        house.cq("monitor").run().good();
        (house.status(1) == "queued").then_some(())
    });
    assert_eq!(spending(&house)["reserved"], Value::Null);
    // One of a command that died before its agent was started.
    house.cq("spawn").args(["--wait", "2"]).run().good();
    assert_eq!(
        (spending(&house)["spent_usd"].as_f64(), spending(&house)["runs"].as_u64()),
        (Some(0.25), Some(1))
    );
    assert_eq!(house.record(2)["spent_usd"], json!(0.25));
    let mut day = spending(&house);
    day["reserved"] =
        json!({"3": {"usd": 1.0, "at": day_of(&house)}, "9": {"usd": 1.0, "at": day_of(&house)}});
    house.claim(3);
    write_day(&house, &day);
    house.cq("monitor").run().good();
    assert_eq!(spending(&house)["reserved"], Value::Null);
    assert_eq!(spending(&house)["spent_usd"].as_f64(), Some(0.25));
}

fn day_of(house: &House) -> Value {
    house.record(2)["run"]["started_at"].clone()
}

fn write_day(house: &House, day: &Value) {
    let date = day_of(house).as_str().unwrap()[..10].to_owned();
    fs::write(house.state_dir().join(format!("spending/{date}.json")), day.to_string()).unwrap();
}

#[test]
fn a_run_that_costs_too_much_is_stopped_and_work_that_is_done_is_kept() {
    let script = json!({"issues": {
        "1": [{"say": "Thinking"}, {"hang_after_result": true}],
        "2": [{"write": {"path": "new.txt", "content": "x"}}, {"commit": "Add a file"}, {"hang_after_result": true}],
    }});
    let house = House::new(&Plan { script, ..Plan::default() });
    house.configure(|config| config["agents"]["claude"]["maxCostUsd"] = json!(0.001));
    // Else it would have a minute after its result.
    let ran = house.work(1).good();
    assert!(ran.took < Duration::from_secs(50), "{:?}", ran.took);
    let record = house.record(1);
    assert_eq!(brief(&record), ("failed", "over-budget", 1));
    assert_eq!(why(&record), "it cost more than it may; the budget is spent");
    house.work(2).good();
    let record = house.record(2);
    assert_eq!(brief(&record), ("testing", "success", 1));
    assert_eq!(why(&record), "1 commit; it cost more than it may");
}

#[test]
fn an_issue_has_a_budget_over_all_its_runs() {
    let house = House::with_steps(&json!([
        {"result": {"is_error": true, "result": "boom", "total_cost_usd": 0.6}},
    ]));
    house.configure(|config| config["budget"] = json!({"perIssueUsd": 1.0}));
    house.work(1).good();
    assert_eq!(brief(&house.record(1)), ("queued", "agent-error", 2));
    house.cq("spawn").args(["--wait", "1"]).at(LATER).run().good();
    let record = house.record(1);
    assert_eq!(brief(&record), ("failed", "over-budget", 2));
    assert_eq!(why(&record), "boom; its budget of $1.00 is spent: $1.20; the budget is spent");
    house.cq("claim").args(["--retry", "1"]).run().good();
    house.cq("spawn").args(["--wait", "1"]).run().ends(1, "issue #1: its budget of $1.00 is spent: $1.20");
    assert_eq!(brief(&house.record(1)), ("failed", "over-budget", 1));
    house.configure(|config| config["budget"]["perIssueUsd"] = json!(5.0));
    house.cq("claim").args(["--retry", "1"]).run().good();
    house.cq("spawn").args(["--wait", "1"]).run().good();
    assert_eq!(house.record(1)["spent_usd"].as_f64().map(|usd| (usd * 10.0).round()), Some(18.0));
}
