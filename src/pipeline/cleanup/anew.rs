//! Before a completed issue is begun anew: what it leaves goes, because its record will know of none of it afterwards.

use super::{branches, depart, due, log};
use crate::error::Result;
use crate::pipeline::hold;
use crate::record::Record;
use crate::session::Session;

/// Lets the workspace and the branches of a completed issue go, rescue first. May be repeated; refuses while somebody is
/// in the workspace.
pub(crate) fn make_way(session: &Session, record: &Record) -> Result<()> {
    let number = record.number;
    let records = session.state.in_flight(|error| session.complain(&error))?;
    // Where its name was given away, the folder is another issue's.
    let (record, mut cleared) = if !due::is_without_workspace(record) && due::owns_workspace(record, &records)
    {
        let (lock, record) = hold(session, record)?;
        depart(session, &record, lock, false)?
    } else {
        (record.clone(), branches::delete_here(session, record)?)
    };
    log(session, &record, &cleared)?;
    if let Some(name) = &cleared.rescued {
        session.note(&format!("issue #{number}: what its workspace held besides is in {name}"));
    }
    if let Some(error) = cleared.unremoved.take() {
        session.complain(&error);
    }
    branches::delete(session, &record).map(drop)
}
