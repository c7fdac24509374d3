//! The scripted agent: it reads a prompt, works in a worktree and speaks as Claude Code does, but what
//! it does stands in a script. It can also do everything an agent should not.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Map, Value, json};

use super::git;
use super::script::{self, ApiError, EatMemory, LeaveChild, Step};
use super::stream::Stream;
use crate::clock::Clock;
use crate::environment::{self, Environment};
use crate::error::{Error, Kind, OrFail, Result};

/// What the scripted agent needs to know.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The script; without one, a line about the issue is written and committed.
    pub script: Option<PathBuf>,
    /// Claude Code's options, of which only `--session-id`, `--resume` and `--permission-mode` count.
    pub arguments: Vec<String>,
    /// The worktree.
    pub directory: PathBuf,
    /// `CQ_ISSUE` and `CQ_ATTEMPT` choose the steps; the rest is what `dump_env` shows.
    pub environment: Environment,
    /// Dates the events.
    pub clock: Clock,
}

impl AgentOptions {
    /// The value of one of Claude Code's options.
    fn argument(&self, names: &[&str]) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            if names.contains(&argument.as_str()) {
                return arguments.next().map(String::as_str);
            }
            let joined = argument.split_once('=').filter(|(name, _)| names.contains(name));
            if let Some((_, value)) = joined {
                return Some(value);
            }
        }
        None
    }
}

/// Plays the agent to its end; gives its exit status.
pub fn agent(options: &AgentOptions, mut stdin: impl Read, stdout: impl Write) -> Result<u8> {
    let session = options.argument(&["--session-id", "--resume", "-r"]);
    let session = session.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
    let mut stream = Stream::new(stdout, options.clock, session);
    if options.arguments.iter().any(|argument| ["--version", "-v"].contains(&argument.as_str())) {
        stream.raw(concat!(env!("CARGO_PKG_VERSION"), " (cq-lab agent)"))?;
        return Ok(0);
    }
    let mut prompt = Vec::new();
    stdin.read_to_end(&mut prompt).or_fail(Kind::BadInput, || "cannot read the prompt")?;
    let text = match &options.script {
        None => None,
        Some(file) => {
            let attempt = || format!("cannot read '{}'", file.display());
            Some(fs::read_to_string(file).or_fail(Kind::Config, attempt)?)
        }
    };
    let issue = options.environment.named("CQ_ISSUE").unwrap_or("0").to_owned();
    let attempt = options.environment.named("CQ_ATTEMPT").and_then(|text| text.parse().ok()).unwrap_or(1);
    let steps = script::steps(text.as_deref(), &issue, attempt)?;
    let mode = options.argument(&["--permission-mode"]).unwrap_or("default");
    stream.init(
        &options.directory,
        mode,
        options.environment.get(&environment::ANTHROPIC_API_KEY).is_some(),
    )?;
    let mut actor = Actor { options, stream, prompt, issue, attempt, eaten: Vec::new() };
    for step in &steps {
        if let Some(status) = actor.act(step)? {
            return Ok(status);
        }
    }
    actor.end(Map::new())
}

struct Actor<'a, W> {
    options: &'a AgentOptions,
    stream: Stream<W>,
    prompt: Vec<u8>,
    issue: String,
    attempt: u32,
    eaten: Vec<Vec<u8>>,
}

