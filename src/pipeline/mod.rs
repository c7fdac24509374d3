//! The pipeline: one file per command, each with its whole story, in the order a record meets them.

mod catch_up;
mod children;
pub mod claim;
pub mod cleanup;
pub mod fetch;
pub mod gate;
pub(crate) mod overlap;
pub mod prepare;
pub mod pull_request;
mod rescue;
pub mod spawn;
pub mod supervise;
pub(crate) mod vet;
pub mod webhook;
pub(crate) mod welcome;
pub(crate) mod workspace;

use crate::claims;
use crate::error::Result;
use crate::record::Record;
use crate::session::Session;
use crate::state::lock;

/// Holds the instance of a record that came in, and reads the record as it is now: what came through a pipe may
/// be old, and its claim may be lost.
fn hold(session: &Session, wanted: &Record) -> Result<(lock::Guard, Record)> {
    let claim = wanted.claimed()?;
    let guard = session.state.hold(&claim.instance)?;
    Ok((guard, current(session, wanted)?))
}

/// The record that came in, as it is now.
fn current(session: &Session, wanted: &Record) -> Result<Record> {
    let record = session.in_flight(wanted.number)?;
    if record.claimed()?.token == wanted.claimed()?.token {
        Ok(record)
    } else {
        Err(claims::lost(wanted.number))
    }
}
