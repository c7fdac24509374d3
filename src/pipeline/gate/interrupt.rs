//! SIGINT and SIGTERM while checks run: the checks are ended first. At any other time they end this command at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;

use crate::error::{Error, Kind, OrFail, Result};
use crate::process::Signals;

/// What was heard.
#[derive(Debug)]
pub(super) struct Interrupt {
    idle: Arc<AtomicBool>,
    signals: Signals,
}

/// While it is there, signals wait for the end of the checks.
#[derive(Debug)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Interrupt {
    pub(super) fn listen() -> Result<Self> {
        let idle = Arc::new(AtomicBool::new(true));
        let signals = [SIGINT, SIGTERM, SIGHUP];
        for signal in signals {
            register_conditional_default(signal, Arc::clone(&idle))
                .or_fail(Kind::Internal, || "cannot listen for signals")?;
        }
        Ok(Self { idle, signals: Signals::note(&signals)? })
    }

    /// From now on signals are heard by who [asks](Self::told).
    pub(super) fn busy(&self) -> Busy {
        self.idle.store(false, Ordering::SeqCst);
        Busy(Arc::clone(&self.idle))
    }

    pub(super) fn told(&self) -> bool {
        self.signals.told().is_some()
    }

    /// The error of what was interrupted: by a signal, else by a stop.
    pub(super) fn error(&self, what: &str) -> Error {
        let kind = self.signals.told().map_or(Kind::TryAgain, Kind::Signal);
        Error::new(kind, format!("{what} was interrupted"))
    }
}