impl<W: Write> Actor<'_, W> {
    /// Does one step; a status ends the run.
    fn act(&mut self, step: &Step) -> Result<Option<u8>> {
        match step {
            Step::Say(text) => self.stream.say(&self.fill(text))?,
            Step::Write(file) => self.write(&file.path, &file.content, false)?,
            Step::Append(file) => self.write(&file.path, &file.content, true)?,
            Step::Commit(message) => self.commit(&self.fill(message))?,
            Step::Run(arguments) => self.run(arguments)?,
            Step::SleepMs(milliseconds) => std::thread::sleep(Duration::from_millis(*milliseconds)),
            Step::PrintRaw(line) => self.stream.raw(line)?,
            Step::PrintStderr(line) => complain(line)?,
            Step::PrintSecret(secret) => {
                let value = self.options.environment.named(secret).unwrap_or(secret);
                self.stream.say(&format!("I found {value} lying about."))?;
            }
            Step::Flood(flood) => {
                let line = "x".repeat(flood.line.max(1));
                let mut left = flood.bytes;
                while left > 0 {
                    let length = left.min(line.len());
                    self.stream.say(&line[..length])?;
                    left -= length;
                }
            }
            Step::Error(error) => return self.api_error(error).map(Some),
            Step::Result(fields) => return self.end(fields.clone()).map(Some),
            Step::Exit(status) => return Ok(Some(*status)),
            Step::Hang(hang) => hold(*hang),
            Step::IgnoreSigterm(ignore) => ignore_sigterm(*ignore)?,
            Step::LeaveChild(child) => self.leave_child(child)?,
            Step::EatMemory(meal) => {
                if !self.eat(meal) {
                    self.stream.say("A child did not live.")?;
                    return self.end(failed()).map(Some);
                }
            }
            Step::KillSelf(signal) => kill_self(signal)?,
            Step::HangAfterResult(hang) => {
                let status = self.end(Map::new())?;
                hold(*hang);
                return Ok(Some(status));
            }
            Step::RequireEnv(names) => {
                let missing = names.iter().find(|name| self.options.environment.named(name).is_none());
                if let Some(name) = missing {
                    self.stream.say(&format!("The environment lacks {name}."))?;
                    return self.end(failed()).map(Some);
                }
            }
            Step::DumpEnv(path) => {
                let lines = self.options.environment.iter().map(|(name, value)| format!("{name}={value}\n"));
                self.put(path, lines.collect::<String>().as_bytes(), false)?;
            }
            Step::DumpPrompt(path) => self.put(path, &self.prompt, false)?,
            Step::DumpArguments(path) => {
                self.put(path, (self.options.arguments.join("\n") + "\n").as_bytes(), false)?;
            }
        }
        Ok(None)
    }

    /// The result, and the status that goes with it: 1 for an error, as Claude Code does.
    fn end(&mut self, fields: Map<String, Value>) -> Result<u8> {
        self.stream.result(fields).map(u8::from)
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{issue}", &self.issue).replace("{attempt}", &self.attempt.to_string())
    }

    fn write(&mut self, path: &str, content: &str, append: bool) -> Result<()> {
        let content = self.fill(content);
        let shown = self.options.directory.join(self.fill(path));
        self.stream.tool("Write", &json!({"file_path": shown, "content": content}))?;
        self.put(path, content.as_bytes(), append)?;
        self.stream.tool_result(&format!("File written: {}", shown.display()), false)
    }

    fn put(&self, path: &str, content: &[u8], append: bool) -> Result<()> {
        let path = self.options.directory.join(self.fill(path));
        let attempt = || format!("cannot write '{}'", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).or_fail(Kind::CannotWrite, attempt)?;
        }
        let mut file = OpenOptions::new();
        file.create(true).append(append).write(!append).truncate(!append);
        let mut file = file.open(&path).or_fail(Kind::CannotWrite, attempt)?;
        file.write_all(content).or_fail(Kind::CannotWrite, attempt)
    }

    fn commit(&mut self, message: &str) -> Result<()> {
        let command = format!("git add -A && git commit -m '{message}'");
        self.stream.tool("Bash", &json!({"command": command, "description": "commit"}))?;
        match git::commit_all(&self.options.directory, &self.options.environment, message) {
            Ok(Some(sha)) => self.stream.tool_result(&format!("[{sha}] {message}"), false),
            Ok(None) => self.stream.tool_result("nothing to commit, working tree clean", true),
            Err(error) => self.stream.tool_result(&error.to_string(), true),
        }
    }

    fn run(&mut self, arguments: &[String]) -> Result<()> {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.fill(argument)).collect();
        let Some((program, rest)) = arguments.split_first() else {
            return Err(Error::new(Kind::Config, "the script's 'run' names no program"));
        };
        self.stream.tool("Bash", &json!({"command": arguments.join(" "), "description": "scripted"}))?;
        let output = self.start(program).args(rest).stderr(Stdio::piped()).stdout(Stdio::piped()).output();
        match output {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                self.stream.tool_result(&String::from_utf8_lossy(&said), !output.status.success())
            }
            Err(error) => self.stream.tool_result(&format!("cannot run '{program}': {error}"), true),
        }
    }

    /// A program with nothing to read and nowhere to write.
    fn start(&self, program: &str) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the scripted agent plays a foreign program")]
        let mut command = Command::new(program);
        command.current_dir(&self.options.directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn leave_child(&self, child: &LeaveChild) -> Result<()> {
        let seconds = child.seconds.to_string();
        let mut arguments = vec!["sleep", &seconds];
        if child.double_fork {
            // The shell's end makes the sleeper an orphan.
            arguments = vec!["sh", "-c", "sleep \"$0\" &", &seconds];
        }
        if child.setsid {
            arguments.insert(0, "setsid");
        }
        let mut command = self.start(arguments[0]);
        let attempt = || format!("cannot run '{}'", arguments[0]);
        let mut process = command.args(&arguments[1..]).spawn().or_fail(Kind::Config, attempt)?;
        if child.double_fork {
            process.wait().or_fail(Kind::Internal, attempt)?;
        }
        Ok(())
    }

    /// Whether all that took memory lived.
    fn eat(&mut self, meal: &EatMemory) -> bool {
        if meal.children == 0 {
            for _ in 0..meal.megabytes {
                // Not zero: the kernel hands out no memory for pages that nobody has written.
                self.eaten.push(vec![1; 1 << 20]);
                std::thread::sleep(Duration::from_millis(meal.pause_ms));
            }
            return true;
        }
        // tail keeps all of a line that has no end.
        let part = format!("{}M", meal.megabytes.div_ceil(meal.children));
        let eater = || self.start("sh").args(["-c", "head -c \"$0\" /dev/zero | tail", &part]).spawn();
        let eaters: Vec<_> = (0..meal.children).map(|_| eater()).collect();
        let lived = eaters.into_iter().map(|eater| eater?.wait());
        // All of them are waited for.
        let lived: Vec<bool> = lived.map(|status| status.is_ok_and(|status| status.success())).collect();
        lived.into_iter().all(|lived| lived)
    }

    fn api_error(&mut self, error: &ApiError) -> Result<u8> {
        let text =
            if error.text.is_empty() { format!("API Error: {}", error.status) } else { error.text.clone() };
        self.stream.api_error(error.status, &text)?;
        let mut fields = failed();
        fields.insert("api_error_status".to_owned(), json!(error.status));
        fields.insert("terminal_reason".to_owned(), json!("api_error"));
        fields.insert("total_cost_usd".to_owned(), json!(0));
        self.end(fields)
    }
}

