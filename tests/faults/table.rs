//! A table of faults, and the stage on which its rows are played one after the other.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::ran::Ran;
use crate::{House, Plan, TOKEN};

/// What is asked for every page, and for what has changed.
pub(crate) const LIST: &str = "/repos/*/*/issues$";
pub(crate) const QUERY: &str = "/graphql";
pub(crate) const ISSUE: &str = "/repos/*/*/issues/*$";
pub(crate) const PERSON: &str = "/repos/*/*/collaborators";
pub(crate) const PULLS: &str = "/repos/*/*/pulls$";
/// Those of an issue or a pull request.
pub(crate) const SET: &str = "/repos/*/*/issues/*/labels$";
/// Those of the repository.
pub(crate) const LABELS: &str = "/repos/*/*/labels";

/// What goes wrong, what else about it, and how the command ends: exit status and a part of what it says.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fault: Value,
    pub(crate) status: i32,
    pub(crate) said: &'static str,
    /// What was done on GitHub meanwhile: pull requests, labels.
    pub(crate) made: usize,
}

/// A fault that hits every request.
pub(crate) fn always(method: &str, path: &str, more: Value) -> Value {
    times(99, method, path, more)
}

/// A fault that hits one request.
pub(crate) fn once(method: &str, path: &str, more: Value) -> Value {
    times(1, method, path, more)
}

fn times(times: u64, method: &str, path: &str, more: Value) -> Value {
    let mut fault = json!({"method": method, "path": path, "times": times});
    let Value::Object(more) = more else { panic!("not an object: {more}") };
    fault.as_object_mut().unwrap().extend(more);
    json!([fault])
}

pub(crate) fn row(name: &'static str, fault: Value, status: i32, said: &'static str) -> Row {
    Row { name, fault, status, said, made: 0 }
}

impl Row {
    pub(crate) fn made(self, made: usize) -> Self {
        Self { made, ..self }
    }
}

/// A house whose GitHub is asked with little patience.
pub(crate) fn house(plan: &Plan) -> House {
    let house = House::new(plan);
    house.configure(|config| {
        config["github"]["timeoutSeconds"] = json!(1);
        config["github"]["maxWaitSeconds"] = json!(2);
        config["pullRequest"]["labels"] = json!(["made-by-cq"]);
    });
    house
}

/// A command that is played against every row.
pub(crate) trait Play {
    fn house(&self) -> &House;
    fn run(&self) -> Ran;
    /// How much it has done on GitHub.
    fn made(&self) -> usize;
    /// How much there is to do.
    fn whole(&self) -> usize;
    /// What it shows when it ends well.
    fn is_well(&self, ran: &Ran);
    /// Makes the next row's beginning.
    fn rewind(&self);
}

pub(crate) fn forget(house: &House) {
    // There may be none yet.
    let _ = fs::remove_dir_all(house.state_dir().join("cache"));
}

