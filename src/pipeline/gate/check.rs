//! One check: its program is started like an agent, in the run's limits and sandbox, and watched to its end.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checkout::Checkout;
use super::interrupt::Interrupt;
use super::log;
use super::plan::Planned;
use crate::agent::environment as seen;
use crate::error::{Error, Kind, OrFail, Result};
use crate::limits::watchdog::Watchdog;
use crate::limits::{self, Group, Mechanism};
use crate::pipeline::supervise::{Files, end, for_checks, start_by};
use crate::pipeline::workspace::Paths;
use crate::process::{self, Running};
use crate::record::{Check, Extra, GateVerdict, Record};
use crate::sandbox::{Tier, Wish, Wrapped};
use crate::session::Session;
use crate::state::{durable, stop};

/// How often the time, the memory and the stop are looked at. An end is noticed at once.
const TICK: Duration = Duration::from_millis(250);
/// A check that says more than this, in bytes, is ended: it fills the disk.
const MOST_OUTPUT: u64 = 512 << 20;
/// The variable by which the processes of one check are told from those of its neighbours.
const MARKER: &str = "CQ_CHECK";
/// bubblewrap's own words, where it could not start the program.
const BUBBLEWRAP: &[u8] = b"bwrap: ";

/// Where checks run.
pub(super) struct Bench<'b> {
    pub(super) session: &'b Session,
    pub(super) record: &'b Record,
    pub(super) paths: &'b Paths,
    pub(super) checkout: &'b Checkout,
    /// The sandbox; none where there is none.
    sandbox: Option<Wish>,
    launcher: PathBuf,
    variables: BTreeMap<String, String>,
    /// Whether this command was told to end.
    told: &'b Interrupt,
    /// The first part of the logs' names: `gate`, or `base`.
    logs: &'static str,
}

/// A program that is about to be started.
pub(super) struct Prepared {
    wrapped: Wrapped,
    id: String,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exit(i32),
    Late,
    Flooded,
    OutOfMemory,
    Told,
}

impl<'b> Bench<'b> {
    pub(super) fn new(
        session: &'b Session,
        record: &'b Record,
        paths: &'b Paths,
        checkout: &'b Checkout,
        tier: &Tier,
        told: &'b Interrupt,
        logs: &'static str,
    ) -> Result<Self> {
        let mut variables = seen::of_check(&session.environment, record)?;
        // The checkout is none of git's; what lies above it is the owner's.
        let above = checkout.folder.parent().unwrap_or(&checkout.folder);
        variables.insert("GIT_CEILING_DIRECTORIES".to_owned(), above.display().to_string());
        Ok(Self {
            session,
            record,
            paths,
            checkout,
            sandbox: for_checks(session, tier, checkout.private.clone(), checkout.folder.clone())?,
            launcher: process::sibling("cq-supervise", &session.environment)?,
            variables,
            told,
            logs,
        })
    }

    /// Finds a program and wraps it. Nobody works in the checkout meanwhile.
    pub(super) fn prepare(&self, command: &[String]) -> Result<Prepared> {
        let (name, arguments) =
            command.split_first().ok_or_else(|| Error::new(Kind::Config, "its command is empty"))?;
        let program = process::find(name, &self.checkout.folder, &self.session.environment)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut variables = self.variables.clone();
        variables.insert(MARKER.to_owned(), id.clone());
        let wrapped = match &self.sandbox {
            Some(sandbox) => sandbox.wrap(&program, arguments, variables)?,
            None => Wrapped { program, arguments: arguments.to_vec(), variables },
        };
        Ok(Prepared { wrapped, id })
    }

