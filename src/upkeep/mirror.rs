//! The part of a tick that shows on GitHub what is known here: labels and assignee of each issue in flight, and of
//! those that have just ended.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::error::{Error, Kind, Result, Tally};
use crate::github::{Client, assignees, mirror};
use crate::record::Record;
use crate::record::mirror::{Change, Terms};
use crate::session::Session;
use crate::state::events::Event;

/// Writes of one tick: GitHub wants a second between two, and a tick should end before the next. The rest is the
/// next tick's.
const WRITES: usize = 30;

/// Brings GitHub's issues up to date. Trouble is complained of, and counted.
pub(super) fn run(session: &Session, dry_run: bool) -> Result<Tally> {
    let github = &session.loaded.config.github;
    if !github.mirror || !session.state.exists() {
        return Ok(Tally::default());
    }
    if !session.has_token()? {
        session.detail("no GitHub token: labels and assignees stay as they are");
        return Ok(Tally::default());
    }
    // The machine's own time: it is compared with that of files.
    let began = Clock::System.now_exact();
    let mut wanted: Vec<(Record, bool)> = Vec::new();
    // An unreadable one was told of already.
    wanted.extend(session.state.in_flight(drop)?.into_iter().map(|record| (record, true)));
    wanted.extend(session.state.archived_since_mirrored(began)?.into_iter().map(|record| (record, false)));
    if wanted.is_empty() {
        return Ok(Tally::default());
    }
    let client = session.github()?;
    let mut tick = Tick {
        session,
        client: &client,
        dry_run,
        left: WRITES,
        assignable: BTreeMap::new(),
        tally: Tally::default(),
    };
    let whole = wanted.iter().all(|(record, in_flight)| tick.one(record, *in_flight));
    if !dry_run {
        client.sweep();
    }
    if whole && tick.tally.worst().is_none() && !dry_run {
        session.state.mark_mirrored(began)?;
    }
    Ok(tick.tally)
}

struct Tick<'a> {
    session: &'a Session,
    client: &'a Client,
    dry_run: bool,
    left: usize,
    /// By repository: whether it takes the configured assignee. Who it does not take is not asked for again and again.
    assignable: BTreeMap<String, bool>,
    tally: Tally,
}

impl Tick<'_> {
    /// One issue; gives whether it is worth going on to the next.
    fn one(&mut self, record: &Record, in_flight: bool) -> bool {
        let error = match self.reconcile(record, in_flight) {
            Ok(()) => return self.left > 0,
            Err(error) => error,
        };
        self.session.complain(&error);
        self.tally.note(error.kind);
        is_of_one_issue(&error)
    }

    fn reconcile(&mut self, record: &Record, in_flight: bool) -> Result<()> {
        let config = &self.session.loaded.config;
        let terms = Terms { approving: &config.github.labels, assignee: config.github.assignee.as_deref() };
        let differences = mirror::differences(self.client, record, in_flight, terms)?;
        for change in differences {
            if let Change::Assign(login) = &change
                && !self.may_assign(record, login)?
            {
                continue;
            }
            if self.dry_run {
                self.session.note(&format!("would {} issue #{}", told(&change), record.number));
                continue;
            }
            if self.left == 0 {
                self.session.detail("GitHub's labels are not all up to date yet: the next tick goes on");
                return Ok(());
            }
            self.left -= 1;
            mirror::apply(self.client, record, &change)?;
            let state = &self.session.state;
            state
                .log(&Event::about(state, "mirror", record.number).with("change", told(&change).as_str()))?;
        }
        Ok(())
    }

    /// Complains the first time of somebody who cannot be assigned.
    fn may_assign(&mut self, record: &Record, login: &str) -> Result<bool> {
        if let Some(known) = self.assignable.get(&record.repo) {
            return Ok(*known);
        }
        let may = assignees::may_be(self.client, &record.repo, login)?;
        self.assignable.insert(record.repo.clone(), may);
        if !may {
            let message = format!("'{login}' cannot be assigned to issues of {}", record.repo);
            let error =
                Error::new(Kind::Config, message).hint("github.assignee names a login with a role there");
            self.session.complain(&error);
            self.tally.note(error.kind);
        }
        Ok(may)
    }
}

/// What is so for this issue need not be so for the next; a GitHub that is away is away for all.
pub(super) fn is_of_one_issue(error: &Error) -> bool {
    matches!(error.kind, Kind::NotPermitted | Kind::Failed | Kind::Config)
}

/// Before "issue #7".
fn told(change: &Change) -> String {
    match change {
        Change::Label(name) => format!("put '{name}' on"),
        Change::Unlabel(name) => format!("take '{name}' off"),
        Change::Assign(login) => format!("assign {login} to"),
        Change::Unassign(login) => format!("unassign {login} from"),
    }
}