/// Plays every row; then once more without the fault, which must end well, and have done everything exactly once.
pub(crate) fn play(on: &dyn Play, rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for row in rows {
        forget(on.house());
        on.house().lab.break_with(&row.fault);
        let mut ran = on.run();
        on.house().lab.mend();
        // The pull request of the row before was closed, which cq-pr rightly tells.
        let is_of_this_row =
            |line: &&str| !line.contains("is closed and is not adopted; a new one is opened");
        let lines = ran.stderr.lines().filter(is_of_this_row).map(|line| line.to_owned() + "\n");
        ran.stderr = lines.collect();
        let mut check = |what: &str, holds: bool| {
            if !holds {
                wrong.push(format!("{}: {what}: {ran:#?}", row.name));
            }
        };
        println!("{}: {} in {} ms", row.name, ran.status, ran.took.as_millis());
        check("ends otherwise", ran.status == row.status && ran.stderr.contains(row.said));
        check("takes too long", ran.took.as_secs() < 30);
        check("panics", !ran.stderr.contains("panicked"));
        check("tells the token", !ran.stderr.contains(TOKEN) && !ran.stdout.contains(TOKEN));
        check("does not say it in one sentence", ran.stderr.lines().count() <= 2);
        if row.status == 0 {
            check("is not quiet", ran.stderr.is_empty());
        } else {
            // cq-init tells what it has made so far.
            check("writes something", ran.stdout.is_empty() || ran.name.ends_with("cq-init"));
            check("does not say who it is", ran.stderr.starts_with("cq-"));
            let is_judged = ran.stderr.contains("is not eligible");
            check("gives no hint", row.status == 1 || is_judged || ran.stderr.contains("\nhint: "));
        }
        let until = ran.stderr.contains(" until 20") || ran.stderr.contains("try again after 20");
        check("does not say until when", row.status != 75 || until);
        check("has done something else", on.made() == row.made);
        if row.status == 0 {
            on.is_well(&ran);
        }
        forget(on.house());
        let again = on.run();
        assert!(again.status == 0, "{}, without the fault: {again:#?}", row.name);
        assert_eq!(on.made(), on.whole(), "{}, without the fault", row.name);
        on.rewind();
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// `cq-fetch`.
pub(crate) struct Fetch(pub(crate) House);

impl Play for Fetch {
    fn house(&self) -> &House {
        &self.0
    }
    fn run(&self) -> Ran {
        self.0.cq("fetch").run()
    }
    fn made(&self) -> usize {
        0
    }
    fn whole(&self) -> usize {
        0
    }
    fn is_well(&self, ran: &Ran) {
        assert_eq!(ran.numbers(), [1, 2, 3]);
    }
    fn rewind(&self) {}
}

/// `cq-claim` of an issue that GitHub's people approved.
pub(crate) struct Claim {
    house: House,
    record: String,
}

impl Claim {
    pub(crate) fn new() -> Self {
        let house = house(&Plan::default());
        let record = house.cq("fetch").run().quietly().stdout.lines().next().unwrap().to_owned();
        Self { house, record }
    }
}

impl Play for Claim {
    fn house(&self) -> &House {
        &self.house
    }
    fn run(&self) -> Ran {
        self.house.cq("claim").fed(&self.record)
    }
    fn made(&self) -> usize {
        usize::from(self.house.status(1) == "queued")
    }
    fn whole(&self) -> usize {
        1
    }
    fn is_well(&self, ran: &Ran) {
        assert_eq!(ran.numbers(), [1]);
    }
    fn rewind(&self) {
        self.house.cq("claim").args(["--release", "1"]).run().good();
    }
}

/// `cq-pr` of an issue whose branch is checked.
pub(crate) struct Pull {
    house: House,
    saved: PathBuf,
}

impl Pull {
    pub(crate) fn new() -> Self {
        let house = house(&Plan::default());
        house.work(1).good();
        house.cq("gate").args(["1"]).run().quietly();
        let saved = house.place("saved");
        copy(&house.state_dir(), &saved);
        Self { house, saved }
    }

    fn open(&self) -> Vec<Value> {
        let mut pulls = self.house.lab.pulls();
        pulls.retain(|pull| pull["state"] == "open");
        pulls
    }
}

fn copy(from: &PathBuf, to: &PathBuf) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

impl Play for Pull {
    fn house(&self) -> &House {
        &self.house
    }
    fn run(&self) -> Ran {
        self.house.cq("pr").args(["1"]).run()
    }
    fn made(&self) -> usize {
        let open = self.open();
        let comments = open.iter().map(|pull| pull["comments"].as_u64().unwrap_or(0)).sum::<u64>();
        assert_eq!(comments, 0, "cq-pr comments on nothing");
        open.len()
    }
    fn whole(&self) -> usize {
        let labels = self.open()[0]["labels"].clone();
        let labels: Vec<&Value> = labels.as_array().unwrap().iter().map(|label| &label["name"]).collect();
        assert_eq!(labels, ["made-by-cq"]);
        assert_eq!(self.house.status(1), "pr-ready");
        1
    }
    fn is_well(&self, ran: &Ran) {
        assert_eq!(ran.record()["pull_request"]["number"], self.open()[0]["number"]);
    }
    fn rewind(&self) {
        for pull in self.open() {
            let path = format!("/repos/acme/widgets/pulls/{}", pull["number"]);
            self.house.lab.call("PATCH", &path, &json!({"state": "closed"}));
        }
        fs::remove_dir_all(self.house.state_dir()).unwrap();
        copy(&self.saved, &self.house.state_dir());
    }
}

/// `cq-init --labels`.
pub(crate) struct Labels(pub(crate) House);

const MADE: [&str; 2] = ["claude-in-progress", "claude-blocked"];

impl Play for Labels {
    fn house(&self) -> &House {
        &self.0
    }
    fn run(&self) -> Ran {
        self.0.cq("init").args(["--labels"]).run()
    }
    fn made(&self) -> usize {
        let labels = self.0.lab.repository()["labels"].clone();
        let is_made = |label: &&Value| MADE.iter().any(|name| label["name"] == *name);
        labels.as_array().unwrap().iter().filter(is_made).count()
    }
    fn whole(&self) -> usize {
        MADE.len()
    }
    fn is_well(&self, ran: &Ran) {
        assert!(ran.stdout.contains("claude-blocked"), "{ran:#?}");
    }
    fn rewind(&self) {
        for name in MADE {
            self.0.lab.call("DELETE", &format!("/repos/acme/widgets/labels/{name}"), &Value::Null);
        }
    }
}