    /// Runs a check to its end, and says what that end means.
    pub(super) fn check(&self, planned: &Planned, prepared: Result<Prepared>) -> Result<Check> {
        let gate = &planned.gate;
        let path = self.paths.raw_file(self.record, &format!("{}.{}.txt", self.logs, planned.slug));
        let mut file = new_log(&path)?;
        let started = Instant::now();
        let (verdict, why, exit) = match prepared {
            Ok(prepared) => {
                let time = Duration::from_secs_f64(gate.timeout_minutes * 60.0);
                let (end, oom) = self.run(&prepared, &file, time)?;
                if end == End::Told {
                    return Err(self.told.error(&format!("the check '{}'", gate.name)));
                }
                let unstarted = self.sandbox.is_some() && log::begins_with(&path, BUBBLEWRAP);
                judge(end, oom, unstarted, gate.timeout_minutes)
            }
            Err(error) if error.kind == Kind::Config => {
                let why = error.to_string();
                log::write(&mut file, &why)
                    .or_fail(Kind::CannotWrite, || format!("cannot write '{}'", path.display()))?;
                (GateVerdict::Unevaluated, Some(why), Some(127))
            }
            Err(error) => return Err(error),
        };
        let digest = log::finish(&mut file, &self.session.redactor())
            .or_fail(Kind::CannotWrite, || format!("cannot write '{}'", path.display()))?;
        Ok(Check {
            name: gate.name.clone(),
            command: gate.command.clone(),
            verdict,
            why,
            exit,
            base_exit: None,
            seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            log: path.display().to_string(),
            log_sha256: Some(digest),
            extra: Extra::new(),
        })
    }

    /// Runs a program, and ends whatever is left of it. Gives how it ended, and whether the kernel ended some of it for
    /// want of memory.
    pub(super) fn run(&self, prepared: &Prepared, log: &File, time: Duration) -> Result<(End, bool)> {
        let (running, group) = self.start(prepared, log)?;
        let ended = self.wait(&running, &group, log, time);
        end(Some(&group), process::marked_families(MARKER, &prepared.id), || {});
        // What was killed is taken leave of.
        let gone = running.wait(process::GRACE);
        let oom = group.oom_kills() > 0;
        group.remove();
        gone?;
        Ok((ended?, oom))
    }

    /// Starts it in a group of its own, by the first mechanism that works.
    fn start(&self, prepared: &Prepared, log: &File) -> Result<(Running, Group)> {
        let (session, instance) = (self.session, self.record.instance());
        let (config, environment) = (&session.loaded.config.limits, &session.environment);
        let name = limits::name(session.state.dir(), instance, &prepared.id, 1);
        let arrived = self.paths.raw_file(self.record, &format!("{}.arrived.txt", prepared.id));
        let mut group = limits::create(&name, config, environment)?;
        loop {
            durable::remove(&arrived)?;
            let files = Files { stdin: null()?, stdout: share(log)?, stderr: share(log)? };
            let folder = &self.checkout.folder;
            let entry = group.entry(&arrived);
            let started = start_by(&self.launcher, folder, prepared.wrapped.clone(), files, entry);
            let running = started.inspect_err(|_| {
                group.remove();
            })?;
            let Err(error) = group.await_arrival(&arrived, || Ok(running.wait(Duration::ZERO)?.is_some()))
            else {
                return Ok((running, group));
            };
            // It may only be late: no check runs twice at once.
            end(Some(&group), process::marked_families(MARKER, &prepared.id), || {});
            running.wait(process::GRACE)?;
            group = limits::create_next(&group, error.to_string(), &name, config, environment)?;
        }
    }

    fn wait(&self, running: &Running, group: &Group, log: &File, time: Duration) -> Result<End> {
        let watches = group.mechanism() == Mechanism::Watchdog;
        // It looks at all that this command has started: checks that run side by side share the limit of one.
        let mut watchdog = group.wishes().memory_bytes.filter(|_| watches).map(Watchdog::new);
        let began = Instant::now();
        loop {
            let left = time.saturating_sub(began.elapsed());
            if let Some(finished) = running.wait(TICK.min(left))? {
                return Ok(End::Exit(finished.exit));
            }
            if left.is_zero() {
                return Ok(End::Late);
            }
            if watchdog.as_mut().is_some_and(Watchdog::look) {
                return Ok(End::OutOfMemory);
            }
            if log.metadata().is_ok_and(|about| about.len() > MOST_OUTPUT) {
                return Ok(End::Flooded);
            }
            let aborts =
                || matches!(self.session.state.stop(), Ok(Some(stop)) if stop.mode == stop::Mode::Abort);
            if self.told.told() || aborts() {
                return Ok(End::Told);
            }
        }
    }
}

