//! What can go wrong, and the exit status that says so.
//!
//! Every fallible function of the library returns [`Error`]: a [`Kind`], a chain of causes and, where
//! there is something to do about it, a hint. [`Kind::ALL`] is the one table of exit statuses; the man
//! pages are written from it.

use std::fmt::Display;

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not end well. The numbers above 2 are those of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A reader closed our stdout: nothing went wrong, nobody is listening any more.
    ClosedPipe,
    /// Some record could not be brought to its end; the others were.
    Failed,
    /// The command line cannot be understood (clap's own status).
    Usage,
    /// An input record is malformed.
    BadInput,
    /// GitHub or the git remote cannot be reached, or answers with a server's error.
    Unavailable,
    /// A defect in cq, or in a file only cq writes.
    Internal,
    /// The state directory or a workspace cannot be written.
    CannotWrite,
    /// Nothing is wrong, but not now: a rate limit, a lock held for too long, a stop in force.
    TryAgain,
    /// Not permitted: untrusted, fenced off, a lost claim, 401 or 403.
    NotPermitted,
    /// The configuration, or a program that it names, is wrong or missing.
    Config,
    /// Told to end by this signal, and did so in an orderly way.
    Signal(u8),
}

impl Kind {
    /// Every kind that ends a command with a status of its own, with what the man pages say of it.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Failed, "some record failed; the others were done"),
        (Self::Usage, "usage: the command line was not understood"),
        (Self::BadInput, "a malformed input record; the good ones were done"),
        (Self::Unavailable, "GitHub or the git remote is unavailable"),
        (Self::Internal, "an internal error"),
        (Self::CannotWrite, "the state directory or a workspace cannot be written"),
        (Self::TryAgain, "try again later: a rate limit, a busy lock, a stop in force"),
        (Self::NotPermitted, "not permitted: untrusted, fenced off, a lost claim, 401 or 403"),
        (Self::Config, "the configuration, or a program it names, is wrong or missing"),
    ];

    /// The exit status of the process.
    pub const fn status(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BadInput => 65,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::CannotWrite => 73,
            Self::TryAgain => 75,
            Self::NotPermitted => 77,
            Self::Config => 78,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What failed, on what, why, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{cause:#}")]
pub struct Error {
    /// Decides the exit status.
    pub kind: Kind,
    cause: anyhow::Error,
    /// What to do next, for the person who reads it.
    pub hint: Option<String>,
}

impl Error {
    /// An error of its own: no capital, no full stop, the subject in single quotes.
    pub fn new(kind: Kind, message: impl Display) -> Self {
        Self { kind, cause: anyhow::Error::msg(message.to_string()), hint: None }
    }

    /// An error that another one caused.
    pub fn because(kind: Kind, cause: impl Into<anyhow::Error>, message: impl Display) -> Self {
        Self { kind, cause: cause.into().context(message.to_string()), hint: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, seen from one step further out.
    #[must_use]
    pub fn context(mut self, message: impl Display) -> Self {
        self.cause = self.cause.context(message.to_string());
        self
    }

    /// The first cause of this type in the chain.
    pub fn cause<E: std::error::Error + Send + Sync + 'static>(&self) -> Option<&E> {
        self.cause.chain().find_map(|cause| cause.downcast_ref())
    }
}

/// Turns a foreign error into an [`Error`] of a kind, saying what was attempted.
pub trait OrFail<T> {
    /// `message` says what failed, on what; it is only built when it did.
    fn or_fail<M: Display>(self, kind: Kind, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<M: Display>(self, kind: Kind, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|cause| Error::because(kind, cause, message()))
    }
}

/// Collects what happens to records that are dealt with one after the other: the first error decides
/// the exit status, except that a malformed record outranks one that merely failed.
#[derive(Debug, Default)]
pub struct Tally {
    worst: Option<Kind>,
    ending: Option<u8>,
}

impl Tally {
    /// Takes note of a failure that has been reported already.
    pub fn note(&mut self, kind: Kind) {
        let outranks = match self.worst {
            None => true,
            Some(Kind::Failed) => kind != Kind::Failed,
            Some(_) => false,
        };
        if outranks {
            self.worst = Some(kind);
        }
    }

    /// Takes note of what another part of the work came to.
    pub fn add(&mut self, part: &Self) {
        part.worst.into_iter().for_each(|kind| self.note(kind));
    }

    /// An exit status that is not cq's own: a rehearsed agent's.
    pub fn ending_with(status: u8) -> Self {
        Self { worst: None, ending: Some(status) }
    }

    /// The kind that decides the exit status; none means that all went well.
    pub fn worst(&self) -> Option<Kind> {
        self.worst
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        self.ending.unwrap_or_else(|| self.worst.map_or(0, Kind::status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_documented_ones() {
        let statuses: Vec<u8> = Kind::ALL.iter().map(|(kind, _)| kind.status()).collect();
        assert_eq!(statuses, [1, 2, 65, 69, 70, 73, 75, 77, 78]);
        assert_eq!(Kind::ClosedPipe.status(), 0);
    }

    #[test]
    fn a_chain_reads_from_the_outside_in() {
        let inner = std::io::Error::other("disk on fire");
        let error = Error::because(Kind::CannotWrite, inner, "cannot write 'a'").context("cannot claim #1");
        assert_eq!(error.to_string(), "cannot claim #1: cannot write 'a': disk on fire");
    }

    #[test]
    fn a_bad_line_outranks_a_failed_record_and_nothing_outranks_the_first_refusal() {
        let cases: [(&[Kind], Option<Kind>); 5] = [
            (&[], None),
            (&[Kind::Failed], Some(Kind::Failed)),
            (&[Kind::Failed, Kind::BadInput], Some(Kind::BadInput)),
            (&[Kind::BadInput, Kind::Failed], Some(Kind::BadInput)),
            (&[Kind::Unavailable, Kind::BadInput], Some(Kind::Unavailable)),
        ];
        for (seen, expected) in cases {
            let mut tally = Tally::default();
            for kind in seen {
                tally.note(*kind);
            }
            assert_eq!(tally.worst(), expected, "{seen:?}");
        }
    }
}
