//! What makes the next spawn quick, and takes time: the trash is emptied, warm spares are made.

use crate::error::{Result, Tally};
use crate::pipeline::workspace::{self, spares};
use crate::session::Session;

/// One tick's part; while nothing is to be started, no spares are made.
pub(super) fn prepare(session: &Session, quiet: bool) -> Result<Tally> {
    let emptied = workspace::empty_trash(session);
    if !quiet {
        spares::tend(session)?;
    }
    emptied.map(|_| Tally::default())
}
