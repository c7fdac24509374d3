//! A folder with a configuration and a state directory, and cq's commands in it with an environment of their own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::names;

/// In the environment of every command of a place and of those it starts; not of agents and checks.
pub(crate) const PLACE: &str = "CQ_TEST_PLACE";

const CONFIG: &str = "orchestrator-config.json";

pub(crate) struct Place {
    folder: TempDir,
}

/// The program of a command.
pub(crate) fn program(command: &str) -> &'static str {
    match command {
        "cq-claim" => env!("CARGO_BIN_EXE_cq-claim"),
        "cq-lab" => env!("CARGO_BIN_EXE_cq-lab"),
        "cq-monitor" => env!("CARGO_BIN_EXE_cq-monitor"),
        "cq-spawn" => env!("CARGO_BIN_EXE_cq-spawn"),
        other => panic!("no such command: {other}"),
    }
}

/// A record as cq-fetch writes it, on a line.
pub(crate) fn wish(number: u64) -> String {
    let record = json!({
        "cq": 1, "repo": "acme/widgets", "number": number,
        "issue": {"title": format!("Issue {number}"), "body": "Write a line."},
        "trust": {"verdict": "trusted", "source": "operator", "approved_by": "operator"},
    });
    format!("{record}\n")
}

/// The records of some lines.
pub(crate) fn parse(lines: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(lines).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Place {
    /// `capacity` issues at once, and as many attempts as it takes.
    pub(crate) fn new(capacity: u64) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let config = json!({
            "github": {"owner": "acme", "repo": "widgets"},
            "queue": {"maxConcurrentIssues": capacity, "retryAttempts": 1000},
            "qualityGates": [],
            // The agents here write down what they do beside their worktrees, and the machine is a full one.
            "sandbox": "none",
            "limits": {"freeMemoryMegabytes": 0, "freeDiskMegabytes": 0},
        });
        fs::create_dir(place.path("home")).unwrap();
        fs::write(place.path(CONFIG), config.to_string()).unwrap();
        place
    }

    /// Puts more into the configuration.
    pub(crate) fn configure(&self, more: Value) {
        let text = fs::read_to_string(self.path(CONFIG)).unwrap();
        let mut config: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        let Value::Object(more) = more else { panic!("not an object: {more}") };
        config.extend(more);
        fs::write(self.path(CONFIG), Value::from(config).to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, command: &str) -> Command {
        let mut made = Command::new(program(command));
        made.current_dir(self.folder.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        made.env(PLACE, self.folder.path());
        // Nobody listens there: whatever asks GitHub fails at once.
        made.env("HOME", self.path("home")).env("GITHUB_API_URL", "http://127.0.0.1:9");
        made.args(["--format", "jsonl"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        made
    }

    /// A command with `input` on its stdin, to its end.
    pub(crate) fn run(&self, command: &mut Command, input: &[u8]) -> Output {
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        fs::write(file.path(), input).unwrap();
        command.stdin(File::open(file.path()).unwrap()).output().unwrap()
    }

    /// The same, and it must end well; gives the records it wrote.
    pub(crate) fn good(&self, command: &mut Command, input: &[u8]) -> Vec<Value> {
        let output = self.run(command, input);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}: {words}", output.status);
        parse(&output.stdout)
    }

    /// Claims issues; gives their records.
    pub(crate) fn claim(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<Value> {
        let input: String = numbers.into_iter().map(wish).collect();
        self.good(&mut self.command("cq-claim"), input.as_bytes())
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.path(".cq").join(name)
    }

    /// Every record in flight; each file of the folder must be one.
    pub(crate) fn records(&self) -> BTreeMap<u64, Value> {
        let record = |name: String| {
            let text = fs::read_to_string(self.state("records").join(&name)).unwrap();
            let record: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            cq::record::Record::from_json(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let number = record["number"].as_u64().unwrap();
            assert_eq!(name, format!("{number}.json"));
            (number, record)
        };
        names(&self.state("records"))
            .into_iter()
            .filter(|name| !name.starts_with(".tmp-"))
            .map(record)
            .collect()
    }

    /// The index, which must say of itself that it is clean.
    pub(crate) fn index(&self) -> BTreeMap<u64, (Value, Value)> {
        let index: Value =
            serde_json::from_str(&fs::read_to_string(self.state("index.json")).unwrap()).unwrap();
        assert_eq!(index["clean"], true);
        let brief = |(number, entry): (&String, &Value)| {
            let instance = format!("claude-instance-{}", entry[1]);
            (number.parse().unwrap(), (entry[0].clone(), instance.into()))
        };
        index["entries"].as_object().unwrap().iter().map(brief).collect()
    }

    /// What only cq may have put into the state directory.
    pub(crate) fn assert_nothing_else_in_the_state(&self) {
        let known = [
            ".gitignore",
            "archive",
            "cache",
            "events.jsonl",
            "guard",
            "index.json",
            "instances",
            "lock",
            "places",
            "receipts",
            "records",
            "repo.git",
            "spending",
        ];
        for name in names(&self.path(".cq")) {
            assert!(known.contains(&name.as_str()), "{name} is left over");
        }
        assert_eq!(names(&self.state("archive")).len(), 0);
        let foreign = |name: &&String| name.strip_suffix(".lock").is_none();
        assert_eq!(names(&self.state("instances")).iter().find(foreign), None);
        for line in fs::read_to_string(self.state("events.jsonl")).unwrap().lines() {
            let event: Result<Value, _> = serde_json::from_str(line);
            assert!(event.is_ok(), "half an event: {line}");
        }
    }

    /// Lets the temp files of killed commands look old, runs a tick, and finds none left.
    pub(crate) fn assert_temp_files_are_swept(&self) -> usize {
        let mut found = 0;
        for folder in
            [self.path(".cq"), self.state("records"), self.state("archive"), self.state("instances")]
        {
            for name in names(&folder).iter().filter(|name| name.starts_with(".tmp-")) {
                let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
                File::options().write(true).open(folder.join(name)).unwrap().set_modified(long_ago).unwrap();
                found += 1;
            }
        }
        self.good(&mut self.command("cq-monitor"), b"");
        for folder in [self.path(".cq"), self.state("records")] {
            assert!(
                !names(&folder).iter().any(|name| name.starts_with(".tmp-")),
                "not swept: {}",
                folder.display()
            );
        }
        found
    }
}

/// The time so many minutes from now, as `CQ_NOW` takes it.
pub(crate) fn in_minutes(minutes: i64) -> String {
    let at = chrono::Utc::now() + chrono::TimeDelta::minutes(minutes);
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A file that holds these bytes, to be a program.
pub(crate) fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o755).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}