/// 126, 127, a signal, no time and no memory say nothing about the change.
fn judge(end: End, oom: bool, unstarted: bool, minutes: f64) -> (GateVerdict, Option<String>, Option<i32>) {
    let unevaluated = |why: String, exit| (GateVerdict::Unevaluated, Some(why), exit);
    match end {
        End::Exit(0) => (GateVerdict::Passed, None, Some(0)),
        End::Exit(exit) if oom => {
            unevaluated("there was not enough memory (limits.memoryMegabytes)".to_owned(), Some(exit))
        }
        End::Exit(exit) if unstarted => unevaluated("the sandbox could not start it".to_owned(), Some(exit)),
        End::Exit(exit @ 126) => unevaluated("something could not be executed".to_owned(), Some(exit)),
        End::Exit(exit @ 127) => unevaluated("a program is missing".to_owned(), Some(exit)),
        End::Exit(exit @ 128..) => unevaluated(format!("it was ended by signal {}", exit - 128), Some(exit)),
        End::Exit(exit) => (GateVerdict::Failed, None, Some(exit)),
        End::Late => unevaluated(format!("it took longer than {minutes} min (timeoutMinutes)"), None),
        End::Flooded => unevaluated(format!("it said more than {} MiB", MOST_OUTPUT >> 20), None),
        End::OutOfMemory => {
            unevaluated("it took more memory than it may (limits.memoryMegabytes)".to_owned(), None)
        }
        End::Told => unevaluated("it was interrupted".to_owned(), None),
    }
}

/// An empty log, readable by its owner only.
fn new_log(path: &Path) -> Result<File> {
    let mut how = OpenOptions::new();
    // Appended: what several processes say at the same time is not written over one another.
    let file = how.read(true).append(true).create(true).mode(0o600).open(path);
    let file = file.or_fail(Kind::CannotWrite, || format!("cannot write '{}'", path.display()))?;
    file.set_len(0).or_fail(Kind::CannotWrite, || format!("cannot write '{}'", path.display()))?;
    Ok(file)
}

fn share(log: &File) -> Result<File> {
    log.try_clone().or_fail(Kind::Internal, || "cannot pass on a log")
}

fn null() -> Result<File> {
    File::open("/dev/null").or_fail(Kind::Internal, || "cannot open /dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_exit_status_is_red() {
        use GateVerdict::{Failed, Passed, Unevaluated};
        let cases = [
            (End::Exit(0), false, false, Passed, ""),
            (End::Exit(0), true, true, Passed, ""),
            (End::Exit(1), false, false, Failed, ""),
            (End::Exit(125), false, false, Failed, ""),
            (End::Exit(1), true, false, Unevaluated, "memory"),
            (End::Exit(1), false, true, Unevaluated, "sandbox"),
            (End::Exit(126), false, false, Unevaluated, "executed"),
            (End::Exit(127), false, false, Unevaluated, "missing"),
            (End::Exit(139), false, false, Unevaluated, "signal 11"),
            (End::Late, false, false, Unevaluated, "longer than 7 min"),
            (End::Flooded, false, false, Unevaluated, "512 MiB"),
            (End::OutOfMemory, false, false, Unevaluated, "memory"),
        ];
        for (end, oom, unstarted, verdict, words) in cases {
            let (found, why, exit) = judge(end, oom, unstarted, 7.0);
            assert_eq!(found, verdict, "{end:?}");
            assert!(why.as_deref().unwrap_or_default().contains(words), "{end:?}: {why:?}");
            assert_eq!(exit, if let End::Exit(exit) = end { Some(exit) } else { None });
        }
    }
}