/// A failure as Claude Code words it: a success that is an error.
fn failed() -> Map<String, Value> {
    [("subtype".to_owned(), json!("success")), ("is_error".to_owned(), json!(true))].into_iter().collect()
}

fn hold(hang: bool) {
    if hang {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}

/// A handler that only sets a flag: the signal is taken and nothing happens.
fn ignore_sigterm(ignore: bool) -> Result<()> {
    if ignore {
        let flag = Arc::new(AtomicBool::new(false));
        let attempt = || "cannot ignore SIGTERM";
        signal_hook::flag::register(signal_hook::consts::SIGTERM, flag).or_fail(Kind::Internal, attempt)?;
    }
    Ok(())
}

fn kill_self(name: &str) -> Result<()> {
    let signal = match name.trim_start_matches("SIG") {
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "SEGV" => Signal::SEGV,
        "ABRT" => Signal::ABORT,
        "STOP" => Signal::STOP,
        _ => return Err(Error::new(Kind::Config, format!("the script knows no signal '{name}'"))),
    };
    kill_process(getpid(), signal).or_fail(Kind::Internal, || format!("cannot send SIG{name}"))?;
    // A signal that ends the process does so before this is over.
    std::thread::sleep(Duration::from_millis(200));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the scripted agent plays a foreign program")]
fn complain(line: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{line}").or_fail(Kind::ClosedPipe, || "cannot write to stderr")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn options(arguments: &[&str], directory: &Path, issue: &str) -> AgentOptions {
        let path = "/usr/bin:/bin".to_owned();
        let pairs = [("CQ_ISSUE", issue.to_owned()), ("PATH", path)];
        AgentOptions {
            script: None,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            directory: directory.to_owned(),
            environment: pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            clock: Clock::System,
        }
    }

    #[test]
    fn the_session_is_the_one_that_was_asked_for() {
        let here = Path::new("/");
        for arguments in [&["-p", "--session-id", "S"][..], &["--resume=S"], &["--verbose", "-r", "S"]] {
            let options = options(arguments, here, "1");
            assert_eq!(options.argument(&["--session-id", "--resume", "-r"]), Some("S"), "{arguments:?}");
        }
    }

    fn events(script: &str) -> (u8, Vec<Value>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script.json");
        fs::File::create(&file).unwrap().write_all(script.as_bytes()).unwrap();
        let mut options = options(&["--session-id", "S"], folder.path(), "12");
        options.script = Some(file);
        let mut out = Vec::new();
        let status = agent(&options, "the prompt".as_bytes(), &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        (status, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    #[test]
    fn a_result_sums_up() {
        let (status, events) =
            events(r#"{"default":[{"say":"one"},{"say":"issue {issue}, attempt {attempt}"}]}"#);
        let result = events.last().unwrap();
        assert_eq!((status, events[0]["subtype"].as_str()), (0, Some("init")));
        assert_eq!(result["result"], "issue 12, attempt 1");
        assert_eq!((result["num_turns"].as_u64(), result["session_id"].as_str()), (Some(2), Some("S")));
        assert_eq!(result["total_cost_usd"], json!(0.02));
        assert_eq!(result["usage"]["input_tokens"], 2000);
    }

    #[test]
    fn an_error_looks_like_claudes() {
        let (status, events) =
            events(r#"{"default":[{"error":{"status":401,"text":"Invalid API key"}},{"say":"never"}]}"#);
        let result = events.last().unwrap();
        assert_eq!(status, 1);
        assert_eq!(result["subtype"], "success");
        assert_eq!(result["is_error"], true);
        assert_eq!(result["api_error_status"], 401);
        assert_eq!(events[1]["error"], "authentication_failed");
    }

    #[test]
    fn other_ends() {
        let cases = [
            (r#"{"default":[{"result":{"subtype":"error_max_turns"}}]}"#, 1, Some("error_max_turns")),
            (r#"{"default":[{"exit":7}]}"#, 7, None),
            (r#"{"default":[{"require_env":["CQ_ISSUE","NO_SUCH"]}]}"#, 1, Some("success")),
            (r#"{"default":[{"flood":{"bytes":2500,"line":1000}}]}"#, 0, Some("success")),
        ];
        for (script, expected, subtype) in cases {
            let (status, events) = events(script);
            assert_eq!(status, expected, "{script}");
            let last = events.last().unwrap();
            let result = (last["type"] == "result").then(|| last["subtype"].as_str().unwrap());
            assert_eq!(result, subtype, "{script}");
        }
    }
}
