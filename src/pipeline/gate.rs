//! `cq-gate`: the configured checks, on the exact tree that was committed.
//!
//! The tree is written into a clean folder, so that nothing the agent left lying about can make a check pass. The checks
//! run there as the agent ran, within the run's limits and in its sandbox, without any key. What they say of a tree is a
//! receipt: in the record, in the state for whoever has the same tree, and as a note for people.

use self::caches::Shelf;
use self::check::{Bench, Prepared};
use self::checkout::Checkout;
use self::interrupt::Interrupt;
use self::plan::Planned;
use super::supervise::{choose, end, end_processes};
use super::workspace::{self, Paths};
use crate::error::{Error, Kind, Result, Tally};
use crate::git::PrivateGit;
use crate::process;
use crate::record::{Check, GateVerdict, Gates, Record, Status};
use crate::sandbox::Tier;
use crate::session::Session;

mod base;
pub(super) mod caches;
mod check;
mod checkout;
mod interrupt;
mod log;
mod plan;
pub(super) mod receipts;
mod share;
mod tools;
mod verdict;

pub(crate) use verdict::way_on;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Even a tree that has a verdict.
    pub again: bool,
    /// Only say it.
    pub dry_run: bool,
}

/// Why a check was skipped.
const UNTOUCHED: &str = "the change touches nothing that it looks at";

/// Checks what comes in.
pub fn run(session: &Session, wish: &Wish, records: impl Iterator<Item = Result<Record>>) -> Result<Tally> {
    session.state.refuse_when_stopped()?;
    session.needs_configuration()?;
    // Whoever a check leaves behind comes to us.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let told = Interrupt::listen()?;
    let mut output = session.records();
    let tally = session.for_each(records, |wanted| {
        let record = one(session, wish, &told, &wanted)?;
        output.record(&record)?;
        match record.gates.as_ref().map(|gates| gates.verdict) {
            Some(GateVerdict::Failed) => Err(verdict::complaint(&record, "failed")),
            Some(GateVerdict::Unevaluated) => Err(verdict::complaint(&record, "could not be evaluated")),
            Some(GateVerdict::Passed | GateVerdict::Skipped) | None => Ok(()),
        }
    })?;
    output.finish()?;
    if told.told() { Err(told.error("the work")) } else { Ok(tally) }
}

fn one(session: &Session, wish: &Wish, told: &Interrupt, wanted: &Record) -> Result<Record> {
    let number = wanted.number;
    if told.told() {
        return Err(told.error(&format!("issue #{number}")));
    }
    let (lock, record) = super::hold(session, wanted)?;
    // What is kept back a person may have mended by hand.
    if record.status != Some(Status::Testing) && !record.is_kept_back() {
        let status = record.standing();
        session.note(&format!("issue #{number} is {status}: nothing is checked"));
        return Ok(Record { gates: None, ..record });
    }
    let (repository, private) = session.git()?;
    let head = workspace::head_of(&repository, &record)?;
    let tree = private.tree_of(&head)?;
    let base = record.claimed()?.base_sha.as_deref();
    let changed = base.map(|base| private.paths_between(base, &head)).transpose()?;
    let plan = plan::plan(&session.loaded.config.quality_gates, changed.as_deref());
    let known = record.gates.as_ref().filter(|gates| gates.tree == tree);
    // In testing it waits for what follows from its verdict: an older cq left it there.
    let unsettled =
        |known: &Gates| record.status == Some(Status::Testing) && known.verdict == GateVerdict::Unevaluated;
    if !wish.again && known.is_some_and(|known| plan::answers(known, base, &plan) && !unsettled(known)) {
        return Ok(record);
    }
    if wish.dry_run {
        foretell(session, number, &plan);
        return Ok(record);
    }
    if plan.is_empty() {
        session.note(&format!("no qualityGates are configured: nothing was checked for issue #{number}"));
    } else if !plan.iter().any(|planned| planned.runs) {
        session.note(&format!("none of the checks concerns the change of issue #{number}"));
    }
    let tree_lock = receipts::hold(session, &tree)?;
    let known = if wish.again { None } else { receipts::find(session, &tree, base, &plan)? };
    let gates = if let Some(known) = known {
        session.note(&format!("issue #{number}: its tree was checked before, for issue #{}", known.issue));
        let checked_for = (known.issue != number).then_some(known.issue);
        Gates { checked_for, ..known.gates }
    } else {
        let checking = Checking { session, wish, told, record: &record, private: &private, plan: &plan };
        let gates = checking.run(&head, tree, base)?;
        if !plan.is_empty() {
            receipts::keep(session, &record, &gates)?;
        }
        gates
    };
    drop(tree_lock);
    if !plan.is_empty() {
        receipts::note(session, (&repository, &private), &head, &gates)?;
    }
    let record = verdict::write_down(session, &record, gates)?;
    drop(lock);
    Ok(record)
}

fn foretell(session: &Session, number: u64, plan: &[Planned]) {
    let runs = plan.iter().filter(|planned| planned.runs).count();
    session.note(&format!("would run {runs} checks for issue #{number}"));
    for planned in plan.iter().filter(|planned| !planned.runs) {
        session.note(&format!("would skip '{}': {UNTOUCHED}", planned.gate.name));
    }
}

