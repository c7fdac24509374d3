//! SIGINT and SIGTERM while checks run: the checks are ended first. At any other time they end this command at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;

use crate::error::{Error, Kind, OrFail, Result};
use crate::process;

/// What was heard.
#[derive(Debug)]
pub(super) struct Interrupt {
    idle: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
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
        let this = Self { idle: Arc::new(AtomicBool::new(true)), signal: Arc::default() };
        let signals = [SIGINT, SIGTERM, SIGHUP];
        for signal in signals {
            register_conditional_default(signal, Arc::clone(&this.idle))
                .or_fail(Kind::Internal, || "cannot listen for signals")?;
        }
        process::note_signals(&signals, &this.signal)?;
        Ok(this)
    }

    /// From now on signals are heard by who [asks](Self::told).
    pub(super) fn busy(&self) -> Busy {
        self.idle.store(false, Ordering::SeqCst);
        Busy(Arc::clone(&self.idle))
    }

    pub(super) fn told(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// The error of what was interrupted: by a signal, else by a stop.
    pub(super) fn error(&self, what: &str) -> Error {
        let kind = match u8::try_from(self.signal.load(Ordering::SeqCst)) {
            Ok(0) | Err(_) => Kind::TryAgain,
            Ok(signal) => Kind::Signal(signal),
        };
        Error::new(kind, format!("{what} was interrupted"))
    }
}
