//! The fleet unattended: the orchestrator, the stop in all its forms, and what a tick mends. Each test in a house of
//! its own.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs itself, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod freeze;
mod honoured;
mod monitor;
mod orchestrator;
mod systemd;
mod trouble;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;

use serde_json::Value;

use support::house::{House, Plan};
use support::wait::{until, until_ended};

/// A `cq-run` that runs, its output in files.
struct Orchestrator {
    child: Child,
    stdout: std::path::PathBuf,
    stderr: std::path::PathBuf,
}

impl Orchestrator {
    fn start(house: &House, name: &str, args: &[&str]) -> Self {
        Self::start_with(house, name, args, &[])
    }

    fn start_with(house: &House, name: &str, args: &[&str], variables: &[(&str, String)]) -> Self {
        let (stdout, stderr) = (house.place(&format!("{name}.out")), house.place(&format!("{name}.err")));
        let mut run = house.cq("run").args(args);
        for (name, value) in variables {
            run = run.env(name, value);
        }
        let child = run.start_into(File::create(&stdout).unwrap(), File::create(&stderr).unwrap());
        Self { child, stdout, stderr }
    }

    /// The lines so far; the last may be on its way.
    fn ticks(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.stdout).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The exit statuses of each turn of a pipeline, in order.
    fn exits(&self, pipeline: &str) -> Vec<Vec<i64>> {
        let ticks = self.ticks();
        let of = ticks.iter().filter(|tick| tick["pipeline"] == pipeline);
        of.map(|tick| {
            let commands = tick["commands"].as_array().unwrap();
            commands.iter().map(|command| command["exit"].as_i64().unwrap()).collect()
        })
        .collect()
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    fn waits_for(&self, words: &str) {
        until(&format!("'{words}' in: {}", self.said()), || self.said().contains(words).then_some(()));
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit status, once it has ended; 128 + n where signal n ended it.
    fn end(&mut self) -> i32 {
        let status = until("the orchestrator's end", || self.child.try_wait().unwrap());
        status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap()
    }

    /// SIGTERM, and the end.
    fn stop(&mut self) -> i32 {
        self.signal(rustix::process::Signal::TERM);
        self.end()
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The marker that every process of an issue's claim carries.
fn marker(house: &House, number: u64) -> String {
    format!("CQ_CLAIM={}", house.record(number)["claim"]["token"].as_str().unwrap())
}

/// Kills the supervisor of an issue, and waits for its end.
fn kill_supervisor(house: &House, number: u64) {
    let pid = house.record(number)["run"]["supervisor"]["pid"].to_string();
    house.program("kill").args(["-KILL", &pid]).run().quietly();
    until_ended(&pid);
}

/// Changes the record's file of an issue, as no command would.
fn tamper(house: &House, number: u64, change: impl FnOnce(&mut Value)) {
    let mut record = house.record(number);
    change(&mut record);
    fs::write(house.state_dir().join(format!("records/{number}.json")), record.to_string()).unwrap();
}
