//! A house whose agent is the real one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::house::{House, Plan};
use crate::support::model::Model;
use crate::support::ran::Run;
use crate::support::skip::{bubblewrap_works, skip};

/// Long after any wait between attempts.
pub(crate) const LATER: &str = "2199-01-01T00:00:00Z";

/// What an agent may take of memory.
pub(crate) const MEMORY_MEGABYTES: u64 = 2048;

/// A house, and the model behind its agent.
pub(crate) struct Place {
    pub(crate) house: House,
    pub(crate) model: Model,
}

/// The real binary; says aloud where there is none.
pub(crate) fn real_claude(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("CQ_REAL_CLAUDE").filter(|named| !named.is_empty());
    if named.is_none() {
        skip(test, "CQ_REAL_CLAUDE names no Claude Code (scripts/test --real-agent fetches one)");
    }
    let claude = PathBuf::from(named?);
    assert!(claude.is_file(), "CQ_REAL_CLAUDE: there is no '{}'", claude.display());
    Some(claude)
}

/// Nobody's key, in the shape of a real one.
pub(crate) fn key() -> String {
    ["sk", "ant", "api03", "0123456789abcdefghijklmnop"].join("-")
}

impl Place {
    /// With what the model answers (see `cq-lab messages --script`).
    pub(crate) fn new(test: &str, plan: &Plan, answers: &Value) -> Option<Self> {
        let claude = real_claude(test)?;
        let house = House::new(plan);
        fs::create_dir(house.place("bin")).unwrap();
        fs::create_dir(house.place("tmp")).unwrap();
        symlink(claude, house.place("bin/claude")).unwrap();
        fs::write(house.place("answers.json"), answers.to_string()).unwrap();
        let model = Model::start(Some(&house.place("answers.json")), Some(&key()));
        let tmp = house.text_of("tmp");
        house.configure(|config| {
            // The built-in command line, which is what is tried here.
            config["agents"]["claude"].as_object_mut().unwrap().remove("command");
            config["agents"]["claude"]["envSet"] = json!({"TMPDIR": tmp});
            config["sandbox"] = json!("none");
            // It needs about 250 MB; see that it is limited, and lives.
            config["limits"]["memoryMegabytes"] = json!(MEMORY_MEGABYTES);
            config["limits"]["processes"] = json!(500);
        });
        Some(Self { house, model })
    }

    /// The same, its agents in a sandbox; skipped also where there can be none.
    pub(crate) fn sandboxed(test: &str, plan: &Plan, answers: &Value) -> Option<Self> {
        real_claude(test)?;
        if !bubblewrap_works(test) {
            return None;
        }
        let place = Self::new(test, plan, answers)?;
        place.house.configure(|config| {
            config["sandbox"] = json!("bubblewrap");
            // It has a temporary folder of its own.
            config["agents"]["claude"].as_object_mut().unwrap().remove("envSet");
        });
        Some(place)
    }

    /// The home that the agent of an instance has.
    pub(crate) fn home_of(&self, record: &Value) -> PathBuf {
        match record["run"]["sandbox"].as_str() {
            Some("bubblewrap") => self.house.workspace(1).join(".sandbox/home"),
            _ => self.house.place("home"),
        }
    }

    /// With the key, the model's address, and the agent on PATH.
    fn equipped(&self, run: Run) -> Run {
        let path = format!("{}:{}", self.house.text_of("bin"), House::path());
        let run = run.env("PATH", path).env("ANTHROPIC_API_KEY", key());
        run.env("ANTHROPIC_BASE_URL", self.model.address())
    }

    pub(crate) fn shell(&self, line: &str) -> Run {
        self.equipped(self.house.shell(line))
    }

    pub(crate) fn cq(&self, name: &str) -> Run {
        self.equipped(self.house.cq(name))
    }

    /// The real client by itself, in the owner's clone, without any of cq's precautions: what shows that they matter.
    pub(crate) fn bare_claude(&self, arguments: &[&str], prompt: &str) {
        let ran = self.equipped(self.house.program(&self.house.text_of("bin/claude")));
        let ran = ran.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1");
        let ran = ran.env("TMPDIR", self.house.text_of("tmp"));
        let always = ["-p", "--output-format", "stream-json", "--verbose"];
        ran.args(always).args(arguments).fed(prompt.as_bytes()).good();
    }

    /// Every question of the model's that came, as text.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.model.requests().iter().map(ToString::to_string).collect()
    }
}

/// The session that a question belongs to, as its metadata says.
pub(crate) fn session_of(request: &Value) -> String {
    let user = request["body"]["metadata"]["user_id"].as_str().unwrap();
    serde_json::from_str::<Value>(user).unwrap()["session_id"].as_str().unwrap().to_owned()
}

/// The texts, tool uses and results of a question's conversation, as one text.
pub(crate) fn conversation_of(request: &Value) -> String {
    request["body"]["messages"].to_string()
}

/// Tells the figures of a run, and notes them beside the binaries for whoever runs all tests.
#[expect(clippy::print_stdout, reason = "whoever runs the test should see it")]
pub(crate) fn tell(line: &str) {
    println!("REAL AGENT: {line}");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let file = fs::OpenOptions::new().append(true).create(true).open(target.join("real-agent.txt"));
    writeln!(file.unwrap(), "REAL AGENT: {line}").unwrap();
}
