//! The part of the doctor that looks at what cq stands on: templates, disk, and whether it is welcome.

use super::{Finding, Tell};
use crate::agent::templates;
use crate::error::Result;
use crate::pipeline::welcome;
use crate::session::Session;
use crate::state::volume;

/// Fills every template with nothing: an unknown placeholder is found before an agent needs it.
pub(super) fn templates(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let check = "templates";
    let workspaces = match session.loaded.workspaces(&session.environment) {
        Ok(workspaces) => workspaces,
        Err(error) => return tell(Finding::failed(check, &error)),
    };
    let mut bad = false;
    for template in templates::ALL {
        if let Err(error) = template.check(&workspaces) {
            bad = true;
            let file = templates::folder(&workspaces).join(template.name);
            let fix = format!("mend '{}', or remove it: the built-in one then holds", file.display());
            tell(Finding::error(
                check,
                error.to_string(),
                error.hint.map_or(fix.clone(), |known| format!("{fix}; {known}")),
            ))?;
        }
    }
    if bad { Ok(()) } else { tell(Finding::ok(check, "each placeholder is known")) }
}

/// Where the state and the workspaces are, and how much room there is.
pub(super) fn disk(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let state = session.state.dir();
    tell(match volume::network(state) {
        Ok(None) => {
            Finding::ok("state.filesystem", format!("'{}' is on a local file system", state.display()))
        }
        Ok(Some(name)) => Finding::error(
            "state.filesystem",
            format!("'{}' is on {name}, where a lock may hang", state.display()),
            "choose a local folder with --state-dir or CQ_STATE_DIR",
        ),
        Err(error) => Finding::failed("state.filesystem", &error),
    })?;
    let check = "disk";
    let workspaces = match session.loaded.workspaces(&session.environment) {
        Ok(workspaces) => workspaces,
        Err(error) => return tell(Finding::failed(check, &error)),
    };
    if let Some(error) = volume::refusal(&workspaces) {
        tell(Finding::failed("workspaces.writable", &error))?;
    }
    let wanted = session.loaded.config.limits.free_disk_megabytes;
    let room = match volume::free_bytes(&workspaces) {
        Ok(bytes) => bytes >> 20,
        Err(error) => {
            return tell(Finding::warning(check, error.to_string(), "see whether the folder can be read"));
        }
    };
    let what = format!("{room} MiB are free where the workspaces are");
    tell(if room >= wanted {
        Finding::ok(check, what)
    } else {
        let fix = format!(
            "make room: an agent is started with {wanted} MiB (limits.freeDiskMegabytes); cq-cleanup"
        );
        Finding::error(check, what, fix)
    })
}

/// What the repository says about agents, as far as its newest base is here.
pub(super) fn policy(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let check = "policy";
    let found = session.git().and_then(|(repository, private)| {
        let base = &session.loaded.config.git.base;
        let known = private.fetched_base(base)?;
        let known = match known {
            Some(sha) => Some(sha),
            None => repository.resolve(&format!("refs/heads/{base}"))?,
        };
        known.map_or(Ok(None), |sha| welcome::forbidden_by(&private, &sha))
    });
    tell(match found {
        Err(error) => Finding::failed(check, &error),
        Ok(None) => Finding::ok(
            check,
            "the repository, as its base was last fetched, does not forbid what agents write",
        ),
        Ok(Some((file, sentence))) => {
            let what = format!("{file}, as it was last fetched, says: '{sentence}'");
            if session.loaded.config.trust.allow_despite_policy {
                Finding::warning(check, what, "none, if trust.allowDespitePolicy is meant")
            } else {
                Finding::error(check, what, welcome::HINT)
            }
        }
    })
}