/// What the checks of one tree need.
struct Checking<'c> {
    session: &'c Session,
    wish: &'c Wish,
    told: &'c Interrupt,
    record: &'c Record,
    private: &'c PrivateGit,
    plan: &'c [Planned],
}

impl Checking<'_> {
    fn run(&self, head: &str, tree: String, base: Option<&str>) -> Result<Gates> {
        let session = self.session;
        let mut gates = Gates { tree, base: base.map(str::to_owned), ..Gates::default() };
        gates.checks = self.plan.iter().map(skipped).collect();
        if self.plan.iter().any(|planned| planned.runs) {
            let _busy = self.told.busy();
            // What a cq-gate that was killed has left.
            end_processes(self.record)?;
            let paths = Paths::of(session, self.record)?;
            workspace::make_folders(session, self.record, &paths)?;
            let tier = choose(session)?;
            if let Tier::Broken { why } = &tier {
                session.detail(&format!("without a sandbox, because {why}"));
            }
            gates.sandbox = Some(tier.name().to_owned());
            self.look(&mut gates, head, &paths, &tier)?;
            if let Some(base) = base {
                self.compare(&mut gates.checks, base, &paths, &tier)?;
            }
        }
        gates.verdict = GateVerdict::of(&gates.checks);
        gates.at = Some(session.clock.now());
        Ok(gates)
    }

    /// Runs the checks on the commit.
    fn look(&self, gates: &mut Gates, head: &str, paths: &Paths, tier: &Tier) -> Result<()> {
        let checkout = self.checkout(head, paths, tier)?;
        let ran = (|| {
            let bench = self.bench(paths, &checkout, tier, "gate")?;
            gates.tools = tools::versions(&bench, self.plan)?;
            gates.checks = all(&bench, self.private, self.plan)?;
            gates.caches.clone_from(&checkout.caches);
            if GateVerdict::of(&gates.checks) == GateVerdict::Passed
                && let Some(kept) = Shelf::hold(self.session, self.record, &checkout.shared)?
            {
                kept.keep(self.session, &checkout);
            }
            Ok(())
        })();
        checkout.discard(self.session)?;
        ran
    }

    /// Calls unevaluated what is red on the base as well.
    fn compare(&self, checks: &mut [Check], base: &str, paths: &Paths, tier: &Tier) -> Result<()> {
        let tree = self.private.tree_of(base)?;
        base::compare(self.session, self.plan, checks, &tree, self.wish.again, |needed| {
            let checkout = self.checkout(base, paths, tier)?;
            let ran = self
                .bench(paths, &checkout, tier, "base")
                .and_then(|bench| all(&bench, self.private, needed));
            checkout.discard(self.session)?;
            ran
        })
    }

    /// Whoever asks once more doubts what was built before, too.
    fn checkout(&self, sha: &str, paths: &Paths, tier: &Tier) -> Result<Checkout> {
        Checkout::make(self.session, self.record, paths, self.private, sha, tier, !self.wish.again)
    }

    fn bench<'b>(
        &'b self,
        paths: &'b Paths,
        checkout: &'b Checkout,
        tier: &Tier,
        logs: &'static str,
    ) -> Result<Bench<'b>> {
        Bench::new(self.session, self.record, paths, checkout, tier, self.told, logs)
    }
}

/// Runs what a plan says, one batch after the other, each on the files of the commit as they are in it.
fn all(bench: &Bench<'_>, git: &PrivateGit, plan: &[Planned]) -> Result<Vec<Check>> {
    let mut checks: Vec<Check> = plan.iter().map(skipped).collect();
    for (number, batch) in plan::batches(plan).into_iter().enumerate() {
        if number > 0 {
            bench.checkout.restore(git)?;
        }
        for (at, check) in side_by_side(bench, plan, &batch)? {
            checks[at] = check;
        }
    }
    Ok(checks)
}

fn side_by_side(bench: &Bench<'_>, plan: &[Planned], batch: &[usize]) -> Result<Vec<(usize, Check)>> {
    // All before the first is started: nobody works in the checkout yet.
    let prepared: Vec<(usize, Result<Prepared>)> =
        batch.iter().map(|at| (*at, bench.prepare(&plan[*at].gate.command))).collect();
    let ran: Vec<Result<(usize, Check)>> = std::thread::scope(|scope| {
        let start = |(at, prepared): (usize, Result<Prepared>)| {
            scope.spawn(move || Ok((at, bench.check(&plan[at], prepared)?)))
        };
        let threads: Vec<_> = prepared.into_iter().map(start).collect();
        let panicked = |_| Err(Error::new(Kind::Internal, "a check was not followed to its end"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    end(None, process::descendants, || process::reap_zombies(None));
    ran.into_iter().collect()
}

fn skipped(planned: &Planned) -> Check {
    Check {
        name: planned.gate.name.clone(),
        command: planned.gate.command.clone(),
        verdict: GateVerdict::Skipped,
        why: Some(UNTOUCHED.to_owned()),
        ..Check::default()
    }
}
